//! The actuator: presences from the broker become lights that show them.
//!
//! Any number of actuators may share a location. The broker says who acts first, and no more: every member
//! knows all, and whoever sees that nobody acted does.
//!
//! # Layout
//! - `knowledge`, `rules`, `hours`: pure; what is known of the followed accounts, and what a light is to show.
//! - `common`: pure; what a location's members know together of a light. `duty`: pure; who of them acts.
//! - `entry`: pure; one light: what is wanted, shown and seen. `mind`: pure; all of it for one member.
//! - `converge`: pure; one hub's lights, wanted against shown, at the `pace` that the hub takes. `drive`: its
//!   loop; `complaints`: what it says.
//! - `board`: where the mind and the hubs' loops meet; `payload`, `topics`: how that is published.
//! - `requests`: what others ask. `device`: the location in Home Assistant. `role`: puts them together.
//!
//! At its start it sends every light its look once, although the retained topic may say that it shows it:
//! nobody watched the lamp meanwhile.

mod board;
mod common;
mod complaints;
mod converge;
mod device;
mod drive;
mod duty;
mod entry;
mod hours;
mod knowledge;
mod mind;
#[cfg(test)]
mod model;
mod pace;
mod payload;
mod requests;
mod role;
mod rules;
mod topics;

pub use crate::lights::{Condition, HubState, NotPaired, Pairings, Progress};
pub use board::{Clock, LightState};
pub use device::device;
pub use role::{Actuator, State};
pub use topics::subscriptions;
