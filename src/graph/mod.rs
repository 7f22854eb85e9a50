//! The presence client of Microsoft Graph: one account, a batch of up to 650, a user's id.
//!
//! Keeps Graph's limit from this side: 1,500 presence calls in 30 s for each application and tenant.

use std::time::Duration;

use crate::entra::{self, Principal, Tokens};
use crate::presence::{ObjectId, Reading};
use crate::settings;

/// The most ids that one getPresencesByUserId takes.
pub const BATCH: usize = 650;

/// What went wrong with Graph, by what to do next. Texts are for people and hold no secret.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Trouble {
    /// Try again by itself, not before this time where Graph said so (429, 503, 5xx, no connection, odd answer).
    #[error("{reason}")]
    Retry {
        /// From Retry-After.
        after: Option<Duration>,
        /// For people, with Graph's request-id.
        reason: String,
    },
    /// Entra gave no token.
    #[error(transparent)]
    Token(#[from] entra::Trouble),
    /// Graph refuses this principal (403, or 401 twice): the right is missing.
    #[error("{reason}")]
    Forbidden {
        /// For people: which permission is missing and who grants it.
        reason: String,
    },
    /// There is no such user (404).
    #[error("{reason}")]
    NoSuchUser {
        /// For people.
        reason: String,
    },
}

/// The client. Cheap to clone.
#[derive(Clone)]
pub struct Client {}

impl Client {
    /// `http` is used for Graph alone (redirects off).
    pub fn new(_graph: &settings::Graph, _http: reqwest::Client, _tokens: Tokens) -> Self {
        todo!()
    }
    /// `GET /me/presence` as a person who signed in; `tenant` is the unit of Graph's limit.
    pub async fn mine(&self, _who: &Principal, _tenant: &str) -> Result<Reading, Trouble> {
        todo!()
    }
    /// `POST /communications/getPresencesByUserId`, at most [`BATCH`] ids. People that Graph leaves out are left out.
    pub async fn presences(&self, _who: &Principal, _tenant: &str, _ids: &[ObjectId]) -> Result<Vec<Reading>, Trouble> {
        todo!()
    }
    /// `GET /users/{name}?$select=id`: needs User.ReadBasic.All.
    pub async fn user_id(&self, _who: &Principal, _tenant: &str, _name: &str) -> Result<ObjectId, Trouble> {
        todo!()
    }
}
