//! `check`: tries each hub with its key, and looks each light's target up, and its scenes.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::hue::HueHub;
use super::wled::{Strip, Wanted};
use super::{on, segment, targets};
use crate::presence::Name;
use crate::settings::{self, Color, Settings};
use crate::store::Store;

/// What one try came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was tried: `hub office`, `light desk`.
    pub subject: String,
    /// What was found, or what is wrong with the remedy.
    pub outcome: Result<String, String>,
}

/// Tries every configured hub, one beside the other, and looks every light up on those that answer.
pub async fn check(settings: &Settings, store: &Store) -> Vec<Finding> {
    let of_hub = async |(name, hub): (&Name, &settings::Hub)| {
        let hub = HueHub::new(name, hub.clone(), store.clone());
        let outcome = hub.check().await.map_err(|trouble| trouble.to_string());
        let is_usable = outcome.is_ok();
        let mut findings = vec![Finding { subject: format!("hub {name}"), outcome }];
        for (light, outcome) in on_hub(settings, &hub, is_usable).await {
            findings.push(Finding { subject: format!("light {light}"), outcome });
        }
        findings
    };
    let mut findings: Vec<Finding> = join_all(settings.hubs.iter().map(of_hub)).await.into_iter().flatten().collect();
    for (light, outcome) in strips(settings).await {
        findings.push(Finding { subject: format!("light {light}"), outcome });
    }
    findings
}

/// Looks a hub's lights up on it, unless it does not answer: it has been waited for once.
pub(super) async fn on_hub<'a>(
    settings: &'a Settings,
    hub: &HueHub,
    is_usable: bool,
) -> BTreeMap<&'a Name, Result<String, String>> {
    let (targets, mut found) = (targets(settings, hub.name()), BTreeMap::new());
    for (place, (name, light)) in on(settings, hub.name()).enumerate() {
        let scenes: Vec<&str> = settings.colors_of(light).filter_map(scene).map(|(name, _)| name).collect();
        let outcome = match is_usable {
            true => hub.check_light(&targets, place, &scenes).await.map_err(|trouble| trouble.to_string()),
            false => Err(format!("not looked up: mend hub {} first", hub.name())),
        };
        found.insert(name, outcome);
    }
    found
}

/// Asks every WLED once for the segments and presets that its lights need: different ones beside each other.
pub(super) async fn strips(settings: &Settings) -> BTreeMap<&Name, Result<String, String>> {
    let mut strips: BTreeMap<&str, Vec<Wanted<'_>>> = BTreeMap::new();
    for (name, light) in &settings.lights {
        let Some(host) = light.wled.as_deref() else { continue };
        let scenes = settings.colors_of(light).filter_map(scene).collect();
        strips.entry(host).or_default().push(Wanted { name, segment: segment(light), scenes });
    }
    let asked = strips.into_iter().map(async |(host, lights)| Strip::new(lights[0].name, host).check(lights).await);
    join_all(asked).await.into_iter().flatten().collect()
}

pub(super) fn scene(color: &Color) -> Option<(&str, Option<u8>)> {
    match color {
        Color::Scene { name, brightness, .. } => Some((name, *brightness)),
        _ => None,
    }
}
