//! What a Hue hub tells by itself, what is read of its lights, and effects: over its real sockets.
#![cfg(test)]
#![cfg(feature = "demo")]

mod changes;
mod scenes;
mod shared;

use std::sync::Arc;
use std::time::Duration;

use graph2mqtt::lights::{self, Event, Lamp, Look, Obeyed, Seen, Trouble};
use graph2mqtt::settings::{self, Effect, Motion, Settings, Shade};
use graph2mqtt::simulator::{Fault, Gamut, Hub, Kind, What};
use graph2mqtt::store::Store;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

const WAIT: Duration = Duration::from_secs(10);
const RED: Look = Look::plain(Shade::Rgb([255, 0, 0]));

struct World {
    hub: Hub,
    lights: lights::Hub,
    settings: Settings,
    store: Store,
    _folder: TempDir,
}

impl World {
    /// An office with a lamp of each kind, and one light with this target.
    async fn new(target: &str) -> Self {
        let lamps =
            [("Desk", Kind::Color(Gamut::C)), ("Shelf", Kind::Ambiance), ("Door", Kind::White), ("Fan", Kind::Plug)];
        let relax = [("Desk", json!({"on": {"on": true}, "color": {"xy": {"x": 0.5, "y": 0.4}}}))];
        let fire = json!({"effects": {"effect": "fire"}, "dimming": {"brightness": 80.0}, "color": {"xy": {"x": 0.5, "y": 0.4}}});
        let hub = Hub::plan()
            .room("Office", &lamps)
            .room("Hall", &[("Ceiling", Kind::White)])
            .scene("Office", "Relax", &relax)
            .scene("Office", "Fireplace", &[("Desk", fire)])
            .dynamic_scene("Office", "Party", &relax)
            .start()
            .await
            .unwrap();
        hub.adjust(|limits| limits.group_gap = Duration::ZERO);
        Self::around(hub, &format!("  one: {{ hub: office, target: \"{target}\", follow: alex }}\n")).await
    }

    /// These lights at a hub.
    async fn around(hub: Hub, lights: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let yaml = format!(
            "hubs:\n  office: {{ host: \"{}\", id: \"{}\", key: \"{}\" }}\nlights:\n{lights}",
            hub.address(),
            hub.bridge_id(),
            hub.key()
        );
        let settings = settings::from_yaml(&yaml, folder.path()).unwrap();
        let url = format!("sqlite://{}", folder.path().join("store.db").display());
        let store = Store::open(&url, &folder.path().join("store.key")).await.unwrap();
        let lights = lights::hubs(&settings, &store).remove(0);
        Self { hub, lights, settings, store, _folder: folder }
    }

    fn light(&self) -> &dyn lights::Light {
        &*self.lights.lights[0].1
    }

    /// Listens, and waits until it is listened.
    async fn watch(&self) -> mpsc::Receiver<Event> {
        let (sender, mut events) = mpsc::channel(16);
        let source = self.lights.source.clone();
        tokio::spawn(async move { source.watch(sender).await });
        // The first events of a stream may be old, and are passed over.
        assert_eq!(next(&mut events).await, Event::Missed, "at the first connection everything is to be read");
        events
    }

    /// The bodies that were sent, in their order.
    fn sent(&self) -> Vec<Value> {
        self.hub.commands().all().into_iter().map(|command| command.body).collect()
    }
}

async fn next(events: &mut mpsc::Receiver<Event>) -> Event {
    tokio::time::timeout(WAIT, events.recv()).await.expect("an event in time").expect("the source lives")
}

fn hand() -> Value {
    json!({"on": {"on": true}, "color": {"xy": {"x": 0.17, "y": 0.7}}})
}

#[tokio::test]
async fn an_echo_of_our_own_command_agrees_with_it_and_a_persons_hand_does_not() {
    let world = World::new("Office").await;
    world.light().prepare().await.unwrap();
    let mut events = world.watch().await;
    world.light().show(RED, false).await.unwrap();
    for _ in 0..5 {
        let Event::Changed { light: 0, seen } = next(&mut events).await else { panic!("a change") };
        assert!(world.light().agrees(&RED, &seen), "{seen:?}");
        assert!(seen.0[0].on.is_none() || !world.light().agrees(&Look::Off, &seen), "{seen:?}");
    }
    world.hub.hand("Ceiling", &json!({"on": {"on": true}}));
    world.hub.hand("Desk", &hand());
    let Event::Changed { light: 0, seen } = next(&mut events).await else { panic!("the hall concerns nobody") };
    assert!(!world.light().agrees(&RED, &seen), "{seen:?}");
}

#[tokio::test]
async fn a_lamp_out_of_reach_is_told_and_when_it_is_back() {
    let world = World::new("Office").await;
    world.light().prepare().await.unwrap();
    let mut events = world.watch().await;
    let lamps = |name| vec![world.hub.resource_id("light", name).unwrap().into_boxed_str()];
    world.hub.unreachable("Desk");
    world.hub.unreachable("Ceiling");
    world.hub.unreachable("Door");
    world.hub.reachable("Desk");
    for event in [
        Event::Lost { light: 0, lamps: lamps("Desk") },
        Event::Lost { light: 0, lamps: lamps("Door") },
        Event::LampsBack { light: 0, lamps: lamps("Desk") },
    ] {
        assert_eq!(next(&mut events).await, event);
    }
    let seen = world.light().read().await.unwrap();
    let lost: Vec<_> = seen.0.iter().filter(|lamp| lamp.is_lost()).collect();
    assert_eq!(lost.iter().map(|it| it.id.clone()).collect::<Vec<_>>(), lamps("Door"));
    let of_it = |lamps: &[&Lamp]| Seen(lamps.iter().map(|lamp| (*lamp).clone()).collect());
    assert!(world.light().agrees(&RED, &of_it(&lost)), "what it was is nothing against the look");
    assert!(!world.light().agrees(&RED, &seen), "the others are dark");
}

#[tokio::test]
async fn after_a_cut_of_the_stream_it_goes_on_behind_the_last_event() {
    let world = World::new("Desk").await;
    world.light().prepare().await.unwrap();
    let mut events = world.watch().await;
    world.hub.hand("Desk", &json!({"on": {"on": true}}));
    let Event::Changed { .. } = next(&mut events).await else { panic!("a change") };
    world.hub.down().await;
    world.hub.hand("Desk", &hand());
    world.hub.up().await.unwrap();
    let Event::ChangedBefore { seen, .. } = next(&mut events).await else { panic!("what was missed is caught up on") };
    assert_eq!(seen.0[0].xy, Some((1700, 7000)));
}

#[tokio::test]
async fn a_hub_that_tells_old_events_again_is_not_believed() {
    let world = World::new("Desk").await;
    world.light().prepare().await.unwrap();
    world.hub.adjust(|limits| limits.replay = true);
    world.hub.hand("Desk", &hand());
    let mut events = world.watch().await;
    world.hub.hand("Desk", &json!({"on": {"on": false}}));
    let Event::Changed { seen, .. } = next(&mut events).await else { panic!("a change") };
    assert_eq!(seen.0[0].on, Some(false), "the first that is told is new");
}

#[tokio::test]
async fn what_was_read_is_shown_again() {
    let world = World::new("Office").await;
    world.hub.hand("Desk", &hand());
    world.hub.hand(
        "Shelf",
        &json!({"on": {"on": true}, "dimming": {"brightness": 40}, "color_temperature": {"mirek": 250}}),
    );
    let before = world.light().read().await.unwrap();
    assert_eq!(before.0.len(), 4);
    world.light().show(RED, false).await.unwrap();
    assert!(!world.light().agrees(&RED, &before));
    world.light().show(Look::Seen(Arc::new(before.clone())), true).await.unwrap();
    let shelf = world.hub.lamp("Shelf");
    assert_eq!((shelf.on, shelf.brightness, shelf.mirek), (true, 40.0, Some(250)));
    assert_eq!(world.hub.lamp("Desk").xy, Some((0.17, 0.7)));
    assert!(!world.hub.lamp("Door").on && !world.hub.lamp("Fan").on);
    let after = world.light().read().await.unwrap();
    assert!(world.light().agrees(&Look::Seen(Arc::new(before)), &after));
}

#[tokio::test]
async fn effects_and_gradients_that_were_read_are_shown_again() {
    let world = World::new("Office").await;
    world.hub.add_lamp("Office", "Strip", Kind::Gradient(Gamut::C));
    let xy = |x: f64, y: f64| json!({"color": {"xy": {"x": x, "y": y}}});
    let rainbow = json!({"points": [xy(0.6, 0.35), xy(0.2, 0.6), xy(0.16, 0.1)]});
    world.hub.hand("Strip", &json!({"on": {"on": true}, "dimming": {"brightness": 60.0}, "gradient": rainbow}));
    world
        .hub
        .hand("Desk", &json!({"on": {"on": true}, "dimming": {"brightness": 30.0}, "effects": {"effect": "candle"}}));
    let before = world.light().read().await.unwrap();
    // As it is kept in the light's topic.
    let kept: lights::Seen = serde_json::from_value(serde_json::to_value(&before).unwrap()).unwrap();
    world.light().show(RED, false).await.unwrap();
    world.hub.hand("Desk", &json!({"effects": {"effect": "no_effect"}}));
    assert!(world.hub.lamp("Strip").gradient.is_empty(), "one colour ends the others");
    world.light().show(Look::Seen(Arc::new(kept.clone())), true).await.unwrap();
    let (desk, strip) = (world.hub.lamp("Desk"), world.hub.lamp("Strip"));
    assert_eq!((desk.effect.as_str(), desk.brightness, strip.brightness), ("candle", 30.0, 60.0));
    assert_eq!(strip.gradient, [(0.6, 0.35), (0.2, 0.6), (0.16, 0.1)]);
    assert!(!world.hub.lamp("Shelf").on);
    let flickers =
        serde_json::from_value(json!([{"id": kept.0[0].id, "on": true, "brightness": 900, "xy": [5000, 4000]}]));
    assert!(world.light().agrees(&Look::Seen(Arc::new(kept)), &flickers.unwrap()), "a candle's flame is nobody's hand");
}

#[tokio::test]
async fn what_was_kept_before_effects_were_known_is_shown_again() {
    let world = World::new("Desk").await;
    let id = world.hub.resource_id("light", "Desk").unwrap();
    let old: lights::Seen =
        serde_json::from_value(json!([{"id": id, "on": true, "brightness": 4200, "mirek": 300}])).unwrap();
    world.light().show(Look::Seen(Arc::new(old)), false).await.unwrap();
    let desk = world.hub.lamp("Desk");
    assert_eq!((desk.on, desk.brightness, desk.mirek, world.sent().len()), (true, 42.0, Some(300), 1));
}

#[tokio::test]
async fn a_mixed_room_shows_each_lamps_best() {
    let world = World::new("Office").await;
    assert_eq!(world.light().show(RED, false).await, Ok(Obeyed::default()));
    assert_eq!(world.hub.lamp("Desk").xy, Some((0.6915, 0.3083)));
    assert_eq!(world.hub.lamp("Shelf").mirek, Some(500), "as warm as it can");
    assert!(world.hub.lamp("Door").on && world.hub.lamp("Fan").on);
    let warm = Look::plain(Shade::Kelvin(2700));
    world.light().show(warm, true).await.unwrap();
    assert_eq!((world.hub.lamp("Desk").mirek, world.hub.lamp("Shelf").mirek), (Some(370), Some(370)));
}

#[tokio::test]
async fn one_lamp_that_refuses_is_told_by_name_and_costs_its_room_nothing() {
    let world = World::new("Office").await;
    world.hub.add_lamp("Office", "Stairs", Kind::Ambiance);
    let shelf = format!("PUT /clip/v2/resource/light/{}", world.hub.resource_id("light", "Shelf").unwrap());
    let refusal =
        r#"{"data": [], "errors": [{"description": "attribute (.color_temperature.mirek) is out of range"}]}"#;
    world.hub.fault(Fault::new(&shelf, What::status(400, refusal)));
    let obeyed = world.light().show(RED, false).await.unwrap();
    let advice = obeyed.advice.unwrap();
    for word in ["400", "out of range", "Shelf"] {
        assert!(advice.contains(word), "{word}: {advice}");
    }
    assert_eq!((world.hub.lamp("Desk").xy, world.hub.lamp("Stairs").mirek), (Some((0.6915, 0.3083)), Some(500)));
    world.hub.clear_faults();
    assert_eq!(world.light().show(RED, true).await, Ok(Obeyed::default()), "it is tried again");
    assert_eq!(world.hub.lamp("Shelf").mirek, Some(500));
    let reads = world.hub.requests().count(|it| it.route == "GET /clip/v2/resource");
    assert_eq!(reads, 1, "for one lamp, not all that the hub holds is asked for again");
    world.hub.fault(Fault::new("PUT /clip/v2/resource/grouped_light", What::status(400, refusal)));
    assert!(matches!(world.light().show(Look::Off, true).await, Err(Trouble::Light { .. })), "the room itself refuses");
    world.hub.clear_faults();
    let before = Look::Seen(world.light().read().await.unwrap().into());
    world.hub.fault(Fault::new("PUT /clip/v2/resource/light/", What::status(400, refusal)));
    assert!(matches!(world.light().show(before, true).await, Err(Trouble::Light { .. })), "no lamp of it obeys");
}

fn blinking(motion: Motion, lasting: Option<Duration>) -> Look {
    let effect = Some(Effect { motion, lasting });
    Look::On { shade: Shade::Rgb([255, 0, 0]), brightness: 100, transition: Duration::ZERO, effect }
}

#[tokio::test]
async fn an_effect_follows_its_colour_and_ends_with_the_next_one() {
    let world = World::new("Desk").await;
    let look = blinking(Motion::Blink, None);
    let again = world.light().show(look.clone(), false).await.unwrap().again.unwrap();
    assert!(again >= Duration::from_secs(1), "a group takes one command a second");
    for _ in 0..2 {
        let renewed = world.light().show(look.clone(), true).await.unwrap().again.unwrap();
        let shortly_before = Duration::from_secs(50)..Duration::from_secs(60);
        assert!(shortly_before.contains(&renewed), "{renewed:?}");
    }
    world.light().show(RED, true).await.unwrap();
    let sent = world.sent();
    let signal = json!({"signaling": {"signal": "on_off", "duration": 60_000}});
    assert_eq!((&sent[1], &sent[2]), (&signal, &signal), "it would outlive us");
    assert_eq!(sent[3]["signaling"], json!({"signal": "no_signal"}));
    assert_eq!(sent.len(), 4);
}

#[tokio::test]
async fn an_effect_for_a_while_is_not_renewed() {
    let world = World::new("Desk").await;
    let look = blinking(Motion::Blink, Some(Duration::from_secs(20)));
    assert!(world.light().show(look.clone(), false).await.unwrap().again.is_some());
    assert_eq!(world.light().show(look, true).await.unwrap().again, None);
    assert!(world.sent()[1]["signaling"]["duration"].as_u64().unwrap() <= 20_000);
}

#[tokio::test]
async fn a_long_effect_is_asked_for_minute_by_minute_and_a_scene_ends_it() {
    let world = World::new("Office").await;
    let look = blinking(Motion::Blink, Some(Duration::from_secs(30 * 60)));
    world.light().show(look.clone(), false).await.unwrap();
    world.hub.commands().clear();
    let renewed = world.light().show(look.clone(), true).await.unwrap().again;
    assert_eq!(renewed, Some(Duration::from_secs(55)), "it would outlive us");
    let scene = Look::Scene { name: "relax".into(), brightness: None, transition: Duration::ZERO };
    world.light().show(scene, true).await.unwrap();
    let sent = world.sent();
    assert_eq!(sent[0], json!({"signaling": {"signal": "on_off", "duration": 60_000}}));
    assert_eq!(sent[1], json!({"signaling": {"signal": "no_signal"}}));
    assert!(sent[2]["recall"].is_object() && sent.len() == 3, "{sent:?}");
}

#[tokio::test]
async fn breathing_is_renewed_breath_by_breath() {
    let world = World::new("Office").await;
    let look = blinking(Motion::Breathe, None);
    world.light().show(look.clone(), false).await.unwrap();
    world.hub.commands().clear();
    for _ in 0..2 {
        assert_eq!(world.light().show(look.clone(), true).await.unwrap().again, Some(Duration::from_secs(15)));
    }
    assert_eq!(world.sent(), [json!({"alert": {"action": "breathe"}}), json!({"alert": {"action": "breathe"}})]);
}

#[tokio::test]
async fn a_test_flash_changes_nothing_that_is_shown() {
    let world = World::new("Desk").await;
    let before = world.hub.lamp("Desk");
    world.light().flash().await.unwrap();
    let after = world.hub.lamp("Desk");
    assert!(after.signal.is_some() && (before.on, before.xy) == (after.on, after.xy));
}

#[tokio::test]
async fn the_whole_home_is_a_target() {
    let world = World::new("home").await;
    world.light().show(RED, false).await.unwrap();
    assert!(world.hub.lamp("Desk").on && world.hub.lamp("Ceiling").on);
}
