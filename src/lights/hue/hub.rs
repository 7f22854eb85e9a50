//! One hub: connected and read when something is first asked of it, and so kept for all its lights.

mod mend;
mod scenes;
mod standing;
mod trouble;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex as Lock, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::{Mutex, Notify};

use super::LIMITS;
use super::certificate::{Known, Taken, Verifier};
use super::client::{Answer, Client, Place, Session};
use super::dialect::Dialect;
use super::v2::command::Put;
use super::v2::resources::Directory;
use super::v2::shared::{self, Lights, Unserved};
use crate::lights::{Lamp, Obeyed, Standing, Trouble};
use crate::presence::Name;
use crate::settings::{self, Api};
use crate::store::{HubKey, Store, StoreError};

/// Lights that are read one after another share one answer.
const SAME_READING: Duration = Duration::from_millis(500);

/// One hub.
pub struct HueHub {
    /// Its name in the configuration, or its address where it has none.
    name: String,
    settings: settings::Hub,
    store: Store,
    link: Mutex<Option<Arc<Link>>>,
    /// What it holds, once read. Locked for moments only.
    directory: Lock<Option<Arc<Directory>>>,
    /// Where it was found after it had moved.
    moved: Lock<Option<String>>,
    /// Whether what was kept of that was looked up.
    recalled: AtomicBool,
    /// Keys that it does not know any more. They are not tried again.
    refused: Lock<Vec<SecretString>>,
    /// When the next command to a single lamp may go.
    pace: Mutex<Option<Instant>>,
    /// What all lamps showed when they were last read, and when that was; none since a command or an event.
    lamps: Mutex<Option<(Instant, Arc<Vec<Lamp>>)>>,
    standing: Lock<Standing>,
    /// For who listens to its events: the key is refused, or somebody paired it.
    stir: Notify,
}

/// A connected hub.
pub(super) struct Link {
    pub session: Session,
    pub dialect: Dialect,
}

/// What is known of a hub before it is asked.
struct Acquaintance {
    id: Option<String>,
    host: String,
    key: Option<SecretString>,
    /// Whether the configuration brings the key, and pairing did not.
    is_configured: bool,
}

impl HueHub {
    /// `name` is the hub's in the configuration.
    pub fn new(name: &Name, settings: settings::Hub, store: Store) -> Self {
        Self::called(name.as_str(), settings, store)
    }

    /// A hub that need not be in the configuration.
    pub(in crate::lights) fn called(name: &str, settings: settings::Hub, store: Store) -> Self {
        Self {
            name: name.to_owned(),
            settings,
            store,
            link: Mutex::default(),
            directory: Lock::default(),
            moved: Lock::default(),
            recalled: AtomicBool::default(),
            refused: Lock::default(),
            pace: Mutex::default(),
            lamps: Mutex::default(),
            standing: Lock::default(),
            stir: Notify::new(),
        }
    }

    /// What people call it.
    pub(in crate::lights) fn name(&self) -> &str {
        &self.name
    }

    /// Connects and reads what the hub holds, unless that is known.
    pub(super) async fn session(&self) -> Result<(Arc<Link>, Arc<Directory>), Trouble> {
        // Held over the questions, so that lights which start together ask once.
        let mut linked = self.link.lock().await;
        let link = match &*linked {
            Some(link) => link.clone(),
            None => {
                let (link, directory) = self.connect().await?;
                *lock(&self.directory) = Some(Arc::new(directory));
                linked.insert(Arc::new(link)).clone()
            }
        };
        drop(linked);
        if let Some(directory) = self.directory() {
            return Ok((link, directory));
        }
        Ok((link.clone(), self.read_anew(&link).await?))
    }

    async fn connect(&self) -> Result<(Link, Directory), Trouble> {
        let is_hint = self.recall().await;
        match self.connect_there().await {
            Err(trouble @ Trouble::Hub { .. }) if is_hint => {
                self.forget_move(&trouble);
                let connected = self.connect_there().await;
                if connected.is_ok() {
                    self.is_back_home().await;
                }
                connected
            }
            connected => connected,
        }
    }

    async fn connect_there(&self) -> Result<(Link, Directory), Trouble> {
        let mut verifier = None;
        let connected = self.approach(&mut verifier).await;
        self.noted(verifier.as_deref(), connected)
    }

    /// Finds out with which key to ask whom, meets the hub, and reads it by the API that it speaks.
    async fn approach(&self, verifier: &mut Option<Arc<Verifier>>) -> Result<(Link, Directory), Trouble> {
        let Acquaintance { id, host, key, is_configured } = self.acquaintance().await?;
        let key = key.ok_or_else(|| self.without_key())?;
        let is_plain = self.is_plain();
        let place = Place { hub: self.name.clone(), host, is_plain };
        let kept = match (&self.settings.certificate_sha256, &id) {
            (None, Some(id)) => self.store.hub_pin(id).await.map_err(|error| self.stored(&error))?,
            _ => None,
        };
        let configured = self.settings.certificate_sha256;
        let is_known = is_plain || configured.is_some() || kept.is_some();
        let known = Known { id: id.clone(), configured, kept, first: is_configured, any: false };
        let client = Client::new(place, known)?;
        *verifier = Some(client.verifier().clone());
        if let (false, Some(id)) = (is_known, &id) {
            self.meet(&client, id).await?;
        }
        if let (true, Some(id)) = (is_plain, &id) {
            self.ask_who_it_is(&client, id).await?;
        }
        if is_plain {
            tracing::warn!(
                hub = self.name,
                "CLIP v1 by plain http: whoever shares its network can read this hub's key and commands"
            );
        }
        let session = client.with_key(key)?;
        self.converse(session, id.as_deref()).await
    }

    /// Whether it is spoken to by http, without a certificate.
    fn is_plain(&self) -> bool {
        self.settings.api == Some(Api::V1) && self.settings.certificate_sha256.is_none()
    }

    async fn converse(&self, session: Session, id: Option<&str>) -> Result<(Link, Directory), Trouble> {
        let mut link =
            Link { session, dialect: if self.settings.api == Some(Api::V1) { Dialect::V1 } else { Dialect::V2 } };
        let read = match self.read(&link, id).await {
            Err(Unread::NoSuchApi) if self.settings.api.is_none() => {
                link.dialect = Dialect::V1;
                let read = self.read(&link, id).await;
                if read.is_ok() {
                    tracing::info!(hub = self.name, "the hub has no CLIP v2 and is spoken to by v1");
                }
                read
            }
            read => read,
        };
        match read {
            Ok(directory) => Ok((link, directory)),
            Err(Unread::NoSuchApi) => Err(self.not_a_hub("no CLIP v2; is its software current?")),
            Err(Unread::Trouble(trouble)) => Err(trouble),
        }
    }

    /// First contact: a question that needs no key, then the certificate is kept before the key is sent.
    async fn meet(&self, client: &Client, id: &str) -> Result<(), Trouble> {
        let answer = client.ask(Method::GET, "/api/config", None).await;
        if let Some(Ok(Taken::First(pin) | Taken::Vouched { pin, .. })) = client.judged() {
            client.hold_to(pin);
            self.store.set_hub_pin(id, pin).await.map_err(|error| self.stored(&error))?;
            tracing::info!(
                hub = self.name,
                id,
                "took the hub's certificate at the first contact; from now on it is held to"
            );
        }
        answer.map(drop)
    }

    /// The hub's id, host and key: from the configuration, else from when it was paired.
    async fn acquaintance(&self) -> Result<Acquaintance, Trouble> {
        let paired = self.paired().await.map_err(|error| self.stored(&error))?;
        let moved = lock(&self.moved).clone();
        let host = moved.unwrap_or_else(|| self.settings.host.clone());
        let id = self.settings.id.clone().or_else(|| paired.as_ref().map(|paired| paired.hub_id.clone()));
        let refused = lock(&self.refused);
        let is_refused = |key: &SecretString| refused.iter().any(|it| it.expose_secret() == key.expose_secret().trim());
        let configured = self.settings.key.clone().filter(|key| !is_refused(key));
        let is_configured = configured.is_some();
        let key = configured.or_else(|| paired.map(|paired| paired.key).filter(|key| !is_refused(key)));
        drop(refused);
        Ok(Acquaintance { id, host, key, is_configured })
    }

    /// What pairing kept of it: by its id, else by its name, else by its address. Where a hub has taken another's
    /// place, it is the one that was paired last.
    async fn paired(&self) -> Result<Option<HubKey>, StoreError> {
        let kept = self.store.hub_keys().await?;
        let last = |is_it: &dyn Fn(&HubKey) -> bool| {
            kept.iter().filter(|hub| is_it(hub)).max_by_key(|hub| hub.paired_at).cloned()
        };
        Ok(match &self.settings.id {
            Some(id) => last(&|hub| hub.hub_id.eq_ignore_ascii_case(id)),
            None => last(&|hub| hub.name == self.name).or_else(|| last(&|hub| hub.host == self.settings.host)),
        })
    }

    /// Reads what the hub holds now. Until that is known, what was known serves the other lights.
    pub(super) async fn read_anew(&self, link: &Link) -> Result<Arc<Directory>, Trouble> {
        let read = self.read(link, None).await.map_err(|unread| match unread {
            Unread::NoSuchApi => self.not_a_hub("what it answered before is gone"),
            Unread::Trouble(trouble) => trouble,
        });
        let mut directory = self.noted(Some(link.session.client.verifier()), read)?;
        self.keep_learned_scenes(link, &mut directory);
        let directory = Arc::new(directory);
        *lock(&self.directory) = Some(directory.clone());
        Ok(directory)
    }

    /// What the hub holds, where that is known.
    pub(super) fn directory(&self) -> Option<Arc<Directory>> {
        lock(&self.directory).clone()
    }

    async fn read(&self, link: &Link, id: Option<&str>) -> Result<Directory, Unread> {
        let mut answers = Vec::new();
        for path in link.dialect.directory_paths() {
            let answer = link.session.ask(Method::GET, path, None).await.map_err(Unread::Trouble)?;
            if answer.status == StatusCode::NOT_FOUND {
                return Err(Unread::NoSuchApi);
            }
            self.accepted(link, &answer).await.map_err(Unread::Trouble)?;
            answers.push(answer.body);
        }
        let directory = link.dialect.directory(&answers).ok_or_else(|| {
            let says = answers.iter().find_map(|answer| link.dialect.refusal(answer));
            Unread::Trouble(self.not_a_hub(says.as_deref().unwrap_or("no JSON")))
        })?;
        match (self.settings.id.as_deref().or(id), &directory.hub_id) {
            (Some(meant), Some(there)) if !meant.eq_ignore_ascii_case(there) => {
                Err(Unread::Trouble(self.is_another(there, meant)))
            }
            _ => Ok(directory),
        }
    }

    /// What every lamp shows.
    pub(super) async fn lamps(&self, link: &Link) -> Result<Arc<Vec<Lamp>>, Trouble> {
        // Held over the question, so that lights which are read together ask once.
        let mut read = self.lamps.lock().await;
        if let Some((at, lamps)) = &*read
            && at.elapsed() < SAME_READING
        {
            return Ok(lamps.clone());
        }
        let mut answers = Vec::new();
        for path in link.dialect.lamps_paths() {
            match self.ask(link, Method::GET, path, None).await {
                Ok(answer) => answers.push(answer.body),
                // A hub that does not know it can be asked for the rest.
                Err(trouble @ Trouble::Light { .. }) if !answers.is_empty() => {
                    tracing::debug!(hub = self.name, path, "not told: {trouble}");
                }
                Err(trouble) => return Err(trouble),
            }
        }
        let lamps = link.dialect.lamps(&answers);
        let says = || link.dialect.refusal(&answers[0]).unwrap_or_else(|| "no JSON".to_owned());
        let lamps = Arc::new(lamps.ok_or_else(|| self.not_a_hub(&says()))?);
        *read = Some((Instant::now(), lamps.clone()));
        Ok(lamps)
    }

    /// What was read of its lamps may be no more.
    pub(super) async fn has_changed(&self) {
        *self.lamps.lock().await = None;
    }

    /// The event stream, from behind an event; none where the hub has none.
    pub(super) async fn stream(&self, last_id: Option<&str>) -> Result<Option<reqwest::Response>, Trouble> {
        let (link, _) = self.session().await?;
        let Some(path) = link.dialect.events_path() else { return Ok(None) };
        let opened = match link.session.stream(path, last_id).await {
            Ok(Ok(stream)) => Ok(Some(stream)),
            Ok(Err(answer)) => Err(self.refusal(&link, &answer).await),
            Err(trouble) => Err(trouble),
        };
        self.noted(Some(link.session.client.verifier()), opened)
    }

    /// A question whose answer is to be one of success.
    async fn ask(&self, link: &Link, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Trouble> {
        let asked = match link.session.ask(method, path, body).await {
            Ok(answer) => self.accepted(link, &answer).await.map(|()| answer),
            Err(trouble) => Err(trouble),
        };
        self.noted(Some(link.session.client.verifier()), asked)
    }

    pub(super) async fn put(&self, link: &Link, put: &Put) -> Result<Obeyed, Trouble> {
        if !put.is_group() {
            self.pace().await;
        }
        let (path, body) = link.dialect.request(put);
        tracing::debug!(hub = self.name, path, %body, "command");
        let answer = self.ask(link, Method::PUT, &path, Some(&body)).await;
        self.has_changed().await;
        let answer = answer?;
        let obeyed = link.dialect.obeyed(&answer.body, put.is_group()).ok_or_else(|| self.not_a_hub("no JSON"))?;
        obeyed.map_err(|complaint| self.unfound(&complaint))
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
}

/// Why what a hub holds was not read.
enum Unread {
    /// It does not speak this API.
    NoSuchApi,
    Trouble(Trouble),
}

/// For people.
impl HueHub {
    /// Connects, tries the key, and reads what there is. The text is for people.
    pub async fn check(&self) -> Result<String, Trouble> {
        let (link, directory) = self.reach().await?;
        let id = directory.hub_id.as_deref().or(self.settings.id.as_deref()).unwrap_or("without an id");
        Ok(format!("hub {id} at {} takes the key", link.session.client.place().host))
    }

    /// Finds one of its lights on the hub, and the scenes that it is to show. The texts are for people.
    pub(in crate::lights) async fn check_light(
        &self,
        lights: &Lights,
        light: usize,
        scenes: &[&str],
    ) -> Result<String, Trouble> {
        let (_, directory) = self.session().await?;
        let endpoint = shared::endpoint(&directory, lights, light).map_err(|why| match why {
            Unserved::Unfound(error) => self.unfound(&error.to_string()),
            Unserved::Shared { with, lamps } => {
                self.unfound(&shared::refusal(&directory, &lights[light].0, &lights[with].0, &lamps))
            }
        })?;
        let missing = scenes.iter().find_map(|name| directory.scene(name, endpoint.place.as_deref()).err());
        match missing {
            Some(missing) => Err(self.unfound(&format!("{missing}: correct it in colors, or in those of the light"))),
            None => Ok(format!("{} {}", endpoint.kind, endpoint.id)),
        }
    }
}

fn lock<T>(it: &Lock<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}
