//! One hub's convergence: wanted against shown. Pure: time is passed in, commands are handed out.
//!
//! The newest wish of a light replaces every older one, so a burst costs one command for each light
//! and limit window. What is wanted counts as shown when the hub said so, and not before: a command
//! whose fate is unknown is sent again. Lights share the hub's limits by whose turn is longest ago.

use std::time::{Duration, Instant};

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
    single_free: Option<Instant>,
    group_free: Option<Instant>,
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

impl State {
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
            single_free: None,
            group_free: None,
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
        let under_way = self.lights.iter().filter(|state| state.under_way.is_some()).count();
        // A hub in trouble is tried with one command, not with all that wait for it.
        let at_once = if self.retry.is_failing() { 1 } else { self.limits.at_once };
        if self.stopped || under_way >= at_once {
            return Step::Wait(None);
        }
        let group_under_way =
            self.lights.iter().any(|state| state.under_way.as_ref().is_some_and(|command| command.load == Load::Group));
        let mut soonest: Option<Instant> = None;
        let mut chosen: Option<(Option<Instant>, usize, Command)> = None;
        for (light, state) in self.lights.iter().enumerate() {
            let Some((look, not_before)) = state.due() else { continue };
            let load = load(light);
            if load == Load::Group && group_under_way {
                continue;
            }
            let limit = if load == Load::Group { self.group_free } else { self.single_free };
            let ready = [self.retry.at, state.retry.at, limit, not_before].into_iter().flatten().max();
            if let Some(ready) = ready.filter(|ready| *ready > now) {
                soonest = Some(soonest.map_or(ready, |soonest| soonest.min(ready)));
                continue;
            }
            let on = state.shown.as_ref().is_some_and(|shown| shown.ours && shown.look.is_on());
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
        match command.load {
            Load::Group => self.group_free = Some(now + self.limits.group),
            Load::Single => self.single_free = Some(now + self.limits.single),
        }
        let state = &mut self.lights[light];
        let step = Step::Send { light, look: command.look.clone(), on: command.on };
        state.under_way = Some(command);
        state.last_sent = Some(now);
        (state.shown, state.again) = (None, None);
        step
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
            // It may have reached the hub as late as now; the next one must not come too close behind it.
            let earliest = now + self.limits.group.mul_f64(0.9);
            self.group_free = self.group_free.max(Some(earliest));
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
