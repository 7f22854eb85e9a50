//! Sign-in and the life of tokens: device code, client credentials, refresh.
//!
//! The kinds of [`Trouble`] say what the caller does next; AADSTS numbers only choose the words.

use std::time::Duration;

use secrecy::SecretString;

use crate::presence::AccountName;
use crate::settings;
use crate::store::Store;

/// By whose right Graph is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A person who signed in under this account's name.
    Account(AccountName),
    /// The application itself, in this tenant (domain or id).
    Application(Box<str>),
}

/// What went wrong with Entra, by what to do next. `reason` is for people: what, why, the remedy;
/// it holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Try again by itself, after this time where Entra said so.
    #[error("{reason}")]
    Retry {
        /// From Retry-After.
        after: Option<Duration>,
        /// For people.
        reason: String,
    },
    /// The person signs in (again).
    #[error("{reason}")]
    SignIn {
        /// For people.
        reason: String,
    },
    /// An administrator or the person consents at this URL.
    #[error("{reason}")]
    Consent {
        /// Where.
        url: String,
        /// For people.
        reason: String,
    },
    /// A policy forbids this way in.
    #[error("{reason}")]
    Blocked {
        /// For people.
        reason: String,
    },
    /// The configuration or the application's registration is wrong.
    #[error("{reason}")]
    Misconfigured {
        /// For people.
        reason: String,
    },
}

/// The tokens of every principal. Cheap to clone; one refresh at a time for each principal.
#[derive(Clone)]
pub struct Tokens {}

/// An access token, and which one it is, so that a refused one is replaced only once.
#[derive(Clone)]
pub struct AccessToken {
    /// For the Authorization header.
    pub secret: SecretString,
    /// Counts the tokens of this principal.
    pub generation: u64,
}

impl Tokens {
    /// `http` has its redirects off. Without an `entra` section: [`Trouble::Misconfigured`].
    pub fn new(_settings: &settings::Settings, _http: reqwest::Client, _store: Store) -> Result<Self, Trouble> {
        todo!()
    }
    /// A token that is good for now: from memory, from the store, or refreshed well before expiry.
    pub async fn access(&self, _who: &Principal) -> Result<AccessToken, Trouble> {
        todo!()
    }
    /// Forgets what is in memory where the store's grants changed (another process signed in or removed):
    /// answers with the accounts concerned. Asked every few seconds.
    pub async fn reload(&self) -> Result<Vec<AccountName>, Trouble> {
        todo!()
    }
    /// Graph answered 401 to this token: get another one, unless that already happened.
    pub async fn renew(&self, _who: &Principal, _refused: &AccessToken) -> Result<AccessToken, Trouble> {
        todo!()
    }
}
