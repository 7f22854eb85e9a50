//! `graph2mqtt health`

use super::{Failure, Global};

/// `health`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) async fn run(_global: &Global, _arguments: Arguments) -> Result<(), Failure> {
    todo!()
}
