//! `graph2mqtt hubs`: the hubs on the network and in the configuration, and whether they are paired.

use std::time::Duration;

use serde::Serialize;

use super::{Failure, Global, parts};
use crate::lights::hue::{self, FoundHub};
use crate::settings::Settings;
use crate::store::HubKey;

/// `hubs`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// How long to listen on the network, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=60))]
    wait: u64,
    /// Ask nobody but this network: where no hub answers there, Signify's list is not asked
    #[arg(long)]
    no_cloud: bool,
    /// The list that is asked where no hub answers on the network
    #[arg(long, value_name = "URL", default_value = hue::DISCOVERY, conflicts_with = "no_cloud")]
    cloud: String,
}

#[derive(Debug, Serialize)]
struct Listed {
    /// The hub's name in the configuration.
    hub: Option<String>,
    #[serde(flatten)]
    found: FoundHub,
    /// Whether there is an application key for it, in the store or the configuration.
    paired: bool,
    /// Whether it answers.
    answers: bool,
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> Result<(), Failure> {
    let settings = parts::settings(global)?;
    let keys = parts::store(&settings).await?.hub_keys().await.map_err(anyhow::Error::new)?;
    let http = parts::http(&settings)?;
    let cloud = (!arguments.no_cloud).then_some((&http, arguments.cloud.as_str()));
    let search = hue::find(Duration::from_secs(arguments.wait), cloud).await;
    for trouble in &search.troubles {
        tracing::warn!("{trouble}");
    }
    let mut hubs: Vec<Listed> = Vec::new();
    for found in search.hubs {
        hubs.push(of_network(found, &settings, &keys));
    }
    for hub in hue::look_at(configured_elsewhere(&settings, &keys, &hubs)).await {
        hubs.push(of_network(hub, &settings, &keys));
    }
    for (name, hub) in &settings.hubs {
        if !hubs.iter().any(|listed| listed.hub.as_deref() == Some(name.as_str())) {
            let id = hub.id.clone().unwrap_or_default();
            let found = FoundHub { id, address: hub.host.clone(), model: None, software: None, name: None };
            hubs.push(Listed { answers: false, ..of_network(found, &settings, &keys) });
        }
    }
    if arguments.json {
        return parts::print(&serde_json::to_string_pretty(&hubs).map_err(anyhow::Error::new)?);
    }
    if hubs.is_empty() {
        return parts::print(
            "No hub was found. Is it on and on this network? Its address stands in the Hue app: graph2mqtt pair ADDRESS",
        );
    }
    parts::print(&table(&hubs))
}

/// Addresses that are known and at which no hub was found.
fn configured_elsewhere(settings: &Settings, keys: &[HubKey], found: &[Listed]) -> Vec<String> {
    let configured = settings.hubs.values().map(|hub| (hub.id.clone(), hub.host.clone()));
    let paired = keys.iter().map(|key| (Some(key.hub_id.clone()), key.host.clone()));
    let is_found = |id: &Option<String>, host: &String| {
        found.iter().any(|it| it.found.address == *host || id.as_ref() == Some(&it.found.id))
    };
    let mut hosts: Vec<String> =
        configured.chain(paired).filter(|(id, host)| !is_found(id, host)).map(|(_, host)| host).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

fn of_network(found: FoundHub, settings: &Settings, keys: &[HubKey]) -> Listed {
    let key = keys.iter().find(|key| key.hub_id == found.id);
    let is_it = |name: &str, hub: &crate::settings::Hub| match &hub.id {
        Some(id) => *id == found.id,
        None => hub.host == found.address || key.is_some_and(|key| key.name == name),
    };
    let configured = settings.hubs.iter().find(|(name, hub)| is_it(name.as_str(), hub));
    let paired = key.is_some() || configured.is_some_and(|(_, hub)| hub.key.is_some());
    Listed { hub: configured.map(|(name, _)| name.to_string()), found, paired, answers: true }
}

fn table(hubs: &[Listed]) -> String {
    let mut lines =
        vec![format!("{:<17} {:<21} {:<8} {:<12} {:<8} {}", "ID", "ADDRESS", "MODEL", "SOFTWARE", "PAIRED", "NAME")];
    for Listed { hub, found, paired, answers } in hubs {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        let configured = hub.as_ref().map(|hub| format!(" (hubs.{hub})")).unwrap_or_default();
        let name = if *answers { text(&found.name) } else { "does not answer".into() };
        let id = if found.id.is_empty() { "-" } else { &found.id };
        lines.push(format!(
            "{id:<17} {:<21} {:<8} {:<12} {:<8} {name}{configured}",
            found.address,
            text(&found.model),
            text(&found.software),
            if *paired { "yes" } else { "no" },
        ));
    }
    let unpaired = hubs.iter().find(|hub| !hub.paired && hub.answers);
    lines.extend(
        unpaired
            .map(|hub| format!("\nTo pair one: graph2mqtt pair {}", hub.hub.as_ref().unwrap_or(&hub.found.address))),
    );
    lines.join("\n")
}
