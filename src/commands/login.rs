//! `graph2mqtt login`

use super::{Failure, Global};

/// `login`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) async fn run(_global: &Global, _arguments: Arguments) -> Result<(), Failure> {
    todo!()
}
