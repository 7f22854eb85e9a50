//! When to poll, what changed, what to publish.
//!
//! [`run`] is the whole of it: it polls Graph for every account of the configuration and keeps the
//! retained topics of the base topic true until it is told to stop.
//!
//! # Layout
//! Pure, told the time: `agenda` (who is asked for when), `pace` (how long until the next time),
//! `account` (what an answer makes of an account), `sequence`, `contest` (whose the base topic is).
//! `view` is what the pages show of accounts. What is published: `board` (rendered by the connection), `layout` (in which order), `topics`,
//! `sign_in`, `info`. `requests` is what others ask for, `control` what of it concerns the process. `readback` is what a start finds at the broker, `opening`
//! what follows from it. `running` is the loop, with
//! `polls` for Graph's side, `broker` for the broker's, `codes` for sign-ins under way, `devices` for what
//! Home Assistant is told, `vitals` for what health tells.

mod account;
mod agenda;
mod board;
mod broker;
mod codes;
mod contest;
mod control;
mod crew;
mod devices;
mod info;
mod jobs;
mod layout;
mod monitor;
mod opening;
mod pace;
mod plan;
mod polls;
mod readback;
mod requests;
mod running;
mod sequence;
mod sign_in;
mod talk;
mod topics;
mod view;
mod vitals;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use broker::subscriptions;
pub use control::{Control, LEVELS, LogLevel, Restart};
pub use devices::{with, with_account};
pub use monitor::{Change, Monitor, Snapshot};
pub use view::{AccountView, Listing, Obstacle};

use crate::entra::Tokens;
use crate::graph;
use crate::settings::Settings;
use crate::store::Store;

/// What a bridge is made of.
pub struct Parts {
    /// The configuration.
    pub settings: Arc<Settings>,
    /// The instance, and the sequence's ceiling.
    pub store: Store,
    /// Asked every few seconds whether another process changed a grant.
    pub tokens: Tokens,
    /// The way to Graph, with the same tokens.
    pub graph: graph::Client,
    /// What others see of the bridge.
    pub monitor: Monitor,
    /// Ends it cleanly.
    pub shutdown: CancellationToken,
    /// What requests may do to the process.
    pub control: Control,
}

/// Why a bridge does not run. A broker or Graph that does not answer is no reason: it waits for them.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration has to change first.
    #[error("{0}")]
    Misconfigured(String),
    /// Something else has to.
    #[error("{0}")]
    Unable(String),
}

/// Runs until the shutdown; then `offline` is published and nothing cut.
pub async fn run(parts: Parts) -> Result<(), Failure> {
    running::Bridge::start(parts).await?.run().await
}
