//! One light: what is wanted of it, what it shows, and what of that the location knows. Pure.

mod before;
mod others;
mod reach;
mod seen;

use std::collections::VecDeque;
use std::ops::BitOrAssign;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use self::others::Others;
use self::reach::Reach;
use self::seen::{Lately, Told};
use super::common::{Common, Inputs, Which, covers, merge};
use super::converge::Aim;
use super::duty::Duty;
use super::payload::Report;
use super::rules::Status;
use crate::lights::{Look, Obeyed};
use crate::presence::AccountName;
use crate::settings::Color;

/// How long what was wanted before is still taken for an echo: hubs tell late what lamps did.
pub(super) const ECHO: Duration = Duration::from_secs(10);
/// The same of what is told of a time in which nobody listened.
pub(super) const LATE_ECHO: Duration = Duration::from_secs(75);
/// How many looks are remembered that long.
const REMEMBERED: usize = 16;

/// Both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub instant: Instant,
    pub time: Timestamp,
}

/// Why a light is to do what it is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// By the status of whom it follows.
    Status,
    /// By the hour.
    Outside,
    /// A person changed it.
    Hand,
    /// Somebody paused it.
    Paused,
    /// The last member stops.
    Stop,
}

/// What the rules want of a light, and by which presences.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wish {
    /// Whose status counts, and which it is; none while nobody's is known.
    pub status: Option<(AccountName, Status)>,
    /// What the light does.
    pub color: Color,
    pub why: Why,
    /// What that looks like; none where it is left alone.
    pub look: Option<Look>,
    /// The newest presence of every followed account that went into it.
    pub inputs: Inputs,
}

impl Wish {
    /// What it means for the light.
    pub fn aim(&self) -> Aim {
        match (&self.look, &self.status) {
            (Some(look), _) => Aim::Show(look.clone()),
            (None, None) if self.why == Why::Status && self.color == Color::Keep => Aim::Wait,
            (None, _) => Aim::LeaveAlone,
        }
    }

    /// Which status counts.
    pub fn which(&self) -> Option<Which> {
        self.status.as_ref().map(|(account, status)| Which { account: account.clone(), since: status.since })
    }
}

/// What a light shows since a command of ours, or of another member's.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub wish: Arc<Wish>,
    pub since: Timestamp,
}

/// For the hub's loop: what a light shows is known otherwise than by its own commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// It may show something else.
    Doubt,
    /// Another member shows this.
    Shows(Look),
}

/// What is to be done after something was learned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Effects {
    /// The hub's loop looks again.
    pub act: bool,
    /// The light's topic is published.
    pub publish: bool,
}

impl Effects {
    pub const NONE: Self = Self { act: false, publish: false };
    pub const ALL: Self = Self { act: true, publish: true };
}

impl BitOrAssign for Effects {
    fn bitor_assign(&mut self, other: Self) {
        self.act |= other.act;
        self.publish |= other.publish;
    }
}

/// One light.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub wish: Option<Arc<Wish>>,
    /// What it shows for certain.
    pub shown: Option<Shown>,
    /// What it showed last, by a command that was obeyed.
    ours: Option<Look>,
    /// Since when the look wanted is shown, by whomever, as far as is known.
    since: Option<Timestamp>,
    /// What another member said last.
    pub reported: Option<Report>,
    pub common: Common,
    pub duty: Duty,
    /// Whether its hub was asked whether the light can be commanded.
    pub asked: bool,
    pub unreachable: bool,
    reach: Reach,
    /// The last error or advice, for people.
    pub error: Option<String>,
    pub commands: u64,
    pub failures: u64,
    /// The look wanted last, however long ago; none after the light was left alone.
    last: Option<Look>,
    /// The status that counted last.
    counted: Option<Which>,
    /// Looks wanted before it, and until when they were.
    recent: VecDeque<(Look, Instant)>,
    /// What an event told that is not the look wanted: until an event tells as much that is.
    against: Told,
    /// What was wanted when a person's hand came between.
    overruled: Option<Look>,
    lately: Lately,
    news: Option<News>,
    /// How soon our command is to be renewed, for its effect.
    pub renews: Option<Duration>,
    /// Whether that began already: a look ends what moved before it, and its effect is a command of its own.
    moves: bool,
    others: Others,
    /// What the others must know at once goes with the next wish, which comes of it.
    must_tell: bool,
}

impl Entry {
    /// The newest wish. `given`: the broker gave us what it came of, to act upon first.
    pub fn wish(&mut self, wish: Option<Wish>, given: bool, grace: Duration, now: Now) -> Effects {
        if self.wish.as_deref() == wish.as_ref() {
            let ours = given && wish.is_some() && self.duty.give() && self.acts();
            return Effects { act: ours, publish: ours };
        }
        self.wish = wish.map(Arc::new);
        let Some(wish) = self.wish.clone() else { return Effects { act: true, publish: false } };
        self.counted = wish.which().or(self.counted.take());
        let look = match wish.aim() {
            Aim::Show(look) => look,
            aim => {
                self.duty.wished(false, given, now.instant, grace);
                if aim == Aim::LeaveAlone {
                    self.leave_alone(now.instant);
                }
                self.relieve(grace, now.instant);
                return Effects { act: true, publish: self.acts() | std::mem::take(&mut self.must_tell) };
            }
        };
        let differs = !self.last.as_ref().is_some_and(|last| last.looks_like(&look));
        let is_done = self.is_done();
        let was_exposed = !is_done && self.duty.is_exposed(now.instant);
        let first = self.duty.wished(differs, given, now.instant, grace);
        if differs {
            self.forget_effect();
            self.remember(now.instant);
            self.last = Some(look);
            self.since = self.reported_done().map(|reported| reported.since);
            // Others acted upon what was not given to us, and upon what we did not get done in time.
            if was_exposed || (self.duty.owes() && !given) {
                self.doubt();
            }
        } else if let Some(shown) = self.shown.as_mut().filter(|_| is_done) {
            shown.wish = wish;
        }
        if !first {
            self.relieve(grace, now.instant);
        }
        Effects { act: true, publish: self.acts() | std::mem::take(&mut self.must_tell) }
    }

    /// Whether the look wanted is shown for certain.
    pub fn is_done(&self) -> bool {
        let shown = self.shown.as_ref().and_then(|shown| shown.wish.look.as_ref());
        matches!((shown, &self.last), (Some(shown), Some(last)) if shown.looks_like(last))
    }

    /// Whether it is on us. The presences are then acted upon.
    fn acts(&mut self) -> bool {
        if let (Some(wish), true) = (&self.wish, self.duty.may_act()) {
            merge(&mut self.common.inputs, &wish.inputs);
        }
        self.duty.may_act()
    }

    fn leave_alone(&mut self, now: Instant) {
        self.forget_effect();
        self.since = None;
        self.leave();
        self.remember(now);
        self.doubt();
    }

    fn doubt(&mut self) {
        (self.shown, self.renews) = (None, None);
        self.news = Some(News::Doubt);
    }

    fn remember(&mut self, now: Instant) {
        let last = self.last.take();
        self.others_may_want(last, now);
    }

    /// What others may want still is no hand for a while.
    pub fn others_may_want(&mut self, look: Option<Look>, now: Instant) {
        let Some(look) = look else { return };
        self.recent.retain(|(known, until)| now < *until + LATE_ECHO && *known != look);
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((look, now));
    }

    /// What the hub's loop is to aim at.
    pub fn aim(&self) -> Aim {
        match self.wish.as_deref().map(Wish::aim) {
            Some(Aim::Show(_)) if !self.duty.may_act() => Aim::Wait,
            aim => aim.unwrap_or_default(),
        }
    }

    /// What is new for the hub's loop.
    pub fn take_news(&mut self) -> Option<News> {
        self.news.take()
    }

    /// What a member published, perhaps ourselves (`me`).
    pub fn read(&mut self, report: Report, me: &str, grace: Duration, now: Now) -> Effects {
        let lacks = !report.common.covers(&self.common);
        let is_no_hand = self.doubts_the_hand(&report, now.instant);
        self.common.merge(&report.common);
        if is_no_hand {
            self.end_hand(now);
        }
        let mut effects = Effects { act: false, publish: lacks || is_no_hand };
        match report.commands_of(me) {
            Some(commands) => self.duty.came_back(commands),
            None => {
                let has_commanded = self.hear(&report);
                // Whoever does not know what the light shows, or not yet, writes over what others do.
                let unaware = !report.shows_something() || self.wish.as_ref().is_some_and(|wish| report.lags(wish));
                effects.publish |= unaware && self.is_done();
                self.reported = Some(report);
                if !self.relieve(grace, now.instant) && self.was_set_back() {
                    self.set_back(has_commanded, grace, now);
                }
                effects.act = self.news.is_some();
                effects.publish |= std::mem::take(&mut self.must_tell);
            }
        }
        effects
    }

    /// Whether another member has done what is wanted. Not believed while our own command may have come
    /// behind theirs.
    fn relieve(&mut self, grace: Duration, now: Instant) -> bool {
        if self.duty.owes() || self.duty.is_under_way() {
            return false;
        }
        let (Some(wish), Some(reported)) = (&self.wish, self.reported_done()) else { return false };
        let (since, renews) = (reported.since, reported.renews());
        let who = reported.author().map(|(who, _)| who.to_owned());
        if let Some(look) = &wish.look
            && !self.is_done()
        {
            let since = *self.since.get_or_insert(since);
            self.shown = Some(Shown { wish: wish.clone(), since });
            self.ours = Some(look.clone());
            self.news = Some(News::Shows(look.clone()));
        }
        self.duty.relieved();
        self.leave_effect(&who.unwrap_or_default(), renews, grace, now);
        true
    }

    /// What another member reported, where it has done what is wanted.
    fn reported_done(&self) -> Option<&Report> {
        let (wish, reported) = (self.wish.as_ref()?, self.reported.as_ref()?);
        Some(reported).filter(|reported| covers(&reported.common.inputs, &wish.inputs) && reported.shows(wish))
    }

    /// How long the look wanted is shown, as far as is known.
    pub fn shown_for(&self, now: Now) -> Option<Duration> {
        Some(Duration::try_from(now.time.duration_since(self.since?)).unwrap_or_default())
    }

    /// Whether a member that knew less shows something else: its command may have come behind the right one.
    fn was_set_back(&self) -> bool {
        let (Some(wish), Some(reported)) = (&self.wish, &self.reported) else { return false };
        let older = !covers(&reported.common.inputs, &wish.inputs);
        older && reported.shows_something() && !reported.shows(wish)
    }

    /// A command went out.
    pub fn sent(&mut self) {
        self.duty.sent();
        self.shown = None;
        self.against = Told::default();
    }

    /// A command was obeyed. `shows`: the light shows it now.
    pub fn obeyed(&mut self, wish: &Arc<Wish>, shows: bool, obeyed: &Obeyed, grace: Duration, now: Now) {
        let moves = self.renews.is_some();
        self.ended(now);
        self.heard_out(obeyed);
        self.ours = wish.look.clone().filter(|_| shows).or(self.ours.take());
        let is_kept = matches!((self.kept(), &wish.look), (Some(a), Some(b)) if a.looks_like(b));
        let newest = self.wish.as_ref().filter(|newest| newest.look.is_some()).unwrap_or(wish);
        let newest = Some(newest).filter(|_| is_kept && shows).cloned();
        let restored = newest.as_ref().is_some_and(|newest| newest.color == Color::Restore);
        self.shown = newest.map(|wish| Shown { wish, since: *self.since.get_or_insert(now.time) });
        self.forget_effect();
        self.renews = obeyed.again.filter(|_| self.shown.is_some());
        self.moves = moves && self.renews.is_some();
        if self.shown.is_some() {
            self.duty.paid();
        }
        if restored {
            self.release();
        }
        if self.against != Told::default() {
            // The hub told of something else meanwhile: which came last?
            self.mend(grace, now);
        }
    }

    /// A command failed.
    pub fn failed(&mut self, now: Now) {
        self.ended(now);
        self.never_came();
        self.failures += 1;
    }

    /// A command came to its end. What the light shows is not known.
    pub fn ended(&mut self, now: Now) {
        self.commands += 1;
        self.duty.ended(now.instant);
        self.shown = None;
        self.renews = None;
    }

    /// When [`Self::pass`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        [self.duty.deadline(), self.others.renewal()].into_iter().flatten().min()
    }

    /// Time passes.
    pub fn pass(&mut self, now: Now) -> Effects {
        if self.is_left_to_us(now) {
            self.doubt();
            self.duty.give();
            self.acts();
            return Effects::ALL;
        }
        if !self.duty.pass(now.instant) || !self.acts() {
            return Effects::NONE;
        }
        if !self.is_done() {
            self.doubt();
        }
        Effects::ALL
    }
}
