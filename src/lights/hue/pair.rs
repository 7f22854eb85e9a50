//! Pairing: the hub gives out an application key while somebody has pressed its link button.
//!
//! `POST /api {"devicetype": "<app>#<instance>", "generateclientkey": true}` answers, always with status 200,
//! `[{"error": {"type": 101, …}}]` until the button is pressed, then `[{"success": {"username": "<key>", …}}]`.
//! Whoever presses the button vouches for the hub: its certificate is taken and held to from then on, where
//! Signify did not sign it. One way for the command, for the request by MQTT and for the page
//! ([`crate::lights::Pairings`]).

use std::time::Duration;

use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::certificate::{Known, Pin, Refused, Taken, hex, is_hub_id};
use super::client::{Answer, Client, Place};
use super::find::{self, Told};
use super::v1::answer::{NOT_PRESSED, has_error, refusal};
use crate::lights::Trouble;
use crate::settings::{self, Api};
use crate::store::{HubKey, Store};

/// How often the hub is asked whether the button was pressed.
const PACE: Duration = Duration::from_secs(1);
/// How often in a row a hub may fail to answer.
const FAILURES: usize = 5;
/// How long a hub that is not at its address is looked for.
const SEARCH: Duration = Duration::from_secs(4);
/// The longest that a hub takes of either side of `#`.
const LONGEST_INSTANCE: usize = 19;

/// On what terms a hub is paired.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// How long the button is waited for.
    pub within: Duration,
    /// Whether a certificate that is not the one known is taken, by the word of whoever presses the button.
    pub new_certificate: bool,
}

/// How far pairing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pairing {
    /// The hub answers; its id and name.
    Found {
        /// The bridge id.
        id: String,
        /// What its owner calls it.
        name: Option<String>,
    },
    /// Its certificate is not the one that was known. Pressing the button says that this is right.
    Changed {
        /// SHA-256, in hex.
        before: String,
        /// SHA-256, in hex.
        now: String,
    },
    /// The button is to be pressed within this time.
    Press {
        /// What is left of it.
        left: Duration,
    },
}

/// A hub that was paired.
#[derive(Debug, Clone)]
pub struct Paired {
    /// The bridge id.
    pub id: String,
    /// Where it was reached.
    pub host: String,
    /// What its owner calls it.
    pub name: Option<String>,
    /// The application key.
    pub key: SecretString,
    /// The API to speak.
    pub api: Api,
    /// SHA-256 of its certificate in hex, where Signify did not sign it.
    pub certificate_sha256: Option<String>,
    pin: Option<Pin>,
}

/// Why a hub was not paired. Texts are for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPaired {
    /// Nobody pressed the button.
    #[error("{0}")]
    NotPressed(String),
    /// Its certificate is not the one that was known, and nobody said that this is right.
    #[error(
        "hub {hub}: its certificate is another one than before (then {before}, now {now}): somebody may stand between, \
         or the hub was reset or replaced"
    )]
    Changed {
        /// What the hub is called.
        hub: String,
        /// SHA-256, in hex.
        before: String,
        /// SHA-256, in hex.
        now: String,
    },
    /// The hub cannot be paired as it is.
    #[error("{0}")]
    Unable(String),
}

impl From<Trouble> for NotPaired {
    fn from(trouble: Trouble) -> Self {
        Self::Unable(trouble.to_string())
    }
}

/// Waits for the link button of a hub. `name` is the hub's in the configuration, or empty. The hub's list of
/// applications shows the installation's instance. Nothing is kept: see [`Paired::keep`].
///
/// # Errors
/// The hub is not there, is another one, does not pair, or nobody pressed.
pub async fn pair(
    hub: &settings::Hub,
    name: &str,
    store: &Store,
    terms: Terms,
    progress: &mut (dyn FnMut(Pairing) + Send),
) -> Result<Paired, NotPaired> {
    let (client, told, host) = meet(hub, name).await?;
    let id = told.id.clone().filter(|id| is_hub_id(id));
    let id = id.ok_or_else(|| NotPaired::Unable(format!("{host} does not tell its bridge id: is it a Hue hub?")))?;
    if let Some(meant) = hub.id.as_ref().filter(|meant| !meant.eq_ignore_ascii_case(&id)) {
        let what = format!(
            "hub {name}: hub {id} answers at {host}, and hubs.{name}.id is {meant}: correct hubs.{name}.host or hubs.{name}.id"
        );
        return Err(NotPaired::Unable(what));
    }
    let Pins { shown: pin, by_itself } = pins(client.judged(), &id).map_err(|there| {
        let what = format!(
            "the certificate at {host} is hub {there}'s, and who answers there says that it is hub {id}: somebody may \
             stand between, or the address is another hub's"
        );
        NotPaired::Unable(what)
    })?;
    let before = store.hub_pin(&id).await.map_err(|error| NotPaired::Unable(error.to_string()))?;
    progress(Pairing::Found { id: id.clone(), name: told.name.clone() });
    if let (Some(before), Some(now)) = (before, by_itself)
        && before != now
    {
        let (before, now) = (hex(&before), hex(&now));
        if !terms.new_certificate {
            return Err(NotPaired::Changed { hub: client.place().hub.clone(), before, now });
        }
        progress(Pairing::Changed { before, now });
    }
    if let Some(pin) = pin {
        client.hold_to(pin);
    }
    let key = wait_for_the_button(&client, store.instance().0, terms.within, progress).await?;
    let api = api(hub, &client).await;
    let certificate_sha256 = by_itself.map(|pin| hex(&pin));
    Ok(Paired { id, host, name: told.name, key, api, certificate_sha256, pin })
}

/// What a hub showed.
#[derive(Debug, Default, PartialEq)]
struct Pins {
    /// The certificate.
    shown: Option<Pin>,
    /// The same, where nobody but the hub vouches for it.
    by_itself: Option<Pin>,
}

/// From how the certificate of a hub that says that it is this one was judged. Another hub's id where Signify vouches
/// for that one.
fn pins(judged: Option<Result<Taken, Refused>>, id: &str) -> Result<Pins, Box<str>> {
    match judged {
        Some(Ok(Taken::First(pin))) => Ok(Pins { shown: Some(pin), by_itself: Some(pin) }),
        Some(Ok(Taken::Vouched { id: there, .. })) if !there.eq_ignore_ascii_case(id) => Err(there),
        Some(Ok(Taken::Vouched { pin, .. })) => Ok(Pins { shown: Some(pin), by_itself: None }),
        _ => Ok(Pins::default()),
    }
}

impl Paired {
    /// Keeps key and certificate in the store, sealed. A running actuator takes them up by itself.
    ///
    /// # Errors
    /// The store's, in words.
    pub async fn keep(&self, name: &str, store: &Store, now: jiff::Timestamp) -> Result<(), NotPaired> {
        let unable = |error: crate::store::StoreError| NotPaired::Unable(error.to_string());
        if let Some(pin) = self.pin {
            store.set_hub_pin(&self.id, pin).await.map_err(unable)?;
        }
        let key = HubKey {
            hub_id: self.id.clone(),
            name: name.to_owned(),
            host: self.host.clone(),
            paired_at: now,
            key: self.key.clone(),
        };
        store.put_hub_key(&key).await.map_err(unable)
    }
}

/// The hub at its address; where another or none answers there, wherever it is now.
async fn meet(hub: &settings::Hub, name: &str) -> Result<(Client, Told, String), NotPaired> {
    let first = greet(hub, name, &hub.host).await;
    let is_right = |told: &Told| hub.id.is_none() || told.id == hub.id;
    match (&first, &hub.id) {
        (Ok((_, told)), _) if is_right(told) => {}
        (_, Some(id)) => {
            if let Some(host) = find::locate(id, SEARCH).await.filter(|host| *host != hub.host) {
                let (client, told) = greet(hub, name, &host).await?;
                return Ok((client, told, host));
            }
        }
        _ => {}
    }
    first.map(|(client, told)| (client, told, hub.host.clone()))
}

async fn greet(hub: &settings::Hub, name: &str, host: &str) -> Result<(Client, Told), NotPaired> {
    let is_plain = hub.api == Some(Api::V1) && hub.certificate_sha256.is_none();
    let called = if name.is_empty() { host } else { name };
    let place = Place { hub: called.to_owned(), host: host.to_owned(), is_plain };
    let known = Known { any: true, configured: hub.certificate_sha256, ..Known::default() };
    let client = Client::new(place, known)?;
    match find::told_by(&client).await {
        Err(_) if !is_plain && find::speaks_plain_http(host).await => Err(speaks_http(name, host)),
        told => told?.map(|told| (client, told)).ok_or_else(|| {
            NotPaired::Unable(format!("{host} answers, but not as a Hue hub does: is the address right?"))
        }),
    }
}

/// Without a word of its owner, whose key anybody on the network could read then, http is not spoken.
fn speaks_http(name: &str, host: &str) -> NotPaired {
    let name = if name.is_empty() { "<name>" } else { name };
    NotPaired::Unable(format!(
        "{host} speaks plain http alone, as hubs of the first kind and look-alikes do: configure \
         hubs.{name}: {{ host: {host}, api: v1 }}, and pair it again: graph2mqtt pair {name}"
    ))
}

async fn wait_for_the_button(
    client: &Client,
    instance: &str,
    within: Duration,
    progress: &mut (dyn FnMut(Pairing) + Send),
) -> Result<SecretString, NotPaired> {
    let instance: String = instance.chars().take(LONGEST_INSTANCE).collect();
    let ask = json!({"devicetype": format!("graph2mqtt#{instance}"), "generateclientkey": true});
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
                Said::Refused(why) => return Err(NotPaired::Unable(format!("hub {}: {why}", client.place().hub))),
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

/// What the hub says to the question for a key.
enum Said {
    Key(SecretString),
    NotPressed,
    Busy,
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
    match value.pointer("/0/success/username").and_then(Value::as_str) {
        Some(key) if !key.is_empty() && key.len() <= 200 => Said::Key(key.to_owned().into()),
        _ => Said::Refused(match refusal(&answer.body) {
            Some(why) => format!("it refuses to pair: {why}"),
            None => format!("it answers to the question for a key as no Hue hub does ({})", answer.status),
        }),
    }
}

/// What the configuration says, else what the hub speaks: where there is CLIP v2, it asks for a key.
async fn api(hub: &settings::Hub, client: &Client) -> Api {
    if let Some(api) = hub.api {
        return api;
    }
    let asked = client.ask(Method::GET, "/clip/v2/resource", None).await;
    match asked {
        Ok(Answer { status: StatusCode::NOT_FOUND, .. }) => Api::V1,
        _ => Api::V2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shows_a_certificate_that_signify_made_for_another_hub_is_not_paired() {
        let (pin, id) = ([7; 32], "001788fffe010203");
        let judged = || Some(Ok(Taken::Vouched { pin, id: id.to_uppercase().into() }));
        assert_eq!(pins(judged(), id), Ok(Pins { shown: Some(pin), by_itself: None }));
        assert_eq!(pins(judged(), "001788fffe999999"), Err(id.to_uppercase().into()));
        assert_eq!(pins(Some(Ok(Taken::First(pin))), id), Ok(Pins { shown: Some(pin), by_itself: Some(pin) }));
    }
}
