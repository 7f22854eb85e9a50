//! Requests about the bridge itself: discovery, log, restart, health.

use serde_json::{Value, json};

use super::{Outcome, done, nothing};
use crate::bridge::control::LEVELS;
use crate::bridge::info;
use crate::bridge::running::Bridge;
use crate::mqtt::{Arguments, quoted};

/// `discovery/publish`: everything is said to Home Assistant again, also after `discovery/clear`.
pub(super) fn publish_discovery(bridge: &mut Bridge, _: &Arguments) -> Result<Outcome, String> {
    if !bridge.settings.home_assistant.discovery {
        return Err("discovery is switched off; home_assistant.discovery: true switches it on".into());
    }
    bridge.board.write().withdrawn = false;
    bridge.touch_devices();
    nothing()
}

/// `discovery/clear`: all devices of the base topic leave Home Assistant, until the next start of whoever
/// publishes them or `discovery/publish`. (Actuators that run hear the same request.) What accounts that
/// enrolled with a lost store have left behind goes too.
pub(super) fn clear_discovery(bridge: &mut Bridge, _: &Arguments) -> Result<Outcome, String> {
    bridge.board.write().withdrawn = true;
    bridge.touch_devices();
    bridge.clear_locations();
    bridge.clear_strangers();
    nothing()
}

/// `log_level`: how much the process logs, from now until its next start.
pub(super) fn log_level(bridge: &mut Bridge, arguments: &Arguments) -> Result<Outcome, String> {
    let level = arguments.required("level")?;
    let log = bridge.control.log.clone().ok_or("the log's level cannot be changed here")?;
    let known = LEVELS.iter().find(|known| known.eq_ignore_ascii_case(level));
    let level = known.ok_or_else(|| format!("{} is no level; use one of {}", quoted(level), LEVELS.join(", ")))?;
    log.set(level)?;
    tracing::info!(level, "the log's level was changed, as asked");
    bridge.crew_changed();
    done(json!({ "level": level }))
}

/// `restart`: a clean end and a new start, with the configuration read anew. Answered before it happens.
pub(super) fn restart(bridge: &mut Bridge, _: &Arguments) -> Result<Outcome, String> {
    let restart = bridge.control.restart.clone().ok_or("the program cannot start itself anew here")?;
    restart()?;
    nothing()
}

/// `health_check`: what `bridge/health` says once a minute, now.
pub(super) fn health_check(bridge: &mut Bridge, _: &Arguments) -> Result<Outcome, String> {
    let health = info::health(&bridge.vitals());
    done(serde_json::from_slice::<Value>(&health).unwrap_or_default())
}
