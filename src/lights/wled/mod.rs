//! WLED: light strips by their JSON API over http.
//!
//! `GET /json/state`, `POST /json/state` with the parts to change; `GET /presets.json`, its presets by number.
//! One device is the hub of all lights on it: it has no limits but its own speed, and no key. Its traffic is readable, as all
//! of WLED's is. Source: WLED's pages "JSON API" and "Presets".

mod check;
mod client;
mod lights;
mod presets;
mod rest;
mod state;
mod watch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

pub(super) use self::check::Wanted;
use self::client::Client;
use self::lights::Lights;
use self::presets::Preset;
use self::rest::Rest;
pub use self::watch::WledWatch;
use super::{Asked, Light, Limits, Load, Look, Obeyed, Seen, Trouble};
use crate::presence::Name;

/// A small computer: two commands a second are more than anybody sees.
pub const LIMITS: Limits = Limits { single: Duration::from_millis(250), group: Duration::from_millis(250), at_once: 1 };
/// How long a test flash lasts.
const FLASH: Duration = Duration::from_secs(4);
/// How long another process's flash is waited for. That one may be gone.
const ANOTHERS_FLASH: Duration = Duration::from_secs(7);
/// How often its end is tried, and how soon again.
const ENDINGS: u32 = 4;
const AGAIN: Duration = Duration::from_secs(1);
/// How long a preset may take until it is loaded, and between two questions whether it is.
const LOADING: Duration = Duration::from_secs(3);
const LOAD_PAUSE: Duration = Duration::from_millis(300);

/// One device, with all lights that are on it.
pub struct Strip {
    device: Arc<Device>,
}

/// What its lights share.
struct Device {
    client: Client,
    rest: Rest,
    lights: Lights,
    /// One command after another, with the reading that it comes of.
    turn: tokio::sync::Mutex<()>,
}

impl Device {
    async fn state(&self) -> Result<Value, Trouble> {
        let state = self.client.get("/json/state").await?;
        self.rest.read(&state);
        Ok(state)
    }
}

impl Strip {
    /// `name` is the name in the configuration of one of its lights: what is wrong with the device is said of that.
    pub fn new(name: &Name, host: &str) -> Self {
        let client = Client::new(name, host);
        let (rest, lights, turn) = (Rest::default(), Lights::default(), tokio::sync::Mutex::default());
        Self { device: Arc::new(Device { client, rest, lights, turn }) }
    }

    /// A light of it. `name` is its name in the configuration; `segment` a segment's number or name, or the whole strip.
    pub fn light(&self, name: &Name, segment: Option<String>) -> WledLight {
        self.device.lights.add(name, segment.as_deref());
        WledLight {
            name: name.clone(),
            device: self.device.clone(),
            segment,
            ends: Mutex::default(),
            flashing: Mutex::default(),
        }
    }

    /// What it tells by itself of its lights' segments: nothing, so that it is asked.
    pub fn watch(&self, segments: Vec<Option<String>>) -> WledWatch {
        WledWatch { device: self.device.clone(), segments }
    }
}

/// A strip, or one segment of it.
pub struct WledLight {
    name: Name,
    device: Arc<Device>,
    segment: Option<String>,
    /// The look whose effect ends by itself, and when.
    ends: Mutex<Option<(Look, Instant)>>,
    /// What it showed before the flash that is under way.
    flashing: Mutex<Option<Seen>>,
}

impl WledLight {
    async fn state(&self) -> Result<Value, Trouble> {
        self.device.state().await
    }

    /// What a state shows of it, to be shown again.
    fn seen(&self, state: &Value) -> Seen {
        let mut seen = state::seen(state, self.segment.as_deref());
        if self.segment.is_some() {
            self.device.rest.keep_with(&mut seen);
        }
        seen
    }

    /// What it shows; during a flash what it shows when that is over.
    async fn shown(&self) -> Result<Seen, Trouble> {
        let asked = Instant::now();
        loop {
            let state = self.state().await?;
            self.meant(&state)?;
            let seen = self.seen(&state);
            if !state::is_flash(&seen) {
                return Ok(seen);
            }
            if let Some(before) = lock(&self.flashing).clone() {
                return Ok(before);
            }
            if asked.elapsed() > ANOTHERS_FLASH {
                return Ok(state::ended(seen));
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn post(&self, body: &Value) -> Result<(), Trouble> {
        self.device.client.post(&self.name, body).await
    }

    /// The segments that it is, and no light before it.
    fn meant(&self, state: &Value) -> Result<Vec<u64>, Trouble> {
        let segments = state::segments(state, self.segment.as_deref()).map_err(|what| self.impossible(&what))?;
        match self.device.lights.shared(&self.name, &segments, state) {
            Some(what) => Err(self.impossible(&what)),
            None => Ok(segments),
        }
    }

    /// What is asked of it cannot be done.
    fn impossible(&self, what: &str) -> Trouble {
        client::impossible(&self.name, what)
    }

    async fn command(&self, look: Look) -> Result<Obeyed, Trouble> {
        let _turn = self.device.turn.lock().await;
        let state = self.state().await?;
        let segments = self.meant(&state)?;
        let ended = self.has_ended(&look);
        let body = match &look {
            Look::Off if self.segment.is_none() => state::off(),
            // Its own switch stays as it is: whoever switches the strip on finds what they had.
            Look::Off if !state::is_on(&state) => match self.device.rest.owed(&state) {
                Some(body) => body,
                None => return Ok(Obeyed { again: self.effect_ends(look, ended), ..Obeyed::default() }),
            },
            Look::Off => self.device.rest.put_back(&state, &segments).unwrap_or_else(|| state::dark(&segments)),
            Look::On { shade, brightness, transition, effect } => {
                let effect = effect.filter(|_| !ended);
                state::on(&segments, self.segment.is_some(), *shade, *brightness, *transition, effect)
            }
            Look::Scene { name, brightness, .. } => {
                self.show_preset(name, *brightness).await?;
                return Ok(Obeyed { again: self.effect_ends(look, ended), ..Obeyed::default() });
            }
            Look::Seen(seen) => self.again(seen, &state, &segments),
        };
        self.light(body, &state, &segments).await?;
        Ok(Obeyed { again: self.effect_ends(look, ended), ..Obeyed::default() })
    }

    /// Presets are the whole strip's.
    fn shows_presets(&self, name: &str) -> Result<(), Trouble> {
        let Some(segment) = &self.segment else { return Ok(()) };
        Err(self.impossible(&presets::not_of_a_segment(name, segment, self.name.as_str())))
    }

    fn preset_among(&self, presets: &Value, name: &str, brightness: Option<u8>) -> Result<Preset, Trouble> {
        Preset::find(presets, name, brightness).map_err(|what| self.impossible(&what))
    }

    /// A preset is loaded with the brightness that was saved in it: another one has to follow.
    async fn show_preset(&self, name: &str, brightness: Option<u8>) -> Result<(), Trouble> {
        self.shows_presets(name)?;
        let preset = self.preset_among(&self.device.client.get(presets::PATH).await?, name, brightness)?;
        self.post(&preset.select()).await?;
        let Some(brightness) = brightness else { return Ok(()) };
        let asked = Instant::now();
        loop {
            let state = self.state().await?;
            if preset.is_loaded(&state) || asked.elapsed() > LOADING {
                return match presets::dimmed(&state, brightness) {
                    Some(body) => self.post(&body).await,
                    None => Ok(()),
                };
            }
            tokio::time::sleep(LOAD_PAUSE).await;
        }
    }

    /// Sends a command. Where it lights a segment of a strip that was off, the others stay dark.
    async fn light(&self, mut body: Value, state: &Value, segments: &[u64]) -> Result<(), Trouble> {
        let lights_strip = self.segment.is_some() && !state::is_on(state) && body["on"] == true;
        if lights_strip {
            rest::keep_dark(&mut body, state, segments);
        }
        self.post(&body).await?;
        if lights_strip {
            self.device.rest.lit();
        }
        Ok(())
    }

    /// What shows again what was seen. A segment that was dark leaves the strip as it is where others are lit on it.
    fn again(&self, seen: &Seen, state: &Value, segments: &[u64]) -> Value {
        let body = state::again(seen);
        if self.segment.is_none() || body["on"] == true {
            return body;
        }
        let rest = &self.device.rest;
        rest.recall(seen);
        let is_on = state::is_on(state);
        match if is_on { rest.put_back(state, segments) } else { rest.owed(state) } {
            Some(back) => rest::with_look(back, &body),
            None if is_on => state::darkened(body),
            None => body,
        }
    }

    fn has_ended(&self, look: &Look) -> bool {
        let ends = lock(&self.ends);
        ends.as_ref().is_some_and(|(running, at)| running.looks_like(look) && *at <= Instant::now())
    }

    /// Remembers when an effect ends; answers with how long it still goes on.
    fn effect_ends(&self, look: Look, ended: bool) -> Option<Duration> {
        let lasting = match &look {
            Look::On { effect: Some(effect), .. } => effect.lasting.filter(|_| !ended),
            _ => None,
        };
        let mut ends = lock(&self.ends);
        let goes_on = ends.as_ref().filter(|(running, _)| running.looks_like(&look)).map(|(_, at)| *at);
        *ends = match (lasting, goes_on) {
            (Some(lasting), goes_on) => Some((look, goes_on.unwrap_or_else(|| Instant::now() + lasting))),
            (None, Some(at)) if ended => Some((look, at)),
            _ => None,
        };
        let left = ends.as_ref().map(|(_, at)| at.saturating_duration_since(Instant::now()));
        left.filter(|_| lasting.is_some())
    }

    /// What is wanted of it meanwhile, by whomever, is shown at once, and stays.
    async fn test(&self) -> Result<Obeyed, Trouble> {
        if !self.begin_flash().await? {
            return Ok(Obeyed::default());
        }
        tokio::time::sleep(FLASH).await;
        let before = lock(&self.flashing).take();
        for _ in 1..ENDINGS {
            if self.end_flash(before.clone()).await.is_ok() {
                return Ok(Obeyed::default());
            }
            tokio::time::sleep(AGAIN).await;
        }
        self.end_flash(before).await
    }

    async fn end_flash(&self, before: Option<Seen>) -> Result<Obeyed, Trouble> {
        let _turn = self.device.turn.lock().await;
        let state = self.state().await?;
        let segments = self.meant(&state)?;
        let now = state::seen(&state, self.segment.as_deref());
        if let Some(mut before) = before.filter(|_| state::is_flash(&now)) {
            if let (Some(before), Some(Some(false))) = (before.0.first_mut(), now.0.first().map(|now| now.on)) {
                before.on = Some(false);
            }
            self.post(&self.again(&before, &state, &segments)).await?;
        }
        Ok(Obeyed::default())
    }

    /// Whether it flashes by this, and not by another one, whose end comes.
    async fn begin_flash(&self) -> Result<bool, Trouble> {
        let _turn = self.device.turn.lock().await;
        let state = self.state().await?;
        let segments = self.meant(&state)?;
        let before = self.seen(&state);
        if lock(&self.flashing).is_some() {
            return Ok(false);
        }
        self.light(state::blinking(&segments, self.segment.is_some()), &state, &segments).await?;
        *lock(&self.flashing) = Some(before);
        Ok(true)
    }
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Light for WledLight {
    fn load(&self) -> Load {
        Load::Single
    }

    fn prepare(&self) -> Asked<'_, ()> {
        Box::pin(async { self.meant(&self.state().await?).map(drop) })
    }

    fn show(&self, look: Look, _on: bool) -> Asked<'_, Obeyed> {
        Box::pin(self.command(look))
    }

    fn has_begun(&self, look: &Look, ago: Duration) {
        let Look::On { effect: Some(effect), .. } = look else { return };
        let ends = effect.lasting.and_then(|lasting| (Instant::now() + lasting).checked_sub(ago));
        let mut known = lock(&self.ends);
        if let (Some(ends), false) = (ends, known.as_ref().is_some_and(|(running, _)| running.looks_like(look))) {
            *known = Some((look.clone(), ends));
        }
    }

    fn read(&self) -> Asked<'_, Seen> {
        Box::pin(self.shown())
    }

    fn agrees(&self, look: &Look, seen: &Seen) -> bool {
        seen.0.iter().all(|lamp| state::agrees(look, lamp))
    }

    fn surely_shows(&self, look: &Look, seen: &Seen) -> bool {
        seen.0.iter().all(|lamp| state::surely_shows(look, lamp))
    }

    fn flash(&self) -> Asked<'_, Obeyed> {
        Box::pin(self.test())
    }
}
