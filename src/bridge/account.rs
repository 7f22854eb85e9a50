//! What is known of one account, and what each answer of Graph, each failure and each retained message
//! makes of it. Pure: time is passed in. Small: there can be tens of thousands.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::pace::{LATELY, SILENT};
use super::sequence::Counter;
use super::sign_in::{Obstacle, SignIn};
use crate::presence::{AccountName, Newest, ObjectId, Presence, Reading, Report, Sequence, Verdict};

/// One moment, on the clock that never jumps and on the one that people read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) instant: Instant,
    pub(super) wall: Timestamp,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { instant: Instant::now(), wall: Timestamp::now() }
    }
}

/// One account.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) name: AccountName,
    /// Whose presence it is: from the configuration, a look-up, the sign-in, or Graph's answer.
    user_id: Option<ObjectId>,
    newest: Newest,
    since: Timestamp,
    /// None until the presence is published, or was found published.
    sequence: Option<Sequence>,
    /// When Graph last answered this process.
    answered: Option<Instant>,
    changed: Option<Instant>,
    failures: u8,
    known: Known,
    sign_in: Option<SignIn>,
}

/// Whether the presence can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Not asked for yet: nothing is said.
    NotYet,
    /// `online`
    Yes,
    /// `offline`
    No,
}

/// Which of an account's topics are to be written anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) presence: bool,
    pub(super) state: bool,
    pub(super) sign_in: bool,
}

impl Account {
    pub(super) fn new(name: AccountName, user_id: Option<ObjectId>) -> Self {
        Self {
            name,
            user_id,
            newest: Newest::default(),
            since: Timestamp::UNIX_EPOCH,
            sequence: None,
            answered: None,
            changed: None,
            failures: 0,
            known: Known::NotYet,
            sign_in: None,
        }
    }

    pub(super) fn user_id(&self) -> Option<ObjectId> {
        self.user_id
    }

    pub(super) fn identified(&mut self, user_id: ObjectId) {
        self.user_id = Some(user_id);
    }

    pub(super) fn known(&self) -> Known {
        self.known
    }

    pub(super) fn failures(&self) -> u8 {
        self.failures
    }

    pub(super) fn presence(&self) -> Option<&Presence> {
        self.newest.presence()
    }

    pub(super) fn sequence(&self) -> Option<Sequence> {
        self.sequence
    }

    /// When Graph last answered this process.
    pub(super) fn last_answer(&self) -> Option<Instant> {
        self.answered
    }

    pub(super) fn sign_in(&self) -> Option<&SignIn> {
        self.sign_in.as_ref()
    }

    /// Whether the presence changed while this process looked, a short time ago.
    pub(super) fn changed_lately(&self, now: Instant) -> bool {
        self.changed.is_some_and(|changed| now.duration_since(changed) < LATELY)
    }

    /// Graph answered. `open` is the counter when presences are published already; before, the
    /// sequence waits for what the broker holds.
    pub(super) fn answered(&mut self, reading: Reading, now: Moment, open: Option<&mut Counter>) -> Changes {
        let first = self.answered.replace(now.instant).is_none();
        self.failures = 0;
        let another_person = reading.user_id.is_some() && self.user_id.is_some() && reading.user_id != self.user_id;
        self.user_id = reading.user_id.or(self.user_id);
        let status = self.presence().map(|presence| (presence.availability.clone(), presence.activity.clone()));
        let verdict = self.newest.take(reading);
        let mut changes = Changes { sign_in: self.signed_in(SignIn::ok(now.wall)), ..Changes::default() };
        if verdict == Verdict::Changed || another_person {
            let is = self.presence().map(|presence| (presence.availability.clone(), presence.activity.clone()));
            if is != status || another_person {
                self.since = now.wall;
            }
            if !first {
                self.changed = Some(now.instant);
            }
            self.sequence = open.map(|counter| counter.next(now.wall));
            changes.presence = true;
        }
        changes.state = self.becomes(Known::Yes);
        changes
    }

    /// A poll failed. Where something stands in the way, the presence cannot be known at once;
    /// otherwise after three polls, or when this process never had an answer.
    pub(super) fn failed(&mut self, obstacle: Option<&Obstacle>, now: Moment) -> Changes {
        self.failures = self.failures.saturating_add(1);
        let sign_in = obstacle.is_some_and(|obstacle| self.signed_in(SignIn::not(obstacle, now.wall)));
        let unknown = obstacle.is_some() || self.failures >= SILENT || self.answered.is_none();
        Changes { presence: false, state: unknown && self.becomes(Known::No), sign_in }
    }

    /// Time passed: what was last heard too long ago is not known any more (invariant 1).
    pub(super) fn aged(&mut self, now: Instant, bound: Duration) -> Changes {
        let old = self.answered.is_some_and(|answered| now.duration_since(answered) > bound);
        Changes { state: old && self.becomes(Known::No), ..Changes::default() }
    }

    /// Presences are published from now on: what was heard before gets its sequence, and who was
    /// not asked for yet is unknown.
    pub(super) fn open(&mut self, now: Timestamp, counter: &mut Counter) {
        if self.presence().is_some() && self.sequence.is_none() {
            self.sequence = Some(counter.next(now));
        }
    }

    /// Says that the presence is unknown where nothing else was said yet.
    pub(super) fn settle(&mut self) -> Changes {
        let state = self.known == Known::NotYet && self.becomes(Known::No);
        Changes { state, ..Changes::default() }
    }

    /// The presence that the broker holds, published by our forerunner. What it says is carried on
    /// where this process heard the same; `open` as above.
    pub(super) fn found(&mut self, report: Report, now: Moment, open: Option<&mut Counter>) -> Changes {
        let ours = self.user_id.is_none() || report.user_id.is_none() || report.user_id == self.user_id;
        let newer = self.sequence.is_none_or(|sequence| report.sequence > sequence);
        if !newer || report.sequence > Sequence::LEARNABLE {
            return Changes::default();
        }
        let published = report.presence();
        match self.presence() {
            None if ours => {
                self.user_id = self.user_id.or(report.user_id);
                (self.since, self.sequence) = (report.since, Some(report.sequence));
                self.newest = Newest::from_published(published);
                Changes::default()
            }
            None => Changes::default(),
            Some(heard) => {
                let same = ours && *heard == published && report.user_id == self.user_id;
                if ours && !heard.status_differs(&published) {
                    self.since = report.since;
                }
                self.sequence = if same { Some(report.sequence) } else { open.map(|counter| counter.next(now.wall)) };
                Changes { presence: !same, ..Changes::default() }
            }
        }
    }

    /// What the broker holds about the sign-in: where it says the same, its time is carried on.
    pub(super) fn found_sign_in(&mut self, found: SignIn) -> Changes {
        match &mut self.sign_in {
            None => self.sign_in = Some(found),
            Some(sign_in) if sign_in.says_the_same(&found) => *sign_in = found,
            Some(_) => {}
        }
        Changes::default()
    }

    /// The published form; none until there is a presence with a sequence.
    pub(super) fn report(&self) -> Option<Report> {
        let presence = self.presence()?.clone();
        Some(Report {
            account: self.name.clone(),
            user_id: self.user_id,
            availability: presence.availability,
            activity: presence.activity,
            since: self.since,
            sequence: self.sequence?,
            status_message: presence.status_message,
            out_of_office: presence.out_of_office,
            work_location: presence.work_location,
        })
    }

    fn becomes(&mut self, known: Known) -> bool {
        std::mem::replace(&mut self.known, known) != known
    }

    fn signed_in(&mut self, sign_in: SignIn) -> bool {
        let news = self.sign_in.as_ref().is_none_or(|before| !before.says_the_same(&sign_in));
        if news {
            self.sign_in = Some(sign_in);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Trouble;
    use crate::presence::{Activity, Availability};

    const ID: &str = "00000000-0000-4000-8000-000000000001";

    fn at(second: i64) -> Moment {
        let wall = Timestamp::from_second(second).unwrap();
        Moment { instant: Instant::now() + Duration::from_secs(second.unsigned_abs()), wall }
    }

    fn reading(availability: Availability) -> Reading {
        let presence = Presence::new(availability, Activity::AVAILABLE);
        Reading { user_id: ID.parse().ok(), presence, number: None }
    }

    fn account() -> Account {
        Account::new("alex".parse().unwrap(), None)
    }

    fn published(availability: Availability, since: i64, sequence: u64) -> Report {
        let mut account = account();
        account.answered(reading(availability), at(since), None);
        account.sequence = sequence.try_into().ok();
        account.report().unwrap()
    }

    const NOTHING: Changes = Changes { presence: false, state: false, sign_in: false };

    #[test]
    fn the_first_answer_says_everything_and_the_same_again_nothing() {
        let (mut account, mut counter) = (account(), Counter::default());
        let first = account.answered(reading(Availability::BUSY), at(10), Some(&mut counter));
        assert_eq!(first, Changes { presence: true, state: true, sign_in: true });
        assert_eq!(account.answered(reading(Availability::BUSY), at(15), Some(&mut counter)), NOTHING);
        assert_eq!(account.report().unwrap().since, at(10).wall);
    }

    #[test]
    fn since_is_the_time_of_the_status_not_of_the_note() {
        let (mut account, mut counter) = (account(), Counter::default());
        account.answered(reading(Availability::BUSY), at(10), Some(&mut counter));
        let mut noted = reading(Availability::BUSY);
        noted.presence.work_location = Some("office".into());
        assert!(account.answered(noted, at(20), Some(&mut counter)).presence);
        let report = account.report().unwrap();
        assert_eq!((report.since, report.sequence.get()), (at(10).wall, 20_000));
    }

    #[test]
    fn three_failures_make_a_presence_unknown_and_one_answer_known_again() {
        let (mut account, mut counter) = (account(), Counter::default());
        account.answered(reading(Availability::BUSY), at(10), Some(&mut counter));
        let states = [(); 4].map(|()| account.failed(None, at(11)).state);
        assert_eq!((states, account.known()), ([false, false, true, false], Known::No));
        let again = account.answered(reading(Availability::BUSY), at(20), Some(&mut counter));
        assert_eq!(again, Changes { state: true, ..NOTHING });
    }

    #[test]
    fn a_failure_before_any_answer_makes_it_unknown_at_once() {
        assert!(account().failed(None, at(1)).state);
    }

    #[test]
    fn a_lost_sign_in_makes_it_unknown_at_once_and_is_told_once() {
        let mut account = account();
        account.answered(reading(Availability::BUSY), at(10), None);
        let lost = crate::entra::Trouble::SignIn { reason: "sign in again".into() };
        let obstacle = Obstacle::of(&Trouble::Token(lost)).unwrap();
        assert_eq!(account.failed(Some(&obstacle), at(11)), Changes { state: true, sign_in: true, presence: false });
        assert_eq!(account.failed(Some(&obstacle), at(12)), NOTHING);
        assert_eq!(account.sign_in().unwrap().since, at(11).wall);
        let healed = account.answered(reading(Availability::BUSY), at(13), None);
        assert_eq!(healed, Changes { state: true, sign_in: true, presence: false });
    }

    #[test]
    fn what_was_heard_too_long_ago_is_not_known_any_more() {
        let mut account = account();
        let heard = at(10);
        account.answered(reading(Availability::BUSY), heard, None);
        let bound = Duration::from_secs(120);
        assert!(!account.aged(heard.instant + bound, bound).state);
        assert!(account.aged(heard.instant + bound * 2, bound).state);
        assert!(!account.aged(heard.instant + bound * 3, bound).state, "told once");
    }

    #[test]
    fn since_and_sequence_carry_on_over_a_restart_whichever_is_heard_first() {
        let before = published(Availability::BUSY, 10, 500);
        let mut counter = Counter::default();
        let mut broker_first = account();
        broker_first.found(before.clone(), at(100), None);
        assert!(!broker_first.answered(reading(Availability::BUSY), at(101), None).presence);
        let mut graph_first = account();
        graph_first.answered(reading(Availability::BUSY), at(100), None);
        assert!(!graph_first.found(before.clone(), at(101), None).presence);
        for mut account in [broker_first, graph_first] {
            account.open(at(102).wall, &mut counter);
            assert_eq!(account.report().unwrap(), before);
        }
    }

    #[test]
    fn a_change_over_a_restart_is_newer_than_what_the_broker_held() {
        let mut counter = Counter::default();
        let before = published(Availability::BUSY, 10, 900_000);
        counter.learn(before.sequence);
        let mut account = account();
        account.answered(reading(Availability::AWAY), at(100), None);
        account.found(before.clone(), at(101), None);
        account.open(at(102).wall, &mut counter);
        let report = account.report().unwrap();
        assert!(report.sequence > before.sequence);
        assert_eq!(report.since, at(100).wall);
    }

    #[test]
    fn what_comes_late_still_counts() {
        let mut counter = Counter::default();
        let mut account = account();
        account.answered(reading(Availability::BUSY), at(100), Some(&mut counter));
        let late = published(Availability::BUSY, 10, 900_000);
        counter.learn(late.sequence);
        assert_eq!(account.found(late.clone(), at(101), Some(&mut counter)), NOTHING);
        assert_eq!(account.report().unwrap(), late);
        let other = published(Availability::AWAY, 10, 1_000_000);
        counter.learn(other.sequence);
        assert!(account.found(other, at(102), Some(&mut counter)).presence);
        assert!(account.report().unwrap().sequence.get() > 1_000_000);
    }

    #[test]
    fn what_another_person_left_under_the_name_is_not_carried_on() {
        let mut counter = Counter::default();
        let mut account = Account::new("alex".parse().unwrap(), "00000000-0000-4000-8000-00000000000f".parse().ok());
        account.found(published(Availability::BUSY, 10, 500), at(100), None);
        assert_eq!(account.report(), None);
        let mut theirs = reading(Availability::BUSY);
        theirs.user_id = account.user_id();
        assert!(account.answered(theirs, at(101), Some(&mut counter)).presence);
        assert_eq!(account.report().unwrap().since, at(101).wall);
    }

    #[test]
    fn a_strangers_huge_sequence_is_not_carried_on() {
        let mut account = account();
        account.found(published(Availability::BUSY, 10, Sequence::MAX.get()), at(100), None);
        assert_eq!(account.report(), None);
    }

    #[test]
    fn an_account_is_small() {
        assert!(size_of::<Account>() <= 320, "{}", size_of::<Account>());
    }
}
