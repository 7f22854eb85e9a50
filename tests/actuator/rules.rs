//! Pauses, restoring.

use graph2mqtt::simulator::LampState;

use crate::support::Observer;
use crate::world::{BLUE, PATIENCE, RED, World};

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
