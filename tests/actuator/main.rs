//! The actuator over real sockets: a real broker, a simulated hub, and presences published as a bridge does.

#![cfg(test)]
#![cfg(feature = "demo")]

mod broker;
mod follow;
mod hands;
mod hubs;
mod members;
mod rules;
#[path = "../support/mod.rs"]
mod support;
mod world;
