//! `graph2mqtt demo`

use super::Failure;

/// `demo`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) async fn run(_arguments: Arguments) -> Result<(), Failure> {
    todo!()
}
