//! `graph2mqtt discovery clear`: our devices leave Home Assistant, and accounts that are gone leave the broker.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};

use super::{Failure, parts};
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

/// What was found at the broker.
#[derive(Default)]
struct Found {
    devices: BTreeSet<String>,
    ghosts: BTreeSet<String>,
}

pub(super) async fn run(settings: &Settings) -> Result<(), Failure> {
    let known = known(settings).await?;
    let found = look(settings, &known).await?;
    let (devices, ghosts) = (found.devices.len(), found.ghosts.len());
    let topics: Vec<String> = found.devices.into_iter().chain(found.ghosts).collect();
    if !topics.is_empty() {
        // Everything that is wanted is published at the connection, and the end waits for it.
        let (connection, mut events) = open(settings, Vec::new(), Arc::new(Clears(topics)))?;
        connected(&mut events).await?;
        connection.close(FAREWELL).await;
    }
    parts::print(&format!(
        "{devices} devices leave Home Assistant, and {ghosts} topics of accounts that are gone are cleared. What runs \
         publishes its devices again at its next start, or at Home Assistant's: stop it first, or set \
         home_assistant.discovery to false."
    ))
}

/// The accounts that are not gone: configured, or enrolled in our store.
async fn known(settings: &Settings) -> Result<BTreeSet<AccountName>, Failure> {
    let mut known: BTreeSet<AccountName> = settings.accounts.keys().cloned().collect();
    let grants = parts::store(settings).await?.grants().await.map_err(anyhow::Error::new)?;
    known.extend(grants.into_iter().map(|grant| grant.account));
    Ok(known)
}

async fn look(settings: &Settings, known: &BTreeSet<AccountName>) -> Result<Found, Failure> {
    let base = &settings.mqtt.base_topic;
    let filters = [discovery::topic(&settings.home_assistant.prefix, "+"), format!("{base}/account/+/+")];
    let subscriptions = filters.map(|filter| Subscription { filter, qos: 0, no_local: true });
    let (connection, mut events) = open(settings, subscriptions.into(), Arc::new(()))?;
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
    fn take(&mut self, received: Received, base: &str, known: &BTreeSet<AccountName>) {
        let account = received.topic.strip_prefix(base).and_then(|rest| rest.strip_prefix("/account/"));
        if let Some((account, _)) = account.and_then(|rest| rest.split_once('/')) {
            if !account.parse().is_ok_and(|name: AccountName| known.contains(&name)) {
                self.ghosts.insert(received.topic);
            }
            return;
        }
        let text = String::from_utf8_lossy(&received.payload);
        let ours = ["bridge", "account", "actuator"].iter().any(|room| text.contains(&format!("\"{base}/{room}/")));
        if ours && text.contains("\"graph2mqtt\"") {
            self.devices.insert(received.topic);
        }
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
