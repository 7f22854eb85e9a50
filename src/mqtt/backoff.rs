//! How long to wait before the next attempt.

use std::ops::Range;
use std::time::Duration;

/// The first attempt comes soon: most outages are a restart of the broker.
const FIRST: Range<u64> = 200..500;
/// Then a second, doubled each time, in milliseconds.
const SECOND: u64 = 1_000;
/// Up to a minute.
const LONGEST: u64 = 60_000;
/// A connection that lasted this long was a good one: the next outage starts from the first wait.
pub(super) const GOOD: Duration = Duration::from_secs(10);
/// Two processes with one client id end each other's connections: seldom, then.
const TAKEN_OVER: Range<u64> = 60_000..120_000;
/// Mosquitto 2.0 does not say that another process took our client id; it closes the connection. When that
/// happened so often in a row, and each next attempt succeeded at once, it is taken for it.
const SUSPICIOUS: u32 = 3;
/// Endings further apart than this are not in a row; longer than [`TAKEN_OVER`].
const IN_A_ROW: Duration = Duration::from_secs(180);

/// How a connection ended, as far as the wait depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The broker said that another process took our client id.
    TakenOver,
    /// It was made, and the broker closed it without a word.
    Wordless,
    /// Anything else.
    Other,
}

/// Back-off with jitter, so that many clients of a restarted broker do not come at once.
#[derive(Debug)]
pub(super) struct Backoff {
    attempts: u32,
    /// Connections in a row that the broker closed without a word.
    wordless: u32,
    /// Whether another process may take our client id.
    may_be_taken: bool,
    random: fastrand::Rng,
}

impl Backoff {
    pub(super) fn new(may_be_taken: bool, random: fastrand::Rng) -> Self {
        Self { attempts: 0, wordless: 0, may_be_taken, random }
    }

    /// The wait after a connection that lasted `lasted`, zero where none was made.
    pub(super) fn after(&mut self, ending: Ending, lasted: Duration) -> Duration {
        if lasted >= GOOD {
            self.attempts = 0;
        }
        let in_a_row = if lasted < IN_A_ROW { self.wordless } else { 0 };
        self.wordless = if ending == Ending::Wordless { in_a_row + 1 } else { 0 };
        if ending == Ending::TakenOver || (self.may_be_taken && self.wordless >= SUSPICIOUS) {
            return Duration::from_millis(self.random.u64(TAKEN_OVER));
        }
        let wait = match self.attempts {
            0 => self.random.u64(FIRST),
            again => {
                let wait = SECOND.saturating_mul(1 << (again - 1).min(16)).min(LONGEST);
                self.random.u64(wait * 4 / 5..=wait)
            }
        };
        self.attempts = self.attempts.saturating_add(1);
        Duration::from_millis(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_a_second_to_a_minute_after_a_quick_first_attempt() {
        let mut backoff = Backoff::new(true, fastrand::Rng::with_seed(7));
        let waits: Vec<_> = (0..9).map(|_| backoff.after(Ending::Other, Duration::ZERO).as_millis()).collect();
        let bounds = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000];
        for (wait, most) in waits.iter().zip(bounds) {
            assert!((most * 2 / 5..=most).contains(wait), "{waits:?}");
        }
        assert!(backoff.after(Ending::Other, GOOD).as_millis() < 500, "a good connection starts it anew");
    }

    #[test]
    fn a_connection_that_ends_at_once_is_no_reason_to_hurry() {
        let mut backoff = Backoff::new(true, fastrand::Rng::with_seed(7));
        let waits: Vec<_> =
            (0..4).map(|_| backoff.after(Ending::Other, Duration::from_millis(20)).as_millis()).collect();
        assert!(waits[3] > 3_000, "{waits:?}");
    }

    #[test]
    fn who_is_closed_again_and_again_right_after_connecting_does_not_fight() {
        let mut backoff = Backoff::new(true, fastrand::Rng::with_seed(7));
        let mut wait = |ending, seconds| backoff.after(ending, Duration::from_secs(seconds)).as_secs();
        assert!(wait(Ending::Wordless, 2) < 1 && wait(Ending::Wordless, 2) <= 1, "a broker may be killed twice");
        assert!(wait(Ending::Wordless, 2) >= 60 && wait(Ending::Wordless, 90) >= 60);
        assert!(wait(Ending::Wordless, 200) < 1, "a lasting connection is no fight");
        assert!(wait(Ending::Wordless, 2) <= 1 && wait(Ending::Other, 0) <= 2 && wait(Ending::Wordless, 2) < 5);
        assert!(wait(Ending::TakenOver, 200) >= 60);
    }

    #[test]
    fn nobody_fights_for_an_id_of_ones_own_however_often_the_broker_is_killed() {
        let mut backoff = Backoff::new(false, fastrand::Rng::with_seed(7));
        let waits: Vec<u64> = (0..9).map(|_| backoff.after(Ending::Wordless, GOOD).as_secs()).collect();
        assert_eq!(waits, [0; 9]);
    }
}
