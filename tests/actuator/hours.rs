//! Hours: at their begin and end, at the start, at midnight, when clocks are set.

use std::sync::{Arc, Mutex};

use graph2mqtt::simulator::LampState;
use jiff::Timestamp;

use crate::world::{BLUE, GREEN, PATIENCE, RED, World};

#[tokio::test]
async fn outside_its_hours_a_light_does_what_the_rules_say_also_at_the_start() {
    let mut world = World::with(&["alex"]).await;
    let now = jiff::Timestamp::now().as_second();
    let hour = |from_now: i64| {
        let minutes = (now / 60 + from_now * 60).rem_euclid(24 * 60);
        format!("\"{:02}:{:02}\"", minutes / 60, minutes % 60)
    };
    let lights = |from: i64, to: i64| {
        let (from, to) = (hour(from), hour(to));
        format!(
            "  desk: {{ hub: office, target: Office, follow: alex, hours: {{ from: {from}, to: {to}, time_zone: UTC, outside: off }} }}\n"
        )
    };
    world.hub.hand("Desk", &serde_json::json!({"on": {"on": true}}));
    world.presence("alex", "Busy").await;
    let outside = world.actuator_with(&lights(2, 4)).await;
    world.hub.wait_for("Desk", PATIENCE, |lamp| !lamp.on).await.unwrap();
    world.presence("alex", "Away").await;
    let light = world.published("desk", |light| light["wanted"]["availability"] == "Away").await;
    assert_eq!((&light["wanted"]["color"], &light["hours"]["inside"]), (&"off".into(), &false.into()));
    outside.stop().await;
    let inside = world.actuator_with(&lights(-2, 2)).await;
    world.shows("Desk", BLUE).await;
    inside.stop().await;
}

fn desk(hours: &str) -> String {
    format!("  desk: {{ hub: office, target: Office, follow: alex, hours: {{ {hours}, outside: off }} }}\n")
}

const fn is_off(lamp: &LampState) -> bool {
    !lamp.on
}

#[tokio::test]
async fn hours_end_at_the_end_of_a_night_in_which_clocks_are_set() {
    // Berlin, 2026-03-29: 06:00 comes an hour sooner. 2026-10-25: 02:30 comes twice, and the first counts.
    let nights = [
        ("2026-03-29T03:59:56Z", "from: \"22:00\", to: \"06:00\", time_zone: Europe/Berlin"),
        ("2026-10-25T00:29:56Z", "from: \"22:00\", to: \"02:30\", time_zone: Europe/Berlin"),
        ("2026-11-24T23:59:56Z", "days: tue, from: \"20:00\", to: \"24:00\", time_zone: UTC"),
    ];
    for (shortly_before, hours) in nights {
        let mut world = World::with(&["alex"]).await;
        world.presence("alex", "Busy").await;
        let actuator = world.run_from(shortly_before, world.settings(&desk(hours))).await;
        world.shows("Desk", RED).await;
        world.hub.wait_for("Desk", PATIENCE, is_off).await.unwrap();
        world.published("desk", |light| light["hours"]["inside"] == false).await;
        actuator.stop().await;
    }
}

#[tokio::test]
async fn hours_begin_with_what_changed_outside_of_them() {
    let mut world = World::with(&["alex"]).await;
    world.hub.hand("Desk", &serde_json::json!({"on": {"on": true}}));
    world.presence("alex", "Busy").await;
    let settings = world.settings(&desk("from: \"00:00\", to: \"06:00\", time_zone: UTC"));
    let actuator = world.run_from("2026-11-24T23:59:54Z", settings).await;
    world.hub.wait_for("Desk", PATIENCE, is_off).await.unwrap();
    world.presence("alex", "Away").await;
    let light = world.published("desk", |light| light["wanted"]["availability"] == "Away").await;
    assert_eq!(light["wanted"]["color"], "off", "{light}");
    world.shows("Desk", BLUE).await;
    assert_eq!(world.commands(), 2, "nothing is sent for what changes outside the hours");
    actuator.stop().await;
}

#[tokio::test]
async fn outside_its_hours_a_light_is_restored_or_left_alone_where_the_rules_say_so() {
    for outside in ["restore", "keep"] {
        let mut world = World::with(&["alex"]).await;
        let before = serde_json::json!({"on": {"on": true}, "dimming": {"brightness": 42.0}, "color": {"xy": {"x": 0.4, "y": 0.4}}});
        world.hub.hand("Desk", &before);
        world.presence("alex", "Busy").await;
        let lights = format!(
            "  desk: {{ hub: office, target: light/Desk, follow: alex, hours: {{ from: \"20:00\", to: \"24:00\", time_zone: UTC, outside: {outside} }} }}\n  hall: {{ hub: office, target: light/Ceiling, follow: alex }}\n"
        );
        let actuator = world.run_from("2026-11-24T23:59:56Z", world.settings(&lights)).await;
        world.shows("Desk", RED).await;
        world.published("desk", |light| light["hours"]["inside"] == false && light["wanted"]["color"] == outside).await;
        if outside == "restore" {
            let restored = |lamp: &LampState| lamp.brightness == 42.0 && lamp.xy == Some((0.4, 0.4));
            world.hub.wait_for("Desk", PATIENCE, restored).await.unwrap();
        }
        let of_desk = |world: &World| world.hub.commands().count(|command| command.target == "Desk");
        let commands = of_desk(&world);
        world.presence("alex", "Away").await;
        world.published("desk", |light| light["wanted"]["availability"] == "Away").await;
        world.shows("Ceiling", BLUE).await;
        assert_eq!(of_desk(&world), commands, "{outside}: nothing is sent for what changes outside the hours");
        actuator.stop().await;
    }
}

#[tokio::test]
async fn a_hand_outside_the_hours_counts_until_they_begin_whatever_status_comes() {
    let mut world = World::with(&["alex"]).await;
    world.hub.hand("Desk", &serde_json::json!({"on": {"on": true}}));
    world.presence("alex", "Busy").await;
    let settings = world.settings(&desk("from: \"08:00\", to: \"18:00\", time_zone: UTC"));
    let actuator = world.run_from("2026-11-24T20:00:00Z", settings).await;
    world.hub.wait_for("Desk", PATIENCE, is_off).await.unwrap();
    world.watched().await;
    world.switched_on_until(|light| light["hand"]["until"].is_string()).await;
    world.presence("alex", "Away").await;
    let light = world.published("desk", |light| light["wanted"]["availability"] == "Away").await;
    assert_eq!(light["hand"]["until"], "2026-11-25T08:00:00Z", "{light}");
    assert_eq!(light["wanted"]["color"], "keep", "{light}");
    assert!(world.hub.lamp("Desk").on);
    actuator.stop().await;
}

#[tokio::test]
async fn a_hand_within_the_hours_counts_on_when_they_end() {
    let mut world = World::with(&["alex"]).await;
    world.presence("alex", "Busy").await;
    let (hours, hall) =
        ("from: \"08:00\", to: \"18:00\", time_zone: UTC", "  hall: { hub: office, target: Hall, follow: alex }\n");
    let clock = Arc::new(Mutex::new("2026-11-24T17:00:00Z".parse::<Timestamp>().unwrap()));
    let actuator = world.run_at(&clock, world.settings(&(desk(hours) + hall))).await;
    world.shows("Desk", RED).await;
    world.watched().await;
    world.hand_until(|light| light["hand"]["until"] == "change").await;
    let commands = |world: &World| world.hub.commands().count(|command| command.target != "Hall");
    let before = commands(&world);
    *clock.lock().unwrap() = "2026-11-24T18:30:00Z".parse().unwrap();
    world.presence("alex", "Away").await;
    let light = world.published("desk", |light| light["wanted"]["availability"] == "Away").await;
    let said = (&light["hours"]["inside"], &light["hand"]["until"], &light["wanted"]["color"]);
    assert_eq!(said, (&false.into(), &"2026-11-25T08:00:00Z".into(), &"keep".into()), "{light}");
    world.shows("Ceiling", BLUE).await;
    assert_eq!(commands(&world), before, "it is not switched off");
    *clock.lock().unwrap() = "2026-11-25T08:00:01Z".parse().unwrap();
    world.presence("alex", "Available").await;
    world.shows("Desk", GREEN).await;
    actuator.stop().await;
}
