//! What reached a stand-in: kept for tests to ask about and to wait for, or only counted.

use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};

/// How many entries a slow subscriber may be behind before it misses some.
const BEHIND: usize = 4096;

/// A list of entries that only grows, and tells when it does.
pub struct Log<E> {
    state: Mutex<Entries<E>>,
    grown: Notify,
    live: broadcast::Sender<E>,
}

struct Entries<E> {
    kept: Vec<E>,
    keeping: bool,
    total: u64,
}

/// What was waited for did not come in time.
#[derive(Debug, thiserror::Error)]
#[error("not within {within:?}; {total} so far, the last of them: {last}")]
pub struct Late {
    within: Duration,
    total: u64,
    last: String,
}

impl<E: Clone + Debug> Log<E> {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(Entries { kept: Vec::new(), keeping: true, total: 0 }),
            grown: Notify::new(),
            live: broadcast::Sender::new(BEHIND),
        }
    }

    pub(super) fn add(&self, entry: E) {
        if self.live.receiver_count() > 0 {
            // An error says only that nobody listens any more.
            let _ = self.live.send(entry.clone());
        }
        {
            let mut state = self.lock();
            state.total += 1;
            if state.keeping {
                state.kept.push(entry);
            }
        }
        self.grown.notify_waiters();
    }

    /// All entries, the oldest first.
    pub fn all(&self) -> Vec<E> {
        self.lock().kept.clone()
    }

    /// How many entries there were, the forgotten ones included.
    pub fn total(&self) -> u64 {
        self.lock().total
    }

    /// How many of the kept entries are such.
    pub fn count(&self, such: impl Fn(&E) -> bool) -> usize {
        self.lock().kept.iter().filter(|entry| such(entry)).count()
    }

    /// Forgets the entries. Their number is still in [`Log::total`].
    pub fn clear(&self) {
        self.lock().kept.clear();
    }

    /// Whether entries are kept (the default) or only counted, which costs no memory.
    pub fn keep(&self, keeping: bool) {
        let mut state = self.lock();
        state.keeping = keeping;
        if !keeping {
            state.kept = Vec::new();
        }
    }

    /// Every entry from now on. A subscriber that is thousands of entries behind misses some.
    pub fn subscribe(&self) -> broadcast::Receiver<E> {
        self.live.subscribe()
    }

    /// Waits until the kept entries are such, and answers with them.
    pub async fn wait_for(&self, within: Duration, such: impl Fn(&[E]) -> bool) -> Result<Vec<E>, Late> {
        let watch = async {
            loop {
                let grown = self.grown.notified();
                tokio::pin!(grown);
                grown.as_mut().enable();
                if let Some(entries) = self.matching(&such) {
                    return entries;
                }
                grown.await;
            }
        };
        tokio::time::timeout(within, watch).await.map_err(|_| self.late(within))
    }

    fn matching(&self, such: &impl Fn(&[E]) -> bool) -> Option<Vec<E>> {
        let state = self.lock();
        such(&state.kept).then(|| state.kept.clone())
    }

    fn late(&self, within: Duration) -> Late {
        let state = self.lock();
        let last = state.kept.iter().rev().take(5).rev().map(|entry| format!("\n  {entry:?}")).collect();
        Late { within, total: state.total, last }
    }

    fn lock(&self) -> MutexGuard<'_, Entries<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
