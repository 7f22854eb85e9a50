//! Several actuators of one location, and several locations.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use graph2mqtt::settings::{self, Settings};
use graph2mqtt::simulator::{Gamut, Hub, Kind, Request};
use serde_json::Value;

use crate::support::observer::Seen;
use crate::world::{BLUE, GREEN, PATIENCE, RED, Running, World};

const COLOUR: Kind = Kind::Color(Gamut::C);

#[tokio::test]
async fn what_others_have_acted_upon_is_waited_for_and_never_published_over() {
    let mut world = World::with(&["alex"]).await;
    let ahead = world.sequence + 2;
    let topic = "graph2mqtt/actuator/home/light/desk";
    world.bridge.publish(topic, format!(r#"{{"inputs":{{"alex":{ahead}}}}}"#), true).await;
    world.presence("alex", "Busy").await;
    let lights =
        "  desk: { hub: office, target: Office, follow: alex }\n  hall: { hub: office, target: Hall, follow: alex }\n";
    let actuator = world.actuator_with(lights).await;
    world.shows("Ceiling", RED).await;
    world.published("hall", |light| light["shown"].is_object()).await;
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    let light = world.published("desk", |light| light["shown"].is_object()).await;
    assert_eq!(light["inputs"]["alex"], ahead);
    let red = world.hub.commands().count(|command| command.body["color"]["xy"]["x"] == RED.0);
    assert_eq!(red, 1, "the older presence was shown by the hall alone: {:#?}", world.hub.commands().all());
    actuator.stop().await;
}

#[tokio::test]
async fn however_many_actuators_share_a_location_the_light_ends_at_the_newest() {
    let mut world = World::with(&["alex"]).await;
    let lights = "  desk: { hub: office, target: light/Desk, follow: alex }\n";
    let members = [world.actuator_with(lights).await, world.actuator_with(lights).await];
    let killed = world.actuator_with(lights).await;
    for change in 0..12 {
        world.presence("alex", ["Available", "Busy", "DoNotDisturb"][change % 3]).await;
        if change == 6 {
            killed.task.abort();
        }
    }
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    let newest = world.sequence;
    world.published("desk", |light| light["inputs"]["alex"] == newest && light["shown"] == light["wanted"]).await;
    for member in members {
        member.stop().await;
    }
    assert_eq!(world.hub.lamp("Desk").xy, Some(BLUE), "nobody set it back");
}

#[tokio::test]
async fn of_two_locations_each_goes_its_own_way() {
    let mut world = World::with(&["alex"]).await;
    let at_home = world.actuator_with("  desk: { hub: office, target: Office, follow: alex }\n").await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    let settings = world.settings("  desk: { hub: office, target: Hall, follow: alex }\n");
    let cabin = Settings { actuator: settings::Actuator { location: "cabin".parse().unwrap() }, ..settings };
    let at_cabin = world.run(cabin).await;
    world.shows("Ceiling", RED).await;
    world.bridge.publish("graph2mqtt/actuator/cabin/light/desk/set", r#"{"paused":true}"#, false).await;
    let paused = |seen: &Seen| {
        seen.topic == "graph2mqtt/actuator/cabin/light/desk"
            && seen.payload.contains(r#""paused":{"version""#)
            && seen.payload.contains(r#""value":true"#)
    };
    world.bridge.until("the cabin is paused", paused).await;
    world.presence("alex", "Available").await;
    world.shows("Desk", GREEN).await;
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    assert_eq!(world.hub.lamp("Ceiling").xy, Some(RED), "paused there alone");
    at_home.stop().await;
    at_cabin.stop().await;
}

#[tokio::test]
async fn only_the_last_member_does_what_on_stop_says() {
    let mut world = World::with(&["alex"]).await;
    let lights = "  desk: { hub: office, target: Office, follow: alex, on_stop: off }\n";
    let (first, last) = (world.actuator_with(lights).await, world.actuator_with(lights).await);
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    for member in [&first, &last] {
        member.connected().await;
    }
    first.stop().await;
    assert!(world.hub.lamp("Desk").on, "another member goes on");
    world.bridge.until_is("graph2mqtt/actuator/home/state", "online").await;
    last.stop().await;
    world.hub.wait_for("Desk", PATIENCE, |lamp| !lamp.on).await.unwrap();
    world.bridge.until_is("graph2mqtt/actuator/home/state", "offline").await;
}

const OFF_AT_STOP: &str = "  desk: { hub: office, target: light/Desk, follow: alex, on_stop: off }\n";
/// A stop waits for the hub and for the broker, and no longer.
const STOP: Duration = Duration::from_secs(5);

async fn stops_in_time(member: Running) {
    let began = Instant::now();
    member.stop().await;
    assert!(began.elapsed() < STOP, "{:?}", began.elapsed());
}

#[tokio::test]
async fn without_the_broker_a_member_that_is_alone_does_what_on_stop_says() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator_with(OFF_AT_STOP).await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.broker.stop();
    actuator.disconnected().await;
    stops_in_time(actuator).await;
    assert!(!world.hub.lamp("Desk").on, "nobody else is there");
}

#[tokio::test]
async fn without_the_broker_a_member_that_was_never_connected_leaves_its_lights_alone() {
    let mut world = World::with(&["alex"]).await;
    world.hub.hand("Desk", &serde_json::json!({"on": {"on": true}}));
    world.broker.stop();
    let actuator = world.actuator_with(OFF_AT_STOP).await;
    world.read_ahead().await;
    stops_in_time(actuator).await;
    assert_eq!(world.commands(), 0);
}

/// Two members that have heard of each other, and a red desk.
async fn two_members(world: &mut World) -> [Running; 2] {
    let members = [world.actuator_with(OFF_AT_STOP).await, world.actuator_with(OFF_AT_STOP).await];
    for member in &members {
        member.connected().await;
    }
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    let authors = |seen: &[Seen]| {
        let author =
            |seen: &Seen| Some(serde_json::from_str::<Value>(&seen.payload).ok()?["by"]["actuator"].to_string());
        seen.iter().filter(|seen| seen.topic.ends_with("/light/desk")).filter_map(author).collect::<BTreeSet<_>>()
    };
    world.bridge.wait("both report", |seen| (authors(seen).len() == 2).then_some(())).await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    members
}

#[tokio::test]
async fn without_the_broker_a_member_that_has_heard_of_another_leaves_the_light_to_it() {
    let mut world = World::with(&["alex"]).await;
    let members = two_members(&mut world).await;
    world.broker.stop();
    for member in members {
        member.disconnected().await;
        stops_in_time(member).await;
    }
    assert_eq!(world.hub.lamp("Desk").xy, Some(RED));
    assert!(world.hub.lamp("Desk").on, "for all that each of them knew, the other went on");
}

#[tokio::test]
async fn a_broker_that_goes_while_others_are_asked_for_leaves_the_light_to_them() {
    let mut world = World::with(&["alex"]).await;
    let [one, other] = two_members(&mut world).await;
    // It has the question, and answers nobody.
    world.broker.freeze();
    one.shutdown.cancel();
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.broker.kill();
    stops_in_time(one).await;
    assert!(world.hub.lamp("Desk").on, "another member goes on");
    other.kill();
}

#[tokio::test]
async fn requests_are_answered_once_however_many_members_there_are() {
    let world = World::with(&["alex"]).await;
    let (one, other) = (world.actuator().await, world.actuator().await);
    world.bridge.until_is("graph2mqtt/actuator/home/state", "online").await;
    for member in [&one, &other] {
        member.connected().await;
    }
    let asked = async |command: &str, payload: &str| {
        world.bridge.publish(&format!("graph2mqtt/actuator/home/request/{command}"), payload, false).await;
        let topic = format!("graph2mqtt/actuator/home/response/{command}");
        let answer = world.bridge.until(&topic, |seen| seen.topic == topic).await;
        let answer: Value = serde_json::from_str(&answer.payload).unwrap();
        (answer["status"].clone(), answer)
    };
    let (status, answer) = asked("health_check", r#"{"transaction":"t1"}"#).await;
    assert_eq!((status, &answer["transaction"], &answer["data"]["healthy"]), ("ok".into(), &"t1".into(), &true.into()));
    let (status, answer) = asked("test", r#"{"light":"desk"}"#).await;
    assert_eq!((status, &answer["data"]["light"]), ("ok".into(), &"desk".into()), "{answer}");
    let flashed = |requests: &[Request]| requests.iter().any(|request| request.route.starts_with("PUT"));
    world.hub.requests().wait_for(PATIENCE, flashed).await.unwrap();
    world.bridge.forget();
    let (status, answer) = asked("test", r#"{"light":"attic"}"#).await;
    assert_eq!(status, "error");
    assert!(answer["error"].as_str().unwrap().contains("desk"), "{answer}");
    assert_eq!(asked("dance", "{}").await.0, "error");
    let seen = world.bridge.seen();
    let answers = seen.iter().filter(|seen| seen.topic.contains("/response/")).count();
    assert_eq!(answers, 2, "{seen:?}");
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn health_tells_of_each_hub_whether_it_is_reachable_and_what_is_wrong() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    let health = async |world: &World| -> Value {
        world.bridge.forget();
        world.bridge.publish("graph2mqtt/actuator/home/request/health_check", "{}", false).await;
        let topic = "graph2mqtt/actuator/home/response/health_check";
        let answer = world.bridge.until(topic, |seen| seen.topic == topic).await;
        serde_json::from_str::<Value>(&answer.payload).unwrap()["data"].clone()
    };
    world.presence("alex", "Busy").await;
    world.published("desk", |light| light["shown"].is_object()).await;
    let well = health(&world).await;
    assert_eq!(well["hubs"], serde_json::json!({ "office": { "reachable": true, "error": null } }));
    assert_eq!(well["healthy"], true);
    world.hub.down().await;
    world.presence("alex", "Away").await;
    world.published("desk", |light| light["reachable"] == false).await;
    let ill = health(&world).await;
    let office = &ill["hubs"]["office"];
    assert_eq!((&ill["healthy"], &office["reachable"]), (&false.into(), &false.into()), "{ill}");
    assert!(office["error"].as_str().is_some_and(|error| error.contains("hubs.office.host")), "{ill}");
    actuator.stop().await;
}

#[tokio::test]
async fn what_members_want_is_an_echo_to_each_other_and_no_hand() {
    let mut world = World::with(&["alex"]).await;
    let lights = "  desk: { hub: office, target: light/Desk, follow: alex }\n";
    let members = [world.actuator_with(lights).await, world.actuator_with(lights).await];
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    let both =
        |requests: &[Request]| requests.iter().filter(|request| request.route.contains("eventstream")).count() == 2;
    world.hub.requests().wait_for(PATIENCE, both).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    for change in 0..20 {
        let (availability, xy) = [("Available", GREEN), ("Busy", RED), ("Away", BLUE)][change % 3];
        world.presence("alex", availability).await;
        if change % 4 == 0 {
            world.shows("Desk", xy).await;
        }
        tokio::time::sleep(Duration::from_millis(70)).await;
    }
    world.barrier().await;
    let hands = |seen: &&Seen| seen.topic.ends_with("/desk") && !seen.payload.contains(r#""hand":{"until":null"#);
    let seen = world.bridge.seen();
    assert_eq!(seen.iter().find(hands), None);
    world.hand_until(|light| light["hand"]["until"] == "change").await;
    for member in members {
        member.stop().await;
    }
}

/// How many commands three members send to a hub that takes everything, while each of them always has something to
/// send: to how many targets, and for how many seconds.
async fn commands_of_three_busy_members(kind: &str, seconds: u64) -> usize {
    let names: Vec<String> = (0..12).map(|at| format!("l{at}")).collect();
    let plan = names.iter().fold(Hub::plan(), |plan, name| plan.room(name, &[(&format!("Lamp {name}"), COLOUR)]));
    let mut world = World::around(plan.start().await.unwrap()).await;
    world.hub.adjust(|limits| (limits.group_gap, limits.light_commands) = (Duration::ZERO, usize::MAX));
    world.online(&["alex"]).await;
    let target = |name: &String| if kind == "room" { name.clone() } else { format!("Lamp {name}") };
    let light = |name| format!("  {name}: {{ hub: office, target: {kind}/{}, follow: alex }}\n", target(name));
    let lights: String = names.iter().map(light).collect();
    let members =
        [world.actuator_with(&lights).await, world.actuator_with(&lights).await, world.actuator_with(&lights).await];
    for member in &members {
        member.connected().await;
    }
    let change = async |world: &mut World, at: usize| {
        world.presence("alex", ["Available", "Busy", "DoNotDisturb"][at % 3]).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    // Until they have heard of each other.
    for at in 0..40 {
        change(&mut world, at).await;
    }
    let (before, began) = (world.commands(), Instant::now());
    for at in 0.. {
        change(&mut world, at).await;
        if began.elapsed() > Duration::from_secs(seconds) {
            break;
        }
    }
    let sent = world.commands() - before;
    for member in members {
        member.kill();
    }
    sent
}

#[tokio::test]
async fn members_keep_the_hubs_limits_together() {
    // Each for itself they would be three times as many.
    let groups = commands_of_three_busy_members("room", 12).await;
    let lamps = commands_of_three_busy_members("light", 6).await;
    println!("{groups} commands to groups in 12 s, {lamps} to lamps in 6 s");
    assert!((6..=18).contains(&groups), "one a second: {groups} in 12 s");
    assert!((30..=90).contains(&lamps), "ten a second: {lamps} in 6 s");
}
