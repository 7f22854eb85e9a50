//! The hub's event stream: connected again and again, what it tells put to the lights that it concerns.
//!
//! `GET /eventstream/clip/v2`: each event's data is an array of `{"type": "update"|"add"|"delete"|"error",
//! "data": [parts of resources]}`. Nothing keeps the connection alive, so one that is silent is made anew.
//! Some hubs replay old events to whoever connects: what comes at once on a first connection is passed
//! over. Others send what was missed behind the event seen last, which tells a person's hand in a gap from what
//! became of the lamps otherwise. Whether one does is not known: after every new connection, whoever listens is
//! told to read everything. What the hub holds is read again then too, and when it tells of a change in that.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, timeout_at};

use super::super::hub::HueHub;
use super::super::v1::Poll;
use super::resources::{Directory, LIGHT, seen};
use super::shared::endpoints;
use super::sse::{Frame, Reader, order};
use crate::lights::stopped::was_stopped;
use crate::lights::{Event, Seen, Source, Standing, Trouble};
use crate::settings::Target;

/// A connection that is silent for longer is made anew.
const SILENCE: Duration = Duration::from_secs(90);
/// What a hub sends again behind the last event is believed when nothing was heard for no longer.
const GAP: Duration = Duration::from_secs(60);
/// How long old events can come on a new connection.
const REPLAY: Duration = Duration::from_secs(1);
/// How long events are waited for without a look at the clock.
const TURN: Duration = Duration::from_secs(2);
/// Who adds or removes a lamp makes the hub tell several things, one after another.
const SETTLED: Duration = Duration::from_millis(500);
/// When what could not be read is asked for again.
const LATER: Duration = Duration::from_secs(10);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// How often a hub that is not reached is looked for at another address.
const SEARCH: Duration = Duration::from_secs(60);

/// A hub's event stream, and the lights that it concerns.
pub struct Watch {
    hub: Arc<HueHub>,
    targets: Vec<Target>,
    /// Those that the lights may show, by target and name.
    scenes: Vec<(Target, String)>,
    silence: Duration,
}

/// Where the stream was left.
#[derive(Default)]
struct Place {
    last_id: Option<String>,
    /// The last proof that the stream lived.
    heard: Option<Instant>,
    /// What the hub held when it was last told of.
    held: Option<Arc<Directory>>,
}

impl Place {
    /// Whether a stream that begins now goes on where the last one ended.
    fn goes_on(&self) -> bool {
        self.last_id.is_some() && self.heard.is_some_and(|heard| heard.elapsed() < GAP)
    }

    /// Whether an event is new, and remembers it. `repeats`: what was told before may come again. Otherwise an id is
    /// nothing but a name: a hub without power wakes with a clock of before, and a clock may be set back at any time.
    fn is_new(&mut self, frame: &Frame, repeats: bool) -> bool {
        let Some(id) = &frame.id else { return true };
        let before = self.last_id.as_deref().filter(|_| repeats).and_then(order);
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
        Self { hub, targets, scenes: Vec::new(), silence: SILENCE }
    }

    /// The lights may show these scenes, each told by its target and its name.
    pub fn with_scenes(self, scenes: Vec<(Target, String)>) -> Self {
        Self { scenes, ..self }
    }

    /// A connection that is silent for longer than this is made anew.
    pub fn with_silence(self, silence: Duration) -> Self {
        Self { silence, ..self }
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
                    // Should it be no better than before, that is not asked without a pause.
                    pause = FIRST_RETRY;
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
            let concerned = |lamp: &str| concerns.lights.get(lamp).cloned().unwrap_or_default();
            let told = poll.take(&lamps, Instant::now().into_std(), concerned);
            if !told.is_empty() {
                self.hub.learn_scenes(&link, &self.scenes).await;
            }
            for event in told {
                events.send(event).await.map_err(|_| Unheard)?;
            }
            let (began, pause) = (Instant::now(), poll.pause());
            tokio::select! {
                () = events.closed() => return Err(Unheard),
                () = sleep(pause) => {}
            }
            if was_stopped(began, pause) {
                poll = Poll::default();
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
        let (mut is_again, mut goes_on) = (place.heard.is_some(), place.goes_on());
        tracing::debug!(hub = self.hub.name(), goes_on, "events are listened to");
        let (mut reader, mut concerns) = (Reader::default(), Concerns::default());
        let mut heard = Instant::now();
        let (mut replay_ends, mut looks_again) = (Some(heard + REPLAY), None);
        place.heard = Some(heard);
        place.held = place.held.take().or_else(|| self.hub.directory());
        loop {
            let (began, silent) = (Instant::now(), heard + self.silence);
            let until = [replay_ends, looks_again].into_iter().flatten().fold(silent.min(began + TURN), Instant::min);
            let chunk = tokio::select! {
                () = events.closed() => return Err(Unheard),
                chunk = timeout_at(until, stream.chunk()) => chunk,
            };
            let mut replay_is_over = false;
            if was_stopped(began, TURN) {
                (goes_on, is_again, replay_ends) = (false, true, Some(Instant::now() + REPLAY));
            }
            match chunk {
                Ok(Ok(Some(piece))) => {
                    heard = Instant::now();
                    place.heard = Some(heard);
                    let is_old = !goes_on && replay_ends.is_some();
                    self.hub.has_changed().await;
                    for frame in reader.take(&piece) {
                        let parts = parts_of(&frame.data);
                        if parts.iter().any(|(kind, part)| changes_the_directory(kind, part)) {
                            looks_again.get_or_insert(heard + SETTLED);
                        }
                        if place.is_new(&frame, replay_ends.is_some()) && !is_old {
                            self.tell(&parts, replay_ends.is_some(), &mut concerns, events).await?;
                        }
                    }
                }
                Ok(Ok(None) | Err(_)) => return Ok(()),
                Err(_) if until == silent => return Ok(()),
                // Only now: what waited for us when the time was over is old as well.
                Err(_) => replay_is_over = replay_ends.take_if(|at| *at <= Instant::now()).is_some(),
            }
            let is_due = looks_again.take_if(|at| *at <= Instant::now()).is_some();
            if (is_due || replay_is_over && is_again) && !self.look_again(place, events).await? {
                looks_again = Some(Instant::now() + LATER);
            }
            if replay_is_over {
                events.send(Event::Missed).await.map_err(|_| Unheard)?;
            }
        }
    }

    async fn tell(
        &self,
        parts: &[(String, Value)],
        is_late: bool,
        concerns: &mut Concerns,
        events: &Sender<Event>,
    ) -> Result<(), Unheard> {
        if let Some(directory) = self.hub.directory() {
            concerns.know(directory, &self.targets);
        }
        for (_, part) in parts.iter().filter(|(kind, _)| kind == "update") {
            for event in concerns.of(part) {
                let event = match event {
                    Event::Changed { light, seen } if is_late => Event::ChangedBefore { light, seen },
                    event => event,
                };
                events.send(event).await.map_err(|_| Unheard)?;
            }
        }
        Ok(())
    }

    /// Reads anew what the hub holds, and tells of targets that are something else by now. Answers whether it could.
    async fn look_again(&self, place: &mut Place, events: &Sender<Event>) -> Result<bool, Unheard> {
        let Ok((link, _)) = self.hub.session().await else { return Ok(false) };
        let Ok(now) = self.hub.read_anew(&link).await else { return Ok(false) };
        let found_in = |held: &Directory| endpoints(held, &self.targets);
        let (was, is) = (place.held.as_deref().map(found_in).unwrap_or_default(), found_in(&now));
        place.held = Some(now);
        if was == is {
            return Ok(true);
        }
        events.send(Event::Rearranged).await.map_err(|_| Unheard)?;
        for (light, endpoint) in is.iter().enumerate() {
            if endpoint.is_ok() && was.get(light) != Some(endpoint) {
                events.send(Event::Back { light }).await.map_err(|_| Unheard)?;
            }
        }
        Ok(true)
    }
}

/// The parts of resources that an event tells, each with what became of it.
fn parts_of(data: &[u8]) -> Vec<(String, Value)> {
    let Ok(Value::Array(batches)) = serde_json::from_slice(data) else { return Vec::new() };
    let parts = |mut batch: Value| {
        let kind = batch.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let parts = match batch.get_mut("data").map(Value::take) {
            Some(Value::Array(parts)) => parts,
            _ => Vec::new(),
        };
        parts.into_iter().map(move |part| (kind.clone(), part))
    };
    batches.into_iter().flat_map(parts).collect()
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
                || (is_of(&["scene"]) && ["actions", "auto_dynamic"].iter().any(|key| resource.get(key).is_some()))
        }
        _ => false,
    }
}

/// Which lights a lamp or device belongs to, as the hub's resources have it.
#[derive(Default)]
struct Concerns {
    directory: Option<Arc<Directory>>,
    /// By lamps and devices.
    lights: HashMap<String, Vec<usize>>,
    /// The lamps of each device.
    lamps: HashMap<String, Vec<Box<str>>>,
}

impl Concerns {
    fn know(&mut self, directory: Arc<Directory>, targets: &[Target]) {
        if self.directory.as_ref().is_some_and(|known| Arc::ptr_eq(known, &directory)) {
            return;
        }
        (self.lights, self.lamps) = (HashMap::new(), HashMap::new());
        for (light, endpoint) in endpoints(&directory, targets).into_iter().enumerate() {
            let Ok(endpoint) = endpoint else { continue };
            for lamp in &endpoint.lamps {
                let Some(device) = &lamp.device else { continue };
                let lamps = self.lamps.entry(device.clone()).or_default();
                if !lamps.iter().any(|known| **known == *lamp.id) {
                    lamps.push(lamp.id.as_str().into());
                }
            }
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
                let lamps = self.lamps.get(text("/owner/rid")).cloned().unwrap_or_default();
                let event = |light| match is_back {
                    true => Event::LampsBack { light, lamps: lamps.clone() },
                    false => Event::Lost { light, lamps: lamps.clone() },
                };
                lights(text("/owner/rid")).filter(|_| !text("/status").is_empty()).map(event).collect()
            }
            _ => Vec::new(),
        }
    }
}
