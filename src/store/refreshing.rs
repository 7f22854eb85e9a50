//! What a refresh asks of the store: a grant's row before, and its new cache after. Thousands may come at
//! once; those that come close together share a statement, and with it the saves a commit and its wait for the disk.

use std::collections::HashMap;
use std::iter;
use std::time::Duration;

use sqlx::Any;

use super::grants::select;
use super::together::{Line, Statements, marks};
use super::{Grant, Store, StoreError};
use crate::presence::AccountName;

/// A commit waits for the disk, and Entra's answer took far longer than this.
const GATHERING: Duration = Duration::from_millis(1);

/// Those who read and those who save.
pub(super) struct Lines {
    reads: Line<AccountName, Result<Option<Grant>, StoreError>>,
    saves: Line<Save, Result<(), StoreError>>,
    reading: Statements,
    saving: Statements,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            reads: Line::new(Duration::ZERO),
            saves: Line::new(GATHERING),
            reading: Statements::default(),
            saving: Statements::default(),
        }
    }
}

/// A cache for a row, if that has this version still.
struct Save {
    id: String,
    version: i64,
    refreshed_at: i64,
    sealed: Vec<u8>,
    confidential: bool,
}

const REFRESH: (&str, &str) = (
    "UPDATE accounts SET cache = fresh.column4, refreshed_at = fresh.column3, version = accounts.version + 1,
     confidential = fresh.column5, standing = 'ok', reason = '', remedy = '', claims = '' FROM (VALUES ",
    ") AS fresh WHERE accounts.id = fresh.column1 AND accounts.version = fresh.column2",
);

impl Store {
    /// The grant of an account.
    pub async fn grant(&self, account: &AccountName) -> Result<Option<Grant>, StoreError> {
        let (told, serve) = self.inner.lines.reads.ask(account.clone());
        if serve {
            tokio::spawn(self.clone().serve_reads());
        }
        told.await.unwrap_or_else(|_| Err(self.ended()))
    }

    /// Durable compare-and-swap of `cache`, `refreshed_at` and `confidential` on the row's id and version. Answers with
    /// the new version, or [`StoreError::Conflict`] when the row was changed, replaced or removed. What
    /// [`Self::mark`] noted is over.
    pub async fn refresh_grant(&self, grant: &Grant) -> Result<i64, StoreError> {
        let save = Save {
            id: grant.id.clone(),
            version: grant.version,
            refreshed_at: grant.refreshed_at.as_millisecond(),
            sealed: self.seal(grant),
            confidential: grant.confidential,
        };
        let (told, serve) = self.inner.lines.saves.ask(save);
        if serve {
            tokio::spawn(self.clone().serve_saves());
        }
        told.await.unwrap_or_else(|_| Err(self.ended()))?;
        Ok(grant.version + 1)
    }

    /// In a task of its own: whoever asked may be gone before everybody has an answer.
    async fn serve_reads(self) {
        let mut serving = self.inner.lines.reads.serve();
        // Each row is read for one: it is handed over, not copied.
        while let Some(party) = serving.next(|one, other| one == other).await {
            let (names, tells): (Vec<_>, Vec<_>) = party.into_iter().unzip();
            let mut found = self.read(&names).await;
            for (name, tell) in names.iter().zip(tells) {
                // Whoever asked may be gone.
                let _ = tell.send(match &mut found {
                    Ok(found) => found.remove(name).transpose(),
                    Err(error) => Err(error.clone()),
                });
            }
        }
    }

    async fn serve_saves(self) {
        let mut serving = self.inner.lines.saves.serve();
        // Of two saves of one row the second meets the version that the first has made.
        while let Some(party) = serving.next(|one, other| one.id == other.id).await {
            let (saves, tells): (Vec<_>, Vec<_>) = party.into_iter().unzip();
            let saved = self.save(&saves).await;
            for (at, tell) in tells.into_iter().enumerate() {
                let _ = tell.send(match &saved {
                    Ok(saved) if saved[at] => Ok(()),
                    Ok(_) => Err(StoreError::Conflict),
                    Err(error) => Err(error.clone()),
                });
            }
        }
    }

    async fn read(&self, names: &[AccountName]) -> Result<HashMap<AccountName, Result<Grant, StoreError>>, StoreError> {
        let write = |rows| format!("{}{}", select!("WHERE name IN "), marks(1, rows));
        let (text, rows) = self.inner.lines.reading.of(names.len(), write);
        let mut query = sqlx::query::<Any>(text);
        // No account has an empty name.
        for name in names.iter().map(AccountName::as_str).chain(iter::repeat("")).take(rows) {
            query = query.bind(name);
        }
        let rows = query.fetch_all(&mut *self.turn().await?).await.map_err(|error| self.explain(error))?;
        rows.iter().map(|row| Ok((self.name(row, 1)?, self.open_row(row)))).collect()
    }

    /// Answers for each whether it was saved, once they are durable: the statement is its own transaction.
    async fn save(&self, saves: &[Save]) -> Result<Vec<bool>, StoreError> {
        let write = |rows| format!("{}{}{}", REFRESH.0, marks(rows, 5), REFRESH.1);
        let (text, rows) = self.inner.lines.saving.of(saves.len(), write);
        let mut query = sqlx::query::<Any>(text);
        for Save { id, version, refreshed_at, sealed, confidential } in saves {
            query = query.bind(id).bind(version).bind(refreshed_at).bind(sealed.as_slice());
            query = query.bind(i64::from(*confidential));
        }
        // No row has an empty id.
        for _ in saves.len()..rows {
            query = query.bind("").bind(0_i64).bind(0_i64).bind(&[][..]).bind(0_i64);
        }
        let result = query.execute(&mut *self.turn().await?).await.map_err(|error| self.explain(error))?;
        if result.rows_affected() == saves.len() as u64 {
            return Ok(vec![true; saves.len()]);
        }
        let mut saved = Vec::with_capacity(saves.len());
        for save in saves {
            saved.push(self.holds(save).await?);
        }
        Ok(saved)
    }

    /// Whether what was saved stands in its row: no two seals are the same. Where somebody else has been there
    /// since, theirs is the one to be used.
    async fn holds(&self, save: &Save) -> Result<bool, StoreError> {
        sqlx::query("SELECT 1 FROM accounts WHERE id = $1 AND cache = $2")
            .bind(&save.id)
            .bind(save.sealed.as_slice())
            .fetch_optional(&mut *self.turn().await?)
            .await
            .map(|row| row.is_some())
            .map_err(|error| self.explain(error))
    }

    fn ended(&self) -> StoreError {
        self.unusable("this process is being ended")
    }
}
