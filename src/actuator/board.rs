//! What the actuator wants of its lights and what they show: written by the rules and by the hubs'
//! loops, read by whoever publishes, or serves health.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::duty::GRACE;
use super::entry::{Entry, Now};
use super::payload;
use super::topics::Topics;
use crate::mqtt::{Message, Slot, Wanted};
use crate::presence::Name;

/// One light, for health and metrics. Counters count from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LightState {
    /// Its name in the configuration.
    pub name: Name,
    /// Whether it can be reached, all of it.
    pub reachable: bool,
    /// Commands that ended.
    pub commands: u64,
    /// Those that failed.
    pub failures: u64,
    /// The last error, for people.
    pub error: Option<String>,
}

/// What tells the time of day.
pub type Clock = Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;

pub(super) struct Board {
    topics: Topics,
    /// Who we are among the location's members.
    me: String,
    clock: Clock,
    inner: Mutex<Inner>,
}

struct Inner {
    connected: bool,
    /// Whether lights are commanded at the end though the connection is gone.
    ends_alone: bool,
    /// Whether what others published on the lights' topics was read since the connection stands.
    read: bool,
    lights: Vec<Entry>,
    chance: fastrand::Rng,
}

impl Board {
    /// `me`: who we are among the location's members.
    pub fn new(topics: Topics, me: String, chance: fastrand::Rng, clock: Clock) -> Self {
        let lights = topics.lights().iter().map(|_| Entry::default()).collect();
        let inner = Inner { connected: false, ends_alone: false, read: false, lights, chance };
        Self { topics, me, clock, inner: Mutex::new(inner) }
    }

    pub fn me(&self) -> &str {
        &self.me
    }

    /// Both clocks.
    pub fn now(&self) -> Now {
        Now { instant: Instant::now(), time: (self.clock)() }
    }

    /// From 0 up to 1, by chance.
    pub fn chance(&self) -> f64 {
        self.inner().chance.f64()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long others are left to do what the broker did not give to us; differs by chance.
    pub fn grace(&self) -> Duration {
        GRACE + GRACE.mul_f64(self.chance())
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

    /// Lights do what they do at the end: nobody else is there to be heard first.
    pub fn set_ends_alone(&self) {
        self.inner().ends_alone = true;
    }

    /// Whether lights may be commanded now.
    pub fn may_command(&self) -> bool {
        let inner = self.inner();
        inner.connected || inner.ends_alone
    }

    /// From now on the lights' topics are published: what was there is known.
    pub fn set_read(&self) {
        self.inner().read = true;
    }

    /// Whether what was there is known.
    pub fn is_read(&self) -> bool {
        self.inner().read
    }

    pub fn states(&self) -> Vec<LightState> {
        let inner = self.inner();
        let state = |(name, entry): (&Name, &Entry)| LightState {
            name: name.clone(),
            reachable: entry.is_reachable(),
            commands: entry.commands,
            failures: entry.failures,
            error: entry.complaint(),
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
        let payload = payload::render(&self.topics.lights()[light], entry, &self.me)?;
        Some(Message { topic: self.topics.light(light), payload })
    }
}
