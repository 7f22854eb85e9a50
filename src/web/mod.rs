//! One small server in every process that runs a role: `GET /healthz` and `GET /metrics`.
//!
//! [`ask`] is the other end, for `graph2mqtt health`.
//!
//! What it tells comes in as a [`Status`], asked for at every request: the roles know nothing of this room.
//! It answers only under names that are its own ([`Hosts`]), so that no web page can reach it by DNS rebinding.

mod client;
mod hosts;
mod metrics;
mod server;
mod status;

pub use client::{Unanswered, ask};
pub use hosts::Hosts;
pub use server::{Unbound, bind, serve};
pub use status::{Actuator, Health, Status, Verdict};
