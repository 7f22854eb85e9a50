//! The link button, and the application keys that the hub gives out while it counts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Bytes;
use axum::extract;
use serde_json::{Value, json};

use super::model::ClientKey;
use super::{Hub, Shared};

/// How long the button counts.
const COUNTS: Duration = Duration::from_secs(30);
/// The longest that a hub takes of either side of `#`.
const LONGEST: (usize, usize) = (20, 19);

impl Hub {
    /// Somebody presses the link button.
    pub fn press_button(&self) {
        self.shared.state().button = Some(Instant::now() + COUNTS);
    }

    /// The button counts no more.
    pub fn release_button(&self) {
        self.shared.state().button = None;
    }
}

/// `POST /api`
pub(super) async fn register(extract::State(shared): extract::State<Arc<Shared>>, body: Bytes) -> Json<Value> {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let error = |kind: u64, address: &str, description: &str| {
        Json(json!([{"error": {"type": kind, "address": address, "description": description}}]))
    };
    let Some(device) = body.get("devicetype").and_then(Value::as_str) else {
        return error(5, "/", "invalid/missing parameters in body");
    };
    let (app, instance) = device.split_once('#').unwrap_or((device, ""));
    if app.is_empty() || app.len() > LONGEST.0 || instance.len() > LONGEST.1 {
        return error(7, "/devicetype", "invalid value, for parameter, devicetype");
    }
    let wants_client_key = body.get("generateclientkey") == Some(&Value::Bool(true));
    let mut state = shared.state();
    match state.model.client_key {
        ClientKey::Unknown if body.get("generateclientkey").is_some() => {
            return error(6, "/generateclientkey", "parameter, generateclientkey, not available");
        }
        // What it says then is not documented: clients tell of an answer that they cannot read.
        ClientKey::Wanted if !wants_client_key => return error(5, "/", "invalid/missing parameters in body"),
        ClientKey::Unknown | ClientKey::Wanted | ClientKey::Given => {}
    }
    if state.button.is_none_or(|until| until < Instant::now()) {
        return error(101, "", "link button not pressed");
    }
    let key: String = std::iter::repeat_with(fastrand::alphanumeric).take(40).collect();
    state.keys.insert(key.clone());
    let mut success = json!({"username": key});
    if wants_client_key {
        success["clientkey"] = format!("{:032X}", fastrand::u128(..)).into();
    }
    Json(json!([{"success": success}]))
}
