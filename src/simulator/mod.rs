//! Stand-ins for Entra, Graph, a Hue hub and a broker, over real sockets, for the demo, the tests and the benchmarks.
//!
//! They know the real ones' answers, limits and errors, and go wrong in the ways that a test asks
//! for ([`Fault`]). The rest of the program cannot tell them from the real ones: they are reached
//! by configuration alone, and there is no special path to them.

mod broker;
mod cloud;
mod fallible;
mod fault;
mod guid;
mod hub;
mod log;
mod server;
mod wled;

pub use broker::{Broker, BrokerFailed};
pub use cloud::{Application, Call, Cloud, CodeError, Platform, Refusal, Route, Rules, Shown};
pub use fault::{Fault, What};
pub use hub::{Certificate, Change, Command, Gamut, Hub, Kind, LampState, Limits, Plan, Request, Root};
pub use log::{Late, Log};
pub use wled::Wled;
