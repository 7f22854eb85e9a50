//! Accounts' rows: who signed in, and the sealed cache of tokens.

use secrecy::{ExposeSecret, SecretString};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Store, StoreError, key};
use crate::presence::{AccountName, ObjectId};

/// An account's row, its cache opened.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The row's immutable id; every sign-in makes a new row. Given by the store.
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
    /// For compare-and-swap: a save succeeds only on the version that was read. Given by the store.
    pub version: i64,
    /// When the grant was last refreshed, in whole milliseconds.
    pub refreshed_at: jiff::Timestamp,
    /// The cache's content, opaque to the store.
    pub cache: SecretString,
}

/// A reading of the rows, its tail chosen by the caller.
macro_rules! select {
    ($tail:literal) => {
        concat!(
            "SELECT id, name, tenant_id, object_id, username, configured_user, confidential, version, refreshed_at, \
             cache FROM accounts ",
            $tail
        )
    };
}

impl Store {
    /// The grant of an account.
    pub async fn grant(&self, account: &AccountName) -> Result<Option<Grant>, StoreError> {
        let row = sqlx::query(select!("WHERE name = $1"))
            .bind(account.as_str())
            .fetch_optional(&self.inner.pool)
            .await
            .map_err(|error| self.explain(error))?;
        row.map(|row| self.open_row(&row)).transpose()
    }

    /// Every grant whose seal opens, by name; for `accounts`.
    pub async fn grants(&self) -> Result<Vec<Grant>, StoreError> {
        let rows = sqlx::query(select!("ORDER BY name"))
            .fetch_all(&self.inner.pool)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(rows.iter().filter_map(|row| self.open_row(row).ok()).collect())
    }

    /// The names and row ids of all grants: what a changed [`Self::grants_revision`] is compared with.
    pub async fn grant_ids(&self) -> Result<Vec<(AccountName, String)>, StoreError> {
        let rows = sqlx::query("SELECT name, id FROM accounts")
            .fetch_all(&self.inner.pool)
            .await
            .map_err(|error| self.explain(error))?;
        rows.iter().map(|row| Ok((self.name(row, 0)?, self.column(row, 1)?))).collect()
    }

    /// Writes a new grant, in place of the account's old one. Answers with the row as stored: a new
    /// id, version 1.
    pub async fn put_grant(&self, mut grant: Grant) -> Result<Grant, StoreError> {
        grant.id = key::hex(&key::random::<16>());
        grant.version = 1;
        let mut transaction = self.inner.pool.begin().await.map_err(|error| self.explain(error))?;
        self.forget(&mut transaction, &grant.account).await?;
        sqlx::query(
            "INSERT INTO accounts (id, name, tenant_id, object_id, username, configured_user, confidential, version,
             refreshed_at, cache) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(&grant.id)
        .bind(grant.account.as_str())
        .bind(grant.tenant_id.as_str())
        .bind(grant.object_id.as_str())
        .bind(&grant.username)
        .bind(&grant.user)
        .bind(i64::from(grant.confidential))
        .bind(grant.version)
        .bind(grant.refreshed_at.as_millisecond())
        .bind(self.seal(&grant))
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.explain(error))?;
        transaction.commit().await.map_err(|error| self.explain(error))?;
        Ok(grant)
    }

    /// Durable compare-and-swap of `cache` and `refreshed_at` on the row's id and version. Answers with
    /// the new version, or [`StoreError::Conflict`] when the row was changed, replaced or removed.
    pub async fn refresh_grant(&self, grant: &Grant) -> Result<i64, StoreError> {
        let done = sqlx::query(
            "UPDATE accounts SET cache = $1, refreshed_at = $2, version = version + 1 WHERE id = $3 AND version = $4",
        )
        .bind(self.seal(grant))
        .bind(grant.refreshed_at.as_millisecond())
        .bind(&grant.id)
        .bind(grant.version)
        .execute(&self.inner.pool)
        .await
        .map_err(|error| self.explain(error))?;
        if done.rows_affected() == 1 { Ok(grant.version + 1) } else { Err(StoreError::Conflict) }
    }

    /// A number that changes when any process wrote or removed a grant (refreshing one does not count);
    /// cheap, to be asked every few seconds.
    pub async fn grants_revision(&self) -> Result<i64, StoreError> {
        let row = sqlx::query("SELECT grants_revision FROM installation WHERE id = 1")
            .fetch_one(&self.inner.pool)
            .await
            .map_err(|error| self.explain(error))?;
        self.column(&row, 0)
    }

    /// Forgets an account's grant. Answers whether there was one.
    pub async fn remove_grant(&self, account: &AccountName) -> Result<bool, StoreError> {
        let mut transaction = self.inner.pool.begin().await.map_err(|error| self.explain(error))?;
        let was_there = self.forget(&mut transaction, account).await?;
        transaction.commit().await.map_err(|error| self.explain(error))?;
        Ok(was_there)
    }

    /// Writes before it reads: a transaction that began by reading could not wait for another's lock.
    async fn forget(&self, transaction: &mut sqlx::AnyConnection, account: &AccountName) -> Result<bool, StoreError> {
        sqlx::query("UPDATE installation SET grants_revision = grants_revision + 1 WHERE id = 1")
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        let done = sqlx::query("DELETE FROM accounts WHERE name = $1")
            .bind(account.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(done.rows_affected() > 0)
    }

    fn seal(&self, grant: &Grant) -> Vec<u8> {
        self.inner.key.seal(&grant.id, grant.cache.expose_secret().as_bytes())
    }

    fn open_row(&self, row: &AnyRow) -> Result<Grant, StoreError> {
        let id: String = self.column(row, 0)?;
        let account = self.name(row, 1)?;
        let sealed: Vec<u8> = self.column(row, 9)?;
        let cache = self
            .inner
            .key
            .open(&id, &sealed)
            .and_then(|cache| String::from_utf8(cache).ok())
            .ok_or_else(|| self.unusable(&format!("the row of account {account} was altered; sign it in again")))?;
        let refreshed_at = jiff::Timestamp::from_millisecond(self.column(row, 8)?)
            .map_err(|_| self.unusable(&format!("the row of account {account} holds no time; sign it in again")))?;
        Ok(Grant {
            id,
            account,
            tenant_id: self.object_id(row, 2)?,
            object_id: self.object_id(row, 3)?,
            username: self.column(row, 4)?,
            user: self.column(row, 5)?,
            confidential: self.column::<i64>(row, 6)? != 0,
            version: self.column(row, 7)?,
            refreshed_at,
            cache: cache.into(),
        })
    }

    fn name(&self, row: &AnyRow, at: usize) -> Result<AccountName, StoreError> {
        self.column::<String>(row, at)?.parse().map_err(|error| self.unusable(&format!("a damaged row: {error}")))
    }

    fn object_id(&self, row: &AnyRow, at: usize) -> Result<ObjectId, StoreError> {
        self.column::<String>(row, at)?.parse().map_err(|error| self.unusable(&format!("a damaged row: {error}")))
    }

    fn column<T>(&self, row: &AnyRow, at: usize) -> Result<T, StoreError>
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Any> + sqlx::Type<sqlx::Any>,
    {
        row.try_get(at).map_err(|error| self.explain(error))
    }
}
