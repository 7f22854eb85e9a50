//! The one task of a connection: connects, forwards events, backs off, and logs each of it once.
//!
//! rumqttc's `poll` is not cancel-safe, so its future is kept while the task waits for other things too,
//! and is dropped only together with the whole client. Every connection gets a new client: nothing of the
//! old one (unsent packets, packet ids, a collision that never resolves) outlives it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{self, AsyncClient, ConnectionError, EventLoop, MqttOptions};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::backoff::{Backoff, GOOD};
use super::link::{Limits, Link};
use super::pending::{Pending, Stop};
use super::trouble::{Place, Refusals, Trouble};
use super::{Event, Options, Subscription, Unusable, Wanted, dialect};
use crate::settings;

/// Requests that wait within rumqttc: one at a time is handed over, so that a change overtakes the rest.
const HANDED: usize = 2;

pub(super) struct Driver {
    dialect: MqttOptions,
    place: Place,
    may_be_taken: bool,
    will: Option<super::Message>,
    subscriptions: Vec<Subscription>,
    wanted: Arc<dyn Wanted>,
    pending: Arc<Pending>,
    events: mpsc::Sender<Event>,
    refusals: Refusals,
}

/// How a connection ended.
enum Ended {
    /// As we were asked to.
    Stopped,
    /// Not as anybody wanted, after this time.
    Lost(Trouble, Duration),
}

impl Driver {
    pub(super) fn new(
        settings: &settings::Mqtt,
        options: Options,
        wanted: Arc<dyn Wanted>,
        pending: Arc<Pending>,
        events: mpsc::Sender<Event>,
    ) -> Result<Self, Unusable> {
        let dialect = dialect::options(settings, &options)?;
        let place = Place::new(settings, &options.client_id);
        let Options { may_be_taken, will, subscriptions, .. } = options;
        Ok(Self {
            dialect,
            place,
            may_be_taken,
            will,
            subscriptions,
            wanted,
            pending,
            events,
            refusals: Refusals::default(),
        })
    }

    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new(self.may_be_taken, fastrand::Rng::new());
        let mut said = None;
        while let Ended::Lost(trouble, lasted) = self.connection().await {
            let wait = backoff.after(trouble.ending, lasted);
            report(&mut said, &trouble.text, lasted, wait);
            self.forward(Event::Disconnected(trouble.text)).await;
            tokio::select! {
                () = sleep(wait) => {}
                _ = self.pending.stop_asked() => return,
            }
        }
    }

    /// One connection, from its first packet to its end.
    async fn connection(&mut self) -> Ended {
        let (client, mut eventloop) = AsyncClient::new(self.dialect.clone(), HANDED);
        let answer = tokio::select! {
            answer = connack(&mut eventloop) => answer,
            _ = self.pending.stop_asked() => return Ended::Stopped,
        };
        let limits = match answer {
            Ok(limits) => limits,
            Err(error) => return Ended::Lost(Trouble::connecting(&error, &self.place), Duration::ZERO),
        };
        let since = Instant::now();
        tracing::info!(broker = %self.place, "connected");
        self.pending.connected(self.wanted.slots());
        let ended = self.serve(client, eventloop, limits).await;
        self.pending.disconnected();
        match ended {
            Err(error) if self.pending.stopping().is_none() => {
                Ended::Lost(Trouble::connected(&error, &self.place), since.elapsed())
            }
            _ => Ended::Stopped,
        }
    }

    /// Sends and receives until the connection ends, or until it is to end.
    async fn serve(
        &mut self,
        client: AsyncClient,
        mut eventloop: EventLoop,
        limits: Limits,
    ) -> Result<(), ConnectionError> {
        let (pending, wanted) = (Arc::clone(&self.pending), Arc::clone(&self.wanted));
        let mut link = Link::new(client, limits, &pending, &*wanted, self.will.as_ref(), &self.subscriptions);
        loop {
            let mut poll = pin!(eventloop.poll());
            let polled = loop {
                link.fill(&self.place, &mut self.refusals);
                if pending.stopping() == Some(Stop::Cut) || link.out_of_time() {
                    return Ok(());
                }
                tokio::select! {
                    biased;
                    polled = &mut poll => break polled?,
                    () = pending.noted() => {}
                    () = until(link.wakes_at()) => {}
                }
            };
            link.take(polled, &self.place, &mut self.refusals);
            for event in link.events() {
                forward(&self.events, &pending, event).await;
            }
        }
    }

    async fn forward(&self, event: Event) {
        forward(&self.events, &self.pending, event).await;
    }
}

/// Waits for room, but not beyond the end: a role that closes takes no more events.
async fn forward(events: &mpsc::Sender<Event>, pending: &Pending, event: Event) {
    tokio::select! {
        biased;
        _ = events.send(event) => {}
        _ = pending.stop_asked() => {}
    }
}

async fn connack(eventloop: &mut EventLoop) -> Result<Limits, ConnectionError> {
    loop {
        if let v5::Event::Incoming(Packet::ConnAck(ack)) = eventloop.poll().await? {
            return Ok(Limits::of(&ack));
        }
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// The same trouble again and again is one warning.
fn report(said: &mut Option<String>, text: &str, lasted: Duration, wait: Duration) {
    let again = lasted < GOOD && said.as_deref() == Some(text);
    if again {
        tracing::debug!(retry_in = ?wait, "{text}");
    } else {
        tracing::warn!(retry_in = ?wait, "{text}");
        *said = Some(text.to_owned());
    }
}
