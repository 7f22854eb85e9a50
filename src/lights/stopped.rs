//! Whether this process was stopped while it waited, as a frozen or starved one is. What comes in then is of any time
//! since, and behind it may be what others did about it: it tells no person's hand.

use std::time::Duration;

use tokio::time::Instant;

/// A timer that is so late was held up by no other work of ours.
const LATE: Duration = Duration::from_secs(3);

/// Whether a wait that was to end by itself after `longest` took far longer.
pub(super) fn was_stopped(since: Instant, longest: Duration) -> bool {
    since.elapsed() > longest + LATE
}
