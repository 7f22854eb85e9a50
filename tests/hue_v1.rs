//! A hub that speaks CLIP v1 alone: lights, rooms, scenes, errors, events; by http and by https.
#![cfg(test)]
#![cfg(feature = "demo")]

mod support;

use std::time::Duration;

use graph2mqtt::lights::{Event, Look, Obeyed, Trouble};
use graph2mqtt::settings::Shade;
use graph2mqtt::simulator::{Fault, Gamut, Hub, Kind, Plan, What};
use serde_json::json;
use support::one_light::OneLight;

const RED: Look = Look::plain(Shade::Rgb([255, 0, 0]));
const WAIT: Duration = Duration::from_secs(20);

fn plan() -> Plan {
    let lamps = [("Desk", Kind::Color(Gamut::C)), ("Shelf", Kind::Ambiance), ("Fan", Kind::Plug)];
    let relax = [("Desk", json!({"on": {"on": true}, "color": {"xy": {"x": 0.5, "y": 0.4}}}))];
    Hub::plan().room("Office", &lamps).room("Hall", &[("Ceiling", Kind::White)]).scene("Office", "Relax", &relax)
}

struct World(OneLight);

impl std::ops::Deref for World {
    type Target = OneLight;

    fn deref(&self) -> &OneLight {
        &self.0
    }
}

impl World {
    async fn new(plan: Plan, keys: &str, target: &str) -> Self {
        let world = OneLight::on(plan, keys, &format!("target: \"{target}\"")).await;
        world.hub.adjust(|limits| limits.group_gap = Duration::ZERO);
        Self(world)
    }

    async fn plain(target: &str) -> Self {
        Self::new(plan().plain_v1(), ", api: v1", target).await
    }

    async fn show(&self, look: Look) -> Result<Obeyed, Trouble> {
        self.lights.lights[0].1.show(look, false).await
    }
}

#[tokio::test]
async fn rooms_lights_and_the_home_obey_by_plain_http() {
    let room = World::plain("Office").await;
    room.show(RED).await.unwrap();
    assert!(room.hub.lamp("Desk").on && room.hub.lamp("Fan").on && !room.hub.lamp("Ceiling").on);
    assert_eq!(room.hub.lamp("Desk").xy, Some((0.6915, 0.3083)));
    assert_eq!(room.hub.lamp("Shelf").mirek, Some(500), "each lamp's best");
    let light = World::plain("light/Fan").await;
    assert_eq!(light.show(RED).await, Ok(Obeyed::default()));
    let home = World::plain("home").await;
    home.show(RED).await.unwrap();
    assert!(home.hub.lamp("Ceiling").on);
}

#[tokio::test]
async fn a_hub_without_v2_is_found_out_by_https_and_held_to_its_certificate() {
    let world = World::new(plan().v1(), "", "Desk").await;
    world.show(RED).await.unwrap();
    assert!(world.hub.lamp("Desk").on);
    let wrong = World::new(plan().v1(), &format!(", certificate_sha256: \"{}\"", "ab".repeat(32)), "Desk").await;
    assert!(matches!(wrong.show(RED).await, Err(Trouble::Hub { .. })));
    let plain = World::new(plan().plain_v1(), "", "Desk").await;
    assert!(matches!(plain.show(RED).await, Err(Trouble::Hub { .. })), "without a word for it, http is not spoken");
    assert_eq!(plain.hub.requests().count(|it| it.route.contains("lights")), 0, "and the key is not said");
}

#[tokio::test]
async fn scenes_and_what_was_read_are_shown() {
    let world = World::plain("Office").await;
    let before = world.lights.lights[0].1.read().await.unwrap();
    let scene = |name: &str| Look::Scene { name: name.into(), brightness: None, transition: Duration::from_secs(1) };
    world.show(scene("relax")).await.unwrap();
    assert_eq!(world.hub.lamp("Desk").xy, Some((0.5, 0.4)));
    assert!(matches!(world.show(scene("Nothing")).await, Err(Trouble::Light { reason }) if reason.contains("Relax")));
    world.show(Look::Seen(before.into())).await.unwrap();
    assert!(!world.hub.lamp("Desk").on);
}

#[tokio::test]
async fn errors_are_told_apart() {
    let world = World::plain("Desk").await;
    world.show(RED).await.unwrap();
    world.hub.fault(
        Fault::new(
            "PUT",
            What::status(200, r#"[{"error":{"type":901,"address":"/","description":"Internal error"}}]"#),
        )
        .times(1),
    );
    assert!(matches!(world.show(RED).await, Err(Trouble::Hub { .. })));
    for what in [What::Html, What::Garbage, What::Cut, What::status(500, "{}")] {
        world.hub.fault(Fault::new("PUT", what).times(1));
        let shown = world.show(RED).await;
        let Err(Trouble::Hub { reason, .. }) = shown else { panic!("{shown:?}") };
        assert!(!reason.contains(&world.hub.key()), "the key stands in the path: {reason}");
    }
    world.show(RED).await.unwrap();
    world.hub.revoke_key();
    assert!(matches!(world.show(RED).await, Err(Trouble::Stop { .. })));
}

#[tokio::test]
async fn an_error_of_the_hubs_is_told_by_what_it_means_and_what_to_do() {
    let world = World::plain("Desk").await;
    world.show(RED).await.unwrap();
    let table = [
        (3, "resource, /lights/1/state, not available", "light", "removed in the Hue app"),
        (6, "parameter, xy, not available", "light", "cannot do what is asked"),
        (7, "invalid value, 300, for parameter, bri", "light", "takes no such value"),
        (8, "parameter, bri, is not modifiable", "light", "refuses the command"),
        (901, "Internal error, 503", "hub", "restart the hub"),
        (1, "unauthorized user", "stop", "graph2mqtt pair office"),
    ];
    for (number, text, whose, remedy) in table {
        let body = json!([{"error": {"type": number, "address": "/lights/1/state", "description": text}}]);
        world.hub.fault(Fault::new("PUT", What::status(200, body.to_string())).times(1));
        let (is, reason) = match world.show(RED).await {
            Err(Trouble::Light { reason }) => ("light", reason),
            Err(Trouble::Hub { reason, .. }) => ("hub", reason),
            Err(Trouble::Stop { reason }) => ("stop", reason),
            Ok(obeyed) => panic!("{number}: {obeyed:?}"),
        };
        assert!(is == whose && reason.contains(remedy), "{number}: {is}: {reason}");
        assert!(number == 1 || (reason.contains(&number.to_string()) && reason.contains(text)), "{number}: {reason}");
    }
}

#[tokio::test]
async fn that_a_lamp_is_off_is_no_refusal() {
    let world = World::plain("Desk").await;
    world.show(RED).await.unwrap();
    world.lights.lights[0].1.show(Look::Off, false).await.unwrap();
    let obeyed = world.lights.lights[0].1.show(RED, true).await.unwrap();
    assert!(obeyed.was_off && obeyed.advice.is_some_and(|advice| advice.contains("error 201")));
}

#[tokio::test]
async fn a_hub_that_says_an_error_where_its_lights_should_be_is_told_with_it() {
    let world = World::plain("Desk").await;
    let error = r#"[{"error":{"type":4,"address":"/groups","description":"method, GET, not available"}}]"#;
    world.hub.fault(Fault::new("/groups", What::status(200, error)).times(1));
    let Err(Trouble::Hub { reason, .. }) = world.show(RED).await else { panic!("no hub answers so") };
    assert!(reason.contains("error 4, method, GET, not available") && reason.contains("hubs.office.host"), "{reason}");
    world.show(RED).await.unwrap();
}

#[tokio::test]
async fn a_bridge_pro_that_sends_plain_http_on_is_told_and_gets_no_key() {
    let world = World::plain("Desk").await;
    let headers = vec![("location".to_owned(), format!("https://{}/", world.hub.address()))];
    world.hub.fault(Fault::new("", What::Answer { status: 301, headers, body: String::new() }));
    let Err(Trouble::Hub { reason, .. }) = world.show(RED).await else { panic!("it went on") };
    for word in ["301", "Bridge Pro", "remove hubs.office.api"] {
        assert!(reason.contains(word), "{word}: {reason}");
    }
    assert_eq!(world.hub.requests().count(|it| it.route.contains(&world.hub.key())), 0, "the key was said in the open");
    world.hub.clear_faults();
    world.show(RED).await.unwrap();
}

#[tokio::test]
async fn who_says_that_it_is_another_hub_is_not_told_the_key() {
    let world = World::plain("Desk").await;
    let keyed = || world.hub.requests().count(|it| it.route.contains(&world.hub.key()));
    for config in ["/api/config", "/api/0/config"] {
        let another = json!({"name": "Attic", "bridgeid": "001788FFFE999999"}).to_string();
        if config != "/api/config" {
            world.hub.fault(Fault::new("GET /api/config", What::status(404, "{}")));
        }
        world.hub.fault(Fault::new(format!("GET {config}"), What::status(200, another)));
        let Err(Trouble::Hub { reason, .. }) = world.show(RED).await else { panic!("it was taken for the hub") };
        assert!(reason.contains("001788fffe999999") && reason.contains("hubs.office.host"), "{reason}");
        assert_eq!(keyed(), 0);
        world.hub.clear_faults();
    }
    world.hub.fault(Fault::new("/config", What::status(404, "{}")).times(2));
    world.show(RED).await.expect("some look-alikes tell no id");
    assert!(keyed() > 0);
}

#[tokio::test]
async fn a_persons_hand_is_seen_by_asking() {
    let world = World::plain("Desk").await;
    world.show(RED).await.unwrap();
    let (sender, mut events) = tokio::sync::mpsc::channel(8);
    let source = world.lights.source.clone();
    tokio::spawn(async move { source.watch(sender).await });
    let mut next = async || tokio::time::timeout(WAIT, events.recv()).await.unwrap().unwrap();
    assert_eq!(next().await, Event::Missed);
    world.hub.hand("Desk", &json!({"color": {"xy": {"x": 0.17, "y": 0.7}}}));
    let Event::Changed { light: 0, seen } = next().await else { panic!("a change") };
    assert!(!world.lights.lights[0].1.agrees(&RED, &seen), "{seen:?}");
    world.hub.unreachable("Desk");
    assert_eq!(next().await, Event::Lost { light: 0, lamps: vec!["1".into()] });
    world.hub.reachable("Desk");
    assert_eq!(next().await, Event::LampsBack { light: 0, lamps: vec!["1".into()] });
}

#[tokio::test]
async fn what_a_process_that_was_stopped_reads_late_is_no_persons_hand() {
    let world = World::plain("Desk").await;
    let (sender, mut events) = tokio::sync::mpsc::channel(8);
    let source = world.lights.source.clone();
    tokio::spawn(async move { source.watch(sender).await });
    let mut next = async || tokio::time::timeout(WAIT, events.recv()).await.unwrap().unwrap();
    assert_eq!(next().await, Event::Missed);
    // The one thread of this test: everything stands still.
    std::thread::sleep(Duration::from_secs(7));
    world.hub.hand("Desk", &json!({"color": {"xy": {"x": 0.17, "y": 0.7}}}));
    assert_eq!(next().await, Event::Missed);
}

/// What an app sends.
async fn app(world: &World, path: &str, body: &serde_json::Value) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
    let url = format!("http://{}/api/{}/{path}", world.hub.address(), world.hub.key());
    let answer = http.put(url).json(body).send().await.unwrap().text().await.unwrap();
    assert!(!answer.contains("error") && !answer.is_empty(), "{answer}");
}

#[tokio::test]
async fn a_lamp_that_went_through_all_colours_does_so_again() {
    let world = World::plain("Desk").await;
    app(&world, "lights/1/state", &json!({"on": true, "effect": "colorloop"})).await;
    let before = world.lights.lights[0].1.read().await.unwrap();
    world.show(RED).await.unwrap();
    app(&world, "lights/1/state", &json!({"effect": "none"})).await;
    world.show(Look::Seen(before.clone().into())).await.unwrap();
    assert_eq!(world.hub.lamp("Desk").effect, "colorloop");
    world.hub.hand("Desk", &json!({"color": {"xy": {"x": 0.17, "y": 0.7}}}));
    let on_its_way = world.lights.lights[0].1.read().await.unwrap();
    assert!(world.lights.lights[0].1.agrees(&Look::Seen(before.into()), &on_its_way), "it moves by itself");
}

/// The office, whose light may show the scene Relax, with what the hub tells. What goes wrong where it is asked for one.
async fn with_scene(fault: Option<What>) -> (World, tokio::sync::mpsc::Receiver<Event>) {
    let relax = [
        ("Desk", json!({"dimming": {"brightness": 60.0}, "color": {"xy": {"x": 0.5, "y": 0.4}}})),
        ("Shelf", json!({"dimming": {"brightness": 60.0}, "color_temperature": {"mirek": 400}})),
    ];
    let lamps = [("Desk", Kind::Color(Gamut::C)), ("Shelf", Kind::Ambiance), ("Fan", Kind::Plug)];
    let plan = Hub::plan().room("Office", &lamps).scene("Office", "Relax", &relax).plain_v1();
    let world = OneLight::on(plan, ", api: v1", "target: Office, colors: { Busy: scene:relax }").await;
    world.hub.adjust(|limits| limits.group_gap = Duration::ZERO);
    fault.into_iter().for_each(|fault| world.hub.fault(Fault::new("/scenes/", fault)));
    let (sender, mut events) = tokio::sync::mpsc::channel(8);
    let source = world.lights.source.clone();
    tokio::spawn(async move { source.watch(sender).await });
    assert_eq!(next(&mut events).await, Event::Missed);
    (World(world), events)
}

async fn next(events: &mut tokio::sync::mpsc::Receiver<Event>) -> Event {
    tokio::time::timeout(WAIT, events.recv()).await.unwrap().unwrap()
}

fn relax() -> Look {
    Look::Scene { name: "Relax".into(), brightness: None, transition: Duration::ZERO }
}

/// Whether what is told of a lamp until it shows this brightness speaks for the scene.
async fn agree_until(world: &World, events: &mut tokio::sync::mpsc::Receiver<Event>, brightness: u16) -> bool {
    let mut agree = true;
    loop {
        let Event::Changed { seen, .. } = next(events).await else { panic!("a change") };
        agree &= world.lights.lights[0].1.agrees(&relax(), &seen);
        if seen.0[0].brightness == Some(brightness) {
            return agree;
        }
    }
}

#[tokio::test]
async fn a_hand_under_a_scene_is_seen_and_its_echo_told_from_it() {
    let (world, mut events) = with_scene(None).await;
    world.show(relax()).await.unwrap();
    assert!(agree_until(&world, &mut events, 5984).await && agree_until(&world, &mut events, 5984).await);
    let light = &world.lights.lights[0].1;
    assert!(light.agrees(&relax(), &light.read().await.unwrap()));
    let hands = [
        ("Desk", json!({"color": {"xy": {"x": 0.17, "y": 0.7}}}), false),
        ("Desk", json!({"color": {"xy": {"x": 0.505, "y": 0.395}}}), true),
        ("Shelf", json!({"color_temperature": {"mirek": 250}}), false),
        ("Shelf", json!({"dimming": {"brightness": 20.0}}), false),
        ("Fan", json!({"on": {"on": true}}), false),
        ("Desk", json!({"on": {"on": false}}), false),
    ];
    for (lamp, hand, agrees) in hands {
        world.hub.hand(lamp, &hand);
        let Event::Changed { light: 0, seen } = next(&mut events).await else { panic!("a change") };
        assert_eq!(light.agrees(&relax(), &seen), agrees, "{lamp} {hand}: {seen:?}");
    }
}

#[tokio::test]
async fn a_scene_that_was_changed_in_an_app_is_known_as_it_is_now() {
    let (world, mut events) = with_scene(None).await;
    app(&world, "scenes/scene0000000000/lightstates/1", &json!({"on": true, "bri": 25, "xy": [0.2, 0.6]})).await;
    world.show(relax()).await.unwrap();
    assert!(agree_until(&world, &mut events, 984).await);
    world.hub.hand("Desk", &json!({"color": {"xy": {"x": 0.5, "y": 0.4}}}));
    let seen = loop {
        let Event::Changed { seen, .. } = next(&mut events).await else { panic!("a change") };
        if &*seen.0[0].id == "1" {
            break seen;
        }
    };
    assert!(!world.lights.lights[0].1.agrees(&relax(), &seen), "as it was before: {seen:?}");
}

#[tokio::test]
async fn a_scene_is_known_on_when_what_the_hub_holds_is_read_anew() {
    let (world, _events) = with_scene(None).await;
    let unknown = r#"[{"error":{"type":3,"address":"/groups/1/action","description":"not available"}}]"#;
    world.hub.fault(Fault::new("PUT", What::status(200, unknown)).times(1));
    let all = || world.hub.requests().count(|it| it.route.ends_with("/groups"));
    let before = all();
    world.show(RED).await.unwrap_err();
    world.show(RED).await.unwrap();
    assert_eq!(all(), before + 1);
    let light = &world.lights.lights[0].1;
    assert!(!light.agrees(&relax(), &light.read().await.unwrap()), "it shows red");
}

#[tokio::test]
async fn of_a_hub_that_tells_nothing_of_its_scenes_no_hand_is_made_up() {
    for body in
        [r#"{"name":"Relax","group":"1","version":1}"#, r#"[{"error":{"type":3,"description":"no"}}]"#, "<html>"]
    {
        let (world, mut events) = with_scene(Some(What::status(200, body))).await;
        world.show(relax()).await.unwrap();
        world.hub.hand("Fan", &json!({"on": {"on": true}}));
        for _ in 0..2 {
            let Event::Changed { seen, .. } = next(&mut events).await else { panic!("a change") };
            assert!(world.lights.lights[0].1.agrees(&relax(), &seen), "{body}: {seen:?}");
        }
    }
}

#[tokio::test]
async fn what_a_lamp_shows_on_its_way_is_no_hand() {
    let (world, mut events) = with_scene(None).await;
    world.show(relax()).await.unwrap();
    assert!(agree_until(&world, &mut events, 5984).await && agree_until(&world, &mut events, 5984).await);
    // Longer than from one reading to the next.
    for step in 0..45 {
        world.hub.hand("Shelf", &json!({"dimming": {"brightness": 10.0 + f64::from(step)}}));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.hub.hand("Shelf", &json!({"dimming": {"brightness": 59.0}}));
    let Event::Changed { seen, .. } = next(&mut events).await else { panic!("a change") };
    assert!(world.lights.lights[0].1.agrees(&relax(), &seen), "{seen:?}");
}
