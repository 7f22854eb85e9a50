//! The hub's event stream: connected again and again, what it tells put to the lights that it concerns.
//!
//! `GET /eventstream/clip/v2`: each event's data is an array of `{"type": "update"|"add"|"delete"|"error",
//! "data": [parts of resources]}`. Nothing keeps the connection alive, so one that is silent is made anew.
//! Some hubs replay old events to whoever connects: what comes at once on a first connection is passed
//! over, and whoever listens is told to read everything.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::super::hub::HueHub;
use super::super::v1::Poll;
use super::resources::{Directory, LIGHT, seen};
use super::sse::{Frame, Reader, order};
use crate::lights::{Event, Seen, Source, Standing, Trouble};
use crate::settings::Target;

/// A connection that is silent for longer is made anew.
const SILENCE: Duration = Duration::from_secs(90);
/// Events may have been missed when nothing was heard for longer.
const GAP: Duration = Duration::from_secs(60);
/// How long old events can come on a new connection.
const REPLAY: Duration = Duration::from_secs(1);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// How often a hub that is not reached is looked for at another address.
const SEARCH: Duration = Duration::from_secs(60);

/// A hub's event stream, and the lights that it concerns.
pub struct Watch {
    hub: Arc<HueHub>,
    targets: Vec<Target>,
}

/// Where the stream was left.
#[derive(Default)]
struct Place {
    last_id: Option<String>,
    /// The last proof that the stream lived.
    heard: Option<Instant>,
}

impl Place {
    /// Whether a stream that begins now goes on where the last one ended.
    fn goes_on(&self) -> bool {
        self.last_id.is_some() && self.heard.is_some_and(|heard| heard.elapsed() < GAP)
    }

    /// Whether an event is new, and remembers it.
    fn is_new(&mut self, frame: &Frame) -> bool {
        let Some(id) = &frame.id else { return true };
        let before = self.last_id.as_deref().and_then(order);
        if order(id).is_some_and(|id| before.is_some_and(|before| id <= before)) {
            return false;
        }
        self.last_id = Some(id.clone());
        true
    }
}

/// Nobody listens any more.
struct Unheard;

impl Watch {
    /// `targets` in the order of the hub's lights.
    pub fn new(hub: Arc<HueHub>, targets: Vec<Target>) -> Self {
        Self { hub, targets }
    }

    async fn follow(&self, events: &Sender<Event>) -> Result<(), Unheard> {
        let mut place = Place::default();
        let mut pause = FIRST_RETRY;
        let mut searched: Option<Instant> = None;
        let mut is_stirred = false;
        loop {
            let began = Instant::now();
            let opened = self.hub.stream(place.last_id.as_deref()).await;
            if opened.is_ok() && std::mem::take(&mut is_stirred) {
                events.send(Event::Mended).await.map_err(|_| Unheard)?;
            }
            match opened {
                Ok(stream) => {
                    tokio::select! {
                        listened = self.hear(stream, &mut place, events) => listened?,
                        () = self.hub.stirred() => {
                            (place, is_stirred) = (Place::default(), true);
                            continue;
                        }
                    }
                }
                Err(Trouble::Stop { .. }) => {
                    events.send(Event::Stopped).await.map_err(|_| Unheard)?;
                    tokio::select! {
                        () = events.closed() => return Err(Unheard),
                        () = self.hub.mended() => {}
                    }
                    events.send(Event::Mended).await.map_err(|_| Unheard)?;
                    pause = FIRST_RETRY;
                    continue;
                }
                Err(trouble) => {
                    tracing::debug!("no events: {trouble}");
                    if searched.is_none_or(|at| at.elapsed() > SEARCH) {
                        searched = Some(Instant::now());
                        let moved = self.hub.relocate().await;
                        if moved.is_some_and(|reached| !matches!(reached, Err(Trouble::Hub { .. }))) {
                            continue;
                        }
                    }
                }
            }
            pause = if began.elapsed() > LONGEST_RETRY { FIRST_RETRY } else { (pause * 2).min(LONGEST_RETRY) };
            let longest = pause.as_millis() as u64;
            tokio::select! {
                () = events.closed() => return Err(Unheard),
                () = sleep(Duration::from_millis(fastrand::u64(longest / 2..=longest))) => {}
                () = self.hub.may_be_mended() => {
                    pause = FIRST_RETRY;
                    events.send(Event::Mended).await.map_err(|_| Unheard)?;
                }
            }
        }
    }

    /// Passes on what the hub tells, or what is asked of one that tells nothing by itself, until that ends.
    async fn hear(
        &self,
        stream: Option<reqwest::Response>,
        place: &mut Place,
        events: &Sender<Event>,
    ) -> Result<(), Unheard> {
        match stream {
            Some(stream) => self.listen(stream, place, events).await,
            None => self.poll(events).await,
        }
    }

    /// Asks a hub that tells nothing by itself, until it does not answer.
    async fn poll(&self, events: &Sender<Event>) -> Result<(), Unheard> {
        let mut poll = Poll::default();
        let mut concerns = Concerns::default();
        loop {
            let Ok((link, directory)) = self.hub.session().await else { return Ok(()) };
            let Ok(lamps) = self.hub.lamps(&link).await else { return Ok(()) };
            concerns.know(directory, &self.targets);
            for event in poll.take(&lamps, |lamp| concerns.lights.get(lamp).cloned().unwrap_or_default()) {
                events.send(event).await.map_err(|_| Unheard)?;
            }
            tokio::select! {
                () = events.closed() => return Err(Unheard),
                () = sleep(Poll::PAUSE) => {}
            }
        }
    }

    /// Passes on what a stream tells, until it ends.
    async fn listen(
        &self,
        mut stream: reqwest::Response,
        place: &mut Place,
        events: &Sender<Event>,
    ) -> Result<(), Unheard> {
        let goes_on = place.goes_on();
        tracing::debug!(hub = self.hub.name(), goes_on, "events are listened to");
        let mut reader = Reader::default();
        let mut concerns = Concerns::default();
        let mut replay_ends = (!goes_on).then(|| Instant::now() + REPLAY);
        place.heard = Some(Instant::now());
        loop {
            let chunk = match replay_ends {
                Some(at) => timeout_at(at, stream.chunk()).await,
                None => tokio::select! {
                    () = events.closed() => return Err(Unheard),
                    chunk = timeout(SILENCE, stream.chunk()) => chunk,
                },
            };
            let is_old = replay_ends.is_some();
            match chunk {
                Ok(Ok(Some(piece))) => {
                    place.heard = Some(Instant::now());
                    for frame in reader.take(&piece) {
                        if place.is_new(&frame) && !is_old {
                            self.tell(&frame.data, &mut concerns, events).await?;
                        }
                    }
                }
                Err(_) if is_old => {}
                Ok(Ok(None) | Err(_)) | Err(_) => return Ok(()),
            }
            if replay_ends.take_if(|at| *at <= Instant::now()).is_some() {
                events.send(Event::Missed).await.map_err(|_| Unheard)?;
            }
        }
    }

    async fn tell(&self, data: &[u8], concerns: &mut Concerns, events: &Sender<Event>) -> Result<(), Unheard> {
        let Ok(Value::Array(batches)) = serde_json::from_slice(data) else { return Ok(()) };
        for batch in &batches {
            let kind = batch.get("type").and_then(Value::as_str).unwrap_or_default();
            for resource in batch.get("data").and_then(Value::as_array).into_iter().flatten() {
                if changes_the_directory(kind, resource) {
                    self.hub.forget_directory();
                } else if kind == "update" {
                    if let Some(directory) = self.hub.directory() {
                        concerns.know(directory, &self.targets);
                    }
                    for event in concerns.of(resource) {
                        events.send(event).await.map_err(|_| Unheard)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Source for Watch {
    fn standing(&self) -> Option<Standing> {
        Some(self.hub.standing())
    }

    fn was_paired(&self) {
        self.hub.was_paired();
    }

    fn watch(&self, events: Sender<Event>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let Err(Unheard) = self.follow(&events).await else { return };
        })
    }
}

/// Whether rooms, zones, lights or their names are no longer what was read.
fn changes_the_directory(kind: &str, resource: &Value) -> bool {
    const TYPES: [&str; 6] = ["room", "zone", "bridge_home", "grouped_light", "light", "scene"];
    let is_of = |types: &[&str]| resource.get("type").and_then(Value::as_str).is_some_and(|it| types.contains(&it));
    match kind {
        "add" | "delete" => is_of(&TYPES),
        "update" => {
            is_of(&["room", "zone", "bridge_home"])
                || (is_of(&["light", "scene"]) && resource.pointer("/metadata/name").is_some())
        }
        _ => false,
    }
}

/// Which lights a lamp or device belongs to, as the hub's resources have it.
#[derive(Default)]
struct Concerns {
    directory: Option<Arc<Directory>>,
    lights: HashMap<String, Vec<usize>>,
}

impl Concerns {
    fn know(&mut self, directory: Arc<Directory>, targets: &[Target]) {
        if self.directory.as_ref().is_some_and(|known| Arc::ptr_eq(known, &directory)) {
            return;
        }
        self.lights.clear();
        for (light, target) in targets.iter().enumerate() {
            let Ok(endpoint) = directory.find(target) else { continue };
            for id in endpoint.lamps.into_iter().flat_map(|lamp| [Some(lamp.id), lamp.device]).flatten() {
                let lights = self.lights.entry(id).or_default();
                if lights.last() != Some(&light) {
                    lights.push(light);
                }
            }
        }
        self.directory = Some(directory);
    }

    /// What a part of a resource means for the lights.
    fn of(&self, resource: &Value) -> Vec<Event> {
        let text = |pointer: &str| resource.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let lights = |id: &str| self.lights.get(id).into_iter().flatten().copied();
        match text("/type") {
            LIGHT => {
                let Some(lamp) = seen(resource).filter(crate::lights::Lamp::is_told) else { return Vec::new() };
                lights(&lamp.id).map(|light| Event::Changed { light, seen: Seen(vec![lamp.clone()]) }).collect()
            }
            "zigbee_connectivity" => {
                let is_back = text("/status") == "connected";
                let event = |light| if is_back { Event::Back { light } } else { Event::Lost { light } };
                lights(text("/owner/rid")).filter(|_| !text("/status").is_empty()).map(event).collect()
            }
            _ => Vec::new(),
        }
    }
}
