//! The store over real files: what survives, what is refused, and that nothing is ever overwritten.

mod applications;
mod durability;
mod enrolment;
mod grants;
mod migration;
mod opening;
mod rekey;
mod sequences;

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{Grant, Origin, Standing, Store, StoreError};
use crate::presence::Sequence;

/// A folder of its own for each test.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn db(&self) -> PathBuf {
        self.0.path().join("data/graph2mqtt.db")
    }
    fn key(&self) -> PathBuf {
        self.0.path().join("data/store.key")
    }
    async fn open(&self) -> Result<Store, StoreError> {
        Store::open(&format!("sqlite://{}", self.db().display()), &self.key()).await
    }
    /// The text of the refusal, after checking that it changed no file.
    async fn refusal(&self) -> String {
        let before = (fs::read(self.db()).ok(), fs::read(self.key()).ok());
        let text = match self.open().await {
            Ok(_) => panic!("the store was opened"),
            Err(error) => error.to_string(),
        };
        assert!(before == (fs::read(self.db()).ok(), fs::read(self.key()).ok()), "a refusal changed a file: {text}");
        text
    }
}

fn grant(account: &str, cache: &str) -> Grant {
    Grant {
        id: String::new(),
        account: account.parse().unwrap(),
        origin: Origin::Configured,
        tenant_id: "11111111-0000-4000-8000-000000000001".parse().unwrap(),
        object_id: "22222222-0000-4000-8000-000000000002".parse().unwrap(),
        username: format!("{account}@contoso.com"),
        user: format!("{account}@contoso.com"),
        confidential: false,
        version: 0,
        refreshed_at: jiff::Timestamp::from_millisecond(1_790_000_000_123).unwrap(),
        standing: Standing::Ok,
        cache: cache.into(),
    }
}

fn sequence(number: u64) -> Sequence {
    number.try_into().unwrap()
}
