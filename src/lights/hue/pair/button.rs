//! The wait for the link button.
//!
//! `POST /api {"devicetype": "<app>#<instance>", "generateclientkey": true}` answers, always with status 200,
//! `[{"error": {"type": 101, …}}]` until the button is pressed, then `[{"success": {"username": "<key>", …}}]`. The
//! client's key is for entertainment, and of no use here; but the Bridge Pro gives out no application key without it,
//! and hubs older than API 1.22, the round one among them, take no such parameter. So it is asked for until the hub
//! says that it has none.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::client::{Answer, Client};
use super::super::v1::answer::{NOT_PRESSED, has_error, has_no_parameter, refusal};
use super::{NotPaired, Pairing};

/// How often the hub is asked whether the button was pressed.
const PACE: Duration = Duration::from_secs(1);
/// How often in a row a hub may fail to answer.
const FAILURES: usize = 5;
/// The longest that a hub takes of either side of `#`.
const LONGEST_INSTANCE: usize = 19;
const CLIENT_KEY: &str = "generateclientkey";

/// The application key that the hub gives out, to whom its list of applications calls `instance`.
pub(super) async fn wait_for_the_button(
    client: &Client,
    instance: &str,
    within: Duration,
    progress: &mut (dyn FnMut(Pairing) + Send),
) -> Result<SecretString, NotPaired> {
    let instance: String = instance.chars().take(LONGEST_INSTANCE).collect();
    let mut ask = json!({"devicetype": format!("graph2mqtt#{instance}"), CLIENT_KEY: true});
    let deadline = Instant::now() + within;
    let mut failures = 0;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        progress(Pairing::Press { left });
        match client.ask(Method::POST, "/api", Some(&ask)).await {
            Ok(answer) => match key_in(&answer) {
                Said::Key(key) => return Ok(key),
                Said::NotPressed => failures = 0,
                Said::Busy => {}
                Said::NoClientKey(_) if leave_out(&mut ask, CLIENT_KEY) => continue,
                Said::NoClientKey(why) | Said::Refused(why) => {
                    return Err(NotPaired::Unable(format!("hub {}: {why}", client.place().hub)));
                }
            },
            Err(trouble) => {
                failures += 1;
                if failures >= FAILURES {
                    return Err(trouble.into());
                }
            }
        }
        if left.is_zero() {
            let (hub, seconds) = (&client.place().hub, within.as_secs());
            return Err(NotPaired::NotPressed(format!(
                "hub {hub}: nobody pressed the link button within {seconds} s. It is the round button on top of the hub"
            )));
        }
        tokio::time::sleep(PACE.min(left)).await;
    }
}

/// Whether it was there to be left out.
fn leave_out(ask: &mut Value, parameter: &str) -> bool {
    ask.as_object_mut().is_some_and(|ask| ask.remove(parameter).is_some())
}

/// What the hub says to the question for a key.
enum Said {
    Key(SecretString),
    NotPressed,
    Busy,
    NoClientKey(String),
    Refused(String),
}

fn key_in(answer: &Answer) -> Said {
    match answer.status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => return Said::Busy,
        StatusCode::NOT_FOUND => return Said::Refused("it does not pair at /api, as Hue hubs do".into()),
        _ => {}
    }
    if has_error(&answer.body, NOT_PRESSED) {
        return Said::NotPressed;
    }
    let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if let Some(key) = value.pointer("/0/success/username").and_then(Value::as_str)
        && (1..=200).contains(&key.len())
    {
        return Said::Key(key.to_owned().into());
    }
    let why = match refusal(&answer.body) {
        Some(why) => format!("it refuses to pair: {why}"),
        None => format!("it answers to the question for a key as no Hue hub does ({})", answer.status),
    };
    if has_no_parameter(&answer.body, CLIENT_KEY) { Said::NoClientKey(why) } else { Said::Refused(why) }
}
