//! The handle that roles hold.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::driver::Driver;
use super::pending::{Once, Pending};
use super::{Answer, Event, Message, Options, Slot, Unusable, Wanted};
use crate::settings;

/// How many events wait for the role. When it is slow, the connection's task waits too, and acks and
/// pings with it; so a role takes events quickly. It cannot lock up: nothing that a role calls waits for
/// that task, but [`Connection::close`], which needs no events taken.
const EVENTS: usize = 256;
/// What the task gets beyond the limit of [`Connection::close`] before it is ended from outside.
const GRACE: Duration = Duration::from_millis(200);

/// One connection to the broker, which makes itself again whenever it ends. Cheap to clone.
///
/// Its methods note what is to be done and return at once. When the last clone is gone without
/// [`Self::close`], the connection is cut, and the broker publishes the will.
#[derive(Clone)]
pub struct Connection {
    handle: Arc<Handle>,
}

struct Handle {
    pending: Arc<Pending>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.pending.cut();
    }
}

impl Connection {
    /// Starts connecting in the background; needs a tokio runtime. What happens comes as events; they
    /// are in the log already.
    pub fn open(
        settings: &settings::Mqtt,
        options: Options,
        wanted: Arc<dyn Wanted>,
    ) -> Result<(Self, mpsc::Receiver<Event>), Unusable> {
        let (events, received) = mpsc::channel(EVENTS);
        let pending = Arc::new(Pending::default());
        let driver = Driver::new(settings, options, wanted, Arc::clone(&pending), events)?;
        let task = Mutex::new(Some(tokio::spawn(driver.run())));
        Ok((Self { handle: Arc::new(Handle { pending, task }) }, received))
    }

    /// A slot's message changed: send it as soon as possible, before the rest of a full resend. Never
    /// blocks; changes coalesce. While disconnected nothing is to be done: the next ConnAck sends all.
    pub fn changed(&self, slot: Slot) {
        self.handle.pending.changed(slot);
    }

    /// Everything is sent again (Home Assistant's birth), lower slots first.
    pub fn all_changed(&self) {
        self.handle.pending.all_changed();
    }

    /// Publishes without retention, before any slot. Dropped while disconnected, and beyond 1,024 waiting.
    pub fn publish(&self, message: Message, qos: u8) {
        self.once(Once::new(message, qos));
    }

    /// Lets the broker forget what it retains on a topic that is no slot's. Likewise: tried once.
    pub fn clear(&self, topic: String) {
        self.once(Once { retain: true, ..Once::new(Message { topic, payload: Vec::new() }, 1) });
    }

    /// Answers a request, likewise.
    pub fn answer(&self, answer: Answer) {
        answer.messages().for_each(|once| self.once(once));
    }

    fn once(&self, once: Once) {
        if let Err(topic) = self.handle.pending.publish(once) {
            tracing::debug!(%topic, "message dropped: not connected, or too many are waiting");
        }
    }

    /// Sends what is pending (for half of `limit` at most), then the will's payload, waits for its ack,
    /// disconnects. When the ack has not come within `limit`, the connection is cut without a disconnect,
    /// and the broker publishes the will.
    pub async fn close(self, limit: Duration) {
        self.handle.pending.goodbye(limit);
        let task = self.handle.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut task) = task else { return };
        if tokio::time::timeout(limit + GRACE, &mut task).await.is_err() {
            task.abort();
        }
    }
}
