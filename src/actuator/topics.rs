//! The actuator's topics: what it publishes, and what a topic that comes in is about.

use std::collections::BTreeSet;

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

/// What an actuator subscribes to, but for requests and Home Assistant's topics.
pub fn subscriptions(settings: &Settings) -> Vec<Subscription> {
    let topics = Topics::new(settings);
    topics.subscriptions(&topics.listened())
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
    /// What somebody asks of such a light.
    Set(usize),
}

impl About {
    /// Whether the wish for a light, which follows these accounts, may come of it.
    pub fn concerns(&self, light: usize, follow: &[AccountName]) -> bool {
        match self {
            Self::Own => false,
            Self::Bridge => true,
            Self::State(account) | Self::Presence(account) => follow.contains(account),
            Self::Light(about) | Self::Set(about) => *about == light,
        }
    }

    /// Whether the location's members share out who acts upon it first.
    fn is_shared(&self) -> bool {
        !matches!(self, Self::Own | Self::Light(_))
    }
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

    /// `<base>/actuator/<location>`: where requests come in.
    pub fn room(&self) -> String {
        format!("{}/actuator/{}", self.base, self.location)
    }

    /// A subscription shared with the location's other members.
    pub fn shared(&self, filter: &str) -> Subscription {
        Subscription { filter: format!("$share/{}/{filter}", self.location), qos: 1, no_local: false }
    }

    /// Every topic that is listened to. The lights' topics come first: what is retained there is to be
    /// known before the presences, and the bridge's state last, since it makes presences count.
    pub fn listened(&self) -> Vec<(String, About)> {
        let base = &self.base;
        let lights = || 0..self.lights.len();
        let shown = lights().map(|light| (self.light(light), About::Light(light)));
        let own = (self.state(true).topic, About::Own);
        let set = lights().map(|light| (format!("{}/set", self.light(light)), About::Set(light)));
        let presences = self
            .accounts
            .iter()
            .map(|account| (format!("{base}/account/{account}/presence"), About::Presence(account.clone())));
        let states = self
            .accounts
            .iter()
            .map(|account| (format!("{base}/account/{account}/state"), About::State(account.clone())));
        let bridge = (format!("{base}/bridge/state"), About::Bridge);
        shown.chain([own]).chain(set).chain(presences).chain(states).chain([bridge]).collect()
    }

    /// The subscriptions for what is listened to: plain ones for all of it, and shared ones for what the
    /// location's members act upon, which come first so that nothing passes between the two.
    pub fn subscriptions(&self, listened: &[(String, About)]) -> Vec<Subscription> {
        let shared = listened.iter().filter(|(_, about)| about.is_shared()).map(|(topic, _)| self.shared(topic));
        // Our own reports are to come back: then all that went before them has come.
        let no_local = |about: &About| !matches!(about, About::Light(_));
        let plain = listened.iter().map(|(topic, about)| Subscription {
            filter: topic.clone(),
            qos: 1,
            no_local: no_local(about),
        });
        shared.chain(plain).collect()
    }
}
