//! Waits between questions to what serves the whole program: 1, 2, 4, 8, 16 s.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::entra::Trouble;

const FIRST: Duration = Duration::from_secs(1);
const DOUBLINGS: u32 = 4;

/// Shared by everybody who would ask.
#[derive(Default)]
pub(super) struct Backoff(Mutex<State>);

#[derive(Default)]
struct State {
    failures: u32,
    pause: Option<(Instant, String)>,
}

impl Backoff {
    /// An error while it is too soon to ask again.
    pub(super) fn pass(&self) -> Result<(), Trouble> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.pause {
            Some((until, reason)) if *until > Instant::now() => {
                Err(Trouble::Retry { after: Some(until.duration_since(Instant::now())), reason: reason.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Notes how a question ended.
    pub(super) fn note<T>(&self, outcome: &Result<T, Trouble>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Err(Trouble::Retry { after, reason }) => {
                let wait = FIRST.saturating_mul(1 << state.failures.min(DOUBLINGS)).max(after.unwrap_or_default());
                state.pause = Some((Instant::now() + wait, reason.clone()));
                state.failures += 1;
            }
            _ => *state = State::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_double_up_to_sixteen_seconds_and_end_with_the_first_success() {
        let backoff = Backoff::default();
        let failed: Result<(), _> = Err(Trouble::later("429"));
        let mut waits = Vec::new();
        for _ in 0..7 {
            backoff.note(&failed);
            let Err(Trouble::Retry { after: Some(wait), .. }) = backoff.pass() else { panic!("no pause") };
            waits.push(wait.as_secs());
            tokio::time::advance(wait).await;
            assert_eq!(backoff.pass(), Ok(()));
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 16, 16]);
        backoff.note(&Ok::<_, Trouble>(()));
        backoff.note(&failed);
        let Err(Trouble::Retry { after: Some(wait), .. }) = backoff.pass() else { panic!("no pause") };
        assert_eq!(wait.as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_longer_wait_that_was_asked_for_is_kept() {
        let backoff = Backoff::default();
        let after = Some(Duration::from_secs(41));
        backoff.note(&Err::<(), _>(Trouble::Retry { after, reason: String::new() }));
        let Err(Trouble::Retry { after: Some(wait), .. }) = backoff.pass() else { panic!("no pause") };
        assert_eq!(wait.as_secs(), 41);
    }
}
