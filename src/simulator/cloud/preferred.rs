//! What people set of their own presence, as Graph takes it.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use super::directory::Person;
use super::presence::Shown;

/// The pairs that setUserPreferredPresence takes.
const PAIRS: &[(&str, &str)] = &[
    ("Available", "Available"),
    ("Busy", "Busy"),
    ("DoNotDisturb", "DoNotDisturb"),
    ("BeRightBack", "BeRightBack"),
    ("Away", "Away"),
    ("Offline", "OffWork"),
];

/// How long Graph keeps one for which nothing else is said: a day for these, a week for others.
const FOR_A_DAY: &[&str] = &["Busy", "DoNotDisturb"];
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A preferred presence.
#[derive(Debug, Clone)]
pub(super) struct Preferred {
    availability: String,
    activity: String,
    ends: Instant,
}

impl Person {
    /// One of Graph's actions on the own presence; or what Graph says of a wrong one.
    pub(super) fn write(&mut self, action: &str, body: &Value) -> Result<(), String> {
        match action {
            "setUserPreferredPresence" => self.preferred = Some(Preferred::read(body)?),
            "clearUserPreferredPresence" => self.preferred = None,
            "setStatusMessage" => {
                let message = &body["statusMessage"];
                let text = message["message"]["content"].as_str().ok_or("The statusMessage has no content.")?;
                self.shown.status_message = if text.is_empty() { Value::Null } else { message.clone() };
                self.message_ends = end_of(message);
            }
            _ => return Err("Resource not found for the segment.".into()),
        }
        self.show();
        Ok(())
    }

    /// What the person set ends when its time is over.
    pub(super) fn pass(&mut self, now: Instant) {
        let preferred = self.preferred.take_if(|preferred| preferred.ends <= now).is_some();
        let message = self.message_ends.take_if(|ends| *ends <= Timestamp::now()).is_some();
        if message {
            self.shown.status_message = Value::Null;
        }
        if preferred || message {
            self.show();
        }
    }

    /// What is shown: the preferred presence, while a session of the person exists.
    pub(super) fn preferring(&self) -> Shown {
        let mut shown = self.shown.clone();
        let has_session = shown.availability != "Offline";
        if let Some(preferred) = self.preferred.as_ref().filter(|_| has_session) {
            shown.availability.clone_from(&preferred.availability);
            shown.activity.clone_from(&preferred.activity);
        }
        shown
    }
}

impl Preferred {
    fn read(body: &Value) -> Result<Self, String> {
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let pair = (text("availability"), text("activity"));
        if !PAIRS.contains(&pair) {
            return Err(format!(
                "The combination of availability {} and activity {} is not supported.",
                pair.0, pair.1
            ));
        }
        let lasts = match text("expirationDuration") {
            "" if FOR_A_DAY.contains(&pair.0) => DAY,
            "" => DAY * 7,
            lasts => seconds(lasts).ok_or("The expirationDuration is not a duration.")?,
        };
        Ok(Self { availability: pair.0.to_owned(), activity: pair.1.to_owned(), ends: Instant::now() + lasts })
    }
}

/// When a status message ends, in UTC.
fn end_of(message: &Value) -> Option<Timestamp> {
    let at: jiff::civil::DateTime = message["expiryDateTime"]["dateTime"].as_str()?.parse().ok()?;
    jiff::tz::TimeZone::UTC.to_timestamp(at).ok()
}

fn seconds(duration: &str) -> Option<Duration> {
    let read: jiff::Span = duration.parse().ok()?;
    Duration::try_from(read.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?).ok()
}
