//! The published form of a presence: the JSON on `<base>/account/<account>/presence`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AccountName, Activity, Availability, ObjectId, OutOfOffice, Preferred, Presence, Sequence, StatusMessage};

/// What a bridge publishes, retained, and what an actuator and the next start of the bridge read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The account's name, as in the topic.
    pub account: AccountName,
    /// Whose presence it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<ObjectId>,
    /// The base state.
    pub availability: Availability,
    /// What the person does.
    pub activity: Activity,
    /// When availability or activity last changed, as far as this bridge saw.
    pub since: Timestamp,
    /// Orders the presences of this installation.
    pub sequence: Sequence,
    /// The note that the person wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_message: Option<Box<StatusMessage>>,
    /// Whether and how the person is out of office.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_of_office: Option<Box<OutOfOffice>>,
    /// Where the person works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_location: Option<Box<str>>,
    /// What the person set through this bridge, while Graph shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred: Option<Box<Preferred>>,
}

/// Why a payload is not a [`Report`]. It never quotes the payload, which may be a stranger's.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a presence: JSON with account, availability, activity, since and sequence was expected, and line {line}, column {column} is odd"
)]
pub struct UnreadableReport {
    line: usize,
    column: usize,
}

impl Report {
    /// Reads a payload. Members that are not known are passed over.
    pub fn from_json(payload: &[u8]) -> Result<Self, UnreadableReport> {
        serde_json::from_slice(payload).map_err(|error| UnreadableReport { line: error.line(), column: error.column() })
    }

    /// The payload.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a report holds nothing that JSON cannot")
    }

    /// The presence within.
    pub fn presence(&self) -> Presence {
        Presence {
            availability: self.availability.clone(),
            activity: self.activity.clone(),
            status_message: self.status_message.clone(),
            out_of_office: self.out_of_office.clone(),
            work_location: self.work_location.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_small_plain_json_and_reads_back() {
        let json = br#"{"account":"alex","user_id":"00000000-0000-0000-0000-000000000001","availability":"Busy","activity":"InACall","since":"2026-11-24T08:00:00Z","sequence":7}"#;
        let report = Report::from_json(json).unwrap();
        assert_eq!(report.activity, Activity::IN_A_CALL);
        assert_eq!(String::from_utf8(report.to_json()).unwrap(), String::from_utf8_lossy(json));
    }

    #[test]
    fn a_strangers_payload_is_an_error_that_does_not_quote_it() {
        for payload in [&b""[..], b"{}", b"[]", b"\xff", b"{\"account\":\"secret\",\"sequence\":-1}"] {
            let error = Report::from_json(payload).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
