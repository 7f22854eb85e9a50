//! The pages, asked as browsers ask, and as those who pretend to be one: against a simulated Entra, over real sockets.

#![cfg(test)]
#![cfg(all(test, feature = "demo"))]

mod browser;
mod consent;
mod device;
mod enrol;
mod enrol_code;
mod hub;
mod lock;
mod place;
mod refusals;
mod sign_in;
#[path = "../support/visitor.rs"]
mod visitor;
