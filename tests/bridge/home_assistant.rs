//! Home Assistant, the broker, the bridge and the actuator, restarted in any order: the entities are there again with
//! their right state within seconds, and between two equal states comes nothing but unavailable or unknown.

use std::time::Duration;

use serde_json::json;

use super::house::House;
use super::house::Part::{self, Actuator, ActuatorKilled, Bridge, BridgeKilled, HomeAssistant as Home};
use super::installation::{Installation, user};
use super::stand_in::{History, HomeAssistant};
use super::support::Broker;

/// Restarts, one behind the other: each part once behind every other one, in order and without a word.
const RESTARTS: &[&[Part]] = &[
    &[Home, Part::Broker, Bridge, Actuator, Home, Bridge, Part::Broker],
    &[Actuator, Bridge, Home, Actuator, Part::Broker, Home],
    &[BridgeKilled, ActuatorKilled, BridgeKilled, Part::Broker, Part::Broker, ActuatorKilled, Home],
];

/// After a power cut: what starts first.
const STARTS: &[[Part; 4]] = &[
    [Home, ActuatorKilled, BridgeKilled, Part::Broker],
    [Part::Broker, ActuatorKilled, Home, BridgeKilled],
    [BridgeKilled, Part::Broker, Home, ActuatorKilled],
];

/// Within seconds: a try at the broker, the read-back, the first poll, a hub that is asked.
const SECONDS: Duration = Duration::from_secs(10);

async fn restarted(broker: impl Fn() -> Option<Broker>) {
    for order in RESTARTS {
        let Some(broker) = broker() else { return };
        let mut house = House::start(broker).await;
        for part in *order {
            house.restart(*part).await;
            let took = house.is_right().await;
            assert!(took < SECONDS, "{order:?}: {took:?} after the restart of {part:?}");
        }
        house.was_steady(&format!("{order:?}"), &[]);
        house.leave().await;
    }
}

async fn after_a_power_cut(broker: Option<Broker>, forgotten: &[&str]) {
    let Some(broker) = broker else { return };
    let mut house = House::start(broker).await;
    for order in STARTS {
        for part in [Home, ActuatorKilled, BridgeKilled, Part::Broker] {
            house.end(part).await;
        }
        for part in order {
            house.begin(*part).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let took = house.is_right().await;
        assert!(took < 2 * SECONDS, "{order:?}: {took:?}");
        house.was_steady(&format!("{order:?}"), forgotten);
    }
    house.leave().await;
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
async fn after_a_power_cut_whatever_starts_first_all_of_it_is_right_again() {
    // Since when something is so stands at the broker alone.
    after_a_power_cut(Broker::builder().start_mosquitto(), &["_since"]).await;
}

#[tokio::test]
async fn the_same_power_cut_with_a_broker_that_keeps_what_is_retained() {
    after_a_power_cut(Broker::builder().persistence().start_mosquitto(), &[]).await;
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

#[tokio::test]
async fn what_home_assistant_cannot_show_as_a_state_is_kept_as_an_attribute() {
    let installation = Installation::with(&["alex"]).await;
    let message = "Grüße aus dem Labor. ".repeat(13) + "Bis morgen";
    installation.cloud.change(&user("alex"), |shown| {
        (shown.availability, shown.activity) = ("Hovering".to_owned(), "Levitating".to_owned());
        shown.status_message = json!({
            "message": {"content": message, "contentType": "text"},
            "expiryDateTime": {"dateTime": "2099-01-01T00:00:00.0000000", "timeZone": "UTC"},
        });
        shown.out_of_office = json!({"isOutOfOffice": true, "message": "Back on Monday"});
        shown.work_location = json!({"workLocationType": "spaceship"});
    });
    let home = HomeAssistant::start(installation.broker.address(), &History::default());
    let (bridge, _) = installation.run(&["alex"]).await;
    let cut: String = message.chars().take(255).collect();
    for (entity, state, attributes) in [
        ("sensor.alex_availability", "PresenceUnknown", json!({"reported": "Hovering"})),
        ("sensor.alex_activity", "PresenceUnknown", json!({"reported": "Levitating"})),
        ("sensor.alex_work_location", "unspecified", json!({"reported": "spaceship"})),
        ("binary_sensor.alex_out_of_office", "on", json!({"message": "Back on Monday"})),
        ("sensor.alex_status_message", &cut, json!({"text": message, "expires": "2099-01-01T00:00:00Z"})),
    ] {
        home.until(entity, state).await;
        assert_eq!(home.attributes(entity), attributes, "{entity}");
    }
    installation.cloud.change(&user("alex"), |shown| {
        (shown.availability, shown.activity) = ("Available".to_owned(), "Available".to_owned());
        (shown.status_message, shown.out_of_office, shown.work_location) = Default::default();
    });
    for (entity, state, attributes) in [
        ("sensor.alex_activity", "Available", json!({"reported": "Available"})),
        ("sensor.alex_work_location", "unspecified", json!({"reported": null})),
        ("binary_sensor.alex_out_of_office", "off", json!({"message": null})),
        ("sensor.alex_status_message", "", json!({"text": "", "expires": null})),
    ] {
        home.until(entity, state).await;
        assert_eq!(home.attributes(entity), attributes, "{entity}");
    }
    assert_eq!(home.dropped(), Vec::<String>::new());
    bridge.stop().await;
}
