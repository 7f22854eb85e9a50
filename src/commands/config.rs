//! `graph2mqtt config`

use super::{Failure, Global};

/// `config`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(_global: &Global, _arguments: Arguments) -> Result<(), Failure> {
    todo!()
}
