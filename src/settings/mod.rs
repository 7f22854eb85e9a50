//! The typed configuration: what every other room is told. Keys are a contract with users.
//!
//! Values come from defaults, the YAML file, secrets from files (`x_file`), the environment
//! (`GRAPH2MQTT_…__…`) and flags, in that order.

mod types;

pub use types::*;
