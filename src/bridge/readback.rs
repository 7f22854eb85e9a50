//! What a starting bridge finds at the broker: its forerunner's topics, and whose the base topic is.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use tokio::time::Instant;

use super::board::LastWord;
use crate::mqtt::Slot;
use crate::presence::{AccountName, ObjectId};

/// The most topics without an owner that are remembered: a stranger may have written any number.
const MOST_ORPHANS: usize = 100_000;

/// How long the broker may be silent at first: where reading is forbidden, nothing ever comes.
const SILENCE: Duration = Duration::from_secs(2);

/// How long it may pause while it gives back what it holds.
const PAUSE: Duration = Duration::from_secs(1);

/// How long it may take in all. What comes later still counts.
const LONGEST: Duration = Duration::from_secs(20);

/// How many markers may follow the first. What few accounts have retained comes in one or two pieces; of
/// what many have there is always more on its way.
const HURRIES: u8 = 4;

/// What the broker holds is on its way, until the marker behind it comes.
#[derive(Debug)]
pub(super) struct Reading {
    until: Instant,
    /// Not later than this.
    end: Instant,
    heard: bool,
    hurries: u8,
}

impl Reading {
    pub(super) fn new(now: Instant) -> Self {
        Self { until: now + SILENCE, end: now + LONGEST, heard: false, hurries: HURRIES }
    }

    /// When it is not waited for any longer.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// Something came, so there may be more: tens of thousands of accounts take a slow broker its time.
    pub(super) fn goes_on(&mut self, now: Instant) {
        self.heard = true;
        self.until = self.until.max(now + PAUSE).min(self.end);
    }

    /// Whether to send one more marker now.
    pub(super) fn hurries(&mut self) -> bool {
        let left = self.hurries.checked_sub(1);
        self.hurries = left.unwrap_or(0);
        left.is_some()
    }

    /// Tells why the end was not waited for.
    pub(super) fn gives_up(&self, base: &str) {
        if self.heard {
            tracing::warn!(
                "the broker does not say that it gave back all that it holds: it is slow, or this user may not read \
                 {base}/bridge/marker; what comes late still counts"
            );
        } else {
            tracing::warn!(
                "the broker gives nothing back of what it holds; allow this user to read {base}/# in its ACL, \
                 or times and order of presences start anew"
            );
        }
    }
}

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

/// What is to be done about topics whose account has no place among ours.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Orphans {
    /// What is to be retained there.
    pub(super) words: Vec<LastWord>,
    /// How many of these clear.
    pub(super) cleared: usize,
    /// Accounts that enrolled with a store that is lost: not ours to judge. (Who departed from ours is on
    /// its record.)
    pub(super) enrolled: Vec<AccountName>,
    /// Their topics.
    pub(super) left: Vec<String>,
}

impl ReadBack {
    pub(super) fn new(slots: Slot) -> Self {
        Self { kept: vec![0; slots as usize], orphans: BTreeMap::new(), owner: None, online: false }
    }

    /// Every slot stands for something else now, so nothing is known any more of what they hold.
    pub(super) fn renumbered(&mut self, slots: Slot) {
        self.kept = vec![0; slots as usize];
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

    /// Sorts the orphans out.
    pub(super) fn take_orphans(&mut self) -> Orphans {
        let mut sorted = Orphans::default();
        for (topic, account) in std::mem::take(&mut self.orphans) {
            let account = account.filter(has_enrolled);
            if account.is_some() {
                sorted.left.push(topic.clone());
            }
            if let Some(payload) = last_word(&topic, account.as_ref()) {
                sorted.cleared += usize::from(payload.is_empty());
                sorted.words.push(LastWord { topic, payload });
            }
            sorted.enrolled.extend(account);
        }
        sorted.enrolled.sort_unstable();
        sorted.enrolled.dedup();
        sorted
    }
}

/// What is to be retained on a topic of ours whose account has no place among ours. Of one that enrolled
/// with a store that is lost everything stays, but that its presence is known: nobody asks for it.
pub(super) fn last_word(topic: &str, account: Option<&AccountName>) -> Option<&'static [u8]> {
    match account.filter(|account| has_enrolled(account)) {
        None => Some(b""),
        Some(_) if topic.ends_with("/state") => Some(b"offline"),
        Some(_) => None,
    }
}

/// Who enrolled is named by object id.
fn has_enrolled(account: &AccountName) -> bool {
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
    fn reading_goes_on_while_something_comes_but_not_for_ever() {
        let start = Instant::now();
        let after = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let mut reading = Reading::new(start);
        assert_eq!(reading.until(), after(2.0), "a silent broker is not waited for");
        reading.goes_on(after(0.1));
        assert_eq!(reading.until(), after(2.0));
        reading.goes_on(after(1.9));
        reading.goes_on(after(2.8));
        assert_eq!(reading.until(), after(3.8));
        reading.goes_on(after(19.9));
        assert_eq!(reading.until(), after(20.0));
    }

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
    fn orphans_are_cleared_but_those_that_enrolled_with_a_lost_store_are_offline() {
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
        let orphans = collect().take_orphans();
        let words: Vec<_> = orphans.words.iter().map(|word| (word.topic.as_str(), word.payload)).collect();
        let state = format!("b/account/{enrolled}/state");
        assert_eq!(words, [(&*state, &b"offline"[..]), ("b/account/old/state", &b""[..])]);
        assert_eq!((orphans.cleared, orphans.enrolled), (1, vec![enrolled.parse().unwrap()]));
    }
}
