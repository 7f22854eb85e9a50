//! `graph2mqtt check`

use super::{Failure, Global};

/// `check`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) async fn run(_global: &Global, _arguments: Arguments) -> Result<(), Failure> {
    todo!()
}
