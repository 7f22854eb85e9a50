//! Home Assistant, the broker and the bridge, restarted in any order: the entities are there again with their right
//! state within seconds, and between two equal states comes nothing but unavailable or unknown.

use super::installation::{Installation, Running, user};
use super::stand_in::{History, HomeAssistant};
use super::support::Broker;

/// What is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    HomeAssistant,
    Broker,
    Bridge,
    /// Without a word, as by kill -9.
    BridgeKilled,
}

use Part::{Bridge, BridgeKilled};

/// Restarts, one behind the other.
const ORDERS: &[&[Part]] = &[
    &[Part::HomeAssistant, Part::Broker, Bridge],
    &[Bridge, Part::HomeAssistant, Part::Broker, Part::HomeAssistant],
    &[Part::Broker, BridgeKilled, Part::HomeAssistant],
    &[BridgeKilled, Part::Broker, Part::Broker, Bridge],
];

struct House {
    installation: Installation,
    yaml: String,
    history: History,
    home: Option<HomeAssistant>,
    bridge: Option<Running>,
}

impl House {
    async fn start(broker: Broker) -> Self {
        let installation = Installation { broker, ..Installation::with(&["alex"]).await };
        let yaml = installation.yaml(&["alex"], "").replace("mqtt: {", "mqtt: { requests: all,");
        installation.sign_in(&yaml, &["alex"]).await;
        installation.cloud.set_presence(&user("alex"), "Busy", "InACall");
        let history = History::default();
        let home = Some(HomeAssistant::start(installation.broker.address(), &history));
        let bridge = Some(installation.start(&yaml).await);
        Self { installation, yaml, history, home, bridge }
    }

    async fn restart(&mut self, part: Part) {
        match part {
            Part::HomeAssistant => {
                drop(self.home.take());
                self.home = Some(HomeAssistant::start(self.installation.broker.address(), &self.history));
            }
            Part::Broker => {
                self.installation.broker.stop();
                self.installation.broker.restart();
                // What it lost is known to the bridge alone, until it is back.
                let observer = self.installation.observe().await;
                observer.until("the presence again", |seen| seen.topic == "g/account/alex/presence").await;
                observer.until_is("g/bridge/state", "online").await;
            }
            Bridge => {
                self.bridge.take().unwrap().stop().await;
                self.bridge = Some(self.installation.start(&self.yaml).await);
            }
            BridgeKilled => {
                self.bridge.take().unwrap().kill().await;
                self.bridge = Some(self.installation.start(&self.yaml).await);
            }
        }
    }

    /// Every entity is available and says what is so.
    async fn is_right(&self) {
        let home = self.home.as_ref().unwrap();
        for (entity, state) in [
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
            ("sensor.alex_poll_interval", "1"),
            ("binary_sensor.graph2mqtt_connection", "on"),
            ("sensor.graph2mqtt_accounts", "1"),
            ("sensor.graph2mqtt_problems", "0"),
            ("select.graph2mqtt_log_level", "info"),
        ] {
            home.until(entity, state).await;
        }
        assert_eq!(home.dropped(), Vec::<String>::new());
        assert!(home.entities().len() >= 20, "{:?}", home.entities());
    }
}

async fn restarted(broker: impl Fn() -> Option<Broker>) {
    for order in ORDERS {
        let Some(broker) = broker() else { return };
        let mut house = House::start(broker).await;
        house.is_right().await;
        for part in *order {
            house.restart(*part).await;
            house.is_right().await;
        }
        for (entity, states) in house.history.lock().unwrap().iter() {
            let told: Vec<&String> =
                states.iter().filter(|state| !["unavailable", "unknown"].contains(&state.as_str())).collect();
            // A bridge that is gone is news to its own connection, and an uptime or a count is one.
            let passing = entity.ends_with("_connection") || entity.ends_with("_last_poll");
            let news = told.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert!(passing || news == 0, "{order:?}: {entity} was {states:?}");
        }
        house.bridge.take().unwrap().stop().await;
    }
}

#[tokio::test]
async fn whatever_is_restarted_nothing_but_unavailable_comes_between_two_equal_states() {
    restarted(|| Broker::builder().start_mosquitto()).await;
}

#[tokio::test]
async fn the_same_with_a_broker_that_keeps_what_is_retained() {
    restarted(|| Broker::builder().persistence().start_mosquitto()).await;
}

#[tokio::test]
async fn an_account_that_nobody_signed_in_yet_has_its_device_and_what_leaves_takes_its_entities_along() {
    let Some(broker) = Broker::builder().start_mosquitto() else { return };
    let installation = Installation { broker, ..Installation::with(&["alex", "sam"]).await };
    let history = History::default();
    let home = HomeAssistant::start(installation.broker.address(), &history);
    let yaml = |people: &[&str]| installation.yaml(people, "").replace("mqtt: {", "mqtt: { requests: all,");
    let bridge = installation.start(&yaml(&["alex", "sam"])).await;
    home.until("binary_sensor.alex_sign_in_problem", "on").await;
    home.until("button.sam_sign_in", "pressable").await;
    home.until("sensor.alex_availability", "unavailable").await;
    bridge.stop().await;
    // Sam is gone, and nobody acts as a person any more.
    let bridge = installation.start(&installation.yaml(&["alex"], "")).await;
    home.until("binary_sensor.alex_sign_in_problem", "on").await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let left = |home: &HomeAssistant| {
        let ghost = |entity: &String| entity.contains("sam_") || entity.contains("alex_sign_in_code");
        home.entities().into_iter().filter(ghost).collect::<Vec<_>>()
    };
    while !left(&home).is_empty() {
        assert!(std::time::Instant::now() < deadline, "{:?}", left(&home));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    bridge.stop().await;
}
