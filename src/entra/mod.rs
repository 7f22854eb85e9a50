//! Sign-in and the life of tokens: device code, client credentials, refresh.
//!
//! The kinds of [`Trouble`] say what the caller does next; AADSTS numbers only choose the words.
//!
//! # Layout
//! `tokens` is what the other rooms hold: it hands out access tokens, and refreshes them in time, one
//! refresh at a time for each principal (`slot`). `application` is the configured application, which proves
//! itself by its `credential`; `issuing` asks Entra for tokens without a person, `issued` is what it gives;
//! `transport` carries the requests, `answers` reads refusals with the table in `codes`, `subjects` says whom they
//! name, `claims` holds what they ask of the next sign-in, `way_in` where that is; `http` is what every exchange
//! needs, Graph's too. `device` signs a person in by a code, `browser` by Entra's pages (`posted` is what it brings back
//! from there, `redemption` holds its requests; `consented` is an administrator's way back), `sign_ins` holds the codes
//! of accounts that are out, `newcomers` those of browsers in which somebody enrols or leaves; `person` and `identity`
//! check who it was, `enrolment` is for those whom the configuration does not name, `keeping` keeps the grant; `cache`
//! is what is sealed for an account, `caches` where. `tenants` knows domains by their ids, `registration` what `check`
//! can learn before anybody signs in, `clock` watches the time.

mod answers;
mod application;
mod browser;
mod cache;
mod caches;
mod claims;
mod clock;
mod codes;
mod consented;
mod credential;
mod device;
mod enrolment;
pub mod http;
mod identity;
mod issued;
mod issuing;
mod keeping;
mod newcomers;
mod person;
mod posted;
mod redemption;
mod registration;
mod scopes;
mod sign_ins;
mod slot;
mod subjects;
mod tenants;
mod tokens;
mod transport;
mod trouble;
mod way_in;
mod writers;

pub use browser::{Arrival, Browser, Errand, SignedIn, Unexpected};
pub use caches::{Answer, Caches};
pub use claims::is_claims_request;
pub use consented::Consented;
pub use device::Prompt;
pub use newcomers::place;
pub use person::is_grant_of;
pub use posted::Posted;
pub use registration::Registration;
pub use scopes::{Reads, reads};
pub use sign_ins::{Progress, SignIns, Step};
pub use tokens::{AccessToken, OwnRight, Principal, Tokens};
pub use trouble::{Remedy, Trouble};
pub use way_in::WayIn;
