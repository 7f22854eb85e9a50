//! What is the same for every device of a process: Graph's words, our version, the intervals of polling.

use std::time::Duration;

use serde_json::Value;

use crate::presence::{Activity, Availability, PREFERRED, WORK_LOCATIONS};

/// How often Graph is asked.
#[derive(Debug, Clone, Copy)]
pub struct Rhythm {
    /// For somebody at work.
    pub active: Duration,
    /// For somebody away.
    pub quiet: Duration,
}

/// Lists of words by placeholder: alone a list of JSON, within a text one of Jinja.
fn lists(placeholder: &str) -> Option<Vec<&'static str>> {
    let availabilities = |list: &'static [Availability]| list.iter().map(Availability::as_str).collect();
    let activities = |list: &'static [Activity]| list.iter().map(Activity::as_str).collect();
    Some(match placeholder {
        "<availabilities>" => Availability::KNOWN.to_vec(),
        "<activities>" => Activity::KNOWN.to_vec(),
        "<calls>" => activities(Activity::IN_CALLS),
        "<quiet_availabilities>" => availabilities(Availability::QUIET),
        "<quiet_activities>" => activities(Activity::QUIET),
        "<work_locations>" => WORK_LOCATIONS.to_vec(),
        "<preferred>" => std::iter::once("Automatic").chain(PREFERRED.iter().map(|(name, _)| *name)).collect(),
        "<levels>" => vec!["error", "warn", "info", "debug", "trace", "off"],
        _ => return None,
    })
}

const LISTS: &[&str] = &[
    "<availabilities>",
    "<activities>",
    "<calls>",
    "<quiet_availabilities>",
    "<quiet_activities>",
    "<work_locations>",
    "<preferred>",
    "<levels>",
];

/// Puts it in.
pub(super) fn fill(value: Value, rhythm: Rhythm) -> Value {
    match value {
        Value::String(text) => match lists(&text) {
            Some(list) => list.into(),
            None => fill_text(text, rhythm).into(),
        },
        Value::Array(items) => items.into_iter().map(|item| fill(item, rhythm)).collect(),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(key, value)| (key, fill(value, rhythm))).collect())
        }
        other => other,
    }
}

fn fill_text(text: String, rhythm: Rhythm) -> String {
    let mut text = text
        .replace("<version>", env!("CARGO_PKG_VERSION"))
        .replace("<poll_active>", &rhythm.active.as_secs().to_string())
        .replace("<poll_quiet>", &rhythm.quiet.as_secs().to_string());
    for placeholder in LISTS.iter().filter(|placeholder| text.contains(**placeholder)).collect::<Vec<_>>() {
        let list: Vec<_> = lists(placeholder).unwrap_or_default().iter().map(|word| format!("'{word}'")).collect();
        text = text.replace(placeholder, &format!("[{}]", list.join(", ")));
    }
    text
}
