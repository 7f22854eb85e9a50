//! The presence that a person prefers to show, instead of the one that Teams works out.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Activity, Availability};

/// The pairs that Graph's setUserPreferredPresence takes, by the name of the availability.
pub const PREFERRED: &[(&str, (Availability, Activity))] = &[
    ("Available", (Availability::AVAILABLE, Activity::AVAILABLE)),
    ("Busy", (Availability::BUSY, Activity::BUSY)),
    ("DoNotDisturb", (Availability::DO_NOT_DISTURB, Activity::DO_NOT_DISTURB)),
    ("BeRightBack", (Availability::BE_RIGHT_BACK, Activity::BE_RIGHT_BACK)),
    ("Away", (Availability::AWAY, Activity::AWAY)),
    ("Offline", (Availability::OFFLINE, Activity::OFF_WORK)),
];

/// A preferred presence that was set through us. Graph does not tell which is set, so that it counts as
/// shown while the presence that Graph tells is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preferred {
    /// One of [`PREFERRED`].
    pub availability: Availability,
    /// When it ends by itself.
    pub expires: Timestamp,
}
