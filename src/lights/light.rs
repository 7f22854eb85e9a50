//! What a light is to the rules: the seam between them and every kind of light.
//!
//! | kind | colour, white, brightness | `breathe`, `blink` | scenes | events |
//! |---|---|---|---|---|
//! | `hue`, CLIP v2 | each lamp by itself, in its gamut; mixed groups too | by the hub's alert and signaling | of the target's room or zone | as they happen |
//! | `hue`, CLIP v1 | as v2 | `breathe` alone, which `blink` becomes | of the target's room | asked for every 3 s |
//! | `wled` | sRGB, the strip or a segment | WLED's effects | presets, of the whole strip | asked for every 5 s |
//!
//! One call is one step of a few commands within the hub's limits; where something is to follow (an effect
//! behind its colour, an effect that must be renewed), the answer says when to call again.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{Look, Seen, Standing};

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
    /// The look is shown, and its effect wants another call of [`Light::show`] with the same look and `on`,
    /// not before this time, for as long as it is the look wanted.
    pub again: Option<Duration>,
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
    /// Nothing helps but a person: the whole hub is left alone until [`Event::Mended`].
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
    /// Makes it show a look. `on`: it is known to be on, so switching on may be left out, and so may the
    /// whole command where it changes nothing.
    fn show(&self, look: Look, on: bool) -> Asked<'_, Obeyed>;
    /// A look's effect that ends by itself was begun so long ago, by another actuator or before our start: where
    /// it is not known when it began, it ends when it was to end. Said before [`Self::show`].
    fn has_begun(&self, _look: &Look, _ago: Duration) {}
    /// What it shows now.
    fn read(&self) -> Asked<'_, Seen>;
    /// Whether what was seen is what a look makes of this light; of an event, whether nothing in it speaks
    /// against that. It is how a person's hand is told from an echo of our own commands. What cannot be
    /// told (a lamp that is not known or out of reach, a scene that moves, or of which its hub tells nothing) speaks
    /// not against it.
    fn agrees(&self, look: &Look, seen: &Seen) -> bool;
    /// Whether what was read can be nothing else than what a look makes of this light: here, what cannot be told speaks
    /// against it. It is how a light that nobody touched is told from one that somebody did.
    fn surely_shows(&self, look: &Look, seen: &Seen) -> bool;
    /// Flashes for some seconds, also when it is off, and shows then what it showed before.
    fn flash(&self) -> Asked<'_, Obeyed>;
}

/// Lights of a hub that one command can serve. Lights are told by their places among the hub's.
pub trait Together: Send + Sync {
    /// Sets of lights that are all there is in a room, zone or group, the largest first, as far as is known.
    fn sets(&self) -> Arc<[Vec<usize>]>;
    /// As [`Light::show`], of all lights of a set at once. An answer with a word beside tells not which of them it
    /// means: each is asked by itself then.
    fn show<'a>(&'a self, set: &'a [usize], look: Look, on: bool) -> Asked<'a, Obeyed>;
}

/// What a hub tells of its lights by itself. `light` is the place among the hub's lights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something changed: by our command, by another actuator's, or by a person. See [`Light::agrees`].
    Changed {
        /// Which light.
        light: usize,
        /// What was told.
        seen: Seen,
    },
    /// The same, told late: of a time in which nobody listened.
    ChangedBefore {
        /// Which light.
        light: usize,
        /// What was told.
        seen: Seen,
    },
    /// A lamp of it is out of reach.
    Lost {
        /// Which light.
        light: usize,
        /// Which of its lamps, by what its hub knows them; none: all of it.
        lamps: Vec<Box<str>>,
    },
    /// A lamp of it is back, such as after a loss of power, in whatever look it has after one: show it once more.
    Back {
        /// Which light.
        light: usize,
    },
    /// The same, where it is told which lamps: what is seen of others has another cause.
    LampsBack {
        /// Which light.
        light: usize,
        /// Which of its lamps, by what its hub knows them.
        lamps: Vec<Box<str>>,
    },
    /// Changes may have been missed: at the first connection, and after a gap. Read every light again.
    Missed,
    /// Lights, rooms or their names are others than before: whoever's target is none any more is told why. Of a light
    /// whose target is something else by now, [`Event::Back`] follows.
    Rearranged,
    /// Everything is [`Trouble::Stop`] by now: whoever asks for anything is told why.
    Stopped,
    /// What made everything [`Trouble::Stop`] is over, such as when somebody paired: try again.
    Mended,
}

/// Where a hub's events come from.
pub trait Source: Send + Sync {
    /// How the hub stands, where it is one that is paired.
    fn standing(&self) -> Option<Standing> {
        None
    }
    /// Somebody paired the hub: it is tried again at once.
    fn was_paired(&self) {}
    /// Tells what happens, until the receiver is gone. Reconnects by itself; what fails is told by commands.
    fn watch(&self, events: tokio::sync::mpsc::Sender<Event>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}
