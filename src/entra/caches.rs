//! Where accounts' token caches are kept: a small trait, so that their storage can be swapped.

use std::pin::Pin;

use crate::presence::AccountName;
use crate::store::{Grant, Standing, Store, StoreError};

/// What a storage is going to answer.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// One sealed cache for each account. What a call has answered is durable, and whoever shares the
/// storage sees all of it or nothing. [`Store`] is the one that the program uses.
pub trait Caches: Send + Sync {
    /// The grant of an account, its cache opened.
    fn read<'a>(&'a self, account: &'a AccountName) -> Answer<'a, Option<Grant>>;

    /// Keeps a new grant in place of the account's old one, and answers with it as kept: a new id, version 1.
    fn put(&self, grant: Grant) -> Answer<'_, Grant>;

    /// Saves what was refreshed (tokens, time, kind of client), if the grant still has this id and version: otherwise [`StoreError::Conflict`].
    /// Answers with the new version.
    fn save<'a>(&'a self, grant: &'a Grant) -> Answer<'a, i64>;

    /// Notes how it stands with the grant of this id.
    fn mark<'a>(&'a self, id: &'a str, standing: &'a Standing) -> Answer<'a, ()>;
}

impl Caches for Store {
    fn read<'a>(&'a self, account: &'a AccountName) -> Answer<'a, Option<Grant>> {
        Box::pin(self.grant(account))
    }

    fn put(&self, grant: Grant) -> Answer<'_, Grant> {
        Box::pin(self.put_grant(grant))
    }

    fn save<'a>(&'a self, grant: &'a Grant) -> Answer<'a, i64> {
        Box::pin(self.refresh_grant(grant))
    }

    fn mark<'a>(&'a self, id: &'a str, standing: &'a Standing) -> Answer<'a, ()> {
        Box::pin(Store::mark(self, id, standing))
    }
}
