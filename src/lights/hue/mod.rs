//! Philips Hue by CLIP v2: one hub, and the lights, rooms and zones on it.
//!
//! # Layout
//! - [`client`]: https to one hub; [`certificate`], [`leaf`], [`signify`]: whether it is the hub meant.
//! - [`resources`]: what the hub holds, and where a target's commands go.
//! - [`command`], [`color`]: from a look to a PUT, and what the answer means.

mod certificate;
mod client;
mod color;
mod command;
mod leaf;
mod resources;
mod signify;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokio::sync::Mutex;

use self::client::{Answer, Client, busy};
use self::resources::{Directory, Endpoint};
use super::{Commanded, Light, Limits, Load, Look, Obeyed, Trouble};
use crate::presence::Name;
use crate::settings::{self, Target};
use crate::store::Store;

/// What Signify asks for: about ten light commands and one group command a second (commands to
/// groups 800 ms apart already stutter), three requests at once.
pub const LIMITS: Limits = Limits { single: Duration::from_millis(100), group: Duration::from_secs(1), at_once: 3 };

/// One hub. It is connected and read when something is first asked of it.
pub struct HueHub {
    name: Name,
    settings: settings::Hub,
    store: Store,
    session: Mutex<Session>,
}

#[derive(Default)]
struct Session {
    client: Option<Arc<Client>>,
    directory: Option<Arc<Directory>>,
}

impl HueHub {
    /// `name` is the hub's in the configuration.
    pub fn new(name: Name, settings: settings::Hub, store: Store) -> Self {
        Self { name, settings, store, session: Mutex::default() }
    }

    /// Connects and reads what the hub holds, unless that is known.
    async fn session(&self) -> Result<(Arc<Client>, Arc<Directory>), Trouble> {
        let mut session = self.session.lock().await;
        let client = match &session.client {
            Some(client) => client.clone(),
            None => {
                let client = Arc::new(Client::connect(&self.name, &self.settings, &self.store).await?);
                session.client.insert(client).clone()
            }
        };
        let directory = match &session.directory {
            Some(directory) => directory.clone(),
            None => session.directory.insert(Arc::new(self.read(&client).await?)).clone(),
        };
        Ok((client, directory))
    }

    async fn read(&self, client: &Client) -> Result<Directory, Trouble> {
        let answer = client.ask(Method::GET, "/clip/v2/resource", None).await?;
        if !answer.status.is_success() {
            return Err(self.refused(&answer));
        }
        let directory = Directory::read(&answer.body).ok_or_else(|| self.not_a_hub())?;
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

    /// What the hub holds is read again before the next command.
    async fn forget(&self) {
        self.session.lock().await.directory = None;
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
            return command::obeyed(&answer.body).ok_or_else(|| self.not_a_hub());
        }
        Err(self.refused(&answer))
    }

    fn not_a_hub(&self) -> Trouble {
        busy(&self.name, None, &format!("{} answers, but not as a Hue hub does (no JSON)", self.settings.host))
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
                    "hub {0}: the hub does not know the application key in hubs.{0}.key. Press the hub's link button, \
                     make a new key (POST /api), set it there and start again",
                    self.name
                ),
            },
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                busy(&self.name, answer.retry_after, &format!("the hub is overloaded: {status}{says}"))
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
    /// Until the target is found it is taken for a group, which has the stricter limit.
    single: AtomicBool,
}

impl HueLight {
    /// `name` is the light's in the configuration.
    pub fn new(hub: Arc<HueHub>, name: Name, target: Target) -> Self {
        Self { hub, name, target, single: AtomicBool::new(false) }
    }

    async fn command(&self, look: Look, on: bool) -> Result<Obeyed, Trouble> {
        let (client, directory) = self.hub.session().await?;
        let commanded = match directory.find(&self.target) {
            Ok(endpoint) => {
                self.single.store(!endpoint.is_group(), Ordering::Relaxed);
                self.hub.put(&client, &endpoint, look, on).await
            }
            Err(error) => Err(self.hub.unfound(&format!("lights.{}.target: {error}", self.name))),
        };
        if matches!(commanded, Err(Trouble::Light { .. })) {
            self.hub.forget().await;
        }
        commanded
    }
}

impl Light for HueLight {
    fn load(&self) -> Load {
        if self.single.load(Ordering::Relaxed) { Load::Single } else { Load::Group }
    }

    fn show(&self, look: Look, on: bool) -> Commanded<'_> {
        Box::pin(self.command(look, on))
    }
}
