//! The location's device in Home Assistant, and `discovery clear`: the program as a child process, a real broker.

#![cfg(test)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use support::observer::Seen;
use support::{Broker, Home, Observer};

const DEVICE: &str = "homeassistant/device/g_home/config";

fn yaml(broker: &Broker, lights: &[&str], more: &str) -> String {
    let lights: String =
        lights.iter().map(|light| format!("  {light}: {{ hub: office, target: Office, follow: alex }}\n")).collect();
    format!(
        "mqtt: {{ url: \"{}\", base_topic: g }}\nweb: {{ listen: \"127.0.0.1:0\" }}\n\
         hubs: {{ office: {{ host: \"127.0.0.1:9\", key: x, id: 001788fffe102030 }} }}\nlights:\n{lights}{more}",
        broker.url()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_location_has_its_device_and_a_light_that_is_gone_leaves_no_ghost() {
    let broker = Broker::start();
    let observer = Observer::connect(broker.address(), "#").await;
    let home = Home::new(&yaml(&broker, &["desk", "hall"], ""));
    let mut actuator = home.start(&["actuator"]);
    let device: Value =
        serde_json::from_str(&observer.until("the device", |seen| seen.topic == DEVICE).await.payload).unwrap();
    assert_eq!(device["device"]["via_device"], "g-bridge");
    let components = device["components"].as_object().unwrap();
    for key in ["connection", "desk_status", "desk_reachable", "hall_status", "hall_reachable"] {
        assert!(components.contains_key(key), "{key}");
    }
    assert_eq!(components["desk_status"]["state_topic"], "g/actuator/home/light/desk");
    observer.publish("g/actuator/home/light/hall", "{\"light\":\"hall\"}", true).await;
    observer.forget();
    for _ in 0..5 {
        observer.publish("homeassistant/status", "online", false).await;
    }
    observer.until("the device again", |seen| seen.topic == DEVICE).await;
    assert!(actuator.stop().success());
    observer.until_is("g/actuator/home/state", "offline").await;
    assert_eq!(observer.seen().iter().filter(|seen| seen.topic == DEVICE).count(), 1, "once, however often it comes");

    home.configure(&yaml(&broker, &["desk"], "home_assistant: { on_stop: clear }\n"));
    observer.forget();
    let mut actuator = home.start(&["actuator"]);
    observer
        .until("what is gone is told", |seen| seen.payload.contains(r#""hall_status":{"platform":"sensor"}"#))
        .await;
    observer.until_is("g/actuator/home/light/hall", "").await;
    observer
        .wait("and then no word of it", |seen| {
            let last = seen.iter().rev().find(|seen| seen.topic == DEVICE)?;
            (!last.payload.contains("hall")).then_some(())
        })
        .await;
    assert!(actuator.stop().success());
    observer.until_is(DEVICE, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_device_leaves_with_the_last_actuator_and_not_with_the_first() {
    let broker = Broker::start();
    let observer = Observer::connect(broker.address(), "#").await;
    let yaml = yaml(&broker, &["desk"], "home_assistant: { on_stop: clear }\n");
    let homes = [Home::new(&yaml), Home::new(&yaml)];
    let [mut first, mut last] = homes.each_ref().map(|home| home.start(&["actuator"]));
    for member in [&first, &last] {
        member.hears("connected");
    }
    observer.until("the device", |seen| seen.topic == DEVICE).await;
    assert!(first.stop().success());
    observer.until_is("g/actuator/home/state", "online").await;
    assert!(observer.seen().iter().all(|seen| seen.topic != DEVICE || !seen.payload.is_empty()));
    assert!(last.stop().success());
    observer.until_is(DEVICE, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_bridge_is_asked_to_clear_or_publish_the_location_does_too() {
    let broker = Broker::start();
    let observer = Observer::connect(broker.address(), "#").await;
    let home = Home::new(&yaml(&broker, &["desk"], ""));
    let mut actuator = home.start(&["actuator"]);
    let device = observer.until("the device", |seen| seen.topic == DEVICE).await.payload;
    for odd in ["[", r#"{"location":"home"}"#] {
        observer.publish("g/bridge/request/discovery/clear", odd, false).await;
    }
    observer.publish("g/bridge/request/discovery/publish", "{}", false).await;
    observer.wait("it is still there", |seen| times(seen, &device, 2)).await;
    assert!(observer.seen().iter().all(|seen| seen.topic != DEVICE || !seen.payload.is_empty()));

    observer.publish("g/bridge/request/discovery/clear", r#"{"transaction":7}"#, false).await;
    observer.until_is(DEVICE, "").await;
    // Home Assistant's birth does not bring back what was sent away.
    observer.forget();
    observer.publish("homeassistant/status", "online", false).await;
    observer.until("all else again", |seen| seen.topic == "g/actuator/home/state").await;
    observer.until_is(DEVICE, "").await;
    observer.publish("g/bridge/request/discovery/publish", "", false).await;
    observer.until_is(DEVICE, &device).await;
    assert!(observer.newest().keys().all(|topic| !topic.contains("response")), "the bridge answers, and nobody else");
    assert!(actuator.stop().success());
}

fn times(seen: &[Seen], payload: &str, times: usize) -> Option<()> {
    (seen.iter().filter(|seen| seen.topic == DEVICE && seen.payload == payload).count() >= times).then_some(())
}

/// What a bridge tells of an account that is called as the location is.
const NAMESAKE: &str =
    r#"{"origin":{"name":"graph2mqtt"},"components":{"a":{"state_topic":"g/account/home/presence"}}}"#;
const BESIDE: &str = "homeassistant/device/g_home-actuator/config";

#[tokio::test(flavor = "multi_thread")]
async fn a_location_gives_way_to_an_account_of_its_name_that_it_did_not_know_of_and_stays_there() {
    let broker = Broker::start();
    let observer = Observer::connect(broker.address(), "#").await;
    observer.publish(DEVICE, NAMESAKE, true).await;
    observer.until_is(DEVICE, NAMESAKE).await;
    let home = Home::new(&yaml(&broker, &["desk"], ""));
    let mut actuator = home.start(&["actuator"]);
    let device = observer.until("beside it", |seen| seen.topic == BESIDE).await.payload;
    let device: Value = serde_json::from_str(&device).unwrap();
    assert_eq!(device["device"]["identifiers"][0], "g_home-actuator");
    assert_eq!(device["components"]["desk_status"]["unique_id"], "g_home-actuator_desk_status");
    assert!(actuator.stop().success());
    // The account goes: the location's entities stay what they are.
    observer.publish(DEVICE, "", true).await;
    observer.forget();
    let mut actuator = home.start(&["actuator"]);
    observer.until("where it was", |seen| seen.topic == BESIDE && !seen.retained).await;
    assert!(actuator.stop().success());
    assert!(observer.newest().get(DEVICE).is_none_or(String::is_empty));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_comes_later_gets_the_place_too() {
    let broker = Broker::start();
    let observer = Observer::connect(broker.address(), "#").await;
    let home = Home::new(&yaml(&broker, &["desk"], ""));
    let mut actuator = home.start(&["actuator"]);
    observer.until("the device", |seen| seen.topic == DEVICE).await;
    observer.publish(DEVICE, NAMESAKE, true).await;
    observer.until("beside it", |seen| seen.topic == BESIDE).await;
    observer.until_is(DEVICE, NAMESAKE).await;
    assert!(actuator.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_prints_what_the_configuration_has_published() {
    let yaml = |more: &str| {
        format!(
            "mqtt: {{ url: \"mqtt://127.0.0.1:9\", base_topic: g, requests: all }}\n\
             entra: {{ tenant: contoso.com, client_id: 00000000-0000-0000-0000-000000000000 }}\n\
             accounts: {{ alex: {{ user: alex@contoso.com }}, sam: {{ user: sam@contoso.com, via: alex }} }}\n{more}"
        )
    };
    let printed = |yaml: &str| {
        let output = Home::new(yaml).output(&["discovery"]);
        assert!(output.status.success(), "{output:?}");
        let read = |line: &str| {
            let (topic, payload) = line.split_once(' ').unwrap();
            let payload: Value = serde_json::from_str(payload).unwrap();
            let topic = topic.strip_prefix("homeassistant/device/").unwrap().strip_suffix("/config").unwrap();
            (topic.to_owned(), payload["components"].as_object().unwrap().keys().cloned().collect())
        };
        String::from_utf8(output.stdout).unwrap().lines().map(read).collect::<BTreeMap<String, BTreeSet<String>>>()
    };
    let reads = printed(&yaml(""));
    assert_eq!(reads.keys().collect::<Vec<_>>(), ["g-bridge", "g_alex", "g_sam"]);
    assert!(!reads["g_alex"].contains("set_presence"));
    let writes = printed(&yaml("graph: { write: true }\n"));
    for entity in ["set_presence", "set_status_message"] {
        assert!(writes["g_alex"].contains(entity) && !writes["g_sam"].contains(entity), "{entity}");
    }
    let lights = "mqtt: { url: \"mqtt://127.0.0.1:9\", base_topic: g }\n\
                  hubs: { office: { host: 127.0.0.1, key: x, id: 001788fffe102030 } }\n\
                  lights: { desk: { hub: office, target: Office, follow: alex } }\n";
    assert_eq!(printed(lights).keys().collect::<Vec<_>>(), ["g_home"], "no bridge runs there");
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_clear_takes_all_of_ours_and_nothing_else() {
    let broker = Broker::start();
    let observer = Observer::connect(broker.address(), "#").await;
    let enrolled = "00000000-0000-4000-8000-000000000001";
    let device = |base: &str| format!(r#"{{"origin":{{"name":"graph2mqtt"}},"x":"{base}/bridge/state"}}"#);
    let ours = [
        ("homeassistant/device/g-bridge/config", device("g")),
        ("homeassistant/device/g_alex/config", device("g")),
        (DEVICE, r#"{"origin":{"name":"graph2mqtt"},"x":"g/actuator/home/state"}"#.to_owned()),
        (&format!("g/account/{enrolled}/presence"), "{}".to_owned()),
        (&format!("g/account/{enrolled}/state"), "offline".to_owned()),
    ];
    let others = [
        ("homeassistant/device/g2_alex/config", device("g2")),
        ("homeassistant/device/lamp/config", r#"{"origin":{"name":"zigbee2mqtt"}}"#.to_owned()),
        ("g/account/alex/state", "online".to_owned()),
    ];
    for (topic, payload) in ours.iter().chain(&others) {
        observer.publish(topic, payload.clone(), true).await;
        observer.until_is(topic, payload).await;
    }
    let home = Home::new(&format!(
        "mqtt: {{ url: \"{}\", base_topic: g }}\n\
         entra: {{ authority: \"http://127.0.0.1:9\", tenant: contoso.com, client_id: 00000000-0000-0000-0000-000000000000 }}\n\
         accounts: {{ alex: {{ user: alex@contoso.com }} }}\n",
        broker.url()
    ));
    let output = tokio::task::spawn_blocking(move || home.output(&["discovery", "clear"])).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("3 devices") && said.contains("2 topics"), "{output:?}");
    for (topic, _) in &ours {
        observer.until_is(topic, "").await;
    }
    for (topic, payload) in &others {
        assert_eq!(observer.newest()[*topic], *payload);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_clear_takes_locations_and_lights_that_are_gone_and_leaves_those_that_run_or_are_configured() {
    let broker = Broker::start();
    let observer = Observer::connect(broker.address(), "#").await;
    let gone = [
        ("g/actuator/study/state", "offline"),
        ("g/actuator/study/light/desk", r#"{"light":"desk"}"#),
        ("g/actuator/attic/light/lamp", r#"{"light":"lamp"}"#),
        ("g/actuator/home/light/hall", r#"{"light":"hall"}"#),
    ];
    let stays = [
        ("g/actuator/home/state", "offline"),
        ("g/actuator/home/light/desk", r#"{"light":"desk"}"#),
        ("g/actuator/cabin/state", "online"),
        ("g/actuator/cabin/light/lamp", r#"{"light":"lamp"}"#),
        ("g2/actuator/study/light/desk", r#"{"light":"desk"}"#),
    ];
    for (topic, payload) in gone.iter().chain(&stays) {
        observer.publish(topic, *payload, true).await;
        observer.until_is(topic, payload).await;
    }
    let home = Home::new(&yaml(&broker, &["desk"], "home_assistant: { discovery: false }\n"));
    let clear = async || {
        let arguments = ["discovery", "clear"];
        let output = tokio::task::block_in_place(|| home.output(&arguments));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let said = clear().await;
    assert!(said.contains("0 devices") && said.contains("4 topics"), "{said}");
    for (topic, _) in &gone {
        observer.until_is(topic, "").await;
    }
    for (topic, payload) in &stays {
        assert_eq!(observer.newest()[*topic], *payload);
    }
    // The last light goes, and the location with it.
    home.configure(&format!("mqtt: {{ url: \"{}\", base_topic: g }}\n", broker.url()));
    assert!(clear().await.contains("2 topics"));
    for (topic, _) in &stays[..2] {
        observer.until_is(topic, "").await;
    }
}

#[test]
fn a_level_that_is_none_is_refused_with_those_that_there_are() {
    let home = Home::new("mqtt: { url: \"mqtt://127.0.0.1:9\" }\n");
    let output = home.output(&["--log", "verbose", "discovery"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error, warn, info, debug, trace, off"), "{output:?}");
}
