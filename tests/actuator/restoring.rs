//! Restoring what a light showed before it was touched, also where it was left alone since.

use std::time::Duration;

use graph2mqtt::simulator::{Gamut, Hub, Kind, LampState};
use serde_json::{Value, json};

use crate::world::{BLUE, GREEN, PATIENCE, RED, Running, World};

/// What a person gives a lamp.
fn theirs(brightness: f64, xy: f64) -> Value {
    json!({"on": {"on": true}, "dimming": {"brightness": brightness}, "color": {"xy": {"x": xy, "y": xy}}})
}

async fn restored(world: &World, lamp: &str, brightness: f64, xy: f64) {
    let such = |state: &LampState| state.on && state.brightness == brightness && state.xy == Some((xy, xy));
    if world.hub.wait_for(lamp, PATIENCE, such).await.is_err() {
        panic!("{lamp} does not show ({xy}, {xy}) at {brightness}: {:?}", world.hub.lamp(lamp));
    }
}

const KEPT: &str =
    "  desk: { hub: office, target: Office, follow: alex, colors: { DoNotDisturb: off, Away: keep, Offline: restore } }
  hall: { hub: office, target: light/Ceiling, follow: alex }\n";

impl World {
    /// A room whose lamps showed something, then our red, and are left alone with it.
    async fn left_alone(lamps: &[&str]) -> (Self, Running) {
        let kinds: Vec<_> = lamps.iter().map(|lamp| (*lamp, Kind::Color(Gamut::C))).collect();
        let plan = Hub::plan().room("Office", &kinds).room("Hall", &[("Ceiling", Kind::Color(Gamut::C))]);
        let mut world = Self::around(plan.start().await.unwrap()).await;
        world.online(&["alex"]).await;
        lamps.iter().for_each(|lamp| world.hub.hand(lamp, &theirs(42.0, 0.4)));
        let actuator = world.actuator_with(KEPT).await;
        world.status("Busy").await;
        world.status("Away").await;
        (world, actuator)
    }

    /// A status, and its look.
    async fn status(&mut self, availability: &str) {
        self.presence("alex", availability).await;
        let is_kept = |light: &Value| light["wanted"]["color"] == "keep";
        self.published("desk", |light| {
            light["wanted"]["availability"] == availability && (is_kept(light) || light["shown"] == light["wanted"])
        })
        .await;
    }

    /// A person changes the desk, and then the ceiling until that is noticed: the hub has told of both by then.
    async fn touched(&self) {
        self.hub.hand("Desk", &theirs(20.0, 0.3));
        let topic = "graph2mqtt/actuator/home/light/hall";
        for step in 0..150 {
            self.hub.hand("Ceiling", &theirs(20.0 + f64::from(step) / 10.0, 0.3));
            tokio::time::sleep(Duration::from_millis(100)).await;
            let newest = self.bridge.newest().get(topic).and_then(|light| serde_json::from_str::<Value>(light).ok());
            if newest.is_some_and(|light| light["hand"]["until"] == "change") {
                return;
            }
        }
        panic!("nobody noticed the hand: {:?}", self.bridge.newest());
    }

    fn commands_to(&self, lamp: &str) -> usize {
        self.hub.commands().count(|command| [lamp, "Office"].contains(&&*command.target))
    }

    /// What is restored was restored.
    async fn lets_go(&self) {
        let is_free = |light: &Value| light["before"]["seen"].is_null() && light["before"]["left"].is_null();
        self.published("desk", |light| light["wanted"]["color"] == "restore" && is_free(light)).await;
    }
}

#[tokio::test]
async fn a_light_that_nobody_touched_while_it_was_left_alone_showed_before_what_it_showed_before_our_first_touch() {
    let (mut world, actuator) = World::left_alone(&["Desk"]).await;
    let left = world.published("desk", |light| light["before"]["left"].is_object()).await;
    assert_eq!(left["before"]["left"]["shown"], json!({"color": "#ff0000", "brightness": 100}));
    for status in ["Busy", "Away", "Available"] {
        world.status(status).await;
    }
    world.presence("alex", "Offline").await;
    restored(&world, "Desk", 42.0, 0.4).await;
    world.lets_go().await;
    actuator.stop().await;
}

#[tokio::test]
async fn of_lamps_that_a_person_changed_while_they_were_left_alone_the_change_is_restored() {
    let (mut world, actuator) = World::left_alone(&["Desk", "Shelf"]).await;
    world.touched().await;
    world.status("Busy").await;
    world.shows("Desk", RED).await;
    world.presence("alex", "Offline").await;
    restored(&world, "Desk", 20.0, 0.3).await;
    restored(&world, "Shelf", 42.0, 0.4).await;
    world.lets_go().await;
    actuator.stop().await;
}

#[tokio::test]
async fn restore_behind_keep_gives_back_what_nobody_touched_and_sends_nothing_to_what_somebody_did() {
    for touched in [false, true] {
        let (mut world, actuator) = World::left_alone(&["Desk"]).await;
        if touched {
            world.touched().await;
        }
        let commands = world.commands_to("Desk");
        world.presence("alex", "Offline").await;
        world.lets_go().await;
        match touched {
            false => restored(&world, "Desk", 42.0, 0.4).await,
            true => assert_eq!((world.commands_to("Desk"), world.hub.lamp("Desk").brightness), (commands, 20.0)),
        }
        actuator.stop().await;
    }
}

#[tokio::test]
async fn a_lamp_that_we_left_dark_and_a_person_used_since_is_dark_by_them() {
    for used in [false, true] {
        let (mut world, actuator) = World::left_alone(&["Desk"]).await;
        world.status("DoNotDisturb").await;
        world.status("Away").await;
        if used {
            world.switched_on_until(|light| light["before"]["left"]["seen"] == json!([])).await;
            world.hub.hand("Desk", &json!({"on": {"on": false}}));
        }
        world.status("Busy").await;
        world.presence("alex", "Offline").await;
        match used {
            true => drop(world.hub.wait_for("Desk", PATIENCE, |lamp| !lamp.on).await.unwrap()),
            false => restored(&world, "Desk", 42.0, 0.4).await,
        }
        world.lets_go().await;
        actuator.stop().await;
    }
}

#[tokio::test]
async fn a_lamp_that_was_dark_gets_its_colour_back_for_when_it_is_switched_on_where_the_hub_keeps_it() {
    for keeps in [true, false] {
        let lamps = ["Desk", "Shelf"].map(|lamp| (lamp, Kind::Color(Gamut::C)));
        let plan = Hub::plan().room("Office", &lamps).room("Hall", &[("Ceiling", Kind::Color(Gamut::C))]);
        let plan = if keeps { plan.keeps_for_later() } else { plan };
        let mut world = World::around(plan.start().await.unwrap()).await;
        world.online(&["alex"]).await;
        for lamp in ["Desk", "Shelf"] {
            world.hub.hand(lamp, &theirs(42.0, 0.4));
        }
        world.hub.hand("Shelf", &json!({"on": {"on": false}}));
        let actuator = world.actuator_with(KEPT).await;
        world.status("Busy").await;
        world.presence("alex", "Offline").await;
        world.lets_go().await;
        restored(&world, "Desk", 42.0, 0.4).await;
        // Nobody waits for that.
        let asked = async {
            while world.hub.commands().count(|command| &*command.target == "Shelf") == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, asked).await.is_ok(), "the dark lamp is told nothing");
        let expected = if keeps { (false, 42.0, Some((0.4, 0.4))) } else { (false, 100.0, Some(RED)) };
        let such = |state: &LampState| (state.on, state.brightness, state.xy) == expected;
        assert!(world.hub.wait_for("Shelf", PATIENCE, such).await.is_ok(), "{:?}", world.hub.lamp("Shelf"));
        let light = world.published("desk", |light| light["wanted"]["color"] == "restore").await;
        assert_eq!((&light["reachable"], &light["error"]), (&true.into(), &Value::Null), "{light}");
        actuator.stop().await;
    }
}

#[tokio::test]
async fn an_actuator_that_starts_while_a_light_is_left_alone_knows_what_it_showed_before() {
    for status_when_killed in ["Busy", "Away"] {
        let (mut world, actuator) = World::left_alone(&["Desk"]).await;
        if status_when_killed == "Busy" {
            world.status("Busy").await;
        }
        actuator.kill();
        world.bridge.until_is("graph2mqtt/actuator/home/state", "offline").await;
        world.presence("alex", "Away").await;
        let actuator = world.actuator_with(KEPT).await;
        let newest = world.sequence;
        let light = world.published("desk", |light| light["inputs"]["alex"] == newest).await;
        assert_eq!(light["before"]["left"]["shown"]["color"], "#ff0000", "{light}");
        world.status("Available").await;
        world.presence("alex", "Offline").await;
        restored(&world, "Desk", 42.0, 0.4).await;
        actuator.stop().await;
    }
}

#[tokio::test]
async fn restore_shows_what_the_light_showed_before_it_was_touched_and_then_lets_go() {
    let mut world = World::with(&["alex"]).await;
    world.hub.hand("Desk", &theirs(42.0, 0.4));
    let lights =
        "  desk: { hub: office, target: Office, follow: alex, on_stop: restore, colors: { Offline: restore } }\n";
    let actuator = world.actuator_with(lights).await;
    for _ in 0..2 {
        world.presence("alex", "Busy").await;
        world.shows("Desk", RED).await;
        world.presence("alex", "Away").await;
        world.shows("Desk", BLUE).await;
        world.presence("alex", "Offline").await;
        restored(&world, "Desk", 42.0, 0.4).await;
        world
            .published("desk", |light| light["before"]["seen"].is_null() && light["wanted"]["color"] == "restore")
            .await;
    }
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    actuator.stop().await;
    restored(&world, "Desk", 42.0, 0.4).await;
}

#[tokio::test]
async fn restore_darkens_a_lamp_that_was_dark_when_its_first_status_was_off() {
    let mut world = World::with(&["alex"]).await;
    world.presence("alex", "Offline").await;
    let actuator = world
        .actuator_with("  desk: { hub: office, target: Office, follow: alex, colors: { DoNotDisturb: restore } }\n")
        .await;
    world.published("desk", |light| light["shown"]["color"] == "off").await;
    world.presence("alex", "Available").await;
    world.shows("Desk", GREEN).await;
    world.presence("alex", "DoNotDisturb").await;
    world.hub.wait_for("Desk", PATIENCE, |lamp| !lamp.on).await.unwrap();
    actuator.stop().await;
}

#[tokio::test]
async fn restore_shows_what_was_there_before_a_scene() {
    let relax = [("Desk", json!({"on": {"on": true}, "color": {"xy": {"x": 0.5, "y": 0.4}}}))];
    let plan = Hub::plan().room("Office", &[("Desk", Kind::Color(Gamut::C))]).scene("Office", "Relax", &relax);
    let mut world = World::around(plan.start().await.unwrap()).await;
    world.online(&["alex"]).await;
    world.hub.hand("Desk", &theirs(42.0, 0.3));
    world.presence("alex", "Available").await;
    let colors = "colors: { Available: \"scene:Relax\", DoNotDisturb: restore }";
    let actuator =
        world.actuator_with(&format!("  desk: {{ hub: office, target: Office, follow: alex, {colors} }}\n")).await;
    world.shows("Desk", (0.5, 0.4)).await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    world.presence("alex", "DoNotDisturb").await;
    restored(&world, "Desk", 42.0, 0.3).await;
    actuator.stop().await;
}
