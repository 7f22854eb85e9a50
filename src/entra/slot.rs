//! One principal's access token: when it is good, when it is due, and who may refresh it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::Trouble;
use super::tokens::AccessToken;

/// The first pause after Entra could not be asked; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// When what only people can mend is looked at again.
const UNTIL_MENDED: Duration = Duration::from_secs(300);
/// When a store that lacks a usable grant is looked at again: no question to Entra.
const UNTIL_SIGNED_IN: Duration = Duration::from_secs(10);
/// A token that Graph refuses so soon after it was renewed is not renewed again: that would be a loop.
const BETWEEN_RENEWALS: Duration = Duration::from_secs(60);

/// A token is refreshed after this part of its life, at a random point of the rest, so that
/// thousands do not fall due together; the very end is left for trying again.
const DUE_FROM: f64 = 0.75;
const DUE_BEFORE: f64 = 0.95;

/// When a token that lives for `life` falls due; `random` is in 0..1.
pub(super) fn due_after(life: Duration, random: f64) -> Duration {
    life.mul_f64(DUE_FROM + (DUE_BEFORE - DUE_FROM) * random)
}

/// What there is for whoever asks for a token.
pub(super) enum Look {
    Good(AccessToken),
    /// Good still, but to be refreshed.
    Due(AccessToken),
    /// There is none, and it is not yet time to try again.
    Failed(Trouble),
    Needed,
}

/// A principal's token.
#[derive(Default)]
pub(super) struct Slot {
    state: Mutex<State>,
    /// Held by the one who asks Entra.
    pub flight: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    ready: Option<Ready>,
    pause: Option<Pause>,
    /// How often in a row Entra could not be asked.
    failures: u32,
    /// What Graph refused: not to be taken from the store again.
    refused: Option<SecretString>,
    /// The grant's row in use; outer `None`: the store was not asked.
    row: Option<Option<String>>,
    /// Counts the times that everything was forgotten: what is under way then comes too late.
    epoch: u64,
}

struct Ready {
    token: AccessToken,
    expires: Instant,
    due: Instant,
    renewed_at: Option<Instant>,
}

struct Pause {
    until: Instant,
    trouble: Trouble,
}

/// What a refresh starts from.
pub(super) struct Start {
    /// The access token to be replaced.
    pub replacing: Option<SecretString>,
    epoch: u64,
}

impl Slot {
    pub(super) fn look(&self, now: Instant) -> Look {
        let state = self.state();
        let pause = state.pause.as_ref().filter(|pause| pause.until > now);
        match (&state.ready, pause) {
            (Some(ready), pause) if ready.expires > now => {
                let token = ready.token.clone();
                if ready.due <= now && pause.is_none() { Look::Due(token) } else { Look::Good(token) }
            }
            (_, Some(pause)) => Look::Failed(pause.still_failing(now)),
            _ => Look::Needed,
        }
    }

    pub(super) fn start(&self) -> Start {
        let state = self.state();
        let in_use = state.ready.as_ref().map(|ready| ready.token.secret.clone());
        Start { replacing: in_use.or_else(|| state.refused.clone()), epoch: state.epoch }
    }

    /// Notes which row of the store is in use, so that another one is noticed.
    pub(super) fn uses_row(&self, start: &Start, row: Option<String>) {
        let mut state = self.state();
        if state.epoch == start.epoch {
            state.row = Some(row);
        }
    }

    /// Whether another row than `row` is in use, or none where there is one.
    pub(super) fn differs_from(&self, row: Option<&String>) -> bool {
        self.state().row.as_ref().is_some_and(|used| used.as_ref() != row)
    }

    pub(super) fn succeed(&self, start: &Start, token: AccessToken, left: Duration, due: Duration, now: Instant) {
        let mut state = self.state();
        if state.epoch != start.epoch {
            return;
        }
        let renewed_at = state.refused.take().map(|_| now);
        state.ready = Some(Ready { token, expires: now + left, due: now + due, renewed_at });
        state.pause = None;
        state.failures = 0;
    }

    /// A token that is still good is kept only where the trouble may pass by itself.
    pub(super) fn fail(&self, start: &Start, trouble: &Trouble, asked_entra: bool, random: f64, now: Instant) {
        let mut state = self.state();
        if state.epoch != start.epoch {
            return;
        }
        let wait = match trouble {
            Trouble::Retry { after, .. } => {
                let pause = FIRST_PAUSE.saturating_mul(1 << state.failures.min(10)).min(LONGEST_PAUSE);
                state.failures += 1;
                after.unwrap_or_default().max(pause.mul_f64(0.5 + random / 2.0))
            }
            _ => {
                state.ready = None;
                let wait = if asked_entra { UNTIL_MENDED } else { UNTIL_SIGNED_IN };
                wait.mul_f64(0.75 + random / 4.0)
            }
        };
        state.pause = Some(Pause { until: now + wait, trouble: trouble.clone() });
    }

    /// Graph refused this token: it is not used again. An error where that happens too often.
    pub(super) fn refuse(&self, token: &AccessToken, now: Instant) -> Result<(), Duration> {
        let mut state = self.state();
        let Some(ready) = state.ready.as_ref().filter(|ready| ready.token.generation == token.generation) else {
            return Ok(());
        };
        let since = ready.renewed_at.map(|at| now.duration_since(at));
        if let Some(since) = since.filter(|since| *since < BETWEEN_RENEWALS) {
            return Err(BETWEEN_RENEWALS - since);
        }
        state.refused = Some(token.secret.expose_secret().into());
        state.ready = None;
        Ok(())
    }

    /// Forgets everything: the store knows better.
    pub(super) fn forget(&self) {
        let mut state = self.state();
        *state = State { epoch: state.epoch + 1, ..State::default() };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pause {
    fn still_failing(&self, now: Instant) -> Trouble {
        match &self.trouble {
            Trouble::Retry { reason, .. } => {
                Trouble::Retry { after: Some(self.until.duration_since(now)), reason: reason.clone() }
            }
            other => other.clone(),
        }
    }
}
