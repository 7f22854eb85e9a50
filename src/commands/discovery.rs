//! `graph2mqtt discovery`

use super::{Failure, Global};

pub(super) fn run(_global: &Global) -> Result<(), Failure> {
    todo!()
}
