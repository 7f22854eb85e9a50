//! The actuator: presences from the broker become lights that show them.
//!
//! # Layout
//! - `knowledge`, `rules`: pure; what is known of the followed accounts, and what a light is to show.
//! - `converge`: pure; one hub's lights, wanted against shown. `drive`: its loop.
//! - `board`: what is wanted and shown; `payload`, `topics`: how that is published.
//! - `device`: the location in Home Assistant.
//! - `role`: puts them together.
//!
//! At its start it sends every light its look once, although the retained topic may say that it shows it:
//! nobody watched the lamp meanwhile.

mod board;
mod converge;
mod device;
mod drive;
mod knowledge;
mod payload;
mod role;
mod rules;
mod topics;

pub use board::{Change, LightState, Observer};
pub use device::device;
pub use role::{Actuator, State};
pub use rules::Status;
