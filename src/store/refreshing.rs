//! What a refresh asks of the store: a grant's row before, and its new cache after. Thousands may come at
//! once; those that come close together share a statement, and the saves a commit, with its wait for the disk.

use std::collections::HashMap;

use sqlx::{Any, AssertSqlSafe};

use super::grants::select;
use super::together::{Line, in_statements, marks};
use super::{Grant, Store, StoreError};
use crate::presence::AccountName;

/// Those who read and those who save.
#[derive(Default)]
pub(super) struct Lines {
    reads: Line<AccountName, Result<Option<Grant>, StoreError>>,
    saves: Line<Save, Result<(), StoreError>>,
}

/// A cache for a row, if that has this version still.
struct Save {
    id: String,
    version: i64,
    refreshed_at: i64,
    sealed: Vec<u8>,
}

const REFRESH: (&str, &str) = (
    "UPDATE accounts SET cache = fresh.column4, refreshed_at = fresh.column3, version = accounts.version + 1,
     standing = 'ok', reason = '', claims = '' FROM (VALUES ",
    ") AS fresh WHERE accounts.id = fresh.column1 AND accounts.version = fresh.column2 RETURNING accounts.id",
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

    /// Durable compare-and-swap of `cache` and `refreshed_at` on the row's id and version. Answers with
    /// the new version, or [`StoreError::Conflict`] when the row was changed, replaced or removed. What
    /// [`Self::mark`] noted is over.
    pub async fn refresh_grant(&self, grant: &Grant) -> Result<i64, StoreError> {
        let save = Save {
            id: grant.id.clone(),
            version: grant.version,
            refreshed_at: grant.refreshed_at.as_millisecond(),
            sealed: self.seal(grant),
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
        while let Some(party) = serving.next(|one, other| one == other) {
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
        while let Some(party) = serving.next(|one, other| one.id == other.id) {
            let (saves, tells): (Vec<_>, Vec<_>) = party.into_iter().unzip();
            let saved = self.save(&saves).await;
            for (save, tell) in saves.iter().zip(tells) {
                let _ = tell.send(match &saved {
                    Ok(saved) if saved.contains(&save.id) => Ok(()),
                    Ok(_) => Err(StoreError::Conflict),
                    Err(error) => Err(error.clone()),
                });
            }
        }
    }

    async fn read(&self, names: &[AccountName]) -> Result<HashMap<AccountName, Result<Grant, StoreError>>, StoreError> {
        let mut found = HashMap::with_capacity(names.len());
        for names in in_statements(names) {
            let text = format!("{}{}", select!("WHERE name IN "), marks(1, names.len()));
            let mut query = sqlx::query::<Any>(AssertSqlSafe(text));
            for name in names {
                query = query.bind(name.as_str());
            }
            let rows = query.fetch_all(&self.inner.pool).await.map_err(|error| self.explain(error))?;
            for row in rows {
                found.insert(self.name(&row, 1)?, self.open_row(&row));
            }
        }
        Ok(found)
    }

    /// Answers with the rows that were saved, once they are durable.
    async fn save(&self, saves: &[Save]) -> Result<Vec<String>, StoreError> {
        let mut saved = Vec::with_capacity(saves.len());
        let mut transaction = self.inner.pool.begin().await.map_err(|error| self.explain(error))?;
        for saves in in_statements(saves) {
            let text = format!("{}{}{}", REFRESH.0, marks(saves.len(), 4), REFRESH.1);
            let mut query = sqlx::query::<Any>(AssertSqlSafe(text));
            for Save { id, version, refreshed_at, sealed } in saves {
                query = query.bind(id).bind(version).bind(refreshed_at).bind(sealed.as_slice());
            }
            let rows = query.fetch_all(&mut *transaction).await.map_err(|error| self.explain(error))?;
            for row in rows {
                saved.push(self.column(&row, 0)?);
            }
        }
        transaction.commit().await.map_err(|error| self.explain(error))?;
        Ok(saved)
    }

    fn ended(&self) -> StoreError {
        self.unusable("this process is being ended")
    }
}
