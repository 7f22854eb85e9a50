//! One principal's access token: when it is good, when it is due, and who may refresh it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
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
    refused: Option<Arc<SecretString>>,
    /// What Graph asks of the next token, and of those after it.
    claims: Option<Arc<str>>,
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
    pub replacing: Option<Arc<SecretString>>,
    /// The claims that Graph asked for, JSON.
    pub claims: Option<Arc<str>>,
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
        Start { replacing: in_use.or_else(|| state.refused.clone()), claims: state.claims.clone(), epoch: state.epoch }
    }

    /// Notes which row of the store is in use, so that another one is noticed.
    pub(super) fn uses_row(&self, start: &Start, row: Option<String>) {
        let mut state = self.state();
        if state.epoch == start.epoch {
            state.row = Some(row);
        }
    }

    /// The store holds this row now: where another one is in use, everything is forgotten. Answers whether.
    pub(super) fn follow(&self, row: Option<&String>) -> bool {
        let another = self.state().row.as_ref().is_some_and(|used| used.as_ref() != row);
        if another {
            self.forget();
        }
        another
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

    /// Graph refused this token: it is not used again, and the next one brings the claims that Graph asked
    /// for. An error where that happens too often.
    pub(super) fn refuse(&self, token: &AccessToken, claims: Option<&str>, now: Instant) -> Result<(), Duration> {
        let mut state = self.state();
        let Some(ready) = state.ready.as_ref().filter(|ready| ready.token.generation == token.generation) else {
            return Ok(());
        };
        let since = ready.renewed_at.map(|at| now.duration_since(at));
        if let Some(since) = since.filter(|since| *since < BETWEEN_RENEWALS) {
            return Err(BETWEEN_RENEWALS - since);
        }
        state.refused = Some(token.secret.clone());
        state.ready = None;
        if let Some(claims) = claims {
            state.claims = Some(claims.into());
        }
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

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn token(generation: u64) -> AccessToken {
        AccessToken { secret: Arc::new(format!("token {generation}").into()), generation }
    }

    fn ready(now: Instant) -> Slot {
        let slot = Slot::default();
        slot.succeed(&slot.start(), token(1), HOUR, due_after(HOUR, 0.0), now);
        slot
    }

    fn looks(slot: &Slot, now: Instant) -> &'static str {
        match slot.look(now) {
            Look::Good(_) => "good",
            Look::Due(_) => "due",
            Look::Failed(_) => "failed",
            Look::Needed => "needed",
        }
    }

    #[test]
    fn a_token_falls_due_at_a_random_point_of_the_last_quarter_and_well_before_its_end() {
        assert_eq!(due_after(HOUR, 0.0), HOUR.mul_f64(0.75));
        assert!(due_after(HOUR, 0.999_999) < HOUR.mul_f64(0.951));
    }

    #[test]
    fn a_token_is_good_then_due_then_gone() {
        let now = Instant::now();
        let slot = ready(now);
        assert_eq!(looks(&slot, now + HOUR / 2), "good");
        assert_eq!(looks(&slot, now + HOUR.mul_f64(0.8)), "due");
        assert_eq!(looks(&slot, now + HOUR), "needed");
    }

    #[test]
    fn while_entra_cannot_be_asked_the_old_token_is_used_to_its_end() {
        let now = Instant::now();
        let slot = ready(now);
        let due = now + HOUR.mul_f64(0.8);
        slot.fail(&slot.start(), &Trouble::later("down"), true, 0.0, due);
        assert_eq!(looks(&slot, due), "good", "it is not asked again at once");
        assert_eq!(looks(&slot, due + Duration::from_secs(3)), "due", "but soon");

        let almost = now + HOUR - Duration::from_secs(1);
        let after = Some(Duration::from_secs(60));
        slot.fail(&slot.start(), &Trouble::Retry { after, reason: "down".to_owned() }, true, 0.0, almost);
        assert_eq!(looks(&slot, now + HOUR), "failed");
        assert_eq!(looks(&slot, almost + Duration::from_secs(61)), "needed");
    }

    #[test]
    fn when_the_person_has_to_act_the_old_token_is_not_used_any_more() {
        let now = Instant::now();
        let slot = ready(now);
        slot.fail(&slot.start(), &Trouble::sign_in("revoked"), true, 0.5, now);
        assert_eq!(looks(&slot, now + Duration::from_secs(1)), "failed");
        assert_eq!(looks(&slot, now + UNTIL_MENDED), "needed", "it heals by itself");
    }

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let (slot, now) = (Slot::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..12 {
            slot.fail(&slot.start(), &Trouble::later("down"), true, 1.0, now);
            let Look::Failed(Trouble::Retry { after: Some(after), .. }) = slot.look(now) else { panic!() };
            pauses.push(after.as_secs());
        }
        assert_eq!(pauses[..4], [2, 4, 8, 16]);
        assert_eq!(pauses[11], 300);
    }

    #[test]
    fn a_refused_token_is_replaced_once_and_not_in_a_loop() {
        let now = Instant::now();
        let slot = ready(now);
        assert_eq!(slot.refuse(&token(0), None, now), Ok(()), "an older one was replaced already");
        assert_eq!(looks(&slot, now), "good");
        assert_eq!(slot.refuse(&token(1), None, now), Ok(()));
        assert_eq!(looks(&slot, now), "needed");
        assert_eq!(slot.start().replacing.unwrap().expose_secret(), "token 1");

        slot.succeed(&slot.start(), token(2), HOUR, HOUR, now);
        let second = now + Duration::from_secs(1);
        assert_eq!(slot.refuse(&token(2), None, second), Err(BETWEEN_RENEWALS - Duration::from_secs(1)));
        assert_eq!(slot.refuse(&token(2), None, now + BETWEEN_RENEWALS), Ok(()));
    }

    #[test]
    fn what_was_under_way_when_all_was_forgotten_comes_too_late() {
        let (slot, now) = (Slot::default(), Instant::now());
        let start = slot.start();
        slot.uses_row(&start, Some("old".to_owned()));
        slot.forget();
        slot.succeed(&start, token(1), HOUR, HOUR, now);
        assert_eq!(looks(&slot, now), "needed");
        slot.fail(&start, &Trouble::later("x"), true, 0.0, now);
        assert_eq!(looks(&slot, now), "needed");
    }
}
