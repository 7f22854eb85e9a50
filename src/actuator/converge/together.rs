//! One command for several lights, where they are all that a room, zone or group has and want the same.
//!
//! A group takes one command a second, a lamp ten: a command to a group must not delay a light that could go
//! sooner. So it is sent only when it can go at once, and never where a light of the hub is itself a group,
//! which might want that second. Otherwise the lights go one by one, as the hub takes them.

use std::sync::Arc;
use std::time::Instant;

use super::{Aim, Command, Convergence, State, Step};
use crate::lights::{Load, Look};

/// From so many lights on, one command is better than theirs.
const FEWEST: usize = 2;

impl Convergence {
    /// The sets of lights that one command can serve, the largest first.
    pub fn know_sets(&mut self, sets: Arc<[Vec<usize>]>) {
        self.sets = sets;
    }

    /// Whether something is to be read of a light before its next command, so that it needs one of its own.
    pub fn set_apart(&mut self, light: usize, apart: bool) {
        self.lights[light].apart.by_rule = apart;
    }

    /// A command to several lights ended, and it is not known whether this one obeyed: it is asked by itself.
    pub fn parted(&mut self, now: Instant, light: usize) {
        let state = &mut self.lights[light];
        state.under_way = None;
        state.shown = None;
        state.apart.after_own = true;
        self.group.ended(now);
    }

    /// One command for several lights, where it can go now.
    pub(super) fn together(&mut self, now: Instant, load: impl Fn(usize) -> Load) -> Option<Step> {
        let is_over = |at: Option<Instant>| at.is_none_or(|at| at <= now);
        if self.sets.is_empty() || !is_over(self.retry.at) || !is_over(self.group.free()) {
            return None;
        }
        if (0..self.lights.len()).any(|light| load(light) == Load::Group) {
            return None;
        }
        let (lights, look) = self.sets.iter().find_map(|set| Some((set.clone(), self.common_look(set, now)?)))?;
        let on = lights.iter().all(|light| self.lights[*light].is_on());
        self.group.sent(now);
        for light in &lights {
            let command = Command { look: look.clone(), load: Load::Group, on, doubted: false };
            self.lights[*light].sent(now, command);
        }
        Some(Step::Together { lights, look, on })
    }

    /// What all of a set are to be sent.
    fn common_look(&self, set: &[usize], now: Instant) -> Option<Look> {
        let look_of = |light: &usize| self.lights[*light].common_look(now);
        let look = look_of(set.first()?)?;
        (set.len() >= FEWEST && set[1..].iter().all(|light| look_of(light) == Some(look))).then(|| look.clone())
    }
}

impl State {
    /// What it is to be sent now, where that can be said to many at once: an effect, a scene, and what was seen
    /// of a lamp before are its own.
    fn common_look(&self, now: Instant) -> Option<&Look> {
        let is_apart = self.apart.after_own || self.apart.by_rule || self.retry.at.is_some_and(|at| at > now);
        let (Aim::Show(look), false, None) = (&self.wanted, is_apart, &self.under_way) else { return None };
        let is_shown = self.shown.as_ref().is_some_and(|shown| shown.look.looks_like(look));
        let is_common = matches!(look, Look::Off | Look::On { effect: None, .. });
        (is_common && !is_shown).then_some(look)
    }
}
