//! The segments of a strip that are not meant, while a segment is lit of a strip that was off.
//!
//! A strip that is switched on lights every segment whose own `on` is true, and most are so while it is off. So the others
//! are darkened by the command that lights the one, and when nothing is lit any more the strip goes off as a
//! whole, with every `on` as it was: whoever switches it on then finds what they had.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::state::{is_on, number, parts, switch};

/// How the segments' own switches stood when the strip was last off.
#[derive(Default)]
pub(super) struct Rest(Mutex<Option<Kept>>);

struct Kept {
    switches: BTreeMap<u64, bool>,
    /// It is on for segments that are lights of ours, and for nobody else.
    is_lit: bool,
}

impl Rest {
    /// A reading. Another member of the location may have lit a segment since the last one: nobody else darkens others
    /// where they switch the strip on.
    pub fn read(&self, state: &Value) {
        let now: BTreeMap<u64, bool> = parts(state).filter_map(|part| Some((number(part)?, switch(part)))).collect();
        let mut kept = self.lock();
        let before = kept.take();
        let was_on = |id: &u64| before.as_ref().is_some_and(|before| before.switches.get(id) == Some(&true));
        let is_lit = before.as_ref().is_some_and(|before| before.is_lit);
        if !is_on(state) {
            // Whom we darkened and who was not lit again is as it was before.
            let switches = now.iter().map(|(id, on)| (*id, *on || (is_lit && was_on(id)))).collect();
            *kept = Some(Kept { switches, is_lit: false });
        } else if is_lit || now.iter().any(|(id, on)| !on && was_on(id)) {
            *kept = before.map(|before| Kept { is_lit: true, ..before });
        }
    }

    /// Segments were lit of a strip that was off.
    pub fn lit(&self) {
        if let Some(kept) = self.lock().as_mut() {
            kept.is_lit = true;
        }
    }

    /// The whole strip off, with every switch as it was, where only these segments are still lit and the strip was off
    /// before them.
    pub fn put_back(&self, state: &Value, segments: &[u64]) -> Option<Value> {
        let kept = self.lock();
        let kept = kept.as_ref().filter(|kept| kept.is_lit)?;
        let is_other = |part: &&Value| number(part).is_some_and(|id| !segments.contains(&id));
        if parts(state).filter(is_other).any(switch) {
            return None;
        }
        let switches = parts(state).filter_map(number);
        let on = |id: u64| kept.switches.get(&id).copied().unwrap_or(true);
        // At once: in a transition the others would glow.
        Some(
            json!({"on": false, "tt": 0, "seg": switches.map(|id| json!({"id": id, "on": on(id)})).collect::<Vec<_>>()}),
        )
    }

    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Such a command, with a look for some of its segments beside: their switches are as it says.
pub(super) fn with_look(mut back: Value, look: &Value) -> Value {
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
