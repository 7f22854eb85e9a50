//! The counter behind every presence's `sequence` (invariant 8).

use jiff::Timestamp;

use crate::presence::Sequence;

/// How many sequences are reserved at a time: an hour of the clock's milliseconds, so that a change
/// costs no write, and a bridge that restarts every second does not run away from the clock for years.
pub(super) const RESERVED: u64 = 3_600_000;

/// Gives out sequences: each above the last, at least the clock in milliseconds, above the store's
/// reserved ceiling and above what was seen on the broker.
#[derive(Debug, Default)]
pub(super) struct Counter {
    last: u64,
    /// The end of what the store holds for us.
    ceiling: u64,
}

impl Counter {
    /// The next sequence.
    pub(super) fn next(&mut self, now: Timestamp) -> Sequence {
        self.last = (self.last + 1).max(milliseconds(now)).min(Sequence::MAX.get());
        Sequence::try_from(self.last).expect("it was cut to the highest")
    }

    /// A sequence was seen on the broker. A stranger's huge one is not learned from.
    pub(super) fn learn(&mut self, seen: Sequence) {
        if seen <= Sequence::LEARNABLE {
            self.last = self.last.max(seen.get());
        }
    }

    /// Above what to reserve, when it is time to reserve more.
    pub(super) fn short(&self, now: Timestamp) -> Option<Sequence> {
        let reached = self.last.max(milliseconds(now));
        let short = self.ceiling < reached + RESERVED / 2;
        short.then(|| Sequence::try_from(reached).unwrap_or(Sequence::MAX))
    }

    /// The store reserved [`RESERVED`] sequences above `floor`.
    pub(super) fn reserved(&mut self, floor: Sequence) {
        // Where the reservation follows on ours, what is left of that stays ours.
        if floor.get() != self.ceiling {
            self.last = self.last.max(floor.get());
        }
        self.ceiling = floor.get() + RESERVED;
    }
}

fn milliseconds(now: Timestamp) -> u64 {
    now.as_millisecond().try_into().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millisecond: i64) -> Timestamp {
        Timestamp::from_millisecond(millisecond).unwrap()
    }

    fn sequence(number: u64) -> Sequence {
        number.try_into().unwrap()
    }

    #[test]
    fn a_sequence_only_grows_and_is_at_least_the_clock() {
        let mut counter = Counter::default();
        assert_eq!(counter.next(at(1_000)).get(), 1_000);
        assert_eq!(counter.next(at(1_000)).get(), 1_001);
        assert_eq!(counter.next(at(5)).get(), 1_002, "a clock set back");
        assert_eq!(counter.next(at(2_000)).get(), 2_000);
    }

    #[test]
    fn it_is_above_the_reserved_ceiling_of_the_process_before() {
        let mut counter = Counter::default();
        counter.reserved(sequence(50_000));
        assert_eq!(counter.next(at(1_000)).get(), 50_001);
    }

    #[test]
    fn it_is_above_what_was_seen_but_a_strangers_cannot_use_it_up() {
        let mut counter = Counter::default();
        counter.learn(sequence(9_000));
        counter.learn(Sequence::LEARNABLE);
        assert_eq!(counter.next(at(1)).get(), Sequence::LEARNABLE.get() + 1);
        counter.learn(Sequence::MAX);
        assert_eq!(counter.next(at(1)).get(), Sequence::LEARNABLE.get() + 2);
    }

    #[test]
    fn more_is_reserved_before_it_is_needed_and_follows_on() {
        let mut counter = Counter::default();
        assert_eq!(counter.short(at(1_000)), Some(sequence(1_000)));
        counter.reserved(sequence(1_000));
        assert_eq!(counter.short(at(1_000)), None);
        counter.next(at(1_500));
        let half = 1_000 + i64::try_from(RESERVED).unwrap() / 2;
        assert!(counter.short(at(half + 1)).is_some());
        counter.reserved(sequence(1_000 + RESERVED));
        assert_eq!(counter.next(at(1_500)).get(), 1_501, "the rest of the first reservation is used");
        counter.reserved(sequence(9 * RESERVED));
        assert_eq!(counter.next(at(1_500)).get(), 9 * RESERVED + 1, "somebody else had reserved meanwhile");
    }
}
