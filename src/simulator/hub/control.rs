//! The hand that moves the simulated hub: its lamps, its key, its certificate.
//!
//! A lamp that the hub does not have is a mistake of the caller: these methods panic.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::certificate::{Certificate, Root};
use super::command::{check, obey};
use super::lamp::LampState;
use super::{Change, Hub, State};
use crate::simulator::log::Late;

impl State {
    pub(super) fn named(&self, lamp: &str) -> usize {
        let found = self.lamps.iter().position(|known| known.name == lamp);
        found.unwrap_or_else(|| panic!("the simulated hub has no lamp {lamp:?}"))
    }
}

/// Lamps, by their names.
impl Hub {
    /// What a lamp shows.
    pub fn lamp(&self, name: &str) -> LampState {
        let state = self.shared.state();
        state.lamps[state.named(name)].state.clone()
    }

    /// Waits until a lamp shows such a thing.
    pub async fn wait_for(
        &self,
        lamp: &str,
        within: Duration,
        such: impl Fn(&LampState) -> bool,
    ) -> Result<LampState, Late> {
        self.shared.changes.wait_for(within, |_| such(&self.lamp(lamp))).await?;
        Ok(self.lamp(lamp))
    }

    /// Somebody changes a lamp by an app or a switch; `body` is what a PUT would hold. Told on the event stream.
    pub fn hand(&self, lamp: &str, body: &Value) {
        check(body).unwrap_or_else(|complaint| panic!("{complaint}: {body}"));
        let changed = {
            let mut state = self.shared.state();
            let index = state.named(lamp);
            let obeyed = obey(&mut state.lamps[index], body);
            obeyed.changed.then(|| {
                let frame = state.update(&[index]);
                self.shared.send(frame);
                state.change(index, Instant::now())
            })
        };
        changed.into_iter().for_each(|change| self.shared.changes.add(change));
    }

    /// A lamp loses its power or is out of reach: it obeys nothing, and the hub says so.
    pub fn unreachable(&self, lamp: &str) {
        self.reach(lamp, false);
    }

    /// The lamp is back, and shows what it showed before.
    pub fn reachable(&self, lamp: &str) {
        self.reach(lamp, true);
    }

    /// The lamp has power again, and shows what lamps show then: warm white, as bright as it can. Hubs tell that it is
    /// there before they tell what it shows, or behind it.
    pub fn has_power_again(&self, lamp: &str, look_first: bool) {
        let warm = json!({"on": {"on": true}, "dimming": {"brightness": 100.0}, "color_temperature": {"mirek": 366}});
        if look_first {
            let index = self.shared.state().named(lamp);
            self.shared.state().lamps[index].reachable = true;
            self.hand(lamp, &warm);
        }
        self.reach(lamp, true);
        if !look_first {
            self.hand(lamp, &warm);
        }
    }

    fn reach(&self, lamp: &str, reachable: bool) {
        let mut state = self.shared.state();
        let index = state.named(lamp);
        state.lamps[index].reachable = reachable;
        let connectivity = state.lamps[index].connectivity();
        let frame = state.frame(&[connectivity]);
        self.shared.send(frame);
    }
}

impl State {
    pub(super) fn change(&self, index: usize, at: Instant) -> Change {
        let lamp = &self.lamps[index];
        Change { at, lamp: lamp.name.clone(), state: lamp.state.clone() }
    }
}

/// What the hub is known by.
impl Hub {
    /// The bridge id, in lower case.
    pub fn bridge_id(&self) -> String {
        self.shared.state().bridge_id.clone()
    }

    /// An application key that it knows; empty once all were revoked.
    pub fn key(&self) -> String {
        self.shared.state().keys.iter().next().cloned().unwrap_or_default()
    }

    /// Forgets all application keys.
    pub fn revoke_key(&self) {
        self.shared.state().keys.clear();
    }

    /// Knows this application key from now on.
    pub fn add_key(&self, key: &str) {
        self.shared.state().keys.insert(key.to_owned());
    }

    /// Its certificate, DER.
    pub fn certificate(&self) -> Vec<u8> {
        self.shared.state().certificate.der().to_vec()
    }

    /// The SHA-256 of its certificate, in lower-case hex: a pin.
    pub fn certificate_sha256(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.certificate());
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The root under which its certificate stands, where there is one.
    pub fn root(&self) -> Option<Root> {
        self.shared.state().certificate.root().cloned()
    }

    /// Shows another certificate, to connections from now on; open ones end.
    pub fn present(&self, certificate: Certificate) {
        self.server.present(certificate.tls());
        self.shared.state().certificate = certificate;
        self.server.disconnect();
    }

    /// The id of a resource by its type and name: `light`, `room`, `zone`; `grouped_light` by its room's or zone's name.
    pub fn resource_id(&self, kind: &str, name: &str) -> Option<String> {
        let state = self.shared.state();
        let lamp = state.lamps.iter().find(|lamp| lamp.name == name);
        let group = state.groups.iter().find(|group| group.name == name);
        match kind {
            "light" => lamp.map(|lamp| lamp.light.clone()),
            "grouped_light" => group.map(|group| group.grouped.clone()),
            _ => group.map(|group| group.id.clone()),
        }
    }
}
