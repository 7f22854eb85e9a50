//! A person's presence as Graph reports it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Activity, Availability, GraphNumber, ObjectId};

/// One person's presence. Everything but availability and activity can be missing: for other
/// people's presence, on older tenants, or because nobody set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// The base state.
    pub availability: Availability,
    /// What the person does; says more than the availability.
    pub activity: Activity,
    /// The note that the person wrote. Boxed: most people have none, and there can be many people.
    pub status_message: Option<Box<StatusMessage>>,
    /// Whether and how the person is out of office.
    pub out_of_office: Option<Box<OutOfOffice>>,
    /// Where the person works: `unspecified`, `office`, `remote` or `timeOff`.
    pub work_location: Option<Box<str>>,
}

/// The words of [`Presence::work_location`] that Graph documents.
pub const WORK_LOCATIONS: &[&str] = &["unspecified", "office", "remote", "timeOff"];

/// The note that a person wrote beside the presence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusMessage {
    /// The text, HTML removed.
    pub content: String,
    /// When it ends; none where Graph gave no time, or one in a time zone that cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// A person's out-of-office setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutOfOffice {
    /// Whether the person is out of office now.
    pub active: bool,
    /// The automatic reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// One answer of Graph about one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Whose presence it is; `/me/presence` may leave it out.
    pub user_id: Option<ObjectId>,
    /// What it says.
    pub presence: Presence,
    /// Graph's own `sequenceNumber`: an older one is an older presence.
    pub number: Option<GraphNumber>,
}

impl Presence {
    /// A presence of which only the status is known.
    pub fn new(availability: Availability, activity: Activity) -> Self {
        Self { availability, activity, status_message: None, out_of_office: None, work_location: None }
    }

    /// Whether the status is another one: availability or activity, not the notes beside them.
    pub fn status_differs(&self, other: &Self) -> bool {
        (&self.availability, &self.activity) != (&other.availability, &other.activity)
    }
}
