//! Philips Hue: one hub, and the lights, rooms and zones on it.
//!
//! # Layout
//! - `client`: https to one hub; `certificate`, `leaf`, `signify`: whether it is the hub meant.
//! - `ability`, `color`: what a lamp can, and what becomes of a colour on it.
//! - `v2`: CLIP v2.

mod ability;
mod certificate;
mod client;
mod color;
mod leaf;
mod signify;
mod v2;

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use tokio::sync::Mutex;

use self::client::{Answer, Client, busy};
use self::v2::command::Put;
use self::v2::resources::Directory;
pub use self::v2::{HueLight, Watch};
use self::v2::{answer, seen};
use super::{Lamp, Limits, Obeyed, Trouble};
use crate::presence::Name;
use crate::settings::{self, Target};
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
    /// When the next command to a single lamp may go.
    pace: Mutex<Option<Instant>>,
    /// What all lamps showed when they were last read, and when that was; none since a command.
    lamps: Mutex<Option<(Instant, Arc<Vec<Lamp>>)>>,
}

/// Lights that are read one after another share one answer.
const SAME_READING: Duration = Duration::from_millis(500);

impl HueHub {
    /// `name` is the hub's in the configuration.
    pub fn new(name: Name, settings: settings::Hub, store: Store) -> Self {
        let (client, directory) = (Mutex::default(), std::sync::Mutex::default());
        Self { name, settings, store, client, directory, pace: Mutex::default(), lamps: Mutex::default() }
    }

    fn name(&self) -> &Name {
        &self.name
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

    /// Reads what it holds again before it is next used.
    fn forget_directory(&self) {
        *self.directory.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What every lamp shows.
    async fn lamps(&self, client: &Client) -> Result<Arc<Vec<Lamp>>, Trouble> {
        // Held over the question, so that lights which are read together ask once.
        let mut read = self.lamps.lock().await;
        if let Some((at, lamps)) = &*read
            && at.elapsed() < SAME_READING
        {
            return Ok(lamps.clone());
        }
        let at = Instant::now();
        let answer = client.ask(Method::GET, "/clip/v2/resource/light", None).await?;
        if !answer.status.is_success() {
            return Err(self.refused(&answer));
        }
        let lamps = Arc::new(seen(&answer.body).ok_or_else(|| self.not_a_hub("no JSON"))?);
        *read = Some((at, lamps.clone()));
        Ok(lamps)
    }

    /// The event stream, from behind an event.
    async fn stream(&self, last_id: Option<&str>) -> Result<reqwest::Response, Trouble> {
        let (client, _) = self.session().await?;
        match client.stream("/eventstream/clip/v2", last_id).await? {
            Ok(stream) => Ok(stream),
            Err(answer) => Err(self.refused(&answer)),
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

    async fn put(&self, client: &Client, put: &Put) -> Result<Obeyed, Trouble> {
        let Put { kind, id, body } = put;
        if !put.is_group() {
            self.pace().await;
        }
        let path = format!("/clip/v2/resource/{kind}/{id}");
        tracing::debug!(hub = %self.name, %path, %body, "command");
        let answer = client.ask(Method::PUT, &path, Some(body)).await;
        *self.lamps.lock().await = None;
        let answer = answer?;
        if answer.status.is_success() {
            return answer::obeyed(&answer.body, put.is_group()).ok_or_else(|| self.not_a_hub("no JSON"));
        }
        Err(self.refused(&answer))
    }

    /// Waits for the turn of a command to a single lamp. Whoever commands lights keeps the limits already;
    /// this is for lamps of a mixed group, which are sent more than one command.
    async fn pace(&self) {
        let mut free = self.pace.lock().await;
        if let Some(at) = free.filter(|at| *at > Instant::now()) {
            tokio::time::sleep_until(at.into()).await;
        }
        *free = Some(Instant::now() + LIMITS.single);
    }

    /// Comes back when what stopped everything is over.
    async fn mended(&self) {
        std::future::pending().await
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
        let says = answer::refusal(&answer.body).map(|text| format!(" ({text})")).unwrap_or_default();
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
