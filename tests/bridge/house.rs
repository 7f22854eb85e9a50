//! A whole house for the restart tests: a bridge with an account, an actuator with lights, a broker, and a stand-in
//! for Home Assistant; each of them can be ended and started again by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use graph2mqtt::actuator::Actuator;
use graph2mqtt::simulator::{Gamut, Hub, Kind};
use graph2mqtt::store::Store;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::installation::{Installation, Running, user};
use super::stand_in::{History, HomeAssistant};
use super::support::Broker;

/// What can be restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    HomeAssistant,
    Broker,
    Bridge,
    /// Without a word, as by kill -9.
    BridgeKilled,
    Actuator,
    /// Likewise.
    ActuatorKilled,
}

/// Every entity that is looked at, and what it has to show: alex is in a call, the light in the hall is paused, the
/// hub of the attic is away.
const RIGHT: &[(&str, &str)] = &[
    ("sensor.alex_availability", "Busy"),
    ("sensor.alex_activity", "InACall"),
    ("binary_sensor.alex_in_a_call", "on"),
    ("binary_sensor.alex_do_not_disturb", "off"),
    ("binary_sensor.alex_available", "off"),
    ("binary_sensor.alex_out_of_office", "off"),
    ("sensor.alex_work_location", "unspecified"),
    ("binary_sensor.alex_sign_in_problem", "off"),
    ("sensor.alex_sign_in_code", ""),
    ("button.alex_sign_in", "pressable"),
    ("button.alex_poll", "pressable"),
    ("select.alex_set_presence", "Automatic"),
    ("text.alex_set_status_message", ""),
    ("sensor.alex_poll_interval", "1"),
    ("binary_sensor.graph2mqtt_connection", "on"),
    ("sensor.graph2mqtt_accounts", "1"),
    ("sensor.graph2mqtt_problems", "0"),
    ("select.graph2mqtt_log_level", "info"),
    ("binary_sensor.home_connection", "on"),
    ("sensor.home_desk_status", "InACall"),
    ("binary_sensor.home_desk_reachable", "on"),
    ("switch.home_desk_paused", "off"),
    ("button.home_desk_test", "pressable"),
    ("binary_sensor.home_hall_reachable", "on"),
    ("switch.home_hall_paused", "on"),
    ("binary_sensor.home_attic_reachable", "off"),
    ("switch.home_attic_paused", "off"),
];

/// A role that is gone is news to its own connection, and a count or the time of a poll is news.
const PASSING: &[&str] = &["_connection", "_last_poll", "graph2mqtt_requests", "graph2mqtt_limit"];

/// How many entities there are at least.
const ENTITIES: usize = 30;

pub struct House {
    installation: Installation,
    /// The bridge's configuration.
    yaml: String,
    hub: Hub,
    history: History,
    home: Option<HomeAssistant>,
    bridge: Option<Running>,
    actuator: Option<Lights>,
}

/// An actuator that runs in this process.
struct Lights {
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl House {
    /// Everything runs, and the light in the hall is paused.
    pub async fn start(broker: Broker) -> Self {
        let installation = Installation { broker, ..Installation::with(&["alex"]).await };
        let hub = Hub::plan()
            .room("Office", &[("Desk", Kind::Color(Gamut::C))])
            .room("Hall", &[("Ceiling", Kind::Color(Gamut::C))])
            .start()
            .await
            .unwrap();
        let history = History::default();
        let yaml = installation.writing(&["alex"]);
        installation.sign_in(&yaml, &["alex"]).await;
        let mut house = Self { installation, yaml, hub, history, home: None, bridge: None, actuator: None };
        house.installation.cloud.set_presence(&user("alex"), "Busy", "InACall");
        for part in [Part::HomeAssistant, Part::Bridge, Part::Actuator] {
            house.begin(part).await;
        }
        house.shows("sensor.home_hall_status", "InACall").await;
        let observer = house.installation.observe().await;
        observer.publish("g/actuator/home/light/hall/set", r#"{"paused":true}"#, false).await;
        house.is_right().await;
        house.history.lock().unwrap().clear();
        house
    }

    fn yaml_of_lights(&self) -> String {
        let (broker, hub) = (self.installation.broker.url(), &self.hub);
        let (address, id, key) = (hub.address(), hub.bridge_id(), hub.key());
        format!(
            "mqtt: {{ requests: all, url: \"{broker}\", base_topic: g, keep_alive: 5s }}\n\
             store: {{ url: \"sqlite://store/lights.db\", key_file: store/lights }}\n\
             hubs:\n  office: {{ host: \"{address}\", id: \"{id}\", key: \"{key}\" }}\n  \
             gone: {{ host: \"127.0.0.1:9\", id: 001788fffe102030, key: x }}\n\
             lights:\n  desk: {{ hub: office, target: Office, follow: alex }}\n  \
             hall: {{ hub: office, target: Hall, follow: alex }}\n  attic: {{ hub: gone, target: Attic, follow: alex }}\n"
        )
    }

    async fn lights(&self) -> Lights {
        let settings = self.installation.settings(&self.yaml_of_lights());
        let store = Store::open(&settings.store.url, &settings.store.key_file).await.unwrap();
        let (actuator, shutdown) = (Actuator::new(Arc::new(settings), store), CancellationToken::new());
        let stop = shutdown.clone();
        Lights { shutdown, task: tokio::spawn(async move { actuator.run(stop).await.unwrap() }) }
    }

    /// Ends a part.
    pub async fn end(&mut self, part: Part) {
        match part {
            Part::HomeAssistant => drop(self.home.take()),
            Part::Broker => self.installation.broker.stop(),
            Part::Bridge => self.bridge.take().unwrap().stop().await,
            Part::BridgeKilled => self.bridge.take().unwrap().kill().await,
            Part::Actuator => {
                let lights = self.actuator.take().unwrap();
                lights.shutdown.cancel();
                lights.task.await.unwrap();
            }
            Part::ActuatorKilled => {
                let lights = self.actuator.take().unwrap();
                lights.task.abort();
                let _ = lights.task.await;
            }
        }
    }

    /// Starts a part.
    pub async fn begin(&mut self, part: Part) {
        match part {
            Part::HomeAssistant => {
                self.home = Some(HomeAssistant::start(self.installation.broker.address(), &self.history));
            }
            Part::Broker => self.installation.broker.restart(),
            Part::Bridge | Part::BridgeKilled => self.bridge = Some(self.installation.start(&self.yaml).await),
            Part::Actuator | Part::ActuatorKilled => self.actuator = Some(self.lights().await),
        }
    }

    /// Ends and starts it, and waits until what it alone knows is back.
    pub async fn restart(&mut self, part: Part) {
        self.end(part).await;
        self.begin(part).await;
        if part == Part::Broker {
            let observer = self.installation.observe().await;
            observer.until("the presence again", |seen| seen.topic == "g/account/alex/presence").await;
            for state in ["g/bridge/state", "g/actuator/home/state"] {
                observer.until_is(state, "online").await;
            }
        }
    }

    async fn shows(&self, entity: &str, state: &str) {
        self.home.as_ref().unwrap().until(entity, state).await;
    }

    /// Every entity is available and says what is so. Answers how long that took.
    pub async fn is_right(&self) -> Duration {
        let begun = Instant::now();
        for (entity, state) in RIGHT {
            self.shows(entity, state).await;
        }
        let home = self.home.as_ref().unwrap();
        assert_eq!(home.dropped(), Vec::<String>::new());
        assert!(home.entities().len() >= ENTITIES, "{:?}", home.entities());
        begun.elapsed()
    }

    /// Between two equal states came nothing but unavailable or unknown. `forgotten`: nobody knows what these
    /// were before.
    pub fn was_steady(&self, what: &str, forgotten: &[&str]) {
        for (entity, states) in self.history.lock().unwrap().iter() {
            let told: Vec<&String> =
                states.iter().filter(|state| !["unavailable", "unknown"].contains(&state.as_str())).collect();
            let passing = PASSING.iter().chain(forgotten).any(|end| entity.ends_with(end));
            let news = told.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert!(passing || news == 0, "{what}: {entity} was {states:?}");
        }
    }

    /// The end of it.
    pub async fn leave(mut self) {
        for part in [Part::Actuator, Part::Bridge] {
            self.end(part).await;
        }
    }
}
