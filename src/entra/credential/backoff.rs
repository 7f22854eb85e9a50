//! Waits between questions to what serves the whole program: 1, 2, 4, 8, 16 s where it may pass by itself, longer where
//! somebody has to mend it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::entra::Trouble;

const FIRST: Duration = Duration::from_secs(1);
const DOUBLINGS: u32 = 4;

/// How long what only people mend is told to all who ask, before it is looked at again.
const UNTIL_MENDED: Duration = Duration::from_secs(30);

/// Shared by everybody who would ask.
#[derive(Default)]
pub(super) struct Backoff(Mutex<State>);

#[derive(Default)]
struct State {
    failures: u32,
    pause: Option<(Instant, Trouble)>,
}

impl Backoff {
    /// An error while it is too soon to ask again.
    pub(super) fn pass(&self) -> Result<(), Trouble> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.pause {
            Some((until, trouble)) if *until > Instant::now() => Err(match trouble.clone() {
                Trouble::Retry { reason, .. } => {
                    Trouble::Retry { after: Some(until.duration_since(Instant::now())), reason }
                }
                lasting => lasting,
            }),
            _ => Ok(()),
        }
    }

    /// Notes how a question ended.
    pub(super) fn note<T>(&self, outcome: &Result<T, Trouble>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Err(trouble @ Trouble::Retry { after, .. }) => {
                let wait = FIRST.saturating_mul(1 << state.failures.min(DOUBLINGS)).max(after.unwrap_or_default());
                state.pause = Some((Instant::now() + wait, trouble.clone()));
                state.failures += 1;
            }
            Err(lasting) => {
                *state = State { failures: 0, pause: Some((Instant::now() + UNTIL_MENDED, lasting.clone())) }
            }
            Ok(_) => *state = State::default(),
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
    async fn what_only_people_mend_is_told_to_all_for_half_a_minute() {
        let backoff = Backoff::default();
        let wrong = Trouble::misconfigured("there is none of this name");
        backoff.note(&Err::<(), _>(wrong.clone()));
        tokio::time::advance(UNTIL_MENDED - Duration::from_secs(1)).await;
        assert_eq!(backoff.pass(), Err(wrong));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(backoff.pass(), Ok(()));
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
