//! What Graph shows of a person, ready to be sent.

use std::sync::OnceLock;
use std::time::Instant;

use axum::body::Bytes;
use serde_json::{Value, json};

/// A person's presence, to be changed by [`super::Cloud::change`].
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Any word; Graph's own are documented.
    pub availability: String,
    /// Any word.
    pub activity: String,
    /// Graph's `statusMessage`; null by default.
    pub status_message: Value,
    /// Graph's `outOfOfficeSettings`; left out where null.
    pub out_of_office: Value,
    /// Graph's `workLocation`; left out where null.
    pub work_location: Value,
    /// Members put in, or in place of those above; a null is sent as null.
    pub overrides: serde_json::Map<String, Value>,
}

impl Shown {
    /// A bare status.
    pub(super) fn new(availability: &str, activity: &str) -> Self {
        Self {
            availability: availability.to_owned(),
            activity: activity.to_owned(),
            status_message: Value::Null,
            out_of_office: Value::Null,
            work_location: Value::Null,
            overrides: serde_json::Map::new(),
        }
    }

    fn to_json(&self, id: &str, sequence: u64) -> Value {
        let mut json = json!({
            "id": id,
            "availability": self.availability,
            "activity": self.activity,
            "statusMessage": self.status_message,
            "sequenceNumber": format!("A{sequence:010}"),
        });
        let members = json.as_object_mut().expect("made above");
        let optional = [("outOfOfficeSettings", &self.out_of_office), ("workLocation", &self.work_location)];
        members.extend(optional.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.to_owned(), v.clone())));
        members.extend(self.overrides.clone());
        json
    }
}

/// A presence as bytes, and when it was first told to anybody.
pub(super) struct Told {
    /// A JSON object.
    pub body: Bytes,
    /// Set when an answer first carried it.
    pub first: OnceLock<Instant>,
}

impl Told {
    pub(super) fn new(shown: &Shown, id: &str, sequence: u64) -> Self {
        Self::raw(&shown.to_json(id, sequence))
    }

    /// Any JSON value at all.
    pub(super) fn raw(value: &Value) -> Self {
        Self { body: Bytes::from(value.to_string()), first: OnceLock::new() }
    }

    /// The bytes, for an answer that leaves now. `told` counts what nobody was told before.
    pub(super) fn tell(&self, now: Instant, told: &mut usize) -> &[u8] {
        if self.first.set(now).is_ok() {
            *told += 1;
        }
        &self.body
    }
}
