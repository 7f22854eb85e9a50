//! What went wrong with Entra, by what to do next.

use std::time::Duration;

use crate::store::{Standing, StoreError};

/// What went wrong with Entra, by what to do next. `reason` is for people: what, why, the remedy;
/// it holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Try again by itself, after this time where Entra said so.
    #[error("{reason}")]
    Retry {
        /// How long to wait at least.
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

impl Trouble {
    /// Nothing is known to be wrong for good: wait and try again.
    pub(super) fn later(reason: impl Into<String>) -> Self {
        Self::Retry { after: None, reason: reason.into() }
    }

    pub(super) fn sign_in(reason: impl Into<String>) -> Self {
        Self::SignIn { reason: reason.into() }
    }

    /// How it stands with the grant that met it, where it does not go by itself. `claims` are what the next
    /// sign-in has to bring.
    pub(super) fn standing(&self, claims: Option<&str>) -> Option<Standing> {
        match self {
            Self::Retry { .. } => None,
            Self::SignIn { reason } | Self::Consent { reason, .. } => {
                Some(Standing::Needed { reason: reason.clone(), claims: claims.map(str::to_owned) })
            }
            Self::Blocked { reason } | Self::Misconfigured { reason } => Some(Standing::Blocked(reason.clone())),
        }
    }

    pub(super) fn misconfigured(reason: impl Into<String>) -> Self {
        Self::Misconfigured { reason: reason.into() }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::later(error.to_string())
    }
}
