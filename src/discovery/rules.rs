//! What Home Assistant takes, as tables: a device message that breaks one of these is dropped there
//! without a word, or gives an entity that never works.
//!
//! Tried against Home Assistant 2024.12 to 2026.11; only what all of them take is allowed.

use serde_json::{Map, Value};

type Members = Map<String, Value>;

/// The keys of one place; another one makes Home Assistant drop the whole device.
struct Place {
    name: &'static str,
    allowed: &'static [&'static str],
    required: &'static [&'static str],
}

const ROOT: Place = Place {
    name: "the root",
    allowed: &[
        "device",
        "origin",
        "components",
        "availability",
        "availability_topic",
        "availability_mode",
        "availability_template",
        "payload_available",
        "payload_not_available",
        "state_topic",
        "command_topic",
        "qos",
        "encoding",
    ],
    required: &["device", "origin", "components"],
};

const DEVICE: Place = Place {
    name: "device",
    allowed: &[
        "identifiers",
        "connections",
        "name",
        "manufacturer",
        "model",
        "model_id",
        "hw_version",
        "sw_version",
        "serial_number",
        "suggested_area",
        "via_device",
        "configuration_url",
    ],
    required: &["identifiers", "name"],
};

const ORIGIN: Place = Place { name: "origin", allowed: &["name", "sw_version", "support_url"], required: &["name"] };

/// Home Assistant's MQTT platforms.
const PLATFORMS: &[&str] = &[
    "alarm_control_panel",
    "binary_sensor",
    "button",
    "camera",
    "climate",
    "cover",
    "device_automation",
    "device_tracker",
    "event",
    "fan",
    "humidifier",
    "image",
    "lawn_mower",
    "light",
    "lock",
    "notify",
    "number",
    "scene",
    "select",
    "sensor",
    "siren",
    "switch",
    "tag",
    "text",
    "update",
    "vacuum",
    "valve",
    "water_heater",
];

/// Platforms that only read: their entity_category is never `config`.
const READ_ONLY: &[&str] = &["sensor", "binary_sensor"];

/// What a platform does not work without.
const NEEDED: &[(&str, &[&str])] = &[
    ("sensor", &["state_topic"]),
    ("binary_sensor", &["state_topic"]),
    ("button", &["command_topic"]),
    ("select", &["command_topic", "options"]),
    ("switch", &["command_topic"]),
    ("text", &["command_topic"]),
    ("number", &["command_topic"]),
];

/// The longest state that Home Assistant keeps, in characters.
const LONGEST_STATE: u64 = 255;

/// A rule for every component: what is wrong and what to do, and whether a component keeps it.
struct Rule {
    wrong: &'static str,
    kept: fn(&Members) -> bool,
}

const COMPONENT: &[Rule] = &[
    Rule {
        wrong: "platform is missing or unknown; use one such as sensor",
        kept: |c| is_one_of(c, "platform", PLATFORMS),
    },
    Rule {
        wrong: "unique_id is missing; without it the entity has no identity",
        kept: |c| is_removal(c) || text(c, "unique_id").is_some_and(|id| !id.is_empty()),
    },
    Rule {
        wrong: "unique_id is made of a-z, A-Z, 0-9, _, - and placeholders",
        kept: |c| {
            text(c, "unique_id").is_none_or(|id| is_made_of(id, |byte| byte.is_ascii_alphanumeric() || byte == b'-'))
        },
    },
    Rule {
        wrong: "object_id and default_entity_id are made of a-z, 0-9, _ and placeholders",
        kept: |c| {
            let ids =
                [text(c, "object_id"), text(c, "default_entity_id").and_then(|id| id.split_once('.')).map(|id| id.1)];
            ids.into_iter()
                .flatten()
                .all(|id| is_made_of(id, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
        },
    },
    Rule {
        wrong: "retain is false: a retained request is nobody's wish of now, and is never obeyed",
        kept: |c| c.get("retain").is_none_or(|retain| *retain == Value::Bool(false)),
    },
    Rule {
        wrong: "device_class enum needs options, a list that is not empty",
        kept: |c| text(c, "device_class") != Some("enum") || has_options(c),
    },
    Rule {
        wrong: "a sensor or binary_sensor needs state_topic; a button, switch, text or number command_topic; a select both command_topic and options",
        kept: |c| {
            let needed = NEEDED.iter().find(|(platform, _)| text(c, "platform") == Some(platform));
            is_removal(c) || needed.is_none_or(|(_, keys)| keys.iter().all(|key| c.contains_key(*key)))
        },
    },
    Rule {
        wrong: "options of a select are a list that is not empty",
        kept: |c| is_removal(c) || text(c, "platform") != Some("select") || has_options(c),
    },
    Rule {
        wrong: "max of a text is at most 255: a longer state is dropped",
        kept: |c| c.get("max").is_none_or(|max| max.as_u64().is_some_and(|max| max <= LONGEST_STATE)),
    },
    Rule {
        wrong: "enabled_by_default is true or false",
        kept: |c| c.get("enabled_by_default").is_none_or(Value::is_boolean),
    },
    Rule {
        wrong: "name is a text, or null for the device's main entity",
        kept: |c| c.get("name").is_none_or(|name| name.is_string() || name.is_null()),
    },
    Rule { wrong: LISTED, kept: is_listed_well },
    Rule {
        wrong: "options go with device_class enum",
        kept: |c| {
            text(c, "platform") != Some("sensor")
                || !c.contains_key("options")
                || text(c, "device_class") == Some("enum")
        },
    },
    Rule {
        wrong: "device_class enum goes with neither unit_of_measurement nor state_class",
        kept: |c| text(c, "device_class") != Some("enum") || !holds_any(c, &["unit_of_measurement", "state_class"]),
    },
    Rule {
        wrong: "entity_category is diagnostic or config, and of a sensor or binary_sensor diagnostic",
        kept: |c| {
            let read_only = is_one_of(c, "platform", READ_ONLY);
            let fitting: &[&str] = if read_only { &["diagnostic"] } else { &["diagnostic", "config"] };
            !c.contains_key("entity_category") || is_one_of(c, "entity_category", fitting)
        },
    },
    Rule { wrong: "icon begins with mdi:", kept: |c| !c.contains_key("icon") || begins(c, "icon", &["mdi:"]) },
    Rule {
        wrong: "device_class presence is for a binary_sensor only",
        kept: |c| text(c, "device_class") != Some("presence") || text(c, "platform") == Some("binary_sensor"),
    },
    Rule {
        wrong: "default_entity_id begins with the platform and a dot",
        kept: |c| {
            let domain = format!("{}.", text(c, "platform").unwrap_or_default());
            !c.contains_key("default_entity_id") || begins(c, "default_entity_id", &[&domain])
        },
    },
    Rule {
        wrong: "object_id is missing beside default_entity_id; older versions read only that one",
        kept: |c| c.contains_key("default_entity_id") == c.contains_key("object_id"),
    },
    Rule {
        wrong: "entity_picture is an absolute URL",
        kept: |c| !c.contains_key("entity_picture") || begins(c, "entity_picture", &["http://", "https://", "<"]),
    },
    Rule {
        wrong: "availability and availability_topic exclude each other",
        kept: |c| !(c.contains_key("availability") && c.contains_key("availability_topic")),
    },
    Rule {
        wrong: "expire_after shows the state as expired at every start; leave it out",
        kept: |c| !c.contains_key("expire_after"),
    },
];

/// All that Home Assistant would not take, with the place of each.
pub(super) fn mistakes(definition: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let Some(root) = check_place(&ROOT, Some(definition), &mut found) else { return found };
    check_place(&DEVICE, root.get("device"), &mut found);
    check_place(&ORIGIN, root.get("origin"), &mut found);
    if root.contains_key("availability") && root.contains_key("availability_topic") {
        found.push("the root: availability and availability_topic exclude each other".to_owned());
    }
    if !is_listed_well(root) {
        found.push(format!("the root: {LISTED}"));
    }
    match root.get("components").and_then(Value::as_object) {
        Some(components) if !components.is_empty() => {
            components.iter().for_each(|(key, component)| check_component(key, component, &mut found));
        }
        _ => found.push("components: a map of at least one component belongs there".to_owned()),
    }
    found
}

fn check_place<'a>(place: &Place, value: Option<&'a Value>, found: &mut Vec<String>) -> Option<&'a Members> {
    let Some(members) = value.and_then(Value::as_object) else {
        found.push(format!("{}: a map of keys belongs there", place.name));
        return None;
    };
    for key in members.keys().filter(|key| !place.allowed.contains(&key.as_str())) {
        found.push(format!(
            "{}: {key} is not a key that every Home Assistant since 2024.12 takes, and it would drop the whole device; take it out",
            place.name
        ));
    }
    for key in place.required.iter().filter(|key| !members.contains_key(**key)) {
        found.push(format!("{}: {key} is missing, and Home Assistant would drop the whole device", place.name));
    }
    Some(members)
}

fn check_component(key: &str, component: &Value, found: &mut Vec<String>) {
    let fitting = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if key.is_empty() || !key.bytes().all(fitting) {
        found.push(format!("components.{key}: use the characters a-z, A-Z, 0-9, _ and - in a component's key"));
    }
    let Some(members) = component.as_object() else {
        found.push(format!("components.{key}: a map of keys belongs there"));
        return;
    };
    let broken = COMPONENT.iter().filter(|rule| !(rule.kept)(members));
    found.extend(broken.map(|rule| format!("components.{key}: {}", rule.wrong)));
}

/// Home Assistant removes a component that is nothing but its platform.
fn is_removal(component: &Members) -> bool {
    component.len() == 1
}

const LISTED: &str = "availability is a list of maps with a topic each, and of several with availability_mode all: \
     by the default (latest) one that comes online hides another that is not";

fn is_listed_well(members: &Members) -> bool {
    let Some(availability) = members.get("availability") else { return true };
    let Some(list) = availability.as_array() else { return false };
    let topics = list.iter().all(|entry| entry.get("topic").is_some_and(Value::is_string));
    topics && (list.len() < 2 || text(members, "availability_mode") == Some("all"))
}

fn has_options(component: &Members) -> bool {
    component.get("options").and_then(Value::as_array).is_some_and(|options| !options.is_empty())
}

fn text<'a>(members: &'a Members, key: &str) -> Option<&'a str> {
    members.get(key).and_then(Value::as_str)
}

fn is_one_of(members: &Members, key: &str, values: &[&str]) -> bool {
    text(members, key).is_some_and(|value| values.contains(&value))
}

/// Whether an id holds nothing but such characters, underscores, and placeholders.
fn is_made_of(id: &str, fits: impl Fn(u8) -> bool) -> bool {
    let plain = |text: &str| text.bytes().all(|byte| fits(byte) || byte == b'_');
    let mut parts = id.split('<');
    let first = parts.next().unwrap_or_default();
    !id.is_empty() && plain(first) && parts.all(|part| part.split_once('>').is_some_and(|(_, rest)| plain(rest)))
}

fn begins(members: &Members, key: &str, starts: &[&str]) -> bool {
    text(members, key).is_some_and(|value| starts.iter().any(|start| value.starts_with(start)))
}

fn holds_any(members: &Members, keys: &[&str]) -> bool {
    keys.iter().any(|key| members.contains_key(*key))
}
