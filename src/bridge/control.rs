//! What a running bridge may do to the process that it runs in: handed in, so that nothing is global.

use std::sync::Arc;

/// The log's levels, the most silent last.
pub const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace", "off"];

/// How much the process logs.
pub trait LogLevel: Send + Sync {
    /// One of [`LEVELS`].
    fn level(&self) -> &'static str;
    /// Another one from now on. The error is for people.
    fn set(&self, level: &str) -> Result<(), String>;
}

/// Asks for a new start. The error is for people, and may be read by anybody on the broker.
pub type Restart = dyn Fn() -> Result<(), String> + Send + Sync;

/// What is there. A process that can do none of it is a default one.
#[derive(Clone, Default)]
pub struct Control {
    /// The log.
    pub log: Option<Arc<dyn LogLevel>>,
    /// Starts the process anew, behind a clean end; or says why not.
    pub restart: Option<Arc<Restart>>,
}
