//! Accounts that come and go while a bridge runs: sign-ins of people whom nobody knows yet, and what
//! changed since somebody last looked.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Connection};

use super::{Grant, Origin, Standing, Store, StoreError, key};
use crate::presence::{AccountName, ObjectId};

/// The transient key under which a sign-in is kept while nobody knows yet whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held(String);

impl Held {
    /// A new one, which nobody guesses.
    pub fn random() -> Self {
        Self(key::hex(&key::random::<16>()))
    }

    /// The key, which becomes the id of the account's grant.
    pub fn id(&self) -> &str {
        &self.0
    }
}

/// Somebody who signed in to become an account.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// The tenant that the person signed in to.
    pub tenant_id: ObjectId,
    /// Who signed in; the account's name.
    pub object_id: ObjectId,
    /// The name that the person signed in with, for people to read.
    pub username: String,
    /// Whether the grant was given to a confidential client.
    pub confidential: bool,
    /// When the grant was given.
    pub granted_at: Timestamp,
}

/// Who holds a grant: a row without the tokens in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The account's name; of one that enrolled, its object id.
    pub account: AccountName,
    /// The row's immutable id: another one after each sign-in.
    pub id: String,
    /// How the account came to be.
    pub origin: Origin,
    /// The tenant that the person signed in to.
    pub tenant_id: ObjectId,
    /// Who signed in.
    pub object_id: ObjectId,
    /// The name that the person signed in with, for people to read.
    pub username: String,
}

/// Who came and who went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// Up to which revision this tells: what the next [`Store::news`] is asked with.
    pub revision: i64,
    /// Rows that were written: enrolled, or signed in (again).
    pub came: Vec<Holder>,
    /// Accounts whose row was removed and not written again. They stay on record until
    /// [`Store::forget_departed`].
    pub gone: Vec<(AccountName, Origin)>,
}

/// A reading of who holds a grant, its tail chosen by the caller.
macro_rules! holders {
    ($tail:literal) => {
        concat!("SELECT name, id, origin, tenant_id, object_id, username FROM accounts ", $tail)
    };
}

impl Store {
    /// Keeps what a sign-in brought, sealed, while nobody knows yet whose it is. It is gone after `until`,
    /// unless [`Self::enrol`] came before.
    pub async fn hold(&self, cache: &SecretString, now: Timestamp, until: Timestamp) -> Result<Held, StoreError> {
        self.expire_held(now).await?;
        let held = Held::random();
        let sealed = self.inner.key.seal(&held.0, cache.expose_secret().as_bytes());
        sqlx::query("INSERT INTO held (id, expires_at, cache) VALUES ($1, $2, $3)")
            .bind(&held.0)
            .bind(until.as_millisecond())
            .bind(sealed)
            .execute(&mut *self.turn().await?)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(held)
    }

    /// Makes the account of whoever signed in, or renews it: named by the object id, with what was held.
    /// The transient key becomes the id of the account's row in the same transaction, so that the tokens
    /// are in one place at any instant. [`StoreError::Conflict`]: it is held no more (too late, or done already).
    pub async fn enrol(&self, held: Held, person: Enrolment, now: Timestamp) -> Result<Grant, StoreError> {
        let account = person.object_id.as_str();
        let mut turn = self.turn().await?;
        let mut transaction = turn.begin().await.map_err(|error| self.explain(error))?;
        let row = sqlx::query("DELETE FROM held WHERE id = $1 AND expires_at > $2 RETURNING cache")
            .bind(&held.0)
            .bind(now.as_millisecond())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        let sealed: Vec<u8> = self.column(&row.ok_or(StoreError::Conflict)?, 0)?;
        let cache = self.unseal(&held.0, &sealed).ok_or_else(|| self.unusable("what a sign-in left was altered"))?;
        let grant = Grant {
            id: held.0,
            account: account.parse().expect("an object id is a name"),
            origin: Origin::Enrolled,
            tenant_id: person.tenant_id,
            object_id: person.object_id,
            username: person.username,
            user: account,
            confidential: person.confidential,
            version: 1,
            refreshed_at: person.granted_at,
            standing: Standing::Ok,
            cache,
        };
        self.replace(&mut transaction, &grant, sealed).await?;
        transaction.commit().await.map_err(|error| self.explain(error))?;
        Ok(grant)
    }

    /// Forgets a held sign-in: it was somebody whom nobody wants, or it was never finished.
    pub async fn release(&self, held: Held) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM held WHERE id = $1").bind(held.0);
        query.execute(&mut *self.turn().await?).await.map_err(|error| self.explain(error))?;
        Ok(())
    }

    /// Forgets what was held for too long. Done at each opening and each new sign-in, too.
    pub(super) async fn expire_held(&self, now: Timestamp) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM held WHERE expires_at <= $1").bind(now.as_millisecond());
        query.execute(&mut *self.turn().await?).await.map_err(|error| self.explain(error))?;
        Ok(())
    }

    /// A number that grows whenever any process writes or removes a grant (refreshing one does not
    /// count); cheap, to be asked every few seconds.
    pub async fn grants_revision(&self) -> Result<i64, StoreError> {
        let row = sqlx::query("SELECT grants_revision FROM installation WHERE id = 1")
            .fetch_one(&mut *self.turn().await?)
            .await
            .map_err(|error| self.explain(error))?;
        self.column(&row, 0)
    }

    /// What changed since a revision. Costs what changed, not what there is.
    pub async fn news(&self, since: i64) -> Result<News, StoreError> {
        if self.grants_revision().await? == since {
            return Ok(News { revision: since, ..News::default() });
        }
        let came = sqlx::query(holders!("WHERE revision > $1 ORDER BY revision")).bind(since);
        let gone = sqlx::query("SELECT name, origin FROM departed WHERE revision > $1 ORDER BY revision").bind(since);
        self.at_one_instant(came, gone).await
    }

    /// Every account that enrolled, and everybody who departed and is still on record: what a start begins with.
    pub async fn roll(&self) -> Result<News, StoreError> {
        let came = sqlx::query(holders!("WHERE origin = 'enrolled'"));
        self.at_one_instant(came, sqlx::query("SELECT name, origin FROM departed")).await
    }

    /// The tenants of those who enrolled.
    pub async fn enrolled_tenants(&self) -> Result<Vec<ObjectId>, StoreError> {
        let query = sqlx::query("SELECT DISTINCT tenant_id FROM accounts WHERE origin = 'enrolled'");
        let rows = query.fetch_all(&mut *self.turn().await?).await.map_err(|error| self.explain(error))?;
        rows.iter().map(|row| self.object_id(row, 0)).collect()
    }

    /// Who holds the grant of an account, whether its seal opens or not.
    pub async fn holder(&self, account: &AccountName) -> Result<Option<Holder>, StoreError> {
        let query = sqlx::query(holders!("WHERE name = $1")).bind(account.as_str());
        let row = query.fetch_optional(&mut *self.turn().await?).await.map_err(|error| self.explain(error))?;
        row.map(|row| self.read_holder(&row)).transpose()
    }

    /// The configured account whose grant this person holds.
    pub async fn configured_holder(&self, person: ObjectId) -> Result<Option<Holder>, StoreError> {
        let query = sqlx::query(holders!("WHERE object_id = $1 AND origin = 'configured'")).bind(person.as_str());
        let row = query.fetch_optional(&mut *self.turn().await?).await.map_err(|error| self.explain(error))?;
        row.map(|row| self.read_holder(&row)).transpose()
    }

    /// What followed from these departures is done: they are on record no more. Those who came back
    /// meanwhile are not concerned.
    pub async fn forget_departed(&self, accounts: &[AccountName]) -> Result<(), StoreError> {
        let mut turn = self.turn().await?;
        let mut transaction = turn.begin().await.map_err(|error| self.explain(error))?;
        for account in accounts {
            let query = sqlx::query("DELETE FROM departed WHERE name = $1").bind(account.as_str());
            query.execute(&mut *transaction).await.map_err(|error| self.explain(error))?;
        }
        transaction.commit().await.map_err(|error| self.explain(error))
    }

    async fn at_one_instant<'q>(&self, came: AnyQuery<'q>, gone: AnyQuery<'q>) -> Result<News, StoreError> {
        let mut turn = self.turn().await?;
        let mut transaction = turn.begin().await.map_err(|error| self.explain(error))?;
        let connection: &mut AnyConnection = &mut transaction;
        let revision = sqlx::query("SELECT grants_revision FROM installation WHERE id = 1")
            .fetch_one(&mut *connection)
            .await
            .map_err(|error| self.explain(error))?;
        let came = came.fetch_all(&mut *connection).await.map_err(|error| self.explain(error))?;
        let gone = gone.fetch_all(&mut *connection).await.map_err(|error| self.explain(error))?;
        Ok(News {
            revision: self.column(&revision, 0)?,
            came: came.iter().map(|row| self.read_holder(row)).collect::<Result<_, _>>()?,
            gone: gone
                .iter()
                .map(|row| Ok((self.name(row, 0)?, self.origin(row, 1)?)))
                .collect::<Result<_, StoreError>>()?,
        })
    }

    fn read_holder(&self, row: &AnyRow) -> Result<Holder, StoreError> {
        Ok(Holder {
            account: self.name(row, 0)?,
            id: self.column(row, 1)?,
            origin: self.origin(row, 2)?,
            tenant_id: self.object_id(row, 3)?,
            object_id: self.object_id(row, 4)?,
            username: self.column(row, 5)?,
        })
    }
}

type AnyQuery<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;
