//! Pairing: the hub gives out an application key while somebody has pressed its link button.
//!
//! Whoever presses the button vouches for the hub: its certificate is taken and held to from then on, where
//! Signify did not sign it. One way for the command, for the request by MQTT and for the page
//! ([`crate::lights::Pairings`]).

mod button;

use std::time::Duration;

use secrecy::SecretString;

use self::button::wait_for_the_button;
use super::certificate::{Known, Pin, Refused, Taken, hex, is_hub_id};
use super::client::{Client, Place};
use super::find::{self, Told};
use crate::lights::Trouble;
use crate::settings::{self, Api};
use crate::store::{HubKey, Store};

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
    /// Whether it speaks plain http, which the configuration has to allow by `api: v1`. By https the API is found out,
    /// and `api: v1` would lead away from it.
    pub is_plain: bool,
    /// SHA-256 of its certificate in hex, where Signify did not sign it, or the configuration holds to it.
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
    let is_plain = client.place().is_plain;
    let certificate_sha256 = by_itself.or(hub.certificate_sha256).map(|pin| hex(&pin));
    Ok(Paired { id, host, name: told.name, key, is_plain, certificate_sha256, pin })
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
            if let Some(host) = super::locate(id).await.filter(|host| *host != hub.host) {
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
