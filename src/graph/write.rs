//! Setting what a person shows: the preferred presence and the status message.
//!
//! Delegated `Presence.ReadWrite`. Graph keeps a preferred presence and shows it while a session of the
//! person exists; it tells nobody which one is set.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::Client;
use super::trouble::{Question, Trouble};
use crate::entra::Principal;
use crate::presence::{Activity, Availability, ObjectId};

impl Client {
    /// `setUserPreferredPresence`: one of [`crate::presence::PREFERRED`], for so long.
    pub async fn set_preferred(
        &self,
        who: &Principal,
        tenant: &str,
        user: ObjectId,
        pair: &(Availability, Activity),
        lasts: Duration,
    ) -> Result<(), Trouble> {
        let lasts = SignedDuration::try_from(lasts).unwrap_or(SignedDuration::MAX);
        let body = json!({
            "availability": pair.0,
            "activity": pair.1,
            "expirationDuration": format!("PT{}S", lasts.as_secs()),
        });
        self.write(who, tenant, user, "setUserPreferredPresence", &body).await
    }

    /// `clearUserPreferredPresence`: Teams works it out again.
    pub async fn clear_preferred(&self, who: &Principal, tenant: &str, user: ObjectId) -> Result<(), Trouble> {
        self.write(who, tenant, user, "clearUserPreferredPresence", &json!({})).await
    }

    /// `setStatusMessage`: an empty text clears it; without an end it stays.
    pub async fn set_status_message(
        &self,
        who: &Principal,
        tenant: &str,
        user: ObjectId,
        text: &str,
        expires: Option<Timestamp>,
    ) -> Result<(), Trouble> {
        let mut message = json!({ "message": { "content": text, "contentType": "text" } });
        if let Some(expires) = expires {
            let at = expires.strftime("%Y-%m-%dT%H:%M:%S").to_string();
            message["expiryDateTime"] = json!({ "dateTime": at, "timeZone": "UTC" });
        }
        self.write(who, tenant, user, "setStatusMessage", &json!({ "statusMessage": message })).await
    }

    async fn write(
        &self,
        who: &Principal,
        tenant: &str,
        user: ObjectId,
        action: &str,
        body: &Value,
    ) -> Result<(), Trouble> {
        let request = self
            .request(Method::POST, &["users", &user.as_str(), "presence", action])
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
        self.ask(Question::Write(action), who, tenant, request).await.map(drop)
    }
}
