//! Pauses.

use crate::support::Observer;
use crate::world::{BLUE, RED, World};

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
