//! What must survive a restart: grants, the sequence's ceiling, hubs' keys and pins, pauses, the instance.
//!
//! SQLite in WAL mode through sqlx `Any`, one set of SQL. Token caches are sealed
//! (ChaCha20-Poly1305, additional data = the row's immutable id) with the key of the key file.
//! Every write is durable when its call answers (`synchronous = FULL`), and is one statement or one
//! transaction, so that other processes and a kill at any instant see all of it or nothing.

mod applications;
mod enrolment;
mod error;
mod grants;
mod hubs;
mod key;
mod open;
mod pauses;
mod refreshing;
mod rekey;
mod standing;
#[cfg(test)]
mod tests;
mod together;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{AnyConnection, Row};
use tokio::sync::{Mutex, MutexGuard};

use crate::presence::Sequence;
pub use enrolment::{Enrolment, Held, Holder, News};
pub use error::StoreError;
pub use grants::{Grant, Origin, Standing};
pub use hubs::HubKey;
use open::{Place, Use};
pub use rekey::Rekeyed;
pub use standing::gist;

/// How long a call waits for its turn.
const PATIENCE: Duration = Duration::from_secs(20);

/// The open store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    connection: Mutex<AnyConnection>,
    key: key::Key,
    place: Place,
    instance: String,
    made_now: bool,
    lines: refreshing::Lines,
    /// Tells other processes that the store is in use.
    _in_use: File,
}

impl Store {
    /// Opens the store at `sqlite://<path>`, or makes it, its folder, and the key file (mode 0600).
    ///
    /// Nothing is overwritten when the key is wrong or missing, a file is damaged, or the store was
    /// written by a newer version: each is an [`StoreError::Unusable`] that says what to do.
    pub async fn open(url: &str, key_file: &Path) -> Result<Self, StoreError> {
        let store = Self { inner: Arc::new(open::open(url, key_file, Use::Shared).await?) };
        store.expire_held(jiff::Timestamp::now()).await?;
        Ok(store)
    }

    /// Seals everything anew with a new key, which takes the old one's place in the key file. May be
    /// interrupted at any instant: the store opens all the same. Refused while any process uses the store.
    pub async fn rekey(url: &str, key_file: &Path) -> Result<Rekeyed, StoreError> {
        rekey::rekey(url, key_file).await
    }

    /// The random instance of this installation, made with the store; and whether this opening made it.
    pub fn instance(&self) -> (&str, bool) {
        (&self.inner.instance, self.inner.made_now)
    }

    /// Reserves sequences durably: the answer `n` means that `n+1 ..= n+count` are ours, above
    /// everything reserved before and not under `at_least`.
    ///
    /// `at_least` is the caller's: the clock in milliseconds, or what it saw on the broker if that is
    /// more. Of both only values up to [`Sequence::LEARNABLE`] count, so that no clock and no stranger
    /// can use the counter up.
    pub async fn reserve_sequences(&self, at_least: Sequence, count: u64) -> Result<Sequence, StoreError> {
        let count = count.min(Sequence::LEARNABLE.get());
        let rows = sqlx::query(
            "UPDATE installation
             SET sequence_ceiling = $2 + CASE WHEN sequence_ceiling > $1 THEN sequence_ceiling ELSE $1 END
             WHERE id = 1 AND sequence_ceiling <= $3
             RETURNING sequence_ceiling",
        )
        .bind(whole(at_least.min(Sequence::LEARNABLE).get()))
        .bind(whole(count))
        .bind(whole(Sequence::MAX.get() - count))
        .fetch_all(&mut *self.turn().await?)
        .await
        .map_err(|error| self.explain(error))?;
        let row = rows.first().ok_or_else(|| self.unusable("its sequences are used up; move the store away"))?;
        let ceiling: i64 = row.try_get(0).map_err(|error| self.explain(error))?;
        u64::try_from(ceiling)
            .ok()
            .and_then(|ceiling| Sequence::try_from(ceiling.checked_sub(count)?).ok())
            .ok_or_else(|| self.unusable("its sequence is not a number that was reserved; restore a backup"))
    }

    /// The connection, when it is the caller's turn.
    async fn turn(&self) -> Result<MutexGuard<'_, AnyConnection>, StoreError> {
        let turn = tokio::time::timeout(PATIENCE, self.inner.connection.lock()).await;
        turn.map_err(|_| self.unusable("it does not answer; its disk or another process holds it up"))
    }

    fn explain(&self, error: sqlx::Error) -> StoreError {
        error::explain(&self.inner.place, &error)
    }

    fn unusable(&self, what: &str) -> StoreError {
        StoreError::Unusable(format!("the store {}: {what}", self.inner.place))
    }

    /// Ends it, and waits until its file is at rest.
    #[cfg(test)]
    async fn close(self) {
        let inner = Arc::into_inner(self.inner).expect("the last of them");
        sqlx::Connection::close(inner.connection.into_inner()).await.expect("an end");
    }
}

/// Databases count in signed numbers; ours stay far below their limit.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
