//! What the actuator wants of its lights and what they show: written by the rules and by the hubs'
//! loops, read by whoever publishes, serves health, or watches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::converge::Aim;
use super::rules::Status;
use super::topics::Topics;
use crate::lights::{Look, Obeyed};
use crate::mqtt::{Message, Slot, Wanted};
use crate::presence::{AccountName, Name, Sequence};
use crate::settings::Color;

/// What the rules want of a light, and by which presences.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wish {
    /// Whose status counts, and which it is; none while nobody's is known.
    pub status: Option<(AccountName, Status)>,
    /// What is to be shown.
    pub color: Color,
    /// The newest presence of every followed account that went into it.
    pub inputs: Inputs,
}

/// Presences by account.
pub(super) type Inputs = BTreeMap<AccountName, Sequence>;

impl Wish {
    /// What it means for the light.
    pub fn aim(&self) -> Aim {
        match (Look::of(&self.color), &self.status) {
            (Some(look), _) => Aim::Show(look),
            (None, Some(_)) => Aim::LeaveAlone,
            (None, None) => Aim::Wait,
        }
    }
}

/// What a light shows since a command of ours.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub wish: Arc<Wish>,
    pub since: Timestamp,
}

/// One light.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub wish: Option<Arc<Wish>>,
    pub shown: Option<Shown>,
    /// What was read on the light's topic; never ahead of the followed accounts.
    pub read: Inputs,
    pub unreachable: bool,
    /// The last error or advice, for people.
    pub error: Option<String>,
    commands: u64,
    failures: u64,
}

/// A light came to show something: for whoever watches.
#[derive(Debug, Clone)]
pub struct Change {
    /// The light's name in the configuration.
    pub light: Name,
    /// Whose status it shows, and which; none for what is shown while nobody's is known.
    pub status: Option<(AccountName, Status)>,
    /// What it shows.
    pub look: Look,
    /// When the hub said so.
    pub at: Instant,
    /// From the command to the hub's answer.
    pub took: Duration,
}

/// Watches the lights. Called from the actuator's tasks, so it must return at once.
pub trait Observer: Send + Sync {
    /// A hub said that a light shows something.
    fn shown(&self, change: Change);
}

/// One light, for health and metrics. Counters count from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LightState {
    /// Its name in the configuration.
    pub name: Name,
    /// Whether the last command reached it.
    pub reachable: bool,
    /// Commands that ended.
    pub commands: u64,
    /// Those that failed.
    pub failures: u64,
    /// The last error, for people.
    pub error: Option<String>,
}

pub(super) struct Board {
    topics: Topics,
    observer: Option<Arc<dyn Observer>>,
    inner: Mutex<Inner>,
}

struct Inner {
    connected: bool,
    /// Whether what others published on the lights' topics was read since the connection stands.
    read: bool,
    lights: Vec<Entry>,
}

impl Board {
    pub fn new(topics: Topics, observer: Option<Arc<dyn Observer>>) -> Self {
        let lights = topics.lights().iter().map(|_| Entry::default()).collect();
        Self { topics, observer, inner: Mutex::new(Inner { connected: false, read: false, lights }) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at one light, or changes it.
    pub fn light<T>(&self, light: usize, with: impl FnOnce(&mut Entry) -> T) -> T {
        with(&mut self.inner().lights[light])
    }

    pub fn set_connected(&self, connected: bool) {
        let mut inner = self.inner();
        (inner.connected, inner.read) = (connected, false);
    }

    pub fn is_connected(&self) -> bool {
        self.inner().connected
    }

    /// From now on the lights' topics are published: what was there is known.
    pub fn set_read(&self) {
        self.inner().read = true;
    }

    /// The newest wish. Answers whether it is another one.
    pub fn wish(&self, light: usize, wish: Option<Wish>) -> bool {
        self.light(light, |entry| {
            let changed = entry.wish.as_deref() != wish.as_ref();
            if changed {
                entry.wish = wish.map(Arc::new);
            }
            changed
        })
    }

    /// A command was obeyed. `shows`: the light shows it now.
    pub fn obeyed(&self, light: usize, wish: Arc<Wish>, shows: bool, obeyed: &Obeyed, now: Timestamp) {
        self.light(light, |entry| {
            entry.commands += 1;
            entry.unreachable = obeyed.unreachable;
            entry.error.clone_from(&obeyed.advice);
            if shows {
                entry.shown = Some(Shown { wish, since: now });
            }
        });
    }

    /// A command failed. What the light shows is not known.
    pub fn failed(&self, light: usize) {
        self.light(light, |entry| {
            entry.commands += 1;
            entry.failures += 1;
            entry.shown = None;
        });
    }

    /// A light cannot be commanded.
    pub fn unreachable(&self, light: usize, error: &str) {
        self.light(light, |entry| {
            entry.unreachable = true;
            entry.error = Some(error.to_owned());
        });
    }

    pub fn observe(&self, light: usize, wish: &Wish, look: Look, at: Instant, took: Duration) {
        let Some(observer) = &self.observer else { return };
        let light = self.topics.lights()[light].clone();
        observer.shown(Change { light, status: wish.status.clone(), look, at, took });
    }

    pub fn states(&self) -> Vec<LightState> {
        let inner = self.inner();
        let state = |(name, entry): (&Name, &Entry)| LightState {
            name: name.clone(),
            reachable: !entry.unreachable,
            commands: entry.commands,
            failures: entry.failures,
            error: entry.error.clone(),
        };
        self.topics.lights().iter().zip(&inner.lights).map(state).collect()
    }
}

/// The slot of the state topic; the lights' follow.
pub(super) const STATE: Slot = 0;

/// The slot of a light's topic.
pub(super) fn slot(light: usize) -> Slot {
    Slot::try_from(light + 1).expect("a configuration has fewer than four billion lights")
}

impl Wanted for Board {
    fn slots(&self) -> Slot {
        slot(self.topics.lights().len())
    }

    fn render(&self, slot: Slot) -> Option<Message> {
        if slot == STATE {
            return Some(self.topics.state(true));
        }
        let light = slot as usize - 1;
        let inner = self.inner();
        let entry = inner.lights.get(light).filter(|_| inner.read)?;
        let payload = super::payload::render(&self.topics.lights()[light], entry)?;
        Some(Message { topic: self.topics.light(light), payload })
    }
}
