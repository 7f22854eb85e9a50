//! What a process tells of its roles, and whether that is well.

use serde::{Deserialize, Serialize};

use crate::actuator::{HubState, LightState};
use crate::bridge::Snapshot;

/// The roles of this process at one moment.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Where the bridge runs.
    pub bridge: Option<Snapshot>,
    /// Where the actuator runs.
    pub actuator: Option<Actuator>,
}

/// The actuator.
#[derive(Debug, Clone, Default)]
pub struct Actuator {
    /// Whether its connection to the broker stands.
    pub connected: bool,
    /// Its lights.
    pub lights: Vec<LightState>,
    /// The hubs of its configuration.
    pub hubs: Vec<HubState>,
}

/// How well a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything works.
    Ok,
    /// It does its work, but not for every account or light; a restart would not help.
    Degraded,
    /// It cannot do its work: HTTP status 503.
    Failing,
}

/// The answer of `GET /healthz`, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The whole in a word.
    pub status: Verdict,
    /// The program's version.
    pub version: String,
    /// `bridge`, `actuator`, or both.
    pub roles: Vec<String>,
    /// Whether every role is connected to the broker.
    pub broker_connected: bool,
    /// Accounts that are configured.
    pub accounts: u64,
    /// Accounts whose presence is known.
    pub accounts_online: u64,
    /// Lights that are configured.
    pub lights: u64,
    /// Lights that can be reached.
    pub lights_reachable: u64,
    /// What is wrong and where to look, a sentence each.
    pub problems: Vec<String>,
}

impl Status {
    /// The verdict and what led to it.
    pub fn health(&self) -> Health {
        let (bridge, lights) = (self.bridge.as_ref(), self.lights());
        let connections = self.connections();
        let failing: Vec<String> = connections
            .iter()
            .filter(|(_, connected)| !connected)
            .map(|(role, _)| format!("the {role} is not connected to the broker; its log says why"))
            .collect();
        let degraded: Vec<String> = [self.silent_accounts(), self.lost_lights()].into_iter().flatten().collect();
        Health {
            status: match (failing.is_empty(), degraded.is_empty()) {
                (false, _) => Verdict::Failing,
                (true, false) => Verdict::Degraded,
                (true, true) => Verdict::Ok,
            },
            version: env!("CARGO_PKG_VERSION").to_owned(),
            roles: connections.iter().map(|(role, _)| (*role).to_owned()).collect(),
            broker_connected: failing.is_empty(),
            accounts: bridge.map_or(0, |bridge| bridge.accounts),
            accounts_online: bridge.map_or(0, |bridge| bridge.accounts_online),
            lights: lights.len() as u64,
            lights_reachable: lights.iter().filter(|light| light.reachable).count() as u64,
            problems: [failing, degraded].concat(),
        }
    }

    /// Each role that runs here, and whether its connection stands.
    pub(super) fn connections(&self) -> Vec<(&'static str, bool)> {
        let bridge = self.bridge.as_ref().map(|bridge| ("bridge", bridge.connected));
        let actuator = self.actuator.as_ref().map(|actuator| ("actuator", actuator.connected));
        bridge.into_iter().chain(actuator).collect()
    }

    pub(super) fn lights(&self) -> &[LightState] {
        self.actuator.as_ref().map_or(&[], |actuator| &actuator.lights)
    }

    fn silent_accounts(&self) -> Option<String> {
        let bridge = self.bridge.as_ref()?;
        let silent = bridge.accounts.saturating_sub(bridge.accounts_online);
        (silent > 0).then(|| {
            format!(
                "the presence of {silent} of {} accounts is not known; `graph2mqtt check` says why",
                bridge.accounts
            )
        })
    }

    fn lost_lights(&self) -> Option<String> {
        let lost: Vec<&str> =
            self.lights().iter().filter(|light| !light.reachable).map(|light| light.name.as_str()).collect();
        (!lost.is_empty())
            .then(|| format!("these lights cannot be reached: {}; `graph2mqtt check` says why", lost.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn light(name: &str, reachable: bool) -> LightState {
        LightState { name: name.parse().unwrap(), reachable, commands: 1, failures: 0, error: None }
    }

    #[test]
    fn a_process_is_well_when_everything_is_known_and_reached() {
        let status = Status {
            bridge: Some(Snapshot { connected: true, accounts: 3, accounts_online: 3, ..Snapshot::default() }),
            actuator: Some(Actuator { connected: true, lights: vec![light("desk", true)], hubs: Vec::new() }),
        };
        let health = status.health();
        assert_eq!((health.status, health.problems.len()), (Verdict::Ok, 0));
        assert_eq!(health.roles, ["bridge", "actuator"]);
    }

    #[test]
    fn a_silent_account_or_a_lost_light_degrades_it() {
        let bridge = Snapshot { connected: true, accounts: 3, accounts_online: 1, ..Snapshot::default() };
        let health = Status { bridge: Some(bridge), actuator: None }.health();
        assert_eq!(health.status, Verdict::Degraded);
        assert!(health.problems[0].contains("2 of 3 accounts"), "{:?}", health.problems);

        let lights = vec![light("desk", false), light("hall", true)];
        let actuator = Actuator { connected: true, lights, hubs: Vec::new() };
        let health = Status { bridge: None, actuator: Some(actuator) }.health();
        assert_eq!((health.status, health.lights, health.lights_reachable), (Verdict::Degraded, 2, 1));
        assert!(health.problems[0].contains("desk") && !health.problems[0].contains("hall"));
    }

    #[test]
    fn a_role_without_the_broker_fails() {
        let status = Status {
            bridge: Some(Snapshot { connected: true, ..Snapshot::default() }),
            actuator: Some(Actuator::default()),
        };
        let health = status.health();
        assert_eq!((health.status, health.broker_connected), (Verdict::Failing, false));
        assert!(health.problems[0].contains("the actuator"), "{:?}", health.problems);
    }
}
