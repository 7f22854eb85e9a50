//! Hubs and lamps that fail, refuse or come back.

use std::time::{Duration, Instant};

use graph2mqtt::simulator::{Certificate, Command, Fault, Gamut, Hub, Kind, Request, What};
use serde_json::{Value, json};

use crate::world::{BLUE, PATIENCE, RED, Running, World};

#[tokio::test]
async fn a_hub_that_was_down_converges_to_the_newest() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.hub.down().await;
    for availability in ["Available", "DoNotDisturb", "Available"] {
        world.presence("alex", availability).await;
    }
    let lost = world.published("desk", |light| light["reachable"] == false).await;
    assert!(lost["error"].as_str().unwrap().contains("office"), "{lost}");
    world.presence("alex", "Away").await;
    world.published("desk", |light| light["wanted"]["availability"] == "Away").await;
    world.hub.up().await.unwrap();
    world.shows("Desk", BLUE).await;
    world.published("desk", |light| light["reachable"] == true && light["error"].is_null()).await;
    assert_eq!(world.commands(), 2, "never a backlog");
    actuator.stop().await;
}

#[tokio::test]
async fn a_key_that_the_hub_does_not_know_is_not_tried_again() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.hub.revoke_key();
    world.hub.requests().clear();
    world.presence("alex", "Available").await;
    let light = world.published("desk", |light| light["reachable"] == false).await;
    assert!(light["error"].as_str().unwrap().contains("link button"), "{light}");
    world.presence("alex", "Away").await;
    world.published("desk", |light| light["wanted"]["availability"] == "Away").await;
    // None where the stream of events was refused before the change came.
    assert!(world.hub.requests().count(|request| !request.route.contains("eventstream")) <= 1);
    actuator.stop().await;
}

#[tokio::test]
async fn the_hub_is_read_ahead_so_that_the_first_change_costs_one_request() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    world.read_ahead().await;
    world.hub.requests().clear();
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    assert_eq!(world.hub.requests().count(|request| !request.route.contains("eventstream")), 1);
    actuator.stop().await;
}

#[tokio::test]
async fn a_wrong_key_or_target_is_known_before_anything_is_wanted() {
    let world = World::with(&["alex"]).await;
    let until_it_says = async |actuator: &Running, text: &str| {
        let says = || actuator.state.lights()[0].error.as_ref().is_some_and(|error| error.contains(text));
        let until = async {
            while !says() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, until).await.unwrap_or_else(|_| panic!("{:?}", actuator.state.lights()));
    };
    let actuator = world.actuator_with("  desk: { hub: office, target: Atrium, follow: alex }\n").await;
    until_it_says(&actuator, "room/Office").await;
    actuator.stop().await;
    world.hub.fault(Fault::new("GET /clip", What::status(403, "")));
    let actuator = world.actuator().await;
    until_it_says(&actuator, "link button").await;
    actuator.stop().await;
    assert_eq!(world.commands(), 0);
}

#[tokio::test]
async fn a_light_without_a_target_stays_unreachable_beside_one_that_obeys() {
    let mut world = World::with(&["alex"]).await;
    let lights = "  desk: { hub: office, target: Office, follow: alex }\n  lost: { hub: office, target: Atrium, follow: alex }\n";
    let actuator = world.actuator_with(lights).await;
    for availability in ["Busy", "Away", "Busy"] {
        world.presence("alex", availability).await;
        world.published("desk", |light| light["shown"]["availability"] == availability).await;
        let lost = world.published("lost", |light| light["wanted"]["availability"] == availability).await;
        assert_eq!(lost["reachable"], false, "{lost}");
        assert!(lost["error"].as_str().unwrap().contains("lights.lost.target"), "{lost}");
    }
    actuator.stop().await;
}

#[tokio::test]
async fn retry_after_is_obeyed_and_the_newest_wish_sent() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.hub.fault(Fault::new("PUT", What::retry_after(429, 3)).times(1));
    world.hub.requests().clear();
    world.presence("alex", "Available").await;
    world.published("desk", |light| light["reachable"] == false).await;
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    let at: Vec<Instant> =
        world.hub.requests().all().iter().filter(|it| it.route.starts_with("PUT")).map(|it| it.at).collect();
    assert_eq!(at.len(), 2);
    assert!(at[1] - at[0] >= Duration::from_secs(3), "{:?}", at[1] - at[0]);
    actuator.stop().await;
}

#[tokio::test]
async fn a_changed_certificate_is_refused_with_the_remedy() {
    let mut world = World::with(&["alex"]).await;
    let actuator = world.actuator().await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.hub.present(Certificate::self_signed(&world.hub.bridge_id()));
    world.hub.requests().clear();
    world.presence("alex", "Away").await;
    let light = world.published("desk", |light| light["error"].to_string().contains("certificate_sha256")).await;
    assert!(light["error"].to_string().contains(&world.hub.certificate_sha256()), "{light}");
    assert_eq!(world.hub.requests().count(|_| true), 0);
    actuator.stop().await;
}

#[tokio::test]
async fn a_lamp_that_comes_back_gets_its_look_once_more() {
    let (mut world, actuator) = World::overruled().await;
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    world.hub.unreachable("Desk");
    world.published("desk", |light| light["reachable"] == false).await;
    let before = world.commands();
    world.hub.reachable("Desk");
    let more = |commands: &[Command]| commands.len() > before;
    world.hub.commands().wait_for(PATIENCE, more).await.unwrap();
    world.published("desk", |light| light["reachable"] == true && light["shown"] == light["wanted"]).await;
    actuator.stop().await;
}

/// A room with two lamps beside the hall.
async fn two_lamps() -> World {
    let color = Kind::Color(Gamut::C);
    let plan = Hub::plan().room("Office", &[("Desk", color), ("Shelf", color)]).room("Hall", &[("Ceiling", color)]);
    let world = World::around(plan.start().await.unwrap()).await;
    world.online(&["alex"]).await;
    world
}

#[tokio::test]
async fn which_lamps_are_out_of_reach_is_known_lamp_by_lamp_and_from_the_start() {
    let mut world = two_lamps().await;
    world.hub.unreachable("Desk");
    world.hub.unreachable("Shelf");
    let actuator = world.actuator().await;
    world.presence("alex", "Busy").await;
    let read = |requests: &[Request]| requests.iter().any(|it| it.route.ends_with("/zigbee_connectivity"));
    world.hub.requests().wait_for(PATIENCE, read).await.unwrap();
    world.hub.reachable("Desk");
    world.shows("Desk", RED).await;
    let says = |light: &Value| light["error"].as_str().is_some_and(|error| error.starts_with("a lamp is out of reach"));
    world.published("desk", |light| light["reachable"] == false && says(light)).await;
    world.hub.reachable("Shelf");
    world.shows("Shelf", RED).await;
    world.published("desk", |light| light["reachable"] == true && light["error"].is_null()).await;
    actuator.stop().await;
}

#[tokio::test]
async fn a_room_is_not_commanded_again_and_again_for_a_lamp_that_is_out_of_reach() {
    let mut world = two_lamps().await;
    let lights = "  desk: { hub: office, target: Office, follow: alex }\n  hall: { hub: office, target: light/Ceiling, follow: alex }\n";
    let actuator = world.actuator_with(lights).await;
    world.presence("alex", "Busy").await;
    world.shows("Shelf", RED).await;
    world.watched().await;
    world.hears().await;
    world.hub.unreachable("Shelf");
    world.published("desk", |light| light["reachable"] == false).await;
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    world.shows("Ceiling", BLUE).await;
    world.published("desk", |light| light["shown"]["availability"] == "Away").await;
    let commands = |target: &str| world.hub.commands().count(|command| command.target == target);
    let before = commands("Office");
    // What is done in the first gap for the hall would be done for the office before the second is over.
    for _ in 0..2 {
        world.hub.down().await;
        world.hub.hand("Ceiling", &serde_json::json!({"color": {"xy": {"x": 0.17, "y": 0.7}}}));
        world.hub.forget_events();
        world.hub.up().await.unwrap();
        world.shows("Ceiling", BLUE).await;
    }
    assert_eq!((commands("Office"), commands("Ceiling")), (before, 4));
    actuator.stop().await;
}

#[tokio::test]
async fn what_a_lamp_shows_when_it_has_power_again_is_no_persons_hand() {
    for look_first in [true, false] {
        let (mut world, actuator) = World::overruled().await;
        world.presence("alex", "Away").await;
        world.shows("Desk", BLUE).await;
        world.hub.unreachable("Desk");
        world.published("desk", |light| light["reachable"] == false).await;
        world.hub.has_power_again("Desk", look_first);
        world.published("desk", |light| light["reachable"] == true && light["shown"] == light["wanted"]).await;
        world.shows("Desk", BLUE).await;
        world.published("desk", |light| light["hand"]["until"].is_null()).await;
        actuator.stop().await;
    }
}

#[tokio::test]
async fn what_a_lamp_shows_after_a_loss_of_power_while_nobodys_status_is_known_is_mended_with_the_next_one() {
    let (world, actuator) = World::busy().await;
    world.goes("alex", false).await;
    world.published("desk", |light| light["wanted"]["account"].is_null()).await;
    world.hub.unreachable("Desk");
    world.published("desk", |light| light["reachable"] == false).await;
    world.hub.has_power_again("Desk", true);
    world.published("desk", |light| light["reachable"] == true && light["shown"].is_null()).await;
    world.goes("alex", true).await;
    world.shows("Desk", RED).await;
    world.published("desk", |light| light["hand"]["until"].is_null() && light["shown"] == light["wanted"]).await;
    actuator.stop().await;
}

#[tokio::test]
async fn a_hand_at_one_lamp_of_a_room_counts_when_another_has_just_got_power_again() {
    for hand_first in [true, false] {
        let lamps = ["Desk", "Shelf"].map(|lamp| (lamp, Kind::Color(Gamut::C)));
        let plan = Hub::plan().room("Office", &lamps);
        let (mut world, actuator) = World::overruled_at(plan.start().await.unwrap()).await;
        world.presence("alex", "Away").await;
        world.published("desk", |light| light["shown"]["availability"] == "Away").await;
        world.hub.unreachable("Shelf");
        world.published("desk", |light| light["reachable"] == false).await;
        let is_overruled = |light: &Value| light["hand"]["until"] == "change";
        if hand_first {
            world.hub.hand("Desk", &json!({"dimming": {"brightness": 20.0}}));
            world.published("desk", is_overruled).await;
            world.hub.has_power_again("Shelf", false);
            let light = world.published("desk", |light| light["reachable"] == true).await;
            assert!(is_overruled(&light), "{light}");
        } else {
            world.hub.has_power_again("Shelf", false);
            world.shows("Shelf", BLUE).await;
            world.published("desk", |light| light["reachable"] == true && light["shown"] == light["wanted"]).await;
            world.hub.hand("Desk", &json!({"dimming": {"brightness": 20.0}}));
            world.published("desk", is_overruled).await;
        }
        actuator.stop().await;
    }
}

/// A hub with one lamp.
async fn small_hub(number: usize) -> Hub {
    let plan = Hub::plan().bridge_id(&format!("001788fffe0000{number:02}"));
    plan.room("Room", &[("Lamp", Kind::Color(Gamut::C))]).start().await.unwrap()
}

#[tokio::test]
async fn a_hub_that_is_slow_silent_busy_or_lying_never_delays_another() {
    let mut world = World::with(&["alex"]).await;
    let faults = [
        ("slow", What::Slow(Duration::from_secs(4))),
        ("silent", What::Hang),
        ("page", What::Html),
        ("endless", What::Endless),
        ("busy", What::retry_after(429, 300)),
        ("cut", What::Cut),
    ];
    let mut hubs = Vec::new();
    for (number, (name, what)) in faults.into_iter().enumerate() {
        let hub = small_hub(number).await;
        hub.fault(Fault::new("", what));
        hubs.push((name, hub));
    }
    // It says that it is another one than was configured.
    let lying = small_hub(50).await;
    hubs.push(("lying", lying.clone()));
    let named: Vec<(&str, &Hub)> = hubs.iter().map(|(name, hub)| (*name, hub)).collect();
    let light = |(name, _): &(&str, Hub)| format!("  at_{name}: {{ hub: {name}, target: light/Lamp, follow: alex }}\n");
    let lights: String = hubs.iter().map(light).collect();
    let mut settings =
        world.settings_with(&named, &format!("  desk: {{ hub: office, target: light/Desk, follow: alex }}\n{lights}"));
    settings.hubs.get_mut("lying").unwrap().id = Some("001788fffeffffff".to_owned());
    let actuator = world.run(settings).await;
    world.read_ahead().await;
    for change in 0..12 {
        let (availability, xy) = [("Busy", RED), ("Away", BLUE)][change % 2];
        let began = Instant::now();
        world.presence("alex", availability).await;
        world.shows("Desk", xy).await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(1), "change {change} took {took:?}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let said = world.published("at_lying", |light| light["reachable"] == false).await;
    assert!(said["error"].as_str().is_some_and(|error| error.contains("lying")), "{said}");
    assert_eq!(lying.commands().count(|_| true), 0);
    actuator.stop().await;
}

#[tokio::test]
async fn after_a_gap_in_the_event_stream_everything_is_read_again() {
    for is_known in [true, false] {
        let (world, actuator) = World::busy().await;
        if !is_known {
            world.goes("alex", false).await;
            world.published("desk", |light| light["wanted"]["account"].is_null()).await;
        }
        world.hub.down().await;
        world.hub.hand("Desk", &serde_json::json!({"color": {"xy": {"x": 0.17, "y": 0.7}}}));
        world.hub.up().await.unwrap();
        if !is_known {
            world.published("desk", |light| light["shown"].is_null()).await;
            assert_eq!(world.commands(), 1);
            world.goes("alex", true).await;
        }
        // Nobody saw a hand: the lamp may as well have lost its power. It gets its look again.
        world.shows("Desk", RED).await;
        assert_eq!(world.commands(), 2);
        actuator.stop().await;
    }
}
