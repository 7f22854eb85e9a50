//! Accounts' rows: who signed in, and the sealed cache of tokens.

use secrecy::{ExposeSecret, SecretString};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Connection, Row};

use super::{Holder, Store, StoreError, key};
use crate::presence::{AccountName, ObjectId};

/// An account's row, its cache opened.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The row's immutable id; every sign-in makes a new row. Given by the store.
    pub id: String,
    /// The account's name; of one that enrolled, its object id.
    pub account: AccountName,
    /// How the account came to be.
    pub origin: Origin,
    /// The tenant that the person signed in to.
    pub tenant_id: ObjectId,
    /// Who signed in.
    pub object_id: ObjectId,
    /// The name that the person signed in with, for people to read.
    pub username: String,
    /// `accounts.<account>.user` at the sign-in: under another one the grant is never used. Of one that
    /// enrolled, the object id.
    pub user: String,
    /// As which kind of client Entra took the application last: whether as a confidential one.
    pub confidential: bool,
    /// For compare-and-swap: a save succeeds only on the version that was read. Given by the store.
    pub version: i64,
    /// When the grant was last refreshed, in whole milliseconds.
    pub refreshed_at: jiff::Timestamp,
    /// How it stood at the last try to refresh it.
    pub standing: Standing,
    /// The cache's content, opaque to the store.
    pub cache: SecretString,
}

/// How an account came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It stands in the configuration.
    Configured,
    /// Its person signed in at the enrolment page; it stands in the store alone.
    Enrolled,
}

/// How it stands with a grant. Kept so that another process can tell: no secret is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is known to be wrong.
    Ok,
    /// Somebody has to sign in again or to consent.
    Needed {
        /// Why.
        reason: String,
        /// Where, in words.
        remedy: Option<String>,
        /// What that sign-in has to bring (a claims request, JSON), where Entra or Graph asked for more.
        claims: Option<String>,
    },
    /// Signing in as before will not help.
    Blocked {
        /// Why.
        reason: String,
        /// Where another way may be let in, in words.
        remedy: Option<String>,
    },
}

/// A reading of the rows, its tail chosen by the caller. [`Store::open_row`] takes them.
macro_rules! select {
    ($tail:literal) => {
        concat!(
            "SELECT id, name, tenant_id, object_id, username, configured_user, confidential, version, refreshed_at, \
             cache, origin, standing, reason, remedy, claims FROM accounts ",
            $tail
        )
    };
}
pub(super) use select;

impl Store {
    /// Every grant whose seal opens, by name; for `accounts`.
    pub async fn grants(&self) -> Result<Vec<Grant>, StoreError> {
        let rows = sqlx::query(select!("ORDER BY name"))
            .fetch_all(&mut *self.turn().await?)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(rows.iter().filter_map(|row| self.open_row(row).ok()).collect())
    }

    /// Who holds a grant whose seal does not open, by name; for `accounts`.
    pub async fn altered(&self) -> Result<Vec<Holder>, StoreError> {
        let rows = sqlx::query(select!("ORDER BY name"))
            .fetch_all(&mut *self.turn().await?)
            .await
            .map_err(|error| self.explain(error))?;
        let altered = rows.iter().filter(|row| matches!(self.open_row(row), Err(StoreError::Altered { .. })));
        altered
            .map(|row| {
                Ok(Holder {
                    account: self.name(row, 1)?,
                    id: self.column(row, 0)?,
                    origin: self.origin(row, 10)?,
                    tenant_id: self.object_id(row, 2)?,
                    object_id: self.object_id(row, 3)?,
                    username: self.column(row, 4)?,
                })
            })
            .collect()
    }

    /// Writes a new grant, in place of the account's old one. Answers with the row as stored: a new
    /// id, version 1.
    pub async fn put_grant(&self, mut grant: Grant) -> Result<Grant, StoreError> {
        grant.id = key::hex(&key::random::<16>());
        grant.version = 1;
        let mut turn = self.turn().await?;
        let mut transaction = turn.begin().await.map_err(|error| self.explain(error))?;
        let sealed = self.seal(&grant);
        self.replace(&mut transaction, &grant, sealed).await?;
        transaction.commit().await.map_err(|error| self.explain(error))?;
        Ok(grant)
    }

    /// Notes how it stands with a grant, by its row's id, for whoever lists the accounts. Nothing is
    /// written where it stood so already, or where the row is gone.
    pub async fn mark(&self, id: &str, standing: &Standing) -> Result<(), StoreError> {
        let (word, reason, remedy, claims) = standing.columns();
        sqlx::query(
            "UPDATE accounts SET standing = $1, reason = $2, remedy = $3, claims = $4
             WHERE id = $5 AND (standing <> $1 OR reason <> $2 OR remedy <> $3 OR claims <> $4)",
        )
        .bind(word)
        .bind(reason)
        .bind(remedy)
        .bind(claims)
        .bind(id)
        .execute(&mut *self.turn().await?)
        .await
        .map_err(|error| self.explain(error))?;
        Ok(())
    }

    /// Removes an account's row and the grant in it. Answers how the account came to be, if it was there.
    ///
    /// A running bridge learns it by [`Self::news`], one that starts later by [`Self::roll`].
    pub async fn remove_grant(&self, account: &AccountName) -> Result<Option<Origin>, StoreError> {
        let mut turn = self.turn().await?;
        let mut transaction = turn.begin().await.map_err(|error| self.explain(error))?;
        let (revision, Some(origin)) = self.forget(&mut transaction, account).await? else { return Ok(None) };
        sqlx::query(
            "INSERT INTO departed (name, origin, revision) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET origin = excluded.origin, revision = excluded.revision",
        )
        .bind(account.as_str())
        .bind(origin.word())
        .bind(revision)
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.explain(error))?;
        transaction.commit().await.map_err(|error| self.explain(error))?;
        Ok(Some(origin))
    }

    /// Puts a row in the place of whatever stands under the account's name.
    pub(super) async fn replace(
        &self,
        transaction: &mut AnyConnection,
        grant: &Grant,
        sealed: Vec<u8>,
    ) -> Result<(), StoreError> {
        let (revision, _) = self.forget(transaction, &grant.account).await?;
        sqlx::query("DELETE FROM departed WHERE name = $1")
            .bind(grant.account.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        let (standing, reason, remedy, claims) = grant.standing.columns();
        sqlx::query(
            "INSERT INTO accounts (id, name, tenant_id, object_id, username, configured_user, confidential, version,
             refreshed_at, cache, origin, standing, reason, remedy, claims, revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
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
        .bind(sealed)
        .bind(grant.origin.word())
        .bind(standing)
        .bind(reason)
        .bind(remedy)
        .bind(claims)
        .bind(revision)
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.explain(error))?;
        Ok(())
    }

    /// Writes before it reads: a transaction that began by reading could not wait for another's lock.
    /// Answers with the new revision, and how the account came to be that was there.
    async fn forget(
        &self,
        transaction: &mut AnyConnection,
        account: &AccountName,
    ) -> Result<(i64, Option<Origin>), StoreError> {
        let revision = sqlx::query(
            "UPDATE installation SET grants_revision = grants_revision + 1 WHERE id = 1 RETURNING grants_revision",
        )
        .fetch_one(&mut *transaction)
        .await
        .map_err(|error| self.explain(error))?;
        let removed = sqlx::query("DELETE FROM accounts WHERE name = $1 RETURNING origin")
            .bind(account.as_str())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        let origin = removed.map(|row| self.origin(&row, 0)).transpose()?;
        Ok((self.column(&revision, 0)?, origin))
    }

    pub(super) fn seal(&self, grant: &Grant) -> Vec<u8> {
        self.inner.key.seal(&grant.id, grant.cache.expose_secret().as_bytes())
    }

    /// A cache's text, if it was sealed for the row `id`.
    pub(super) fn unseal(&self, id: &str, sealed: &[u8]) -> Option<SecretString> {
        self.inner.key.open(id, sealed).and_then(|cache| String::from_utf8(cache).ok()).map(SecretString::from)
    }

    pub(super) fn open_row(&self, row: &AnyRow) -> Result<Grant, StoreError> {
        let id: String = self.column(row, 0)?;
        let account = self.name(row, 1)?;
        let sealed: &[u8] = row.try_get(9).map_err(|error| self.explain(error))?;
        let cache = self
            .unseal(&id, sealed)
            .ok_or_else(|| StoreError::Altered { place: self.inner.place.to_string(), account: account.clone() })?;
        let refreshed_at = jiff::Timestamp::from_millisecond(self.column(row, 8)?)
            .map_err(|_| self.unusable(&format!("the row of account {account} holds no time; sign it in again")))?;
        Ok(Grant {
            id,
            account,
            origin: self.origin(row, 10)?,
            tenant_id: self.object_id(row, 2)?,
            object_id: self.object_id(row, 3)?,
            username: self.column(row, 4)?,
            user: self.column(row, 5)?,
            confidential: self.column::<i64>(row, 6)? != 0,
            version: self.column(row, 7)?,
            refreshed_at,
            standing: Standing::from_columns(
                &self.column::<String>(row, 11)?,
                self.column(row, 12)?,
                self.column(row, 13)?,
                self.column(row, 14)?,
            ),
            cache,
        })
    }

    pub(super) fn name(&self, row: &AnyRow, at: usize) -> Result<AccountName, StoreError> {
        self.column::<String>(row, at)?.parse().map_err(|error| self.unusable(&format!("a damaged row: {error}")))
    }

    pub(super) fn object_id(&self, row: &AnyRow, at: usize) -> Result<ObjectId, StoreError> {
        self.column::<String>(row, at)?.parse().map_err(|error| self.unusable(&format!("a damaged row: {error}")))
    }

    pub(super) fn origin(&self, row: &AnyRow, at: usize) -> Result<Origin, StoreError> {
        let word: String = self.column(row, at)?;
        Origin::ALL
            .into_iter()
            .find(|origin| origin.word() == word)
            .ok_or_else(|| self.unusable(&format!("a damaged row: origin {word:?}")))
    }

    pub(super) fn column<T>(&self, row: &AnyRow, at: usize) -> Result<T, StoreError>
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Any> + sqlx::Type<sqlx::Any>,
    {
        row.try_get(at).map_err(|error| self.explain(error))
    }
}

impl Origin {
    const ALL: [Self; 2] = [Self::Configured, Self::Enrolled];

    /// As it is stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Enrolled => "enrolled",
        }
    }
}

impl Standing {
    /// What a sign-in has to bring to mend it, where something was asked for.
    pub fn claims(&self) -> Option<&str> {
        match self {
            Self::Needed { claims, .. } => claims.as_deref(),
            Self::Ok | Self::Blocked { .. } => None,
        }
    }

    /// Why it is not well, and where that is mended, in words.
    pub fn words(&self) -> Option<String> {
        match self {
            Self::Ok => None,
            Self::Needed { reason, remedy, .. } | Self::Blocked { reason, remedy } => Some(match remedy {
                Some(remedy) => format!("{reason}; {remedy}"),
                None => reason.clone(),
            }),
        }
    }

    pub(super) fn columns(&self) -> (&'static str, &str, &str, &str) {
        fn text(text: &Option<String>) -> &str {
            text.as_deref().unwrap_or_default()
        }
        match self {
            Self::Ok => ("ok", "", "", ""),
            Self::Needed { reason, remedy, claims } => ("needed", reason, text(remedy), text(claims)),
            Self::Blocked { reason, remedy } => ("blocked", reason, text(remedy), ""),
        }
    }

    /// A word of a later version stands for nothing known to be wrong.
    pub(super) fn from_columns(word: &str, reason: String, remedy: String, claims: String) -> Self {
        let there = |text: String| Some(text).filter(|text| !text.is_empty());
        match word {
            "needed" => Self::Needed { reason, remedy: there(remedy), claims: there(claims) },
            "blocked" => Self::Blocked { reason, remedy: there(remedy) },
            _ => Self::Ok,
        }
    }
}
