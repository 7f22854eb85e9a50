//! What a light is to the rules, and the hubs that lights hang on.
//!
//! The rules know [`Light`] and nothing else of a vendor. A [`Hub`] is what shares one set of
//! limits and one fate: a hub with its lights, or a light that is its own hub.

mod check;
pub mod hue;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::presence::Name;
use crate::settings::{Color, Settings};
use crate::store::Store;

pub use check::{Finding, check};

/// What a light shows when the rules do not leave it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Switched off.
    Off,
    /// Switched on.
    On {
        /// sRGB.
        rgb: [u8; 3],
        /// Percent, 1 to 100.
        brightness: u8,
        /// How long the change takes.
        transition: Duration,
    },
}

impl Look {
    /// The look of a configured colour; none where the light is to be left as it is.
    pub fn of(color: &Color) -> Option<Self> {
        match *color {
            Color::Keep => None,
            Color::Off => Some(Self::Off),
            Color::On { rgb, brightness, transition } => Some(Self::On { rgb, brightness, transition }),
        }
    }

    /// Whether a light that shows `other` needs no command: the transition is the way, not the look.
    pub fn looks_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Off, Self::Off) => true,
            (Self::On { rgb, brightness, .. }, Self::On { rgb: other_rgb, brightness: other_brightness, .. }) => {
                (rgb, brightness) == (other_rgb, other_brightness)
            }
            _ => false,
        }
    }
}

/// Which of a hub's limits a command counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// One lamp.
    Single,
    /// A room, a zone, a whole house: many lamps by one command.
    Group,
}

/// The limits that one hub's lights share.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The shortest time between two commands to single lamps.
    pub single: Duration,
    /// The shortest time between two commands to groups.
    pub group: Duration,
    /// The most commands under way at once.
    pub at_once: usize,
}

/// A command that was obeyed, and what was said beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Obeyed {
    /// A lamp did not hear it; the hub took it all the same.
    pub unreachable: bool,
    /// Something was off that was believed to be on: send once more, switching on.
    pub was_off: bool,
    /// For people; none where all is well.
    pub advice: Option<String>,
}

/// Why a command was not obeyed, by what to do next. Texts are for people and hold no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nothing on this hub can be commanded now: all its lights wait.
    #[error("{reason}")]
    Hub {
        /// Not before this time, where the hub said so.
        after: Option<Duration>,
        /// For people.
        reason: String,
    },
    /// This light cannot be commanded now; the others can.
    #[error("{reason}")]
    Light {
        /// For people.
        reason: String,
    },
    /// Nothing helps but a person: the whole hub is left alone until the next start.
    #[error("{reason}")]
    Stop {
        /// For people, with the remedy.
        reason: String,
    },
}

/// What something asked of a light comes to.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, Trouble>> + Send + 'a>>;

/// What a light is to the rules.
pub trait Light: Send + Sync {
    /// Which limit its next command counts against.
    fn load(&self) -> Load;
    /// Connects and looks up what commands need, so that the first one is quick and what is wrong is
    /// known before it.
    fn prepare(&self) -> Asked<'_, ()>;
    /// Makes it show a look. `on`: it is known to be on, so switching on may be left out.
    fn show(&self, look: Look, on: bool) -> Asked<'_, Obeyed>;
}

/// Lights that share limits and fate.
pub struct Hub {
    /// What people call it: the hub's name.
    pub name: Name,
    /// What its lights share.
    pub limits: Limits,
    /// The lights by their names in the configuration.
    pub lights: Vec<(Name, Box<dyn Light>)>,
}

/// Every configured light, by hubs. Nothing is connected yet.
pub fn hubs(settings: &Settings, store: &Store) -> Vec<Hub> {
    let with_lights = |(name, hub): (&Name, &crate::settings::Hub)| {
        let shared = Arc::new(hue::HueHub::new(name.clone(), hub.clone(), store.clone()));
        let lights: Vec<(Name, Box<dyn Light>)> = settings
            .lights
            .iter()
            .filter(|(_, light)| light.hub == *name)
            .map(|(light, it)| {
                let light_on_hub = hue::HueLight::new(shared.clone(), light.clone(), it.target.clone());
                (light.clone(), Box::new(light_on_hub) as Box<dyn Light>)
            })
            .collect();
        Hub { name: name.clone(), limits: hue::LIMITS, lights }
    };
    settings.hubs.iter().map(with_lights).filter(|hub| !hub.lights.is_empty()).collect()
}
