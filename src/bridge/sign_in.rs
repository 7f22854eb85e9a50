//! How it stands with an account's sign-in: the JSON on `<base>/account/<account>/sign_in`.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::entra::{self, Remedy};
use crate::graph;
use crate::store::gist;

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
    /// Signing in as before will not help: a policy, a missing right, the configuration.
    Blocked,
}

/// How it stands; read back, the reason says all.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct SignIn {
    pub(super) state: Standing,
    /// What is wrong.
    #[serde(default)]
    pub(super) reason: Option<Arc<str>>,
    /// Where somebody signs in so that it is mended.
    #[serde(skip)]
    pub(super) remedy: Option<Arc<Remedy>>,
    /// Where it can be mended, when that is a page.
    #[serde(default)]
    pub(super) url: Option<Arc<str>>,
    /// Since when this is so.
    pub(super) since: Timestamp,
}

/// The payload: the reason says all, for those who have nothing else.
#[derive(Serialize)]
struct Payload<'a> {
    state: Standing,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    since: Timestamp,
}

/// A trouble that does not go by itself, as it is told to people. Shared by all accounts of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Obstacle {
    pub(super) state: Standing,
    pub(super) reason: Arc<str>,
    pub(super) remedy: Option<Arc<Remedy>>,
    pub(super) url: Option<Arc<str>>,
}

impl Obstacle {
    /// What stands in the way; nothing where trying again is all there is to do.
    pub(super) fn of(trouble: &graph::Trouble) -> Option<Self> {
        use entra::Trouble as Entra;
        use graph::Trouble as Graph;
        let (state, reason, remedy, url) = match trouble {
            Graph::Retry { .. } | Graph::Refused { .. } | Graph::Token(Entra::Retry { .. }) => return None,
            Graph::Token(Entra::SignIn { reason, remedy }) => (Standing::Needed, reason, remedy.as_ref(), None),
            Graph::Token(Entra::Consent { url, reason, remedy }) => {
                (Standing::Needed, reason, remedy.as_ref(), Some(url.as_str().into()))
            }
            Graph::Forbidden { reason, remedy, url } => {
                (Standing::Blocked, reason, remedy.as_ref(), url.as_deref().map(Arc::from))
            }
            Graph::Token(Entra::Blocked { reason, remedy }) => (Standing::Blocked, reason, remedy.as_ref(), None),
            Graph::Token(Entra::Misconfigured { reason }) | Graph::NoSuchUser { reason } => {
                (Standing::Blocked, reason, None, None)
            }
        };
        let remedy = remedy.cloned().map(Arc::new);
        Some(Self { state, reason: reason.as_str().into(), remedy, url })
    }
}

impl SignIn {
    /// All is well.
    pub(super) fn ok(now: Timestamp) -> Self {
        Self { state: Standing::Ok, reason: None, remedy: None, url: None, since: now }
    }

    /// Whether it says no more than that all is well.
    pub(super) fn is_ok(&self) -> bool {
        self.state == Standing::Ok && self.reason.is_none() && self.url.is_none()
    }

    /// Something stands in the way.
    pub(super) fn not(obstacle: &Obstacle, now: Timestamp) -> Self {
        let Obstacle { state, reason, remedy, url } = obstacle.clone();
        Self { state, reason: Some(reason), remedy, url, since: now }
    }

    /// What is wrong, and the remedy behind it.
    pub(super) fn words(&self) -> Option<Cow<'_, str>> {
        let reason = self.reason.as_deref()?;
        Some(
            self.remedy
                .as_ref()
                .map_or(Cow::Borrowed(reason), |remedy| format!("{reason}; {}", remedy.as_str()).into()),
        )
    }

    /// Goes on with what was known or the broker holds, which says the same.
    pub(super) fn carry_on(&mut self, found: Self) {
        let remedy = self.remedy.take();
        if found.remedy.is_some() {
            *self = found;
            return;
        }
        *self = found;
        let alone = |remedy: &Arc<Remedy>| self.reason.as_deref()?.strip_suffix(remedy.as_str())?.strip_suffix("; ");
        if let Some(reason) = remedy.as_ref().and_then(alone) {
            self.reason = Some(reason.into());
            self.remedy = remedy;
        }
    }

    /// Whether it says the same: ids of requests in the reason, other ones at each try, are no news.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let told = |sign_in: &Self| sign_in.words().as_deref().map(gist);
        (self.state, &self.url, told(self)) == (other.state, &other.url, told(other))
    }

    /// The payload.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let Self { state, since, .. } = *self;
        let payload = Payload { state, reason: self.words(), url: self.url.as_deref(), since };
        serde_json::to_vec(&payload).expect("text and times are JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked(reason: &str, since: i64) -> SignIn {
        let trouble = graph::Trouble::Forbidden { reason: reason.into(), remedy: None, url: None };
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
    fn what_is_blocked_keeps_the_other_way_that_may_be_let_in() {
        let remedy = Some(entra::Remedy::new("a policy may let the browser's way in: http://x"));
        let found = Obstacle::of(&entra::Trouble::Blocked { reason: "policy".into(), remedy }.into()).unwrap();
        assert_eq!(
            (found.state, found.remedy.as_deref().map(Remedy::as_str)),
            (Standing::Blocked, Some("a policy may let the browser's way in: http://x"))
        );
    }

    #[test]
    fn the_next_refusals_request_id_is_no_news() {
        let first = blocked("403 for presences (request-id 0f0e-11d2-4711); grant Presence.Read.All", 1);
        let next = blocked("403 for presences (request-id aaaa-22ee-9999); grant Presence.Read.All", 2);
        assert!(first.says_the_same(&next));
        assert!(!first.says_the_same(&blocked("401 for presences; grant Presence.Read.All", 2)));
    }

    #[test]
    fn the_topic_says_reason_and_remedy_and_what_is_read_back_is_told_apart_again() {
        let remedy = Some(entra::Remedy::new("sign in again: graph2mqtt login alex"));
        let lost = |trace: &str| entra::Trouble::SignIn {
            reason: format!("revoked (trace_id {trace})"),
            remedy: remedy.clone(),
        };
        let at = |trace, second| {
            SignIn::not(&Obstacle::of(&lost(trace).into()).unwrap(), Timestamp::from_second(second).unwrap())
        };
        let published = at("trace-0000", 1).to_json();
        let text = String::from_utf8(published.clone()).unwrap();
        assert!(
            text.contains(r#""reason":"revoked (trace_id trace-0000); sign in again: graph2mqtt login alex""#),
            "{text}"
        );
        let found: SignIn = serde_json::from_slice(&published).unwrap();
        let mut now = at("trace-1111", 2);
        assert!(now.says_the_same(&found));
        now.carry_on(found);
        assert_eq!(now, at("trace-0000", 1));
        assert_eq!(now.to_json(), published);
    }

    #[test]
    fn the_payload_is_small_and_reads_back() {
        let json = |sign_in: &SignIn| String::from_utf8(sign_in.to_json()).unwrap();
        let ok = SignIn::ok(Timestamp::from_second(0).unwrap());
        assert_eq!(json(&ok), r#"{"state":"ok","since":"1970-01-01T00:00:00Z"}"#);
        let consent = entra::Trouble::Consent { url: "https://consent".into(), reason: "ask".into(), remedy: None };
        let needed = SignIn::not(&Obstacle::of(&consent.into()).unwrap(), Timestamp::from_second(0).unwrap());
        assert_eq!(
            json(&needed),
            r#"{"state":"needed","reason":"ask","url":"https://consent","since":"1970-01-01T00:00:00Z"}"#
        );
        assert_eq!(serde_json::from_slice::<SignIn>(&needed.to_json()).unwrap(), needed);
    }
}
