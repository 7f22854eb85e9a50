//! What happens while the hub's events are not heard, and lamps that come and go.

use graph2mqtt::simulator::{Gamut, Kind, LampState};
use serde_json::json;

use crate::world::{BLUE, PATIENCE, RED, World};

#[tokio::test]
async fn a_hand_in_a_gap_counts_where_the_hub_tells_of_it_and_is_set_right_elsewhere() {
    let (mut world, actuator) = World::overruled().await;
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    world.published("desk", |light| light["hand"]["until"].is_null() && light["shown"] == light["wanted"]).await;
    world.hub.down().await;
    world.hub.hand("Desk", &json!({"dimming": {"brightness": 35.0}}));
    world.hub.up().await.unwrap();
    world.published("desk", |light| light["hand"]["until"] == "change").await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.published("desk", |light| light["hand"]["until"].is_null() && light["shown"] == light["wanted"]).await;
    world.hub.down().await;
    world.hub.hand("Desk", &json!({"dimming": {"brightness": 45.0}}));
    world.hub.forget_events();
    world.hub.up().await.unwrap();
    let right = |lamp: &LampState| lamp.brightness == 100.0 && lamp.xy == Some(RED);
    world.hub.wait_for("Desk", PATIENCE, right).await.unwrap();
    actuator.stop().await;
}

#[tokio::test]
async fn a_lamp_that_is_removed_is_told_with_the_remedy_and_one_that_comes_shows_the_status() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator_with("  desk: { hub: office, target: Desk, follow: alex }\n").await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.watched().await;
    world.hub.remove_lamp("Desk");
    let gone =
        |light: &serde_json::Value| light["error"].as_str().is_some_and(|text| text.contains("removed or renamed"));
    let light = world.published("desk", gone).await;
    let error = light["error"].as_str().unwrap();
    assert!(
        light["reachable"] == false && error.contains("lights.desk.target") && error.contains("Ceiling"),
        "{error}"
    );
    world.hub.add_lamp("Hall", "Desk", Kind::Color(Gamut::C));
    world.shows("Desk", RED).await;
    world.published("desk", |light| light["reachable"] == true && light["error"].is_null()).await;
    actuator.stop().await;
}
