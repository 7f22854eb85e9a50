//! The sources of the configuration, each a layer of texts with their origins, laid over one another by figment.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::sync::Arc;

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::document::{Content, Member};
use super::keys::{self, Kind, Place};
use super::mistake::{Mistake, Mistakes, Origin};
use crate::presence::Name;

/// What every variable of ours begins with.
pub(super) const PREFIX: &str = "GRAPH2MQTT_";

/// Variables that the command line reads; they are no keys.
const OF_THE_COMMAND_LINE: &[&str] = &["GRAPH2MQTT_CONFIG", "GRAPH2MQTT_LOG", "GRAPH2MQTT_LOG_FORMAT"];

/// Whether Kubernetes or Docker set a variable for a service that is called graph2mqtt, as they do in every
/// container beside it: `GRAPH2MQTT_SERVICE_HOST`, `GRAPH2MQTT_PORT=tcp://10.0.0.1:8480`,
/// `GRAPH2MQTT_PORT_8480_TCP_ADDR`.
fn is_service_link(name: &str) -> bool {
    let rest = &name[PREFIX.len()..];
    let of = |word: &str| rest.strip_prefix(word).is_some_and(|end| end.is_empty() || end.starts_with('_'));
    !rest.contains("__") && ["SERVICE_HOST", "SERVICE_PORT", "PORT"].into_iter().any(of)
}

/// Where a key that is a switch or a map keeps the switch, in the map: no key can be written so.
pub(super) const ITSELF: &str = "=";

/// Single values of accounts that were set outside of the file, by name and field.
pub(super) type Overrides = BTreeMap<String, BTreeMap<String, (String, Origin)>>;

/// One source. Its shape is right: texts and lists stand only where the keys take them.
#[derive(Debug, Default)]
pub(super) struct Layer {
    name: &'static str,
    dict: Dict,
    origins: HashMap<String, Origin>,
}

impl Provider for &Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.dict.clone())]))
    }
}

impl Layer {
    /// What holds where nobody said otherwise, but for the defaults below chosen names.
    pub fn defaults() -> Self {
        let mut layer = Self { name: "defaults", ..Self::default() };
        let fixed = keys::KEYS.iter().filter(|key| !key.path.contains('*'));
        for (path, default) in fixed.filter_map(|key| Some((key.path, key.default?))) {
            layer.insert(path, Value::from(default), Origin::Default);
        }
        for (status, color) in keys::COLORS {
            let path = format!("colors.{}.color", status.to_ascii_lowercase());
            layer.insert(&path, Value::from(*color), Origin::Default);
        }
        layer
    }

    pub fn file(members: Vec<Member>, file: &Arc<str>, mistakes: &mut Mistakes) -> Self {
        let mut layer = Self { name: "file", ..Self::default() };
        layer.members("", members, file, mistakes);
        layer
    }

    /// From variables such as `GRAPH2MQTT_MQTT__URL`. An empty one counts as not set.
    pub fn environment(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        overrides: &mut Overrides,
        mistakes: &mut Mistakes,
    ) -> Self {
        let mut layer = Self { name: "environment", ..Self::default() };
        let ours = |name: OsString| {
            let name = name.into_string().ok()?;
            let is_ours = name.starts_with(PREFIX) && !OF_THE_COMMAND_LINE.contains(&name.as_str());
            (is_ours && !is_service_link(&name)).then_some(name)
        };
        let ours = variables.into_iter().filter_map(|(name, value)| Some((ours(name)?, value)));
        let sorted: BTreeMap<String, OsString> = ours.filter(|(_, value)| !value.is_empty()).collect();
        for (name, value) in sorted {
            let path = name[PREFIX.len()..].replace("__", ".").to_ascii_lowercase();
            let origin = Origin::Environment(name.into());
            match value.to_str() {
                Some(value) => layer.outside(&path, value, origin, overrides, mistakes),
                None => {
                    mistakes.add(Mistake::new(path, "is not UTF-8", "Set the variable to plain UTF-8 text.").at(origin))
                }
            }
        }
        layer
    }

    /// From `--set KEY=VALUE`.
    pub fn flags(set: &[String], overrides: &mut Overrides, mistakes: &mut Mistakes) -> Self {
        let mut layer = Self { name: "flags", ..Self::default() };
        for flag in set {
            match flag.split_once('=') {
                Some((key, value)) => {
                    let path = canonical(key);
                    layer.outside(&path, value, Origin::Flag(path.as_str().into()), overrides, mistakes);
                }
                None => {
                    let remedy = "Write --set KEY=VALUE, such as --set mqtt.url=mqtt://broker.";
                    mistakes.add(Mistake::new(flag, "has no = behind its key", remedy).at(Origin::Flag("".into())));
                }
            }
        }
        layer
    }

    /// A value from outside of the file: a text, in which commas part the members of a list.
    fn outside(&mut self, path: &str, value: &str, origin: Origin, overrides: &mut Overrides, mistakes: &mut Mistakes) {
        if !names_are_right(path, &origin, mistakes) {
            return;
        }
        let is_account = path.starts_with("accounts.");
        match keys::find(path) {
            Place::Key(_) if is_account => {
                let mut parts = path.split('.').skip(1);
                if let (Some(name), Some(field)) = (parts.next(), parts.next()) {
                    overrides.entry(name.into()).or_default().insert(field.into(), (value.into(), origin));
                }
            }
            Place::Key(key) if key.kind == Kind::List => {
                let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
                let items: Vec<Value> = items.map(Value::from).collect();
                self.insert(path, Value::from(items), origin);
            }
            _ => self.put(path, Content::Text(value.into()), origin, mistakes),
        }
    }

    fn members(&mut self, parent: &str, members: Vec<Member>, file: &Arc<str>, mistakes: &mut Mistakes) {
        for Member { key, line, value } in members {
            let origin = Origin::File { file: Arc::clone(file), line: Some(line) };
            let path = if parent.is_empty() { key } else { format!("{parent}.{key}") };
            let levels = parent.split('.').filter(|part| !part.is_empty()).count() + 1;
            if path.split('.').count() != levels {
                let remedy = "Write the levels below one another: mqtt: and, indented in the next line, url:.";
                mistakes.add(Mistake::new(path, "has a dot in its key", remedy).at(origin));
                continue;
            }
            let path = canonical(&path);
            if !names_are_right(&path, &origin, mistakes) {
                continue;
            }
            let may_hold = |place| match place {
                Place::Section => true,
                Place::Key(key) => matches!(key.kind, Kind::Color | Kind::SwitchOrKeys),
                _ => false,
            };
            match value {
                Content::Map(members) if may_hold(keys::find(&path)) => {
                    if matches!(keys::find(&path), Place::Key(key) if key.kind == Kind::SwitchOrKeys) {
                        self.insert(&format!("{path}.{ITSELF}"), Value::from("true"), origin.clone());
                    }
                    self.hold(&path, origin);
                    self.members(&path, members, file, mistakes);
                }
                content => self.put(&path, content, origin, mistakes),
            }
        }
    }

    /// Takes a value, or says why it cannot stand there.
    fn put(&mut self, path: &str, content: Content, origin: Origin, mistakes: &mut Mistakes) {
        match (keys::find(path), content) {
            (Place::Unknown, content) => mistakes.add(unknown(path, &content, origin)),
            (Place::Section, Content::Null) => self.hold(path, origin),
            (Place::Section, _) => {
                let remedy = format!("Set the keys below it, such as {}.", keys::nearest(&format!("{path}.")));
                mistakes.add(Mistake::new(path, "takes keys of its own, not a value", remedy).at(origin));
            }
            (Place::Key(key), Content::Null) if key.kind == Kind::Color => {
                self.insert(&format!("{path}.color"), Value::from(""), origin);
            }
            (Place::Key(key), Content::Text(text)) if key.kind == Kind::SwitchOrKeys => {
                self.insert(&format!("{path}.{ITSELF}"), Value::from(text), origin);
            }
            (Place::Key(key), Content::Text(text)) if key.kind == Kind::Color => {
                self.insert(&format!("{path}.color"), Value::from(text), origin);
            }
            // A text behind an unquoted # is a comment: an empty secret is a mistake, not an absent one.
            (Place::Key(key), Content::Null) if key.kind == Kind::Secret => {
                self.insert(path, Value::from(""), origin);
            }
            (Place::Key(_) | Place::ColorField, Content::Null) => {}
            (Place::Key(key), Content::List(items)) if key.kind == Kind::List => {
                let texts = items.into_iter().map(|item| match item {
                    Content::Text(text) => Some(Value::from(text)),
                    _ => None,
                });
                match texts.collect::<Option<Vec<Value>>>() {
                    Some(texts) => self.insert(path, Value::from(texts), origin),
                    None => mistakes.add(wrong_type(path, "a list of texts", origin)),
                }
            }
            (Place::Key(key), Content::Text(text)) if key.kind == Kind::List => {
                self.insert(path, Value::from(vec![Value::from(text)]), origin);
            }
            (Place::Key(_) | Place::ColorField, Content::Text(text)) => self.insert(path, Value::from(text), origin),
            (Place::Key(key), _) => mistakes.add(wrong_type(path, expected(key.kind), origin)),
            (Place::ColorField, _) => mistakes.add(wrong_type(path, "one value", origin)),
        }
    }

    /// Keeps an empty map, so that a name without values is seen.
    fn hold(&mut self, path: &str, origin: Origin) {
        if keys::is_name(&path.split('.').collect::<Vec<_>>()) {
            self.insert(path, Value::from(Dict::new()), origin);
        }
    }

    fn insert(&mut self, path: &str, value: Value, origin: Origin) {
        if let Some((name, _)) = path.match_indices('.').nth(1).map(|(at, _)| path.split_at(at)) {
            self.origins.entry(name.to_owned()).or_insert_with(|| origin.clone());
        }
        self.origins.insert(path.to_owned(), origin);
        let mut dict = &mut self.dict;
        let mut parts = path.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                match value {
                    Value::Dict(..) => drop(dict.entry(part.to_owned()).or_insert(value)),
                    _ => drop(dict.insert(part.to_owned(), value)),
                }
                return;
            }
            let below = dict.entry(part.to_owned()).or_insert_with(|| Value::from(Dict::new()));
            let Value::Dict(_, next) = below else { return };
            dict = next;
        }
    }
}

/// A path in the form in which sources are compared: lower case, but for chosen names.
fn canonical(path: &str) -> String {
    let parts: Vec<&str> = path.split('.').collect();
    let lower = |(at, part): (usize, &&str)| {
        let section = parts[0].to_ascii_lowercase();
        let chosen = at == 1 && keys::is_name(&[&section, part]);
        if chosen { (*part).to_owned() } else { part.to_ascii_lowercase() }
    };
    parts.iter().enumerate().map(lower).collect::<Vec<_>>().join(".")
}

fn names_are_right(path: &str, origin: &Origin, mistakes: &mut Mistakes) -> bool {
    let parts: Vec<&str> = path.split('.').take(2).collect();
    if !keys::is_name(&parts) || is_chosen_name(parts[1]) {
        return true;
    }
    mistakes.add(bad_name(&parts.join("."), origin.clone()));
    false
}

/// Whether a text can name an account, a hub or a light in the configuration.
pub(super) fn is_chosen_name(text: &str) -> bool {
    !text.contains('-') && text.parse::<Name>().is_ok()
}

pub(super) fn bad_name(path: &str, origin: Origin) -> Mistake {
    let remedy = "Use 1 to 64 of the characters a-z, 0-9 and _; what people read goes into a name: of its own.";
    Mistake::new(path, "is not a name that can be used", remedy).at(origin)
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::List => "a list of texts, or one text",
        Kind::Color => "a colour, or a map with color, brightness, transition",
        Kind::SwitchOrKeys => "true, or a map of keys",
        _ => "one value",
    }
}

pub(super) fn wrong_type(path: &str, expected: &str, origin: Origin) -> Mistake {
    let remedy = format!("Write {expected}.");
    Mistake::new(path, "has a value of the wrong type", remedy).at(origin)
}

/// What is said of an unknown key. Its value is quoted only where it can hardly be a secret.
pub(super) fn unknown(path: &str, content: &Content, origin: Origin) -> Mistake {
    let nearest = keys::nearest(path);
    let spelt = match &origin {
        Origin::Environment(_) => variable(&nearest),
        _ => nearest.clone(),
    };
    let mistake = Mistake::new(path, "is not a known key", format!("Did you mean {spelt}?")).at(origin);
    match content {
        Content::Text(text) if ![path, &nearest].into_iter().any(keys::may_be_secret) && !looks_secret(text) => {
            mistake.with_value(text)
        }
        _ => mistake,
    }
}

/// Whether a text is built like a token, or holds what a URL could hide.
fn looks_secret(text: &str) -> bool {
    const LONGEST_PLAIN: usize = 24;
    text.len() > LONGEST_PLAIN || text.contains(['@', '?'])
}

/// The environment variable that sets a key.
pub(super) fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "__").to_ascii_uppercase())
}

/// A value that was set, and by which layer: the higher number wins.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    pub value: Given,
    pub origin: Origin,
    pub layer: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Given {
    Text(String),
    List(Vec<String>),
    /// A name without values.
    Empty,
}

/// Lays the layers over one another, the last on top.
pub(super) fn merge(layers: &[Layer]) -> BTreeMap<String, Leaf> {
    let figment = layers.iter().fold(Figment::new(), |figment, layer| figment.merge(layer));
    let mut leaves = BTreeMap::new();
    let data = figment.data().expect("no layer fails to provide");
    if let Some(dict) = data.get(&Profile::Default) {
        flatten("", dict, &figment, layers, &mut leaves);
    }
    leaves
}

fn flatten(parent: &str, dict: &Dict, figment: &Figment, layers: &[Layer], leaves: &mut BTreeMap<String, Leaf>) {
    for (key, value) in dict {
        let path = if parent.is_empty() { key.clone() } else { format!("{parent}.{key}") };
        let given = match value {
            Value::Dict(_, below) => {
                flatten(&path, below, figment, layers, leaves);
                if !keys::is_name(&path.split('.').collect::<Vec<_>>()) {
                    continue;
                }
                Given::Empty
            }
            Value::Array(_, items) => {
                Given::List(items.iter().filter_map(|item| item.as_str()).map(Into::into).collect())
            }
            value => Given::Text(value.as_str().unwrap_or_default().to_owned()),
        };
        let of_value = figment.get_metadata(value.tag()).map(|metadata| metadata.name.as_ref());
        let layer = layers.iter().position(|layer| Some(layer.name) == of_value);
        let layer = match given {
            Given::Empty => layers.iter().rposition(|layer| layer.origins.contains_key(&path)),
            _ => layer,
        };
        let origin = layer.and_then(|layer| layers[layer].origins.get(&path)).cloned().unwrap_or(Origin::Default);
        leaves.insert(path, Leaf { value: given, origin, layer: layer.unwrap_or_default() });
    }
}
