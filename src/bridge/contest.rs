//! Whose the base topic is, when `bridge/info` names another instance that says it is online. Pure.
//!
//! Retained, `online` outlives its bridge until the broker publishes the will, one and a half
//! keep-alives later, and for ever where the broker lost the will with its own restart. So the wait
//! comes first, and then a question: a bridge that is alive answers an `offline` on its state topic
//! by `online` (the design's rule), and one that is not does not.

use std::time::Duration;

use tokio::time::Instant;

/// How long an answer to the question may take.
const ANSWER: Duration = Duration::from_secs(3);

/// A base topic that another instance holds, perhaps.
#[derive(Debug)]
pub(super) struct Contest {
    pub(super) owner: String,
    until: Instant,
    asked: bool,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Wait,
    /// Publish `offline`, not retained, on the state topic.
    Ask,
    /// The base topic is ours.
    Take,
    /// It is somebody else's.
    Yield,
}

impl Contest {
    pub(super) fn new(owner: String, keep_alive: Duration, now: Instant) -> Self {
        Self { owner, until: now + keep_alive.mul_f64(1.5), asked: false }
    }

    pub(super) fn wake(&self) -> Instant {
        self.until
    }

    /// The state topic said something while we waited.
    pub(super) fn heard(&self, online: bool, live: bool) -> Step {
        match (online, live) {
            (true, true) => Step::Yield,
            // Once asked, what we hear is our own question.
            (false, _) if !self.asked => Step::Take,
            _ => Step::Wait,
        }
    }

    /// Only a bridge that is alive publishes its health.
    pub(super) fn heard_health(&self, live: bool) -> Step {
        if live { Step::Yield } else { Step::Wait }
    }

    /// Time passed.
    pub(super) fn at(&mut self, now: Instant) -> Step {
        if now < self.until {
            return Step::Wait;
        }
        if self.asked {
            return Step::Take;
        }
        self.asked = true;
        self.until = now + ANSWER;
        Step::Ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contest() -> (Contest, Instant) {
        let now = Instant::now();
        (Contest::new("other".into(), Duration::from_secs(10), now), now)
    }

    #[tokio::test(start_paused = true)]
    async fn a_will_that_comes_within_the_wait_gives_the_topic_away() {
        let (mut contest, now) = contest();
        assert_eq!(contest.at(now + Duration::from_secs(14)), Step::Wait);
        assert_eq!(contest.heard(false, true), Step::Take);
    }

    #[tokio::test(start_paused = true)]
    async fn an_owner_that_answers_keeps_it() {
        let (mut contest, now) = contest();
        assert_eq!(contest.at(now + Duration::from_secs(15)), Step::Ask);
        assert_eq!(contest.heard(false, true), Step::Wait, "that is our own question");
        assert_eq!(contest.heard(true, true), Step::Yield);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_left_online_behind_does_not_answer() {
        let (mut contest, now) = contest();
        assert_eq!(contest.heard(true, false), Step::Wait);
        contest.at(now + Duration::from_secs(15));
        assert_eq!(contest.at(now + Duration::from_secs(16)), Step::Wait);
        assert_eq!(contest.at(now + Duration::from_secs(18)), Step::Take);
    }

    #[tokio::test(start_paused = true)]
    async fn a_live_sign_of_health_decides_at_once() {
        let (contest, _) = contest();
        assert_eq!(contest.heard_health(false), Step::Wait);
        assert_eq!(contest.heard_health(true), Step::Yield);
    }
}
