//! `graph2mqtt accounts`

use super::{Failure, Global};

/// `accounts`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) async fn run(_global: &Global, _arguments: Arguments) -> Result<(), Failure> {
    todo!()
}
