//! The JSON Schema of the configuration file, for editors, from the table of keys.

use serde_json::{Map, Value, json};

use super::color;
use super::keys::{self, COLOR_FIELDS, KEYS, Key, Kind};

/// The pattern of a name that the user chooses.
const NAME: &str = "^[a-z0-9_]{1,64}$";

/// The JSON Schema of the configuration file. Where a text is parsed, numbers and booleans are
/// taken as well, because that is what plain YAML scalars are to an editor.
pub fn schema() -> Value {
    let sections = object(KEYS.iter().map(|key| (key.path, key)).collect(), true);
    let mut schema = Map::new();
    schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("title".into(), "graph2mqtt".into());
    schema.insert("description".into(), "The configuration file of graph2mqtt.".into());
    schema.extend(sections.as_object().cloned().unwrap_or_default());
    schema.insert("$defs".into(), json!({ "color": color_def() }));
    Value::Object(schema)
}

/// The object that holds keys, given by what is left of their paths. An object may be left empty.
fn object(keys: Vec<(&str, &Key)>, outermost: bool) -> Value {
    let mut groups: Vec<(&str, Vec<(&str, &Key)>)> = Vec::new();
    for (path, key) in keys {
        let (head, rest) = path.split_once('.').unwrap_or((path, ""));
        match groups.iter_mut().find(|(known, _)| *known == head) {
            Some((_, members)) => members.push((rest, key)),
            None => groups.push((head, vec![(rest, key)])),
        }
    }
    let mut properties = Map::new();
    let mut named = Map::new();
    for (head, members) in groups {
        let below = match members.as_slice() {
            [("", key)] => leaf(key),
            [("", key), below @ ..] => json!({ "anyOf": [leaf(key), object(below.to_vec(), false)] }),
            _ => object(members.clone(), false),
        };
        match (head, members[0].1.kind) {
            ("*", Kind::Color) => properties.extend(keys::statuses().map(|status| (status.to_owned(), below.clone()))),
            ("*", _) => drop(named.insert(NAME.to_owned(), below)),
            _ => drop(properties.insert(head.to_owned(), below)),
        }
    }
    let kinds = if outermost { json!("object") } else { json!(["object", "null"]) };
    let mut object = json!({ "type": kinds, "additionalProperties": false });
    for (word, members) in [("properties", properties), ("patternProperties", named)] {
        if !members.is_empty() {
            object[word] = Value::Object(members);
        }
    }
    object
}

fn leaf(key: &Key) -> Value {
    let mut schema = match key.kind {
        Kind::Text => json!({ "type": ["string", "number", "boolean", "null"] }),
        Kind::Secret => json!({ "type": ["string", "number", "boolean"] }),
        Kind::Path | Kind::SecretFile | Kind::Url => json!({ "type": ["string", "null"] }),
        Kind::Name => json!({ "type": ["string", "number", "boolean", "null"], "pattern": NAME }),
        Kind::Switch | Kind::SwitchOrKeys => {
            json!({ "enum": [true, false, "true", "false", "yes", "no", "on", "off", 0, 1, null] })
        }
        Kind::Duration => json!({ "type": ["string", "null"], "pattern": r"^[0-9]+(\.[0-9]+)?\s*(ms|s|m|min|h|d)$" }),
        Kind::Choice(words) => {
            json!({ "enum": words.iter().map(|word| json!(word)).chain([Value::Null]).collect::<Vec<_>>() })
        }
        Kind::List => json!({
            "type": ["string", "number", "array", "null"],
            "items": { "type": ["string", "number", "boolean"] },
        }),
        Kind::Color => json!({ "$ref": "#/$defs/color" }),
    };
    schema["description"] = key.about.into();
    if let Some(default) = key.default {
        schema["default"] = if key.kind == Kind::Switch { json!(default == "true") } else { json!(default) };
    }
    if !key.example.is_empty() {
        schema["examples"] = json!([key.example]);
    }
    schema
}

fn color_def() -> Value {
    let scalar = |name: &str| match name {
        "color" => json!({ "type": ["string", "boolean"], "pattern": color::PATTERN, "not": { "const": true } }),
        "brightness" => {
            json!({ "type": ["string", "integer"], "pattern": "^[0-9]{1,3} ?%?$", "minimum": 1, "maximum": 100 })
        }
        "transition" => json!({ "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?\s*(ms|s|m|min|h|d)$" }),
        _ => json!({
            "type": "string",
            "pattern": r"^([nN][oO][nN][eE]|([bB][rR][eE][aA][tT][hH][eE]|[bB][lL][iI][nN][kK])(: *[0-9]+(\.[0-9]+)?\s*(s|m|min|h))?)$",
        }),
    };
    let fields = COLOR_FIELDS.iter().map(|(name, default, about, example)| {
        let mut field = scalar(name);
        field["description"] = json!(about);
        if let Some(default) = default {
            field["default"] = json!(default);
        }
        field["examples"] = json!([example]);
        ((*name).to_owned(), field)
    });
    json!({
        "anyOf": [
            scalar("color"),
            { "type": "object", "additionalProperties": false, "properties": fields.collect::<Map<_, _>>() },
        ],
        "description": "\"#rrggbb\" in quotes; a CSS name; temperature:<kelvin>; xy:<x>,<y>; scene:<name>; off; restore; keep; or a map with brightness, transition, effect.",
    })
}
