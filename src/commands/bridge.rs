//! `graph2mqtt bridge`

use super::roles::{self, Roles};
use super::{Failure, Global};

pub(super) async fn run(global: &Global) -> Result<(), Failure> {
    roles::run(global, Roles::Bridge).await
}
