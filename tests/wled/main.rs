//! A WLED strip as a light: whole and by segments, over real sockets.
#![cfg(test)]
#![cfg(feature = "demo")]

mod check;
mod flash;
mod scenes;
mod segments;

use std::time::Duration;

use graph2mqtt::lights::{self, Event, Look, Trouble};
use graph2mqtt::settings::{self, Effect, Motion, Settings, Shade};
use graph2mqtt::simulator::{Fault, What, Wled};
use graph2mqtt::store::Store;
use serde_json::json;
use tempfile::TempDir;

const WAIT: Duration = Duration::from_secs(20);
const RED: Look = Look::plain(Shade::Rgb([255, 0, 0]));

async fn light(strip: &Wled, keys: &str) -> (lights::Hub, TempDir) {
    let (mut hubs, folder) = hubs(&format!("  sign: {{ wled: \"{}\", follow: alex{keys} }}\n", strip.address())).await;
    (hubs.remove(0), folder)
}

async fn hubs(lights: &str) -> (Vec<lights::Hub>, TempDir) {
    let (settings, store, folder) = settings(&format!("lights:\n{lights}")).await;
    (lights::hubs(&settings, &store), folder)
}

async fn settings(yaml: &str) -> (Settings, Store, TempDir) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let settings = settings::from_yaml(yaml, folder.path()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let url = format!("sqlite://{}", folder.path().join("store.db").display());
    let store = Store::open(&url, &folder.path().join("store.key")).await.unwrap();
    (settings, store, folder)
}

async fn until(strip: &Wled, what: &str, such: impl Fn(&Wled) -> bool) {
    let until = async {
        while !such(strip) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let in_time = tokio::time::timeout(WAIT, until).await;
    assert!(in_time.is_ok(), "{what}: {}", strip.state());
}

async fn show(hub: &lights::Hub, look: Look) -> Result<lights::Obeyed, Trouble> {
    hub.lights[0].1.show(look, false).await
}

#[tokio::test]
async fn a_strip_shows_colours_effects_and_presets_and_what_it_showed_before() {
    let strip = Wled::start().await.unwrap();
    let (hub, _folder) = light(&strip, "").await;
    let before = hub.lights[0].1.read().await.unwrap();
    let effect = Some(Effect { motion: Motion::Breathe, lasting: None });
    show(&hub, Look::On { shade: Shade::Rgb([255, 0, 0]), brightness: 80, transition: Duration::from_secs(1), effect })
        .await
        .unwrap();
    let state = strip.state();
    assert_eq!((&state["on"], &state["bri"]), (&json!(true), &json!(204)));
    assert_eq!((&state["seg"][1]["col"][0], &state["seg"][1]["fx"]), (&json!([255, 0, 0]), &json!(2)));
    assert_eq!(strip.commands()[0]["tt"], 10);
    show(&hub, Look::Scene { name: "relax".into(), brightness: None, transition: Duration::ZERO }).await.unwrap();
    until(&strip, "the preset", |strip| strip.state()["ps"] == 4).await;
    assert_eq!(strip.drawn(), ["#ff7828", "#ff5014"]);
    show(&hub, Look::Off).await.unwrap();
    assert_eq!(strip.state()["on"], false);
    show(&hub, RED).await.unwrap();
    show(&hub, Look::Seen(before.into())).await.unwrap();
    let state = strip.state();
    assert_eq!(
        (&state["on"], &state["bri"], &state["seg"][0]["col"][0]),
        (&json!(false), &json!(128), &json!([255, 160, 0]))
    );
}

#[tokio::test]
async fn a_segment_is_a_light_of_its_own() {
    let strip = Wled::start().await.unwrap();
    let (hub, _folder) = light(&strip, ", target: Sign").await;
    show(&hub, RED).await.unwrap();
    let state = strip.state();
    assert_eq!((&state["seg"][0]["col"][0], &state["seg"][1]["col"][0]), (&json!([255, 160, 0]), &json!([255, 0, 0])));
    let (missing, _folder) = light(&strip, ", target: Door").await;
    assert!(matches!(show(&missing, RED).await, Err(Trouble::Light { reason }) if reason.contains("\"Door\"")));
}

#[tokio::test]
async fn an_effect_is_in_its_own_colour_and_pace_whatever_was_left_of_others() {
    let strip = Wled::start().await.unwrap();
    let (hub, _folder) = light(&strip, "").await;
    let rainbow = |id: u64| json!({"id": id, "fx": 9, "pal": 11, "sx": 255, "ix": 0});
    strip.hand(&json!({"seg": [rainbow(0), rainbow(1)]}));
    let before = hub.lights[0].1.read().await.unwrap();
    for (motion, word) in [(Motion::Breathe, "breathing"), (Motion::Blink, "blinking")] {
        let effect = Some(Effect { motion, lasting: None });
        let look = Look::On { shade: Shade::Rgb([255, 0, 0]), brightness: 100, transition: Duration::ZERO, effect };
        show(&hub, look.clone()).await.unwrap();
        assert_eq!(strip.drawn(), vec![format!("#ff0000 {word}"); 2]);
        let state = strip.state();
        // A full speed is a strobe, and no intensity a flash between long darks.
        assert!(state["seg"][1]["sx"].as_u64() < Some(200) && state["seg"][1]["ix"] == 128, "{state}");
        let agrees = async || hub.lights[0].1.agrees(&look, &hub.lights[0].1.read().await.unwrap());
        assert!(agrees().await);
        strip.hand(&json!({"seg": [{"id": 0, "pal": 6}]}));
        assert!(!agrees().await, "a person chose a palette");
    }
    show(&hub, Look::Seen(before.clone().into())).await.unwrap();
    assert_eq!(hub.lights[0].1.read().await.unwrap(), before);
    let flash = async { hub.lights[0].1.flash().await.unwrap() };
    let flashes = until(&strip, "it flashes", |strip| strip.drawn() == ["#ffffff blinking", "#ffffff blinking"]);
    tokio::join!(flash, flashes);
    assert_eq!(hub.lights[0].1.read().await.unwrap(), before);
}

#[tokio::test]
async fn a_persons_hand_is_seen_and_an_echo_told_from_it() {
    let strip = Wled::start().await.unwrap();
    let (hub, _folder) = light(&strip, "").await;
    show(&hub, RED).await.unwrap();
    let (sender, mut events) = tokio::sync::mpsc::channel(8);
    let source = hub.source.clone();
    tokio::spawn(async move { source.watch(sender).await });
    let mut next = async || tokio::time::timeout(WAIT, events.recv()).await.unwrap().unwrap();
    assert_eq!(next().await, Event::Missed);
    assert!(hub.lights[0].1.agrees(&RED, &hub.lights[0].1.read().await.unwrap()));
    strip.hand(&json!({"seg": [{"id": 0, "col": [[0, 0, 255]]}]}));
    let Event::Changed { light: 0, seen } = next().await else { panic!("a change") };
    assert!(!hub.lights[0].1.agrees(&RED, &seen), "{seen:?}");
}

#[tokio::test]
async fn a_hand_on_any_segment_of_a_strip_is_seen() {
    let strip = Wled::start().await.unwrap();
    let (hub, _folder) = light(&strip, "").await;
    let hands = [json!({"col": [[0, 0, 255]]}), json!({"fx": 9}), json!({"on": false}), json!({"fx": 1, "pal": 0})];
    let breathing = Some(Effect { motion: Motion::Breathe, lasting: None });
    let plain =
        |effect| Look::On { shade: Shade::Rgb([255, 0, 0]), brightness: 100, transition: Duration::ZERO, effect };
    for (look, hand) in [None, breathing].map(plain).iter().flat_map(|look| hands.iter().map(move |hand| (look, hand)))
    {
        show(&hub, look.clone()).await.unwrap();
        let agrees = async || hub.lights[0].1.agrees(look, &hub.lights[0].1.read().await.unwrap());
        assert!(agrees().await, "{}", strip.state());
        let mut part = hand.clone();
        part["id"] = json!(1);
        strip.hand(&json!({"seg": [part]}));
        assert!(!agrees().await, "{look:?}, {hand}");
    }
}

#[tokio::test]
async fn what_a_process_that_was_stopped_reads_late_is_no_persons_hand() {
    let strip = Wled::start().await.unwrap();
    let (hub, _folder) = light(&strip, "").await;
    let (sender, mut events) = tokio::sync::mpsc::channel(8);
    let source = hub.source.clone();
    tokio::spawn(async move { source.watch(sender).await });
    let mut next = async || tokio::time::timeout(WAIT, events.recv()).await.unwrap().unwrap();
    assert_eq!(next().await, Event::Missed);
    // The one thread of this test: everything stands still.
    std::thread::sleep(Duration::from_secs(9));
    strip.hand(&json!({"seg": [{"id": 0, "col": [[0, 0, 255]]}]}));
    assert_eq!(next().await, Event::Missed);
}

#[tokio::test]
async fn lights_at_one_address_are_one_hub_with_one_reading() {
    let (strip, other) = (Wled::start().await.unwrap(), Wled::start().await.unwrap());
    let light = |name: &str, strip: &Wled, segment: u8| {
        format!("  {name}: {{ wled: \"{}\", target: {segment}, follow: alex }}\n", strip.address())
    };
    let lights = light("left", &strip, 0) + &light("other", &other, 0) + &light("right", &strip, 1);
    let (hubs, _folder) = hubs(&lights).await;
    let names: Vec<Vec<&str>> =
        hubs.iter().map(|hub| hub.lights.iter().map(|(name, _)| name.as_str()).collect()).collect();
    assert_eq!(names, [vec!["left", "right"], vec!["other"]]);
    let (sender, mut events) = tokio::sync::mpsc::channel(8);
    let source = hubs[0].source.clone();
    tokio::spawn(async move { source.watch(sender).await });
    let mut next = async || tokio::time::timeout(WAIT, events.recv()).await.unwrap().unwrap();
    assert_eq!(next().await, Event::Missed);
    strip.hand(&json!({"seg": [{"id": 1, "col": [[0, 0, 255]]}]}));
    assert!(matches!(next().await, Event::Changed { light: 1, .. }));
    assert_eq!(strip.readings(), 2);
    strip.down().await;
    assert!(matches!((next().await, next().await), (Event::Lost { light: 0, .. }, Event::Lost { light: 1, .. })));
    strip.up().await.unwrap();
    assert!(matches!((next().await, next().await), (Event::Back { light: 0, .. }, Event::Back { light: 1, .. })));
}

#[tokio::test]
async fn odd_answers_are_troubles() {
    let strip = Wled::start().await.unwrap();
    let (hub, _folder) = light(&strip, "").await;
    for what in [What::Html, What::Garbage, What::Cut, What::Endless, What::status(503, "{}")] {
        strip.fault(Fault::new("/json", what));
        let shown = show(&hub, RED).await;
        assert!(matches!(&shown, Err(Trouble::Hub { reason, .. }) if reason.contains("light sign")), "{shown:?}");
        strip.clear_faults();
    }
    strip.down().await;
    assert!(matches!(show(&hub, RED).await, Err(Trouble::Hub { .. })));
    strip.up().await.unwrap();
    show(&hub, RED).await.unwrap();
}
