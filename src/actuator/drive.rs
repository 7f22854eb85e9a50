//! One hub's loop: hands out what the convergence says, and takes in what became of it and what the hub tells.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::board::{Board, slot};
use super::complaints::Complaints;
use super::converge::{Aim, Convergence, Step};
use super::entry::{ECHO, Effects, LATE_ECHO, News, Now, Wish};
use crate::lights::{Event, Hub, Look, Obeyed, Seen, Trouble};
use crate::mqtt::Connection;
use crate::settings::OnHand;

/// How long after the start the hub is read ahead, unless a command came first: a handshake costs
/// milliseconds of the one thread, and the bridge's first refresh and presence beside us go before.
const QUIET_START: Duration = Duration::from_secs(1);
/// How long a stop waits for commands.
const LAST_COMMANDS: Duration = Duration::from_secs(5);
/// How many events of a hub wait for us.
const EVENTS: usize = 64;

/// What the rules say of a hub's light beside the wishes.
pub(super) struct Manner {
    /// Its place on the board.
    pub place: usize,
    pub on_hand: OnHand,
    /// Whether some rule restores what it showed before.
    pub restores: bool,
}

/// Something asked of a light beside the wishes: its flash.
pub(super) struct Flash {
    /// The place among the hub's lights.
    pub light: usize,
    pub answer: oneshot::Sender<Result<Obeyed, Trouble>>,
}

/// A hub, and what its lights are to the actuator.
pub(super) struct Drive {
    pub hub: Hub,
    /// Of each of the hub's lights.
    pub manners: Vec<Manner>,
    pub board: Arc<Board>,
    pub connection: Connection,
    /// Woken when something else is wanted, or the broker came back.
    pub wake: Arc<Notify>,
    /// Wakes the rules: something was seen that they must know.
    pub seen: Arc<Notify>,
}

/// A command that came to its end.
struct Ended {
    /// Whom it was for, and by which wish.
    lights: Vec<(usize, Arc<Wish>)>,
    look: Look,
    took: Duration,
    result: Result<Obeyed, Trouble>,
}

impl Ended {
    /// Whether it is not known which of several lights obeyed.
    fn leaves_doubt(&self) -> bool {
        self.lights.len() > 1
            && match &self.result {
                Ok(obeyed) => *obeyed != Obeyed::default(),
                Err(trouble) => matches!(trouble, Trouble::Light { .. }),
            }
    }
}

impl Drive {
    /// Until the end: then what is still wanted is sent, for a while.
    pub async fn run(self, mut flashes: mpsc::Receiver<Flash>, end: CancellationToken) {
        let mut convergence = Convergence::new(self.hub.limits, self.manners.len());
        let mut complaints = Complaints::new(&self.hub, &self.manners, &self.board, &self.connection);
        // All of them are polled beside each other: they wait for one another within the hub's client.
        let (mut under_way, mut preparing) = (FuturesUnordered::new(), FuturesUnordered::new());
        let (mut flashing, mut reading) = (FuturesUnordered::new(), FuturesUnordered::new());
        let (tell, mut told) = mpsc::channel(EVENTS);
        let mut watch = pin!(self.watch(tell));
        let (mut ahead, mut give_up) = (Some(Instant::now() + QUIET_START), None);
        loop {
            let wait = self.send(&mut convergence, |command| {
                ahead = None;
                under_way.push(command);
            });
            if give_up.is_some() && under_way.is_empty() && wait.is_none() {
                return;
            }
            tokio::select! {
                () = end.cancelled(), if give_up.is_none() => give_up = Some(Instant::now() + LAST_COMMANDS),
                () = sleep_until(give_up), if give_up.is_some() => {
                    return tracing::debug!(hub = %self.hub.name, "stopped without waiting for the hub");
                }
                () = self.wake.notified() => {}
                Some(ended) = under_way.next() => self.ended(&mut convergence, &ended, &mut complaints),
                Some(event) = told.recv() => match event {
                    Event::Missed => reading.push(self.read_all()),
                    Event::Stopped | Event::Rearranged => ahead = Some(Instant::now()),
                    Event::Mended => {
                        convergence.mended();
                        ahead = Some(Instant::now());
                    }
                    event => self.take(&mut convergence, &event),
                },
                Some(all) = reading.next() => self.was_read(&all),
                Some(flash) = flashes.recv() => flashing.push(self.flash(flash)),
                Some(()) = flashing.next() => {}
                () = &mut watch => {}
                () = sleep_until(wait), if wait.is_some() => {}
                () = sleep_until(ahead), if ahead.is_some() => {
                    ahead = None;
                    preparing.push(self.prepare());
                }
                Some(troubles) = preparing.next() => {
                    if troubles.is_empty() {
                        complaints.answers();
                    }
                    for (light, trouble) in troubles {
                        convergence.failed(Instant::now(), light, &trouble);
                        complaints.failed(light, &trouble);
                    }
                    self.hub_answered();
                }
            }
        }
    }

    /// Sends what is to be sent now; answers with when to look again.
    fn send<'a>(&'a self, convergence: &mut Convergence, mut put: impl FnMut(CommandOf<'a>)) -> Option<Instant> {
        let wishes = self.want(convergence);
        while self.board.may_command() {
            match convergence.next(Instant::now(), |light| self.hub.lights[light].1.load()) {
                Step::Send { light, look, on } => {
                    let wish = wishes[light].clone().expect("only what is wished for is sent");
                    self.board.light(self.manners[light].place, |entry| entry.sent());
                    put(Box::pin(self.command(light, look, on, wish)));
                }
                Step::Together { lights, look, on } => {
                    let wish_of = |light: usize| wishes[light].clone().expect("only what is wished for is sent");
                    let lights: Vec<_> = lights.into_iter().map(|light| (light, wish_of(light))).collect();
                    for (light, _) in &lights {
                        self.board.light(self.manners[*light].place, |entry| entry.sent());
                    }
                    put(Box::pin(self.command_to_all(lights, look, on)));
                }
                Step::Wait(at) => return at,
            }
        }
        None
    }

    /// Takes the newest wishes over.
    fn want(&self, convergence: &mut Convergence) -> Vec<Option<Arc<Wish>>> {
        if let Some(together) = &self.hub.together {
            convergence.know_sets(together.sets());
        }
        let take = |(light, manner): (usize, &Manner)| {
            let (wish, aim, news, heard, reads) = self.board.light(manner.place, |entry| {
                let reads = manner.restores && entry.is_untouched();
                (entry.wish.clone(), entry.aim(), entry.take_news(), entry.take_heard(), reads)
            });
            if let Some(who) = heard {
                convergence.heard(self.hub.lights[light].1.load(), &who, Instant::now(), self.board.chance());
            }
            convergence.set_apart(light, reads);
            match news {
                Some(News::Doubt) => convergence.doubt(light),
                Some(News::Shows(look)) => convergence.shows(light, look),
                None => {}
            }
            convergence.want(light, aim);
            wish
        };
        self.manners.iter().enumerate().map(take).collect()
    }

    async fn command(&self, light: usize, look: Look, on: bool, wish: Arc<Wish>) -> Ended {
        let started = Instant::now();
        let (manner, it) = (&self.manners[light], &self.hub.lights[light].1);
        let result = match self.read_first(light, &look).await {
            Ok(Some(look)) => {
                if let Some(ago) = self.board.light(manner.place, |entry| entry.shown_for(self.board.now())) {
                    it.has_begun(&look, ago);
                }
                it.show(look, on).await
            }
            Ok(None) => Ok(Obeyed::default()),
            Err(trouble) => Err(trouble),
        };
        Ended { lights: vec![(light, wish)], look, took: started.elapsed(), result }
    }

    /// What a light shows is read before we touch it. Answers with what is to be sent then: what is to be restored of
    /// a light that was left alone may be what it shows.
    async fn read_first(&self, light: usize, look: &Look) -> Result<Option<Look>, Trouble> {
        let (manner, it) = (&self.manners[light], &self.hub.lights[light].1);
        let is_due = manner.restores && self.board.light(manner.place, |entry| entry.is_untouched());
        if !is_due {
            return Ok(Some(look.clone()));
        }
        let seen = match (it.read().await, look) {
            (Ok(seen), _) => seen,
            (Err(trouble), Look::Seen(_)) => return Err(trouble),
            (Err(_), look) => return Ok(Some(look.clone())),
        };
        let restoring = self.board.light(manner.place, |entry| {
            // Somebody may have asked meanwhile to leave it alone.
            if entry.aim() == Aim::LeaveAlone {
                return None;
            }
            entry.before(
                &seen,
                |look| it.agrees(look, &seen),
                |look, seen| it.surely_shows(look, seen),
                self.board.now(),
            );
            Some(entry.restoring())
        });
        Ok(restoring.and_then(|restoring| match look {
            Look::Seen(_) => restoring.filter(|look| !matches!(look, Look::Seen(before) if **before == seen)),
            look => Some(look.clone()),
        }))
    }

    async fn command_to_all(&self, lights: Vec<(usize, Arc<Wish>)>, look: Look, on: bool) -> Ended {
        let started = Instant::now();
        let set: Vec<usize> = lights.iter().map(|(light, _)| *light).collect();
        let together = self.hub.together.as_ref().expect("sets of lights come from there");
        let result = together.show(&set, look.clone(), on).await;
        Ended { lights, look, took: started.elapsed(), result }
    }

    fn ended(&self, convergence: &mut Convergence, ended: &Ended, complaints: &mut Complaints<'_>) {
        let now = self.board.now();
        for (light, wish) in &ended.lights {
            if ended.leaves_doubt() {
                tracing::debug!(hub = %self.hub.name, result = ?ended.result, "not all at once: one by one");
                convergence.parted(now.instant, *light);
                self.board.light(self.manners[*light].place, |entry| entry.ended(now));
            } else {
                self.light_ended(convergence, *light, wish, ended, complaints);
            }
        }
    }

    fn light_ended(
        &self,
        convergence: &mut Convergence,
        light: usize,
        wish: &Arc<Wish>,
        ended: &Ended,
        complaints: &mut Complaints<'_>,
    ) {
        let now = self.board.now();
        let shows = convergence.ended(now.instant, light, &ended.result);
        let place = self.manners[light].place;
        match &ended.result {
            Ok(obeyed) => {
                let grace = self.board.grace();
                self.board.light(place, |entry| entry.obeyed(wish, shows, obeyed, grace, now));
                self.seen.notify_one();
                complaints.obeyed(light, obeyed);
                self.hub_answered();
                let status = wish.status.as_ref().map(|(account, status)| format!("{account} {}", status.activity));
                let light = &self.hub.lights[light].0;
                tracing::debug!(hub = %self.hub.name, %light, look = ?ended.look, status, took = ?ended.took, "shown");
            }
            Err(trouble) => {
                self.board.light(place, |entry| entry.failed(now));
                complaints.failed(light, trouble);
            }
        }
        self.connection.changed(slot(place));
    }

    /// Reaches the hub before anything is wanted: the first command is quick, and a wrong key or target
    /// is told at once.
    async fn prepare(&self) -> Vec<(usize, Trouble)> {
        let mut troubles = Vec::new();
        for (light, (_, it)) in self.hub.lights.iter().enumerate() {
            let Err(trouble) = it.prepare().await else { continue };
            let is_lights = matches!(trouble, Trouble::Light { .. });
            troubles.push((light, trouble));
            if !is_lights {
                break;
            }
        }
        troubles
    }

    /// Lights that nothing was said of can be commanded, as far as is known.
    fn hub_answered(&self) {
        for manner in &self.manners {
            if self.board.light(manner.place, |entry| !std::mem::replace(&mut entry.asked, true)) {
                self.connection.changed(slot(manner.place));
            }
        }
    }

    async fn flash(&self, Flash { light, answer }: Flash) {
        // Nobody may wait for it any more.
        let _ = answer.send(self.hub.lights[light].1.flash().await);
    }
}

/// What the hub's lights showed, and since when that was asked.
type Reading = (Instant, Vec<Option<Seen>>);

type CommandOf<'a> = std::pin::Pin<Box<dyn Future<Output = Ended> + Send + 'a>>;

/// What the hub tells by itself.
impl Drive {
    async fn watch(&self, tell: mpsc::Sender<Event>) {
        tokio::time::sleep(QUIET_START).await;
        self.hub.source.watch(tell).await;
        std::future::pending().await
    }

    fn take(&self, convergence: &mut Convergence, event: &Event) {
        let now = self.board.now();
        let (light, effects) = match event {
            Event::Changed { light, seen } => (*light, self.changed(*light, seen, ECHO, now)),
            Event::ChangedBefore { light, seen } => (*light, self.changed(*light, seen, LATE_ECHO, now)),
            Event::Lost { light, lamps } => {
                self.board.light(self.manners[*light].place, |entry| entry.lost(lamps, now));
                (*light, Effects { act: false, publish: true })
            }
            Event::Back { light } => (*light, self.is_back(convergence, *light, &[], now)),
            Event::LampsBack { light, lamps } => (*light, self.is_back(convergence, *light, lamps, now)),
            Event::Missed | Event::Rearranged | Event::Stopped | Event::Mended => return,
        };
        self.apply(light, effects);
    }

    fn changed(&self, light: usize, seen: &Seen, echo: Duration, now: Now) -> Effects {
        let (manner, it, grace) = (&self.manners[light], &self.hub.lights[light].1, self.board.grace());
        let agrees = |look: &Look| it.agrees(look, seen);
        self.board.light(manner.place, |entry| entry.changed((seen, echo), agrees, manner.on_hand, grace, now))
    }

    fn is_back(&self, convergence: &mut Convergence, light: usize, lamps: &[Box<str>], now: Now) -> Effects {
        convergence.is_back(light);
        let grace = self.board.grace();
        let effects = self.board.light(self.manners[light].place, |entry| entry.is_back(lamps, grace, now));
        Effects { publish: true, ..effects }
    }

    fn apply(&self, light: usize, effects: Effects) {
        if effects.publish {
            self.connection.changed(slot(self.manners[light].place));
        }
        if effects.act {
            self.seen.notify_one();
        }
    }

    /// After a gap, and when the hub is listened to first: what the lights show now. Lights that cannot be read are not
    /// doubted for that.
    async fn read_all(&self) -> Reading {
        let (since, mut all) = (Instant::now(), Vec::with_capacity(self.manners.len()));
        for (_, it) in &self.hub.lights {
            all.push(it.read().await.ok());
        }
        (since, all)
    }

    fn was_read(&self, (since, all): &Reading) {
        for (light, seen) in all.iter().enumerate() {
            let Some(seen) = seen else { continue };
            let (it, grace) = (&self.hub.lights[light].1, self.board.grace());
            let (place, now) = (self.manners[light].place, self.board.now());
            let agrees = |look: &Look| it.agrees(look, seen);
            let effects = self.board.light(place, |entry| entry.was_read((seen, *since), agrees, grace, now));
            self.apply(light, effects);
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
