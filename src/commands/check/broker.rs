//! The broker: whether it can be reached, and whether it gives the roles the rights that they need.
//!
//! What a role subscribes to is subscribed to, and what it publishes is published on topics that nobody
//! uses; what it both writes and reads has to come back. A broker may take a subscription and give
//! nothing (Mosquitto does), so what is only read shows in what is retained there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};

use super::Finding;
use crate::mqtt::{Connection, Event, Message, Options, Subscription};
use crate::settings::Settings;
use crate::{actuator, bridge, discovery};

/// How long the broker may take to take the connection.
const CONNECTING: Duration = Duration::from_secs(15);
/// How long a message may take to come back.
const COMING_BACK: Duration = Duration::from_secs(3);
/// How long the disconnect may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// One topic of each kind that the roles publish. Nobody is called `check`, and an empty message that is not
/// retained changes nothing for whoever listens. What stands on `true` is read as well.
fn published(settings: &Settings) -> BTreeMap<String, bool> {
    let base = &settings.mqtt.base_topic;
    let room = format!("{base}/actuator/{}", settings.actuator.location);
    let (people, lights) = (settings.has_people(), !settings.lights.is_empty());
    let device = discovery::topic(&settings.home_assistant.prefix, &discovery::device_id(base, "check"));
    [
        (people, format!("{base}/bridge/marker"), true),
        (people, format!("{base}/bridge/response/check"), false),
        (people, format!("{base}/account/check/presence"), true),
        (people, format!("{base}/account/check/state"), true),
        (people, format!("{base}/account/check/sign_in"), true),
        (lights, format!("{room}/light/check"), true),
        (lights, format!("{room}/response/check"), false),
        (settings.home_assistant.discovery && (people || lights), device, true),
    ]
    .into_iter()
    .filter_map(|(is_used, topic, is_read)| is_used.then_some((topic, is_read)))
    .collect()
}

/// What the roles subscribe to, for one name each. Not the shared subscriptions: a member that does nothing
/// would be given what others are to act upon.
fn subscribed(settings: &Settings) -> BTreeSet<String> {
    let of_bridge = settings.has_people().then(|| bridge::subscriptions(settings));
    let of_actuator = (!settings.lights.is_empty()).then(|| actuator::subscriptions(settings));
    let all = of_bridge.into_iter().chain(of_actuator).flatten();
    all.filter(|subscription| !subscription.is_shared())
        .map(|subscription| subscription.filter.replace('+', "check"))
        .collect()
}

pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let place = format!("{}:{}", settings.mqtt.host, settings.mqtt.port);
    let published = published(settings);
    let mut waiting: BTreeSet<String> =
        published.iter().filter(|(_, is_read)| **is_read).map(|(topic, _)| topic.clone()).collect();
    let filters = subscribed(settings).into_iter().chain(waiting.clone());
    let mut visit = match Visit::open(settings, filters) {
        Ok(visit) => visit,
        Err(unusable) => return vec![Finding::new("broker", Err(unusable))],
    };
    let connected = visit.connect().await;
    if connected.is_ok() {
        visit.publish(published.keys());
        visit.hear(&mut waiting).await;
    }
    let refusals = visit.end().await.refusals;
    let mut findings = vec![Finding::new("broker", connected.map(|()| format!("{place} takes us")))];
    if findings[0].ok {
        findings.extend(rights(&waiting, refusals));
        if !settings.has_people() && !settings.lights.is_empty() {
            findings.extend(presences(settings).await);
        }
    }
    findings
}

/// Whether an actuator alone, which publishes no presences, may read them.
async fn presences(settings: &Settings) -> Option<Finding> {
    let base = &settings.mqtt.base_topic;
    let topic = |account: &str, leaf: &str| format!("{base}/account/{account}/{leaf}");
    let (probe, bridge) = (topic("check", "presence"), format!("{base}/bridge/state"));
    let accounts: BTreeSet<&str> =
        settings.lights.values().flat_map(|light| &light.follow).map(|account| account.as_str()).collect();
    let leaves = accounts.iter().flat_map(|account| ["presence", "state"].map(|leaf| topic(account, leaf)));
    let mut visit = Visit::open(settings, leaves.chain([probe.clone(), bridge.clone()])).ok()?;
    visit.connect().await.ok()?;
    visit.publish([&probe]);
    visit.hear(&mut BTreeSet::from([probe.clone()])).await;
    let Heard { retained, came_back, refusals } = visit.end().await;
    let may_publish = !refusals.iter().any(|refusal| refusal.contains(&probe));
    let says = |topic: &str| retained.get(topic).map(String::as_str);
    let silent: Vec<&str> = accounts
        .iter()
        .copied()
        .filter(|account| {
            let (presence, state) = (says(&topic(account, "presence")), says(&topic(account, "state")));
            presence.is_none() && (state == Some("online") || state.is_none() && says(&bridge) == Some("online"))
        })
        .collect();
    let outcome = match silent.first() {
        Some(account) => Err(format!(
            "{}: the bridge is online, and nothing comes from there; allow this user to read {} in the broker's ACL \
             (config/mosquitto/acl is an example), or follow an account that the bridge has",
            topic(account, "presence"),
            topic("+", "+"),
        )),
        None if may_publish && !came_back.contains(&probe) => Err(not_back(&probe)),
        None if !may_publish && says(&bridge).is_none() => Ok(format!(
            "{}: nobody has published there, so that reading it was not tried; check again when the bridge runs",
            topic("+", "presence")
        )),
        None => Ok("presences come".to_owned()),
    };
    Some(Finding::new("broker rights", outcome))
}

/// A connection that tries what this user may do.
struct Visit {
    connection: Connection,
    events: Receiver<Event>,
    heard: Heard,
}

#[derive(Default)]
struct Heard {
    /// What is retained, by topic.
    retained: BTreeMap<String, String>,
    came_back: BTreeSet<String>,
    refusals: Vec<String>,
}

impl Visit {
    fn open(settings: &Settings, filters: impl Iterator<Item = String>) -> Result<Self, String> {
        let prefix = settings.mqtt.client_id.as_deref().unwrap_or("graph2mqtt");
        let options = Options {
            client_id: format!("{prefix}-check-{:08x}", fastrand::u32(..)),
            may_be_taken: false,
            will: None,
            subscriptions: filters.map(|filter| Subscription { filter, qos: 1, no_local: false }).collect(),
        };
        let opened = Connection::open(&settings.mqtt, options, Arc::new(()));
        let (connection, events) = opened.map_err(|unusable| unusable.to_string())?;
        Ok(Self { connection, events, heard: Heard::default() })
    }

    async fn connect(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + CONNECTING;
        loop {
            match timeout_at(deadline, self.events.recv()).await {
                Ok(Some(Event::Connected)) => return Ok(()),
                Ok(Some(Event::Disconnected(reason))) => return Err(reason),
                Ok(Some(event)) => self.heard.take(event),
                Ok(None) => return Err("the connection was given up".to_owned()),
                Err(_) => return Err(format!("no answer within {} s", CONNECTING.as_secs())),
            }
        }
    }

    fn publish<'a>(&self, topics: impl IntoIterator<Item = &'a String>) {
        for topic in topics {
            self.connection.publish(Message { topic: topic.clone(), payload: Vec::new() }, 1);
        }
    }

    /// Takes what comes back, or is refused, out of `waiting`.
    async fn hear(&mut self, waiting: &mut BTreeSet<String>) {
        let deadline = Instant::now() + COMING_BACK;
        while !waiting.is_empty() {
            match timeout_at(deadline, self.events.recv()).await {
                Ok(Some(Event::Disconnected(_)) | None) | Err(_) => return,
                Ok(Some(event)) => self.heard.take(event),
            }
            let Heard { came_back, refusals, .. } = &self.heard;
            let is_refused = |topic: &str| refusals.iter().any(|refusal| refusal.contains(topic));
            waiting.retain(|topic| !came_back.contains(topic) && !is_refused(topic));
        }
    }

    async fn end(self) -> Heard {
        self.connection.close(FAREWELL).await;
        self.heard
    }
}

impl Heard {
    fn take(&mut self, event: Event) {
        match event {
            Event::Refused(reason) => self.refusals.push(reason),
            Event::Received(received) if received.retained => {
                let payload = String::from_utf8_lossy(&received.payload).into_owned();
                self.retained.insert(received.topic, payload);
            }
            Event::Received(received) => drop(self.came_back.insert(received.topic)),
            Event::Connected | Event::Disconnected(_) => {}
        }
    }
}

fn not_back(topic: &str) -> String {
    format!(
        "{topic}: what was published there did not come back; allow this user to publish and to read topics of this \
         kind in the broker's ACL (config/mosquitto/acl is an example)"
    )
}

fn rights(missing: &BTreeSet<String>, refusals: Vec<String>) -> Vec<Finding> {
    if missing.is_empty() && refusals.is_empty() {
        return vec![Finding::new("broker rights", Ok("what is published comes back".to_owned()))];
    }
    let silent = missing.iter().map(|topic| not_back(topic));
    refusals.into_iter().chain(silent).map(|wrong| Finding::new("broker rights", Err(wrong))).collect()
}
