//! What is seen of the light: which of it is an echo of what members wanted, which a person's hand.

use std::ops::BitOrAssign;
use std::time::{Duration, Instant};

use super::super::common::{Hand, Inputs, Until, covers, next_version};
use super::super::converge::Aim;
use super::super::payload::Report;
use super::{Effects, Entry, News, Now, Shown, Why};
use crate::lights::{Look, Seen};
use crate::settings::OnHand;

/// How far apart a hub tells that a lamp is back, and in which look.
const RETURN: Duration = Duration::from_secs(5);
/// How far apart a member's report of a command comes, and what the hub tells of it as it happens.
const ABOUT: Duration = Duration::from_secs(3);

/// When something happened that bears upon what the hub tells next.
#[derive(Debug, Default)]
pub(super) struct Lately {
    /// Lamps that came back, such as after a loss of power; none: any of them.
    back: Vec<(Vec<Box<str>>, Instant)>,
    /// An event spoke against the look wanted, and was an echo.
    echoed: Option<Instant>,
    /// A member that knew less sent a command.
    pub set_back: Option<Instant>,
    hand: Option<SeenHand>,
}

/// A hand that was seen.
#[derive(Debug)]
struct SeenHand {
    at: Instant,
    /// At these lamps: hubs tell of a room lamp by lamp.
    lamps: Vec<Box<str>>,
    /// By which presences the other look was wanted, where it was by a status.
    inputs: Option<Inputs>,
}

impl Lately {
    /// Whether all that is told here is of lamps that are just back.
    fn are_back(&self, Seen(lamps): &Seen, now: Instant) -> bool {
        lamps.iter().all(|lamp| self.is_back(&lamp.id, now))
    }

    fn is_back(&self, lamp: &str, now: Instant) -> bool {
        let is_it = |back: &[Box<str>]| back.is_empty() || back.iter().any(|id| **id == *lamp);
        self.back.iter().any(|(back, at)| now < *at + RETURN && is_it(back))
    }

    /// Whether the hand was at lamps that are just back, and at no other.
    fn hand_was_a_return(&self, now: Instant) -> bool {
        self.hand.as_ref().is_some_and(|hand| hand.lamps.iter().all(|lamp| self.is_back(lamp, now)))
    }
}

impl Entry {
    /// What it is to show, or to go on showing while nobody knows better; none while it is left alone.
    pub fn kept(&self) -> Option<&Look> {
        match self.wish.as_deref() {
            Some(wish) if wish.aim() != Aim::Wait => wish.look.as_ref(),
            _ => self.last.as_ref(),
        }
    }

    /// The hub told that it changed. What any member wanted so lately (see [`ECHO`]) is an echo; anything else is a
    /// person's hand.
    pub fn changed(
        &mut self,
        (seen, echo): (&Seen, Duration),
        agrees: impl Fn(&Look) -> bool,
        on_hand: OnHand,
        grace: Duration,
        now: Now,
    ) -> Effects {
        let told = Told::of(seen);
        let Some(look) = self.kept().cloned() else {
            let is_theirs = !self.is_wanted(&agrees, echo, now.instant);
            let effects = self.changed_while_left_alone(told, agrees, now);
            return Effects { publish: effects.publish || (is_theirs && self.was_lit(seen)), ..effects };
        };
        if agrees(&look) {
            return self.agreed(&look, told, now);
        }
        // While there is no wish, others may have acted upon what has not reached us.
        let is_echo = self.wish.is_none()
            || self.may_be_anybodys(seen, now.instant)
            || self.is_wanted(&agrees, echo, now.instant);
        self.lately.echoed = Some(now.instant).filter(|_| is_echo).or(self.lately.echoed);
        if is_echo || on_hand == OnHand::Ignore {
            self.against |= told;
            self.mend(grace, now)
        } else {
            self.hand(on_hand, seen, now)
        }
    }

    /// Whether what the hub tells now may come of what we do not know: a loss of power, or a member that knew less.
    fn may_be_anybodys(&self, seen: &Seen, now: Instant) -> bool {
        self.lately.are_back(seen, now) || self.lately.set_back.is_some_and(|at| now < at + ABOUT)
    }

    /// Nothing is certain any more, such as after a gap in what the hub tells.
    pub fn mend(&mut self, grace: Duration, now: Now) -> Effects {
        if self.duty.is_under_way() || self.kept().is_none() {
            return Effects::NONE;
        }
        self.doubt();
        if self.wish.as_ref().is_none_or(|wish| wish.look.is_none()) {
            // It is sent when somebody's status is known again.
            return Effects::ALL;
        }
        self.duty.doubt(now.instant, grace);
        Effects { act: true, publish: false }
    }

    /// Lamps (none told: any of them) are back, in whatever look they have after a loss of power. Hubs tell that look
    /// before or after.
    pub fn is_back(&mut self, lamps: &[Box<str>], grace: Duration, now: Now) -> Effects {
        self.found(lamps, now);
        self.lately.back.retain(|(_, at)| now.instant < *at + RETURN);
        self.lately.back.push((lamps.to_vec(), now.instant));
        let was_no_hand = self.has_seen_a_hand(RETURN, now.instant) && self.lately.hand_was_a_return(now.instant);
        if was_no_hand {
            self.end_hand(now);
        }
        // The command under way may have come too early.
        self.against = if self.duty.is_under_way() { Told::ALL } else { self.against };
        let effects = self.mend(grace, now);
        Effects { act: effects.act || was_no_hand, ..effects }
    }

    /// Whether what another member takes for a person's hand is none: it is our own command, come late, what members
    /// made of a presence that has not reached that one, or what we know for an echo. Where it is one, we see it too.
    pub(super) fn doubts_the_hand(&self, report: &Report, now: Instant) -> bool {
        let (ours, theirs) = (&self.common.hand, &report.common.hand);
        if theirs.version <= ours.version || theirs.until == Until::Over {
            return false;
        }
        let by_status = self.wish.as_ref().filter(|wish| wish.why == Why::Status);
        let knows_less = || by_status.is_some_and(|wish| !covers(&report.common.inputs, &wish.inputs));
        let is_echo = || self.lately.echoed.is_some_and(|at| now < at + ABOUT);
        let is_none = || is_echo() || (matches!(theirs.until, Until::Time(_)) && knows_less());
        self.duty.owes() || (ours.until == Until::Over && is_none())
    }

    /// Whether a hand was seen so lately, and counts. The wish may not know yet.
    fn has_seen_a_hand(&self, within: Duration, now: Instant) -> bool {
        self.common.hand.until != Until::Over && self.lately.hand.as_ref().is_some_and(|hand| now < hand.at + within)
    }

    /// Whether it is one of the lamps at which the hand was seen that counts.
    pub(super) fn is_of_the_hand(&self, lamp: &str) -> bool {
        let by_hand = self.wish.as_ref().is_some_and(|wish| wish.why == Why::Hand);
        let hand = self.lately.hand.as_ref().filter(|_| by_hand);
        hand.is_some_and(|hand| hand.lamps.iter().any(|id| **id == *lamp))
    }

    /// The same, as lately as a member's command would be told.
    pub(super) fn has_just_seen_a_hand(&self, now: Instant) -> bool {
        self.has_seen_a_hand(ABOUT, now)
    }

    /// Whether what was taken for a hand just now may be what another member made of a presence that reached it
    /// first.
    pub fn came_before_the_news(&self, inputs: &Inputs, now: Now) -> bool {
        self.has_just_seen_a_hand(now.instant)
            && self.lately.hand.as_ref().and_then(|hand| hand.inputs.as_ref()).is_some_and(|ours| !covers(ours, inputs))
    }

    /// An event tells what is wanted: where another one spoke against it, this is the later one.
    fn agreed(&mut self, look: &Look, told: Told, now: Now) -> Effects {
        if self.against == Told::default() || !told.covers(self.against) || self.duty.owes() {
            return Effects::NONE;
        }
        self.against = Told::default();
        let wish = self.wish.as_ref().filter(|wish| wish.look.is_some());
        let (Some(wish), None, false) = (wish, &self.shown, self.duty.is_under_way()) else {
            return Effects::NONE;
        };
        self.shown = Some(Shown { wish: wish.clone(), since: *self.since.get_or_insert(now.time) });
        self.ours = Some(look.clone());
        self.news = Some(News::Shows(look.clone()));
        self.duty.relieved();
        Effects::ALL
    }

    /// A member that had been frozen can look like a hand. It sets right what it did, and that ends the hand.
    fn changed_while_left_alone(&mut self, told: Told, agrees: impl Fn(&Look) -> bool, now: Now) -> Effects {
        let by_hand = self.wish.as_ref().is_some_and(|wish| wish.why == Why::Hand);
        if !by_hand || !told.covers(self.against) || !self.overruled.as_ref().is_some_and(agrees) {
            return Effects::NONE;
        }
        self.end_hand(now);
        Effects { act: true, publish: false }
    }

    /// The hand counts no more; the others are told.
    pub fn end_hand(&mut self, now: Now) {
        self.common.hand = Hand { version: next_version(self.common.hand.version, now.time), until: Until::Over };
        self.against = Told::default();
        self.must_tell = true;
    }

    fn hand(&mut self, on_hand: OnHand, seen @ Seen(lamps): &Seen, now: Now) -> Effects {
        let is_kept = self.wish.as_ref().is_some_and(|wish| wish.look.is_none());
        let which = self.wish.as_ref().and_then(|wish| wish.which());
        let which = which.or_else(|| self.counted.clone().filter(|_| is_kept));
        let until = match on_hand {
            OnHand::UntilChange => Until::Change(which),
            OnHand::For(time) => Until::Time(now.time + time),
            OnHand::Ignore => return Effects::NONE,
        };
        let goes_on = self.has_just_seen_a_hand(now.instant);
        self.common.hand = Hand { version: next_version(self.common.hand.version, now.time), until }.bounded();
        // Outside the hours no status counts.
        let by_status = self.wish.as_ref().is_none_or(|wish| wish.why == Why::Status);
        let inputs = by_status.then(|| self.wish.as_ref().map(|wish| wish.inputs.clone()).unwrap_or_default());
        let known = self.lately.hand.take().filter(|hand| goes_on && hand.inputs == inputs);
        let known = known.into_iter().flat_map(|hand| hand.lamps);
        let lamps = known.chain(lamps.iter().map(|lamp| lamp.id.clone())).collect();
        self.lately.hand = Some(SeenHand { at: now.instant, lamps, inputs });
        self.overruled = self.last.clone();
        self.against = Told::of(seen);
        self.must_tell = true;
        Effects { act: true, publish: false }
    }
}

/// Which things an event told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Told {
    on: bool,
    brightness: bool,
    color: bool,
}

impl Told {
    const ALL: Self = Self { on: true, brightness: true, color: true };

    fn of(Seen(lamps): &Seen) -> Self {
        Self {
            on: lamps.iter().any(|lamp| lamp.on.is_some()),
            brightness: lamps.iter().any(|lamp| lamp.brightness.is_some()),
            color: lamps.iter().any(|lamp| lamp.xy.is_some() || lamp.mirek.is_some()),
        }
    }

    fn covers(self, other: Self) -> bool {
        (self.on || !other.on) && (self.brightness || !other.brightness) && (self.color || !other.color)
    }
}

impl BitOrAssign for Told {
    fn bitor_assign(&mut self, other: Self) {
        self.on |= other.on;
        self.brightness |= other.brightness;
        self.color |= other.color;
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::actuator::entry::{ECHO, LATE_ECHO, Wish};
    use crate::lights::{Lamp, Obeyed};
    use crate::settings::{Color, Shade};

    const GRACE: Duration = Duration::from_secs(1);
    const RED: Shade = Shade::Rgb([255, 0, 0]);
    const BLUE: Shade = Shade::Rgb([0, 0, 255]);
    const GREEN: Shade = Shade::Rgb([0, 255, 0]);

    fn at(seconds: u64) -> Now {
        static BEGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        let later = Duration::from_secs(seconds);
        Now { instant: *BEGIN.get_or_init(Instant::now) + later, time: Timestamp::UNIX_EPOCH + later }
    }

    /// A light that was to show red and blue, and shows green since.
    fn green_behind_others() -> Entry {
        let mut entry = Entry::default();
        for (shade, seconds) in [(RED, 0), (BLUE, 10), (GREEN, 25)] {
            let (look, color) = (Some(Look::plain(shade)), Color::Keep);
            let wish = Wish { status: None, color, why: Why::Status, look, inputs: Inputs::new() };
            entry.wish(Some(wish), true, GRACE, at(seconds));
            entry.sent();
            let wish = entry.wish.clone().unwrap();
            entry.obeyed(&wish, true, &Obeyed::default(), GRACE, at(seconds));
        }
        entry
    }

    #[test]
    fn what_is_told_late_may_be_what_was_wanted_then() {
        let is_hand = |echo, shade| {
            let mut entry = green_behind_others();
            let seen = Seen(vec![Lamp { on: Some(true), ..Lamp::default() }]);
            let agrees = |look: &Look| look.looks_like(&Look::plain(shade));
            entry.changed((&seen, echo), agrees, OnHand::UntilChange, GRACE, at(50));
            entry.common.hand.until != Until::Over
        };
        assert!(is_hand(ECHO, RED) && !is_hand(LATE_ECHO, RED));
        assert!(is_hand(LATE_ECHO, Shade::Rgb([1, 2, 3])), "nobody wanted that");
    }

    /// What another member says of a hand, by such inputs.
    fn said(until: &str, inputs: &str, now: Now) -> Report {
        let payload = format!(r#"{{"inputs":{inputs},"hand":{{"until":{until:?},"version":7}}}}"#);
        Report::read(payload.as_bytes(), &["alex".parse().unwrap()], now.time).unwrap()
    }

    #[test]
    fn what_we_know_for_an_echo_is_another_members_hand_neither() {
        let counts = |shade| {
            let mut entry = green_behind_others();
            let seen = Seen(vec![Lamp { on: Some(true), ..Lamp::default() }]);
            let agrees = |look: &Look| look.looks_like(&Look::plain(shade));
            entry.changed((&seen, ECHO), agrees, OnHand::UntilChange, GRACE, at(26));
            entry.read(said("change", "{}", at(27)), "me", GRACE, at(27));
            entry.common.hand.until != Until::Over
        };
        assert!(counts(GREEN), "it is what is wanted, and tells nothing of what came before");
        assert!(!counts(BLUE));
    }

    #[test]
    fn a_hand_that_counts_for_a_time_is_taken_from_no_member_that_knows_less() {
        let counts = |inputs| {
            let mut entry = green_behind_others();
            let mut wish = Wish::clone(entry.wish.as_ref().unwrap());
            wish.inputs = said("", r#"{"alex":5}"#, at(26)).common.inputs;
            entry.wish(Some(wish), false, GRACE, at(26));
            entry.read(said("1970-01-01T01:00:00Z", inputs, at(27)), "me", GRACE, at(27));
            entry.common.hand.until != Until::Over
        };
        assert!(counts(r#"{"alex":5}"#) && !counts(r#"{"alex":4}"#));
    }

    #[test]
    fn a_hand_comes_before_the_news_where_it_was_seen_while_a_status_counted() {
        let comes_before = |why| {
            let mut entry = green_behind_others();
            entry.wish = Some(std::sync::Arc::new(Wish { why, ..Wish::clone(entry.wish.as_ref().unwrap()) }));
            let seen = Seen(vec![Lamp { on: Some(true), ..Lamp::default() }]);
            entry.changed((&seen, ECHO), |_| false, OnHand::For(Duration::from_secs(3600)), GRACE, at(50));
            entry.came_before_the_news(&said("", r#"{"alex":5}"#, at(51)).common.inputs, at(51))
        };
        assert!(comes_before(Why::Status) && !comes_before(Why::Outside));
    }

    #[test]
    fn a_hand_at_two_lamps_is_none_once_both_have_power_again_and_one_where_but_one_has() {
        let mut entry = green_behind_others();
        for lamp in ["a", "b"] {
            let seen = Seen(vec![Lamp { id: lamp.into(), on: Some(true), ..Lamp::default() }]);
            entry.changed((&seen, ECHO), |_| false, OnHand::UntilChange, GRACE, at(50));
        }
        entry.is_back(&["b".into()], GRACE, at(51));
        assert_eq!(entry.common.hand.until, Until::Change(None));
        entry.is_back(&["a".into()], GRACE, at(52));
        assert_eq!(entry.common.hand.until, Until::Over);
    }

    #[test]
    fn a_lamp_that_comes_back_during_a_command_gets_it_once_more() {
        let mut entry = green_behind_others();
        entry.take_news();
        let wish = entry.wish.clone().unwrap();
        entry.sent();
        assert_eq!(entry.is_back(&[], GRACE, at(60)), Effects::NONE, "it is under way");
        entry.obeyed(&wish, true, &Obeyed { unreachable: true, ..Obeyed::default() }, GRACE, at(60));
        assert_eq!((entry.take_news(), entry.is_done()), (Some(News::Doubt), false));
    }
}
