//! `graph2mqtt config`

use std::io::Write;

use clap::Subcommand;

use super::{Failure, Global};
use crate::settings::{self, Loaded, Sources};

/// `config`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the effective configuration as YAML, secrets hidden, and where each value came from
    Show,
    /// Print the JSON Schema of the configuration file
    Schema,
}

pub(super) fn run(global: &Global, arguments: Arguments) -> Result<(), Failure> {
    let text = match arguments.command {
        Command::Show => settings::show(&load(global)?),
        Command::Schema => format!("{:#}\n", settings::schema()),
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("the output cannot be written").into())
        }
        _ => Ok(()),
    }
}

/// The configuration of this process, from every source.
pub(super) fn load(global: &Global) -> Result<Loaded, Failure> {
    let sources =
        Sources { file: global.config(), environment: std::env::vars_os().collect(), set: global.set.clone() };
    settings::load(sources).map_err(|mistakes| Failure::Usage(mistakes.to_string()))
}
