//! The location's device in Home Assistant: published beside the actuator's own topics, sent again at Home
//! Assistant's birth, and told when lights are gone.
//!
//! The actuators of a location publish the same device, so that it does not matter who is first. It stands where
//! an account of the location's name would stand, and beside that place where there is one: what stands there is
//! read before anything is written, and who has gone beside it stays there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::board::Board;
use crate::discovery::{self, Births, Definitions, Gone, Location, Rhythm, With};
use crate::mqtt::{Arguments, Connection, Message, Received, Requests, Slot, Subscription, Unusable, Wanted};
use crate::presence::Name;
use crate::settings::{self, OnStop, Settings};

/// How long Home Assistant is told which components are gone.
const RETIRING: Duration = Duration::from_secs(5);

/// What the bridge is asked for that concerns every device of the base topic.
const CLEAR: &str = "discovery/clear";
const PUBLISH: &str = "discovery/publish";

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
    /// Where the device stands, and where it does beside an account of the same name.
    topics: [String; 2],
    location: Name,
    lights: Vec<Name>,
    status_topic: String,
    leaves: bool,
    with: With,
    state: Mutex<State>,
}

struct State {
    /// Whether an account has the location's name.
    beside: bool,
    /// Components that are gone, while that is told.
    gone: Vec<Gone>,
    /// When it was told for long enough.
    told_at: Option<Instant>,
    /// Topics of lights that are gone.
    ghosts: Vec<String>,
    /// Whether the device is to leave Home Assistant.
    withdrawn: bool,
    births: Births,
    /// Those to the bridge.
    requests: Requests,
}

impl Device {
    /// For these settings; the board's slots come first.
    pub(super) fn new(settings: &Settings, board: Arc<Board>) -> Result<Self, Unusable> {
        let home_assistant = &settings.home_assistant;
        let rhythm = Rhythm { active: settings.graph.active, quiet: settings.graph.quiet };
        let load = || Definitions::load(home_assistant.definitions.as_deref(), rhythm);
        let definitions = home_assistant.discovery.then(load).transpose();
        let (base, location) = (&settings.mqtt.base_topic, &settings.actuator.location);
        let state = State {
            beside: is_account(settings),
            gone: Vec::new(),
            told_at: None,
            ghosts: Vec::new(),
            withdrawn: false,
            births: Births::default(),
            requests: Requests::new(format!("{base}/bridge"), Vec::new()),
        };
        let inner = Inner {
            board,
            definitions: definitions.map_err(|error| Unusable(error.to_string()))?,
            base: base.clone(),
            topics: [false, true].map(|beside| {
                let id = discovery::actuator_id(base, location.as_str(), beside);
                discovery::topic(&home_assistant.prefix, &id)
            }),
            location: location.clone(),
            lights: settings.lights.keys().cloned().collect(),
            status_topic: home_assistant.status_topic.clone(),
            leaves: home_assistant.on_stop == OnStop::Clear,
            with: with(settings),
            state: Mutex::new(state),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What is listened to: Home Assistant's birth, what stands where the device may stand, and what the bridge
    /// is asked for that concerns us too.
    pub(super) fn subscriptions(&self) -> Vec<Subscription> {
        let inner = &*self.inner;
        if inner.definitions.is_none() {
            return Vec::new();
        }
        let requests = [CLEAR, PUBLISH].map(|command| format!("{}/bridge/request/{command}", inner.base));
        let requests = requests.into_iter().filter(|_| inner.with.meets(With::REQUESTS));
        let topics = inner.topics.iter().chain([&inner.status_topic]).cloned().chain(requests);
        topics.map(|filter| Subscription { filter, qos: 0, no_local: true }).collect()
    }

    /// Takes what is Home Assistant's; answers whether it was.
    pub(super) fn receive(&self, received: &Received, connection: &Connection) -> bool {
        let inner = &*self.inner;
        if inner.definitions.is_none() {
            return false;
        }
        if received.topic == inner.status_topic {
            if !received.retained && &*received.payload == b"online" {
                inner.state().births.heard(Instant::now(), &mut fastrand::Rng::new());
            }
            return true;
        }
        let Some(at) = inner.topics.iter().position(|topic| *topic == received.topic) else {
            return self.asked(received, connection);
        };
        if received.payload.len() <= discovery::LARGEST_DEVICE {
            self.found(at == 1, received, connection);
        }
        true
    }

    /// When [`Self::pass`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let state = self.inner.state();
        [state.births.wakes_at(), state.told_at].into_iter().flatten().min()
    }

    /// Time passes.
    pub(super) fn pass(&self, now: Instant, connection: &Connection) {
        let slots = self.slots();
        let mut state = self.inner.state();
        state.births.take(slots, now).for_each(|slot| connection.changed(slot));
        if state.told_at.take_if(|at| *at <= now).is_some() {
            state.gone.clear();
            connection.changed(self.inner.slot());
        }
    }

    /// What stood at the broker is read: the device may be written.
    pub(super) fn opens(&self, connection: &Connection) {
        connection.changed(self.inner.slot());
    }

    /// Whether the device leaves Home Assistant when the location's last actuator stops.
    pub(super) fn leaves(&self) -> bool {
        self.inner.leaves && self.inner.definitions.is_some()
    }

    /// It does.
    pub(super) fn leave(&self, connection: &Connection) {
        self.inner.state().withdrawn = true;
        connection.changed(self.inner.slot());
    }

    /// The bridge is asked to clear or to publish all devices of the base topic. It answers; we do our part.
    fn asked(&self, received: &Received, connection: &Connection) -> bool {
        let mut state = self.inner.state();
        let Some(taken) = state.requests.take(received, Instant::now()) else { return false };
        let Ok(request) = taken else { return true };
        if Arguments::new(request.members, &[]).is_ok() {
            state.withdrawn = request.command == CLEAR;
            connection.changed(self.inner.slot());
        }
        true
    }

    fn found(&self, beside: bool, received: &Received, connection: &Connection) {
        let inner = &*self.inner;
        let goes_beside = match beside {
            true => inner.names(&received.payload, &format!("actuator/{}/", inner.location)),
            false => inner.names(&received.payload, "account/"),
        };
        let mut state = inner.state();
        if goes_beside && !std::mem::replace(&mut state.beside, true) {
            connection.changed(inner.slot());
        }
        if received.retained && state.beside == beside {
            inner.compare(&received.payload, &mut state, connection);
        }
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

    fn payload(&self, beside: bool) -> Option<Vec<u8>> {
        let location = Location {
            base: &self.base,
            name: self.location.as_str(),
            id: &discovery::actuator_id(&self.base, self.location.as_str(), beside),
            lights: &self.lights,
            with: self.with,
        };
        Some(self.definitions.as_ref()?.actuator(location))
    }

    /// Whether a device message names such topics of our base.
    fn names(&self, payload: &[u8], room: &str) -> bool {
        String::from_utf8_lossy(payload).contains(&format!("\"{}/{room}", self.base))
    }

    /// What the device has lost since is told, and what lights that are gone have left is cleared.
    fn compare(&self, payload: &[u8], state: &mut State, connection: &Connection) {
        let Some(ours) = self.payload(state.beside) else { return };
        let gone = discovery::gone(payload, &ours);
        if gone.is_empty() {
            return;
        }
        state.gone = gone;
        state.told_at = Some(Instant::now() + RETIRING);
        state.ghosts = self.ghosts(payload);
        (self.slot()..self.slots(state)).for_each(|slot| connection.changed(slot));
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
    let (base, name) = (&settings.mqtt.base_topic, settings.actuator.location.as_str());
    let id = discovery::actuator_id(base, name, is_account(settings));
    let payload = definitions.actuator(Location { base, name, id: &id, lights: &lights, with: with(settings) });
    (id, payload)
}

/// Whether an account has the location's name, as far as the configuration tells.
fn is_account(settings: &Settings) -> bool {
    let location = &settings.actuator.location;
    let followed = settings.lights.values().any(|light| light.follow.contains(location));
    followed || settings.accounts.contains_key(location)
}

fn with(settings: &Settings) -> With {
    With::default().and(With::REQUESTS, settings.mqtt.requests != settings::Requests::None)
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
        if !inner.board.is_read() {
            return None;
        }
        let payload = inner.payload(state.beside)?;
        let payload = match (state.withdrawn, state.gone.is_empty()) {
            (true, _) => Vec::new(),
            (false, true) => payload,
            (false, false) => discovery::retiring(&payload, &state.gone),
        };
        Some(Message { topic: inner.topics[usize::from(state.beside)].clone(), payload })
    }
}
