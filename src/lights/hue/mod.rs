//! Philips Hue: hubs, and the lights, rooms and zones on them.
//!
//! # Layout
//! - `hub`: one hub, connected once for all its lights. `client`: the requests to it; `certificate`, `leaf`,
//!   `signify`: whether it is the hub meant.
//! - `find`, `pair`: hubs on the network; an application key for one. `survey`: what hubs hold, for people.
//! - `ability`, `color`: what a lamp can, and what becomes of a colour on it.
//! - `v2`: CLIP v2, in whose terms everything thinks; `v1`: older hubs and look-alikes, translated; `dialect`:
//!   both behind one face.

mod ability;
mod certificate;
mod client;
mod color;
mod dialect;
mod find;
mod hub;
mod leaf;
mod pair;
mod signify;
mod survey;
mod v1;
mod v2;

use std::time::Duration;

pub(super) use self::certificate::is_hub_id;
pub use self::find::{DISCOVERY, FoundHub, Search, find, look_at};
pub use self::hub::HueHub;
pub use self::pair::{NotPaired, Paired, Pairing, Terms, pair};
pub use self::survey::{HubSurvey, Place, Thing, survey};
pub(super) use self::v2::shared::Lights;
pub use self::v2::{HueLight, HueTogether, Watch};
use super::Limits;

/// What Signify asks for: about ten light commands and one group command a second (commands to
/// groups 800 ms apart already stutter), three requests at once.
pub const LIMITS: Limits = Limits { single: Duration::from_millis(100), group: Duration::from_secs(1), at_once: 3 };

/// How long a hub is looked for on the network.
const SEARCH: Duration = Duration::from_secs(4);

/// Where the hub of an id is now, by mDNS.
pub(super) async fn locate(id: &str) -> Option<String> {
    find::locate(id, SEARCH).await
}

/// A shade in sRGB, for lights that know nothing else.
pub(super) fn srgb(shade: crate::settings::Shade) -> [u8; 3] {
    color::to_linear_rgb(ability::point(shade)).map(color::gamma)
}
