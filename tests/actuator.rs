//! The actuator over real sockets: a real broker, a simulated hub, and presences published as a bridge does.
#![cfg(test)]
#![cfg(feature = "demo")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use graph2mqtt::actuator::{Actuator, State};
use graph2mqtt::settings::{self, Settings};
use graph2mqtt::simulator::{Certificate, Fault, Gamut, Hub, Kind, Request, What};
use graph2mqtt::store::Store;
use serde_json::Value;
use support::{Broker, Observer};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(15);
const COLORS: &str = "colors: { Available: \"#00ff00\", Busy: \"#ff0000\", Away: \"#0000ff\", DoNotDisturb: \"#ff00ff\", Offline: off }\n";
const RED: (f64, f64) = (0.6915, 0.3083);
const BLUE: (f64, f64) = (0.1532, 0.0475);
const GREEN: (f64, f64) = (0.17, 0.7);

/// A hub with two rooms, a broker, and a stand-in for the bridge.
struct World {
    hub: Hub,
    broker: Broker,
    bridge: Observer,
    folder: TempDir,
    sequence: u64,
}

struct Running {
    state: State,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it stops").unwrap();
    }

    /// Until its connection to the broker stands.
    async fn connected(&self) {
        let connected = async {
            while !self.state.is_connected() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, connected).await.expect("it connects");
    }

    /// Ends without a word, as by a crash.
    fn kill(self) {
        self.task.abort();
    }
}

impl World {
    async fn new() -> Self {
        let hub = Hub::plan()
            .room("Office", &[("Desk", Kind::Color(Gamut::C))])
            .room("Hall", &[("Ceiling", Kind::Color(Gamut::C))])
            .start()
            .await
            .unwrap();
        let broker = Broker::start();
        let bridge = Observer::connect(broker.address(), "graph2mqtt/actuator/#").await;
        Self { hub, broker, bridge, folder: tempfile::tempdir().unwrap(), sequence: 1_000 }
    }

    /// A bridge is online, and these accounts with it.
    async fn with(accounts: &[&str]) -> Self {
        let world = Self::new().await;
        world.online(accounts).await;
        world
    }

    async fn online(&self, accounts: &[&str]) {
        self.bridge.publish("graph2mqtt/bridge/state", "online", true).await;
        for account in accounts {
            self.bridge.publish(&format!("graph2mqtt/account/{account}/state"), "online", true).await;
        }
    }

    /// The next presence of an account.
    async fn presence(&mut self, account: &str, availability: &str) {
        self.sequence += 1;
        self.presence_numbered(account, availability, self.sequence).await;
    }

    async fn presence_numbered(&self, account: &str, availability: &str, sequence: u64) {
        let since = jiff::Timestamp::from_second(sequence as i64).unwrap();
        self.presence_since(account, availability, since, sequence).await;
    }

    async fn presence_since(&self, account: &str, availability: &str, since: jiff::Timestamp, sequence: u64) {
        let payload = format!(
            r#"{{"account":"{account}","availability":"{availability}","activity":"{availability}","since":"{since}","sequence":{sequence}}}"#
        );
        self.bridge.publish(&format!("graph2mqtt/account/{account}/presence"), payload, true).await;
    }

    fn settings(&self, lights: &str) -> Settings {
        let (broker, hub) = (self.broker.url(), &self.hub);
        let (address, id, key) = (hub.address(), hub.bridge_id(), hub.key());
        let yaml = format!(
            "mqtt: {{ url: \"{broker}\" }}\nhubs:\n  office: {{ host: \"{address}\", id: \"{id}\", key: \"{key}\" }}\n{COLORS}lights:\n{lights}"
        );
        settings::from_yaml(&yaml, self.folder.path()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }

    /// An actuator with the light `desk` on the office, following alex.
    async fn actuator(&self) -> Running {
        self.actuator_with("  desk: { hub: office, target: Office, follow: alex }\n").await
    }

    async fn actuator_with(&self, lights: &str) -> Running {
        self.run(self.settings(lights)).await
    }

    async fn run(&self, settings: Settings) -> Running {
        let url = format!("sqlite://{}", self.folder.path().join("store.db").display());
        let store = Store::open(&url, &self.folder.path().join("store.key")).await.unwrap();
        let actuator = Actuator::new(Arc::new(settings), store);
        let (state, shutdown) = (actuator.state(), CancellationToken::new());
        let token = shutdown.clone();
        let task = tokio::spawn(async move { actuator.run(token).await.unwrap() });
        Running { state, shutdown, task }
    }

    /// Waits until a lamp shows a colour.
    async fn shows(&self, lamp: &str, xy: (f64, f64)) {
        let such = |state: &graph2mqtt::simulator::LampState| state.on && state.xy == Some(xy);
        if let Err(late) = self.hub.wait_for(lamp, PATIENCE, such).await {
            panic!("{lamp} does not show {xy:?}: {:?}, {late:?}", self.hub.lamp(lamp));
        }
    }

    /// The newest that is published of a light, once it fits.
    async fn published(&self, light: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let topic = format!("graph2mqtt/actuator/home/light/{light}");
        self.bridge
            .wait(&topic, |seen| {
                let newest = seen.iter().rev().find(|seen| seen.topic == topic)?;
                serde_json::from_str(&newest.payload).ok().filter(&fits)
            })
            .await
    }

    /// A change goes through after all that happened: a barrier for what must not have happened before.
    async fn barrier(&mut self) {
        self.presence("alex", "Away").await;
        self.shows("Desk", BLUE).await;
    }

    /// The hub's event stream is listened to, and what is shown was published.
    async fn watched(&self) {
        let watched = |requests: &[Request]| requests.iter().any(|request| request.route.contains("eventstream"));
        self.hub.requests().wait_for(PATIENCE, watched).await.unwrap();
        self.published("desk", |light| light["shown"].is_object()).await;
    }

    /// Somebody dims the lamp, again and again until the light's topic says so: the first events of a stream
    /// may be old ones, and are passed over.
    async fn hand_until(&self, said: impl Fn(&Value) -> bool) {
        let topic = "graph2mqtt/actuator/home/light/desk";
        for step in 0..150 {
            self.hub.hand("Desk", &serde_json::json!({"dimming": {"brightness": 20.0 + f64::from(step) / 10.0}}));
            tokio::time::sleep(Duration::from_millis(100)).await;
            let newest = self.bridge.newest().get(topic).and_then(|payload| serde_json::from_str(payload).ok());
            if newest.is_some_and(|light: Value| said(&light)) {
                return;
            }
        }
        panic!("nobody noticed the hand: {:?}", self.bridge.newest());
    }

    fn commands(&self) -> usize {
        self.hub.commands().count(|_| true)
    }
}

#[tokio::test]
async fn a_presence_becomes_a_colour_and_what_is_shown_is_published() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    let light = world.published("desk", |light| light["shown"].is_object()).await;
    assert_eq!(light["wanted"], light["shown"]);
    assert_eq!(light["shown"]["account"], "alex");
    assert_eq!(light["shown"]["availability"], "Busy");
    assert_eq!(light["shown"]["color"], "#ff0000");
    assert_eq!((&light["inputs"]["alex"], &light["reachable"]), (&world.sequence.into(), &true.into()));
    assert!(light["since"].is_string() && light["error"].is_null());
    assert!(!world.hub.lamp("Ceiling").on);

    world.presence("alex", "Offline").await;
    world.hub.wait_for("Desk", PATIENCE, |lamp| !lamp.on).await.unwrap();
    world.published("desk", |light| light["shown"]["color"] == "off").await;
    assert!(actuator.state.is_connected() && actuator.state.lights()[0].commands == 2);
    actuator.stop().await;
    world.bridge.until_is("graph2mqtt/actuator/home/state", "offline").await;
}

#[tokio::test]
async fn forty_changes_within_a_second_end_at_the_newest_within_the_hubs_limit() {
    let mut world = World::with(&["alex"]).await;
    world.hub.adjust(|limits| limits.group_gap = Duration::ZERO);
    let actuator = world.actuator_with(
        "  desk: { hub: office, target: Office, follow: alex }\n  hall: { hub: office, target: Hall, follow: alex }\n",
    );
    let actuator = actuator.await;
    let mut pace = tokio::time::interval(Duration::from_millis(24));
    for change in 0..40 {
        pace.tick().await;
        world.presence("alex", ["Available", "Busy", "DoNotDisturb"][change % 3]).await;
    }
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    world.shows("Ceiling", BLUE).await;
    let at: Vec<Instant> = world.hub.commands().all().iter().map(|command| command.at).collect();
    for pair in at.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_millis(900), "group commands {:?} apart", pair[1] - pair[0]);
    }
    assert!(at.len() <= 6, "{} commands for 41 changes on two lights", at.len());
    actuator.stop().await;
}

#[tokio::test]
async fn what_changes_nothing_is_not_sent() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.presence("alex", "Busy").await;
    world.bridge.publish("graph2mqtt/bridge/state", "offline", true).await;
    world.bridge.publish("graph2mqtt/bridge/state", "online", true).await;
    // Until its report is out, a command may have crossed with another member's.
    world.published("desk", |light| light["shown"].is_object()).await;
    world.barrier().await;
    assert_eq!(world.commands(), 2);
    let bodies: Vec<Value> = world.hub.commands().all().into_iter().map(|command| command.body).collect();
    assert_eq!(bodies[0]["on"]["on"], true);
    assert!(bodies[1].get("on").is_none(), "it is on: {}", bodies[1]);
    actuator.stop().await;
}

#[tokio::test]
async fn a_light_that_somebody_switched_off_comes_on_with_the_next_status() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.hub.hand("Desk", &serde_json::json!({"on": {"on": false}}));
    world.barrier().await;
    actuator.stop().await;
}

#[tokio::test]
async fn an_older_presence_that_comes_late_changes_nothing() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.presence_numbered("alex", "Available", world.sequence - 1).await;
    world.barrier().await;
    assert_eq!(world.commands(), 2);
    actuator.stop().await;
}

#[tokio::test]
async fn while_the_bridge_or_the_account_is_offline_the_light_shows_what_the_configuration_says() {
    let mut world = World::with(&["alex"]).await;
    let lights = "  desk: { hub: office, target: Office, follow: alex, offline: off }\n";
    let actuator = world.actuator_with(lights).await;
    world.presence("alex", "Busy").await;
    for topic in ["graph2mqtt/bridge/state", "graph2mqtt/account/alex/state"] {
        world.shows("Desk", RED).await;
        world.bridge.publish(topic, "offline", true).await;
        world.hub.wait_for("Desk", PATIENCE, |lamp| !lamp.on).await.unwrap();
        world.bridge.publish(topic, "online", true).await;
    }
    world.shows("Desk", RED).await;
    actuator.stop().await;
}

#[tokio::test]
async fn of_several_accounts_the_busiest_is_shown() {
    let mut world = World::with(&["alex", "sam"]).await;
    world.presence("alex", "Busy").await;
    world.presence("sam", "Available").await;
    let actuator = world.actuator_with("  desk: { hub: office, target: Office, follow: [sam, alex] }\n").await;
    world.shows("Desk", RED).await;
    assert_eq!(world.commands(), 1, "both were known before the first command");
    world.presence("alex", "Away").await;
    world.shows("Desk", GREEN).await;
    actuator.stop().await;
}

#[tokio::test]
async fn a_hub_that_was_down_converges_to_the_newest() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.hub.down().await;
    for availability in ["Available", "DoNotDisturb", "Available"] {
        world.presence("alex", availability).await;
    }
    let lost = world.published("desk", |light| light["reachable"] == false).await;
    assert!(lost["error"].as_str().unwrap().contains("office"), "{lost}");
    world.presence("alex", "Away").await;
    world.published("desk", |light| light["wanted"]["availability"] == "Away").await;
    world.hub.up().await.unwrap();
    world.shows("Desk", BLUE).await;
    world.published("desk", |light| light["reachable"] == true && light["error"].is_null()).await;
    assert_eq!(world.commands(), 2, "never a backlog");
    actuator.stop().await;
}

#[tokio::test]
async fn a_broker_that_lost_everything_gets_it_back_and_the_light_follows_on() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.broker.kill();
    world.broker.restart();
    world.bridge = Observer::connect(world.broker.address(), "graph2mqtt/actuator/#").await;
    world.bridge.until_is("graph2mqtt/actuator/home/state", "online").await;
    world.published("desk", |light| light["shown"]["color"] == "#ff0000").await;
    world.online(&["alex"]).await;
    world.barrier().await;
    assert_eq!(world.commands(), 2, "the broker's outage alone is no reason for a command");
    actuator.stop().await;
}

#[tokio::test]
async fn a_restarted_actuator_sends_its_look_once() {
    let mut world = World::with(&["alex"]).await;
    let first = world.actuator().await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.published("desk", |light| light["shown"].is_object()).await;
    first.kill();
    world.bridge.forget();
    let second = world.actuator().await;
    world.published("desk", |light| light["shown"]["color"] == "#ff0000").await;
    assert_eq!(world.commands(), 2);
    world.barrier().await;
    assert_eq!(world.commands(), 3);
    second.stop().await;
}

#[tokio::test]
async fn a_key_that_the_hub_does_not_know_is_not_tried_again() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.hub.revoke_key();
    world.hub.requests().clear();
    world.presence("alex", "Available").await;
    let light = world.published("desk", |light| light["reachable"] == false).await;
    assert!(light["error"].as_str().unwrap().contains("link button"), "{light}");
    world.presence("alex", "Away").await;
    world.published("desk", |light| light["wanted"]["availability"] == "Away").await;
    // None where the stream of events was refused before the change came.
    assert!(world.hub.requests().count(|request| !request.route.contains("eventstream")) <= 1);
    actuator.stop().await;
}

#[tokio::test]
async fn the_hub_is_read_ahead_so_that_the_first_change_costs_one_request() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    let read = |requests: &[Request]| requests.iter().any(|request| request.route == "GET /clip/v2/resource");
    world.hub.requests().wait_for(PATIENCE, read).await.unwrap();
    world.hub.requests().clear();
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    assert_eq!(world.hub.requests().count(|request| !request.route.contains("eventstream")), 1);
    actuator.stop().await;
}

#[tokio::test]
async fn a_wrong_key_or_target_is_known_before_anything_is_wanted() {
    let world = World::with(&["alex"]).await;
    let until_it_says = async |actuator: &Running, text: &str| {
        let says = || actuator.state.lights()[0].error.as_ref().is_some_and(|error| error.contains(text));
        let until = async {
            while !says() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, until).await.unwrap_or_else(|_| panic!("{:?}", actuator.state.lights()));
    };
    let actuator = world.actuator_with("  desk: { hub: office, target: Atrium, follow: alex }\n").await;
    until_it_says(&actuator, "room/Office").await;
    actuator.stop().await;
    world.hub.fault(Fault::new("GET /clip", What::status(403, "")));
    let actuator = world.actuator().await;
    until_it_says(&actuator, "link button").await;
    actuator.stop().await;
    assert_eq!(world.commands(), 0);
}

#[tokio::test]
async fn a_light_without_a_target_stays_unreachable_beside_one_that_obeys() {
    let mut world = World::with(&["alex"]).await;
    let lights = "  desk: { hub: office, target: Office, follow: alex }\n  lost: { hub: office, target: Atrium, follow: alex }\n";
    let actuator = world.actuator_with(lights).await;
    for availability in ["Busy", "Away", "Busy"] {
        world.presence("alex", availability).await;
        world.published("desk", |light| light["shown"]["availability"] == availability).await;
        let lost = world.published("lost", |light| light["wanted"]["availability"] == availability).await;
        assert_eq!(lost["reachable"], false, "{lost}");
        assert!(lost["error"].as_str().unwrap().contains("lights.lost.target"), "{lost}");
    }
    actuator.stop().await;
}

#[tokio::test]
async fn retry_after_is_obeyed_and_the_newest_wish_sent() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.hub.fault(Fault::new("PUT", What::retry_after(429, 3)).times(1));
    world.hub.requests().clear();
    world.presence("alex", "Available").await;
    world.published("desk", |light| light["reachable"] == false).await;
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    let at: Vec<Instant> =
        world.hub.requests().all().iter().filter(|it| it.route.starts_with("PUT")).map(|it| it.at).collect();
    assert_eq!(at.len(), 2);
    assert!(at[1] - at[0] >= Duration::from_secs(3), "{:?}", at[1] - at[0]);
    actuator.stop().await;
}

#[tokio::test]
async fn a_changed_certificate_is_refused_with_the_remedy() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.hub.present(Certificate::self_signed(&world.hub.bridge_id()));
    world.hub.requests().clear();
    world.presence("alex", "Away").await;
    let light = world.published("desk", |light| light["error"].to_string().contains("certificate_sha256")).await;
    assert!(light["error"].to_string().contains(&world.hub.certificate_sha256()), "{light}");
    assert_eq!(world.hub.requests().count(|_| true), 0);
    actuator.stop().await;
}

#[tokio::test]
async fn strangers_payloads_change_nothing() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.published("desk", |light| light["shown"].is_object()).await;
    let huge = vec![b'['; 200_000];
    let absurd = format!(
        r#"{{"account":"alex","availability":"Away","activity":"Away","since":"2026-01-01T00:00:00Z","sequence":{}}}"#,
        1_u64 << 53
    );
    for payload in [&b"garbage"[..], b"{}", b"null", b"\xff\xfe", &huge, absurd.as_bytes()] {
        for topic in [
            "account/alex/presence",
            "account/alex/state",
            "bridge/state",
            "actuator/home/state",
            "actuator/home/light/desk",
        ] {
            world.bridge.publish(&format!("graph2mqtt/{topic}"), payload, false).await;
        }
    }
    let inputs = format!(r#"{{"inputs":{{"alex":{},"sam":5}}}}"#, (1_u64 << 53) - 1);
    world.bridge.publish("graph2mqtt/actuator/home/light/desk", inputs, false).await;
    world.barrier().await;
    assert_eq!(world.commands(), 2);
    actuator.stop().await;
}

#[tokio::test]
async fn an_offline_on_its_own_topic_is_answered_with_online() {
    let world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    world.bridge.until_is("graph2mqtt/actuator/home/state", "online").await;
    world.bridge.forget();
    world.bridge.publish("graph2mqtt/actuator/home/state", "offline", true).await;
    world.bridge.until("offline", |seen| seen.payload == "offline").await;
    world.bridge.until_is("graph2mqtt/actuator/home/state", "online").await;
    actuator.stop().await;
}

#[tokio::test]
async fn what_others_have_acted_upon_is_waited_for_and_never_published_over() {
    let mut world = World::with(&["alex"]).await;
    let ahead = world.sequence + 2;
    let topic = "graph2mqtt/actuator/home/light/desk";
    world.bridge.publish(topic, format!(r#"{{"inputs":{{"alex":{ahead}}}}}"#), true).await;
    world.presence("alex", "Busy").await;
    let actuator = world.actuator().await;
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    let light = world.published("desk", |light| light["shown"].is_object()).await;
    assert_eq!(light["inputs"]["alex"], ahead);
    assert_eq!(world.commands(), 1, "the older presence was not shown");
    actuator.stop().await;
}

#[tokio::test]
async fn however_many_actuators_share_a_location_the_light_ends_at_the_newest() {
    let mut world = World::with(&["alex"]).await;
    let lights = "  desk: { hub: office, target: light/Desk, follow: alex }\n";
    let members = [world.actuator_with(lights).await, world.actuator_with(lights).await];
    let killed = world.actuator_with(lights).await;
    for change in 0..12 {
        world.presence("alex", ["Available", "Busy", "DoNotDisturb"][change % 3]).await;
        if change == 6 {
            killed.task.abort();
        }
    }
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    let newest = world.sequence;
    world.published("desk", |light| light["inputs"]["alex"] == newest && light["shown"] == light["wanted"]).await;
    for member in members {
        member.stop().await;
    }
    assert_eq!(world.hub.lamp("Desk").xy, Some(BLUE), "nobody set it back");
}

#[tokio::test]
async fn of_two_locations_each_goes_its_own_way() {
    let mut world = World::with(&["alex"]).await;
    let at_home = world.actuator_with("  desk: { hub: office, target: Office, follow: alex }\n").await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    let settings = world.settings("  desk: { hub: office, target: Hall, follow: alex }\n");
    let cabin = Settings { actuator: settings::Actuator { location: "cabin".parse().unwrap() }, ..settings };
    let at_cabin = world.run(cabin).await;
    world.shows("Ceiling", RED).await;
    world.bridge.publish("graph2mqtt/actuator/cabin/light/desk/set", r#"{"paused":true}"#, false).await;
    let paused = |seen: &support::observer::Seen| {
        seen.topic == "graph2mqtt/actuator/cabin/light/desk"
            && seen.payload.contains(r#""paused":{"version""#)
            && seen.payload.contains(r#""value":true"#)
    };
    world.bridge.until("the cabin is paused", paused).await;
    world.presence("alex", "Available").await;
    world.shows("Desk", GREEN).await;
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    assert_eq!(world.hub.lamp("Ceiling").xy, Some(RED), "paused there alone");
    at_home.stop().await;
    at_cabin.stop().await;
}

#[tokio::test]
async fn a_paused_light_stays_as_it_is_over_a_restart_until_it_is_let_go() {
    let mut world = World::with(&["alex"]).await;
    let set = "graph2mqtt/actuator/home/light/desk/set";
    let actuator = world.actuator().await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.bridge.publish(set, r#"{"paused":true}"#, false).await;
    let light = world.published("desk", |light| light["paused"]["value"] == true).await;
    assert_eq!(light["wanted"]["color"], "keep", "{light}");
    actuator.stop().await;
    world.broker.kill();
    world.broker.restart();
    world.bridge = Observer::connect(world.broker.address(), "graph2mqtt/actuator/#").await;
    world.online(&["alex"]).await;
    let actuator = world.actuator().await;
    world.presence("alex", "Away").await;
    world
        .published("desk", |light| light["paused"]["value"] == true && light["wanted"]["availability"] == "Away")
        .await;
    assert_eq!(world.hub.lamp("Desk").xy, Some(RED), "the store remembers what the broker does not");
    for odd in ["", "yes", "{}", r#"{"paused":1}"#, r#"{"paused":false,"until":3}"#] {
        world.bridge.publish(set, odd, false).await;
    }
    world.bridge.publish(set, r#"{"paused":false}"#, false).await;
    world.shows("Desk", BLUE).await;
    world.published("desk", |light| light["paused"]["value"] == false && light["shown"] == light["wanted"]).await;
    actuator.stop().await;
}

#[tokio::test]
async fn a_persons_hand_is_left_alone_until_the_next_status() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.watched().await;
    world.hand_until(|light| light["hand"]["until"] == "change").await;
    let light = world.published("desk", |light| light["hand"]["until"] == "change").await;
    assert_eq!((&light["wanted"]["color"], &light["hand"]["status"]["account"]), (&"keep".into(), &"alex".into()));
    let since = jiff::Timestamp::from_second(world.sequence as i64).unwrap();
    world.sequence += 1;
    world.presence_since("alex", "Busy", since, world.sequence).await;
    world.published("desk", |light| light["inputs"]["alex"] == world.sequence).await;
    assert!(world.hub.lamp("Desk").brightness < 50.0, "the same status may be said again");
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    world.published("desk", |light| light["hand"]["until"].is_null() && light["shown"] == light["wanted"]).await;
    actuator.stop().await;
}

#[tokio::test]
async fn a_hand_counts_for_a_time_or_not_at_all_where_the_rules_say_so() {
    for rule in ["2s", "ignore"] {
        let mut world = World::with(&["alex"]).await;
        let lights = format!("  desk: {{ hub: office, target: Office, follow: alex, hand: {rule} }}\n");
        let actuator = world.actuator_with(&lights).await;
        world.presence("alex", "Busy").await;
        world.shows("Desk", RED).await;
        world.watched().await;
        let before = world.commands();
        let until = |light: &Value| light["hand"]["until"].as_str().is_some_and(|until| until.ends_with('Z'));
        match rule {
            "2s" => world.hand_until(until).await,
            _ => world.hand_until(|_| world.commands() > before).await,
        }
        let again = |lamp: &graph2mqtt::simulator::LampState| lamp.brightness == 100.0;
        world.hub.wait_for("Desk", PATIENCE, again).await.unwrap();
        actuator.stop().await;
    }
}

#[tokio::test]
async fn outside_its_hours_a_light_does_what_the_rules_say_also_at_the_start() {
    let mut world = World::with(&["alex"]).await;
    let now = jiff::Timestamp::now().as_second();
    let hour = |from_now: i64| {
        let minutes = (now / 60 + from_now * 60).rem_euclid(24 * 60);
        format!("\"{:02}:{:02}\"", minutes / 60, minutes % 60)
    };
    let lights = |from: i64, to: i64| {
        let (from, to) = (hour(from), hour(to));
        format!(
            "  desk: {{ hub: office, target: Office, follow: alex, hours: {{ from: {from}, to: {to}, time_zone: UTC, outside: off }} }}\n"
        )
    };
    world.hub.hand("Desk", &serde_json::json!({"on": {"on": true}}));
    world.presence("alex", "Busy").await;
    let outside = world.actuator_with(&lights(2, 4)).await;
    world.hub.wait_for("Desk", PATIENCE, |lamp| !lamp.on).await.unwrap();
    world.presence("alex", "Away").await;
    let light = world.published("desk", |light| light["wanted"]["availability"] == "Away").await;
    assert_eq!((&light["wanted"]["color"], &light["hours"]["inside"]), (&"off".into(), &false.into()));
    outside.stop().await;
    let inside = world.actuator_with(&lights(-2, 2)).await;
    world.shows("Desk", BLUE).await;
    inside.stop().await;
}

#[tokio::test]
async fn restore_shows_what_the_light_showed_before_it_was_touched_and_then_lets_go() {
    let mut world = World::with(&["alex"]).await;
    world.hub.hand("Desk", &serde_json::json!({"on": {"on": true}, "dimming": {"brightness": 42.0}, "color": {"xy": {"x": 0.4, "y": 0.4}}}));
    let lights =
        "  desk: { hub: office, target: Office, follow: alex, on_stop: restore, colors: { Offline: restore } }\n";
    let actuator = world.actuator_with(lights).await;
    let restored =
        |lamp: &graph2mqtt::simulator::LampState| lamp.on && lamp.brightness == 42.0 && lamp.xy == Some((0.4, 0.4));
    for _ in 0..2 {
        world.presence("alex", "Busy").await;
        world.shows("Desk", RED).await;
        world.presence("alex", "Away").await;
        world.shows("Desk", BLUE).await;
        world.presence("alex", "Offline").await;
        world.hub.wait_for("Desk", PATIENCE, restored).await.unwrap();
        world
            .published("desk", |light| light["before"]["seen"].is_null() && light["wanted"]["color"] == "restore")
            .await;
    }
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    actuator.stop().await;
    world.hub.wait_for("Desk", PATIENCE, restored).await.unwrap();
}

#[tokio::test]
async fn only_the_last_member_does_what_on_stop_says() {
    let mut world = World::with(&["alex"]).await;
    let lights = "  desk: { hub: office, target: Office, follow: alex, on_stop: off }\n";
    let (first, last) = (world.actuator_with(lights).await, world.actuator_with(lights).await);
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    for member in [&first, &last] {
        member.connected().await;
    }
    first.stop().await;
    assert!(world.hub.lamp("Desk").on, "another member goes on");
    world.bridge.until_is("graph2mqtt/actuator/home/state", "online").await;
    last.stop().await;
    world.hub.wait_for("Desk", PATIENCE, |lamp| !lamp.on).await.unwrap();
    world.bridge.until_is("graph2mqtt/actuator/home/state", "offline").await;
}

#[tokio::test]
async fn a_lamp_that_comes_back_gets_its_look_once_more() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.watched().await;
    world.hand_until(|light| light["hand"]["until"] == "change").await;
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    world.hub.unreachable("Desk");
    world.published("desk", |light| light["reachable"] == false).await;
    let before = world.commands();
    world.hub.reachable("Desk");
    let more = |commands: &[graph2mqtt::simulator::Command]| commands.len() > before;
    world.hub.commands().wait_for(PATIENCE, more).await.unwrap();
    world.published("desk", |light| light["reachable"] == true && light["shown"] == light["wanted"]).await;
    actuator.stop().await;
}

#[tokio::test]
async fn requests_are_answered_once_however_many_members_there_are() {
    let world = World::with(&["alex"]).await;
    let (one, other) = (world.actuator().await, world.actuator().await);
    world.bridge.until_is("graph2mqtt/actuator/home/state", "online").await;
    for member in [&one, &other] {
        member.connected().await;
    }
    let asked = async |command: &str, payload: &str| {
        world.bridge.publish(&format!("graph2mqtt/actuator/home/request/{command}"), payload, false).await;
        let topic = format!("graph2mqtt/actuator/home/response/{command}");
        let answer = world.bridge.until(&topic, |seen| seen.topic == topic).await;
        let answer: Value = serde_json::from_str(&answer.payload).unwrap();
        (answer["status"].clone(), answer)
    };
    let (status, answer) = asked("health_check", r#"{"transaction":"t1"}"#).await;
    assert_eq!((status, &answer["transaction"], &answer["data"]["healthy"]), ("ok".into(), &"t1".into(), &true.into()));
    let (status, answer) = asked("test", r#"{"light":"desk"}"#).await;
    assert_eq!((status, &answer["data"]["light"]), ("ok".into(), &"desk".into()), "{answer}");
    let flashed = |requests: &[Request]| requests.iter().any(|request| request.route.starts_with("PUT"));
    world.hub.requests().wait_for(PATIENCE, flashed).await.unwrap();
    world.bridge.forget();
    let (status, answer) = asked("test", r#"{"light":"attic"}"#).await;
    assert_eq!(status, "error");
    assert!(answer["error"].as_str().unwrap().contains("desk"), "{answer}");
    assert_eq!(asked("dance", "{}").await.0, "error");
    let seen = world.bridge.seen();
    let answers = seen.iter().filter(|seen| seen.topic.contains("/response/")).count();
    assert_eq!(answers, 2, "{seen:?}");
    one.stop().await;
    other.stop().await;
}
