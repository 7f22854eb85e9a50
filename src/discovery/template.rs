//! A definition, cut at its placeholders and at what is there only sometimes.
//!
//! Placeholders are sought in the JSON text: `<`, `>`, letters and `_` stand there as they are, and what
//! is put in is never looked at again.

use serde_json::{Map, Value};

use super::with::With;
use super::words::{Rhythm, fill};
use super::{BadDefinition, rules};

/// What stands for something that is known when a payload is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Base,
    Account,
    Location,
    Object,
    Id,
    Bridge,
    Name,
    Area,
    Light,
    LightName,
}

const FIELDS: &[(&str, Field)] = &[
    ("base", Field::Base),
    ("account", Field::Account),
    ("location", Field::Location),
    ("object", Field::Object),
    ("id", Field::Id),
    ("bridge", Field::Bridge),
    ("name", Field::Name),
    ("area", Field::Area),
    ("light", Field::Light),
    ("light_name", Field::LightName),
];

const AREA: &str = "<area>";
const ONLY_WITH: &str = "only_with";
const COMPONENTS: &str = "components";
const EACH_LIGHT: &str = "each_light";

/// What the fields stand for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Values<'a> {
    pub(super) base: &'a str,
    /// Or the location: whose device it is.
    pub(super) account: &'a str,
    pub(super) object: &'a str,
    pub(super) id: &'a str,
    pub(super) bridge: &'a str,
    pub(super) name: &'a str,
    pub(super) area: Option<&'a str>,
    pub(super) with: With,
    /// Names in topics, and what people read.
    pub(super) lights: &'a [(&'a str, String)],
}

#[derive(Debug)]
enum Piece {
    Text(Box<str>),
    Field(Field),
    /// Only where this is met.
    If(With, Vec<Piece>),
    /// Once for each light.
    EachLight(Vec<Piece>),
}

#[derive(Debug)]
pub(super) struct Template {
    pieces: Vec<Piece>,
}

impl Template {
    /// Reads a definition; `place` names it in errors.
    pub(super) fn read(place: &str, yaml: &str, rhythm: Rhythm) -> Result<Self, BadDefinition> {
        let read: Value = serde_yaml::from_str(yaml).map_err(|error| {
            BadDefinition(format!(
                "{place}: not YAML with Home Assistant's keys: {error}; see ha-discovery/account.yaml"
            ))
        })?;
        let mut whole = fill(read, rhythm);
        let each_light = whole.as_object_mut().and_then(|root| root.shift_remove(EACH_LIGHT));
        let mistakes = rules::mistakes(&checked(&whole, each_light.as_ref()));
        let mut cutter = Cutter { each_light, mistakes, ..Cutter::default() };
        cutter.value("", &whole);
        cutter.flush();
        if cutter.mistakes.is_empty() {
            return Ok(Self { pieces: cutter.pieces });
        }
        let lines: Vec<_> = cutter.mistakes.iter().map(|mistake| format!("{place}: {mistake}")).collect();
        Err(BadDefinition(lines.join("\n")))
    }

    pub(super) fn render(&self, values: &Values<'_>) -> Vec<u8> {
        let mut payload = Vec::with_capacity(12 << 10);
        let with = values.with.and(With::AREA, values.area.is_some());
        render(&self.pieces, &Values { with, ..*values }, None, &mut payload);
        payload.shrink_to_fit();
        payload
    }
}

fn render(pieces: &[Piece], values: &Values<'_>, light: Option<&(&str, String)>, payload: &mut Vec<u8>) {
    for piece in pieces {
        match piece {
            Piece::Text(text) => payload.extend_from_slice(text.as_bytes()),
            Piece::Field(field) => put(values.of(*field, light), payload),
            Piece::If(needs, pieces) if values.with.meets(*needs) => render(pieces, values, light, payload),
            Piece::If(..) => {}
            Piece::EachLight(pieces) => {
                values.lights.iter().for_each(|light| render(pieces, values, Some(light), payload));
            }
        }
    }
}

impl<'a> Values<'a> {
    fn of(&self, field: Field, light: Option<&'a (&'a str, String)>) -> &'a str {
        match field {
            Field::Base => self.base,
            Field::Account | Field::Location => self.account,
            Field::Object => self.object,
            Field::Id => self.id,
            Field::Bridge => self.bridge,
            Field::Name => self.name,
            Field::Area => self.area.unwrap_or_default(),
            Field::Light => light.map_or("", |(name, _)| *name),
            Field::LightName => light.map_or("", |(_, name)| name.as_str()),
        }
    }
}

/// The text as it stands between the quotes of a JSON string.
fn put(text: &str, payload: &mut Vec<u8>) {
    let plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        payload.extend_from_slice(text.as_bytes());
    } else {
        let quoted = serde_json::to_string(text).expect("a string is JSON");
        payload.extend_from_slice(&quoted.as_bytes()[1..quoted.len() - 1]);
    }
}

/// The definition as Home Assistant would see all of it, for the rules: with one light, without `only_with`.
fn checked(whole: &Value, each_light: Option<&Value>) -> Value {
    let mut seen = whole.clone();
    let Some(components) = seen.get_mut(COMPONENTS).and_then(Value::as_object_mut) else { return seen };
    match each_light {
        None => {}
        Some(Value::Object(lights)) => components
            .extend(lights.iter().map(|(key, component)| (key.replace("<light>", "light"), component.clone()))),
        Some(other) => drop(components.insert(EACH_LIGHT.to_owned(), other.clone())),
    }
    for component in components.values_mut().filter_map(Value::as_object_mut) {
        component.shift_remove(ONLY_WITH);
    }
    seen
}

/// Cuts a definition into pieces.
#[derive(Default)]
struct Cutter {
    pieces: Vec<Piece>,
    text: String,
    each_light: Option<Value>,
    mistakes: Vec<String>,
}

impl Cutter {
    fn value(&mut self, key: &str, value: &Value) {
        match value {
            Value::Object(members) => self.object(key, members),
            other => self.text.push_str(&other.to_string()),
        }
    }

    /// What is always there comes first, so that every comma stands before something.
    fn object(&mut self, name: &str, members: &Map<String, Value>) {
        let members = members.iter().filter(|(key, _)| *key != ONLY_WITH);
        let (always, sometimes): (Vec<_>, Vec<_>) = members.partition(|(_, value)| !is_conditional(value));
        if always.is_empty() && !sometimes.is_empty() {
            self.mistakes.push(format!("{name}: at least one member without only_with and <area> belongs there"));
        }
        self.text.push('{');
        for (at, (key, value)) in always.into_iter().enumerate() {
            self.member(key, value, at > 0);
        }
        for (key, value) in sometimes {
            let pieces = self.apart(|cutter| cutter.member(key, value, true));
            match condition(value) {
                Ok(needs) => self.pieces.push(Piece::If(needs, pieces)),
                Err(wrong) => self.mistakes.push(format!("{name}.{key}: {wrong}")),
            }
        }
        if name == COMPONENTS
            && let Some(Value::Object(lights)) = self.each_light.take()
        {
            let pieces = self.apart(|cutter| cutter.lights(&lights));
            self.pieces.push(Piece::EachLight(pieces));
        }
        self.text.push('}');
    }

    fn lights(&mut self, lights: &Map<String, Value>) {
        for (key, value) in lights {
            let pieces = self.apart(|cutter| cutter.member(key, value, true));
            match condition(value) {
                Ok(needs) => self.pieces.push(Piece::If(needs, pieces)),
                Err(wrong) => self.mistakes.push(format!("{EACH_LIGHT}.{key}: {wrong}")),
            }
        }
    }

    fn member(&mut self, key: &str, value: &Value, behind_another: bool) {
        if behind_another {
            self.text.push(',');
        }
        self.text.push_str(&Value::from(key).to_string());
        self.text.push(':');
        self.value(key, value);
    }

    /// The pieces of a part by itself.
    fn apart(&mut self, cut: impl FnOnce(&mut Self)) -> Vec<Piece> {
        self.flush();
        let before = std::mem::take(&mut self.pieces);
        cut(self);
        self.flush();
        std::mem::replace(&mut self.pieces, before)
    }

    /// Cuts the text so far at its placeholders.
    fn flush(&mut self) {
        let json = std::mem::take(&mut self.text);
        let mut text = String::new();
        let mut rest = json.as_str();
        while let Some(start) = rest.find('<') {
            text.push_str(&rest[..start]);
            rest = &rest[start..];
            let Some(word) = placeholder(rest) else {
                text.push('<');
                rest = &rest[1..];
                continue;
            };
            match FIELDS.iter().find(|(name, _)| *name == word) {
                Some((_, field)) => {
                    self.push_text(std::mem::take(&mut text));
                    self.pieces.push(Piece::Field(*field));
                }
                None => self.mistakes.push(format!("<{word}> is not a placeholder; account.yaml lists them")),
            }
            rest = &rest[word.len() + 2..];
        }
        text.push_str(rest);
        self.push_text(text);
    }

    fn push_text(&mut self, text: String) {
        if !text.is_empty() {
            self.pieces.push(Piece::Text(text.into()));
        }
    }
}

fn is_conditional(value: &Value) -> bool {
    value.get(ONLY_WITH).is_some() || value.as_str().is_some_and(|text| text.contains(AREA))
}

fn condition(value: &Value) -> Result<With, String> {
    match value.get(ONLY_WITH) {
        Some(list) => With::read(list),
        None => Ok(With::default().and(With::AREA, is_conditional(value))),
    }
}

/// The word of a placeholder that `text` begins with.
fn placeholder(text: &str) -> Option<&str> {
    let word = &text[1..text.find('>')?];
    (!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')).then_some(word)
}
