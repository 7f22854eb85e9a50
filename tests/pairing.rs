//! Pairing by a request over MQTT, the program as a process: who is answered what, and that the running actuator
//! takes key and certificate up without a restart.

#![cfg(test)]
#![cfg(all(test, feature = "demo"))]

mod support;

use std::time::Duration;

use graph2mqtt::simulator::{Certificate, Gamut, Hub, Kind, LampState};
use serde_json::{Value, json};
use support::{Broker, Home, Observer, Program};

const PATIENCE: Duration = Duration::from_secs(30);
const ROOM: &str = "graph2mqtt/actuator/home";

/// A hub that nobody paired yet, a broker, and a bridge's retained words.
struct World {
    hub: Hub,
    broker: Broker,
    bridge: Observer,
    sequence: u64,
}

impl World {
    async fn new() -> Self {
        let hub = Hub::plan().room("Office", &[("Desk", Kind::Color(Gamut::C))]).start().await.unwrap();
        hub.revoke_key();
        let broker = Broker::start();
        let bridge = Observer::connect(broker.address(), "#").await;
        for topic in ["graph2mqtt/bridge/state", "graph2mqtt/account/alex/state"] {
            bridge.publish(topic, "online", true).await;
        }
        Self { hub, broker, bridge, sequence: 1_000 }
    }

    /// A member of the location, with a store of its own.
    fn member(&self, mqtt: &str) -> (Home, Program) {
        let home = Home::new(&format!(
            "mqtt: {{ url: '{}'{mqtt} }}\nweb: {{ listen: '127.0.0.1:0' }}\n\
             hubs: {{ office: {{ host: '{}' }} }}\nlights: {{ desk: {{ hub: office, target: Desk, follow: alex }} }}\n\
             colors: {{ Busy: '#ff0000', Available: '#00ff00' }}\n",
            self.broker.url(),
            self.hub.address(),
        ));
        let program = home.start(&["actuator"]);
        (home, program)
    }

    async fn presence(&mut self, availability: &str) {
        self.sequence += 1;
        let payload = json!({
            "account": "alex", "availability": availability, "activity": availability,
            "since": "2026-11-24T08:00:00Z", "sequence": self.sequence,
        });
        self.bridge.publish("graph2mqtt/account/alex/presence", payload.to_string(), true).await;
    }

    async fn shows(&self, such: impl Fn(&LampState) -> bool) {
        if let Err(late) = self.hub.wait_for("Desk", PATIENCE, such).await {
            panic!("{:?}: {late}", self.hub.lamp("Desk"));
        }
    }

    /// Until the light's topic says why nothing is shown.
    async fn says(&self, reason: &str) {
        let topic = format!("{ROOM}/light/desk");
        let fits = |payload: &str| {
            serde_json::from_str::<Value>(payload)
                .is_ok_and(|light| light["error"].as_str().is_some_and(|error| error.contains(reason)))
        };
        self.bridge
            .wait(reason, |seen| {
                seen.iter().rev().find(|seen| seen.topic == topic).filter(|it| fits(&it.payload)).cloned()
            })
            .await;
    }

    async fn ask(&self, payload: &Value) {
        self.bridge.publish(&format!("{ROOM}/request/pair"), payload.to_string(), false).await;
    }

    /// The answer with this transaction.
    async fn answer(&self, transaction: &str) -> Value {
        let topic = format!("{ROOM}/response/pair");
        let read = |payload: &str| serde_json::from_str::<Value>(payload).ok();
        let fits = |answer: &Value| answer["transaction"] == transaction;
        self.bridge
            .wait(&format!("the answer to {transaction}"), |seen| {
                seen.iter().filter(|seen| seen.topic == topic).filter_map(|seen| read(&seen.payload)).find(fits)
            })
            .await
    }

    /// Until the hub was asked for a key this often.
    async fn asked_for_a_key(&self, times: usize) {
        let asked = |requests: &[graph2mqtt::simulator::Request]| {
            requests.iter().filter(|it| it.route == "POST /api").count() >= times
        };
        self.hub.requests().wait_for(PATIENCE, asked).await.unwrap();
    }

    /// No key of the hub's stands in what came by the broker, nor in a log.
    fn nothing_leaked(&self, programs: &[&Program]) {
        let key = self.hub.key();
        assert!(!key.is_empty());
        assert!(programs.iter().all(|program| !program.said().contains(&key)), "the key is in a log");
        assert!(self.bridge.seen().iter().all(|seen| !seen.payload.contains(&key)), "the key is on the broker");
    }
}

fn is_red(lamp: &LampState) -> bool {
    lamp.on && lamp.xy.is_some_and(|(x, _)| x > 0.6)
}

fn is_green(lamp: &LampState) -> bool {
    lamp.on && lamp.xy.is_some_and(|(x, y)| x < 0.3 && y > 0.5)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_pairs_the_hub_by_its_button_and_the_running_actuator_takes_the_key_up() {
    let mut world = World::new().await;
    let (_home, program) = world.member("");
    world.presence("Busy").await;
    world.says("graph2mqtt pair office").await;
    let topic = format!("{ROOM}/request/pair");
    world.bridge.ask(&topic, r#"{"hub":"office","transaction":"t1"}"#, "app/answers", "c1").await;
    world.asked_for_a_key(2).await;
    assert!(!world.bridge.seen().iter().any(|seen| seen.topic.ends_with("/response/pair")), "nobody pressed yet");
    world.hub.press_button();
    let answer = world.answer("t1").await;
    assert_eq!((&answer["status"], &answer["data"]["hub"]), (&"ok".into(), &"office".into()), "{answer}");
    assert_eq!(answer["data"]["id"], world.hub.bridge_id());
    let there = world.bridge.until("the response topic", |seen| seen.topic == "app/answers").await;
    assert_eq!(there.correlation.as_deref(), Some("c1"));
    world.shows(is_red).await;
    program.hears("paired; the application key is kept in the store");
    world.nothing_leaked(&[&program]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_hub_forgot_is_replaced_and_a_changed_certificate_only_by_a_word() {
    let mut world = World::new().await;
    let (_home, program) = world.member("");
    world.says("graph2mqtt pair office").await;
    world.hub.press_button();
    world.ask(&json!({"hub": "office", "transaction": "first"})).await;
    assert_eq!(world.answer("first").await["status"], "ok");
    world.presence("Busy").await;
    world.shows(is_red).await;

    world.hub.revoke_key();
    world.presence("Available").await;
    world.says("does not know the application key any more").await;
    world.ask(&json!({"hub": "office", "transaction": "again"})).await;
    assert_eq!(world.answer("again").await["status"], "ok");
    world.shows(is_green).await;

    world.hub.present(Certificate::self_signed(&world.hub.bridge_id()));
    world.presence("Busy").await;
    world.says("its certificate is not the one known").await;
    let asked = world.hub.requests().count(|it| it.route == "POST /api");
    world.ask(&json!({"hub": "office", "transaction": "changed"})).await;
    let refused = world.answer("changed").await;
    let error = refused["error"].as_str().unwrap_or_default();
    assert!(error.contains("another one than before") && error.contains("\"new_certificate\":true"), "{refused}");
    assert_eq!(world.hub.requests().count(|it| it.route == "POST /api"), asked, "no key is asked of a stranger");
    world.ask(&json!({"hub": "office", "new_certificate": true, "transaction": "known"})).await;
    assert_eq!(world.answer("known").await["status"], "ok");
    world.shows(is_red).await;
    world.nothing_leaked(&[&program]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_press_pairs_every_member_that_needs_a_key_and_one_of_them_answers() {
    let mut world = World::new().await;
    let ((one, first), (other, second)) = (world.member(""), world.member(""));
    for program in [&first, &second] {
        program.hears("graph2mqtt pair office");
    }
    world.hub.press_button();
    world.ask(&json!({"hub": "office", "transaction": "t1"})).await;
    assert_eq!(world.answer("t1").await["status"], "ok");
    for program in [&first, &second] {
        program.hears("paired; the application key is kept in the store");
    }
    for home in [&one, &other] {
        let listed = home.output(&["hubs", "--json", "--no-cloud", "--wait", "1"]);
        let hubs: Value = serde_json::from_slice(&listed.stdout).unwrap();
        assert_eq!(hubs[0]["paired"], true, "{hubs}");
    }
    world.presence("Busy").await;
    world.shows(is_red).await;
    let answers = world.bridge.seen().iter().filter(|seen| seen.topic.ends_with("/response/pair")).count();
    assert_eq!(answers, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_paired_is_answered_with_what_can() {
    let world = World::new().await;
    let (_home, _program) = world.member("");
    world.says("graph2mqtt pair office").await;
    for (transaction, payload, expected) in [
        ("nothing", json!({}), "there are office"),
        ("stranger", json!({"hub": "attic"}), "there are office"),
        ("slip", json!({"hubb": "office"}), "it takes hub, new_certificate, transaction"),
        ("text", json!({"hub": "office", "new_certificate": "yes"}), "new_certificate is true or false"),
    ] {
        let mut payload = payload;
        payload["transaction"] = transaction.into();
        world.ask(&payload).await;
        let answer = world.answer(transaction).await;
        assert!(answer["error"].as_str().is_some_and(|error| error.contains(expected)), "{answer}");
    }
    world.hub.down().await;
    world.ask(&json!({"hub": "office", "transaction": "dark"})).await;
    let answer = world.answer("dark").await;
    assert!(answer["error"].as_str().is_some_and(|error| error.contains("is the hub on")), "{answer}");
    assert_eq!(world.hub.requests().count(|it| it.route == "POST /api"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_request_is_taken_none_pairs() {
    let mut world = World::new().await;
    let (_home, _program) = world.member(", requests: none");
    world.says("graph2mqtt pair office").await;
    world.hub.press_button();
    world.ask(&json!({"hub": "office", "transaction": "t1"})).await;
    // What comes behind it is obeyed: the actuator had its chance.
    let set = format!("{ROOM}/light/desk/set");
    world.presence("Busy").await;
    world.bridge.publish(&set, r#"{"paused":true}"#, false).await;
    let topic = format!("{ROOM}/light/desk");
    let paused =
        |payload: &str| serde_json::from_str::<Value>(payload).is_ok_and(|light| light["paused"]["value"] == true);
    world.bridge.until("the pause", |seen| seen.topic == topic && paused(&seen.payload)).await;
    assert_eq!(world.hub.requests().count(|it| it.route == "POST /api"), 0);
    assert!(!world.bridge.seen().iter().any(|seen| seen.topic.contains("/response/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_command_pairs_beside_a_running_actuator_is_taken_up_too() {
    let mut world = World::new().await;
    let (home, program) = world.member("");
    program.hears("graph2mqtt pair office");
    let pair = async || {
        world.hub.press_button();
        let mut command = home.command(&["pair", "office"]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    pair().await;
    program.hears("the hub obeys again");
    let listens = |requests: &[graph2mqtt::simulator::Request]| {
        requests.iter().any(|it| it.route.contains("eventstream") && it.status == Some(200))
    };
    world.hub.requests().wait_for(PATIENCE, listens).await.unwrap();

    // The event stream stays open, as hubs leave it.
    world.hub.revoke_key();
    let refused = json!({"light": "desk"}).to_string();
    world.bridge.publish(&format!("{ROOM}/request/test"), refused, false).await;
    world.says("does not know the application key any more").await;
    pair().await;
    let taken_up = async || {
        world
            .bridge
            .wait("the light is reachable", |seen| {
                let newest = seen.iter().rev().find(|seen| seen.topic.ends_with("/light/desk"))?;
                let light: Value = serde_json::from_str(&newest.payload).ok()?;
                (light["reachable"] == true).then_some(())
            })
            .await;
    };
    taken_up().await;

    world.hub.present(Certificate::self_signed(&world.hub.bridge_id()));
    let changed = json!({"light": "desk"}).to_string();
    world.bridge.publish(&format!("{ROOM}/request/test"), changed, false).await;
    world
        .bridge
        .until("the refusal", |seen| {
            seen.topic.ends_with("/response/test") && seen.payload.contains("its certificate is not the one known")
        })
        .await;
    pair().await;
    world.presence("Busy").await;
    world.shows(is_red).await;
    world.nothing_leaked(&[&program]);
}
