//! Sealing everything anew with a new key, by steps of which each may be the last one that happens.
//!
//! The new key lies beside the old one, durable, before anything is sealed with it; everything is sealed in
//! one transaction; then the new key takes the old one's place. An opening that finds the store under the
//! new key and the old key in its place takes the last step ([`finish`]).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sqlx::{AnyConnection, Connection, Row};

use super::open::{Installation, Use};
use super::{Inner, StoreError, error, key, open};

/// What is sealed besides the installation's check: table and column; `id` is the additional data.
pub(super) const SEALED: &[(&str, &str)] = &[("accounts", "cache"), ("held", "cache"), ("hub_keys", "application_key")];

/// Rows that are sealed anew at a time.
const BATCH: usize = 256;

/// What was sealed anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rekeyed {
    /// Rows under the new key.
    pub rows: usize,
    /// Rows that the old key did not open, and that stay as they were.
    pub left: usize,
}

/// Seals everything anew.
pub(super) async fn rekey(url: &str, key_file: &Path) -> Result<Rekeyed, StoreError> {
    let rekeying = Rekeying::begin(url, key_file).await?;
    let rekeyed = rekeying.seal().await?;
    rekeying.end().await?;
    Ok(rekeyed)
}

/// A store that is open for this alone, and the new key, which is on disk.
pub(super) struct Rekeying {
    store: Inner,
    key_file: PathBuf,
    new: key::Key,
}

impl Rekeying {
    pub(super) async fn begin(url: &str, key_file: &Path) -> Result<Self, StoreError> {
        let store = open::open(url, key_file, Use::Alone).await?;
        let draft = draft(key_file);
        if !is_in_place(&store.key, key_file) {
            // An earlier one, whose last step still fails: what lies beside is the key in use.
            finish(key_file)?;
        }
        must_be_replaceable(key_file)?;
        // The store opened with the key in place: whatever lies beside it seals nothing.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(key::failed(&draft, "cannot be removed", &error));
            }
            _ => {}
        }
        key::Key::make(&draft)?;
        let new = key::Key::read(&draft)?;
        Ok(Self { store, key_file: key_file.to_owned(), new })
    }

    /// As [`Self::begin`] was before the key's place was tried.
    #[cfg(test)]
    pub(super) async fn sealing_beside(url: &str, key_file: &Path) -> Self {
        let store = open::open(url, key_file, Use::Alone).await.expect("a store");
        key::Key::make(&draft(key_file)).expect("a key");
        let new = key::Key::read(&draft(key_file)).expect("a key");
        Self { store, key_file: key_file.to_owned(), new }
    }

    pub(super) async fn seal(&self) -> Result<Rekeyed, StoreError> {
        let explain = |error: sqlx::Error| error::explain(&self.store.place, &error);
        // What is overwritten is not to stay readable in the file's unused parts.
        let mut connection = self.store.connection.lock().await;
        sqlx::raw_sql("PRAGMA secure_delete = ON").execute(&mut *connection).await.map_err(explain)?;
        let mut transaction = connection.begin().await.map_err(explain)?;
        let mut rekeyed = Rekeyed::default();
        Installation::seal_with(&mut transaction, &self.new).await.map_err(explain)?;
        for (table, column) in SEALED {
            self.table(&mut transaction, table, column, &mut rekeyed).await.map_err(explain)?;
        }
        transaction.commit().await.map_err(explain)?;
        Ok(rekeyed)
    }

    pub(super) async fn end(self) -> Result<(), StoreError> {
        finish(&self.key_file)?;
        let explain = |error: sqlx::Error| error::explain(&self.store.place, &error);
        let mut connection = self.store.connection.into_inner();
        sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.map_err(explain)?;
        connection.close().await.map_err(explain)
    }

    async fn table(
        &self,
        connection: &mut AnyConnection,
        table: &'static str,
        column: &'static str,
        rekeyed: &mut Rekeyed,
    ) -> Result<(), sqlx::Error> {
        let read = format!("SELECT id, {column} FROM {table} WHERE id > $1 ORDER BY id LIMIT {BATCH}");
        let write = format!("UPDATE {table} SET {column} = $1 WHERE id = $2");
        let mut last = String::new();
        loop {
            let statement = sqlx::query(sqlx::AssertSqlSafe(read.clone()));
            let rows = statement.bind(last.clone()).fetch_all(&mut *connection).await?;
            for row in &rows {
                last = row.try_get(0)?;
                let sealed: Vec<u8> = row.try_get(1)?;
                let Some(text) = self.store.key.open(&last, &sealed) else {
                    rekeyed.left += 1;
                    continue;
                };
                let statement = sqlx::query(sqlx::AssertSqlSafe(write.clone()));
                statement.bind(self.new.seal(&last, &text)).bind(&last).execute(&mut *connection).await?;
                rekeyed.rows += 1;
            }
            if rows.len() < BATCH {
                return Ok(());
            }
        }
    }
}

/// Whether a key is the one in the key file: that opens what it sealed.
fn is_in_place(key: &key::Key, key_file: &Path) -> bool {
    const PROBE: (&str, &[u8]) = ("rekey", b"probe");
    key::Key::read(key_file).is_ok_and(|placed| placed.open(PROBE.0, &key.seal(PROBE.0, PROBE.1)).is_some())
}

/// The last step is tried before the first: a copy of the key takes the key's place. A key file that is mounted alone
/// cannot be replaced.
fn must_be_replaceable(key_file: &Path) -> Result<(), StoreError> {
    let copy = beside(key_file, ".copy");
    let tried = key::copy(&real(key_file), &copy).and_then(|()| fs::rename(&copy, real(key_file)));
    tried.map_err(|error| {
        let _ = fs::remove_file(&copy);
        let what = "cannot be replaced, so nothing is sealed anew; where it is mounted alone, mount its folder instead";
        key::failed(key_file, what, &error)
    })
}

/// Where the new key lies until it takes the old one's place.
pub(super) fn draft(key_file: &Path) -> PathBuf {
    beside(key_file, ".new")
}

fn beside(key_file: &Path, ending: &str) -> PathBuf {
    let mut name = real(key_file).into_os_string();
    name.push(ending);
    name.into()
}

/// The new key takes the old one's place, on disk.
pub(super) fn finish(key_file: &Path) -> Result<(), StoreError> {
    let place = real(key_file);
    let moved = fs::rename(draft(key_file), &place).and_then(|()| {
        let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(folder)?.sync_all()
    });
    moved.map_err(|error| key::failed(key_file, "cannot be replaced by the new key, which lies beside it", &error))
}

/// A link is followed, so that the file behind it is replaced.
fn real(key_file: &Path) -> PathBuf {
    fs::canonicalize(key_file).unwrap_or_else(|_| key_file.to_owned())
}
