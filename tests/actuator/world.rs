//! A hub with two rooms, a broker, a stand-in for the bridge, and actuators between them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use graph2mqtt::actuator::{Actuator, Clock, State};
use graph2mqtt::settings::{self, Settings};
use graph2mqtt::simulator::{Gamut, Hub, Kind, LampState, Request};
use graph2mqtt::store::Store;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{Broker, Observer};

pub const PATIENCE: Duration = Duration::from_secs(15);
pub const COLORS: &str = "colors: { Available: \"#00ff00\", Busy: \"#ff0000\", Away: \"#0000ff\", DoNotDisturb: \"#ff00ff\", Offline: off }\n";
pub const RED: (f64, f64) = (0.6915, 0.3083);
pub const BLUE: (f64, f64) = (0.1532, 0.0475);
pub const GREEN: (f64, f64) = (0.17, 0.7);

const DESK: &str = "  desk: { hub: office, target: Office, follow: alex }\n";

/// A hub with two rooms, a broker, and a stand-in for the bridge.
pub struct World {
    pub hub: Hub,
    pub broker: Broker,
    pub bridge: Observer,
    pub folder: TempDir,
    pub sequence: u64,
}

pub struct Running {
    pub state: State,
    pub shutdown: CancellationToken,
    pub task: JoinHandle<()>,
}

impl Running {
    pub async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it stops").unwrap();
    }

    /// Until its connection to the broker stands.
    pub async fn connected(&self) {
        self.is_connected(true).await;
    }

    /// Until its connection to the broker is gone.
    pub async fn disconnected(&self) {
        self.is_connected(false).await;
    }

    async fn is_connected(&self, connected: bool) {
        let such = async {
            while self.state.is_connected() != connected {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, such).await.expect("it connects, or is disconnected");
    }

    /// Ends without a word, as by a crash.
    pub fn kill(self) {
        self.task.abort();
    }
}

impl World {
    pub async fn new() -> Self {
        let plan = Hub::plan()
            .room("Office", &[("Desk", Kind::Color(Gamut::C))])
            .room("Hall", &[("Ceiling", Kind::Color(Gamut::C))]);
        Self::around(plan.start().await.unwrap()).await
    }

    /// Around another hub.
    pub async fn around(hub: Hub) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let broker = Broker::start();
        let bridge = Observer::connect(broker.address(), "graph2mqtt/actuator/#").await;
        Self { hub, broker, bridge, folder: tempfile::tempdir().unwrap(), sequence: 1_000 }
    }

    /// A bridge is online, and these accounts with it.
    pub async fn with(accounts: &[&str]) -> Self {
        let world = Self::new().await;
        world.online(accounts).await;
        world
    }

    pub async fn online(&self, accounts: &[&str]) {
        self.bridge.publish("graph2mqtt/bridge/state", "online", true).await;
        for account in accounts {
            self.bridge.publish(&format!("graph2mqtt/account/{account}/state"), "online", true).await;
        }
    }

    /// An account's presence can be known again, or no more.
    pub async fn goes(&self, account: &str, online: bool) {
        let state = if online { "online" } else { "offline" };
        self.bridge.publish(&format!("graph2mqtt/account/{account}/state"), state, true).await;
    }

    /// The next presence of an account.
    pub async fn presence(&mut self, account: &str, availability: &str) {
        self.sequence += 1;
        self.presence_numbered(account, availability, self.sequence).await;
    }

    pub async fn presence_numbered(&self, account: &str, availability: &str, sequence: u64) {
        let since = jiff::Timestamp::from_second(sequence as i64).unwrap();
        self.presence_since(account, availability, since, sequence).await;
    }

    pub async fn presence_since(&self, account: &str, availability: &str, since: jiff::Timestamp, sequence: u64) {
        let payload = format!(
            r#"{{"account":"{account}","availability":"{availability}","activity":"{availability}","since":"{since}","sequence":{sequence}}}"#
        );
        self.bridge.publish(&format!("graph2mqtt/account/{account}/presence"), payload, true).await;
    }

    pub fn settings(&self, lights: &str) -> Settings {
        self.settings_with(&[], lights)
    }

    /// With further hubs, by their names.
    pub fn settings_with(&self, hubs: &[(&str, &Hub)], lights: &str) -> Settings {
        let hub = |(name, hub): &(&str, &Hub)| {
            let (address, id, key) = (hub.address(), hub.bridge_id(), hub.key());
            format!("  {name}: {{ host: \"{address}\", id: \"{id}\", key: \"{key}\" }}\n")
        };
        let hubs: String = [("office", &self.hub)].iter().chain(hubs).map(hub).collect();
        let broker = self.broker.url();
        let yaml = format!("mqtt: {{ url: \"{broker}\" }}\nhubs:\n{hubs}{COLORS}lights:\n{lights}");
        settings::from_yaml(&yaml, self.folder.path()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }

    /// A desk that followed alex, who is busy, until a person changed it; and its actuator.
    pub async fn overruled() -> (Self, Running) {
        Self::overruled_in(Self::new().await).await
    }

    /// The same at another hub.
    pub async fn overruled_at(hub: Hub) -> (Self, Running) {
        Self::overruled_in(Self::around(hub).await).await
    }

    async fn overruled_in(mut world: Self) -> (Self, Running) {
        let actuator = world.is_busy(DESK).await;
        world.hand_until(|light| light["hand"]["until"] == "change").await;
        (world, actuator)
    }

    /// A desk that follows alex, who is busy, at a hub that is heard; and its actuator.
    pub async fn busy() -> (Self, Running) {
        let mut world = Self::new().await;
        let actuator = world.is_busy(DESK).await;
        world.hears().await;
        (world, actuator)
    }

    /// A desk that follows alex, who is busy, with this rule of hands; and its actuator.
    pub async fn busy_under(rule: &str) -> (Self, Running) {
        let mut world = Self::new().await;
        let lights = format!("  desk: {{ hub: office, target: Office, follow: alex, hand: {rule} }}\n");
        let actuator = world.is_busy(&lights).await;
        (world, actuator)
    }

    async fn is_busy(&mut self, lights: &str) -> Running {
        self.online(&["alex"]).await;
        let actuator = self.actuator_with(lights).await;
        self.presence("alex", "Busy").await;
        self.shows("Desk", RED).await;
        self.watched().await;
        actuator
    }

    /// An actuator with the light `desk` on the office, following alex.
    pub async fn actuator(&self) -> Running {
        self.actuator_with(DESK).await
    }

    pub async fn actuator_with(&self, lights: &str) -> Running {
        self.run(self.settings(lights)).await
    }

    pub async fn run(&self, settings: Settings) -> Running {
        self.run_by(Arc::new(jiff::Timestamp::now), settings).await
    }

    /// By a clock that begins here and goes on as the machine's.
    pub async fn run_from(&self, time: &str, settings: Settings) -> Running {
        let (begin, start): (jiff::Timestamp, _) = (time.parse().unwrap(), Instant::now());
        self.run_by(Arc::new(move || begin + start.elapsed()), settings).await
    }

    /// By a clock that stands until it is set.
    pub async fn run_at(&self, clock: &Arc<Mutex<jiff::Timestamp>>, settings: Settings) -> Running {
        let clock = clock.clone();
        self.run_by(Arc::new(move || *clock.lock().unwrap()), settings).await
    }

    async fn run_by(&self, clock: Clock, settings: Settings) -> Running {
        let url = format!("sqlite://{}", self.folder.path().join("store.db").display());
        let store = Store::open(&url, &self.folder.path().join("store.key")).await.unwrap();
        let actuator = Actuator::with_clock(Arc::new(settings), store, clock);
        let (state, shutdown) = (actuator.state(), CancellationToken::new());
        let token = shutdown.clone();
        let task = tokio::spawn(async move { actuator.run(token).await.unwrap() });
        Running { state, shutdown, task }
    }

    /// Waits until a lamp shows a colour.
    pub async fn shows(&self, lamp: &str, xy: (f64, f64)) {
        let such = |state: &LampState| state.on && state.xy == Some(xy);
        if let Err(late) = self.hub.wait_for(lamp, PATIENCE, such).await {
            panic!("{lamp} does not show {xy:?}: {:?}, {late:?}", self.hub.lamp(lamp));
        }
    }

    /// The newest that is published of a light, once it fits.
    pub async fn published(&self, light: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let topic = format!("graph2mqtt/actuator/home/light/{light}");
        self.bridge
            .wait(&topic, |seen| {
                let newest = seen.iter().rev().find(|seen| seen.topic == topic)?;
                serde_json::from_str(&newest.payload).ok().filter(&fits)
            })
            .await
    }

    /// A change goes through after all that happened: a barrier for what must not have happened before.
    pub async fn barrier(&mut self) {
        self.presence("alex", "Away").await;
        self.shows("Desk", BLUE).await;
    }

    /// The hub's event stream is listened to, and what is shown was published.
    pub async fn watched(&self) {
        let watched = |requests: &[Request]| requests.iter().any(|request| request.route.contains("eventstream"));
        self.hub.requests().wait_for(PATIENCE, watched).await.unwrap();
        self.published("desk", |light| light["shown"].is_object()).await;
    }

    /// Every event counts from now on: in its first second a stream may tell old ones, which are passed over.
    pub async fn hears(&self) {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }

    /// Somebody dims the lamp, again and again until the light's topic says so: the first events of a stream
    /// may be old ones, and are passed over.
    pub async fn hand_until(&self, said: impl Fn(&Value) -> bool) {
        let dims = |step| vec![serde_json::json!({"dimming": {"brightness": 20.0 + f64::from(step) / 10.0}})];
        self.hands_until(dims, said).await;
    }

    /// As [`Self::hand_until`], of a lamp that is dark.
    pub async fn switched_on_until(&self, said: impl Fn(&Value) -> bool) {
        let on =
            |step| serde_json::json!({"on": {"on": true}, "dimming": {"brightness": 20.0 + f64::from(step) / 10.0}});
        // What it is already, a hub does not tell.
        let off_and_on = |step| vec![serde_json::json!({"on": {"on": false}}), on(step)];
        self.hands_until(off_and_on, said).await;
    }

    async fn hands_until(&self, hands: impl Fn(i32) -> Vec<Value>, said: impl Fn(&Value) -> bool) {
        let topic = "graph2mqtt/actuator/home/light/desk";
        for step in 0..150 {
            hands(step).iter().for_each(|hand| self.hub.hand("Desk", hand));
            tokio::time::sleep(Duration::from_millis(100)).await;
            let newest = self.bridge.newest().get(topic).and_then(|payload| serde_json::from_str(payload).ok());
            if newest.is_some_and(|light: Value| said(&light)) {
                return;
            }
        }
        panic!("nobody noticed the hand: {:?}", self.bridge.newest());
    }

    /// The hub was read, so that its rooms are known.
    pub async fn read_ahead(&self) {
        let read = |requests: &[Request]| requests.iter().any(|request| request.route == "GET /clip/v2/resource");
        self.hub.requests().wait_for(PATIENCE, read).await.unwrap();
    }

    pub fn commands(&self) -> usize {
        self.hub.commands().count(|_| true)
    }
}
