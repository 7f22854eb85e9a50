//! What went wrong with Entra, by what to do next.

use std::fmt;
use std::time::Duration;

use crate::store::{Standing, StoreError};

/// Where a person signs in (again) so that it is mended, as a text says it behind its reason. A page that has the
/// button shows the reason alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    words: Box<str>,
    shut_out: bool,
}

impl Remedy {
    /// In words, such as `sign in again: graph2mqtt login alex`.
    pub fn new(words: impl Into<Box<str>>) -> Self {
        Self { words: words.into(), shut_out: false }
    }

    /// Nobody of their tenant may sign in here any more: what else there is, in words.
    pub(super) fn shut_out(words: impl Into<Box<str>>) -> Self {
        Self { shut_out: true, ..Self::new(words) }
    }

    /// The words.
    pub fn as_str(&self) -> &str {
        &self.words
    }

    /// Whether the person cannot sign in any more where they did, and can but leave.
    pub fn is_shut_out(&self) -> bool {
        self.shut_out
    }
}

/// Behind a reason.
struct Then<'a>(&'a Option<Remedy>);

impl fmt::Display for Then<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |remedy| write!(f, "; {}", remedy.words))
    }
}

/// What went wrong with Entra, by what to do next. `reason` is for people: what, why, and what to do where no sign-in
/// does it; it holds no secret.
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
    #[error("{reason}{}", Then(.remedy))]
    SignIn {
        /// For people.
        reason: String,
        /// Where; none where the reason says what to do differently.
        remedy: Option<Remedy>,
    },
    /// An administrator or the person consents at this URL.
    #[error("{reason}{}", Then(.remedy))]
    Consent {
        /// Where.
        url: String,
        /// For people.
        reason: String,
        /// Where somebody signs in afterwards.
        remedy: Option<Remedy>,
    },
    /// A policy forbids this way in.
    #[error("{reason}{}", Then(.remedy))]
    Blocked {
        /// For people.
        reason: String,
        /// Another way, which the policy may let in.
        remedy: Option<Remedy>,
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
        Self::SignIn { reason: reason.into(), remedy: None }
    }

    /// It is mended by a sign-in where `remedy` says.
    pub(super) fn sign_in_at(reason: impl Into<String>, remedy: impl Into<Box<str>>) -> Self {
        Self::SignIn { reason: reason.into(), remedy: Some(Remedy::new(remedy)) }
    }

    /// How long to wait at least; not at all where that does not mend it.
    pub(super) fn wait(&self) -> Duration {
        match self {
            Self::Retry { after, .. } => after.unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }

    /// A passing one, with what follows it.
    pub(super) fn then(self, then: &str) -> Self {
        match self {
            Self::Retry { after, reason } => Self::Retry { after, reason: format!("{reason}; {then}") },
            other => other,
        }
    }

    /// With another remedy, where a sign-in was to mend it.
    pub(super) fn mended_by(self, remedy: Remedy) -> Self {
        let remedy = Some(remedy);
        match self {
            Self::SignIn { reason, .. } => Self::SignIn { reason, remedy },
            Self::Consent { url, reason, .. } => Self::Consent { url, reason, remedy },
            Self::Blocked { reason, .. } => Self::Blocked { reason, remedy },
            other => other,
        }
    }

    /// What is wrong, without the remedy that a page has a button for.
    pub fn reason(&self) -> &str {
        match self {
            Self::Retry { reason, .. }
            | Self::SignIn { reason, .. }
            | Self::Consent { reason, .. }
            | Self::Blocked { reason, .. }
            | Self::Misconfigured { reason } => reason,
        }
    }

    /// Where somebody signs in so that it is mended.
    pub fn remedy(&self) -> Option<&Remedy> {
        match self {
            Self::SignIn { remedy, .. } | Self::Consent { remedy, .. } | Self::Blocked { remedy, .. } => {
                remedy.as_ref()
            }
            Self::Retry { .. } | Self::Misconfigured { .. } => None,
        }
    }

    /// How it stands with the grant that met it, where it does not go by itself. `claims` are what the next
    /// sign-in has to bring.
    pub(super) fn standing(&self, claims: Option<&str>) -> Option<Standing> {
        let remedy = || self.remedy().map(|remedy| remedy.as_str().to_owned());
        match self {
            Self::Retry { .. } => None,
            Self::SignIn { reason, .. } | Self::Consent { reason, .. } => {
                Some(Standing::Needed { reason: reason.clone(), remedy: remedy(), claims: claims.map(str::to_owned) })
            }
            Self::Blocked { reason, .. } | Self::Misconfigured { reason } => {
                Some(Standing::Blocked { reason: reason.clone(), remedy: remedy() })
            }
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
