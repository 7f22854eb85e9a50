//! A member of the location, and what is on its way to it and from it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::actuator::board::Board;
use crate::actuator::converge::Convergence;
use crate::actuator::entry::{Now, Wish};
use crate::actuator::mind::{Came, Mind};
use crate::lights::Look;
use crate::lights::hue::LIMITS;

/// Who was frozen for longer notices.
const STOPPED: Duration = Duration::from_secs(5);
/// How long what is told behind that counts as old, and behind the start.
const REPLAY: Duration = Duration::from_secs(1);

/// A message on its way to a member.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub topic: String,
    pub payload: Vec<u8>,
    pub came: Came,
    pub arrives: Duration,
}

/// A command on its way to the hub, or its answer on the way back.
pub(super) struct Under {
    pub look: Look,
    pub wish: Arc<Wish>,
    /// When the hub has it, and when its answer is back.
    pub lands: Option<Duration>,
    pub back: Duration,
    pub fails: bool,
}

pub(super) struct Member {
    pub mind: Mind,
    pub board: Arc<Board>,
    pub convergence: Convergence,
    pub inbox: VecDeque<Letter>,
    pub under: Option<Under>,
    /// What the hub tells by itself.
    pub told: VecDeque<(Duration, Look)>,
    /// What a hub that is only asked answered last: only what differs from it is told.
    pub has_read: Option<Look>,
    /// When the light is read: what the hub tells until then is old.
    pub reads: Option<Duration>,
    /// Since when it is.
    pub frozen: Option<Duration>,
    pub is_connected: bool,
    /// When its convergence is to be asked again.
    pub wakes: Option<Duration>,
}

impl Member {
    pub fn new(mind: Mind, board: Arc<Board>, time: Duration) -> Self {
        Self {
            mind,
            board,
            convergence: Convergence::new(LIMITS, 1),
            inbox: VecDeque::new(),
            under: None,
            told: VecDeque::new(),
            has_read: None,
            reads: Some(time + REPLAY),
            frozen: None,
            is_connected: false,
            wakes: None,
        }
    }

    /// `midway`: what it is about to send reaches the hub when it runs again.
    pub fn freeze(&mut self, time: Duration, midway: bool) {
        self.frozen.get_or_insert(time);
        if let (true, Some(under)) = (midway, &mut self.under) {
            under.lands = under.lands.map(|_| Duration::MAX);
        }
    }

    /// A frozen member runs again. What it had sent reaches the hub now.
    pub fn thaw(&mut self, time: Duration) {
        if self.frozen.take().is_some_and(|since| time > since + STOPPED) {
            self.reads = Some(time + REPLAY);
        }
        if let Some(under) = self.under.as_mut().filter(|under| under.lands == Some(Duration::MAX)) {
            (under.lands, under.back) = (Some(time), time);
        }
    }

    /// What the light shows, after a gap.
    pub fn read(&mut self, shown: Option<&Look>, now: Now) {
        self.has_read = shown.cloned();
        let (Some(shown), grace) = (shown, self.board.grace()) else { return };
        self.board.light(0, |entry| {
            let wanted = entry.wish.as_ref().and_then(|wish| wish.look.as_ref());
            if wanted.is_some_and(|look| !look.looks_like(shown)) {
                entry.mend(grace, now);
            }
        });
    }
}
