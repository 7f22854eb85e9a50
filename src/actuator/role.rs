//! The role: listens to the broker, wishes by the rules, and lets each hub's loop do the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::board::{Board, LightState, Observer, STATE, Wish, slot};
use super::device::Device;
use super::drive::Drive;
use super::knowledge::Knowledge;
use super::topics::{About, Topics, subscriptions};
use super::{payload, rules};
use crate::lights;
use crate::mqtt::{Connection, Event, Options, Received, Unusable};
use crate::presence::Name;
use crate::settings::{Color, Light, Settings};
use crate::store::Store;

/// After a connection: when the lights' topics are published even if nothing was read there.
const READING: Duration = Duration::from_secs(2);
/// How long a light waits for presences that its topic says somebody acted upon. They are on their way by
/// the subscription to the presences; what does not come is no bridge's.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a stop waits for the broker.
const FAREWELL: Duration = Duration::from_secs(2);

/// The actuator of one location, not yet running.
pub struct Actuator {
    settings: Settings,
    store: Store,
    topics: Topics,
    board: Arc<Board>,
}

/// The actuator's public state. Cheap to clone.
#[derive(Clone)]
pub struct State(Arc<Board>);

impl State {
    /// Whether the connection to the broker stands.
    pub fn is_connected(&self) -> bool {
        self.0.is_connected()
    }

    /// Every light.
    pub fn lights(&self) -> Vec<LightState> {
        self.0.states()
    }
}

impl Actuator {
    /// `observer` is told of every light that came to show something.
    pub fn new(settings: &Settings, store: Store, observer: Option<Arc<dyn Observer>>) -> Self {
        let topics = Topics::new(settings);
        let board = Arc::new(Board::new(topics.clone(), observer));
        Self { settings: settings.clone(), store, topics, board }
    }

    /// What health, metrics and pages show.
    pub fn state(&self) -> State {
        State(self.board.clone())
    }

    /// Runs until the shutdown, which is clean: commands under way end, and `offline` is published.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Unusable> {
        let device = Device::new(&self.settings, self.board.clone())?;
        let (mut subscriptions, abouts) = subscriptions(self.topics.listened());
        subscriptions.extend(device.subscriptions());
        let options = Options { client_id: self.client_id(), will: Some(self.topics.state(false)), subscriptions };
        let (connection, events) = Connection::open(&self.settings.mqtt, options, Arc::new(device.clone()))?;
        let mut hubs = JoinSet::new();
        let mut wakes = Vec::new();
        for hub in lights::hubs(&self.settings, &self.store) {
            let wake = Arc::new(Notify::new());
            wakes.push(wake.clone());
            let places = hub.lights.iter().map(|(name, _)| self.place(name)).collect();
            let (board, connection) = (self.board.clone(), connection.clone());
            hubs.spawn(Drive { hub, places, board, connection, wake }.run(shutdown.clone()));
        }
        let knowledge = Knowledge::new(self.topics.accounts().iter().cloned());
        let lights: Vec<Followed> = self.settings.lights.values().cloned().map(Followed::new).collect();
        let complained = BTreeSet::new();
        let mut role =
            Role { actuator: &self, device, connection, wakes, knowledge, lights, abouts, complained, read_at: None };
        role.listen(events, &shutdown).await;
        hubs.join_all().await;
        role.device.leave(&role.connection);
        role.connection.close(FAREWELL).await;
        Ok(())
    }

    fn place(&self, light: &Name) -> usize {
        let found = self.topics.lights().iter().position(|name| name == light);
        found.expect("the hubs' lights are those of the configuration")
    }

    /// Ends in a suffix of the process: the actuators of a location are several clients.
    fn client_id(&self) -> String {
        let prefix = self.settings.mqtt.client_id.as_deref().unwrap_or("graph2mqtt");
        let base = self.settings.mqtt.base_topic.replace('/', "-");
        format!("{prefix}-{base}-actuator-{}-{:08x}", self.settings.actuator.location, fastrand::u32(..))
    }
}

/// A light and how long it waits for presences that others have acted upon.
struct Followed {
    light: Light,
    behind_since: Option<Instant>,
}

impl Followed {
    fn new(light: Light) -> Self {
        Self { light, behind_since: None }
    }
}

struct Role<'a> {
    actuator: &'a Actuator,
    device: Device,
    connection: Connection,
    /// One for each hub.
    wakes: Vec<Arc<Notify>>,
    knowledge: Knowledge,
    lights: Vec<Followed>,
    /// What each topic is about.
    abouts: BTreeMap<String, About>,
    /// Topics on which something odd was said already.
    complained: BTreeSet<String>,
    /// When the lights' topics count as read.
    read_at: Option<Instant>,
}

impl Role<'_> {
    async fn listen(&mut self, mut events: mpsc::Receiver<Event>, shutdown: &CancellationToken) {
        loop {
            let deadline = self.deadline();
            let sleep = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now).into());
            tokio::select! {
                () = shutdown.cancelled() => return,
                event = events.recv() => match event {
                    Some(event) => self.take(event),
                    None => return,
                },
                () = sleep, if deadline.is_some() => self.pass(Instant::now()),
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let patience = self.lights.iter().filter_map(|light| light.behind_since).map(|since| since + PATIENCE);
        patience.chain(self.knowledge.deadline()).chain(self.read_at).min()
    }

    fn take(&mut self, event: Event) {
        let board = &self.actuator.board;
        match event {
            Event::Connected => {
                let now = Instant::now();
                board.set_connected(true);
                self.knowledge.connected(now);
                self.read_at = Some(now + READING);
                self.wake();
            }
            Event::Disconnected(reason) => {
                tracing::debug!("lights stay as they are until the broker is back: {reason}");
                board.set_connected(false);
                self.knowledge.disconnected();
                self.read_at = None;
            }
            Event::Refused(reason) => tracing::debug!("refused: {reason}"),
            Event::Received(received) => self.receive(&received),
        }
    }

    fn receive(&mut self, received: &Received) {
        if self.device.receive(received, &self.connection) {
            return;
        }
        let Some(about) = self.abouts.get(&received.topic).cloned() else { return };
        if let Err(odd) = self.learn(&about, &received.payload) {
            if self.complained.insert(received.topic.clone()) {
                tracing::warn!(topic = received.topic, "somebody publishes what is not taken: {odd}");
            }
            return;
        }
        self.decide();
    }

    fn learn(&mut self, about: &About, payload: &[u8]) -> Result<(), String> {
        match about {
            About::Own if payload == b"offline" => self.connection.changed(STATE),
            About::Own => {}
            About::Bridge => self.knowledge.bridge_said(payload).map_err(|odd| odd.to_string())?,
            About::State(account) => {
                self.knowledge.account_said(account, payload).map_err(|odd| odd.to_string())?;
            }
            About::Presence(account) => {
                self.knowledge.presence(account, payload).map_err(|odd| odd.to_string())?;
            }
            About::Light(light) => self.read(*light, payload)?,
        }
        Ok(())
    }

    /// What a member of the location, or our forerunner, published of a light.
    fn read(&mut self, light: usize, payload: &[u8]) -> Result<(), String> {
        if payload.is_empty() {
            return Ok(());
        }
        let inputs = payload::inputs(payload, &self.lights[light].light.follow)
            .ok_or("JSON with inputs was expected, as an actuator publishes it")?;
        self.actuator.board.light(light, |entry| payload::merge(&mut entry.read, &inputs));
        Ok(())
    }

    fn pass(&mut self, now: Instant) {
        self.knowledge.pass(now);
        if self.read_at.take_if(|at| *at <= now).is_some() {
            self.actuator.board.set_read();
            (0..self.lights.len()).for_each(|light| self.connection.changed(slot(light)));
        }
        for (light, followed) in self.lights.iter_mut().enumerate() {
            if followed.behind_since.take_if(|since| *since + PATIENCE <= now).is_some() {
                self.actuator.board.light(light, |entry| entry.read.clear());
            }
        }
        self.decide();
    }

    /// Wishes anew, light by light.
    fn decide(&mut self) {
        let mut changed = Vec::new();
        for light in 0..self.lights.len() {
            let wish = self.wish(light);
            if self.actuator.board.wish(light, wish) {
                changed.push(light);
            }
        }
        if !changed.is_empty() {
            // The lamps first: what is published of them can wait.
            self.wake();
            changed.into_iter().for_each(|light| self.connection.changed(slot(light)));
        }
    }

    /// What a light is to show; none while that cannot be told yet.
    fn wish(&mut self, light: usize) -> Option<Wish> {
        let Followed { light: rules_of, behind_since } = &mut self.lights[light];
        let knowledge = &self.knowledge;
        let ahead = self.actuator.board.light(light, |entry| {
            entry.read.iter().any(|(account, sequence)| knowledge.sequence(account) < Some(*sequence))
        });
        if ahead {
            behind_since.get_or_insert_with(Instant::now);
            return None;
        }
        *behind_since = None;
        if !rules_of.follow.iter().all(|account| knowledge.is_decided(account)) {
            return None;
        }
        let known = rules_of.follow.iter().filter_map(|account| Some((account, knowledge.known(account)?)));
        let chosen = rules::chosen(rules_of.show, known);
        let color: Color = match chosen {
            Some((_, status)) => rules::color(rules_of, &self.actuator.settings.colors, status),
            None => rules_of.offline.clone(),
        };
        let status = chosen.map(|(account, status)| (account.clone(), status.clone()));
        let inputs = rules_of
            .follow
            .iter()
            .filter_map(|account| Some((account.clone(), knowledge.sequence(account)?)))
            .collect();
        Some(Wish { status, color, inputs })
    }

    fn wake(&self) {
        self.wakes.iter().for_each(|wake| wake.notify_one());
    }
}
