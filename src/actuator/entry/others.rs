//! What other members do at the light: their commands, which count against the hub's limits as ours do, and
//! the effects that they keep going.

use std::time::{Duration, Instant};

use super::super::payload::Report;
use super::{Entry, News, Now};
use crate::lights::Look;

/// How many members are told from one another.
const MEMBERS: usize = 8;
/// What members call themselves is shorter.
const LONGEST_NAME: usize = 64;

/// The other members, by what they reported of the light.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// Who, and how many commands that were.
    known: Vec<(Box<str>, u64)>,
    /// Who sent one since we were last asked.
    heard: Option<Box<str>>,
    /// Who keeps an effect going, and when it should have been renewed.
    keeper: Option<(Box<str>, Instant)>,
}

impl Others {
    /// When an effect that another keeps going should have been renewed.
    pub fn renewal(&self) -> Option<Instant> {
        self.keeper.as_ref().map(|(_, at)| *at)
    }

    /// The first that is read of a member may be long retained: then it tells of no command just now.
    /// Answers whether it may tell of one.
    fn note(&mut self, who: &str, commands: u64, is_live: bool) -> bool {
        if let Some((_, before)) = self.known.iter_mut().find(|(name, _)| **name == *who) {
            let is_news = commands > std::mem::replace(before, commands);
            if is_news {
                self.heard = Some(who.into());
            }
            return is_news;
        }
        if who.len() <= LONGEST_NAME {
            if self.known.len() == MEMBERS {
                self.known.remove(0);
            }
            self.known.push((who.into(), commands));
        }
        is_live && commands > 0
    }
}

impl Entry {
    /// Who else has just sent the light a command; said once.
    pub fn take_heard(&mut self) -> Option<Box<str>> {
        self.others.heard.take()
    }

    /// Another member reported. Answers whether it may tell of a command just now.
    pub(super) fn hear(&mut self, report: &Report) -> bool {
        report.author().is_some_and(|(who, commands)| self.others.note(who, commands, report.is_live))
    }

    /// A member that knew less shows something else. Where that is a command just now, what the hub tells of it is no
    /// hand, however long ago anybody wanted it, and whichever of the two comes first.
    pub(super) fn set_back(&mut self, has_commanded: bool, grace: Duration, now: Now) {
        self.lately.set_back = Some(now.instant).filter(|_| has_commanded).or(self.lately.set_back);
        if has_commanded && self.has_just_seen_a_hand(now.instant) {
            self.end_hand(now);
        }
        if self.wish.as_ref().is_some_and(|wish| wish.look.is_some()) {
            self.doubt();
            self.duty.doubt(now.instant, grace);
        }
    }

    /// Another member shows what is wanted. While it keeps an effect going, nobody else needs to, until it is
    /// silent for a grace time longer than it said, or lets it end. What we are about to begin behind a look of ours
    /// is begun: that look may have ended what the other keeps going.
    pub(super) fn leave_effect(&mut self, who: &str, renews: Option<Duration>, grace: Duration, now: Instant) {
        let Some(look) = self.wish.as_ref().and_then(|wish| wish.look.clone()).filter(moves) else { return };
        let Some(renews) = renews else {
            self.others.keeper.take_if(|(keeper, _)| **keeper == *who);
            return;
        };
        self.others.keeper = Some((who.into(), now + renews + grace));
        if self.moves && self.renews.is_some() && self.news.is_none() {
            self.renews = None;
            self.news = Some(News::Shows(look));
        }
    }

    /// Whether another kept an effect going that is not over, and does not any more.
    pub(super) fn is_left_to_us(&mut self, now: Now) -> bool {
        let is_due = self.others.keeper.take_if(|(_, at)| *at <= now.instant).is_some();
        let is_over = |lasting: Duration| self.shown_for(now).is_some_and(|shown| shown >= lasting);
        is_due
            && match self.wish.as_ref().and_then(|wish| wish.look.as_ref()) {
                Some(Look::On { effect: Some(effect), .. }) => !effect.lasting.is_some_and(is_over),
                _ => false,
            }
    }

    /// Nobody keeps an effect going any more.
    pub(super) fn forget_effect(&mut self) {
        (self.renews, self.others.keeper) = (None, None);
    }
}

fn moves(look: &Look) -> bool {
    matches!(look, Look::On { effect: Some(_), .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actuator::entry::{Why, Wish};
    use crate::lights::Look;
    use crate::settings::{Color, Effect, Motion, Shade};

    const BREATH: Option<Duration> = Some(Duration::from_secs(15));
    const GRACE: Duration = Duration::from_secs(1);

    fn breathing(lasting: Option<Duration>, now: Now) -> Entry {
        let effect = Some(Effect { motion: Motion::Breathe, lasting });
        let (shade, brightness, transition) = (Shade::Rgb([255, 0, 0]), 100, Duration::ZERO);
        let look = Look::On { shade, brightness, transition, effect };
        let color = Color::On { shade, brightness, transition, effect };
        let wish = Wish { status: None, color, why: Why::Status, look: Some(look), inputs: Default::default() };
        let mut entry = Entry::default();
        entry.wish(Some(wish), false, GRACE, now);
        entry.since = Some(now.time);
        entry
    }

    fn at(now: Now, later: u64) -> Now {
        let later = Duration::from_secs(later);
        Now { instant: now.instant + later, time: now.time + later }
    }

    #[test]
    fn an_effect_that_its_keeper_renews_no_more_is_left_to_others_until_it_is_over() {
        let now = Now { instant: Instant::now(), time: jiff::Timestamp::UNIX_EPOCH };
        let left = |lasting, ended_by: &[&str], later| {
            let mut entry = breathing(lasting, now);
            entry.leave_effect("keeper", BREATH, GRACE, now.instant);
            ended_by.iter().for_each(|who| entry.leave_effect(who, None, GRACE, now.instant));
            entry.is_left_to_us(at(now, later))
        };
        assert!(!left(None, &[], 15) && left(None, &[], 16));
        assert!(left(None, &["another"], 16), "who does not keep it going cannot end it");
        assert!(!left(None, &["keeper"], 16), "its keeper let it end");
        let (long, short) = (Some(Duration::from_secs(40)), Some(Duration::from_secs(16)));
        assert!(left(long, &[], 16) && !left(short, &[], 16), "what is over does not begin anew");
    }
}
