//! The bridge's topics, written and recognised.

use crate::presence::{AccountName, Name};

/// The topics under one base.
#[derive(Debug, Clone)]
pub(super) struct Topics {
    base: Box<str>,
}

/// One of an account's topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaf {
    Presence,
    State,
    SignIn,
}

/// Their names, in the order in which they are sent: a state says online only behind its presence.
pub(super) const LEAVES: [(Leaf, &str); 3] =
    [(Leaf::Presence, "presence"), (Leaf::State, "state"), (Leaf::SignIn, "sign_in")];

impl Topics {
    pub(super) fn new(base: &str) -> Self {
        Self { base: base.into() }
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// `<base>/bridge/<leaf>`
    pub(super) fn bridge(&self, leaf: &str) -> String {
        format!("{}/bridge/{leaf}", self.base)
    }

    /// `<base>/account/<account>/<leaf>`; `+` for any.
    pub(super) fn account(&self, account: &str, leaf: &str) -> String {
        format!("{}/account/{account}/{leaf}", self.base)
    }

    /// The leaf of one of the bridge's own topics.
    pub(super) fn bridge_leaf<'a>(&self, topic: &'a str) -> Option<&'a str> {
        topic.strip_prefix(&*self.base)?.strip_prefix("/bridge/")
    }

    /// The account and the leaf of an account's topic. Whether the account is one of ours is not said.
    pub(super) fn account_leaf(&self, topic: &str) -> Option<(AccountName, Leaf)> {
        let (account, name) = topic.strip_prefix(&*self.base)?.strip_prefix("/account/")?.split_once('/')?;
        let (leaf, _) = LEAVES.iter().find(|(_, leaf)| *leaf == name)?;
        Some((account.parse().ok()?, *leaf))
    }

    /// Whether a discovery payload speaks of the bridge on this base topic.
    pub(super) fn is_bridge_in(&self, payload: &[u8]) -> bool {
        str::from_utf8(payload).is_ok_and(|text| text.contains(&format!("\"{}\"", self.bridge("state"))))
    }

    /// The account that a discovery payload speaks of, where its device hangs on this base topic.
    pub(super) fn account_in(&self, payload: &[u8]) -> Option<AccountName> {
        self.name_in("account", payload)
    }

    /// The location that it speaks of, likewise.
    pub(super) fn location_in(&self, payload: &[u8]) -> Option<Name> {
        self.name_in("actuator", payload)
    }

    fn name_in(&self, room: &str, payload: &[u8]) -> Option<Name> {
        let text = str::from_utf8(payload).ok()?;
        let start = format!("\"{}/{room}/", self.base);
        let behind = &text[text.find(&start)? + start.len()..];
        behind.split_once('/')?.0.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_topics_are_recognised_and_no_others() {
        let topics = Topics::new("home/teams");
        let alex: AccountName = "alex".parse().unwrap();
        assert_eq!(topics.account_leaf("home/teams/account/alex/sign_in"), Some((alex, Leaf::SignIn)));
        assert_eq!(topics.bridge_leaf("home/teams/bridge/state"), Some("state"));
        for topic in [
            "home/teams2/account/alex/state",
            "home/teams/account/alex/other",
            "home/teams/account/alex",
            "home/teams/account/Alex B/state",
            "home/teams/account/alex/state/deeper",
            "home/team",
            "",
        ] {
            assert_eq!(topics.account_leaf(topic), None, "{topic}");
        }
        assert_eq!(topics.bridge_leaf("home/teams2/bridge/state"), None);
    }

    #[test]
    fn a_discovery_payload_belongs_to_the_base_topic_that_it_names() {
        let payload = br#"{"availability":[{"topic":"a/bridge/state"},{"topic":"a/account/alex/state"}]}"#;
        assert_eq!(Topics::new("a").account_in(payload), "alex".parse().ok());
        assert_eq!(Topics::new("a/account").account_in(payload), None);
        assert_eq!(Topics::new("b").account_in(payload), None);
        assert_eq!(Topics::new("a").account_in(b"\xff"), None);
        assert_eq!(Topics::new("a").location_in(payload), None);
        let location = br#"{"components":{"c":{"state_topic":"a/actuator/home/state"}}}"#;
        assert_eq!(Topics::new("a").location_in(location), "home".parse().ok());
        assert_eq!((Topics::new("b").location_in(location), Topics::new("a").account_in(location)), (None, None));
        assert!(Topics::new("a").is_bridge_in(payload) && !Topics::new("b").is_bridge_in(payload));
    }
}
