//! What must survive a restart: grants, the sequence's ceiling, hubs' pins, the instance.
//!
//! SQLite in WAL mode through sqlx `Any`, one set of SQL. Token caches are sealed
//! (ChaCha20-Poly1305, additional data = the row's immutable id) with the key of the key file.

use std::path::Path;

use crate::presence::{AccountName, ObjectId, Sequence};

/// The open store. Cheap to clone.
#[derive(Clone)]
pub struct Store {}

/// An account's row, its cache opened.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The row's immutable id.
    pub id: String,
    /// The account's name.
    pub account: AccountName,
    /// The tenant that the person signed in to.
    pub tenant_id: ObjectId,
    /// Who signed in.
    pub object_id: ObjectId,
    /// The name that the person signed in with, for people to read.
    pub username: String,
    /// `accounts.<account>.user` at the sign-in: under another one the grant is never used.
    pub user: String,
    /// Whether the grant was given to a confidential client.
    pub confidential: bool,
    /// For compare-and-swap: a save succeeds only on the version that was read.
    pub version: i64,
    /// When the grant was last refreshed.
    pub refreshed_at: jiff::Timestamp,
    /// The cache's content, opaque to the store.
    pub cache: secrecy::SecretString,
}

/// Why the store cannot be used, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else wrote the row meanwhile: read it again.
    #[error("the row was changed by another process")]
    Conflict,
    /// The rest: path, cause, remedy in the text.
    #[error("{0}")]
    Unusable(String),
}

impl Store {
    /// Opens or makes the store. Nothing is overwritten when the key is wrong or a file is damaged.
    pub async fn open(_url: &str, _key_file: &Path) -> Result<Self, StoreError> {
        todo!()
    }
    /// The random instance of this installation, made with the store; and whether it was made now.
    pub async fn instance(&self) -> Result<(String, bool), StoreError> {
        todo!()
    }
    /// Reserves sequences durably: the answer `n` means that `n+1 ..= n+count` are ours, above
    /// everything reserved before and above `at_least`.
    pub async fn reserve_sequences(&self, _at_least: Sequence, _count: u64) -> Result<Sequence, StoreError> {
        todo!()
    }
    /// The grant of an account.
    pub async fn grant(&self, _account: &AccountName) -> Result<Option<Grant>, StoreError> {
        todo!()
    }
    /// Every grant whose seal opens; for `accounts`.
    pub async fn grants(&self) -> Result<Vec<Grant>, StoreError> {
        todo!()
    }
    /// Writes a new grant, in place of the account's old one. Answers with the row as stored.
    pub async fn put_grant(&self, _grant: Grant) -> Result<Grant, StoreError> {
        todo!()
    }
    /// Durable compare-and-swap of the cache on the row's version. Answers with the new version.
    pub async fn refresh_grant(&self, _grant: &Grant) -> Result<i64, StoreError> {
        todo!()
    }
    /// A number that changes when any process changed a grant; cheap, to be asked every few seconds.
    pub async fn grants_revision(&self) -> Result<i64, StoreError> {
        todo!()
    }
    /// Forgets an account's grant. Answers whether there was one.
    pub async fn remove_grant(&self, _account: &AccountName) -> Result<bool, StoreError> {
        todo!()
    }
    /// The SHA-256 of the certificate that a hub (by bridge id) showed first.
    pub async fn hub_pin(&self, _hub_id: &str) -> Result<Option<[u8; 32]>, StoreError> {
        todo!()
    }
    /// Keeps a hub's pin.
    pub async fn set_hub_pin(&self, _hub_id: &str, _pin: [u8; 32]) -> Result<(), StoreError> {
        todo!()
    }
}
