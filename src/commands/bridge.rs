//! `graph2mqtt bridge`

use std::sync::Arc;

use super::roles::{self, Roles};
use super::{Failure, Global, Log};

pub(super) async fn run(global: &Global, log: Arc<Log>) -> Result<(), Failure> {
    roles::run(global, Roles::Bridge, log).await
}
