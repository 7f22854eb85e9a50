//! `check`: tries each hub with its key, and looks each light's target up.

use std::collections::BTreeMap;

use super::hue::HueHub;
use crate::presence::Name;
use crate::settings::Settings;
use crate::store::Store;

/// What one try came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was tried: `hub office`, `light desk`.
    pub subject: String,
    /// What was found, or what is wrong with the remedy.
    pub outcome: Result<String, String>,
}

/// Tries every configured hub, and looks every light up on those that answer.
pub async fn check(settings: &Settings, store: &Store) -> Vec<Finding> {
    let hubs: BTreeMap<&Name, HueHub> =
        settings.hubs.iter().map(|(name, hub)| (name, HueHub::new(name, hub.clone(), store.clone()))).collect();
    let mut findings = Vec::new();
    for (name, hub) in &hubs {
        let outcome = hub.check().await.map_err(|trouble| trouble.to_string());
        let is_usable = outcome.is_ok();
        findings.push(Finding { subject: format!("hub {name}"), outcome });
        for (light, it) in settings.lights.iter().filter(|(_, light)| light.wled.is_none() && light.hub == **name) {
            let outcome = match is_usable {
                true => hub.check_target(&it.target).await.map_err(|trouble| trouble.to_string()),
                false => Err(format!("not looked up: mend hub {name} first")),
            };
            findings.push(Finding { subject: format!("light {light}"), outcome });
        }
    }
    for hub in super::hubs(settings, store) {
        for (light, it) in hub.lights.iter().filter(|(light, _)| settings.lights[light].wled.is_some()) {
            let outcome = it.prepare().await.map(|()| "WLED answers".to_owned()).map_err(|trouble| trouble.to_string());
            findings.push(Finding { subject: format!("light {light}"), outcome });
        }
    }
    findings
}
