//! Microsoft Teams presence from Graph to MQTT, Home Assistant and Philips Hue.
//!
//! # Layout
//! Data goes one way; each room uses only the rooms that stand before it in this list (CONTRIBUTING.md has the map).
//!
//! - [`presence`]: the domain, no I/O: availability, activity, a presence, which of several counts.
//! - [`settings`]: the typed configuration, and errors that name the wrong key and where it came from.
//! - [`store`]: accounts, their sealed token caches, the sequence, hubs' pins.
//! - [`entra`]: sign-in and the life of tokens.
//! - [`graph`]: the presence client: one account, a batch, throttling.
//! - [`mqtt`]: one connection to the broker: the wanted retained state, reconnects, subscriptions, the will.
//! - [`discovery`]: Home Assistant's discovery payloads from `ha-discovery/*.yaml`.
//! - [`bridge`]: when to poll, what changed, what to publish.
//! - [`lights`]: what a light is to the rules; Philips Hue.
//! - [`actuator`]: from presences to the light wanted, and the light's convergence to it.
//! - [`web`]: health and metrics of a running process.
//! - [`simulator`]: stand-ins for Entra, Graph, a hub and a broker, for the demo, the tests and the benchmarks.
//! - [`commands`]: the command line; wires the rooms together.

pub mod actuator;
pub mod bridge;
pub mod commands;
pub mod discovery;
pub mod entra;
pub mod graph;
pub mod lights;
pub mod mqtt;
pub mod presence;
pub mod settings;
#[cfg(feature = "demo")]
pub mod simulator;
pub mod store;
pub mod web;
