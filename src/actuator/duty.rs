//! Who acts: one member's part in one light. Pure.
//!
//! Of the members of a location, the broker gives each message to one (a shared subscription): that one
//! acts at once. It may be dead or frozen, so the others act too when nobody has shown what they want
//! after a grace time, which differs by chance.
//!
//! A command and the news that it is out of date can cross. As long as something that was on its way
//! when our command ended may still be unread, a member that learns of something newer sends again,
//! whatever the others say: its own command may have reached the hub behind theirs. That is over when
//! our report of the command came back from the broker, behind all that went before it.

use std::time::{Duration, Instant};

/// The grace time at least; a random part of up to as much again is added.
pub(super) const GRACE: Duration = Duration::from_secs(1);
/// How much later than others a broker of several machines may tell us something.
const CROSSING: Duration = Duration::from_secs(1);

/// A command of ours that may have crossed with something newer.
#[derive(Debug)]
struct Own {
    ended: Option<Instant>,
    /// Our report of it came back.
    is_back: bool,
}

/// One member's part in one light.
#[derive(Debug, Default)]
pub(super) struct Duty {
    began: bool,
    may_act: bool,
    wished_at: Option<Instant>,
    grace: Option<Instant>,
    owes: bool,
    own: Option<Own>,
    commands: u64,
}

impl Duty {
    /// Whether the newest wish is to be shown by us.
    pub fn may_act(&self) -> bool {
        self.may_act
    }

    /// Whether our own command may be the light's last though it is out of date.
    pub fn owes(&self) -> bool {
        self.owes
    }

    /// Whether a command of ours is on its way.
    pub fn is_under_way(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.ended.is_none())
    }

    /// Our commands that ended: the number under which the last one is reported.
    pub fn commands(&self) -> u64 {
        self.commands
    }

    /// When [`Self::pass`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.grace
    }

    /// Something else is wanted; `differs`: it looks different. The first time after the start we act at
    /// once: nobody watched the lamp meanwhile. Answers whether this is the first time.
    pub fn wished(&mut self, differs: bool, given: bool, now: Instant, grace: Duration) -> bool {
        let first = !std::mem::replace(&mut self.began, true);
        // Nor can another's report tell what the lamp has shown since it was written.
        self.owes |= first || (differs && self.may_have_crossed(now));
        self.may_act = first || given || self.owes;
        self.grace = (!self.may_act).then(|| now + grace);
        self.wished_at = Some(now);
        first
    }

    /// Whether others may have acted upon the wish by now.
    pub fn is_exposed(&self, now: Instant) -> bool {
        !self.may_act || self.wished_at.is_some_and(|at| now >= at + GRACE)
    }

    /// The broker gave it to us. Answers whether that is news.
    pub fn give(&mut self) -> bool {
        self.grace = None;
        !std::mem::replace(&mut self.may_act, true)
    }

    /// The light may show something else than what is wanted, and whoever comes first mends that.
    pub fn doubt(&mut self, now: Instant, grace: Duration) {
        if !self.owes {
            self.may_act = false;
            self.grace.get_or_insert(now + grace);
        }
    }

    /// Another member shows what we want.
    pub fn relieved(&mut self) {
        self.grace = None;
        self.may_act = true;
    }

    /// A command went.
    pub fn sent(&mut self) {
        self.own = Some(Own { ended: None, is_back: false });
    }

    /// The light shows the newest by our own command.
    pub fn paid(&mut self) {
        self.owes = false;
    }

    /// The command came to its end, whatever it was.
    pub fn ended(&mut self, now: Instant) {
        self.commands += 1;
        if let Some(own) = &mut self.own {
            own.ended = Some(now);
        }
    }

    /// What we reported came back from the broker.
    pub fn came_back(&mut self, commands: u64) {
        let is_last = commands >= self.commands;
        if let Some(own) = self.own.as_mut().filter(|own| is_last && own.ended.is_some()) {
            own.is_back = true;
        }
    }

    fn may_have_crossed(&self, now: Instant) -> bool {
        self.own.as_ref().is_some_and(|own| !own.is_back || own.ended.is_none_or(|ended| now < ended + CROSSING))
    }

    /// Without a connection nobody acts. What is out of date then is known a while after the next one.
    pub fn disconnected(&mut self) {
        self.may_act &= self.owes || !self.began;
        self.grace = None;
    }

    /// The connection stands again.
    pub fn connected(&mut self, now: Instant, grace: Duration) {
        if !self.may_act && self.began {
            self.grace = Some(now + grace);
        }
    }

    /// Time passes. Answers whether it is on us now.
    pub fn pass(&mut self, now: Instant) -> bool {
        let due = self.grace.take_if(|at| *at <= now).is_some();
        self.may_act |= due;
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A member whose first look is long sent.
    fn settled(now: Instant) -> Duty {
        let mut duty = Duty::default();
        assert!(duty.wished(true, false, now, GRACE));
        duty.sent();
        duty.ended(now);
        duty.paid();
        duty.came_back(1);
        duty
    }

    #[test]
    fn the_first_look_after_the_start_needs_nobodys_leave() {
        let mut duty = Duty::default();
        duty.wished(true, false, Instant::now(), GRACE);
        assert!(duty.may_act());
    }

    #[test]
    fn what_the_broker_gave_us_is_ours_at_once_and_the_rest_after_the_grace_time() {
        let now = Instant::now();
        let later = now + 2 * CROSSING;
        let mut duty = settled(now);
        duty.wished(true, true, later, GRACE);
        assert!(duty.may_act());
        let mut duty = settled(now);
        duty.wished(true, false, later, GRACE);
        assert!(!duty.may_act());
        assert!(!duty.pass(later + GRACE / 2) && duty.pass(later + GRACE) && duty.may_act());
    }

    #[test]
    fn another_member_that_shows_it_ends_the_wait() {
        let now = Instant::now();
        let mut duty = settled(now);
        duty.wished(true, false, now + 2 * CROSSING, GRACE);
        duty.relieved();
        assert_eq!(duty.deadline(), None);
    }

    #[test]
    fn news_that_may_have_crossed_our_command_are_sent_whatever_others_say() {
        let now = Instant::now();
        let crossed = |duty: &mut Duty, at| {
            duty.wished(true, false, at, GRACE);
            let crossed = duty.owes() && duty.may_act();
            duty.paid();
            crossed
        };
        let mut duty = settled(now);
        duty.sent();
        assert!(crossed(&mut duty, now + 9 * CROSSING), "the command is under way");
        duty.sent();
        duty.ended(now);
        assert!(crossed(&mut duty, now + 9 * CROSSING), "its report did not come back");
        duty.sent();
        duty.ended(now);
        duty.came_back(duty.commands() - 1);
        assert!(crossed(&mut duty, now + 9 * CROSSING), "an older one did");
        duty.sent();
        duty.ended(now);
        duty.came_back(duty.commands());
        assert!(crossed(&mut duty, now + CROSSING / 2), "just ended");
        duty.sent();
        duty.ended(now);
        duty.came_back(duty.commands());
        assert!(!crossed(&mut duty, now + CROSSING), "all that went before was read");
    }

    #[test]
    fn what_looks_the_same_crosses_nothing() {
        let now = Instant::now();
        let mut duty = settled(now);
        duty.sent();
        duty.wished(false, false, now, GRACE);
        assert!(!duty.owes());
    }

    #[test]
    fn nobody_acts_on_what_was_given_before_a_disconnection() {
        let now = Instant::now();
        let mut duty = settled(now);
        duty.wished(true, true, now + 2 * CROSSING, GRACE);
        duty.disconnected();
        assert!(!duty.may_act());
        duty.connected(now + 3 * CROSSING, GRACE);
        assert_eq!(duty.deadline(), Some(now + 3 * CROSSING + GRACE));
    }
}
