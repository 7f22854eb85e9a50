//! `graph2mqtt bridge`

use super::{Failure, Global};

pub(super) async fn run(_global: &Global) -> Result<(), Failure> {
    todo!()
}
