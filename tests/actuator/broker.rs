//! Brokers that forget, forerunners, strangers.

use crate::support::Observer;
use crate::world::{RED, World};

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
