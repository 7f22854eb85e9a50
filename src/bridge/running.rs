//! The loop of a running bridge: one task, which waits for the broker, for Graph and for the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::account::{Changes, Known, Moment};
use super::agenda::{Agenda, Index, QueueIndex};
use super::board::Board;
use super::contest::Contest;
use super::crew::{self, Places};
use super::jobs::{self, Done, Job};
use super::layout::Place;
use super::monitor::{Counter as Count, Monitor};
use super::pace::{Beat, Pace};
use super::readback::{ReadBack, Reading};
use super::sequence::Counter;
use super::talk::{News, Talk};
use super::topics::Leaf;
use super::vitals::Pulse;
use super::{Control, Failure, Parts, broker, plan};
use crate::discovery::{Births, Definitions, Rhythm};
use crate::entra::{Step, Tokens};
use crate::graph;
use crate::mqtt::{Connection, Event, Requests, Slot, Wanted};
use crate::presence::AccountName;
use crate::settings::Settings;
use crate::store::Store;

/// How often it looks after what no event tells: grants changed by another process, answers grown old.
const ROUND: Duration = Duration::from_secs(5);

/// How often `bridge/health` is written.
const HEALTH: Duration = Duration::from_secs(60);

/// How long a start waits for the first answer about every account, before the rest is said to be unknown.
pub(super) const SETTLE: Duration = Duration::from_secs(3);

/// How long a clean stop may take.
const GOODBYE: Duration = Duration::from_secs(3);

/// A bridge and all that it knows.
pub(super) struct Bridge {
    pub(super) settings: Arc<Settings>,
    pub(super) store: Store,
    pub(super) tokens: Tokens,
    pub(super) graph: graph::Client,
    pub(super) monitor: Monitor,
    shutdown: CancellationToken,
    pub(super) instance: String,
    pub(super) board: Arc<Board>,
    pub(super) connection: Connection,
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) agenda: Agenda,
    pub(super) pace: Pace,
    /// The intervals after the latest round of each queue.
    pub(super) beats: BTreeMap<QueueIndex, Beat>,
    pub(super) counter: Counter,
    pub(super) rng: fastrand::Rng,
    pub(super) jobs: FuturesUnordered<Job>,
    pub(super) talk: Talk,
    /// Whose presences are on their way, and not in the log yet.
    pub(super) untold: Vec<Index>,
    pub(super) phase: Phase,
    /// What the broker held at the start, until all of it was compared with what is wanted.
    pub(super) found: Option<ReadBack>,
    /// What a marker holds when it is ours and of this connection.
    pub(super) marker: String,
    /// Slots that somebody else wrote over; written again with the next round, so that no two quarrel at full speed.
    pub(super) disturbed: BTreeSet<Slot>,
    /// Another instance that wrote on our base topic while we run.
    pub(super) rival: Option<String>,
    /// Up to where the store's grants are known.
    pub(super) revision: i64,
    pub(super) places: Places,
    /// How many accounts there are by the configuration.
    pub(super) configured: plan::Counts,
    /// How many enrolled.
    pub(super) enrolled: u32,
    /// Tenants whose id is not known yet.
    pub(super) tenants: Vec<Box<str>>,
    /// The accounts by whose right others are read.
    pub(super) readers: BTreeSet<AccountName>,
    /// How many batches were halved in this round.
    pub(super) halved: u8,
    reserving: bool,
    pub(super) reserved: bool,
    pub(super) online: u64,
    needed: u64,
    pub(super) staleness: Duration,
    pub(super) begun: Instant,
    next_round: Instant,
    next_health: Instant,
    /// Home Assistant was born: everything is sent again.
    pub(super) births: Births,
    pub(super) control: Control,
    pub(super) requests: Requests,
    /// Sign-ins by code that come a step further.
    steps: broadcast::Receiver<Step>,
    pub(super) pulse: Pulse,
    /// Topics of accounts that enrolled with a lost store.
    pub(super) strangers: Vec<String>,
    /// Topics of locations' devices.
    pub(super) locations: BTreeSet<String>,
    /// Whether Home Assistant was told which components are gone.
    pub(super) retired: bool,
}

/// How far the start has come.
pub(super) enum Phase {
    /// Nothing was read yet.
    Connecting,
    /// What the broker holds is on its way.
    Reading(Reading),
    /// Somebody else may own the base topic.
    Contested(Contest),
    /// It is read, and the store has to reserve sequences yet.
    Read,
    /// Presences are published as they come; the first answers of some are still awaited.
    Settling { until: Instant },
    /// `online`
    Running,
}

impl Bridge {
    /// Begins to connect and to poll.
    pub(super) async fn start(parts: Parts) -> Result<Self, Failure> {
        let Parts { settings, store, tokens, graph, monitor, shutdown, control } = parts;
        let instance = store.instance().0.to_owned();
        let roll = store.roll().await.map_err(|error| Failure::Unable(error.to_string()))?;
        let (revision, now) = (roll.revision, Instant::now());
        let (configured, enrolled) = (plan::Counts::of(&settings), roll.came.len() as u32);
        let tenants = plan::domains(&settings);
        let (crew, agenda) = plan::plan(&settings, roll, now);
        let mut places = Places::default();
        for gone in crew.gone() {
            places.departs(gone, now);
        }
        let home_assistant = &settings.home_assistant;
        let definitions = home_assistant
            .discovery
            .then(|| {
                let rhythm = Rhythm { active: settings.graph.active, quiet: settings.graph.quiet };
                Definitions::load(home_assistant.definitions.as_deref(), rhythm)
            })
            .transpose()
            .map_err(|error| Failure::Misconfigured(error.to_string()))?;
        let board = Arc::new(Board::new(settings.clone(), definitions, crew));
        monitor.opens(&board);
        let options = broker::options(&settings, board.topics(), &instance);
        let (connection, events) = Connection::open(&settings.mqtt, options, board.clone())
            .map_err(|error| Failure::Misconfigured(error.to_string()))?;
        let mut bridge = Self {
            readers: crew::readers(&settings),
            requests: broker::requests(&settings),
            steps: tokens.sign_ins().steps(),
            pulse: Pulse::new(now),
            strangers: Vec::new(),
            locations: BTreeSet::new(),
            retired: true,
            control,
            pace: Pace { active: settings.graph.active, quiet: settings.graph.quiet },
            staleness: plan::staleness(&settings, configured.own + enrolled),
            marker: broker::marker(),
            settings,
            store,
            tokens,
            graph,
            monitor,
            shutdown,
            instance,
            board,
            connection,
            events,
            agenda,
            beats: BTreeMap::new(),
            counter: Counter::default(),
            rng: fastrand::Rng::new(),
            jobs: FuturesUnordered::new(),
            talk: Talk::default(),
            untold: Vec::new(),
            phase: Phase::Connecting,
            found: None,
            disturbed: BTreeSet::new(),
            rival: None,
            revision,
            places,
            configured,
            enrolled,
            tenants,
            halved: 0,
            reserving: false,
            reserved: false,
            online: 0,
            needed: 0,
            begun: now,
            next_round: now + ROUND,
            next_health: now + HEALTH,
            births: Births::default(),
        };
        bridge.crew_changed();
        bridge.look_tenants_up();
        Ok(bridge)
    }

    /// Until the shutdown.
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        let shutdown = self.shutdown.clone();
        self.reserve_ahead();
        loop {
            if !self.untold.is_empty() {
                // A line of the log takes as long as sending the presence, which goes first.
                tokio::task::yield_now().await;
                self.tell_presences();
            }
            self.launch();
            let wake = self.wake();
            tokio::select! {
                // What the broker says comes first: it is never much, and the connection waits for us to take it.
                biased;
                () = shutdown.cancelled() => break,
                event = self.events.recv() => match event {
                    Some(event) => self.on_event(event)?,
                    None => return Err(Failure::Unable("the connection to the broker ended for good".into())),
                },
                Some(done) = self.jobs.next() => self.on_done(done)?,
                step = self.steps.recv() => self.on_step(step),
                () = tokio::time::sleep_until(wake) => self.on_time()?,
            }
        }
        tracing::info!("stopping");
        self.farewell(GOODBYE).await;
        self.monitor.connected(false);
        Ok(())
    }

    /// When something is due next.
    fn wake(&mut self) -> Instant {
        let start = match &self.phase {
            Phase::Reading(reading) => Some(reading.until()),
            Phase::Settling { until } => Some(*until),
            Phase::Contested(contest) => Some(contest.wake()),
            Phase::Connecting | Phase::Read | Phase::Running => None,
        };
        let dates = [self.agenda.wake(), start, self.births.wakes_at(), Some(self.next_round), Some(self.next_health)];
        dates.into_iter().flatten().min().expect("the rounds never end")
    }

    fn on_time(&mut self) -> Result<(), Failure> {
        let now = Moment::now();
        match &self.phase {
            Phase::Reading(reading) if reading.until() <= now.instant => {
                reading.gives_up(&self.settings.mqtt.base_topic);
                self.all_read()?;
            }
            Phase::Contested(_) => self.contest_at(now.instant)?,
            Phase::Settling { until } if *until <= now.instant => self.settle(),
            _ => {}
        }
        self.send_again(now.instant);
        if self.next_round <= now.instant {
            self.next_round = now.instant + ROUND;
            self.round(now);
        }
        if self.next_health <= now.instant {
            self.next_health = now.instant + HEALTH;
            self.look_tenants_up();
            self.write_health();
        }
        Ok(())
    }

    fn on_done(&mut self, done: Done) -> Result<(), Failure> {
        match done {
            Done::Poll { sent, at, outcome } => self.on_poll(&sent, at, outcome),
            Done::Reserved(reserved) => self.on_reserved(reserved)?,
            Done::Reloaded(Ok(news)) if news.revision != self.revision => self.on_news(news),
            Done::Reloaded(Ok(_)) | Done::Forgotten(Ok(())) => {}
            Done::Tenant { name, id } => self.on_tenant(name, id),
            Done::Forgotten(Err(error)) => tracing::debug!("departures stay on record for now: {error}"),
            Done::Asked { ticket, finished } => self.on_finished(ticket, finished),
            Done::Reloaded(Err(trouble)) => tracing::debug!("the store's grants could not be looked at: {trouble}"),
        }
        Ok(())
    }

    fn round(&mut self, now: Moment) {
        self.jobs.push(jobs::reload(self.tokens.clone(), self.revision));
        self.halved = 0;
        self.reserve_ahead();
        let aged = self.board.write().aged(now.instant, self.staleness);
        for (index, changes) in aged {
            self.tell_of(
                News::Unknown,
                index,
                "Graph has not been asked for too long: its limit, or a pause it imposed",
            );
            self.apply(index, changes);
        }
        for slot in std::mem::take(&mut self.disturbed) {
            self.connection.changed(slot);
        }
        self.clear_places(now.instant);
        self.talk.sum_up();
        self.sum_up_requests();
        self.retire();
    }

    fn reserve_ahead(&mut self) {
        let short = self.counter.short(Moment::now().wall);
        if let Some(above) = short.filter(|_| !self.reserving) {
            self.reserving = true;
            self.jobs.push(jobs::reserve(self.store.clone(), above));
        }
    }

    fn on_reserved(
        &mut self,
        reserved: Result<crate::presence::Sequence, crate::store::StoreError>,
    ) -> Result<(), Failure> {
        self.reserving = false;
        match reserved {
            Ok(floor) => self.counter.reserved(floor),
            Err(error) if !self.reserved => return Err(Failure::Unable(error.to_string())),
            // The clock and what the broker holds still order the presences.
            Err(error) => tracing::error!("sequences cannot be reserved: {error}"),
        }
        self.reserved = true;
        if matches!(self.phase, Phase::Read) {
            self.open();
        }
        Ok(())
    }

    /// An account's topics changed: they are sent, where they are not what the broker holds already.
    pub(super) fn apply(&mut self, index: Index, changes: Changes) {
        if changes.presence && self.touch(Place::Account(index, Leaf::Presence)) {
            self.announce(index);
        }
        if changes.state {
            self.touch(Place::Account(index, Leaf::State));
        }
        if changes.sign_in {
            self.touch(Place::Account(index, Leaf::SignIn));
        }
    }

    /// A slot's message changed, or may have. Answers whether it is sent.
    pub(super) fn touch(&mut self, place: Place) -> bool {
        let slot: Slot = self.board.layout().slot(place);
        if let Some(found) = &mut self.found {
            let Some(message) = self.board.render(slot) else { return false };
            if found.take_same(slot, &message.payload) {
                return false;
            }
        }
        self.connection.changed(slot);
        true
    }

    /// Keeps the sums that others see.
    pub(super) fn count(&mut self, known: (Known, Known), needed: (bool, bool)) {
        let moved = |sum: u64, before: bool, after: bool| sum + u64::from(after) - u64::from(before);
        self.online = moved(self.online, known.0 == Known::Yes, known.1 == Known::Yes);
        self.needed = moved(self.needed, needed.0, needed.1);
        self.monitor.set(Count::Online, self.online);
        self.monitor.set(Count::Needed, self.needed);
    }
}
