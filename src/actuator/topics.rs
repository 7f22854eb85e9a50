//! The actuator's topics: what it publishes, and what a topic that comes in is about.

use std::collections::{BTreeMap, BTreeSet};

use crate::mqtt::{Message, Subscription};
use crate::presence::{AccountName, Name};
use crate::settings::Settings;

/// Names of topics, from the base topic, the location and the lights.
#[derive(Debug, Clone)]
pub(super) struct Topics {
    base: String,
    location: Name,
    lights: Vec<Name>,
    accounts: BTreeSet<AccountName>,
}

/// What a topic is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum About {
    /// The bridge's state.
    Bridge,
    /// The state of this location's actuators.
    Own,
    /// An account's state.
    State(AccountName),
    /// An account's presence.
    Presence(AccountName),
    /// What a light of this location shows, by its place.
    Light(usize),
}

impl Topics {
    pub fn new(settings: &Settings) -> Self {
        Self {
            base: settings.mqtt.base_topic.clone(),
            location: settings.actuator.location.clone(),
            lights: settings.lights.keys().cloned().collect(),
            accounts: settings.lights.values().flat_map(|light| light.follow.iter().cloned()).collect(),
        }
    }

    /// The lights in the order of their places.
    pub fn lights(&self) -> &[Name] {
        &self.lights
    }

    /// Every account that a light follows.
    pub fn accounts(&self) -> &BTreeSet<AccountName> {
        &self.accounts
    }

    /// `<base>/actuator/<location>/state`
    pub fn state(&self, online: bool) -> Message {
        let topic = format!("{}/actuator/{}/state", self.base, self.location);
        Message { topic, payload: if online { b"online".to_vec() } else { b"offline".to_vec() } }
    }

    /// `<base>/actuator/<location>/light/<light>`
    pub fn light(&self, light: usize) -> String {
        format!("{}/actuator/{}/light/{}", self.base, self.location, self.lights[light])
    }

    /// Every topic that is listened to. The lights' topics come first: what is retained there is to be
    /// known before the presences, and the bridge's state last, since it makes presences count.
    pub fn listened(&self) -> Vec<(String, About)> {
        let base = &self.base;
        let lights = (0..self.lights.len()).map(|light| (self.light(light), About::Light(light)));
        let presences = self
            .accounts
            .iter()
            .map(|account| (format!("{base}/account/{account}/presence"), About::Presence(account.clone())));
        let states = self
            .accounts
            .iter()
            .map(|account| (format!("{base}/account/{account}/state"), About::State(account.clone())));
        let own = (self.state(true).topic, About::Own);
        let bridge = (format!("{base}/bridge/state"), About::Bridge);
        lights.chain([own]).chain(presences).chain(states).chain([bridge]).collect()
    }
}

/// The subscriptions for what is listened to, and what their topics are about.
pub(super) fn subscriptions(listened: Vec<(String, About)>) -> (Vec<Subscription>, BTreeMap<String, About>) {
    let subscription = |(filter, _): &(String, About)| Subscription { filter: filter.clone(), qos: 1, no_local: true };
    (listened.iter().map(subscription).collect(), listened.into_iter().collect())
}
