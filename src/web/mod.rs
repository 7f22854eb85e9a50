//! One small server in every process that runs a role: `GET /healthz`, `GET /metrics`, and the pages.
//!
//! [`ask`] is the other end, for `graph2mqtt health`.
//!
//! What it tells comes in as a [`Status`], asked for at every request: the roles know nothing of this room.
//!
//! # Layout
//! `server` holds the listener's limits, `site` what one listener serves, `guard` what every request
//! passes, `hosts` our names, `source` where somebody asks from. `health`, `metrics` and `status` are for machines, `pages` for people, with
//! `cookies`, `form` and `password` for what a browser brings.
//!
//! It answers only under names that are its own ([`Hosts`]), so that no web page can reach it by DNS rebinding.

mod client;
mod cookies;
mod form;
mod guard;
mod health;
mod hosts;
mod metrics;
mod pages;
mod password;
mod server;
mod site;
mod source;
mod status;

pub use client::{Unanswered, ask};
pub use health::Source;
pub use hosts::Hosts;
pub use pages::{Bridge, Pages};
pub use server::{Unbound, bind, serve};
pub use site::Site;
pub use status::{Actuator, Health, Status, Verdict};
