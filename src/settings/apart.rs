//! Lights of one WLED share no lamps, as far as that can be told without asking the strip.

use std::collections::BTreeMap;

use super::reader::Reader;
use super::types::Light;
use crate::presence::Name;

/// Why that is refused, and what to do.
pub const SHARED_LAMPS: [&str; 2] = [
    "each would take the other's commands for a person's hand, and what the other showed for what was there before",
    "Give each a segment of its own as target, or keep one: a light can follow several accounts.",
];
/// Why also where the lights never follow at one time.
const HOURS: &str = " (hours that exclude each other do not part them: outside its own a light is still restored, \
     switched off, or left as people want it)";

pub(super) fn apart(reader: &mut Reader, lights: &BTreeMap<Name, Option<Light>>) {
    let known = |(name, light)| Some((name, Option::as_ref(light)?));
    let lights: Vec<(&Name, &Light)> = lights.iter().filter_map(known).filter(|(_, it)| it.wled.is_some()).collect();
    for (at, (name, light)) in lights.iter().enumerate() {
        let Some((other, twin)) = lights[..at].iter().find(|(_, it)| share_lamps(it, light)) else { continue };
        let hours = if light.hours.is_some() && twin.hours.is_some() { HOURS } else { "" };
        let [why, remedy] = SHARED_LAMPS;
        let problem = format!("is the strip of lights.{other} too, and they share lamps: {why}{hours}");
        reader.clash(&format!("lights.{name}.wled"), problem, remedy);
    }
}

fn share_lamps(one: &Light, other: &Light) -> bool {
    let [one_target, other_target] = [one, other].map(|light| light.target.name.to_lowercase());
    one.wled == other.wled && (one_target == other_target || one_target.is_empty() || other_target.is_empty())
}
