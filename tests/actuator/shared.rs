//! Two lights that share a lamp: one follows, and the other says why it does not.

use graph2mqtt::simulator::{Command, Gamut, Hub, Kind};
use serde_json::Value;

use crate::world::{BLUE, RED, World};

#[tokio::test]
async fn of_two_lights_that_share_a_lamp_one_follows_and_the_other_says_why_not_until_people_part_them() {
    let lamps = ["Desk", "Shelf"].map(|lamp| (lamp, Kind::Color(Gamut::C)));
    let hub = Hub::plan().room("Office", &lamps).zone("Reading", &["Desk", "Shelf"]).start().await.unwrap();
    let mut world = World::around(hub).await;
    world.online(&["alex", "sam"]).await;
    let lights = "  desk: { hub: office, target: light/Desk, follow: alex }\n  reading: { hub: office, target: zone/Reading, follow: sam }\n";
    let actuator = world.actuator_with(lights).await;
    world.presence("alex", "Busy").await;
    world.presence("sam", "Away").await;
    let says = |light: &Value| light["error"].as_str().is_some_and(|error| error.contains("lights.desk.target"));
    world.published("reading", |light| light["reachable"] == false && says(light)).await;
    world.shows("Desk", RED).await;
    world.watched().await;
    assert_eq!(world.hub.commands().count(|command: &Command| command.group), 0, "only the desk is commanded");

    world.hub.remove_zone("Reading");
    world.hub.add_zone("Reading", &["Shelf"]);
    world.shows("Shelf", BLUE).await;
    let is_well =
        |light: &Value| light["error"].is_null() && light["shown"].is_object() && light["hand"]["until"].is_null();
    world.published("reading", is_well).await;
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    world.published("desk", |light| is_well(light) && light["shown"]["availability"] == "Away").await;
    actuator.stop().await;
}
