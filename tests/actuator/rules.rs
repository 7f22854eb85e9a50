//! Pauses, restoring.

use graph2mqtt::simulator::{Gamut, Hub, Kind, LampState};
use serde_json::json;

use crate::support::Observer;
use crate::world::{BLUE, GREEN, PATIENCE, RED, World};

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
async fn restore_shows_what_the_light_showed_before_it_was_touched_and_then_lets_go() {
    let mut world = World::with(&["alex"]).await;
    world.hub.hand("Desk", &serde_json::json!({"on": {"on": true}, "dimming": {"brightness": 42.0}, "color": {"xy": {"x": 0.4, "y": 0.4}}}));
    let lights =
        "  desk: { hub: office, target: Office, follow: alex, on_stop: restore, colors: { Offline: restore } }\n";
    let actuator = world.actuator_with(lights).await;
    let restored = |lamp: &LampState| lamp.on && lamp.brightness == 42.0 && lamp.xy == Some((0.4, 0.4));
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
async fn restore_darkens_a_lamp_that_was_dark_when_its_first_status_was_off() {
    let mut world = World::with(&["alex"]).await;
    world.presence("alex", "Offline").await;
    let actuator = world
        .actuator_with("  desk: { hub: office, target: Office, follow: alex, colors: { DoNotDisturb: restore } }\n")
        .await;
    world.published("desk", |light| light["shown"]["color"] == "off").await;
    world.presence("alex", "Available").await;
    world.shows("Desk", GREEN).await;
    world.presence("alex", "DoNotDisturb").await;
    world.hub.wait_for("Desk", PATIENCE, |lamp| !lamp.on).await.unwrap();
    actuator.stop().await;
}

#[tokio::test]
async fn restore_shows_what_was_there_before_a_scene() {
    let relax = [("Desk", json!({"on": {"on": true}, "color": {"xy": {"x": 0.5, "y": 0.4}}}))];
    let plan = Hub::plan().room("Office", &[("Desk", Kind::Color(Gamut::C))]).scene("Office", "Relax", &relax);
    let mut world = World::around(plan.start().await.unwrap()).await;
    world.online(&["alex"]).await;
    world.hub.hand(
        "Desk",
        &json!({"on": {"on": true}, "dimming": {"brightness": 42.0}, "color": {"xy": {"x": 0.3, "y": 0.3}}}),
    );
    world.presence("alex", "Available").await;
    let colors = "colors: { Available: \"scene:Relax\", DoNotDisturb: restore }";
    let actuator =
        world.actuator_with(&format!("  desk: {{ hub: office, target: Office, follow: alex, {colors} }}\n")).await;
    world.shows("Desk", (0.5, 0.4)).await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.presence("alex", "DoNotDisturb").await;
    let restored = |lamp: &LampState| lamp.on && lamp.brightness == 42.0 && lamp.xy == Some((0.3, 0.3));
    world.hub.wait_for("Desk", PATIENCE, restored).await.unwrap();
    actuator.stop().await;
}
