//! Home Assistant's births: each means that all of it is to be sent again, and many of them mean it once.
//!
//! Pure: time and chance are passed in. A republish begins a short random time after the last birth, so that
//! not everybody on a broker begins at once, and goes out in portions: tens of thousands of devices at full
//! speed are more than Home Assistant reads beside its own start. Nobody waits for it: what is retained, the
//! broker gives to Home Assistant by itself.

use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

/// The bounds of the wait after a birth, in milliseconds.
const WAIT: (u64, u64) = (500, 3_000);

/// The longest wait, where births keep coming.
const LONGEST: Duration = Duration::from_secs(10);

/// How long after the beginning of one republish the next one may begin.
const APART: Duration = Duration::from_secs(10);

/// How many slots go at once, and how long after another.
const PORTION: u32 = 500;
const PACE: Duration = Duration::from_millis(100);

/// Births that were heard of, and how far the republish is.
#[derive(Debug, Default)]
pub struct Births {
    /// The first one that was not answered yet.
    first: Option<Instant>,
    due: Option<Instant>,
    began: Option<Instant>,
    /// When the next portion goes, and where it begins.
    next: Option<(Instant, u32)>,
}

impl Births {
    /// Home Assistant says that it is there.
    pub fn heard(&mut self, now: Instant, chance: &mut fastrand::Rng) {
        let first = *self.first.get_or_insert(now);
        let quiet = now + Duration::from_millis(chance.u64(WAIT.0..WAIT.1));
        let earliest = self.began.map_or(now, |began| began + APART);
        self.due = Some(quiet.min(first + LONGEST).max(earliest));
    }

    /// When [`Self::take`] is to be asked.
    pub fn wakes_at(&self) -> Option<Instant> {
        self.next.map(|(at, _)| at).or(self.due)
    }

    /// The slots of `0..slots` that are to be sent again now.
    pub fn take(&mut self, slots: u32, now: Instant) -> Range<u32> {
        if self.next.is_none() && self.due.take_if(|due| *due <= now).is_some() {
            self.first = None;
            self.began = Some(now);
            self.next = Some((now, 0));
        }
        let Some((_, start)) = self.next.take_if(|(at, _)| *at <= now) else { return 0..0 };
        let end = slots.min(start.saturating_add(PORTION));
        if end < slots {
            self.next = Some((now + PACE, end));
        }
        start.min(end)..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When each portion goes, in milliseconds, and which slots it holds, where births come at these times.
    fn portions(births: &[u64], slots: u32) -> Vec<(u64, Range<u32>)> {
        let (mut state, mut chance, start) = (Births::default(), fastrand::Rng::with_seed(7), Instant::now());
        let mut went = Vec::new();
        for tick in 0..60_000 {
            let now = start + Duration::from_millis(tick);
            if births.contains(&tick) {
                state.heard(now, &mut chance);
            }
            if state.wakes_at().is_some_and(|at| at <= now) {
                went.push((tick, state.take(slots, now)));
            }
        }
        assert_eq!(state.wakes_at(), None, "nothing is left");
        went
    }

    #[tokio::test]
    async fn a_birth_is_answered_once_after_a_short_while() {
        for seed in 0..50 {
            let (mut births, mut chance, now) = (Births::default(), fastrand::Rng::with_seed(seed), Instant::now());
            births.heard(now, &mut chance);
            let wait = births.wakes_at().unwrap() - now;
            assert!((500..3_000).contains(&wait.as_millis()), "{wait:?}");
        }
        let went = portions(&[0], 40);
        assert_eq!((went.len(), went[0].1.clone()), (1, 0..40));
    }

    #[tokio::test]
    async fn however_many_come_in_a_row_there_is_one_republish() {
        let in_a_row: Vec<u64> = (0..40).map(|n| n * 100).collect();
        let went = portions(&in_a_row, 40);
        assert_eq!(went.len(), 1, "{went:?}");
        assert!(went[0].0 < 7_000, "{went:?}");
    }

    #[tokio::test]
    async fn who_never_stops_is_answered_every_ten_seconds_at_most() {
        for step in [100, 1_000, 4_000] {
            let for_ever: Vec<u64> = (0..40_000).step_by(step).collect();
            let went = portions(&for_ever, 40);
            assert!((3..=5).contains(&went.len()), "{step}: {went:?}");
            assert!(went.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 10_000), "{step}: {went:?}");
        }
    }

    #[tokio::test]
    async fn the_last_birth_is_always_answered_behind_it() {
        for last in [100, 700, 2_900, 3_100, 9_000] {
            let went = portions(&[0, last], 40);
            assert!(went.last().unwrap().0 > last && went.len() <= 2, "{last}: {went:?}");
        }
    }

    #[tokio::test]
    async fn tens_of_thousands_are_spread_each_of_them_once_and_no_birth_begins_them_anew_meanwhile() {
        let went = portions(&[0, 4_000, 8_000], 81_000);
        let begins: Vec<u64> = went.iter().filter(|(_, slots)| slots.start == 0).map(|(at, _)| *at).collect();
        assert_eq!(begins.len(), 2, "those that come meanwhile are answered behind it: {begins:?}");
        for round in went.chunk_by(|_, next| next.1.start != 0) {
            assert!(round.iter().all(|(_, slots)| slots.len() <= 500));
            assert_eq!(
                round.iter().flat_map(|(_, slots)| slots.clone()).collect::<Vec<_>>(),
                (0..81_000).collect::<Vec<_>>()
            );
            assert!(round.last().unwrap().0 - round[0].0 >= 16_000);
        }
    }
}
