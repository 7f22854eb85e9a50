//! From presences to what a light shows.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::{BLUE, GREEN, PATIENCE, RED, Running, World};

#[tokio::test]
async fn a_presence_becomes_a_colour_and_what_is_shown_is_published() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    let light = world.published("desk", |light| light["shown"].is_object()).await;
    assert_eq!(light["wanted"], light["shown"]);
    assert_eq!(light["shown"]["account"], "alex");
    assert_eq!(light["shown"]["availability"], "Busy");
    assert_eq!(light["shown"]["color"], "#ff0000");
    assert_eq!((&light["inputs"]["alex"], &light["reachable"]), (&world.sequence.into(), &true.into()));
    assert!(light["since"].is_string() && light["error"].is_null());
    assert!(!world.hub.lamp("Ceiling").on);

    world.presence("alex", "Offline").await;
    world.hub.wait_for("Desk", PATIENCE, |lamp| !lamp.on).await.unwrap();
    world.published("desk", |light| light["shown"]["color"] == "off").await;
    assert!(actuator.state.is_connected() && actuator.state.lights()[0].commands == 2);
    actuator.stop().await;
    world.bridge.until_is("graph2mqtt/actuator/home/state", "offline").await;
}

#[tokio::test]
async fn forty_changes_within_a_second_end_at_the_newest_within_the_hubs_limit() {
    let mut world = World::with(&["alex"]).await;
    world.hub.adjust(|limits| limits.group_gap = Duration::ZERO);
    let actuator = world.actuator_with(
        "  desk: { hub: office, target: Office, follow: alex }\n  hall: { hub: office, target: Hall, follow: alex }\n",
    );
    let actuator = actuator.await;
    let mut pace = tokio::time::interval(Duration::from_millis(24));
    for change in 0..40 {
        pace.tick().await;
        world.presence("alex", ["Available", "Busy", "DoNotDisturb"][change % 3]).await;
    }
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    world.shows("Ceiling", BLUE).await;
    let at: Vec<Instant> = world.hub.commands().all().iter().map(|command| command.at).collect();
    for pair in at.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_millis(900), "group commands {:?} apart", pair[1] - pair[0]);
    }
    assert!(at.len() <= 6, "{} commands for 41 changes on two lights", at.len());
    actuator.stop().await;
}

#[tokio::test]
async fn what_changes_nothing_is_not_sent() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.presence("alex", "Busy").await;
    world.bridge.publish("graph2mqtt/bridge/state", "offline", true).await;
    world.bridge.publish("graph2mqtt/bridge/state", "online", true).await;
    // Until its report is out, a command may have crossed with another member's.
    world.published("desk", |light| light["shown"].is_object()).await;
    world.barrier().await;
    assert_eq!(world.commands(), 2);
    let bodies: Vec<Value> = world.hub.commands().all().into_iter().map(|command| command.body).collect();
    assert_eq!(bodies[0]["on"]["on"], true);
    assert!(bodies[1].get("on").is_none(), "it is on: {}", bodies[1]);
    actuator.stop().await;
}

#[tokio::test]
async fn an_older_presence_that_comes_late_changes_nothing() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.presence_numbered("alex", "Available", world.sequence - 1).await;
    world.barrier().await;
    assert_eq!(world.commands(), 2);
    actuator.stop().await;
}

#[tokio::test]
async fn while_the_bridge_or_the_account_is_offline_the_light_shows_what_the_configuration_says() {
    let mut world = World::with(&["alex"]).await;
    let lights = "  desk: { hub: office, target: Office, follow: alex, offline: off }\n";
    let actuator = world.actuator_with(lights).await;
    world.presence("alex", "Busy").await;
    for topic in ["graph2mqtt/bridge/state", "graph2mqtt/account/alex/state"] {
        world.shows("Desk", RED).await;
        world.bridge.publish(topic, "offline", true).await;
        world.hub.wait_for("Desk", PATIENCE, |lamp| !lamp.on).await.unwrap();
        world.bridge.publish(topic, "online", true).await;
    }
    world.shows("Desk", RED).await;
    actuator.stop().await;
}

#[tokio::test]
async fn while_the_account_is_offline_a_light_keeps_its_look_or_shows_a_colour_where_the_configuration_says_so() {
    let mut world = World::with(&["alex"]).await;
    let lights = "  desk: { hub: office, target: light/Desk, follow: alex, offline: \"#0000ff\" }\n  hall: { hub: office, target: light/Ceiling, follow: alex }\n";
    let actuator = world.actuator_with(lights).await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.shows("Ceiling", RED).await;
    world.goes("alex", false).await;
    world.shows("Desk", BLUE).await;
    let hall = world.published("hall", |light| light["wanted"]["account"].is_null()).await;
    assert_eq!(hall["wanted"]["color"], "keep");
    world.goes("alex", true).await;
    world.shows("Desk", RED).await;
    assert_eq!(world.hub.commands().count(|command| command.target == "Ceiling"), 1, "it was left as it was");
    let commands = world.commands();
    actuator.stop().await;
    assert_eq!(world.commands(), commands, "a clean stop leaves the lights as they are, where nothing else is said");
}

#[tokio::test]
async fn of_several_accounts_the_busiest_is_shown() {
    let mut world = World::with(&["alex", "sam"]).await;
    world.presence("alex", "Busy").await;
    world.presence("sam", "Available").await;
    let actuator = world.actuator_with("  desk: { hub: office, target: Office, follow: [sam, alex] }\n").await;
    world.shows("Desk", RED).await;
    assert_eq!(world.commands(), 1, "both were known before the first command");
    world.presence("alex", "Away").await;
    world.shows("Desk", GREEN).await;
    actuator.stop().await;
}

/// Another process instead, once it has sent its first command.
async fn restarted(actuator: Running, world: &World, lights: &str) -> Running {
    actuator.stop().await;
    world.hub.commands().clear();
    let actuator = world.actuator_with(lights).await;
    world.hub.commands().wait_for(PATIENCE, |commands| !commands.is_empty()).await.unwrap();
    actuator
}

#[tokio::test]
async fn of_several_accounts_the_latest_is_shown_whoever_comes_and_goes_and_over_a_restart() {
    let mut world = World::with(&["alex", "sam", "kim"]).await;
    let lights = "  desk: { hub: office, target: light/Desk, follow: [alex, sam, kim], show: latest }\n";
    for (account, availability) in [("kim", "DoNotDisturb"), ("alex", "Busy"), ("sam", "Available")] {
        world.presence(account, availability).await;
    }
    let actuator = world.actuator_with(lights).await;
    world.shows("Desk", GREEN).await;
    world.goes("sam", false).await;
    world.shows("Desk", RED).await;
    let actuator = restarted(actuator, &world, lights).await;
    world.shows("Desk", RED).await;
    world.goes("sam", true).await;
    world.shows("Desk", GREEN).await;
    assert_eq!(world.commands(), 2, "sam's is still the latest, and nobody else's was shown between");
    world.presence("kim", "Away").await;
    world.shows("Desk", BLUE).await;
    // Not who said something last, but whose status changed last.
    world.sequence += 1;
    let long_since = jiff::Timestamp::from_second(1).unwrap();
    world.presence_since("alex", "Available", long_since, world.sequence).await;
    let newest = world.sequence;
    world.published("desk", |light| light["inputs"]["alex"] == newest && light["shown"] == light["wanted"]).await;
    assert_eq!(world.hub.lamp("Desk").xy, Some(BLUE));
    actuator.stop().await;
}

#[tokio::test]
async fn of_several_accounts_the_first_is_shown_whoever_comes_and_goes_and_over_a_restart() {
    let mut world = World::with(&["alex", "sam"]).await;
    let lights = "  desk: { hub: office, target: light/Desk, follow: [sam, alex], show: first }\n";
    world.presence("sam", "Available").await;
    world.presence("alex", "Busy").await;
    let actuator = world.actuator_with(lights).await;
    world.shows("Desk", GREEN).await;
    world.goes("sam", false).await;
    world.shows("Desk", RED).await;
    let actuator = restarted(actuator, &world, lights).await;
    world.shows("Desk", RED).await;
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    world.goes("sam", true).await;
    world.shows("Desk", GREEN).await;
    assert_eq!(world.commands(), 3, "sam comes first again, and nobody else was shown between");
    world.presence("alex", "Busy").await;
    let newest = world.sequence;
    world.published("desk", |light| light["inputs"]["alex"] == newest && light["shown"] == light["wanted"]).await;
    assert_eq!(world.hub.lamp("Desk").xy, Some(GREEN), "a change of the second changes nothing");
    actuator.stop().await;
}

#[tokio::test]
async fn a_burst_of_a_thousand_changes_costs_one_command_for_each_light_and_limit_window() {
    let mut world = World::with(&["alex"]).await;
    let lights = "  desk: { hub: office, target: light/Desk, follow: alex }\n  hall: { hub: office, target: Hall, follow: alex }\n";
    let actuator = world.actuator_with(lights).await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.shows("Ceiling", RED).await;
    for change in 0..1_000 {
        world.presence("alex", ["Available", "Busy", "DoNotDisturb"][change % 3]).await;
        if change % 10 == 0 {
            tokio::time::sleep(Duration::from_millis(12)).await;
        }
    }
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    world.shows("Ceiling", BLUE).await;
    let commands = world.hub.commands().all();
    assert!(commands.iter().all(|command| command.status == 200), "the hub never had to refuse: {commands:#?}");
    assert!(commands.len() > 8, "the changes came apart: {commands:#?}");
    for (is_group, window) in [(false, Duration::from_millis(100)), (true, Duration::from_secs(1))] {
        let at: Vec<Instant> = commands.iter().filter(|it| it.group == is_group).map(|it| it.at).collect();
        let windows = (*at.last().unwrap() - at[0]).as_secs_f64() / window.as_secs_f64();
        // A command goes up to a tenth of a window sooner behind one that was answered late.
        assert!(at.len() as f64 <= windows / 0.9 + 2.0, "{} commands in {windows:.1} windows", at.len());
    }
    actuator.stop().await;
}
