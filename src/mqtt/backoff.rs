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

/// Back-off with jitter, so that many clients of a restarted broker do not come at once.
#[derive(Debug)]
pub(super) struct Backoff {
    attempts: u32,
    random: fastrand::Rng,
}

impl Backoff {
    pub(super) fn new(random: fastrand::Rng) -> Self {
        Self { attempts: 0, random }
    }

    /// The wait after a connection that lasted `lasted`, zero where none was made.
    pub(super) fn after(&mut self, lasted: Duration) -> Duration {
        if lasted >= GOOD {
            self.attempts = 0;
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

    /// The wait after another process took our client id.
    pub(super) fn after_taken_over(&mut self) -> Duration {
        Duration::from_millis(self.random.u64(TAKEN_OVER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_a_second_to_a_minute_after_a_quick_first_attempt() {
        let mut backoff = Backoff::new(fastrand::Rng::with_seed(7));
        let waits: Vec<_> = (0..9).map(|_| backoff.after(Duration::ZERO).as_millis()).collect();
        let bounds = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000];
        for (wait, most) in waits.iter().zip(bounds) {
            assert!((most * 2 / 5..=most).contains(wait), "{waits:?}");
        }
        assert!(backoff.after(GOOD).as_millis() < 500, "a good connection starts it anew");
    }

    #[test]
    fn a_connection_that_ends_at_once_is_no_reason_to_hurry() {
        let mut backoff = Backoff::new(fastrand::Rng::with_seed(7));
        let waits: Vec<_> = (0..4).map(|_| backoff.after(Duration::from_millis(20)).as_millis()).collect();
        assert!(waits[3] > 3_000, "{waits:?}");
    }
}
