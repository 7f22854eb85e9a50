//! How fast one hub is commanded. Its limits are for all clients together, so the location's other members
//! count too. Pure: time and chance are passed in.
//!
//! Nobody shares the limits out: members listen. Who hears that another has just sent a command (by its report
//! on the light's topic) lets a limit's time pass before its own next one, and a part more by chance, so
//! that two who wait do not end their wait together. Whoever has others beside it waits as many times longer
//! behind its own command, so that they come to their turns. It gives way once to each of them between two
//! commands of its own, so that nobody waits for ever. What members send at the same moment, before they can
//! have heard of each other, is not bounded by this: one command of each.

use std::time::{Duration, Instant};

/// For so many of a limit's times, another member counts as busy.
const LATELY: u32 = 8;
/// The part of a limit's time that is waited longer behind another's command, at most: whoever was heard waits
/// for two itself.
const BEHIND_OTHERS: f64 = 0.8;
/// The same behind our own command, for each of the others: in step, two would not hear of each other in time.
const BEHIND_OURS: f64 = 0.5;

/// The pace of one kind of command.
#[derive(Debug)]
pub(super) struct Pace {
    limit: Duration,
    free: Option<Instant>,
    /// Other members that are busy, and when each was heard.
    others: Vec<(Box<str>, Instant)>,
    /// How often others were let go first since our own last command.
    gave_way: usize,
    /// From 0 up to 1, as another was last heard.
    chance: f64,
}

impl Pace {
    /// `limit` is the shortest time between two commands.
    pub fn new(limit: Duration) -> Self {
        Self { limit, free: None, others: Vec::new(), gave_way: 0, chance: 0.0 }
    }

    /// When the next command may go; none: at any time.
    pub fn free(&self) -> Option<Instant> {
        self.free
    }

    /// A command goes.
    pub fn sent(&mut self, now: Instant) {
        self.forget(now);
        let longer = self.others.len() as f64 * (1.0 + BEHIND_OURS * self.chance);
        self.free = Some(now + self.limit.mul_f64(1.0 + longer));
        self.gave_way = 0;
    }

    /// Our command may have reached the hub as late as now.
    pub fn ended(&mut self, now: Instant) {
        self.free = self.free.max(Some(now + self.limit.mul_f64(0.9)));
    }

    /// Another member has just sent a command. `chance`: from 0 up to 1.
    pub fn heard(&mut self, who: &str, now: Instant, chance: f64) {
        self.forget(now);
        match self.others.iter_mut().find(|(other, _)| **other == *who) {
            Some((_, heard)) => *heard = now,
            None => self.others.push((who.into(), now)),
        }
        self.chance = chance;
        if self.gave_way < 2 * self.others.len() {
            self.gave_way += 1;
            self.free = self.free.max(Some(now + self.limit.mul_f64(1.0 + BEHIND_OTHERS * chance)));
        }
    }

    fn forget(&mut self, now: Instant) {
        let lately = self.limit * LATELY;
        self.others.retain(|(_, heard)| now.saturating_duration_since(*heard) < lately);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);
    /// How late a report is heard.
    const LATE: Duration = Duration::from_millis(30);

    /// When whom of so many members, all of whom always have something to send, sent a command.
    fn commands(members: usize, seed: u64) -> Vec<(Duration, usize)> {
        let (start, mut chance) = (Instant::now(), fastrand::Rng::with_seed(seed));
        let mut paces: Vec<Pace> = (0..members).map(|_| Pace::new(LIMIT)).collect();
        let (mut commands, mut heard) = (Vec::<(Duration, usize)>::new(), 0);
        for millisecond in 0..100_000 {
            let at = Duration::from_millis(millisecond);
            while let Some((_, who)) = commands.get(heard).filter(|(sent, _)| *sent + LATE <= at).copied() {
                heard += 1;
                for (_, pace) in paces.iter_mut().enumerate().filter(|(member, _)| *member != who) {
                    pace.heard(&who.to_string(), start + at, chance.f64());
                }
            }
            for (member, pace) in paces.iter_mut().enumerate() {
                if pace.free().is_none_or(|free| free <= start + at) {
                    pace.sent(start + at);
                    commands.push((at, member));
                }
            }
        }
        commands
    }

    #[test]
    fn members_that_are_all_busy_keep_the_limit_together_once_they_have_heard_of_each_other() {
        for members in 1..=4 {
            for seed in 0..8 {
                let all = commands(members, seed);
                let close = all.windows(2).filter(|pair| pair[1].0 - pair[0].0 < LIMIT.mul_f64(0.9)).count();
                assert!(close <= members - 1 + all.len() / 8, "{members} members: {close} too close of {all:?}");
                assert!(all.len() <= 101 + members, "{members} members: {} commands in 100 s", all.len());
                for member in 0..members {
                    let turns = all.iter().filter(|(_, by)| *by == member).count();
                    assert!(turns >= all.len() / members / 2, "{turns} turns of {} of {members}", all.len());
                }
            }
        }
    }

    #[test]
    fn alone_a_member_has_the_whole_limit_also_some_time_after_another_was_busy() {
        let now = Instant::now();
        let mut pace = Pace::new(LIMIT);
        pace.heard("other", now, 0.5);
        assert_eq!(pace.free(), Some(now + LIMIT.mul_f64(1.4)));
        pace.sent(now + 2 * LIMIT);
        assert_eq!(pace.free(), Some(now + LIMIT.mul_f64(4.25)), "the other comes to its turn");
        pace.sent(now + 9 * LIMIT);
        assert_eq!(pace.free(), Some(now + 10 * LIMIT));
    }

    #[test]
    fn a_slow_answer_does_not_bring_commands_closer_together() {
        let now = Instant::now();
        let mut pace = Pace::new(LIMIT);
        pace.sent(now);
        pace.ended(now + LIMIT.mul_f64(0.7));
        assert_eq!(pace.free(), Some(now + LIMIT.mul_f64(1.6)));
    }
}
