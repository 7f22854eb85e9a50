//! Philips Hue by CLIP v2: one hub, and the lights, rooms and zones on it.
//!
//! # Layout
//! - `client`: https to one hub; `certificate`, `leaf`, `signify`: whether it is the hub meant.
//! - `resources`: what the hub holds, and where a target's commands go.
//! - `command`, `color`: from a look to a PUT, and what the answer means.

mod certificate;
mod client;
mod color;
mod command;
mod leaf;
mod resources;
mod signify;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokio::sync::Mutex;

use self::client::{Answer, Client, busy};
use self::resources::{Directory, Endpoint};
use super::{Asked, Light, Limits, Load, Look, Obeyed, Trouble};
use crate::presence::Name;
use crate::settings::{self, Target, TargetKind};
use crate::store::Store;

/// What Signify asks for: about ten light commands and one group command a second (commands to
/// groups 800 ms apart already stutter), three requests at once.
pub const LIMITS: Limits = Limits { single: Duration::from_millis(100), group: Duration::from_secs(1), at_once: 3 };

/// One hub. It is connected and read when something is first asked of it, and stays so for all its lights.
pub struct HueHub {
    name: Name,
    settings: settings::Hub,
    store: Store,
    client: Mutex<Option<Arc<Client>>>,
    /// What it holds, once read. Locked for moments only.
    directory: std::sync::Mutex<Option<Arc<Directory>>>,
}

impl HueHub {
    /// `name` is the hub's in the configuration.
    pub fn new(name: Name, settings: settings::Hub, store: Store) -> Self {
        Self { name, settings, store, client: Mutex::default(), directory: std::sync::Mutex::default() }
    }

    /// Connects and reads what the hub holds, unless that is known.
    async fn session(&self) -> Result<(Arc<Client>, Arc<Directory>), Trouble> {
        // Held over the questions, so that lights which start together ask once.
        let mut connected = self.client.lock().await;
        let client = match &*connected {
            Some(client) => client.clone(),
            None => {
                let client = Client::connect(&self.name, &self.settings, &self.store).await?;
                connected.insert(Arc::new(client)).clone()
            }
        };
        if let Some(directory) = self.directory() {
            return Ok((client, directory));
        }
        Ok((client.clone(), self.read_anew(&client).await?))
    }

    /// Reads what the hub holds now. Until that is known, what was known serves the other lights.
    async fn read_anew(&self, client: &Client) -> Result<Arc<Directory>, Trouble> {
        let directory = Arc::new(self.read(client).await?);
        *self.directory.lock().unwrap_or_else(PoisonError::into_inner) = Some(directory.clone());
        Ok(directory)
    }

    /// What the hub holds, where that is known.
    fn directory(&self) -> Option<Arc<Directory>> {
        self.directory.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn read(&self, client: &Client) -> Result<Directory, Trouble> {
        let answer = client.ask(Method::GET, "/clip/v2/resource", None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Err(self.not_a_hub("no CLIP v2; is its software current?"));
        }
        if !answer.status.is_success() {
            return Err(self.refused(&answer));
        }
        let directory = Directory::read(&answer.body).ok_or_else(|| self.not_a_hub("no JSON"))?;
        match (&self.settings.id, &directory.hub_id) {
            (Some(meant), Some(there)) if !meant.eq_ignore_ascii_case(there) => Err(busy(
                &self.name,
                None,
                &format!(
                    "this is hub {there}, and hubs.{0}.id is {meant}: correct hubs.{0}.host or hubs.{0}.id",
                    self.name
                ),
            )),
            _ => Ok(directory),
        }
    }

    /// Connects, tries the key, and reads what there is. The text is for people.
    pub async fn check(&self) -> Result<String, Trouble> {
        let (_, directory) = self.session().await?;
        let id = directory.hub_id.as_deref().or(self.settings.id.as_deref()).unwrap_or("without an id");
        Ok(format!("hub {id} at {} takes the key", self.settings.host))
    }

    /// Finds a target on the hub. The text is for people.
    pub async fn check_target(&self, target: &Target) -> Result<String, Trouble> {
        let (_, directory) = self.session().await?;
        let endpoint = directory.find(target).map_err(|error| self.unfound(&error.to_string()))?;
        Ok(format!("{} {}", endpoint.kind, endpoint.id))
    }

    async fn put(&self, client: &Client, endpoint: &Endpoint, look: Look, on: bool) -> Result<Obeyed, Trouble> {
        let path = format!("/clip/v2/resource/{}/{}", endpoint.kind, endpoint.id);
        let body = command::body(look, endpoint.ability, on);
        tracing::debug!(hub = %self.name, %path, %body, "command");
        let answer = client.ask(Method::PUT, &path, Some(&body)).await?;
        if answer.status.is_success() {
            return command::obeyed(&answer.body).ok_or_else(|| self.not_a_hub("no JSON"));
        }
        Err(self.refused(&answer))
    }

    fn not_a_hub(&self, why: &str) -> Trouble {
        let (host, hub) = (&self.settings.host, &self.name);
        busy(hub, None, &format!("{host} answers, but not as a Hue hub does ({why}): is hubs.{hub}.host right?"))
    }

    fn unfound(&self, what: &str) -> Trouble {
        Trouble::Light { reason: format!("hub {}: {what}", self.name) }
    }

    /// What an answer that refuses asks us to do.
    fn refused(&self, answer: &Answer) -> Trouble {
        let says = command::refusal(&answer.body).map(|text| format!(" ({text})")).unwrap_or_default();
        let status = answer.status;
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Trouble::Stop {
                reason: format!(
                    "hub {0}: the hub does not know the application key in hubs.{0}.key or key_file. Press the hub's \
                     link button, make a new key (POST /api), set it there and start again",
                    self.name
                ),
            },
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                let what = format!("the hub is overloaded: {status}{says}; should it last, restart the hub");
                busy(&self.name, answer.retry_after, &what)
            }
            StatusCode::NOT_FOUND => self.unfound(&format!("what the target was is gone: {status}{says}")),
            status if status.is_client_error() => self.unfound(&format!("the hub refuses the command: {status}{says}")),
            _ => busy(&self.name, answer.retry_after, &format!("the hub answers {status}{says}")),
        }
    }
}

/// A light, room, zone or group on a hub.
pub struct HueLight {
    hub: Arc<HueHub>,
    name: Name,
    target: Target,
    /// What the hub held last did not serve: it is read again before the next command.
    is_lost: AtomicBool,
    /// What it was last sent and showed without a word against it.
    last: std::sync::Mutex<Option<Look>>,
}

impl HueLight {
    /// `name` is the light's in the configuration.
    pub fn new(hub: Arc<HueHub>, name: Name, target: Target) -> Self {
        Self { hub, name, target, is_lost: AtomicBool::new(false), last: std::sync::Mutex::default() }
    }

    /// The hub, and where on it commands go.
    async fn find(&self) -> Result<(Arc<Client>, Endpoint), Trouble> {
        let (client, mut directory) = self.hub.session().await?;
        if self.is_lost.load(Ordering::Relaxed) {
            directory = self.hub.read_anew(&client).await?;
        }
        let found = directory.find(&self.target);
        self.is_lost.store(found.is_err(), Ordering::Relaxed);
        let endpoint = found.map_err(|error| self.hub.unfound(&format!("lights.{}.target: {error}", self.name)))?;
        Ok((client, endpoint))
    }

    fn last(&self) -> MutexGuard<'_, Option<Look>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn command(&self, look: Look, on: bool) -> Result<Obeyed, Trouble> {
        let (client, endpoint) = self.find().await?;
        if on && self.last().is_some_and(|last| command::is_same(last, look, endpoint.ability)) {
            return Ok(Obeyed::default());
        }
        let commanded = self.hub.put(&client, &endpoint, look, on).await;
        *self.last() = commanded.as_ref().is_ok_and(|obeyed| *obeyed == Obeyed::default()).then_some(look);
        if matches!(commanded, Err(Trouble::Light { .. })) {
            self.is_lost.store(true, Ordering::Relaxed);
        }
        commanded
    }
}

impl Light for HueLight {
    /// Until the target is found it is taken for a group, which has the stricter limit.
    fn load(&self) -> Load {
        let found = || self.hub.directory().and_then(|directory| directory.find(&self.target).ok());
        let single =
            self.target.kind == Some(TargetKind::Light) || found().is_some_and(|endpoint| !endpoint.is_group());
        if single { Load::Single } else { Load::Group }
    }

    fn prepare(&self) -> Asked<'_, ()> {
        Box::pin(async { self.find().await.map(drop) })
    }

    fn show(&self, look: Look, on: bool) -> Asked<'_, Obeyed> {
        Box::pin(self.command(look, on))
    }
}
