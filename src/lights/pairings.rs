//! Pairing from within a running process: begun by the page or by a request, one at a time for each hub, and
//! followed by whoever looks. The running hub takes the key up at once.
//!
//! It is [`hue::pair`] that does it, as for the command.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::hue::{self, NotPaired, Pairing, Terms};
use super::{Hub, Source, Standing};
use crate::presence::Name;
use crate::settings::{self, Settings};
use crate::store::Store;

/// How long the link button is waited for.
const WITHIN: Duration = Duration::from_secs(60);
/// How long it is remembered how one ended, for those who look in late.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Whoever overhears the same request twice pairs once.
const ONCE: Duration = Duration::from_secs(5);

/// How far the pairing of a hub is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Progress {
    /// Nobody asked for it lately.
    #[default]
    Idle,
    /// The hub is looked for.
    Starting,
    /// Somebody is to press the link button.
    Press {
        /// Until then.
        until: Instant,
        /// The certificates before and now, SHA-256 in hex, where the hub shows another one than was known.
        changed: Option<(String, String)>,
    },
    /// There is a key, and it is kept.
    Paired {
        /// The bridge id.
        id: String,
        /// What its owner calls it.
        name: Option<String>,
    },
    /// It ended without a key.
    Failed(NotPaired),
    /// Somebody cancelled it.
    Cancelled,
}

impl Progress {
    /// Whether something follows.
    pub fn is_under_way(&self) -> bool {
        matches!(self, Self::Starting | Self::Press { .. })
    }
}

/// A hub of the configuration, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubState {
    /// Its name.
    pub name: Name,
    /// How many lights hang on it; of one without, nothing is asked.
    pub lights: usize,
    /// How it stands.
    pub standing: Standing,
}

/// The hubs of this process, and their pairing. Cheap to clone; all clones see the same.
#[derive(Clone)]
pub struct Pairings(Arc<Inner>);

struct Inner {
    store: Store,
    hubs: BTreeMap<Name, Place>,
}

/// One hub.
struct Place {
    settings: settings::Hub,
    /// None where no light hangs on it.
    source: Option<Arc<dyn Source>>,
    lights: usize,
    progress: watch::Sender<Progress>,
    task: Mutex<Task>,
}

#[derive(Default)]
struct Task {
    running: Option<AbortHandle>,
    ended: Option<Instant>,
}

impl Place {
    fn task(&self) -> MutexGuard<'_, Task> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pairings {
    /// Of the hubs of the configuration; `hubs` are those on which lights hang.
    pub fn new(settings: &Settings, store: Store, hubs: &[Hub]) -> Self {
        let place = |(name, hub): (&Name, &settings::Hub)| {
            let driven = hubs.iter().find(|driven| driven.name == *name && driven.source.standing().is_some());
            let place = Place {
                settings: hub.clone(),
                source: driven.map(|driven| driven.source.clone()),
                lights: driven.map_or(0, |driven| driven.lights.len()),
                progress: watch::Sender::default(),
                task: Mutex::default(),
            };
            (name.clone(), place)
        };
        Self(Arc::new(Inner { store, hubs: settings.hubs.iter().map(place).collect() }))
    }

    /// Every hub, by its name.
    pub fn hubs(&self) -> Vec<HubState> {
        self.0.hubs.keys().filter_map(|name| self.hub(name.as_str())).collect()
    }

    /// One hub; none where the configuration has none of that name.
    pub fn hub(&self, name: &str) -> Option<HubState> {
        let (name, place) = self.0.hubs.get_key_value(name)?;
        let standing = place.source.as_ref().and_then(|source| source.standing()).unwrap_or_default();
        Some(HubState { name: name.clone(), lights: place.lights, standing })
    }

    /// How far the pairing of a hub is.
    pub fn progress(&self, name: &str) -> Progress {
        let Some(place) = self.0.hubs.get(name) else { return Progress::Idle };
        let is_over = place.task().ended.is_some_and(|ended| ended.elapsed() > REMEMBERED);
        if is_over { Progress::Idle } else { place.progress.borrow().clone() }
    }

    /// Begins to pair a hub, or joins the pairing that is under way; none where the configuration has no such
    /// hub. It goes on in a task of its own for a minute at most. `new_certificate`: as [`Terms`] say.
    pub fn start(&self, name: &str, new_certificate: bool) -> Option<watch::Receiver<Progress>> {
        let (name, place) = self.0.hubs.get_key_value(name)?;
        let mut task = place.task();
        let receiver = place.progress.subscribe();
        if !place.progress.borrow().is_under_way() {
            place.progress.send_replace(Progress::Starting);
            let work = self.clone().work(name.clone(), new_certificate);
            *task = Task { running: Some(tokio::spawn(work).abort_handle()), ended: None };
        }
        drop(task);
        Some(receiver)
    }

    /// What is asked of another member of the location: its hub gives a key to each of us by the one press of
    /// its button, so whoever needs one joins in.
    pub fn overhear(&self, name: &str, new_certificate: bool) {
        let Some(place) = self.0.hubs.get(name) else { return };
        let lately = place.task().ended.is_some_and(|ended| ended.elapsed() < ONCE);
        let needed = self.hub(name).is_some_and(|hub| hub.standing.condition.wants_pairing());
        if needed && !lately {
            self.start(name, new_certificate);
        }
    }

    /// Ends a pairing that is under way.
    pub fn cancel(&self, name: &str) {
        let Some(place) = self.0.hubs.get(name) else { return };
        let mut task = place.task();
        if place.progress.borrow().is_under_way() {
            task.running.take().inspect(AbortHandle::abort);
            task.ended = Some(Instant::now());
            place.progress.send_replace(Progress::Cancelled);
        }
    }

    async fn work(self, name: Name, new_certificate: bool) {
        let place = &self.0.hubs[&name];
        tracing::info!(hub = %name, "to be paired: press its link button within {} s", WITHIN.as_secs());
        let ended = match self.pair(&name, place, new_certificate).await {
            Ok(paired) => {
                tracing::info!(hub = %name, id = paired.id, "paired; the application key is kept in the store, sealed");
                Progress::Paired { id: paired.id, name: paired.name }
            }
            Err(not_paired) => {
                tracing::info!(hub = %name, "not paired: {not_paired}");
                Progress::Failed(not_paired)
            }
        };
        let mut task = place.task();
        // Whoever cancelled it has said so already.
        if place.progress.borrow().is_under_way() {
            task.ended = Some(Instant::now());
            place.progress.send_replace(ended);
        }
    }

    async fn pair(&self, name: &Name, place: &Place, new_certificate: bool) -> Result<hue::Paired, NotPaired> {
        let mut known = None;
        let mut show = |pairing: Pairing| match pairing {
            Pairing::Found { .. } => {}
            Pairing::Changed { before, now } => known = Some((before, now)),
            Pairing::Press { left } => {
                let (until, changed) = (Instant::now() + left, known.clone());
                place.progress.send_if_modified(|progress| {
                    let begins = *progress == Progress::Starting;
                    if begins {
                        *progress = Progress::Press { until, changed };
                    }
                    begins
                });
            }
        };
        let (store, terms) = (&self.0.store, Terms { within: WITHIN, new_certificate });
        let paired = hue::pair(&place.settings, name.as_str(), store, terms, &mut show).await?;
        paired.keep(name.as_str(), store, jiff::Timestamp::now()).await?;
        if let Some(source) = &place.source {
            source.was_paired();
        }
        Ok(paired)
    }
}
