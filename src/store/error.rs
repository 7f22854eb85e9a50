//! Why the store cannot be used, in words that say where and what to do.

use sqlx::migrate::MigrateError;

use super::open::Place;
use crate::presence::AccountName;

/// Why the store cannot be used, and what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Somebody else wrote the row meanwhile: read it again.
    #[error("the row was changed by another process")]
    Conflict,
    /// The seal of an account's row does not open: another key, or it was altered. The rest of the store is well.
    #[error(
        "the store {place}: the sign-in of account {account} does not open: its row was altered, or sealed with another key"
    )]
    Altered {
        /// The store's path.
        place: String,
        /// Whose.
        account: AccountName,
    },
    /// The rest: path, cause, remedy in the text.
    #[error("{0}")]
    Unusable(String),
}

/// SQLite's primary result codes (<https://www.sqlite.org/rescode.html>), what they mean here, and the remedy.
const CAUSES: &[(u32, &str)] = &[
    (5, "another process keeps it locked; end the one that hangs"),
    (6, "another process keeps it locked; end the one that hangs"),
    (8, "it, or its folder, cannot be written; give this program's user the right to write there"),
    (10, "the disk failed; look at the system's log"),
    (11, "the file is damaged; restore it from a backup, or move it away and sign in again"),
    (13, "the disk is full; make room"),
    (14, "it cannot be opened; give this program's user the right to read and write the file and its folder"),
    (26, "the file is not a store, or is damaged; correct store.url, restore a backup, or move the file away"),
];

/// What an error of the database means for whoever runs this program.
pub(super) fn explain(place: &Place, error: &sqlx::Error) -> StoreError {
    let cause = match error {
        sqlx::Error::Database(error) => {
            let code = error.code().and_then(|code| code.parse::<u32>().ok()).map(|extended| extended & 0xff);
            let known = CAUSES.iter().find(|(number, _)| Some(*number) == code);
            known.map_or_else(|| error.to_string(), |(_, words)| format!("{words} ({error})"))
        }
        sqlx::Error::ColumnDecode { .. } => format!("a row is damaged; restore a backup ({error})"),
        other => other.to_string(),
    };
    StoreError::Unusable(format!("the store {place}: {cause}"))
}

/// What it means that the schema cannot be brought to this version's.
pub(super) fn explain_migration(place: &Place, error: MigrateError) -> StoreError {
    let cause = match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => return explain(place, &error),
        MigrateError::VersionMissing(version) => format!(
            "a newer graph2mqtt wrote it (schema {version}, unknown to {}); run that version or a newer one",
            env!("CARGO_PKG_VERSION")
        ),
        other => format!("its schema is not one of graph2mqtt's; correct store.url, or restore a backup ({other})"),
    };
    StoreError::Unusable(format!("the store {place}: {cause}"))
}
