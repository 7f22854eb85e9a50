//! The segments of a strip that are not meant, while a segment is lit of a strip that was off.
//!
//! A strip that is switched on lights every segment whose own `on` is true, and most are so while it is off. So the others
//! are darkened by the command that lights the one, and when nothing is lit any more the strip goes off as a
//! whole, with every `on` as it was: whoever switches it on then finds what they had. How they stood goes with what a light
//! showed before it was touched (`"rest":{"0":true,"1":true}`), so that it outlives the process.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::state::{REST, is_on, number, parts, switch};
use crate::lights::Seen;

/// How the segments' own switches stood when the strip was last off.
#[derive(Default)]
pub(super) struct Rest(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    kept: Option<Kept>,
    /// This process lit segments of a strip that was off: nobody knows better.
    has_lit: bool,
}

struct Kept {
    switches: BTreeMap<u64, bool>,
    /// It is on for segments that are lights of ours, and for nobody else.
    is_lit: bool,
    /// Segments that we darkened are dark, though the strip is off by somebody else.
    is_owed: bool,
}

impl Rest {
    /// A reading. Another member of the location may have lit a segment since the last one: nobody else darkens others
    /// where they switch the strip on.
    pub fn read(&self, state: &Value) {
        let now: BTreeMap<u64, bool> = parts(state).filter_map(|part| Some((number(part)?, switch(part)))).collect();
        let mut memory = self.lock();
        let kept = &mut memory.kept;
        let before = kept.take();
        let was_on = |id: &u64| before.as_ref().is_some_and(|before| before.switches.get(id) == Some(&true));
        let is_lit = before.as_ref().is_some_and(|before| before.is_lit || before.is_owed);
        if !is_on(state) {
            // Whom we darkened and who was not lit again is as it was before.
            let switches: BTreeMap<u64, bool> =
                now.iter().map(|(id, on)| (*id, *on || (is_lit && was_on(id)))).collect();
            let is_owed = switches != now;
            *kept = Some(Kept { switches, is_lit: false, is_owed });
        } else if is_lit || now.iter().any(|(id, on)| !on && was_on(id)) {
            *kept = before.map(|before| Kept { is_lit: true, ..before });
        }
    }

    /// Segments were lit of a strip that was off.
    pub fn lit(&self) {
        let mut memory = self.lock();
        memory.has_lit = true;
        if let Some(kept) = memory.kept.as_mut() {
            kept.is_lit = true;
        }
    }

    /// Keeps how they stood with what a dark light showed.
    pub fn keep_with(&self, Seen(lamps): &mut Seen) {
        let Some(Kept { switches, .. }) = &self.lock().kept else { return };
        let rest: Value = switches.iter().map(|(id, on)| (id.to_string(), json!(on))).collect();
        for lamp in lamps.iter_mut().filter(|lamp| lamp.on == Some(false)) {
            if let Some(other) = lamp.other.as_mut().and_then(Value::as_object_mut) {
                other.insert(REST.to_owned(), rest.clone());
            }
        }
    }

    /// How they stood before a process that is gone lit segments of the strip, as it was kept with what a light showed.
    pub fn recall(&self, Seen(lamps): &Seen) {
        let rest = lamps.iter().filter_map(|lamp| lamp.other.as_ref()?.get(REST)?.as_object()).flatten();
        let switches: BTreeMap<u64, bool> =
            rest.filter_map(|(id, on)| Some((id.parse().ok()?, on.as_bool()?))).collect();
        let mut memory = self.lock();
        if memory.has_lit || switches.is_empty() {
            return;
        }
        match &mut memory.kept {
            None => memory.kept = Some(Kept { switches, is_lit: true, is_owed: false }),
            Some(kept) if kept.is_lit => {}
            // It is off: whoever was on then and is dark now was darkened for us.
            Some(kept) => {
                for (id, _) in switches.into_iter().filter(|(_, on)| *on) {
                    kept.is_owed |= kept.switches.insert(id, true) != Some(true);
                }
            }
        }
    }

    /// The whole strip off, with every switch as it was, where only these segments are still lit and the strip was off
    /// before them. Where that is not known, as after a restart, the switches stay as they are.
    pub fn put_back(&self, state: &Value, segments: &[u64]) -> Option<Value> {
        let is_other = |part: &&Value| number(part).is_some_and(|id| !segments.contains(&id));
        if parts(state).filter(is_other).any(switch) {
            return None;
        }
        match &self.lock().kept {
            Some(kept) if kept.is_lit => Some(kept.as_before(state)),
            Some(_) => None,
            None => Some(json!({"on": false})),
        }
    }

    /// The same of a strip that is off already, where segments that we darkened are dark still.
    pub fn owed(&self, state: &Value) -> Option<Value> {
        self.lock().kept.as_ref().filter(|kept| kept.is_owed).map(|kept| kept.as_before(state))
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn as_before(&self, state: &Value) -> Value {
        let on = |id: u64| self.switches.get(&id).copied().unwrap_or(true);
        let switches = parts(state).filter_map(number).map(|id| json!({"id": id, "on": on(id)}));
        // At once: in a transition the others would glow.
        json!({"on": false, "tt": 0, "seg": switches.collect::<Vec<_>>()})
    }
}

/// Such a command, with a look for some of its segments beside: their switches are as it says.
pub(super) fn with_look(mut back: Value, look: &Value) -> Value {
    if back.get("seg").is_none() {
        back["seg"] = look["seg"].clone();
    }
    for part in back["seg"].as_array_mut().into_iter().flatten() {
        let look = parts(look).find(|look| number(look) == number(part)).and_then(Value::as_object);
        for (name, value) in look.into_iter().flatten().filter(|(name, _)| *name != "on") {
            part[name] = value.clone();
        }
    }
    back
}

/// Adds to a command that switches the strip on for these segments: the others stay dark where it was off.
pub(super) fn keep_dark(command: &mut Value, state: &Value, segments: &[u64]) {
    let is_other = |part: &&Value| number(part).is_some_and(|id| !segments.contains(&id));
    let others: Vec<Value> = parts(state)
        .filter(is_other)
        .filter(|part| switch(part))
        .map(|part| json!({"id": part["id"], "on": false}))
        .collect();
    if let (false, Some(parts)) = (others.is_empty(), command["seg"].as_array_mut()) {
        parts.extend(others);
        // At once: in a transition the others would glow.
        command["tt"] = json!(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip(on: bool, switches: [bool; 2]) -> Value {
        json!({"on": on, "seg": [{"id": 0, "on": switches[0]}, {"id": 1, "on": switches[1]}]})
    }

    #[test]
    fn who_was_darkened_is_not_forgotten_when_somebody_switches_the_strip_off() {
        let rest = Rest::default();
        rest.read(&strip(false, [true, true]));
        rest.lit();
        rest.read(&strip(true, [false, true]));
        for _ in 0..3 {
            rest.read(&strip(false, [false, true]));
        }
        let owed = rest.owed(&strip(false, [false, true])).unwrap();
        assert_eq!(owed["seg"], strip(false, [true, true])["seg"]);
        rest.read(&strip(false, [true, true]));
        assert_eq!(rest.owed(&strip(false, [true, true])), None);
    }

    #[test]
    fn what_was_kept_of_a_strip_that_somebody_switched_off_meanwhile_is_owed() {
        let kept = || {
            let lit = Rest::default();
            lit.read(&strip(false, [true, false]));
            let mut seen = super::super::state::seen(&strip(false, [true, false]), Some("1"));
            lit.keep_with(&mut seen);
            seen
        };
        let rest = Rest::default();
        rest.read(&strip(false, [false, false]));
        rest.recall(&kept());
        assert_eq!(rest.owed(&strip(false, [false, false])).unwrap()["seg"], strip(false, [true, false])["seg"]);
        let knows_better = Rest::default();
        knows_better.read(&strip(false, [false, true]));
        knows_better.lit();
        knows_better.read(&strip(false, [false, true]));
        knows_better.recall(&kept());
        assert_eq!(knows_better.owed(&strip(false, [false, true])), None);
    }

    #[test]
    fn a_strip_of_which_nothing_is_known_goes_off_with_its_switches_as_they_are() {
        let rest = Rest::default();
        assert_eq!(rest.put_back(&strip(true, [false, true]), &[1]), Some(json!({"on": false})));
        assert_eq!(rest.put_back(&strip(true, [true, true]), &[1]), None, "another segment is lit");
    }
}
