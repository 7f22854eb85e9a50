//! `graph2mqtt store`: what is done to the store as a whole.

use clap::Subcommand;

use super::{Failure, Global, parts};
use crate::store::{Rekeyed, Store};

/// `store`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Seal everything anew with a new key, which takes the old one's place in store.key_file
    Rekey,
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> Result<(), Failure> {
    let Action::Rekey = arguments.action;
    let settings = parts::settings(global)?;
    let Rekeyed { rows, left } =
        Store::rekey(&settings.store.url, &settings.store.key_file).await.map_err(anyhow::Error::new)?;
    if left > 0 {
        let text = format!(
            "{left} rows are damaged and stay as they were: sign those accounts in again (accounts lists them)."
        );
        parts::print(&text)?;
    }
    parts::print(&format!(
        "Everything ({rows} rows) is sealed with a new key, in {}. Keep a copy of it, apart from backups of the store; \
         backups from before need the old key.",
        settings.store.key_file.display()
    ))
}
