//! A person's hand at the light, and what is no hand.

use graph2mqtt::simulator::{Gamut, Hub, Kind, LampState};
use serde_json::{Value, json};

use crate::world::{BLUE, PATIENCE, RED, World};

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
async fn a_persons_hand_is_left_alone_until_the_next_status() {
    let (mut world, actuator) = World::overruled().await;
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
        let (world, actuator) = World::busy_under(rule).await;
        let before = world.commands();
        let until = |light: &Value| light["hand"]["until"].as_str().is_some_and(|until| until.ends_with('Z'));
        match rule {
            "2s" => world.hand_until(until).await,
            _ => world.hand_until(|_| world.commands() > before).await,
        }
        let again = |lamp: &LampState| lamp.brightness == 100.0;
        world.hub.wait_for("Desk", PATIENCE, again).await.unwrap();
        actuator.stop().await;
    }
}

#[tokio::test]
async fn a_hand_that_was_seen_by_other_rules_does_not_count_where_hands_are_ignored() {
    let (world, actuator) = World::overruled().await;
    actuator.stop().await;
    let lights = "  desk: { hub: office, target: Office, follow: alex, hand: ignore }\n";
    let actuator = world.actuator_with(lights).await;
    world.hub.wait_for("Desk", PATIENCE, |lamp| lamp.brightness == 100.0).await.unwrap();
    world.published("desk", |light| light["hand"]["until"].is_null() && light["shown"] == light["wanted"]).await;
    actuator.stop().await;
}

#[tokio::test]
async fn a_hand_that_comes_while_nobodys_status_is_known_counts_until_another_one() {
    for rule in ["until_change", "ignore"] {
        let (mut world, actuator) = World::busy_under(rule).await;
        world.goes("alex", false).await;
        world.published("desk", |light| light["wanted"]["account"].is_null()).await;
        let before = world.commands();
        let is_hand = rule == "until_change";
        world.hand_until(|light| light["shown"].is_null() && (light["hand"]["until"] == "change") == is_hand).await;
        assert_eq!(world.commands(), before, "it is left as it is");
        world.goes("alex", true).await;
        match is_hand {
            true => {
                let light = world.published("desk", |light| light["wanted"]["account"] == "alex").await;
                assert_eq!((&light["wanted"]["color"], &light["shown"]), (&"keep".into(), &Value::Null));
                world.barrier().await;
                assert_eq!(world.commands(), before + 1);
            }
            false => {
                world.hub.wait_for("Desk", PATIENCE, |lamp| lamp.brightness == 100.0).await.unwrap();
                world.published("desk", |light| light["shown"] == light["wanted"]).await;
            }
        }
        actuator.stop().await;
    }
}

#[tokio::test]
async fn a_persons_hand_is_seen_while_a_scene_is_wanted() {
    let relax = [("Desk", json!({"color": {"xy": {"x": 0.5, "y": 0.4}}, "dimming": {"brightness": 70.0}}))];
    let plan = Hub::plan().room("Office", &[("Desk", Kind::Color(Gamut::C))]).scene("Office", "Relax", &relax);
    let mut world = World::around(plan.start().await.unwrap()).await;
    world.online(&["alex"]).await;
    let lights = "  desk: { hub: office, target: Office, follow: alex, colors: { Busy: \"scene:Relax\" } }\n";
    let actuator = world.actuator_with(lights).await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", (0.5, 0.4)).await;
    world.watched().await;
    let before = world.commands();
    world.hand_until(|light| light["hand"]["until"] == "change").await;
    assert_eq!(world.commands(), before, "nothing is sent to a light that a person has");
    world.barrier().await;
    actuator.stop().await;
}
