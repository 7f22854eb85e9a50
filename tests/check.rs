//! `check` beside brokers that give too little, and on a machine where something else is broken already.

#![cfg(test)]

mod support;

use support::{Broker, Home, Observer};

const FOLLOWING: &str = "hubs: { office: { host: '127.0.0.1:9', id: 001788fffe102030, key: k } }\n\
                         lights: { desk: { hub: office, target: Office, follow: alex } }\n";
const OWN: &str = "entra: { authority: 'http://127.0.0.1:9', tenant: contoso.com, client_id: 00000000-0000-0000-0000-000000000001 }\n\
                   graph: { endpoint: 'http://127.0.0.1:9/v1.0' }\naccounts: { alex: { user: alex@contoso.com } }\n";
const PRESENCE: &str =
    r#"{"account":"alex","availability":"Busy","activity":"Busy","since":"2026-11-24T08:00:00Z","sequence":1}"#;

/// A broker with these rights of the user `us`, and a user who may do everything.
fn broker(rights: &[&str]) -> Option<Broker> {
    let rights: String = rights.iter().map(|right| format!("topic {right}\n")).collect();
    let acl = format!("user us\n{rights}\nuser admin\ntopic readwrite #\n");
    Broker::builder().user("us", "p").user("admin", "p").acl(&acl).start_mosquitto()
}

/// What `check` says of the broker's rights.
async fn rights(broker: &Broker, more: &str) -> Vec<String> {
    let home = Home::new(&format!("mqtt: {{ url: '{}', username: us, password: p }}\n{more}", broker.url()));
    let output = tokio::task::spawn_blocking(move || home.output(&["check"])).await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("takes us"), "{said}");
    said.lines().filter(|line| line.contains("broker rights")).map(str::to_owned).collect()
}

/// What a bridge leaves at the broker.
async fn bridge_runs(broker: &Broker) {
    let admin = Observer::connect_as(broker.address(), "graph2mqtt/#", Some(("admin", "p"))).await;
    for (topic, payload) in
        [("account/alex/presence", PRESENCE), ("account/alex/state", "online"), ("bridge/state", "online")]
    {
        admin.publish(&format!("graph2mqtt/{topic}"), payload, true).await;
        admin.until_is(&format!("graph2mqtt/{topic}"), payload).await;
    }
}

fn fails(said: &[String], topic: &str) -> bool {
    said.iter().any(|line| line.starts_with("FAIL") && line.contains(topic))
}

const ACTUATOR: &[&str] = &[
    "read graph2mqtt/bridge/state",
    "read graph2mqtt/account/+/state",
    "read graph2mqtt/account/+/presence",
    "readwrite graph2mqtt/actuator/#",
    "readwrite homeassistant/device/#",
];

#[tokio::test]
async fn an_actuator_that_may_not_read_presences_is_told_so() {
    let Some(whole) = broker(ACTUATOR) else { return };
    let said = rights(&whole, FOLLOWING).await;
    assert!(said.iter().all(|line| line.starts_with("ok")), "{said:?}");
    assert!(said.iter().any(|line| line.contains("not tried")), "no bridge has published: {said:?}");
    bridge_runs(&whole).await;
    let said = rights(&whole, FOLLOWING).await;
    assert!(said.iter().all(|line| line.starts_with("ok")), "{said:?}");
    assert!(said.iter().any(|line| line.contains("presences come")), "{said:?}");

    for missing in [&["account/+/presence"][..], &["account/+/presence", "account/+/state"]] {
        let less = |right: &&&str| !missing.iter().any(|missing| right.ends_with(missing));
        let less: Vec<&str> = ACTUATOR.iter().filter(less).copied().collect();
        let broker = broker(&less).unwrap();
        bridge_runs(&broker).await;
        let said = rights(&broker, FOLLOWING).await;
        assert!(fails(&said, "graph2mqtt/account/alex/presence"), "{missing:?}: {said:?}");
    }
    // It may write there as well: what it writes has to come.
    let write_only = [&["write graph2mqtt/account/#"][..], &ACTUATOR[3..]].concat();
    let said = rights(&broker(&write_only).unwrap(), FOLLOWING).await;
    assert!(fails(&said, "graph2mqtt/account/check/presence"), "{said:?}");
}

#[tokio::test]
async fn each_right_of_a_bridge_is_tried() {
    let bridge =
        ["readwrite graph2mqtt/bridge/#", "readwrite graph2mqtt/account/#", "readwrite homeassistant/device/#"];
    let Some(whole) = broker(&bridge) else { return };
    let said = rights(&whole, OWN).await;
    assert!(said.len() == 1 && said[0].starts_with("ok"), "{said:?}");
    for (right, less, topic) in [
        (0, "readwrite graph2mqtt/bridge/marker", "graph2mqtt/bridge/response/check"),
        (1, "readwrite graph2mqtt/account/+/presence", "graph2mqtt/account/check/s"),
        (2, "read homeassistant/device/#", "homeassistant/device/graph2mqtt_check/config"),
    ] {
        let mut rights_of_us = bridge;
        rights_of_us[right] = less;
        let said = rights(&broker(&rights_of_us).unwrap(), OWN).await;
        assert!(fails(&said, topic), "{less}: {said:?}");
    }
}

#[test]
fn what_needs_a_store_that_cannot_be_opened_has_a_line_all_the_same() {
    let home = Home::new(&format!(
        "mqtt: {{ url: 'mqtt://127.0.0.1:9' }}\nstore: {{ url: 'sqlite://there/g.db' }}\n{OWN}{FOLLOWING}"
    ));
    std::fs::write(home.path().join("there"), "a file, not a folder").unwrap();
    let output = home.output(&["check"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for subject in ["entra and graph", "hub office", "light desk"] {
        let tried = said.lines().find(|line| line.contains(subject)).unwrap_or_else(|| panic!("no {subject}: {said}"));
        assert!(tried.starts_with("FAIL") && tried.contains("not tried: mend the store first"), "{tried}");
    }
}

#[test]
fn what_needs_no_https_is_tried_where_no_client_for_it_can_be_made() {
    let https = OWN.replace("http://127.0.0.1:9/v1.0'", "https://127.0.0.1:9/v1.0', ca_file: company.pem");
    let home = Home::new(&format!("mqtt: {{ url: 'mqtt://127.0.0.1:9' }}\n{https}{FOLLOWING}"));
    std::fs::write(home.path().join("company.pem"), "no certificate").unwrap();
    let output = home.output(&["check"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.lines().any(|line| line.starts_with("FAIL") && line.contains("graph.ca_file")), "{said}");
    assert!(said.contains("hub office") && said.contains("light desk"), "{said}");
}
