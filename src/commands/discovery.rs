//! `graph2mqtt discovery`: each discovery topic and its payload, a line each, as `mosquitto_sub -v` prints
//! them; and `discovery clear`.

use clap::Subcommand;

use super::{Failure, Global, clear, parts};
use crate::discovery::{self, Definitions, Device, Rhythm};
use crate::settings::{Settings, Via};
use crate::{actuator, bridge};

/// `discovery`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Let our devices leave Home Assistant, and clear what accounts, locations and lights that are gone have left
    /// at the broker
    Clear,
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> Result<(), Failure> {
    let settings = parts::settings(global)?;
    match arguments.action {
        Some(Action::Clear) => clear::run(&settings).await,
        None => print(&settings),
    }
}

fn print(settings: &Settings) -> Result<(), Failure> {
    let home_assistant = &settings.home_assistant;
    let rhythm = Rhythm { active: settings.graph.active, quiet: settings.graph.quiet };
    let definitions = Definitions::load(home_assistant.definitions.as_deref(), rhythm)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let base = settings.mqtt.base_topic.as_str();
    let with = bridge::with(settings, settings.accounts.len());
    let line = |id: String, payload: Vec<u8>| {
        let topic = discovery::topic(&home_assistant.prefix, &id);
        format!("{topic} {}\n", String::from_utf8_lossy(&payload))
    };
    let mut lines = String::new();
    if settings.has_people() {
        lines.push_str(&line(discovery::bridge_id(base), definitions.bridge(base, with)));
    }
    for (name, account) in &settings.accounts {
        let device = Device {
            base,
            account: name.as_str(),
            name: account.name.as_deref().unwrap_or(name.as_str()),
            area: account.area.as_deref(),
            // Whether somebody granted it is known to the bridge alone; here everybody has.
            with: bridge::with_account(with, Some(account), settings.graph.write && account.via == Via::SignIn),
        };
        lines.push_str(&line(discovery::device_id(base, name.as_str()), definitions.account(device)));
    }
    if !settings.lights.is_empty() {
        let (id, payload) = actuator::device(settings, &definitions);
        lines.push_str(&line(id, payload));
    }
    parts::print(lines.trim_end())
}
