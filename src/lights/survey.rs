//! What the hubs hold and what is configured, for people; and hubs as people name them.

use futures_util::future::join_all;
use serde::Serialize;

use super::check;
use super::hue::{self, HubSurvey, HueHub};
use crate::presence::Name;
use crate::settings::{self, Settings, Target, TargetKind};
use crate::store::{HubKey, Store, StoreError};

/// What there is.
#[derive(Debug, Clone, Serialize)]
pub struct Survey {
    /// Configured hubs, and those that were paired.
    pub hubs: Vec<HubSurvey>,
    /// The lights of the configuration.
    pub lights: Vec<Configured>,
}

/// A light of the configuration.
#[derive(Debug, Clone, Serialize)]
pub struct Configured {
    /// Its name.
    pub light: String,
    /// The hub that it hangs on.
    pub hub: String,
    /// Its target, as it is written.
    pub target: String,
    /// The accounts that it follows.
    pub follow: Vec<String>,
    /// What is wrong with it.
    pub error: Option<String>,
}

/// Asks every hub and every strip, one beside the other.
///
/// # Errors
/// The store's.
pub async fn survey(settings: &Settings, store: &Store) -> Result<Survey, StoreError> {
    let hubs = known_hubs(settings, store).await?;
    let asked: Vec<HueHub> = hubs.into_iter().map(|(name, hub)| HueHub::called(&name, hub, store.clone())).collect();
    let surveys = join_all(asked.iter().map(hue::survey));
    let (surveys, mut outcomes) = futures_util::future::join(surveys, check::strips(settings)).await;
    for (hub, survey) in asked.iter().zip(&surveys) {
        outcomes.extend(check::on_hub(settings, hub, survey.error.is_none()).await);
    }
    let configured = |(light, it): (&Name, &settings::Light)| Configured {
        light: light.to_string(),
        hub: it.wled.clone().unwrap_or_else(|| it.hub.to_string()),
        target: written(&it.target),
        follow: it.follow.iter().map(ToString::to_string).collect(),
        error: outcomes.remove(light).and_then(Result::err),
    };
    let lights = settings.lights.iter().map(configured).collect();
    Ok(Survey { hubs: surveys, lights })
}

/// Hubs by name: those of the configuration, then those that were paired and stand in no configuration.
async fn known_hubs(settings: &Settings, store: &Store) -> Result<Vec<(String, settings::Hub)>, StoreError> {
    let mut hubs: Vec<(String, settings::Hub)> =
        settings.hubs.iter().map(|(name, hub)| (name.to_string(), hub.clone())).collect();
    for paired in store.hub_keys().await? {
        let is_this = |(name, hub): &(String, settings::Hub)| {
            hub.id.as_deref() == Some(&paired.hub_id) || hub.host == paired.host || *name == paired.name
        };
        if !hubs.iter().any(is_this) {
            hubs.push((paired.host.clone(), of_paired(paired)));
        }
    }
    Ok(hubs)
}

fn of_paired(HubKey { hub_id, host, .. }: HubKey) -> settings::Hub {
    settings::Hub { host, id: Some(hub_id), key: None, certificate_sha256: None, api: None }
}

/// Why there is no hub to what a person named. Texts are for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchHub {
    /// It is no name, no id and no address.
    #[error("{0}")]
    Unknown(String),
    /// It is an id, and no hub says that it has it.
    #[error("{0}")]
    Away(String),
}

/// A hub as a person names it: by its name in the configuration, its bridge id, or its address. The name is
/// empty where it has none in the configuration. One that is known by its id alone is looked for on the network.
///
/// # Errors
/// What was given is neither, or an id that nobody has.
pub async fn hub_named(settings: &Settings, text: &str) -> Result<(String, settings::Hub), NoSuchHub> {
    if let Some((name, hub)) = settings.hubs.iter().find(|(name, _)| name.as_str() == text) {
        return Ok((name.to_string(), hub.clone()));
    }
    let lower = text.to_lowercase();
    let is_it = |hub: &settings::Hub| hub.host == lower || hub.id.as_deref() == Some(&lower);
    if let Some((name, hub)) = settings.hubs.iter().find(|(_, hub)| is_it(hub)) {
        return Ok((name.to_string(), hub.clone()));
    }
    let at = |host: String, id: Option<String>| {
        (String::new(), settings::Hub { host, id, key: None, certificate_sha256: None, api: None })
    };
    if hue::is_hub_id(&lower) {
        return match hue::locate(&lower).await {
            Some(host) => Ok(at(host, Some(lower))),
            None => Err(NoSuchHub::Away(format!(
                "{text}: no hub of this id is in the configuration, or answers by mDNS on this network; give its address, \
                 which graph2mqtt hubs shows, or the Hue app"
            ))),
        };
    }
    match settings::hub_host(&lower) {
        Some(host) if is_address(&host).await => Ok(at(host, None)),
        _ => Err(NoSuchHub::Unknown(format!(
            "{text}: the configuration has no such hub (it has {}), and the network no machine of this name; name one of \
             them, or give the hub's address",
            listed(settings.hubs.keys())
        ))),
    }
}

/// Whether a host is meant. A single word may as well be a mistyped name of the configuration: it is a host where the
/// network has one of this name.
async fn is_address(host: &str) -> bool {
    host.contains(['.', ':']) || tokio::net::lookup_host((host, 443)).await.is_ok()
}

fn listed<'a>(names: impl ExactSizeIterator<Item = &'a Name>) -> String {
    let names: Vec<&str> = names.map(Name::as_str).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// A target as people write it.
fn written(target: &Target) -> String {
    let kind = match target.kind {
        None => return target.name.clone(),
        Some(TargetKind::Room) => "room",
        Some(TargetKind::Zone) => "zone",
        Some(TargetKind::Light) => "light",
        Some(TargetKind::Group) => "group",
        Some(TargetKind::Home) => "home",
    };
    format!("{kind}/{}", target.name)
}
