//! The same rules at a WLED strip.

use std::time::{Duration, Instant};

use graph2mqtt::settings::{self, Settings};
use graph2mqtt::simulator::Wled;
use serde_json::{Value, json};

use crate::world::{PATIENCE, World};

const ORANGE: [u8; 3] = [255, 160, 0];
const RED: [u8; 3] = [255, 0, 0];
const BLUE: [u8; 3] = [0, 0, 255];

fn sign(world: &World, strip: &Wled, keys: &str) -> Settings {
    let yaml = format!(
        "mqtt: {{ url: \"{}\" }}\nlights:\n  sign: {{ wled: \"{}\", follow: alex{keys} }}\ncolors: {{ Busy: {{ color: \"#ff0000\", brightness: 40%, effect: breathe }}, Away: \"#0000ff\", Offline: restore }}\n",
        world.broker.url(),
        strip.address()
    );
    settings::from_yaml(&yaml, world.folder.path()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

async fn until(strip: &Wled, what: &str, such: impl Fn(&Value) -> bool) {
    let until = async {
        while !such(&strip.state()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, until).await;
    assert!(in_time.is_ok(), "{what}: {}", strip.state());
}

#[tokio::test]
async fn a_strip_follows_with_brightness_and_effect_and_shows_again_what_it_showed_before() {
    let (mut world, strip) = (World::with(&["alex"]).await, Wled::start().await.unwrap());
    let actuator = world.run(sign(&world, &strip, "")).await;
    world.presence("alex", "Busy").await;
    let breathes = |state: &Value| {
        (&state["on"], &state["bri"]) == (&json!(true), &json!(102))
            && (0..2).all(|at| state["seg"][at]["col"][0] == json!(RED) && state["seg"][at]["fx"] == 2)
    };
    until(&strip, "red, dimmed, breathing", breathes).await;
    world.presence("alex", "Away").await;
    let is_still =
        |state: &Value| state["bri"] == 255 && state["seg"][0]["col"][0] == json!(BLUE) && state["seg"][0]["fx"] == 0;
    until(&strip, "blue and still", is_still).await;
    let light = world.published("sign", |light| light["shown"]["color"] == "#0000ff").await;
    assert_eq!((&light["reachable"], &light["shown"]["account"]), (&json!(true), &json!("alex")));
    world.presence("alex", "Offline").await;
    let as_before =
        |state: &Value| state["on"] == false && state["bri"] == 128 && state["seg"][0]["col"][0] == json!(ORANGE);
    until(&strip, "what it showed before", as_before).await;
    actuator.stop().await;
}

#[tokio::test]
async fn an_effect_for_a_while_ends_on_a_strip_when_it_was_to_end_whoever_goes_on_with_it() {
    let (mut world, strip) = (World::with(&["alex"]).await, Wled::start().await.unwrap());
    let settings = || sign(&world, &strip, ", colors: { Busy: { color: \"#ff0000\", effect: \"breathe:8s\" } }");
    let first = world.run(settings()).await;
    let settings = settings();
    let began = Instant::now();
    world.presence("alex", "Busy").await;
    until(&strip, "it breathes", |state| state["seg"][0]["fx"] == 2).await;
    world.published("sign", |light| light["shown"].is_object()).await;
    first.kill();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let second = world.run(settings).await;
    until(&strip, "it is still", |state| state["seg"][0]["fx"] == 0).await;
    let lasted = began.elapsed();
    assert!((Duration::from_secs(6)..Duration::from_secs(11)).contains(&lasted), "{lasted:?}");
    second.stop().await;
}

#[tokio::test]
async fn a_segment_follows_and_the_rest_of_the_strip_is_let_alone() {
    let (mut world, strip) = (World::with(&["alex"]).await, Wled::start().await.unwrap());
    let actuator = world.run(sign(&world, &strip, ", target: Sign")).await;
    world.presence("alex", "Away").await;
    until(&strip, "the segment is blue", |state| state["seg"][1]["col"][0] == json!(BLUE)).await;
    assert_eq!(strip.drawn(), ["dark", "#0000ff"]);
    assert_eq!(strip.state()["seg"][0]["col"][0], json!(ORANGE));
    world.presence("alex", "Offline").await;
    until(&strip, "as it was before", |state| {
        state["on"] == false
            && (0..2).all(|at| state["seg"][at]["on"] == true && state["seg"][at]["col"][0] == json!(ORANGE))
    })
    .await;
    actuator.stop().await;
}

#[tokio::test]
async fn a_strip_that_was_away_ends_at_the_newest() {
    let (mut world, strip) = (World::with(&["alex"]).await, Wled::start().await.unwrap());
    let actuator = world.run(sign(&world, &strip, "")).await;
    world.presence("alex", "Away").await;
    until(&strip, "blue", |state| state["seg"][0]["col"][0] == json!(BLUE)).await;
    strip.down().await;
    world.presence("alex", "Busy").await;
    let lost = world.published("sign", |light| light["reachable"] == false).await;
    assert!(lost["error"].as_str().is_some_and(|error| error.contains("sign")), "{lost}");
    strip.up().await.unwrap();
    until(&strip, "red", |state| state["seg"][0]["col"][0] == json!(RED)).await;
    world.published("sign", |light| light["reachable"] == true && light["shown"]["color"] == "#ff0000").await;
    actuator.stop().await;
}

#[tokio::test]
async fn a_persons_hand_at_a_strip_is_left_alone() {
    let (mut world, strip) = (World::with(&["alex"]).await, Wled::start().await.unwrap());
    let actuator = world.run(sign(&world, &strip, "")).await;
    world.presence("alex", "Away").await;
    until(&strip, "blue", |state| state["seg"][0]["col"][0] == json!(BLUE)).await;
    let topic = "graph2mqtt/actuator/home/light/sign";
    // A strip is asked every few seconds; what it showed when it was first asked is no hand.
    let noticed = async {
        for brightness in 0_u32.. {
            strip.hand(&json!({"bri": 20 + brightness % 50}));
            tokio::time::sleep(Duration::from_millis(300)).await;
            let newest = world.bridge.newest().get(topic).and_then(|light| serde_json::from_str::<Value>(light).ok());
            if newest.is_some_and(|light| light["hand"]["until"] == "change") {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, noticed).await.expect("somebody notices the hand");
    world.presence("alex", "Busy").await;
    until(&strip, "the next status", |state| state["seg"][0]["col"][0] == json!(RED)).await;
    actuator.stop().await;
}

#[tokio::test]
async fn an_effect_goes_on_at_a_strip_that_is_to_be_kept_as_it_is() {
    let (mut world, strip) = (World::with(&["alex"]).await, Wled::start().await.unwrap());
    let keeps =
        ", colors: { Busy: { color: \"#ff0000\", effect: \"breathe:3s\" }, Away: keep, Available: \"#0000ff\" }";
    let actuator = world.run(sign(&world, &strip, keeps)).await;
    world.presence("alex", "Busy").await;
    until(&strip, "it breathes", |state| state["seg"][0]["fx"] == 2).await;
    let light = world.published("sign", |light| light["shown"].is_object()).await;
    assert!(light["by"]["again"].is_u64(), "it would be told to end: {light}");
    world.presence("alex", "Away").await;
    world.published("sign", |light| light["wanted"]["color"] == "keep").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(strip.commands().len(), 1, "{:#?}", strip.commands());
    world.presence("alex", "Available").await;
    until(&strip, "blue and still", |state| state["seg"][0]["col"][0] == json!(BLUE) && state["seg"][0]["fx"] == 0)
        .await;
    actuator.stop().await;
}

#[tokio::test]
async fn lights_of_one_strip_share_its_limits_and_one_reading() {
    let (mut world, strip) = (World::with(&["alex"]).await, Wled::start().await.unwrap());
    let (broker, address) = (world.broker.url(), strip.address());
    let light =
        |name: &str, segment: &str| format!("  {name}: {{ wled: \"{address}\", target: {segment}, follow: alex }}\n");
    let yaml = format!(
        "mqtt: {{ url: \"{broker}\" }}\nlights:\n{}{}colors: {{ Busy: \"#ff0000\", Away: \"#0000ff\" }}\n",
        light("left", "0"),
        light("right", "Sign")
    );
    let settings = settings::from_yaml(&yaml, world.folder.path()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let actuator = world.run(settings).await;
    let both = |state: &Value, color: [u8; 3]| (0..2).all(|at| state["seg"][at]["col"][0] == json!(color));
    for (availability, color) in [("Busy", RED), ("Away", BLUE), ("Busy", RED)] {
        world.presence("alex", availability).await;
        until(&strip, "both segments", |state| both(state, color)).await;
    }
    let at = strip.commanded();
    let closest = at.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
    assert!(at.len() == 6 && closest >= Duration::from_millis(200), "{at:?}");
    strip.down().await;
    for light in ["left", "right"] {
        world.published(light, |light| light["reachable"] == false).await;
    }
    strip.up().await.unwrap();
    for light in ["left", "right"] {
        world.published(light, |light| light["reachable"] == true).await;
    }
    actuator.stop().await;
}

#[tokio::test]
async fn a_preset_that_a_person_replaced_while_the_strip_was_left_alone_is_not_taken_for_untouched() {
    let (mut world, strip) = (World::with(&["alex"]).await, Wled::start().await.unwrap());
    let rules = ", colors: { Available: \"scene:Relax\", DoNotDisturb: keep }";
    let actuator = world.run(sign(&world, &strip, rules)).await;
    world.presence("alex", "Available").await;
    world.published("sign", |light| light["shown"]["color"] == "scene:Relax").await;
    world.presence("alex", "DoNotDisturb").await;
    world.published("sign", |light| light["before"]["left"].is_object()).await;
    strip.hand(&json!({"on": true, "bri": 20, "seg": [{"col": [BLUE]}]}));
    let commands = strip.commands().len();
    world.presence("alex", "Offline").await;
    let is_free = |light: &Value| light["before"]["seen"].is_null() && light["before"]["left"].is_null();
    world.published("sign", |light| light["wanted"]["color"] == "restore" && is_free(light)).await;
    assert_eq!(strip.commands().len(), commands, "{}", strip.state());
    actuator.stop().await;
}

#[tokio::test]
async fn a_strip_that_is_paused_while_it_is_read_is_sent_nothing() {
    let (mut world, strip) = (World::with(&["alex"]).await, Wled::start().await.unwrap());
    // As somebody who was killed in a flash leaves it: whoever touches it first waits for the end of that.
    strip.hand(&json!({"on": true, "seg": [{"fx": 1, "sx": 200, "col": [[255, 255, 255]]}]}));
    let actuator = world.run(sign(&world, &strip, "")).await;
    world.presence("alex", "Away").await;
    world.published("sign", |light| light["wanted"]["color"] == "#0000ff").await;
    let set = "graph2mqtt/actuator/home/light/sign/set";
    world.bridge.publish(set, r#"{"paused":true}"#, false).await;
    world.published("sign", |light| light["paused"]["value"] == true).await;
    assert_eq!(strip.commands().len(), 0, "it waits for the flash");
    world.published("sign", |light| light["by"]["commands"] == 1 && light["before"].is_null()).await;
    assert_eq!(strip.commands().len(), 0, "{}", strip.state());
    world.bridge.publish(set, r#"{"paused":false}"#, false).await;
    until(&strip, "blue", |state| state["seg"][0]["col"][0] == json!(BLUE)).await;
    actuator.stop().await;
}
