//! The presence client of Microsoft Graph: one account, a batch of up to 650, a user's id.
//!
//! Keeps Graph's limit from this side: 1,500 presence calls in 30 s for each application and tenant.

mod answer;
mod challenge;
mod client;
mod lenient;
mod limit;
mod mended;
mod text;
mod trouble;
mod write;

pub use client::{Calls, Client};
pub use trouble::Trouble;

/// Graph's limit for each application and tenant: 1,500 in any 30 s.
pub const MOST_CALLS_A_MINUTE: u64 = 3_000;

/// The most ids that one getPresencesByUserId takes.
pub const BATCH: usize = 650;
