//! What is to be sent, shared between the handles and the connection's task.
//!
//! Two sets of slots: changes, and the full resend behind them, so that a change does not wait for
//! thousands of messages that say nothing new.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::slots::Slots;
use super::{Message, Slot};

/// How many messages of [`super::Connection::publish`] wait at most; further ones are dropped.
const MESSAGES: usize = 1024;

/// What waits to be sent. A lock is held for a few instructions only, and never while a slot is rendered:
/// the role may report a change under the same lock that it renders with.
#[derive(Debug, Default)]
pub(super) struct Pending {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    connected: bool,
    changed: Slots,
    resend: Slots,
    resend_all: bool,
    messages: VecDeque<Once>,
    stop: Option<Stop>,
}

/// How the connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Say goodbye, all of it done by `until`.
    Goodbye { flush_until: Instant, until: Instant },
    /// All handles are gone: cut the connection, so that the broker publishes the will.
    Cut,
}

/// A message that is not kept here: sent once, or dropped.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Once {
    pub(super) message: Message,
    pub(super) qos: u8,
    /// MQTT 5's correlation data, of an answer.
    pub(super) correlation: Option<Bytes>,
    /// Whether the broker keeps it; of an empty payload: forgets what it kept.
    pub(super) retain: bool,
}

impl Once {
    pub(super) fn new(message: Message, qos: u8) -> Self {
        Self { message, qos, correlation: None, retain: false }
    }
}

/// The next thing to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Slot(Slot),
    Once(Once),
}

impl Pending {
    pub(super) fn changed(&self, slot: Slot) {
        self.state().changed.insert(slot);
        self.wake.notify_one();
    }

    /// Everything is to be sent again, behind what changed. How much that is, the task asks.
    pub(super) fn all_changed(&self) {
        self.state().resend_all = true;
        self.wake.notify_one();
    }

    /// Whether [`Self::all_changed`] was called since the last time.
    pub(super) fn take_all_changed(&self) -> bool {
        std::mem::take(&mut self.state().resend_all)
    }

    pub(super) fn resend(&self, slots: Slot) {
        self.state().resend.fill(slots);
    }

    /// One slot is sent again, behind what changed.
    pub(super) fn retry(&self, slot: Slot) {
        self.state().resend.insert(slot);
    }

    /// Gives the topic back where the message is not taken.
    pub(super) fn publish(&self, once: Once) -> Result<(), String> {
        let mut state = self.state();
        if !state.connected || state.messages.len() >= MESSAGES {
            return Err(once.message.topic);
        }
        state.messages.push_back(once);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// A ConnAck came: all slots are to be sent, in their order; what had changed is among them.
    pub(super) fn connected(&self, slots: Slot) {
        let mut state = self.state();
        state.connected = true;
        state.changed.clear();
        state.resend_all = false;
        state.resend.fill(slots);
    }

    pub(super) fn disconnected(&self) {
        let mut state = self.state();
        state.connected = false;
        state.messages.clear();
    }

    /// Messages first, they are few; then changes; then the resend.
    pub(super) fn next(&self) -> Option<Next> {
        let mut state = self.state();
        if let Some(once) = state.messages.pop_front() {
            return Some(Next::Once(once));
        }
        if let Some(slot) = state.changed.pop() {
            state.resend.remove(slot);
            return Some(Next::Slot(slot));
        }
        state.resend.pop().map(Next::Slot)
    }

    pub(super) fn is_empty(&self) -> bool {
        let state = self.state();
        state.messages.is_empty() && state.changed.is_empty() && state.resend.is_empty() && !state.resend_all
    }

    pub(super) fn goodbye(&self, limit: Duration) {
        let now = Instant::now();
        // Half of the time for what is pending, so that the goodbye itself has its share.
        self.stop(Stop::Goodbye { flush_until: now + limit / 2, until: now + limit });
    }

    pub(super) fn cut(&self) {
        self.stop(Stop::Cut);
    }

    fn stop(&self, stop: Stop) {
        self.state().stop.get_or_insert(stop);
        self.wake.notify_one();
    }

    pub(super) fn stopping(&self) -> Option<Stop> {
        self.state().stop
    }

    /// Resolves when something was noted since the last time, perhaps at once, perhaps for nothing.
    pub(super) async fn noted(&self) {
        self.wake.notified().await;
    }

    /// Resolves when the connection is to end.
    pub(super) async fn stop_asked(&self) -> Stop {
        loop {
            if let Some(stop) = self.stopping() {
                return stop;
            }
            self.noted().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(pending: &Pending) -> Vec<Next> {
        std::iter::from_fn(|| pending.next()).collect()
    }

    #[test]
    fn a_change_overtakes_the_resend_and_is_not_sent_twice() {
        let pending = Pending::default();
        pending.connected(4);
        assert_eq!(pending.next(), Some(Next::Slot(0)));
        pending.changed(3);
        assert_eq!(rest(&pending), [3, 1, 2].map(Next::Slot));
        assert!(pending.is_empty());
    }

    #[test]
    fn what_changed_while_disconnected_is_sent_in_its_place() {
        let pending = Pending::default();
        pending.changed(2);
        pending.connected(3);
        assert_eq!(rest(&pending), [0, 1, 2].map(Next::Slot));
    }

    #[test]
    fn messages_go_first_and_only_while_connected() {
        let pending = Pending::default();
        let once = || Once::new(Message { topic: "t".into(), payload: vec![] }, 1);
        assert!(pending.publish(once()).is_err());
        pending.connected(1);
        assert!(pending.publish(once()).is_ok());
        assert_eq!(rest(&pending), [Next::Once(once()), Next::Slot(0)]);
        assert!(pending.publish(once()).is_ok());
        pending.disconnected();
        assert_eq!(pending.next(), None);
    }

    #[test]
    fn messages_do_not_pile_up() {
        let pending = Pending::default();
        pending.connected(0);
        let taken = (0..2 * MESSAGES)
            .filter(|_| pending.publish(Once::new(Message { topic: "t".into(), payload: vec![] }, 0)).is_ok())
            .count();
        assert_eq!(taken, MESSAGES);
    }
}
