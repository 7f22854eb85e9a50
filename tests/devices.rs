//! The location's device in Home Assistant, and `discovery clear`: the program as a child process, a real broker.

#![cfg(test)]

mod support;

use serde_json::Value;
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

#[test]
fn a_level_that_is_none_is_refused_with_those_that_there_are() {
    let home = Home::new("mqtt: { url: \"mqtt://127.0.0.1:9\" }\n");
    let output = home.output(&["--log", "verbose", "discovery"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error, warn, info, debug, trace, off"), "{output:?}");
}
