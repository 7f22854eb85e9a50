//! Sign-in and tokens against the simulated Entra: every way in, every way in which it goes wrong, and that
//! nobody is ever handed another's token.

#![cfg(test)]
#![cfg(feature = "demo")]

mod browser;
mod caches;
mod check;
mod claims;
mod command;
mod credentials;
mod front;
mod id_token;
mod identities;
mod killed;
mod kinds;
mod msal;
mod proxy;
mod redemption;
mod sign_in;
mod sign_ins;
mod tokens;
mod troubles;
mod vault;
#[path = "../support/visitor.rs"]
mod visitor;
mod world;
