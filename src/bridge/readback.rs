//! What a starting bridge finds at the broker: its forerunner's topics, and whose the base topic is.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::mqtt::Slot;
use crate::presence::{AccountName, ObjectId};

/// The most topics without an owner that are remembered: a stranger may have written any number.
const MOST_ORPHANS: usize = 100_000;

/// Collected until the bridge is open.
#[derive(Debug)]
pub(super) struct ReadBack {
    /// A hash of what each slot's topic holds; 0 where nothing was found.
    kept: Vec<u64>,
    /// Topics of accounts that are not configured.
    orphans: BTreeMap<String, Option<AccountName>>,
    /// The instance in `bridge/info`.
    pub(super) owner: Option<String>,
    /// What `bridge/state` says.
    pub(super) online: bool,
}

/// What is to be done about topics whose account is not configured.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Orphans {
    /// To be cleared.
    pub(super) clear: Vec<String>,
    /// Accounts that enrolled with an instance whose store is lost: not ours to judge.
    pub(super) enrolled: Vec<AccountName>,
}

impl ReadBack {
    pub(super) fn new(slots: Slot) -> Self {
        Self { kept: vec![0; slots as usize], orphans: BTreeMap::new(), owner: None, online: false }
    }

    /// A slot's topic holds this.
    pub(super) fn holds(&mut self, slot: Slot, payload: &[u8]) {
        if let Some(kept) = self.kept.get_mut(slot as usize) {
            *kept = if payload.is_empty() { 0 } else { hash(payload) };
        }
    }

    /// A topic of an account that is not configured, or of the bridge itself, holds something that
    /// nobody wants, or nothing any more.
    pub(super) fn orphan(&mut self, topic: &str, account: Option<AccountName>, payload: &[u8]) {
        if payload.is_empty() {
            self.orphans.remove(topic);
        } else if self.orphans.len() < MOST_ORPHANS {
            self.orphans.insert(topic.to_owned(), account);
        }
    }

    /// Whether a slot's topic holds just this payload. Asked once for each slot: after the slot was
    /// written, what was found does not count any more.
    pub(super) fn take_same(&mut self, slot: Slot, payload: &[u8]) -> bool {
        self.kept.get_mut(slot as usize).is_some_and(|kept| std::mem::take(kept) == hash(payload))
    }

    /// Sorts the orphans out. `new_instance`: our store is not the one that was here before, so who
    /// enrolled there is not known to us.
    pub(super) fn take_orphans(&mut self, new_instance: bool) -> Orphans {
        let mut sorted = Orphans::default();
        for (topic, account) in std::mem::take(&mut self.orphans) {
            match account.filter(|account| new_instance && has_enrolled(account)) {
                Some(account) => sorted.enrolled.push(account),
                None => sorted.clear.push(topic),
            }
        }
        sorted.enrolled.sort_unstable();
        sorted.enrolled.dedup();
        sorted
    }
}

/// Who enrolled is named by object id.
pub(super) fn has_enrolled(account: &AccountName) -> bool {
    account.as_str().parse::<ObjectId>().is_ok()
}

fn hash(payload: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    payload.hash(&mut hasher);
    hasher.finish().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_broker_holds_already_is_known_once() {
        let mut found = ReadBack::new(2);
        found.holds(1, b"online");
        found.holds(7, b"a slot that is not");
        assert!(!found.take_same(0, b"online"));
        assert!(found.take_same(1, b"online"));
        assert!(!found.take_same(1, b"online"), "it was written meanwhile, perhaps as something else");
    }

    #[test]
    fn orphans_are_cleared_but_those_that_enrolled_with_a_lost_store() {
        let enrolled = "00000000-0000-4000-8000-000000000001";
        let collect = || {
            let mut found = ReadBack::new(0);
            found.orphan("b/account/old/state", "old".parse().ok(), b"online");
            found.orphan("b/account/gone/state", "gone".parse().ok(), b"online");
            found.orphan("b/account/gone/state", "gone".parse().ok(), b"");
            for leaf in ["presence", "state"] {
                found.orphan(&format!("b/account/{enrolled}/{leaf}"), enrolled.parse().ok(), b"x");
            }
            found
        };
        let lost = collect().take_orphans(true);
        assert_eq!(lost.clear, ["b/account/old/state"]);
        assert_eq!(lost.enrolled, [enrolled.parse().unwrap()]);
        let kept = collect().take_orphans(false);
        assert_eq!((kept.clear.len(), kept.enrolled.len()), (3, 0));
    }
}
