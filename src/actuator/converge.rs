//! One hub's convergence: wanted against shown. Pure: time is passed in, commands are handed out.
//!
//! The newest wish of a light replaces every older one, so a burst costs one command for each light
//! and limit window. What is wanted counts as shown when the hub said so, and not before: a command
//! whose fate is unknown is sent again. Lights share the hub's limits by whose turn is longest ago, and
//! with what other members of the location send, as far as it is heard. Lights that together are a room are
//! served by one command where `together` says that nobody waits for it.

mod together;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pace::Pace;
use crate::lights::{Limits, Load, Look, Obeyed, Trouble};

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this command, and report its end by [`Convergence::ended`].
    Send {
        /// Which light.
        light: usize,
        /// What it is to show.
        look: Look,
        /// It is known to be on.
        on: bool,
    },
    /// The same for all of these lights by one command: each is reported by [`Convergence::ended`], or, where it
    /// is not known which of them obeyed, by [`Convergence::parted`].
    Together {
        /// Which lights: one of the sets that were given.
        lights: Vec<usize>,
        /// What they are to show.
        look: Look,
        /// They are known to be on.
        on: bool,
    },
    /// Nothing before this time, unless something is wanted or ends; `None`: nothing at all.
    Wait(Option<Instant>),
}

/// What is wanted of a light.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Aim {
    /// It is not known what it is to show: nothing is sent, and what it shows stays known.
    #[default]
    Wait,
    /// It is to be left as it is. A person may change it, so what it shows is not known from then on.
    LeaveAlone,
    /// It is to show this.
    Show(Look),
}

/// Wanted and shown of one hub's lights.
#[derive(Debug)]
pub struct Convergence {
    limits: Limits,
    lights: Vec<State>,
    single: Pace,
    group: Pace,
    /// Sets of lights that one command can serve, the largest first.
    sets: Arc<[Vec<usize>]>,
    retry: Retry,
    stopped: bool,
}

#[derive(Debug, Default)]
struct State {
    wanted: Aim,
    /// What it shows for certain.
    shown: Option<Shown>,
    under_way: Option<Command>,
    /// When its effect is to be renewed.
    again: Option<Instant>,
    last_sent: Option<Instant>,
    retry: Retry,
    /// It needs a command of its own.
    apart: Apart,
}

#[derive(Debug)]
struct Shown {
    look: Look,
    /// By our own command: the light knows what it needs not be told again.
    ours: bool,
}

#[derive(Debug, Clone)]
struct Command {
    look: Look,
    load: Load,
    on: bool,
    /// Something was learned meanwhile that makes its result uncertain.
    doubted: bool,
}

/// Exponential back-off: 1 s, doubling to 30 s at most, longer only where the hub said so.
#[derive(Debug, Default)]
struct Retry {
    failures: u32,
    at: Option<Instant>,
}

impl Retry {
    /// Commands that were under way together and fail together count once.
    fn failed(&mut self, now: Instant, after: Option<Duration>) {
        if self.at.is_some_and(|at| at > now) {
            self.at = self.at.max(after.map(|after| now + after));
            return;
        }
        let doubled = FIRST_RETRY.saturating_mul(1 << self.failures.min(5)).min(LONGEST_RETRY);
        self.failures = self.failures.saturating_add(1);
        self.at = Some(now + doubled.max(after.unwrap_or_default()));
    }

    fn is_failing(&self) -> bool {
        self.failures > 0
    }
}

/// Why a light is not served together with others.
#[derive(Debug, Clone, Copy, Default)]
struct Apart {
    /// Its last command was not obeyed without a word.
    after_own: bool,
    /// Something is to be read of it first.
    by_rule: bool,
}

impl State {
    fn sent(&mut self, now: Instant, command: Command) {
        self.under_way = Some(command);
        self.last_sent = Some(now);
        (self.shown, self.again) = (None, None);
    }

    /// It is known to be on, by our own command.
    fn is_on(&self) -> bool {
        self.shown.as_ref().is_some_and(|shown| shown.ours && shown.look.is_on())
    }

    /// The look to send, if any, and before when not.
    fn due(&self) -> Option<(Look, Option<Instant>)> {
        let Aim::Show(wanted) = &self.wanted else { return None };
        if self.under_way.is_some() {
            return None;
        }
        let right = self.shown.as_ref().is_some_and(|shown| shown.look.looks_like(wanted));
        match self.again {
            Some(again) if right => Some((wanted.clone(), Some(again))),
            _ => (!right).then(|| (wanted.clone(), None)),
        }
    }
}

impl Convergence {
    /// Of as many lights; what they show is not known.
    pub fn new(limits: Limits, lights: usize) -> Self {
        Self {
            limits,
            lights: std::iter::repeat_with(State::default).take(lights).collect(),
            single: Pace::new(limits.single),
            group: Pace::new(limits.group),
            sets: Arc::default(),
            retry: Retry::default(),
            stopped: false,
        }
    }

    /// The newest wish for a light.
    pub fn want(&mut self, light: usize, aim: Aim) {
        let state = &mut self.lights[light];
        if aim == Aim::LeaveAlone {
            state.shown = None;
        }
        state.wanted = aim;
    }

    /// What to do now. `load` tells which limit a light's command counts against.
    pub fn next(&mut self, now: Instant, load: impl Fn(usize) -> Load) -> Step {
        let is_group = |state: &State| state.under_way.as_ref().is_some_and(|command| command.load == Load::Group);
        let group_under_way = self.lights.iter().any(is_group);
        let singles = self.lights.iter().filter(|state| state.under_way.is_some() && !is_group(state)).count();
        // A command to several lights is one.
        let under_way = singles + usize::from(group_under_way);
        // A hub in trouble is tried with one command, not with all that wait for it.
        let at_once = if self.retry.is_failing() { 1 } else { self.limits.at_once };
        if self.stopped || under_way >= at_once {
            return Step::Wait(None);
        }
        if !group_under_way && let Some(step) = self.together(now, &load) {
            return step;
        }
        let mut soonest: Option<Instant> = None;
        let mut chosen: Option<(Option<Instant>, usize, Command)> = None;
        for (light, state) in self.lights.iter().enumerate() {
            let Some((look, not_before)) = state.due() else { continue };
            let load = load(light);
            if load == Load::Group && group_under_way {
                continue;
            }
            let limit = if load == Load::Group { self.group.free() } else { self.single.free() };
            let ready = [self.retry.at, state.retry.at, limit, not_before].into_iter().flatten().max();
            if let Some(ready) = ready.filter(|ready| *ready > now) {
                soonest = Some(soonest.map_or(ready, |soonest| soonest.min(ready)));
                continue;
            }
            let on = state.is_on();
            if chosen.as_ref().is_none_or(|(turn, ..)| state.last_sent < *turn) {
                chosen = Some((state.last_sent, light, Command { look, load, on, doubted: false }));
            }
        }
        match chosen {
            Some((_, light, command)) => self.send(now, light, command),
            None => Step::Wait(soonest),
        }
    }

    fn send(&mut self, now: Instant, light: usize, command: Command) -> Step {
        self.pace(command.load).sent(now);
        let step = Step::Send { light, look: command.look.clone(), on: command.on };
        self.lights[light].sent(now, command);
        step
    }

    fn pace(&mut self, load: Load) -> &mut Pace {
        match load {
            Load::Group => &mut self.group,
            Load::Single => &mut self.single,
        }
    }

    /// Another member of the location has just sent a command of this kind. `chance`: from 0 up to 1.
    pub fn heard(&mut self, load: Load, who: &str, now: Instant, chance: f64) {
        self.pace(load).heard(who, now, chance);
    }

    /// A light may show something else than what is known, by whatever was sent or not.
    pub fn doubt(&mut self, light: usize) {
        let state = &mut self.lights[light];
        state.shown = None;
        if let Some(command) = &mut state.under_way {
            command.doubted = true;
        }
    }

    /// A light shows this by somebody else's command.
    pub fn shows(&mut self, light: usize, look: Look) {
        let state = &mut self.lights[light];
        if state.under_way.is_none() {
            (state.shown, state.again) = (Some(Shown { look, ours: false }), None);
            state.retry = Retry::default();
        }
    }

    /// A light can be commanded again, as its hub says: it need not wait for the next try.
    pub fn is_back(&mut self, light: usize) {
        self.lights[light].retry = Retry::default();
    }

    /// What nothing but a person could help is over.
    pub fn mended(&mut self) {
        self.stopped = false;
        self.retry = Retry::default();
    }

    /// A command came to its end. Answers whether the light shows what was sent.
    pub fn ended(&mut self, now: Instant, light: usize, result: &Result<Obeyed, Trouble>) -> bool {
        let state = &mut self.lights[light];
        let Some(command) = state.under_way.take() else { return false };
        if command.load == Load::Group {
            self.group.ended(now);
        }
        match result {
            Ok(obeyed) => {
                self.retry = Retry::default();
                state.retry = Retry::default();
                let to_be_switched_on = obeyed.was_off && command.on;
                let left_alone = state.wanted == Aim::LeaveAlone;
                let certain = !to_be_switched_on && !left_alone && !command.doubted;
                state.shown = certain.then_some(Shown { look: command.look, ours: true });
                state.again = obeyed.again.map(|again| now + again);
                // A lamp that does not hear would spoil every command to all.
                state.apart.after_own = *obeyed != Obeyed { again: obeyed.again, ..Obeyed::default() };
            }
            Err(trouble) => self.failed(now, light, trouble),
        }
        self.lights[light].shown.is_some()
    }

    /// Something asked of a light failed: it, or its hub, waits.
    pub fn failed(&mut self, now: Instant, light: usize, trouble: &Trouble) {
        match trouble {
            Trouble::Hub { after, .. } => self.retry.failed(now, *after),
            Trouble::Light { .. } => {
                self.retry = Retry::default();
                self.lights[light].retry.failed(now, None);
            }
            Trouble::Stop { .. } => self.stopped = true,
        }
    }
}

#[cfg(test)]
mod tests;
