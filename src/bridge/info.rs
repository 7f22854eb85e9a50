//! What the bridge tells of itself: `bridge/info` and `bridge/health`.

use serde::{Deserialize, Serialize};

use super::vitals::Vitals;
use crate::settings::{Requests, Settings};

/// The part of `bridge/info` by which a bridge knows whose the base topic is.
#[derive(Debug, Deserialize)]
pub(super) struct Owner {
    pub(super) instance: String,
}

/// The payload of `bridge/info`. It holds no secret, and nothing that differs from one start to the next.
pub(super) fn info(settings: &Settings, instance: &str, accounts: u32, log_level: Option<&str>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Info<'a> {
        version: &'a str,
        instance: &'a str,
        accounts: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        log_level: Option<&'a str>,
        settings: Told<'a>,
    }
    #[derive(Serialize)]
    struct Told<'a> {
        base_topic: &'a str,
        keep_alive_seconds: u64,
        discovery: bool,
        discovery_prefix: &'a str,
        graph: &'a str,
        tenant: Option<&'a str>,
        poll_active_seconds: u64,
        poll_quiet_seconds: u64,
        requests: &'static str,
    }
    let told = Told {
        base_topic: &settings.mqtt.base_topic,
        keep_alive_seconds: settings.mqtt.keep_alive.as_secs(),
        discovery: settings.home_assistant.discovery,
        discovery_prefix: &settings.home_assistant.prefix,
        graph: settings.graph.endpoint.as_str(),
        tenant: settings.entra.as_ref().map(|entra| entra.tenant.as_str()),
        poll_active_seconds: settings.graph.active.as_secs(),
        poll_quiet_seconds: settings.graph.quiet.as_secs(),
        requests: match settings.mqtt.requests {
            Requests::All => "all",
            Requests::Safe => "safe",
            Requests::None => "none",
        },
    };
    let version = env!("CARGO_PKG_VERSION");
    let info = Info { version, instance, accounts, log_level, settings: told };
    serde_json::to_vec(&info).expect("text and numbers are JSON")
}

/// The payload of `bridge/health`.
pub(super) fn health(vitals: &Vitals) -> Vec<u8> {
    serde_json::to_vec(vitals).expect("numbers and texts are JSON")
}
