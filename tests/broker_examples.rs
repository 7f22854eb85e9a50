//! The broker's example configuration gives each user what it needs, and no more.

#![cfg(test)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use support::{Broker, Observer};

/// Topics, who writes them, and who reads them.
const RIGHTS: &[(&str, &[&str], &[&str])] = &[
    ("graph2mqtt/bridge/state", &["graph2mqtt", "bridge"], &["graph2mqtt", "bridge", "actuator", "homeassistant"]),
    ("graph2mqtt/bridge/info", &["graph2mqtt", "bridge"], &["graph2mqtt", "bridge", "homeassistant"]),
    ("graph2mqtt/bridge/marker", &["graph2mqtt", "bridge"], &["graph2mqtt", "bridge", "homeassistant"]),
    (
        "graph2mqtt/account/alex/presence",
        &["graph2mqtt", "bridge"],
        &["graph2mqtt", "bridge", "actuator", "homeassistant"],
    ),
    ("graph2mqtt/actuator/home/state", &["graph2mqtt", "actuator"], &["graph2mqtt", "actuator", "homeassistant"]),
    ("graph2mqtt/actuator/home/light/desk", &["graph2mqtt", "actuator"], &["graph2mqtt", "actuator", "homeassistant"]),
    (
        "homeassistant/device/graph2mqtt_alex/config",
        &["graph2mqtt", "bridge", "actuator", "homeassistant"],
        &["graph2mqtt", "bridge", "actuator", "homeassistant"],
    ),
    ("homeassistant/status", &["homeassistant"], &["graph2mqtt", "bridge", "actuator", "homeassistant"]),
    (
        "graph2mqtt/bridge/request/poll",
        &["graph2mqtt", "bridge", "homeassistant"],
        &["graph2mqtt", "bridge", "homeassistant"],
    ),
    (
        "graph2mqtt/bridge/request/discovery/clear",
        &["graph2mqtt", "bridge", "homeassistant"],
        &["graph2mqtt", "bridge", "actuator", "homeassistant"],
    ),
    (
        "graph2mqtt/actuator/home/light/desk/set",
        &["graph2mqtt", "actuator", "homeassistant"],
        &["graph2mqtt", "actuator", "homeassistant"],
    ),
    ("homeassistant/light/other/config", &["homeassistant"], &["homeassistant"]),
    ("zigbee2mqtt/bridge/state", &[], &[]),
];

const USERS: &[&str] = &["graph2mqtt", "bridge", "actuator", "homeassistant"];

fn example(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/mosquitto").join(file)).unwrap()
}

/// The example, with a user who may do everything, and a topic by which each user says that it is done.
fn start() -> Option<Broker> {
    let acl = example("acl") + "\nuser admin\ntopic readwrite #\n\npattern readwrite done/%u\n";
    let here = ["listener", "allow_anonymous", "password_file", "acl_file", "persistence"];
    let conf = example("mosquitto.conf");
    let lines = conf.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let lines = lines.filter(|line| !here.iter().any(|key| line.starts_with(key)));
    let users = USERS.iter().chain(&["admin"]);
    let broker = users.fold(Broker::builder().acl(&acl), |broker, user| broker.user(user, "a password"));
    lines.fold(broker, |broker, line| broker.line(line)).start_mosquitto()
}

async fn connect(broker: &Broker, user: &str) -> Observer {
    Observer::connect_as(broker.address(), "#", Some((user, "a password"))).await
}

fn topics(who: impl Fn(&(&str, &[&str], &[&str])) -> bool) -> BTreeSet<String> {
    RIGHTS.iter().filter(|row| who(row)).map(|(topic, ..)| (*topic).to_owned()).collect()
}

/// The topics of the table on which somebody's messages came.
fn heard(listener: &Observer, sender: &str) -> BTreeSet<String> {
    let sent = listener.seen().into_iter().filter(|seen| seen.payload == sender && !seen.topic.starts_with("done/"));
    sent.map(|seen| seen.topic).collect()
}

async fn publish_everywhere(sender: &Observer, name: &str, done: &str) {
    for (topic, ..) in RIGHTS {
        sender.publish(topic, name, false).await;
    }
    sender.publish(&format!("done/{done}"), name, false).await;
}

#[test]
fn each_user_writes_what_is_its_own() {
    let Some(broker) = start() else { return };
    for user in USERS {
        let written: BTreeSet<String> = topics(|(topic, ..)| may_write(&broker, user, topic));
        assert_eq!(written, topics(|(_, writers, _)| writers.contains(user)), "{user} writes (left)");
    }
}

/// Asked by a connection of its own: Mosquitto 2.0.11 closes one on which it refused something.
fn may_write(broker: &Broker, user: &str, topic: &str) -> bool {
    let port = broker.port().to_string();
    let arguments = ["-V", "5", "-q", "1", "-p", &port, "-u", user, "-P", "a password", "-t", topic, "-m", "x"];
    let output = Command::new("mosquitto_pub").args(arguments).output().expect("mosquitto-clients is installed");
    !String::from_utf8_lossy(&output.stderr).contains("Not authorized")
}

#[tokio::test]
async fn each_user_reads_what_it_needs() {
    let Some(broker) = start() else { return };
    let admin = connect(&broker, "admin").await;
    for user in USERS {
        let listener = connect(&broker, user).await;
        publish_everywhere(&admin, "admin", user).await;
        listener.until("the end", |seen| seen.topic == format!("done/{user}")).await;
        assert_eq!(heard(&listener, "admin"), topics(|(_, _, readers)| readers.contains(user)), "{user} reads (left)");
    }
}
