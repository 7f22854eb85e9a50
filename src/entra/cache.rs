//! What the store seals for an account: the refresh token, and the access token that is still good.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::Trouble;
use super::application::Issued;
use crate::presence::AccountName;

/// How far the clock may have been set back since, before a stored access token is not believed.
const CLOCK_SLACK: Duration = Duration::from_secs(120);

/// An access token that ends sooner is not taken from the store.
const LEAST_LEFT: Duration = Duration::from_secs(30);

/// An account's tokens. Times are the wall clock's: they are read after a restart.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Cache {
    refresh_token: String,
    access_token: String,
    obtained_at: Timestamp,
    expires_at: Timestamp,
    /// Graph's permissions for which the access token was asked.
    permissions: Vec<String>,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl Cache {
    /// `old` is the refresh token that stays where Entra sends no new one.
    pub(super) fn new(issued: &Issued, old: Option<&str>, permissions: &[&str], now: Timestamp) -> Option<Self> {
        Some(Self {
            refresh_token: issued.refresh.as_ref().map(ExposeSecret::expose_secret).or(old)?.to_owned(),
            access_token: issued.access.expose_secret().to_owned(),
            obtained_at: now,
            expires_at: now.checked_add(issued.life).unwrap_or(now),
            permissions: permissions.iter().map(|name| (*name).to_owned()).collect(),
        })
    }

    pub(super) fn read(account: &AccountName, sealed: &SecretString) -> Result<Self, Trouble> {
        // The parser's error is not shown: it may quote what it read.
        serde_json::from_str(sealed.expose_secret()).map_err(|_| {
            Trouble::sign_in(format!(
                "account {account}: what the store holds is not readable; sign in again: graph2mqtt login {account}"
            ))
        })
    }

    pub(super) fn write(&self) -> SecretString {
        serde_json::to_string(self).expect("texts and times become JSON").into()
    }

    pub(super) fn refresh_token(&self) -> &str {
        &self.refresh_token
    }

    /// The access token and the time left, where it is good for `permissions`, is not `replacing`, and the
    /// clock is one that can be believed.
    pub(super) fn still_good(
        &self,
        permissions: &[&str],
        replacing: Option<&SecretString>,
        now: Timestamp,
    ) -> Option<(SecretString, Duration)> {
        let same = replacing.is_some_and(|token| token.expose_secret() == self.access_token);
        let enough = permissions.iter().all(|name| self.permissions.iter().any(|has| has == name));
        let set_back = now.checked_add(CLOCK_SLACK).is_ok_and(|later| later < self.obtained_at);
        let left = Duration::try_from(self.expires_at.duration_since(now)).ok()?;
        (!same && enough && !set_back && left > LEAST_LEFT).then(|| (self.access_token.clone().into(), left))
    }
}
