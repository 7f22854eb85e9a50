//! Opening the store: the file, the key that fits it, the schema.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, ConnectOptions, Row};
use tokio::sync::Mutex;

use super::error::{explain, explain_migration};
use super::refreshing::Lines;
use super::{Inner, StoreError, key, rekey};

/// For the one connection. A small page cache: what is read often is kept by those who read it. It holds what a
/// party of saves changes (64 pages) and the way there; otherwise those pages are written and read twice.
const PRAGMAS: &str = "PRAGMA synchronous = FULL; PRAGMA cache_size = -512; PRAGMA temp_store = MEMORY;";

/// The row under which the check text is sealed, and the text.
const CHECK: (&str, &[u8]) = ("installation", b"graph2mqtt store");

/// How long an opening waits while everything is sealed anew.
const HOLDING: Duration = Duration::from_secs(10);

/// How long whoever wants the store alone waits for one that is just ending.
const ALONE: Duration = Duration::from_secs(2);

/// How often switching a new file to WAL is tried, 10 ms apart: it does not wait for a lock by itself.
const WAL_TRIES: u32 = 200;

/// Where the store is, as errors name it.
#[derive(Debug, Clone)]
pub(super) struct Place(PathBuf);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl Place {
    /// The path stands in the URL as it is, without percent signs' meaning: people write paths.
    fn parse(url: &str) -> Result<Self, StoreError> {
        let path =
            url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).filter(|path| !path.is_empty());
        let path = path.ok_or_else(|| StoreError::Unusable("store.url: expected sqlite://<path>".to_owned()))?;
        std::path::absolute(path)
            .map(Self)
            .map_err(|error| StoreError::Unusable(format!("store.url: {path} is not a path: {error}")))
    }

    /// Whether there is a store already. A file without content is none.
    fn holds_something(&self) -> Result<bool, StoreError> {
        match self.0.metadata() {
            Ok(meta) if meta.is_dir() => Err(self.wrong("it is a folder; name a file in store.url")),
            Ok(meta) => Ok(meta.len() > 0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.wrong(&format!("it cannot be reached: {error}"))),
        }
    }

    /// Makes the folder and an empty file that only we may read; the database fills it.
    fn make(&self) -> Result<(), StoreError> {
        key::make_folder_of(&self.0).map_err(|error| self.wrong(&format!("its folder cannot be made: {error}")))?;
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(self.wrong(&format!("it cannot be made: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// Says that the store is in use, for as long as the file is open. Not by the database's file, whose
    /// locks are the database's own.
    async fn hold(&self, using: Use) -> Result<File, StoreError> {
        let mut path = self.0.clone().into_os_string();
        path.push(".in-use");
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file =
            file.map_err(|error| self.wrong(&format!("{} cannot be made: {error}", Path::new(&path).display())))?;
        let (patience, refusal) = match using {
            Use::Shared => (HOLDING, "store rekey is sealing it anew; wait for its end, and try again"),
            Use::Alone => (ALONE, "a bridge or a command uses it; stop it, and try again"),
        };
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let taken = match using {
                Use::Shared => file.try_lock_shared(),
                Use::Alone => file.try_lock(),
            };
            match taken {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(TryLockError::WouldBlock) => return Err(self.wrong(refusal)),
                // A file system without locks: nobody can say more.
                Err(TryLockError::Error(_)) if using == Use::Shared => return Ok(file),
                Err(TryLockError::Error(error)) => {
                    return Err(self.wrong(&format!("whether others use it cannot be told: {error}")));
                }
            }
        }
    }

    fn options(&self) -> Result<AnyConnectOptions, StoreError> {
        let url = url::Url::from_file_path(&self.0).map_err(|()| self.wrong("its path is not absolute"))?;
        let options = AnyConnectOptions::from_str(&format!("sqlite://{}?mode=rw", url.path()))
            .map_err(|error| explain(self, &error))?;
        // A slow card is no news for the log.
        Ok(options.disable_statement_logging())
    }

    fn wrong(&self, what: &str) -> StoreError {
        StoreError::Unusable(format!("the store {self}: {what}"))
    }
}

/// Whether a store is opened beside other processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Shared,
    Alone,
}

pub(super) async fn open(url: &str, key_file: &Path, using: Use) -> Result<Inner, StoreError> {
    sqlx::any::install_default_drivers();
    let place = Place::parse(url)?;
    // The store is looked for before the key: whoever makes both makes the key first.
    let is_there = place.holds_something()?;
    if !key_file.exists() {
        if is_there {
            return Err(lost_key(&place, key_file));
        }
        key::Key::make(key_file)?;
    }
    let mut key = key::Key::read(key_file)?;
    let _opening = key::opening(key_file).await?;
    place.make()?;
    let in_use = place.hold(using).await?;
    let mut connection = connect(&place).await?;
    // Asked before the schema is touched: a wrong key changes nothing. A file without the table has none yet.
    let was_there = Installation::read(&mut connection).await.ok().flatten();
    if let Some(installation) = was_there.as_ref().filter(|installation| !installation.fits(&key)) {
        key = installation.key_of_rekeying(key_file).ok_or_else(|| wrong_key(&place, key_file))?;
    }
    // Hidden in sqlx's documentation, and there for this: `run` cannot be given one connection in a task.
    let migrated = sqlx::migrate!("src/store/migrations").run_direct(None, &mut connection, false).await;
    migrated.map_err(|error| explain_migration(&place, error))?;
    let made_now = was_there.is_none();
    let installation = match was_there {
        Some(installation) => installation,
        None => Installation::make(&mut connection, &key).await.map_err(|error| explain(&place, &error))?,
    };
    Ok(Inner {
        connection: Mutex::new(connection),
        key,
        place,
        instance: installation.instance,
        made_now,
        lines: Lines::default(),
        _in_use: in_use,
    })
}

/// One connection, for SQLite has one writer: a pool of them would ask it after each statement whether it still lives.
async fn connect(place: &Place) -> Result<AnyConnection, StoreError> {
    let mut connection = place.options()?.connect().await.map_err(|error| explain(place, &error))?;
    prepare(&mut connection).await.map_err(|error| explain(place, &error))?;
    Ok(connection)
}

/// SQLite's own ways, in one place.
async fn prepare(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(PRAGMAS).execute(&mut *connection).await?;
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await?;
    if mode != "wal" {
        to_wal(connection).await?;
    }
    // Without the right to write, SQLite opens a file silently for reading only: better told now.
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await?;
    Ok(())
}

async fn to_wal(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let mut tries = 0;
    loop {
        let switched = sqlx::raw_sql("PRAGMA journal_mode = WAL").execute(&mut *connection).await;
        match switched {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("5") && tries < WAL_TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            other => return other.map(|_| ()),
        }
    }
}

/// The installation's row: the random instance, and proof that the key is the one that sealed it.
pub(super) struct Installation {
    instance: String,
    seal_check: Vec<u8>,
}

impl Installation {
    async fn read(connection: &mut AnyConnection) -> Result<Option<Self>, sqlx::Error> {
        let row = sqlx::query("SELECT instance, seal_check FROM installation WHERE id = 1")
            .fetch_optional(connection)
            .await?;
        row.map(|row| Ok(Self { instance: row.try_get(0)?, seal_check: row.try_get(1)? })).transpose()
    }

    async fn make(connection: &mut AnyConnection, key: &key::Key) -> Result<Self, sqlx::Error> {
        let made = Self { instance: key::hex(&key::random::<16>()), seal_check: key.seal(CHECK.0, CHECK.1) };
        sqlx::query("INSERT INTO installation (id, instance, seal_check) VALUES (1, $1, $2)")
            .bind(&made.instance)
            .bind(made.seal_check.clone())
            .execute(connection)
            .await?;
        Ok(made)
    }

    /// Puts the proof under another key.
    pub(super) async fn seal_with(connection: &mut AnyConnection, key: &key::Key) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE installation SET seal_check = $1 WHERE id = 1")
            .bind(key.seal(CHECK.0, CHECK.1))
            .execute(connection)
            .await
            .map(|_| ())
    }

    /// The key of a `store rekey` that was interrupted before the new key had taken the old one's place:
    /// this takes the last step. Or that has just ended in another process.
    fn key_of_rekeying(&self, key_file: &Path) -> Option<key::Key> {
        let fitting = |path: &Path| key::Key::read(path).ok().filter(|key| self.fits(key));
        if let Some(key) = fitting(key_file) {
            return Some(key);
        }
        let key = fitting(&rekey::draft(key_file))?;
        match rekey::finish(key_file) {
            Ok(()) => tracing::info!("store rekey was interrupted; it is finished now"),
            Err(error) => tracing::warn!("store rekey was interrupted, and cannot be finished now: {error}"),
        }
        Some(key)
    }

    fn fits(&self, key: &key::Key) -> bool {
        key.open(CHECK.0, &self.seal_check).as_deref() == Some(CHECK.1)
    }
}

fn lost_key(place: &Place, key_file: &Path) -> StoreError {
    place.wrong(&format!(
        "its key file {} is missing, and without it nothing in the store can be read; \
         restore the key file, or move the store away and sign in again",
        key_file.display()
    ))
}

fn wrong_key(place: &Place, key_file: &Path) -> StoreError {
    place.wrong(&format!(
        "the key in {} is not the one that sealed it; \
         restore that key file, or move the store away and sign in again",
        key_file.display()
    ))
}
