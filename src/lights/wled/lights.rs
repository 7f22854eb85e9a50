//! The lights on one strip, and whether two of them have lamps in common: what the configuration calls by a number and
//! by a name can be one segment, which the strip alone knows.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::state;
use crate::presence::Name;
use crate::settings::SHARED_LAMPS;

/// In the order of the configuration.
#[derive(Default)]
pub(super) struct Lights(Mutex<Vec<(Name, Option<String>)>>);

impl Lights {
    pub fn add(&self, light: &Name, segment: Option<&str>) {
        let mut lights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lights.push((light.clone(), segment.map(str::to_owned)));
    }

    /// Why a light with these segments is left alone: one before it has some of them. For people.
    pub fn shared(&self, light: &Name, segments: &[u64], state: &Value) -> Option<String> {
        let lights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let both = |segment: &Option<String>| {
            let theirs = state::segments(state, segment.as_deref()).unwrap_or_default();
            theirs.into_iter().find(|it| segments.contains(it))
        };
        let mut before = lights.iter().take_while(|(name, _)| name != light);
        let (other, number) = before.find_map(|(name, segment)| Some((name, both(segment)?)))?;
        let [why, remedy] = SHARED_LAMPS;
        let both = format!("lights.{light}.target is segment {number} of the strip, as lights.{other}.target is");
        Some(format!("{both}: {why}. {remedy}"))
    }
}
