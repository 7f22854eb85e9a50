//! The role: listens to the broker, lets the mind wish, and lets each hub's loop do the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::board::{Board, Clock, LightState, STATE, slot};
use super::device::Device;
use super::drive::{Drive, Flash, Manner};
use super::mind::{Came, Mind, Todo};
use super::requests::{self, Answering, Ways};
use super::topics::{About, Topics};
use crate::lights::{self, HubState, Pairings};
use crate::mqtt::{Connection, Event, Options, Received, Refused, Requests, Subscription, Unusable};
use crate::presence::Name;
use crate::settings::{self, Color, Light, Settings};
use crate::store::Store;

/// How long a stop waits for the broker.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long a stop waits for another member to say that it is there.
const ANYBODY: Duration = Duration::from_secs(2);
/// How many requests wait for a hub's loop.
const FLASHES: usize = 4;

/// The actuator of one location, not yet running.
pub struct Actuator {
    settings: Arc<Settings>,
    store: Store,
    topics: Topics,
    board: Arc<Board>,
    hubs: Vec<lights::Hub>,
    pairings: Pairings,
}

/// The actuator's public state. Cheap to clone.
#[derive(Clone)]
pub struct State {
    board: Arc<Board>,
    pairings: Pairings,
}

impl State {
    /// Whether the connection to the broker stands.
    pub fn is_connected(&self) -> bool {
        self.board.is_connected()
    }

    /// Every light.
    pub fn lights(&self) -> Vec<LightState> {
        self.board.states()
    }

    /// Every hub of the configuration.
    pub fn hubs(&self) -> Vec<HubState> {
        self.pairings.hubs()
    }

    /// The pairing of its hubs.
    pub fn pairings(&self) -> Pairings {
        self.pairings.clone()
    }
}

impl Actuator {
    /// Of the lights of the configuration.
    pub fn new(settings: Arc<Settings>, store: Store) -> Self {
        Self::with_clock(settings, store, Arc::new(jiff::Timestamp::now))
    }

    /// The same, by another clock than the machine's.
    pub fn with_clock(settings: Arc<Settings>, store: Store, clock: Clock) -> Self {
        let topics = Topics::new(&settings);
        let mut chance = fastrand::Rng::new();
        let me = format!("{:08x}", chance.u32(..));
        let board = Arc::new(Board::new(topics.clone(), me, chance, clock));
        let hubs = lights::hubs(&settings, &store);
        let pairings = Pairings::new(&settings, store.clone(), &hubs);
        Self { settings, store, topics, board, hubs, pairings }
    }

    /// What health, metrics and pages show.
    pub fn state(&self) -> State {
        State { board: self.board.clone(), pairings: self.pairings.clone() }
    }

    /// Runs until the shutdown, which is clean: commands under way end, lights do what `on_stop` says, and
    /// `offline` is published.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), Unusable> {
        let device = Device::new(&self.settings, self.board.clone())?;
        let (listened, hubs) = (self.topics.listened(), std::mem::take(&mut self.hubs));
        let mut mind =
            Mind::new(&self.topics, self.lights().cloned().collect(), self.settings.colors.clone(), self.board.clone());
        self.remember(&mut mind).await;
        let guarded = vec![self.settings.mqtt.base_topic.clone(), self.settings.home_assistant.prefix.clone()];
        let requests = Requests::new(self.topics.room(), guarded);
        // The device first: what our forerunner left there is to be read before we write over it.
        let mut subscriptions = device.subscriptions();
        subscriptions.extend(self.subscriptions(&listened, &requests));
        let will = Some(self.topics.state(false));
        let options = Options { client_id: self.client_id(), may_be_taken: false, will, subscriptions };
        let (connection, mut events) = Connection::open(&self.settings.mqtt, options, Arc::new(device.clone()))?;
        let (end, seen) = (CancellationToken::new(), Arc::new(Notify::new()));
        let mut role = Role {
            actuator: &self,
            device,
            connection,
            wakes: Vec::new(),
            mind,
            abouts: listened.into_iter().collect(),
            complained: BTreeSet::new(),
            requests,
            ways: Vec::new(),
            answering: FuturesUnordered::new(),
        };
        let mut hubs = role.start_hubs(hubs, &seen, &end);
        role.listen(&mut events, &seen, &shutdown).await;
        let last = role.rest(&mut events).await;
        end.cancel();
        while hubs.join_next().await.is_some() {}
        if last && role.device.leaves() {
            role.device.leave(&role.connection);
        }
        role.connection.close(FAREWELL).await;
        Ok(())
    }

    fn lights(&self) -> impl Iterator<Item = &Light> {
        self.settings.lights.values()
    }

    /// What was paused before this start.
    async fn remember(&self, mind: &mut Mind) {
        let location = &self.settings.actuator.location;
        match self.store.pauses(location).await {
            Ok(pauses) => {
                for (light, version, value) in pauses {
                    if let Some(place) = self.topics.lights().iter().position(|name| *name == light) {
                        mind.paused(place, super::common::Paused { version, value });
                    }
                }
            }
            Err(error) => tracing::warn!("what was paused is not known until somebody says it again: {error}"),
        }
    }

    /// Requests come by a plain subscription too, for brokers that share nothing out.
    fn subscriptions(&self, listened: &[(String, About)], requests: &Requests) -> Vec<Subscription> {
        let mut subscriptions = self.topics.subscriptions(listened);
        if self.settings.mqtt.requests != settings::Requests::None {
            let plain = requests.subscription();
            subscriptions.insert(0, self.topics.shared(&plain.filter));
            subscriptions.push(plain);
        }
        subscriptions
    }

    fn place(&self, light: &Name) -> usize {
        let found = self.topics.lights().iter().position(|name| name == light);
        found.expect("the hubs' lights are those of the configuration")
    }

    /// Ends in a suffix of the process: the actuators of a location are several clients.
    fn client_id(&self) -> String {
        let prefix = self.settings.mqtt.client_id.as_deref().unwrap_or("graph2mqtt");
        let base = self.settings.mqtt.base_topic.replace('/', "-");
        format!("{prefix}-{base}-actuator-{}-{}", self.settings.actuator.location, self.board.me())
    }
}

struct Role<'a> {
    actuator: &'a Actuator,
    device: Device,
    connection: Connection,
    /// One for each hub.
    wakes: Vec<Arc<Notify>>,
    mind: Mind,
    /// What each topic is about.
    abouts: BTreeMap<String, About>,
    /// Topics on which something odd was said already.
    complained: BTreeSet<String>,
    requests: Requests,
    ways: Ways,
    answering: FuturesUnordered<Answering>,
}

impl Role<'_> {
    fn start_hubs(&mut self, driven: Vec<lights::Hub>, seen: &Arc<Notify>, end: &CancellationToken) -> JoinSet<()> {
        let mut hubs = JoinSet::new();
        for hub in driven {
            let wake = Arc::new(Notify::new());
            let (asks, asked) = mpsc::channel::<Flash>(FLASHES);
            for (light, (name, _)) in hub.lights.iter().enumerate() {
                self.ways.push((name.clone(), asks.clone(), light));
            }
            self.wakes.push(wake.clone());
            let manners = hub.lights.iter().map(|(name, _)| self.manner(name)).collect();
            let (board, connection) = (self.actuator.board.clone(), self.connection.clone());
            let drive = Drive { hub, manners, board, connection, wake, seen: seen.clone() };
            hubs.spawn(drive.run(asked, end.clone()));
        }
        hubs
    }

    fn manner(&self, name: &Name) -> Manner {
        let settings = &self.actuator.settings;
        let light = &settings.lights[name];
        let restores = settings.colors_of(light).any(|color| *color == Color::Restore);
        Manner { place: self.actuator.place(name), on_hand: light.hand, restores }
    }

    async fn listen(&mut self, events: &mut mpsc::Receiver<Event>, seen: &Notify, shutdown: &CancellationToken) {
        loop {
            let now = self.actuator.board.now();
            let mind = self.mind.deadline(now).map(tokio::time::Instant::from_std);
            let deadline = mind.into_iter().chain(self.device.deadline()).min();
            let sleep = tokio::time::sleep_until(deadline.unwrap_or(now.instant.into()));
            let todo = tokio::select! {
                () = shutdown.cancelled() => return,
                event = events.recv() => match event {
                    Some(event) => self.take(event),
                    None => return,
                },
                () = seen.notified() => self.mind.look(self.actuator.board.now()),
                Some(answer) = self.answering.next() => {
                    self.connection.answer(answer);
                    continue;
                }
                () = sleep, if deadline.is_some() => {
                    self.device.pass(tokio::time::Instant::now(), &self.connection);
                    self.mind.pass(self.actuator.board.now())
                }
            };
            self.apply(todo).await;
        }
    }

    fn take(&mut self, event: Event) -> Todo {
        match event {
            Event::Connected => self.mind.connected(self.actuator.board.now()),
            Event::Disconnected(reason) => {
                tracing::debug!("lights stay as they are until the broker is back: {reason}");
                self.mind.disconnected();
                Todo::default()
            }
            Event::Refused(reason) => {
                tracing::debug!("refused: {reason}");
                Todo::default()
            }
            Event::Received(received) => self.receive(&received),
        }
    }

    fn receive(&mut self, received: &Received) -> Todo {
        if self.device.receive(received, &self.connection) {
            return Todo::default();
        }
        let Some(about) = self.abouts.get(&received.topic) else {
            self.request(received);
            return Todo::default();
        };
        if received.given && received.retained {
            // MQTT 5 has nothing retained come by a shared subscription. Mosquitto 2.0 sends it to every member, and
            // before the plain ones bring the same in their order, behind what others have acted upon.
            return Todo::default();
        }
        let came = match (received.given, received.retained) {
            (true, _) => Came::Given,
            (false, true) => Came::Retained,
            (false, false) => Came::ToAll,
        };
        let taken = match about {
            About::Set(_) if received.retained => {
                Err("it is retained, and so not obeyed; publish it without retain, and clear it".to_owned())
            }
            about => self.mind.take(about, &received.payload, came, self.actuator.board.now()),
        };
        taken.unwrap_or_else(|odd| {
            self.complain(&received.topic, &odd);
            Todo::default()
        })
    }

    fn complain(&mut self, topic: &str, odd: &str) {
        if self.complained.insert(topic.to_owned()) {
            tracing::warn!(topic, "somebody publishes what is not taken: {odd}");
        }
    }

    fn request(&mut self, received: &Received) {
        if !received.given {
            return requests::overhear(received, &self.actuator.topics, &self.actuator.pairings);
        }
        match self.requests.take(received, tokio::time::Instant::now()) {
            Some(Ok(request)) => {
                let lights = self.actuator.board.states();
                self.answering.push(requests::answer(request, &self.ways, &lights, &self.actuator.pairings));
            }
            Some(Err(Refused::Answered(answer))) => self.connection.answer(answer),
            Some(Err(Refused::Silently(why))) => tracing::debug!("{why}"),
            None => {}
        }
    }

    async fn apply(&mut self, todo: Todo) {
        if todo.act {
            // The lamps first: what is published of them can wait until their commands are on the wire.
            self.wakes.iter().for_each(|wake| wake.notify_one());
            tokio::task::yield_now().await;
        }
        if todo.say_online {
            self.connection.changed(STATE);
        }
        if todo.opens {
            self.device.opens(&self.connection);
        }
        todo.publish.into_iter().for_each(|light| self.connection.changed(slot(light)));
        let location = &self.actuator.settings.actuator.location;
        for (light, paused) in todo.keep {
            let name = &self.actuator.topics.lights()[light];
            tracing::info!(light = %name, "{}", if paused.value { "paused" } else { "follows again" });
            if let Err(error) = self.actuator.store.set_pause(location, name, paused.version, paused.value).await {
                tracing::warn!(light = %name, "the pause is not kept over a restart: {error}");
            }
        }
    }

    /// What the lights do at a clean stop, where we are the location's last member. Answers whether we are, where
    /// that makes a difference.
    async fn rest(&mut self, events: &mut mpsc::Receiver<Event>) -> bool {
        let wanted = self.device.leaves() || self.actuator.lights().any(|light| light.on_stop != Color::Keep);
        let last = wanted && self.is_last(events).await;
        if last {
            self.actuator.board.set_ends_alone();
        }
        let todo = self.mind.stop(last, self.actuator.board.now());
        self.apply(todo).await;
        last
    }

    /// Whether nobody answers when we say `offline`: whoever is there says `online` again. Without the broker, which
    /// may have been stopped before us, nobody can be asked: then it counts whether anybody was ever heard.
    async fn is_last(&mut self, events: &mut mpsc::Receiver<Event>) -> bool {
        if !self.actuator.board.is_connected() {
            return self.mind.is_alone();
        }
        let offline = self.actuator.topics.state(false);
        let own = offline.topic.clone();
        self.connection.publish(offline, 1);
        let answered = async {
            while let Some(event) = events.recv().await {
                match event {
                    Event::Received(it) if it.topic == own && *it.payload == *b"online" && !it.retained => return true,
                    Event::Disconnected(_) => return !self.mind.is_alone(),
                    _ => {}
                }
            }
            !self.mind.is_alone()
        };
        !tokio::time::timeout(ANYBODY, answered).await.unwrap_or(false)
    }
}
