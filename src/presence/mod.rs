//! The domain, without I/O: what a person's presence is, what of it is published, and which of several counts.
//!
//! The words are Graph's: *availability* (Available, Busy, …) and *activity* (InACall, OutOfOffice, …).
//! Source: Microsoft Graph's `presence` resource, v1.0.

mod busy;
mod model;
mod name;
mod number;
mod object_id;
mod order;
mod preferred;
mod report;
mod sequence;
mod status;

pub use busy::Busyness;
pub use model::{OutOfOffice, Presence, Reading, StatusMessage, WORK_LOCATIONS};
pub use name::{AccountName, InvalidName, Name};
pub use number::GraphNumber;
pub use object_id::{InvalidObjectId, ObjectId};
pub use order::{Newest, Verdict};
pub use preferred::{PREFERRED, Preferred};
pub use report::{Report, UnreadableReport};
pub use sequence::Sequence;
pub use status::{Activity, Availability};
