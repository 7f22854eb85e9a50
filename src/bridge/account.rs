//! What is known of one account, and what each answer of Graph, each failure and each retained message
//! makes of it. Pure: time is passed in. Small: there can be tens of thousands.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::pace::{LATELY, SILENT};
use super::sequence::Counter;
use super::sign_in::{Obstacle, SignIn, Standing};
use crate::presence::{AccountName, Newest, ObjectId, Preferred, Presence, Reading, Report, Sequence, Verdict};

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
    /// Whether `since` is this process's first look, and may be older by what the broker holds.
    first_look: bool,
    sign_in: Option<SignIn>,
    /// What was set through us. Boxed: hardly anybody does.
    wish: Option<Box<Wish>>,
}

/// A preferred presence that was set through us.
#[derive(Debug)]
struct Wish {
    preferred: Preferred,
    /// Whether Graph shows it, and so it is published.
    shown: bool,
    /// Whether another one than this is published.
    news: bool,
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
    /// The account is there no more: its topics are cleared.
    Gone,
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
            first_look: false,
            sign_in: None,
            wish: None,
        }
    }

    /// One whose topics are to be cleared.
    pub(super) fn gone(name: AccountName) -> Self {
        Self { known: Known::Gone, ..Self::new(name, None) }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.known == Known::Gone
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
    pub(super) fn answered(&mut self, reading: &Reading, now: Moment, open: Option<&mut Counter>) -> Changes {
        let first = self.answered.replace(now.instant).is_none();
        self.failures = 0;
        let another_person = reading.user_id.is_some() && self.user_id.is_some() && reading.user_id != self.user_id;
        self.user_id = reading.user_id.or(self.user_id);
        let unheard_of = self.presence().is_none();
        let verdict = self.newest.take(reading);
        let was_ok = self.sign_in.as_ref().is_some_and(SignIn::is_ok);
        let sign_in = !was_ok && self.signed_in(SignIn::ok(now.wall));
        let mut changes = Changes { sign_in, ..Changes::default() };
        let another_wish = self.look_at_wish(now.wall);
        if matches!(verdict, Verdict::Status | Verdict::Details) || another_person || another_wish {
            if verdict == Verdict::Status || another_person {
                self.since = now.wall;
            }
            self.first_look = first && unheard_of;
            if !first {
                self.changed = Some(now.instant);
            }
            self.sequence = open.map(|counter| counter.next(now.wall));
            changes.presence = true;
        }
        changes.state = self.becomes(Known::Yes);
        changes
    }

    /// The person set, or cleared, what they prefer to show. It is published when Graph shows it.
    pub(super) fn prefers(&mut self, preferred: Option<Preferred>) {
        let shown = self.wish.as_ref().is_some_and(|wish| wish.shown);
        self.wish = match (preferred, self.wish.take()) {
            (Some(preferred), _) => Some(Box::new(Wish { preferred, shown, news: shown })),
            (None, Some(mut wish)) => {
                wish.preferred.expires = Timestamp::UNIX_EPOCH;
                Some(wish)
            }
            (None, None) => None,
        };
    }

    /// Whether what is published of the wish is to be another thing now.
    fn look_at_wish(&mut self, now: Timestamp) -> bool {
        let Some(mut wish) = self.wish.take() else { return false };
        if wish.preferred.expires <= now {
            return wish.shown;
        }
        let shows = self.presence().is_some_and(|presence| presence.availability == wish.preferred.availability);
        let changed = std::mem::take(&mut wish.news) || shows != wish.shown;
        wish.shown = shows;
        self.wish = Some(wish);
        changed
    }

    fn carry_wish_on(&mut self, report: &mut Report) {
        if let (None, Some(preferred)) = (&self.wish, report.preferred.take()) {
            let shown = self.presence().is_none_or(|heard| heard.availability == preferred.availability);
            self.wish = Some(Box::new(Wish { preferred: *preferred, shown, news: false }));
        }
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
    pub(super) fn found(&mut self, mut report: Report, now: Moment, open: Option<&mut Counter>) -> Changes {
        let ours = self.user_id.is_none() || report.user_id.is_none() || report.user_id == self.user_id;
        let newer = self.sequence.is_none_or(|sequence| report.sequence > sequence);
        if report.sequence > Sequence::LEARNABLE || self.is_gone() {
            return Changes::default();
        }
        if !newer {
            return self.found_late(&report, ours, now, open);
        }
        self.first_look = false;
        if ours {
            self.carry_wish_on(&mut report);
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

    /// What our forerunner published came when this process had published the same: that is so since then.
    fn found_late(&mut self, report: &Report, ours: bool, now: Moment, open: Option<&mut Counter>) -> Changes {
        let published = report.presence();
        let same = ours && self.presence().is_some_and(|heard| !heard.status_differs(&published));
        let Some(counter) = open.filter(|_| same && self.first_look && report.since < self.since) else {
            return Changes::default();
        };
        self.first_look = false;
        self.since = report.since;
        self.sequence = Some(counter.next(now.wall));
        Changes { presence: true, ..Changes::default() }
    }

    /// A sign-in came to nothing: that is what is told of one that is needed.
    pub(super) fn sign_in_failed(&mut self, obstacle: &Obstacle, now: Timestamp) -> Changes {
        let needed = self.sign_in.as_ref().is_none_or(|sign_in| sign_in.state != Standing::Ok);
        Changes { sign_in: needed && self.signed_in(SignIn::not(obstacle, now)), ..Changes::default() }
    }

    /// What the broker holds about the sign-in: where it says the same, its time is carried on. A code
    /// ended with the process that asked for it.
    pub(super) fn found_sign_in(&mut self, mut found: SignIn) -> Changes {
        if found.state == Standing::Pending {
            found =
                SignIn { state: Standing::Needed, reason: Some("start the sign-in again".into()), url: None, ..found };
        }
        match &mut self.sign_in {
            None => self.sign_in = Some(found),
            Some(sign_in) if sign_in.says_the_same(&found) => sign_in.carry_on(found),
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
            preferred: self.wish.as_ref().filter(|wish| wish.shown).map(|wish| Box::new(wish.preferred.clone())),
        })
    }

    fn becomes(&mut self, known: Known) -> bool {
        std::mem::replace(&mut self.known, known) != known
    }

    fn signed_in(&mut self, mut sign_in: SignIn) -> bool {
        let before = self.sign_in.take();
        let known = before.filter(|before| before.says_the_same(&sign_in));
        let news = known.is_none();
        if let Some(known) = known {
            sign_in.carry_on(known);
        }
        self.sign_in = Some(sign_in);
        news
    }
}

#[cfg(test)]
mod tests;
