//! What the store seals for an account: the refresh token, and the access token that is still good.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::issued::Issued;
use super::scopes;

/// How far the clock may have been set back since, before a stored access token is not believed.
const CLOCK_SLACK: Duration = Duration::from_secs(120);

/// An access token that ends sooner is not taken from the store.
const LEAST_LEFT: Duration = Duration::from_secs(30);

/// An account's tokens, where they stand: none of their thousands of characters is copied. Times are the wall clock's:
/// they are read after a restart.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Cache<'a> {
    #[serde(borrow)]
    refresh_token: Cow<'a, str>,
    #[serde(borrow)]
    access_token: Cow<'a, str>,
    obtained_at: Timestamp,
    expires_at: Timestamp,
    /// Graph's permissions for which the access token was asked.
    #[serde(borrow)]
    permissions: Vec<Cow<'a, str>>,
}

impl fmt::Debug for Cache<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl<'a> Cache<'a> {
    /// Of a sign-in. None: Entra gave no refresh token.
    pub(super) fn first(issued: &'a Issued, permissions: &[&'a str], now: Timestamp) -> Option<Self> {
        issued.refresh.as_ref().map(|refresh| Self::next(issued, refresh.expose_secret(), permissions, now))
    }

    /// Of a refresh. `old` is the refresh token that stays where Entra sends no new one.
    pub(super) fn next(issued: &'a Issued, old: &'a str, permissions: &[&'a str], now: Timestamp) -> Self {
        Self {
            refresh_token: issued.refresh.as_ref().map_or(old, ExposeSecret::expose_secret).into(),
            access_token: issued.access.expose_secret().into(),
            obtained_at: now,
            expires_at: now.checked_add(issued.life).unwrap_or(now),
            permissions: permissions.iter().map(|name| (*name).into()).collect(),
        }
    }

    /// None: something else than this program wrote it. The parser's error is not told: it may quote what
    /// it read.
    pub(super) fn read(sealed: &'a SecretString) -> Option<Self> {
        serde_json::from_str(sealed.expose_secret()).ok()
    }

    pub(super) fn write(&self) -> SecretString {
        // In one piece: tokens have thousands of characters.
        let mut text = Vec::with_capacity(self.refresh_token.len() + self.access_token.len() + 256);
        serde_json::to_writer(&mut text, self).expect("texts and times become JSON");
        String::from_utf8(text).expect("JSON is UTF-8").into()
    }

    pub(super) fn refresh_token(&self) -> &str {
        &self.refresh_token
    }

    /// Whether the grant lets its owner set their presence.
    pub(super) fn writes(&self) -> bool {
        self.permissions.iter().any(|name| name == scopes::WRITE)
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
        (!same && enough && !set_back && left > LEAST_LEFT).then(|| (self.access_token.as_ref().into(), left))
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;

    fn issued(refresh: Option<&str>) -> Issued {
        Issued::new("access", refresh, Duration::from_secs(3600))
    }

    fn written(now: Timestamp) -> SecretString {
        Cache::first(&issued(Some("refresh")), &["Presence.Read"], now).unwrap().write()
    }

    fn now() -> Timestamp {
        "2026-11-24T08:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_stored_access_token_is_good_until_shortly_before_its_end() {
        let text = written(now());
        let cache = Cache::read(&text).unwrap();
        let left = |at: Timestamp| cache.still_good(&["Presence.Read"], None, at).map(|(_, left)| left.as_secs());
        assert_eq!(left(now()), Some(3600));
        assert_eq!(left(now() + 59.minutes()), Some(60));
        assert_eq!(left(now() + 3580.seconds()), None);
        assert_eq!(left(now() + 1.hours()), None);
        assert_eq!(left(now() + 87600.hours()), None);
    }

    #[test]
    fn after_the_clock_was_set_back_a_stored_access_token_is_not_believed() {
        let text = written(now());
        let cache = Cache::read(&text).unwrap();
        assert!(cache.still_good(&["Presence.Read"], None, now() - 1.minutes()).is_some());
        assert!(cache.still_good(&["Presence.Read"], None, now() - 5.minutes()).is_none());
    }

    #[test]
    fn a_stored_access_token_that_may_do_less_than_needed_is_not_used() {
        let text = written(now());
        let cache = Cache::read(&text).unwrap();
        assert!(cache.still_good(&["Presence.Read.All"], None, now()).is_none());
        assert!(cache.still_good(&["Presence.Read"], Some(&"access".into()), now()).is_none());
        assert!(cache.still_good(&["Presence.Read"], Some(&"another".into()), now()).is_some());
    }

    #[test]
    fn the_old_refresh_token_stays_where_no_new_one_came() {
        let issued = issued(None);
        assert_eq!(Cache::next(&issued, "old", &[], now()).refresh_token(), "old");
        assert!(Cache::first(&issued, &[], now()).is_none());
        assert_eq!(Cache::read(&written(now())).unwrap().refresh_token(), "refresh");
    }

    #[test]
    fn no_debug_output_shows_a_token() {
        let shown = format!("{:?} {:?}", Cache::read(&written(now())), written(now()));
        assert!(!shown.contains("refresh\"") && !shown.contains("access\""), "{shown}");
    }

    #[test]
    fn what_was_stored_by_something_else_is_none() {
        for content in ["", "{}", "null", r#"{"refresh_token":1}"#] {
            assert!(Cache::read(&content.into()).is_none(), "{content}");
        }
        assert!(Cache::read(&written(now())).is_some());
    }
}
