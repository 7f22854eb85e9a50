//! What people set of their own presence, as Graph takes it.

use std::time::Duration;

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

/// A preferred presence.
#[derive(Debug, Clone)]
pub(super) struct Preferred {
    availability: String,
    activity: String,
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
            }
            _ => return Err("Resource not found for the segment.".into()),
        }
        self.show();
        Ok(())
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
        let lasts = text("expirationDuration");
        if !lasts.is_empty() && seconds(lasts).is_none() {
            return Err("The expirationDuration is not a duration.".into());
        }
        Ok(Self { availability: pair.0.to_owned(), activity: pair.1.to_owned() })
    }
}

fn seconds(duration: &str) -> Option<Duration> {
    let read: jiff::Span = duration.parse().ok()?;
    Duration::try_from(read.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?).ok()
}
