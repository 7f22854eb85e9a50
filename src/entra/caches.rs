//! Where accounts' token caches are kept: a small trait, so that their storage can be swapped.

use std::pin::Pin;

use jiff::Timestamp;
use secrecy::SecretString;

use crate::presence::{AccountName, ObjectId};
use crate::store::{Enrolment, Grant, Held, Holder, Origin, Standing, Store, StoreError};

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

    /// Removes the grant of an account, and answers how that came to be.
    fn remove<'a>(&'a self, account: &'a AccountName) -> Answer<'a, Option<Origin>>;

    /// Keeps what a sign-in brought under a transient key while nobody knows yet whose it is; until then at the longest.
    fn hold<'a>(&'a self, cache: &'a SecretString, now: Timestamp, until: Timestamp) -> Answer<'a, Held>;

    /// Makes the account of whoever signed in, or renews it: what is held is theirs from the same instant on.
    /// [`StoreError::Conflict`]: it is held no more.
    fn enrol(&self, held: Held, person: Enrolment, now: Timestamp) -> Answer<'_, Grant>;

    /// Forgets what is held.
    fn release(&self, held: Held) -> Answer<'_, ()>;

    /// Who holds the grant of an account, whether its cache opens or not.
    fn holder<'a>(&'a self, account: &'a AccountName) -> Answer<'a, Option<Holder>>;

    /// The configured account whose grant this person holds.
    fn configured_holder(&self, person: ObjectId) -> Answer<'_, Option<Holder>>;

    /// The tenants of those who enrolled, each once.
    fn enrolled_tenants(&self) -> Answer<'_, Vec<ObjectId>>;
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

    fn remove<'a>(&'a self, account: &'a AccountName) -> Answer<'a, Option<Origin>> {
        Box::pin(self.remove_grant(account))
    }

    fn hold<'a>(&'a self, cache: &'a SecretString, now: Timestamp, until: Timestamp) -> Answer<'a, Held> {
        Box::pin(Store::hold(self, cache, now, until))
    }

    fn enrol(&self, held: Held, person: Enrolment, now: Timestamp) -> Answer<'_, Grant> {
        Box::pin(Store::enrol(self, held, person, now))
    }

    fn release(&self, held: Held) -> Answer<'_, ()> {
        Box::pin(Store::release(self, held))
    }

    fn holder<'a>(&'a self, account: &'a AccountName) -> Answer<'a, Option<Holder>> {
        Box::pin(Store::holder(self, account))
    }

    fn configured_holder(&self, person: ObjectId) -> Answer<'_, Option<Holder>> {
        Box::pin(Store::configured_holder(self, person))
    }

    fn enrolled_tenants(&self) -> Answer<'_, Vec<ObjectId>> {
        Box::pin(Store::enrolled_tenants(self))
    }
}
