//! `graph2mqtt discovery`: each discovery topic and its payload, a line each, as `mosquitto_sub -v` prints them.

use super::{Failure, Global, parts};
use crate::bridge;
use crate::discovery::{self, Definitions, Device, Rhythm};

pub(super) fn run(global: &Global) -> Result<(), Failure> {
    let settings = parts::settings(global)?;
    let home_assistant = &settings.home_assistant;
    let rhythm = Rhythm { active: settings.graph.active, quiet: settings.graph.quiet };
    let definitions = Definitions::load(home_assistant.definitions.as_deref(), rhythm)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let base = settings.mqtt.base_topic.as_str();
    let with = bridge::with(&settings, settings.accounts.len());
    let line = |id: String, payload: Vec<u8>| {
        let topic = discovery::topic(&home_assistant.prefix, &id);
        format!("{topic} {}\n", String::from_utf8_lossy(&payload))
    };
    let mut lines = line(discovery::bridge_id(base), definitions.bridge(base, with));
    for (name, account) in &settings.accounts {
        let device = Device {
            base,
            account: name.as_str(),
            name: account.name.as_deref().unwrap_or(name.as_str()),
            area: account.area.as_deref(),
            with: bridge::with_account(with, Some(account), false),
        };
        lines.push_str(&line(discovery::device_id(base, name.as_str()), definitions.account(device)));
    }
    parts::print(lines.trim_end())
}
