//! A light, room, zone, group or the whole home on a hub by CLIP v2.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::task::AbortOnDropHandle;

use super::super::LIMITS;
use super::super::ability::Ability;
use super::super::dialect::Dialect;
use super::super::hub::{HueHub, Link};
use super::agree::{agrees, shown_by, surely_shows};
use super::command::{self, Put};
use super::resources::{Directory, Endpoint};
use super::shared::{self, Lights, Unserved};
use crate::lights::{Asked, Lamp, Light, Load, Look, Obeyed, Seen, Trouble};
use crate::presence::Name;
use crate::settings::{Effect, Motion, Target, TargetKind};

/// How long the alert `breathe` goes on by itself.
const BREATH: Duration = Duration::from_secs(15);
/// How long a signal is asked for at once, however long it is to go on. When nobody renews it (the light is left to
/// itself, or we are gone without a word), it ends by itself.
const SIGNAL: Duration = Duration::from_secs(60);
/// When such a signal is renewed: in time for a try or two more.
const RENEWAL: Duration = Duration::from_secs(55);
/// How long a test flash lasts.
const FLASH: Duration = Duration::from_secs(4);

/// What a target is on the hub.
struct Found {
    link: Arc<Link>,
    directory: Arc<Directory>,
    endpoint: Endpoint,
}

/// A light, room, zone, group or the whole home on a hub.
pub struct HueLight {
    hub: Arc<HueHub>,
    /// All that hang on the hub, and its place among them.
    lights: Arc<Lights>,
    place: usize,
    name: Name,
    target: Target,
    /// Whether the rules know effects: then any look may come behind a signal, another actuator's or one from
    /// before our start.
    has_effects: bool,
    /// What the hub held last did not serve: it is read again before the next command.
    is_lost: AtomicBool,
    /// It was on the hub before.
    was_there: AtomicBool,
    progress: std::sync::Mutex<Progress>,
    /// Commands that are sent behind a look, of which it does not depend.
    later: std::sync::Mutex<Option<AbortOnDropHandle<()>>>,
}

/// How far the last command came.
#[derive(Debug, Clone, Default)]
struct Progress {
    /// What it was last sent and showed without a word against it.
    last: Option<Look>,
    effect: Option<Running>,
    /// When others began the effect of a look.
    begun: Option<(Look, Instant)>,
    /// A signal of ours may still run.
    signals: bool,
}

/// An effect that goes with the look that was sent.
#[derive(Debug, Clone)]
struct Running {
    look: Look,
    effect: Effect,
    /// When it began.
    since: Option<Instant>,
}

impl Running {
    fn of(look: &Look, begun: Option<(Look, Instant)>) -> Option<Self> {
        match look {
            Look::On { effect: Some(effect), .. } => {
                let since = begun.filter(|(of, _)| of.looks_like(look)).map(|(_, since)| since);
                Some(Self { look: look.clone(), effect: *effect, since })
            }
            _ => None,
        }
    }

    /// How long it is still to go on, without another word where it goes on with the status.
    fn left(&self, now: Instant) -> Duration {
        match (self.effect.lasting, self.since) {
            (Some(lasting), Some(since)) => (since + lasting).saturating_duration_since(now),
            (Some(lasting), None) => lasting,
            (None, _) => SIGNAL,
        }
    }
}

impl HueLight {
    /// `place`: which of the hub's lights it is; `has_effects`: its rules know effects.
    pub fn new(hub: Arc<HueHub>, lights: Arc<Lights>, place: usize, has_effects: bool) -> Self {
        let (name, target) = lights[place].clone();
        let (is_lost, was_there) = (AtomicBool::new(false), AtomicBool::new(false));
        let (progress, later) = (std::sync::Mutex::default(), std::sync::Mutex::default());
        Self { hub, lights, place, name, target, has_effects, is_lost, was_there, progress, later }
    }

    /// The hub, and where on it commands go.
    async fn find(&self) -> Result<Found, Trouble> {
        let (link, mut directory) = self.hub.session().await?;
        if self.is_lost.load(Ordering::Relaxed) {
            directory = self.hub.read_anew(&link).await?;
        }
        let found = shared::endpoint(&directory, &self.lights, self.place);
        // The next try asks the hub: what a light is told says something of that too.
        self.is_lost.store(found.is_err(), Ordering::Relaxed);
        let endpoint = found.map_err(|why| self.unserved(&why, &directory))?;
        self.was_there.store(true, Ordering::Relaxed);
        Ok(Found { link, directory, endpoint })
    }

    fn unserved(&self, why: &Unserved, directory: &Directory) -> Trouble {
        let error = match why {
            Unserved::Unfound(error) => error,
            Unserved::Shared { with, lamps } => {
                let (other, _) = &self.lights[*with];
                return self.hub.unfound(&shared::refusal(directory, &self.name, other, lamps));
            }
        };
        let gone = match self.was_there.load(Ordering::Relaxed) {
            true => "; it was removed or renamed in the Hue app: correct the target, or the name there",
            false => "",
        };
        self.hub.unfound(&format!("lights.{}.target: {error}{gone}", self.name))
    }

    fn known(&self) -> Option<Endpoint> {
        self.hub.directory().and_then(|directory| directory.find(&self.target).ok())
    }

    /// What it is to be on the hub.
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Whether a signal may run at it.
    pub(super) fn may_signal(&self) -> bool {
        self.has_effects || self.progress().signals
    }

    /// Whether a command would change nothing.
    pub(super) fn shows_already(&self, look: &Look, endpoint: &Endpoint, directory: &Directory) -> bool {
        self.progress().last.as_ref().is_some_and(|last| command::is_same(last, look, endpoint, directory))
    }

    /// A command to it and others went out; `shown`: it shows this without a word against it.
    pub(super) fn was_sent(&self, shown: Option<&Look>) {
        let mut progress = self.progress();
        let signals = progress.signals && shown.is_none();
        *progress = Progress { last: shown.cloned(), signals, ..Progress::default() };
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn command(&self, look: Look, on: bool) -> Result<Obeyed, Trouble> {
        self.stop_what_is_for_later();
        let found = self.find().await?;
        let Progress { last, effect, begun, signals } = self.progress().clone();
        if on && effect.as_ref().is_some_and(|running| running.look.looks_like(&look)) {
            return self.go_on(&found).await;
        }
        if on && last.is_some_and(|last| command::is_same(&last, &look, &found.endpoint, &found.directory)) {
            return Ok(Obeyed::default());
        }
        let may_signal = found.endpoint.motions.blinks && self.may_signal();
        let puts = command::puts(&look, &found.endpoint, &found.directory, on, may_signal)
            .map_err(|error| self.hub.unfound(&format!("light {}: {error}", self.name)))?;
        let commanded = self.send(&found, &puts).await;
        if commanded.is_ok() {
            self.leave_for_later(&found, &look);
        }
        let mut progress = self.progress();
        *progress = match &commanded {
            Ok(obeyed) => Progress {
                last: (*obeyed == Obeyed::default()).then(|| look.clone()),
                effect: Running::of(&look, begun).filter(|_| !obeyed.was_off),
                begun: None,
                signals: false,
            },
            Err(_) => Progress { signals, ..Progress::default() },
        };
        let again = progress.effect.is_some().then_some(LIMITS.group);
        commanded.map(|obeyed| Obeyed { again, ..obeyed })
    }

    /// Starts the effect of the look that is shown, or renews it.
    async fn go_on(&self, found: &Found) -> Result<Obeyed, Trouble> {
        let now = Instant::now();
        let Some(running) = self.progress().effect.clone() else { return Ok(Obeyed::default()) };
        let left = running.left(now);
        let asked = left.min(SIGNAL);
        let Some(body) = command::motion(running.effect.motion, &found.endpoint, asked).filter(|_| !left.is_zero())
        else {
            return Ok(Obeyed::default());
        };
        let signals = body.get("signaling").is_some();
        let put = Put { kind: found.endpoint.kind, id: found.endpoint.id.clone(), body };
        let obeyed = self.send(found, &[put]).await?;
        let mut progress = self.progress();
        progress.signals |= signals;
        if let Some(running) = &mut progress.effect {
            running.since.get_or_insert(now);
        }
        let again = match (signals, running.effect.lasting) {
            (true, None) => Some(RENEWAL),
            (true, Some(_)) => Some(RENEWAL).filter(|_| left > SIGNAL),
            (false, lasting) => Some(BREATH).filter(|breath| lasting.is_none() || left > *breath),
        };
        Ok(Obeyed { again, ..obeyed })
    }

    /// Sends commands one after another; what each is answered counts. That one lamp of a group refuses its own is
    /// a word beside, as long as others obey; whether it is gone, CLIP v2 tells by itself.
    async fn send(&self, found: &Found, puts: &[Put]) -> Result<Obeyed, Trouble> {
        let (mut all, mut refused) = (Obeyed::default(), Vec::new());
        for put in puts {
            let obeyed = match self.hub.put(&found.link, put).await {
                Err(Trouble::Light { reason }) => {
                    let is_all = put.is_group() || !found.endpoint.is_group();
                    self.is_lost.fetch_or(is_all || found.link.dialect == Dialect::V1, Ordering::Relaxed);
                    if is_all {
                        return Err(Trouble::Light { reason });
                    }
                    refused.push(format!("{reason}: it was for the lamp {} alone", found.directory.name_of(&put.id)));
                    continue;
                }
                answer => answer?,
            };
            all.unreachable |= obeyed.unreachable;
            all.was_off |= obeyed.was_off;
            all.advice = all.advice.or(obeyed.advice);
        }
        let has_one_obeyed = refused.len() < puts.len();
        match refused.into_iter().next() {
            Some(reason) if !has_one_obeyed => {
                self.is_lost.store(true, Ordering::Relaxed);
                Err(Trouble::Light { reason })
            }
            reason => Ok(Obeyed { advice: reason.or(all.advice), ..all }),
        }
    }

    /// What dark lamps are to show when they are switched on. Not every hub takes that, CLIP v1 never does: what becomes of
    /// it says nothing of the look.
    ///
    /// Nobody waits for it: another room's command, or the end, is not held up by that, and the next command stops it.
    fn leave_for_later(&self, found: &Found, look: &Look) {
        let puts = command::for_later(look, &found.endpoint);
        if found.link.dialect == Dialect::V1 || puts.is_empty() {
            return;
        }
        let (hub, link, name) = (self.hub.clone(), found.link.clone(), self.name.clone());
        let sending = tokio::spawn(async move {
            for put in puts {
                if let Err(trouble) = hub.put(&link, &put).await {
                    return tracing::debug!(light = %name, "dark lamps keep our colour: {trouble}");
                }
            }
        });
        *self.later.lock().unwrap_or_else(PoisonError::into_inner) = Some(AbortOnDropHandle::new(sending));
    }

    fn stop_what_is_for_later(&self) {
        *self.later.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Compares what was seen of each lamp, which may be none that is known, with what the look makes of it. None while
    /// the target is not known.
    fn compares(&self, look: &Look, seen: &Seen, is: fn(&Look, Option<&Ability>, &Lamp) -> bool) -> Option<bool> {
        let directory = self.hub.directory()?;
        let endpoint = directory.find(&self.target).ok()?;
        let shown = match look {
            Look::Scene { name, brightness, .. } => {
                directory.scene(name, endpoint.place.as_deref()).ok().map(|scene| shown_by(scene, *brightness))
            }
            _ => None,
        };
        let look = shown.as_ref().unwrap_or(look);
        let ability =
            |lamp: &Lamp| endpoint.lamps.iter().find(|known| *known.id == *lamp.id).map(|known| &known.ability);
        Some(seen.0.iter().all(|lamp| is(look, ability(lamp), lamp)))
    }

    async fn seen(&self) -> Result<Seen, Trouble> {
        let Found { link, endpoint, .. } = self.find().await?;
        let lamps = self.hub.lamps(&link).await?;
        let of_it = |lamp: &&Lamp| endpoint.lamps.iter().any(|known| *known.id == *lamp.id);
        Ok(Seen(lamps.iter().filter(of_it).cloned().collect()))
    }

    async fn test(&self) -> Result<Obeyed, Trouble> {
        let found = self.find().await?;
        let Some(body) = command::motion(Motion::Blink, &found.endpoint, FLASH) else {
            return Err(self.hub.unfound(&format!("light {} takes no signal, so it cannot flash", self.name)));
        };
        let put = Put { kind: found.endpoint.kind, id: found.endpoint.id.clone(), body };
        self.send(&found, &[put]).await
    }
}

impl Light for Arc<HueLight> {
    /// Until the target is found it is taken for a group, which has the stricter limit.
    fn load(&self) -> Load {
        let single = self.target.kind == Some(TargetKind::Light) || self.known().is_some_and(|known| !known.is_group());
        if single { Load::Single } else { Load::Group }
    }

    fn prepare(&self) -> Asked<'_, ()> {
        Box::pin(async { self.find().await.map(drop) })
    }

    fn show(&self, look: Look, on: bool) -> Asked<'_, Obeyed> {
        Box::pin(self.command(look, on))
    }

    fn has_begun(&self, look: &Look, ago: Duration) {
        let mut progress = self.progress();
        let is_ours = progress.effect.as_ref().is_some_and(|running| running.look.looks_like(look));
        progress.begun = Instant::now().checked_sub(ago).filter(|_| !is_ours).map(|since| (look.clone(), since));
    }

    fn read(&self) -> Asked<'_, Seen> {
        Box::pin(self.seen())
    }

    fn agrees(&self, look: &Look, seen: &Seen) -> bool {
        self.compares(look, seen, |look, ability, lamp| {
            lamp.is_lost() || ability.is_none_or(|ability| agrees(look, ability, lamp))
        })
        .unwrap_or(true)
    }

    fn surely_shows(&self, look: &Look, seen: &Seen) -> bool {
        self.compares(look, seen, |look, ability, lamp| {
            ability.is_some_and(|ability| surely_shows(look, ability, lamp))
        })
        .unwrap_or(false)
    }

    fn flash(&self) -> Asked<'_, Obeyed> {
        Box::pin(self.test())
    }
}
