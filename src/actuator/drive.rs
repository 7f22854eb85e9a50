//! One hub's loop: hands out what the convergence says, and reports what became of it.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::board::{Board, Wish, slot};
use super::converge::{Convergence, Step};
use crate::lights::{Hub, Look, Obeyed, Trouble};
use crate::mqtt::Connection;

/// How long after the start the hub is read ahead, unless a command came first: a handshake costs
/// milliseconds of the one thread, and the bridge's first refresh and presence beside us go before.
const QUIET_START: Duration = Duration::from_secs(1);
/// How long a stop waits for commands under way.
const LAST_COMMANDS: Duration = Duration::from_secs(2);

/// A hub, and where its lights stand on the board.
pub(super) struct Drive {
    pub hub: Hub,
    /// The place on the board of each of the hub's lights.
    pub places: Vec<usize>,
    pub board: Arc<Board>,
    pub connection: Connection,
    /// Woken when something else is wanted, or the broker came back.
    pub wake: Arc<Notify>,
}

/// The troubles that last, as they were said: each is said once.
struct Said {
    hub: Option<String>,
    lights: Vec<Option<String>>,
}

/// A command that came to its end.
struct Ended {
    light: usize,
    look: Look,
    wish: Arc<Wish>,
    took: Duration,
    result: Result<Obeyed, Trouble>,
}

impl Drive {
    /// Until the shutdown.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut convergence = Convergence::new(self.hub.limits, self.places.len());
        let mut under_way = FuturesUnordered::new();
        let mut said = Said { hub: None, lights: vec![None; self.places.len()] };
        let mut ahead = Some(Instant::now() + QUIET_START);
        loop {
            let wishes = self.want(&mut convergence);
            let mut wait = None;
            while self.board.is_connected() {
                match convergence.next(Instant::now(), |light| self.hub.lights[light].1.load()) {
                    Step::Send { light, look, on } => {
                        ahead = None;
                        let wish = wishes[light].clone().expect("only what is wished for is sent");
                        under_way.push(self.command(light, look, on, wish));
                    }
                    Step::Wait(at) => {
                        wait = at;
                        break;
                    }
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.wake.notified() => {}
                Some(ended) = under_way.next() => self.ended(&mut convergence, &ended, &mut said),
                () = sleep_until(wait), if wait.is_some() => {}
                () = sleep_until(ahead), if ahead.is_some() => {
                    ahead = None;
                    tokio::select! {
                        () = shutdown.cancelled() => break,
                        () = self.prepare(&mut convergence, &mut said) => {}
                    }
                }
            }
        }
        let last = async {
            while let Some(ended) = under_way.next().await {
                self.ended(&mut convergence, &ended, &mut said);
            }
        };
        if tokio::time::timeout(LAST_COMMANDS, last).await.is_err() {
            tracing::debug!(hub = %self.hub.name, "stopped without waiting for the hub's answer");
        }
    }

    /// Reaches the hub before anything is wanted: the first command is quick, and a wrong key or target
    /// is told at once. Nothing is lost by waiting here, since a command would wait for the same answers.
    async fn prepare(&self, convergence: &mut Convergence, said: &mut Said) {
        for (light, (_, it)) in self.hub.lights.iter().enumerate() {
            let Err(trouble) = it.prepare().await else { continue };
            convergence.failed(Instant::now(), light, &trouble);
            self.failed(light, &trouble, said);
            if !matches!(trouble, Trouble::Light { .. }) {
                return;
            }
        }
    }

    /// Takes the newest wishes over.
    fn want(&self, convergence: &mut Convergence) -> Vec<Option<Arc<Wish>>> {
        let mut wishes = Vec::with_capacity(self.places.len());
        for (light, place) in self.places.iter().enumerate() {
            let wish = self.board.light(*place, |entry| entry.wish.clone());
            convergence.want(light, wish.as_deref().map(Wish::aim).unwrap_or_default());
            wishes.push(wish);
        }
        wishes
    }

    fn command(&self, light: usize, look: Look, on: bool, wish: Arc<Wish>) -> impl Future<Output = Ended> + '_ {
        let shown = self.hub.lights[light].1.show(look.clone(), on);
        async move {
            let started = Instant::now();
            let result = shown.await;
            Ended { light, look, wish, took: started.elapsed(), result }
        }
    }

    fn ended(&self, convergence: &mut Convergence, ended: &Ended, said: &mut Said) {
        let now = Instant::now();
        let shows = convergence.ended(now, ended.light, &ended.result);
        let place = self.places[ended.light];
        match &ended.result {
            Ok(obeyed) => {
                self.board.obeyed(place, ended.wish.clone(), shows, obeyed, Timestamp::now());
                if shows {
                    self.board.observe(place, &ended.wish, ended.look.clone(), now, ended.took);
                }
                self.obeyed(ended, obeyed, said);
            }
            Err(trouble) => {
                self.board.failed(place);
                self.failed(ended.light, trouble, said);
            }
        }
        self.connection.changed(slot(place));
    }

    fn obeyed(&self, ended: &Ended, obeyed: &Obeyed, said: &mut Said) {
        let light = &self.hub.lights[ended.light].0;
        self.answers(said);
        if said.lights[ended.light].take().is_some() {
            tracing::info!(hub = %self.hub.name, %light, "the light obeys again");
        }
        let status = ended.wish.status.as_ref().map(|(account, status)| format!("{account} {}", status.activity));
        tracing::debug!(hub = %self.hub.name, %light, look = ?ended.look, status, took = ?ended.took, "shown");
        if let Some(advice) = &obeyed.advice {
            tracing::debug!(hub = %self.hub.name, %light, advice, "the hub says beside it");
        }
    }

    /// Says a trouble once, for as long as it is the same.
    fn failed(&self, light: usize, trouble: &Trouble, said: &mut Said) {
        let reason = trouble.to_string();
        let said = match trouble {
            Trouble::Light { .. } => {
                self.answers(said);
                self.unreachable(light, &reason);
                &mut said.lights[light]
            }
            Trouble::Hub { .. } | Trouble::Stop { .. } => {
                (0..self.places.len()).for_each(|light| self.unreachable(light, &reason));
                &mut said.hub
            }
        };
        if said.as_ref() != Some(&reason) {
            match trouble {
                Trouble::Stop { .. } => tracing::error!("{reason}"),
                _ => tracing::warn!("{reason}; it is tried again"),
            }
            *said = Some(reason);
        }
    }

    /// The hub answers: what was said of it is over, and what was said of single lights is not.
    fn answers(&self, said: &mut Said) {
        if said.hub.take().is_none() {
            return;
        }
        tracing::info!(hub = %self.hub.name, "the hub obeys again");
        for (place, said) in self.places.iter().zip(&said.lights) {
            self.board.light(*place, |entry| {
                entry.unreachable = said.is_some();
                entry.error.clone_from(said);
            });
            self.connection.changed(slot(*place));
        }
    }

    fn unreachable(&self, light: usize, reason: &str) {
        let place = self.places[light];
        self.board.unreachable(place, reason);
        self.connection.changed(slot(place));
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
