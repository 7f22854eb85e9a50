//! The actuator over real sockets: a real broker, a simulated hub, and presences published as a bridge does.

#![cfg(test)]
#![cfg(feature = "demo")]

mod broker;
mod changes;
mod effects;
mod follow;
mod hands;
mod hours;
mod hubs;
mod members;
mod restoring;
mod rules;
mod shared;
#[path = "../support/mod.rs"]
mod support;
mod together;
mod wled;
mod world;
