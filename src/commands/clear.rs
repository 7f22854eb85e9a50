//! `graph2mqtt discovery clear`: our devices leave Home Assistant, and accounts, locations and lights that are gone
//! leave the broker.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};

use super::{Failure, parts};
use crate::actuator;
use crate::discovery;
use crate::mqtt::{Connection, Event, Message, Options, Received, Slot, Subscription, Wanted};
use crate::presence::AccountName;
use crate::settings::Settings;

/// How long the broker may take to take the connection.
const CONNECTING: Duration = Duration::from_secs(15);
/// What it holds comes without a pause longer than this.
const QUIET: Duration = Duration::from_secs(1);
/// How long it may take in all.
const LONGEST: Duration = Duration::from_secs(60);
/// How long the clearing of tens of thousands of topics may take.
const FAREWELL: Duration = Duration::from_secs(60);

/// Topics to be cleared.
struct Clears(Vec<String>);

impl Wanted for Clears {
    fn slots(&self) -> Slot {
        Slot::try_from(self.0.len()).expect("topics are counted in millions at most")
    }

    fn render(&self, slot: Slot) -> Option<Message> {
        Some(Message { topic: self.0.get(slot as usize)?.clone(), payload: Vec::new() })
    }
}

/// What is not gone.
struct Known {
    /// Configured, or enrolled in our store.
    accounts: BTreeSet<AccountName>,
    /// The topics of this configuration's location and lights, among others.
    topics: BTreeSet<String>,
}

/// What was found at the broker.
#[derive(Default)]
struct Found {
    devices: BTreeSet<String>,
    /// Topics of accounts that are gone.
    accounts: BTreeSet<String>,
    /// Topics of locations and lights that are not of this configuration, with their location.
    actuators: BTreeSet<(String, String)>,
    /// The locations at which an actuator runs.
    online: BTreeSet<String>,
}

pub(super) async fn run(settings: &Settings) -> Result<(), Failure> {
    let known = known(settings).await?;
    let found = look(settings, &known).await?;
    let devices = found.devices.len();
    let topics = found.topics();
    let ghosts = topics.len() - devices;
    if !topics.is_empty() {
        // Everything that is wanted is published at the connection, and the end waits for it.
        let (connection, mut events) = open(settings, Vec::new(), Arc::new(Clears(topics)))?;
        connected(&mut events).await?;
        connection.close(FAREWELL).await;
    }
    parts::print(&format!(
        "{devices} devices leave Home Assistant, and {ghosts} topics of accounts, locations and lights that are gone are \
         cleared. What runs publishes its devices again at its next start, or at Home Assistant's, and a location with a \
         running actuator keeps its topics: stop it first, or set home_assistant.discovery to false for the devices."
    ))
}

async fn known(settings: &Settings) -> Result<Known, Failure> {
    let mut accounts: BTreeSet<AccountName> = settings.accounts.keys().cloned().collect();
    let grants = parts::store(settings).await?.grants().await.map_err(anyhow::Error::new)?;
    accounts.extend(grants.into_iter().map(|grant| grant.account));
    let listened = (!settings.lights.is_empty()).then(|| actuator::subscriptions(settings));
    let topics = listened.into_iter().flatten().map(|subscription| subscription.filter).collect();
    Ok(Known { accounts, topics })
}

async fn look(settings: &Settings, known: &Known) -> Result<Found, Failure> {
    let base = &settings.mqtt.base_topic;
    let ours = ["account/+/+", "actuator/+/state", "actuator/+/light/+"].map(|filter| format!("{base}/{filter}"));
    let filters = ours.into_iter().chain([discovery::topic(&settings.home_assistant.prefix, "+")]);
    let subscriptions = filters.map(|filter| Subscription { filter, qos: 0, no_local: true });
    let (connection, mut events) = open(settings, subscriptions.collect(), Arc::new(()))?;
    connected(&mut events).await?;
    let mut found = Found::default();
    let end = Instant::now() + LONGEST;
    while let Ok(Some(event)) = timeout_at(end.min(Instant::now() + QUIET), events.recv()).await {
        if let Event::Received(received) = event
            && received.retained
            && !received.payload.is_empty()
        {
            found.take(received, base, known);
        }
    }
    connection.close(QUIET).await;
    Ok(found)
}

impl Found {
    fn take(&mut self, received: Received, base: &str, known: &Known) {
        let Received { topic, payload, .. } = received;
        let below = topic.strip_prefix(base).and_then(|rest| rest.strip_prefix('/'));
        let mut levels = below.unwrap_or_default().split('/');
        match (levels.next(), levels.next(), levels.next()) {
            (Some("account"), Some(account), _) => {
                if !account.parse().is_ok_and(|name: AccountName| known.accounts.contains(&name)) {
                    self.accounts.insert(topic);
                }
            }
            (Some("actuator"), Some(location), level) => {
                let location = location.to_owned();
                if level == Some("state") && *payload == *b"online" {
                    self.online.insert(location);
                } else if !known.topics.contains(&topic) {
                    self.actuators.insert((location, topic));
                }
            }
            _ => {
                let text = String::from_utf8_lossy(&payload);
                let names = |room: &&str| text.contains(&format!("\"{base}/{room}/"));
                if text.contains("\"graph2mqtt\"") && ["bridge", "account", "actuator"].iter().any(names) {
                    self.devices.insert(topic);
                }
            }
        }
    }

    /// All that is to be cleared. Where an actuator runs, nothing of its location is: it may have other lights than
    /// this configuration.
    fn topics(self) -> Vec<String> {
        let Self { devices, accounts, actuators, online } = self;
        let left = actuators.into_iter().filter(|(location, _)| !online.contains(location));
        devices.into_iter().chain(accounts).chain(left.map(|(_, topic)| topic)).collect()
    }
}

fn open(
    settings: &Settings,
    subscriptions: Vec<Subscription>,
    wanted: Arc<dyn Wanted>,
) -> Result<(Connection, Receiver<Event>), Failure> {
    let prefix = settings.mqtt.client_id.as_deref().unwrap_or("graph2mqtt");
    let client_id = format!("{prefix}-clear-{:08x}", fastrand::u32(..));
    let options = Options { client_id, may_be_taken: false, will: None, subscriptions };
    let opened = Connection::open(&settings.mqtt, options, wanted);
    opened.map_err(|unusable| Failure::Runtime(unusable.into()))
}

async fn connected(events: &mut Receiver<Event>) -> Result<(), Failure> {
    let end = Instant::now() + CONNECTING;
    let mut last = "the broker does not answer; is mqtt.url right?".to_owned();
    while let Ok(Some(event)) = timeout_at(end, events.recv()).await {
        match event {
            Event::Connected => return Ok(()),
            Event::Disconnected(why) => last = why,
            Event::Refused(_) | Event::Received(_) => {}
        }
    }
    Err(Failure::Runtime(anyhow!(last)))
}
