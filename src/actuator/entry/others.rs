//! What other members do at the light: their commands, which count against the hub's limits as ours do, and
//! the effects that they keep going.

use std::time::{Duration, Instant};

use super::super::payload::Report;
use super::{Entry, News};
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
    /// When one of them should have renewed an effect.
    renewal: Option<Instant>,
}

impl Others {
    /// When an effect that another keeps going should have been renewed.
    pub fn renewal(&self) -> Option<Instant> {
        self.renewal
    }

    /// The first that is read of a member may be long retained: it tells of no command just now.
    fn note(&mut self, who: &str, commands: u64) {
        if let Some((_, before)) = self.known.iter_mut().find(|(name, _)| **name == *who) {
            if commands > *before {
                self.heard = Some(who.into());
            }
            *before = commands;
        } else if who.len() <= LONGEST_NAME {
            if self.known.len() == MEMBERS {
                self.known.remove(0);
            }
            self.known.push((who.into(), commands));
        }
    }
}

impl Entry {
    /// Who else has just sent the light a command; said once.
    pub fn take_heard(&mut self) -> Option<Box<str>> {
        self.others.heard.take()
    }

    /// Another member reported.
    pub(super) fn hear(&mut self, report: &Report) {
        if let Some((who, commands)) = report.author() {
            self.others.note(who, commands);
        }
    }

    /// Another member shows what is wanted. While it keeps an effect going, nobody else needs to, until it is
    /// silent for a grace time longer than it said. What we are about to begin behind a look of ours is begun: that
    /// look may have ended what the other keeps going.
    pub(super) fn leave_effect(&mut self, renews: Option<Duration>, grace: Duration, now: Instant) {
        let Some(look) = self.wish.as_ref().and_then(|wish| wish.look.clone()).filter(moves) else { return };
        let Some(renews) = renews else { return };
        self.others.renewal = Some(now + renews + grace);
        if self.moves && self.renews.is_some() && self.news.is_none() {
            self.renews = None;
            self.news = Some(News::Shows(look));
        }
    }

    /// Whether another kept the effect going, and does not any more.
    pub(super) fn is_left_to_us(&mut self, now: Instant) -> bool {
        let is_due = self.others.renewal.take_if(|at| *at <= now).is_some();
        is_due && self.wish.as_ref().and_then(|wish| wish.look.as_ref()).is_some_and(moves)
    }

    /// Nobody keeps an effect going any more.
    pub(super) fn forget_effect(&mut self) {
        (self.renews, self.others.renewal) = (None, None);
    }
}

fn moves(look: &Look) -> bool {
    matches!(look, Look::On { effect: Some(_), .. })
}
