//! A definition, cut at its placeholders.
//!
//! Placeholders are sought in the JSON text: `<`, `>`, letters and `_` stand there as they are, and what
//! is put in is never looked at again.

use serde_json::Value;

use super::{BadDefinition, rules};
use crate::presence::{Activity, Availability};

/// What stands for something that is known when a payload is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Base,
    Account,
    Object,
    Id,
    Bridge,
    Name,
    Area,
}

const FIELDS: &[(&str, Field)] = &[
    ("base", Field::Base),
    ("account", Field::Account),
    ("object", Field::Object),
    ("id", Field::Id),
    ("bridge", Field::Bridge),
    ("name", Field::Name),
    ("area", Field::Area),
];

const AREA: &str = "<area>";

/// What the fields stand for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) base: &'a str,
    pub(super) account: &'a str,
    pub(super) object: &'a str,
    pub(super) id: &'a str,
    pub(super) bridge: &'a str,
    pub(super) name: &'a str,
    pub(super) area: Option<&'a str>,
}

#[derive(Debug)]
enum Piece {
    Text(Box<str>),
    Field(Field),
}

#[derive(Debug)]
pub(super) struct Template {
    with_area: Vec<Piece>,
    /// The same without the keys that hold the area.
    without_area: Vec<Piece>,
}

impl Template {
    /// Reads a definition; `place` names it in errors.
    pub(super) fn read(place: &str, yaml: &str) -> Result<Self, BadDefinition> {
        let read: Value = serde_yaml::from_str(yaml).map_err(|error| {
            BadDefinition(format!(
                "{place}: not YAML with Home Assistant's keys: {error}; see ha-discovery/account.yaml"
            ))
        })?;
        let known = fill_lists(read);
        let mut mistakes = rules::mistakes(&known);
        let mut bare = known.clone();
        remove_area(&mut bare);
        let with_area = cut(&known.to_string(), &mut mistakes);
        let without_area = cut(&bare.to_string(), &mut Vec::new());
        if mistakes.is_empty() {
            return Ok(Self { with_area, without_area });
        }
        let lines: Vec<_> = mistakes.iter().map(|mistake| format!("{place}: {mistake}")).collect();
        Err(BadDefinition(lines.join("\n")))
    }

    pub(super) fn render(&self, values: &Values<'_>) -> Vec<u8> {
        let pieces = if values.area.is_some() { &self.with_area } else { &self.without_area };
        let mut payload = Vec::with_capacity(4096);
        for piece in pieces {
            match piece {
                Piece::Text(text) => payload.extend_from_slice(text.as_bytes()),
                Piece::Field(field) => put(values.of(*field), &mut payload),
            }
        }
        payload.shrink_to_fit();
        payload
    }
}

impl<'a> Values<'a> {
    fn of(&self, field: Field) -> &'a str {
        match field {
            Field::Base => self.base,
            Field::Account => self.account,
            Field::Object => self.object,
            Field::Id => self.id,
            Field::Bridge => self.bridge,
            Field::Name => self.name,
            Field::Area => self.area.unwrap_or_default(),
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

/// Graph's words, by placeholder.
fn words(placeholder: &str) -> Option<Vec<&str>> {
    match placeholder {
        "<availabilities>" => Some(Availability::KNOWN.to_vec()),
        "<activities>" => Some(Activity::KNOWN.to_vec()),
        "<calls>" => Some(Activity::IN_CALLS.iter().map(Activity::as_str).collect()),
        _ => None,
    }
}

/// Puts in what is the same for every device: lists of words, and our version.
fn fill_lists(value: Value) -> Value {
    match value {
        Value::String(text) => match words(&text) {
            Some(list) => list.into(),
            None => fill_text(text).into(),
        },
        Value::Array(items) => items.into_iter().map(fill_lists).collect(),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(key, value)| (key, fill_lists(value))).collect())
        }
        other => other,
    }
}

fn fill_text(text: String) -> String {
    let mut text = text.replace("<version>", env!("CARGO_PKG_VERSION"));
    for placeholder in ["<availabilities>", "<activities>", "<calls>"] {
        if text.contains(placeholder) {
            let list: Vec<_> = words(placeholder).unwrap_or_default().iter().map(|word| format!("'{word}'")).collect();
            text = text.replace(placeholder, &format!("[{}]", list.join(", ")));
        }
    }
    text
}

fn remove_area(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, value| value.as_str().is_none_or(|text| !text.contains(AREA)));
            members.values_mut().for_each(remove_area);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_area),
        _ => {}
    }
}

fn cut(json: &str, mistakes: &mut Vec<String>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = json;
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
                pieces.push(Piece::Text(std::mem::take(&mut text).into()));
                pieces.push(Piece::Field(*field));
            }
            None => mistakes.push(format!("<{word}> is not a placeholder; account.yaml lists them")),
        }
        rest = &rest[word.len() + 2..];
    }
    text.push_str(rest);
    pieces.push(Piece::Text(text.into()));
    pieces
}

/// The word of a placeholder that `text` begins with.
fn placeholder(text: &str) -> Option<&str> {
    let word = &text[1..text.find('>')?];
    (!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')).then_some(word)
}
