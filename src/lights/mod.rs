//! What a light is to the rules, and the hubs that lights hang on.
//!
//! The rules know [`Light`] and nothing else of a vendor. A [`Hub`] is what shares one set of
//! limits and one fate: a hub with its lights, or a strip with its segments.

mod body;
mod check;
pub mod hue;
mod light;
mod look;
mod pairings;
mod standing;
mod stopped;
mod survey;
pub mod wled;

use std::sync::Arc;

use crate::presence::Name;
use crate::settings::{self, Color, Settings};
use crate::store::Store;

pub use check::{Finding, check};
pub use hue::NotPaired;
pub use light::{Asked, Event, Light, Limits, Load, Obeyed, Source, Together, Trouble};
pub use look::{Lamp, Look, Seen};
pub use pairings::{HubState, Pairings, Progress};
pub use standing::{Condition, Standing};
pub use survey::{Configured, NoSuchHub, Survey, hub_named, survey};

/// Lights that share limits and fate.
pub struct Hub {
    /// What people call it: the hub's name.
    pub name: Name,
    /// What its lights share.
    pub limits: Limits,
    /// The lights by their names in the configuration.
    pub lights: Vec<(Name, Box<dyn Light>)>,
    /// What it tells by itself.
    pub source: Arc<dyn Source>,
    /// Those of its lights that one command can serve.
    pub together: Option<Arc<dyn Together>>,
}

/// Every configured light, by hubs. Nothing is connected yet.
pub fn hubs(settings: &Settings, store: &Store) -> Vec<Hub> {
    let with_lights = |(name, hub): (&Name, &settings::Hub)| {
        let shared = Arc::new(hue::HueHub::new(name, hub.clone(), store.clone()));
        let here = || on(settings, name.as_str());
        let targets = targets(settings, name.as_str());
        let on_hub = |(place, (_, it)): (usize, (&Name, &settings::Light))| {
            let has_effects = settings.colors_of(it).any(|color| matches!(color, Color::On { effect: Some(_), .. }));
            Arc::new(hue::HueLight::new(shared.clone(), targets.clone(), place, has_effects))
        };
        let all: Vec<Arc<hue::HueLight>> = here().enumerate().map(on_hub).collect();
        let boxed = |light: &Arc<hue::HueLight>| Box::new(light.clone()) as Box<dyn Light>;
        let lights = here().map(|(light, _)| light.clone()).zip(all.iter().map(boxed)).collect();
        let together: Arc<dyn Together> = Arc::new(hue::HueTogether::new(shared.clone(), all));
        let scenes = |light: &settings::Light| -> Vec<_> {
            let names = settings.colors_of(light).filter_map(check::scene).map(|(name, _)| name.to_owned());
            names.map(|name| (light.target.clone(), name)).collect()
        };
        let watch = hue::Watch::new(shared, targets.iter().map(|(_, target)| target.clone()).collect());
        let source = Arc::new(watch.with_scenes(here().flat_map(|(_, light)| scenes(light)).collect()));
        Hub { name: name.clone(), limits: hue::LIMITS, lights, source, together: Some(together) }
    };
    settings.hubs.iter().map(with_lights).filter(|hub| !hub.lights.is_empty()).chain(strips(settings)).collect()
}

/// The lights on a hub.
fn on<'a>(settings: &'a Settings, hub: &str) -> impl Iterator<Item = (&'a Name, &'a settings::Light)> {
    settings.lights.iter().filter(move |(_, light)| light.wled.is_none() && light.hub.as_str() == hub)
}

/// What they are on it.
fn targets(settings: &Settings, hub: &str) -> Arc<hue::Lights> {
    on(settings, hub).map(|(name, light)| (name.clone(), light.target.clone())).collect()
}

/// Every WLED strip is its own hub, with all lights that are at its address. People call it by the first one's name.
fn strips(settings: &Settings) -> Vec<Hub> {
    let at = |host: &str| -> Vec<(&Name, &settings::Light)> {
        settings.lights.iter().filter(|(_, light)| light.wled.as_deref() == Some(host)).collect()
    };
    let of_first = |(name, light): (&Name, &settings::Light)| {
        let host = light.wled.as_deref()?;
        let lights = at(host);
        (lights[0].0 == name).then(|| strip(name, host, &lights))
    };
    settings.lights.iter().filter_map(of_first).collect()
}

fn strip(name: &Name, host: &str, lights: &[(&Name, &settings::Light)]) -> Hub {
    let strip = wled::Strip::new(name, host);
    let source = Arc::new(strip.watch(lights.iter().map(|(_, light)| segment(light)).collect()));
    let boxed = |(name, light): &(&Name, &settings::Light)| {
        let it: Box<dyn Light> = Box::new(strip.light(name, segment(light)));
        ((*name).clone(), it)
    };
    Hub { name: name.clone(), limits: wled::LIMITS, lights: lights.iter().map(boxed).collect(), source, together: None }
}

/// The segment that a light on a strip is; none where it is the strip.
fn segment(light: &settings::Light) -> Option<String> {
    Some(light.target.name.clone()).filter(|segment| !segment.is_empty())
}
