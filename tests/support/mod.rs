//! What the black-box tests share: a broker of their own, and an observer of what it is told.
#![allow(
    dead_code,
    unused_imports,
    reason = "every test binary compiles this and uses a part of it, so `expect` cannot hold"
)]

pub mod broker;
pub mod observer;
#[cfg(feature = "demo")]
pub mod one_light;
pub mod program;
pub mod visitor;

pub use broker::Broker;
pub use observer::Observer;
pub use program::{Home, Program};
