//! Graph's limit on presence requests: sliding, for each application and tenant; refused ones count.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// The last requests of each application and tenant.
#[derive(Default)]
pub(super) struct Limits(HashMap<(usize, usize), VecDeque<Instant>>);

impl Limits {
    /// Counts a request; where it is over the limit, answers after how many seconds one will fit again.
    pub(super) fn count(
        &mut self,
        application: usize,
        tenant: usize,
        limit: usize,
        window: Duration,
        now: Instant,
    ) -> Result<(), u64> {
        let last = self.0.entry((application, tenant)).or_default();
        // A request is refused exactly when the limit-th last one is inside the window: older ones do not matter.
        while last.len() > limit {
            last.pop_front();
        }
        let oldest = if last.len() == limit { last.pop_front() } else { None };
        last.push_back(now);
        match (oldest, last.front()) {
            (Some(oldest), Some(next)) if now.duration_since(oldest) < window => {
                let wait = window.saturating_sub(now.duration_since(*next));
                Err((wait.as_secs_f64().ceil() as u64).max(1))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_slides_and_refused_requests_count() {
        let mut limits = Limits::default();
        let start = Instant::now();
        let mut at = |second: u64| limits.count(0, 0, 2, Duration::from_secs(30), start + Duration::from_secs(second));
        assert_eq!(at(0), Ok(()));
        assert_eq!(at(10), Ok(()));
        assert_eq!(at(20), Err(20), "two within 30 s; when that of 10 is out, one fits");
        assert_eq!(at(31), Err(19), "those of 10 and 20 count, the refused one too");
        assert_eq!(at(51), Ok(()), "only that of 31 counts");
    }
}
