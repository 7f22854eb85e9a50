//! What others in the process may see of a running bridge: counters, and each change as it happens.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use serde::Serialize;
use tokio::sync::broadcast;

use super::board::Board;
use crate::presence::{AccountName, Activity, Availability, Sequence};

/// How many changes a slow watcher may fall behind.
const BEHIND: usize = 256;

/// The view from outside. Cheap to clone; made before the bridge runs, and readable all the time.
#[derive(Clone)]
pub struct Monitor {
    inner: Arc<Inner>,
}

struct Inner {
    connected: AtomicBool,
    counters: [AtomicU64; 7],
    changes: broadcast::Sender<Change>,
    /// Set when the bridge starts, and gone with it.
    board: OnceLock<Weak<Board>>,
}

/// A presence that is being published since it changed.
#[derive(Debug, Clone)]
pub struct Change {
    /// Whose.
    pub account: AccountName,
    /// The base state.
    pub availability: Availability,
    /// What the person does.
    pub activity: Activity,
    /// As in the published presence.
    pub sequence: Sequence,
    /// When Graph's answer was here.
    pub answered: Instant,
}

/// The counters at one moment; they count from the start of the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Whether the connection to the broker stands.
    #[serde(skip)]
    pub connected: bool,
    /// Accounts that are configured.
    pub accounts: u64,
    /// Accounts whose presence is known.
    pub accounts_online: u64,
    /// Accounts that somebody has to do something for: sign in, consent, grant a right.
    pub sign_ins_needed: u64,
    /// Polls that were answered or failed; a batch is one.
    pub polls: u64,
    /// Those that failed.
    pub failures: u64,
    /// Those that Graph refused with 429.
    pub throttled: u64,
    /// Presences published since they had changed.
    pub published: u64,
}

#[derive(Clone, Copy)]
pub(super) enum Counter {
    Accounts,
    Online,
    Needed,
    Polls,
    Failures,
    Throttled,
    Published,
}

impl Default for Monitor {
    fn default() -> Self {
        Self::new()
    }
}

impl Monitor {
    /// Of a bridge that does not run yet.
    pub fn new() -> Self {
        let (changes, _) = broadcast::channel(BEHIND);
        Self {
            inner: Arc::new(Inner {
                connected: AtomicBool::new(false),
                counters: Default::default(),
                changes,
                board: OnceLock::new(),
            }),
        }
    }

    /// The counters now.
    pub fn snapshot(&self) -> Snapshot {
        let read = |counter: Counter| self.inner.counters[counter as usize].load(Ordering::Relaxed);
        Snapshot {
            connected: self.inner.connected.load(Ordering::Relaxed),
            accounts: read(Counter::Accounts),
            accounts_online: read(Counter::Online),
            sign_ins_needed: read(Counter::Needed),
            polls: read(Counter::Polls),
            failures: read(Counter::Failures),
            throttled: read(Counter::Throttled),
            published: read(Counter::Published),
        }
    }

    /// Each change from now on.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.inner.changes.subscribe()
    }

    /// Lets others read what the bridge knows of its accounts.
    pub(super) fn opens(&self, board: &Arc<Board>) {
        self.inner.board.get_or_init(|| Arc::downgrade(board));
    }

    pub(super) fn board(&self) -> Option<Arc<Board>> {
        self.inner.board.get()?.upgrade()
    }

    pub(super) fn connected(&self, connected: bool) {
        self.inner.connected.store(connected, Ordering::Relaxed);
    }

    pub(super) fn count(&self, counter: Counter) {
        self.inner.counters[counter as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set(&self, counter: Counter, value: u64) {
        self.inner.counters[counter as usize].store(value, Ordering::Relaxed);
    }

    pub(super) fn watched(&self) -> bool {
        self.inner.changes.receiver_count() > 0
    }

    pub(super) fn changed(&self, change: Change) {
        // Nobody has to watch.
        let _ = self.inner.changes.send(change);
    }
}
