//! What the members of a location know together of one light. Pure.
//!
//! Its place is the light's retained topic. Everything there carries a number, and of two entries the
//! higher one wins, so that members may read and write in any order and end at the same.

mod before;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(super) use self::before::{Before, Left, Words, named};
use crate::presence::{AccountName, Sequence};
use crate::settings::LONGEST_HAND;

/// Versions are the clock's milliseconds, or one more than the one before. What is further ahead of our
/// clock is no member's: a stranger cannot use them up.
const CREDIBLE: Duration = Duration::from_secs(24 * 3600);

/// The newest presence of each account that somebody acted upon.
pub(super) type Inputs = BTreeMap<AccountName, Sequence>;

/// Whether every one of these presences is among ours, or a newer one of its account.
pub(super) fn covers(ours: &Inputs, theirs: &Inputs) -> bool {
    theirs.iter().all(|(account, sequence)| ours.get(account) >= Some(sequence))
}

/// Entry by entry the higher number wins.
pub(super) fn merge(inputs: &mut Inputs, others: &Inputs) {
    for (account, sequence) in others {
        let known = inputs.entry(account.clone()).or_insert(*sequence);
        *known = (*known).max(*sequence);
    }
}

/// Whether somebody asked for the light to be left alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Paused {
    pub version: u64,
    pub value: bool,
}

/// A status, known by whose it is and since when.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Which {
    pub account: AccountName,
    pub since: Timestamp,
}

/// How long a person's hand counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Until {
    /// No more.
    #[default]
    Over,
    /// Until another status than this one counts; none: until one is known.
    Change(Option<Which>),
    /// Until this time.
    Time(Timestamp),
}

/// A person's hand at the light.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "PlainHand", into = "PlainHand")]
pub(super) struct Hand {
    pub version: u64,
    pub until: Until,
}

/// `until` is null, `change`, or a time.
#[derive(Serialize, Deserialize)]
struct PlainHand {
    until: Option<String>,
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<Which>,
}

const CHANGE: &str = "change";

impl From<PlainHand> for Hand {
    fn from(plain: PlainHand) -> Self {
        let until = match plain.until.as_deref() {
            Some(CHANGE) => Until::Change(plain.status),
            Some(time) => time.parse().map_or(Until::Over, Until::Time),
            None => Until::Over,
        };
        Self { version: plain.version, until }.bounded()
    }
}

impl Hand {
    /// For no longer than the rules can say: its version is the time at which it was seen.
    pub fn bounded(mut self) -> Self {
        let longest = i64::try_from(self.version).ok().and_then(|seen| Timestamp::from_millisecond(seen).ok());
        let longest = longest.and_then(|seen| seen.checked_add(LONGEST_HAND).ok());
        if let (Until::Time(until), Some(longest)) = (&mut self.until, longest) {
            *until = longest.min(*until);
        }
        self
    }
}

impl From<Hand> for PlainHand {
    fn from(Hand { version, until }: Hand) -> Self {
        let (until, status) = match until {
            Until::Over => (None, None),
            Until::Change(status) => (Some(CHANGE.to_owned()), status),
            Until::Time(time) => (Some(time.to_string()), None),
        };
        Self { until, version, status }
    }
}

/// The last of the light's hours to begin or end; the version is that time in milliseconds. A member
/// whose clock is behind takes it from those that were there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Hours {
    pub version: u64,
    pub inside: bool,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Common {
    pub inputs: Inputs,
    pub paused: Paused,
    pub hand: Hand,
    pub hours: Hours,
    pub before: Before,
}

impl Common {
    /// Takes over what is newer elsewhere.
    pub fn merge(&mut self, other: &Self) {
        merge(&mut self.inputs, &other.inputs);
        self.paused = self.paused.max(other.paused);
        self.hours = self.hours.max(other.hours);
        if other.hand > self.hand {
            self.hand = other.hand.clone();
        }
        if other.before.version > self.before.version {
            self.before = other.before.clone();
        }
    }

    /// Whether nothing is newer elsewhere.
    pub fn covers(&self, other: &Self) -> bool {
        covers(&self.inputs, &other.inputs)
            && self.paused >= other.paused
            && self.hand >= other.hand
            && self.hours >= other.hours
            && self.before.version >= other.before.version
    }

    /// Reads the entries of a light's topic, the inputs of these accounts alone. An entry that is odd, or
    /// whose number no member can have come to, is passed over: it would hold the light up for ever.
    pub fn read(topic: &Map<String, Value>, follow: &[AccountName], now: Timestamp) -> Self {
        Self {
            inputs: topic.get("inputs").map(|inputs| read_inputs(inputs, follow)).unwrap_or_default(),
            paused: entry(topic, "paused", now, |paused: &Paused| paused.version),
            hand: entry(topic, "hand", now, |hand: &Hand| hand.version),
            hours: entry(topic, "hours", now, |hours: &Hours| hours.version),
            before: entry(topic, "before", now, |before: &Before| before.version),
        }
    }
}

fn entry<T: serde::de::DeserializeOwned + Default>(
    topic: &Map<String, Value>,
    key: &str,
    now: Timestamp,
    version: impl Fn(&T) -> u64,
) -> T {
    let read = topic.get(key).and_then(|entry| T::deserialize(entry).ok());
    read.filter(|entry| version(entry) <= milliseconds(now + CREDIBLE)).unwrap_or_default()
}

fn read_inputs(inputs: &Value, follow: &[AccountName]) -> Inputs {
    let sequence = |account: &AccountName| Sequence::try_from(inputs.get(account.as_str())?.as_u64()?).ok();
    let credible = |sequence: &Sequence| *sequence <= Sequence::CREDIBLE;
    follow.iter().filter_map(|account| Some((account.clone(), sequence(account).filter(credible)?))).collect()
}

/// The version behind a known one.
pub(super) fn next_version(known: u64, now: Timestamp) -> u64 {
    milliseconds(now).max(known.saturating_add(1))
}

/// A time as a version.
pub(super) fn milliseconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_millisecond()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn name(name: &str) -> AccountName {
        name.parse().unwrap()
    }

    fn now() -> Timestamp {
        "2026-11-24T08:00:00Z".parse().unwrap()
    }

    fn read(topic: Value) -> Common {
        Common::read(topic.as_object().unwrap(), &[name("alex")], now())
    }

    #[test]
    fn what_is_published_is_read_back() {
        let status = Some(Which { account: name("alex"), since: now() });
        for until in [Until::Over, Until::Change(None), Until::Change(status), Until::Time(now())] {
            let hand = Hand { version: milliseconds(now()), until };
            let paused = Paused { version: 3, value: true };
            let hours = Hours { version: 5, inside: true };
            let common = read(json!({"inputs": {"alex": 9, "sam": 4}, "hand": hand, "paused": paused, "hours": hours}));
            let inputs = [(name("alex"), 9.try_into().unwrap())].into();
            assert_eq!(common, Common { inputs, paused, hand, hours, before: Before::default() });
        }
    }

    #[test]
    fn a_hand_counts_for_no_longer_than_the_rules_can_say() {
        let until = |until: &str| read(json!({"hand": {"until": until, "version": milliseconds(now())}})).hand.until;
        assert_eq!(until("2026-12-24T07:59:59Z"), Until::Time("2026-12-24T07:59:59Z".parse().unwrap()));
        assert_eq!(until("9999-01-01T00:00:00Z"), Until::Time("2026-12-24T08:00:00Z".parse().unwrap()));
    }

    #[test]
    fn what_no_member_wrote_is_passed_over_entry_by_entry() {
        let ahead = milliseconds(now()) + 2 * 24 * 3600 * 1000;
        for odd in
            [json!(7), json!(null), json!({"value": true, "version": ahead}), json!({"value": 1, "version": "1"})]
        {
            let common = read(json!({"inputs": {"alex": 9}, "paused": odd, "hand": odd}));
            assert_eq!((common.paused, common.hand), (Paused::default(), Hand::default()), "{odd}");
            assert_eq!(common.inputs.len(), 1);
        }
        for odd in [json!({"alex": 1_u64 << 53}), json!({"alex": (1_u64 << 53) - 1}), json!({"alex": -1}), json!([1])] {
            assert!(read(json!({"inputs": odd})).inputs.is_empty(), "{odd}");
        }
    }

    fn common() -> impl Strategy<Value = Common> {
        let inputs = proptest::collection::btree_map((0..3_u8).prop_map(|n| name(&format!("a{n}"))), 0..9_u64, 0..3);
        let inputs = inputs.prop_map(|inputs| inputs.into_iter().map(|(a, n)| (a, n.try_into().unwrap())).collect());
        let until = prop_oneof![
            Just(Until::Over),
            Just(Until::Change(None)),
            (0..3_i64).prop_map(|s| Until::Time(Timestamp::from_second(s).unwrap()))
        ];
        (inputs, (0..4_u64, any::<bool>()), (0..4_u64, until), (0..4_u64, any::<bool>())).prop_map(
            |(inputs, (paused, value), (hand, until), (hours, inside))| Common {
                inputs,
                paused: Paused { version: paused, value },
                hand: Hand { version: hand, until },
                hours: Hours { version: hours, inside },
                before: Before::default(),
            },
        )
    }

    proptest! {
        #[test]
        fn members_end_at_the_same_whatever_they_read_first(all in proptest::collection::vec(common(), 1..6), turn in 0..6_usize) {
            let merged = |all: &[Common]| all.iter().fold(Common::default(), |mut merged, next| { merged.merge(next); merged });
            let mut other = all.clone();
            other.rotate_left(turn % all.len());
            other.extend(all.iter().rev().cloned());
            prop_assert_eq!(merged(&all), merged(&other));
            prop_assert!(all.iter().all(|one| merged(&all).covers(one)));
        }
    }
}
