//! How it stands with an account's sign-in: the JSON on `<base>/account/<account>/sign_in`.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{entra, graph};

/// The word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Standing {
    /// Tokens come, and Graph takes them.
    Ok,
    /// Somebody has to sign in or consent.
    Needed,
    /// A code waits to be used; `codes` tells which.
    Pending,
    /// Signing in will not help: a policy, a missing right, the configuration.
    Blocked,
}

/// The payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SignIn {
    pub(super) state: Standing,
    /// What is wrong, and the remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<Arc<str>>,
    /// Where it can be mended, when that is a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<Arc<str>>,
    /// Since when this is so.
    pub(super) since: Timestamp,
}

/// A trouble that does not go by itself, as it is told to people. Shared by all accounts of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Obstacle {
    pub(super) state: Standing,
    pub(super) reason: Arc<str>,
    pub(super) url: Option<Arc<str>>,
}

impl Obstacle {
    /// What stands in the way; nothing where trying again is all there is to do.
    pub(super) fn of(trouble: &graph::Trouble) -> Option<Self> {
        use entra::Trouble as Entra;
        use graph::Trouble as Graph;
        let (state, reason, url) = match trouble {
            Graph::Retry { .. } | Graph::Token(Entra::Retry { .. }) => return None,
            Graph::Token(Entra::SignIn { reason }) => (Standing::Needed, reason, None),
            Graph::Token(Entra::Consent { url, reason }) => (Standing::Needed, reason, Some(url.as_str().into())),
            Graph::Token(Entra::Blocked { reason } | Entra::Misconfigured { reason })
            | Graph::Forbidden { reason }
            | Graph::NoSuchUser { reason } => (Standing::Blocked, reason, None),
        };
        Some(Self { state, reason: reason.as_str().into(), url })
    }
}

impl SignIn {
    /// All is well.
    pub(super) fn ok(now: Timestamp) -> Self {
        Self { state: Standing::Ok, reason: None, url: None, since: now }
    }

    /// Whether it says no more than that all is well.
    pub(super) fn is_ok(&self) -> bool {
        self.state == Standing::Ok && self.reason.is_none() && self.url.is_none()
    }

    /// Something stands in the way.
    pub(super) fn not(obstacle: &Obstacle, now: Timestamp) -> Self {
        Self { state: obstacle.state, reason: Some(obstacle.reason.clone()), url: obstacle.url.clone(), since: now }
    }

    /// Whether it says the same: ids of requests in the reason, other ones at each try, are no news.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let told = |sign_in: &Self| sign_in.reason.as_deref().map(gist);
        (self.state, &self.url, told(self)) == (other.state, &other.url, told(other))
    }

    /// The payload.
    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("text and times are JSON")
    }
}

/// A reason without what differs at each try: words that hold digits, such as request-ids and times.
pub(super) fn gist(reason: &str) -> String {
    let steady = |word: &&str| word.len() < 8 || !word.bytes().any(|byte| byte.is_ascii_digit());
    reason.split_whitespace().filter(steady).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked(reason: &str, since: i64) -> SignIn {
        let trouble = graph::Trouble::Forbidden { reason: reason.into() };
        SignIn::not(&Obstacle::of(&trouble).unwrap(), Timestamp::from_second(since).unwrap())
    }

    #[test]
    fn a_trouble_that_goes_by_itself_says_nothing_about_the_sign_in() {
        let passing = graph::Trouble::Retry { after: None, reason: "x".into() };
        assert_eq!(Obstacle::of(&passing), None);
        let entra = entra::Trouble::Retry { after: None, reason: "x".into() };
        assert_eq!(Obstacle::of(&entra.into()), None);
    }

    #[test]
    fn the_next_refusals_request_id_is_no_news() {
        let first = blocked("403 for presences (request-id 0f0e-11d2-4711); grant Presence.Read.All", 1);
        let next = blocked("403 for presences (request-id aaaa-22ee-9999); grant Presence.Read.All", 2);
        assert!(first.says_the_same(&next));
        assert!(!first.says_the_same(&blocked("401 for presences; grant Presence.Read.All", 2)));
    }

    #[test]
    fn the_payload_is_small_and_reads_back() {
        let json = |sign_in: &SignIn| String::from_utf8(sign_in.to_json()).unwrap();
        let ok = SignIn::ok(Timestamp::from_second(0).unwrap());
        assert_eq!(json(&ok), r#"{"state":"ok","since":"1970-01-01T00:00:00Z"}"#);
        let consent = entra::Trouble::Consent { url: "https://consent".into(), reason: "ask".into() };
        let needed = SignIn::not(&Obstacle::of(&consent.into()).unwrap(), Timestamp::from_second(0).unwrap());
        assert_eq!(
            json(&needed),
            r#"{"state":"needed","reason":"ask","url":"https://consent","since":"1970-01-01T00:00:00Z"}"#
        );
        assert_eq!(serde_json::from_slice::<SignIn>(&needed.to_json()).unwrap(), needed);
    }
}
