//! The broker: whether it can be reached, and whether what the roles publish comes back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};

use super::Finding;
use crate::discovery;
use crate::mqtt::{Connection, Event, Message, Options, Subscription};
use crate::settings::Settings;

/// How long the broker may take to take the connection.
const CONNECTING: Duration = Duration::from_secs(15);
/// How long a message may take to come back.
const COMING_BACK: Duration = Duration::from_secs(3);
/// How long the disconnect may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// One topic of each kind that the roles publish and read. Nobody is called `check`, and an empty
/// message that is not retained changes nothing for whoever listens.
fn topics(settings: &Settings) -> BTreeSet<String> {
    let base = &settings.mqtt.base_topic;
    let mut topics = BTreeSet::new();
    if settings.has_people() {
        topics.insert(format!("{base}/bridge/marker"));
        topics.insert(format!("{base}/account/check/presence"));
        if settings.home_assistant.discovery {
            topics.insert(discovery::topic(&settings.home_assistant.prefix, &discovery::device_id(base, "check")));
        }
    }
    if !settings.lights.is_empty() {
        topics.insert(format!("{base}/actuator/{}/light/check", settings.actuator.location));
    }
    topics
}

pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let place = format!("{}:{}", settings.mqtt.host, settings.mqtt.port);
    let mut waiting = topics(settings);
    let subscriptions = waiting.iter().map(|topic| Subscription { filter: topic.clone(), qos: 1, no_local: false });
    let options = Options {
        client_id: format!(
            "{}-check-{:08x}",
            settings.mqtt.client_id.as_deref().unwrap_or("graph2mqtt"),
            fastrand::u32(..)
        ),
        may_be_taken: false,
        will: None,
        subscriptions: subscriptions.collect(),
    };
    let (connection, mut events) = match Connection::open(&settings.mqtt, options, Arc::new(())) {
        Ok(opened) => opened,
        Err(unusable) => return vec![Finding::new("broker", Err(unusable.to_string()))],
    };
    let mut refusals = Vec::new();
    let connected = connect(&mut events, &mut refusals).await;
    if connected.is_ok() {
        for topic in &waiting {
            connection.publish(Message { topic: topic.clone(), payload: Vec::new() }, 1);
        }
        hear(&mut events, &mut waiting, &mut refusals).await;
    }
    connection.close(FAREWELL).await;
    let mut findings = vec![Finding::new("broker", connected.map(|()| format!("{place} takes us")))];
    if findings[0].ok {
        findings.extend(rights(&waiting, refusals));
    }
    findings
}

async fn connect(events: &mut Receiver<Event>, refusals: &mut Vec<String>) -> Result<(), String> {
    let deadline = Instant::now() + CONNECTING;
    loop {
        match timeout_at(deadline, events.recv()).await {
            Ok(Some(Event::Connected)) => return Ok(()),
            Ok(Some(Event::Disconnected(reason))) => return Err(reason),
            Ok(Some(Event::Refused(reason))) => refusals.push(reason),
            Ok(Some(Event::Received(_))) => {}
            Ok(None) => return Err("the connection was given up".to_owned()),
            Err(_) => return Err(format!("no answer within {} s", CONNECTING.as_secs())),
        }
    }
}

/// Takes what comes back out of `waiting`.
async fn hear(events: &mut Receiver<Event>, waiting: &mut BTreeSet<String>, refusals: &mut Vec<String>) {
    let deadline = Instant::now() + COMING_BACK;
    while !waiting.is_empty() {
        match timeout_at(deadline, events.recv()).await {
            Ok(Some(Event::Received(received))) => {
                waiting.remove(&received.topic);
            }
            Ok(Some(Event::Refused(reason))) => refusals.push(reason),
            Ok(Some(Event::Connected)) => {}
            Ok(Some(Event::Disconnected(_)) | None) | Err(_) => return,
        }
    }
}

fn rights(missing: &BTreeSet<String>, refusals: Vec<String>) -> Vec<Finding> {
    if missing.is_empty() && refusals.is_empty() {
        return vec![Finding::new("broker rights", Ok("what is published comes back".to_owned()))];
    }
    let silent = missing.iter().map(|topic| {
        format!(
            "{topic}: what was published there did not come back; allow this user to publish and to read topics of this \
             kind in the broker's ACL (config/mosquitto/acl is an example)"
        )
    });
    refusals.into_iter().chain(silent).map(|wrong| Finding::new("broker rights", Err(wrong))).collect()
}
