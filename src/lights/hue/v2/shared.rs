//! Lights of one hub share no lamps: a lamp is the first one's by the configuration. That two have some in common the hub
//! alone knows, and it changes as people change rooms and zones: so it is asked of what the hub holds, every time.

use std::collections::HashMap;

use super::resources::{Directory, Endpoint, NotFound};
use crate::presence::Name;
use crate::settings::{SHARED_LAMPS, Target};

/// How many lamps are named.
const MOST_NAMED: usize = 5;

/// A hub's lights by their names in the configuration, in its order.
pub(in crate::lights) type Lights = [(Name, Target)];

/// Why commands for a light go nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lights::hue) enum Unserved {
    /// The hub does not have its target.
    Unfound(NotFound),
    /// Another light has lamps of it.
    Shared {
        /// Which light.
        with: usize,
        /// Which lamps.
        lamps: Vec<String>,
    },
}

/// Where commands for each of a hub's lights go. One that is left alone takes no lamps from those behind it.
pub(in crate::lights::hue) fn endpoints<'a>(
    directory: &Directory,
    targets: impl IntoIterator<Item = &'a Target>,
) -> Vec<Result<Endpoint, Unserved>> {
    let mut taken: HashMap<String, usize> = HashMap::new();
    let place = |(light, target): (usize, &Target)| {
        let endpoint = directory.find(target).map_err(Unserved::Unfound)?;
        let ids = || endpoint.lamps.iter().map(|lamp| &lamp.id);
        if let Some(with) = ids().find_map(|id| taken.get(id).copied()) {
            let lamps = ids().filter(|id| taken.get(*id) == Some(&with)).cloned().collect();
            return Err(Unserved::Shared { with, lamps });
        }
        taken.extend(ids().map(|id| (id.clone(), light)));
        Ok(endpoint)
    };
    targets.into_iter().enumerate().map(place).collect()
}

/// Where commands for one of them go.
pub(in crate::lights::hue) fn endpoint(
    directory: &Directory,
    lights: &Lights,
    light: usize,
) -> Result<Endpoint, Unserved> {
    let mut endpoints = endpoints(directory, lights[..=light].iter().map(|(_, target)| target));
    endpoints.pop().expect("there are as many as targets")
}

/// Why a light is left alone that shares lamps, and what to do. For people.
pub(in crate::lights::hue) fn refusal(directory: &Directory, light: &Name, other: &Name, lamps: &[String]) -> String {
    let mut names: Vec<&str> = lamps.iter().map(|lamp| directory.name_of(lamp)).collect();
    names.sort_unstable();
    let more = match names.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    names.truncate(MOST_NAMED);
    let (word, names, [why, _]) = (if lamps.len() == 1 { "lamp" } else { "lamps" }, names.join(", "), SHARED_LAMPS);
    format!(
        "lights.{light}.target has the {word} {names}{more} in common with lights.{other}.target: {why}. Keep one of these \
         lights, which can follow several accounts, or give each lamps of its own: as target a zone without the other's, \
         or single lights"
    )
}
