//! The location's device in Home Assistant: published beside the actuator's own topics, sent again at Home
//! Assistant's birth, and told when lights are gone.
//!
//! The actuators of a location publish the same device, so that it does not matter who is first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::board::Board;
use crate::discovery::{self, Definitions, Gone, Location, Rhythm, With};
use crate::mqtt::{Connection, Message, Received, Slot, Subscription, Unusable, Wanted};
use crate::presence::Name;
use crate::settings::{OnStop, Requests, Settings};

/// The bounds of the wait after Home Assistant's birth, in milliseconds.
const BIRTH: (u64, u64) = (500, 3_000);

/// How long Home Assistant is told which components are gone.
const RETIRING: Duration = Duration::from_secs(5);

/// The largest device message that is read. Ours are far smaller.
const LARGEST: usize = 256 << 10;

/// What a location's actuator wants retained: the board, and behind it the device. Cheap to clone.
#[derive(Clone)]
pub(super) struct Device {
    inner: Arc<Inner>,
}

struct Inner {
    board: Arc<Board>,
    /// None where discovery is off.
    definitions: Option<Definitions>,
    base: String,
    location: Name,
    lights: Vec<Name>,
    id: String,
    topic: String,
    status_topic: String,
    leaves: bool,
    with: With,
    born: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Components that are gone, while that is told.
    gone: Vec<Gone>,
    /// Topics of lights that are gone.
    ghosts: Vec<String>,
    withdrawn: bool,
}

impl Device {
    /// For these settings; the board's slots come first.
    pub(super) fn new(settings: &Settings, board: Arc<Board>) -> Result<Self, Unusable> {
        let home_assistant = &settings.home_assistant;
        let rhythm = Rhythm { active: settings.graph.active, quiet: settings.graph.quiet };
        let load = || Definitions::load(home_assistant.definitions.as_deref(), rhythm);
        let definitions = home_assistant.discovery.then(load).transpose();
        let (base, location) = (&settings.mqtt.base_topic, &settings.actuator.location);
        let id = id(settings);
        let inner = Inner {
            board,
            definitions: definitions.map_err(|error| Unusable(error.to_string()))?,
            base: base.clone(),
            location: location.clone(),
            lights: settings.lights.keys().cloned().collect(),
            topic: discovery::topic(&home_assistant.prefix, &id),
            id,
            status_topic: home_assistant.status_topic.clone(),
            leaves: home_assistant.on_stop == OnStop::Clear,
            with: with(settings),
            born: AtomicBool::new(false),
            state: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What is listened to: Home Assistant's birth, and the device that our forerunner left.
    pub(super) fn subscriptions(&self) -> Vec<Subscription> {
        let subscription = |filter: &str| Subscription { filter: filter.to_owned(), qos: 0, no_local: true };
        let topics = [&self.inner.topic, &self.inner.status_topic].map(|topic| subscription(topic));
        if self.inner.definitions.is_some() { topics.into() } else { Vec::new() }
    }

    /// Takes what is Home Assistant's; answers whether it was.
    pub(super) fn receive(&self, received: &Received, connection: &Connection) -> bool {
        if received.topic == self.inner.status_topic {
            if !received.retained && &*received.payload == b"online" {
                self.born(connection.clone());
            }
            return true;
        }
        let is_device = received.topic == self.inner.topic;
        if is_device && received.retained && received.payload.len() <= LARGEST {
            self.found(&received.payload, connection);
        }
        is_device
    }

    /// At a clean stop the device leaves Home Assistant, where that is configured.
    pub(super) fn leave(&self, connection: &Connection) {
        if self.inner.leaves && self.inner.definitions.is_some() {
            self.inner.state().withdrawn = true;
            connection.changed(self.inner.slot());
        }
    }

    /// Everything is sent again, once, however often Home Assistant says that it is up.
    fn born(&self, connection: Connection) {
        if self.inner.born.swap(true, Ordering::Relaxed) {
            return;
        }
        let device = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(BIRTH.0..BIRTH.1))).await;
            device.inner.born.store(false, Ordering::Relaxed);
            connection.all_changed();
        });
    }

    /// What the device has lost since is told, and what lights that are gone have left is cleared.
    fn found(&self, payload: &[u8], connection: &Connection) {
        let Some(ours) = self.inner.payload() else { return };
        let gone = discovery::gone(payload, &ours);
        if gone.is_empty() {
            return;
        }
        let ghosts = self.inner.ghosts(payload);
        let clears = {
            let mut state = self.inner.state();
            state.gone = gone;
            state.ghosts = ghosts;
            self.inner.slot() + 1..self.inner.slots(&state)
        };
        connection.changed(self.inner.slot());
        clears.for_each(|slot| connection.changed(slot));
        let (device, connection) = (self.clone(), connection.clone());
        tokio::spawn(async move {
            tokio::time::sleep(RETIRING).await;
            device.inner.state().gone.clear();
            connection.changed(device.inner.slot());
        });
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The device's slot, behind the board's; the ghosts' follow.
    fn slot(&self) -> Slot {
        self.board.slots()
    }

    fn slots(&self, state: &State) -> Slot {
        let ghosts = Slot::try_from(state.ghosts.len()).expect("a payload names few lights");
        self.slot() + 1 + ghosts
    }

    fn payload(&self) -> Option<Vec<u8>> {
        let location = Location {
            base: &self.base,
            name: self.location.as_str(),
            id: &self.id,
            lights: &self.lights,
            with: self.with,
        };
        Some(self.definitions.as_ref()?.actuator(location))
    }

    /// The light topics that a device message names, of lights that are not ours.
    fn ghosts(&self, payload: &[u8]) -> Vec<String> {
        let text = String::from_utf8_lossy(payload);
        let start = format!("{}/actuator/{}/light/", self.base, self.location);
        let named = text.split('"').filter_map(|word| word.strip_prefix(&*start));
        let gone = |name: &str| name.parse::<Name>().ok().filter(|name| !self.lights.contains(name));
        let mut names: Vec<Name> = named.filter_map(gone).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(|name| format!("{start}{name}")).collect()
    }
}

/// The id and the payload of a location's device, for whoever wants to look at it.
pub fn device(settings: &Settings, definitions: &Definitions) -> (String, Vec<u8>) {
    let lights: Vec<Name> = settings.lights.keys().cloned().collect();
    let id = id(settings);
    let location = Location {
        base: &settings.mqtt.base_topic,
        name: settings.actuator.location.as_str(),
        id: &id,
        lights: &lights,
        with: with(settings),
    };
    let payload = definitions.actuator(location);
    (id, payload)
}

fn id(settings: &Settings) -> String {
    let location = &settings.actuator.location;
    let followed = settings.lights.values().any(|light| light.follow.contains(location));
    let is_account = followed || settings.accounts.contains_key(location);
    discovery::actuator_id(&settings.mqtt.base_topic, location.as_str(), is_account)
}

fn with(settings: &Settings) -> With {
    With::default().and(With::REQUESTS, settings.mqtt.requests != Requests::None)
}

impl Wanted for Device {
    fn slots(&self) -> Slot {
        self.inner.slots(&self.inner.state())
    }

    fn render(&self, slot: Slot) -> Option<Message> {
        let inner = &*self.inner;
        if slot < inner.slot() {
            return inner.board.render(slot);
        }
        let state = inner.state();
        if slot > inner.slot() {
            let topic = state.ghosts.get((slot - inner.slot() - 1) as usize)?.clone();
            return Some(Message { topic, payload: Vec::new() });
        }
        let payload = inner.payload()?;
        let payload = match (state.withdrawn, state.gone.is_empty()) {
            (true, _) => Vec::new(),
            (false, true) => payload,
            (false, false) => discovery::retiring(&payload, &state.gone),
        };
        Some(Message { topic: inner.topic.clone(), payload })
    }
}
