//! Graph's limit, kept from this side: 1,500 presence calls in any 30 s for each application and tenant.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How many calls we allow ourselves in any window: Graph's 1,500, less a margin for a `check` or a
/// `login` beside a running bridge and for calls that arrive closer together than they left.
const CALLS: u32 = 1_440;

/// Graph's window.
const WINDOW: Duration = Duration::from_secs(30);

/// How many calls may leave at once after a quiet time.
const BURST: u32 = 40;

/// The first pause after a 429 without Retry-After, doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause of our own choice.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The longest Retry-After believed: a broken proxy's may say a year.
pub(super) const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// One tenant's turnstile: calls pass it in the order in which they came, a batch as well as a single one.
///
/// Calls are spread evenly (a leaky bucket), so that an hour of saturation is 46 calls a second,
/// not 1,440 at once and then silence.
pub(super) struct Turnstile {
    gap: Duration,
    slack: Duration,
    /// Fair by itself: tokio's mutex is first come, first served. Only the foremost waits on the clock.
    queue: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

struct State {
    /// Calls that passed since this was last asked.
    passed: u64,
    /// When the bucket will have drained.
    drained: Instant,
    paused_until: Option<Instant>,
    refusals: u32,
}

impl Turnstile {
    /// Graph's limit.
    pub(super) fn new() -> Self {
        Self::with_limit(CALLS, WINDOW, BURST)
    }

    fn with_limit(calls: u32, window: Duration, burst: u32) -> Self {
        let gap = window / (calls - burst);
        let state = State { passed: 0, drained: Instant::now(), paused_until: None, refusals: 0 };
        Self { gap, slack: gap * (burst - 1), queue: tokio::sync::Mutex::new(()), state: Mutex::new(state) }
    }

    /// Waits for one's turn to make one call.
    pub(super) async fn pass(&self) {
        let _foremost = self.queue.lock().await;
        while let Err(later) = self.try_pass(Instant::now()) {
            sleep_until(later).await;
        }
    }

    fn try_pass(&self, now: Instant) -> Result<(), Instant> {
        let mut state = self.state();
        if let Some(until) = state.paused_until.filter(|until| *until > now) {
            return Err(until);
        }
        let earliest = state.drained.checked_sub(self.slack).unwrap_or(now);
        if earliest > now {
            return Err(earliest);
        }
        state.drained = state.drained.max(now) + self.gap;
        state.passed += 1;
        Ok(())
    }

    /// Graph answered 429: nobody of this tenant calls before the answered time. Answers with the pause.
    pub(super) fn refused(&self, retry_after: Option<Duration>) -> Duration {
        let mut state = self.state();
        let now = Instant::now();
        // Calls that were on their way together are refused together: that is one refusal.
        let rest =
            state.paused_until.and_then(|until| until.checked_duration_since(now)).filter(|rest| !rest.is_zero());
        let own = rest.unwrap_or(FIRST_PAUSE.saturating_mul(1 << state.refusals.min(16)).min(LONGEST_PAUSE));
        let pause = retry_after.unwrap_or(own).min(LONGEST_RETRY_AFTER);
        state.refusals += u32::from(rest.is_none());
        state.paused_until = state.paused_until.max(Some(now + pause));
        // Whoever was refused begins anew without a burst.
        state.drained = state.drained.max(now + pause + self.slack);
        pause
    }

    /// How many calls passed since this was last asked.
    pub(super) fn take_passed(&self) -> u64 {
        std::mem::take(&mut self.state().passed)
    }

    /// Graph answered a call: the next pause is a first one again.
    pub(super) fn answered(&self) {
        self.state().refusals = 0;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Passes as often as the turnstile allows for `time`, by `callers` that queue again at once.
    async fn saturate(turnstile: Turnstile, callers: usize, time: Duration) -> Vec<(usize, Instant)> {
        let turnstile = Arc::new(turnstile);
        let passes = Arc::new(Mutex::new(Vec::new()));
        let end = Instant::now() + time;
        let tasks: Vec<_> = (0..callers)
            .map(|caller| {
                let (turnstile, passes) = (turnstile.clone(), passes.clone());
                tokio::spawn(async move {
                    while Instant::now() < end {
                        turnstile.pass().await;
                        passes.lock().unwrap().push((caller, Instant::now()));
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        Arc::into_inner(passes).unwrap().into_inner().unwrap()
    }

    fn most_in_any(window: Duration, passes: &[(usize, Instant)]) -> usize {
        let within = |from: Instant| passes.iter().filter(|(_, at)| *at >= from && *at - from < window).count();
        passes.iter().map(|(_, at)| within(*at)).max().unwrap_or(0)
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_that_want_more_never_pass_the_limit_and_each_gets_its_turn() {
        let passes = saturate(Turnstile::new(), 1_000, Duration::from_secs(90)).await;
        let most = most_in_any(WINDOW, &passes);
        assert!((1_390..=1_440).contains(&most), "{most} calls in {WINDOW:?}");
        let turns = |caller: usize| passes.iter().filter(|(who, _)| *who == caller).count();
        let (least, most) = (0..1_000).map(turns).fold((usize::MAX, 0), |(low, high), n| (low.min(n), high.max(n)));
        assert!(most - least <= 1, "one had {least} turns, another {most}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_pauses_all_callers_until_the_time_that_graph_named() {
        let turnstile = Turnstile::new();
        turnstile.pass().await;
        let begin = Instant::now();
        assert_eq!(turnstile.refused(Some(Duration::from_secs(41))), Duration::from_secs(41));
        turnstile.pass().await;
        assert!(begin.elapsed() >= Duration::from_secs(41));
        let resumed = Instant::now();
        turnstile.pass().await;
        assert!(resumed.elapsed() >= turnstile.gap, "the pause ends in a burst");
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_without_a_time_pause_for_longer_and_longer() {
        let turnstile = Turnstile::new();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pauses.push(turnstile.refused(None).as_secs());
            turnstile.pass().await;
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300]);
        turnstile.answered();
        assert_eq!(turnstile.refused(None).as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_are_refused_together_are_one_refusal() {
        let turnstile = Turnstile::new();
        let pauses = [(); 3].map(|()| turnstile.refused(None).as_secs());
        assert_eq!(pauses, [5, 5, 5]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_year_is_not_believed() {
        let pause = Turnstile::new().refused(Some(Duration::from_secs(31_536_000)));
        assert_eq!(pause, LONGEST_RETRY_AFTER);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_gives_up_waiting_holds_nobody_up() {
        let turnstile = Arc::new(Turnstile::with_limit(3, Duration::from_secs(30), 1));
        turnstile.pass().await;
        let gone = tokio::time::timeout(Duration::from_millis(1), turnstile.pass()).await;
        assert!(gone.is_err());
        let begin = Instant::now();
        turnstile.pass().await;
        assert!(begin.elapsed() <= Duration::from_secs(15));
    }
}
