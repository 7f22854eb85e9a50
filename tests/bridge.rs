//! A running bridge between a simulated Graph and a real broker: what is retained there is true, whatever happens.

#![cfg(test)]
#![cfg(all(test, feature = "demo"))]

#[path = "bridge/batches.rs"]
mod batches;
#[path = "bridge/crew.rs"]
mod crew;
#[path = "bridge/graph.rs"]
mod graph;
#[path = "bridge/home_assistant.rs"]
mod home_assistant;
#[path = "bridge/house.rs"]
mod house;
#[path = "bridge/installation.rs"]
mod installation;
#[path = "bridge/limit.rs"]
mod limit;
#[path = "bridge/others.rs"]
mod others;
#[path = "bridge/requests.rs"]
mod requests;
#[path = "bridge/shut_out.rs"]
mod shut_out;
#[path = "bridge/slow.rs"]
mod slow;
#[path = "bridge/stand_in.rs"]
mod stand_in;
mod support;
#[path = "bridge/told_once.rs"]
mod told_once;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use graph2mqtt::simulator::{Fault, Route, What};
use installation::{Installation, user};
use serde_json::Value;
use support::Observer;
use support::observer::Seen;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

fn presence(observer: &Observer, topic: &str) -> Value {
    json(&observer.newest()[topic])
}

/// Waits until the presence on a topic has this activity.
async fn until_activity(observer: &Observer, topic: &str, activity: &str) -> Value {
    let fits = |seen: &Seen| seen.topic == topic && seen.payload.contains(&format!(r#""activity":"{activity}""#));
    json(&observer.until(&format!("{activity} on {topic}"), fits).await.payload)
}

/// What is retained, but for the counters.
/// A broker gives what it retains in an order of its own: what came last is known from who listened all the time.
fn retained(installation: &Installation, seen: &[Seen]) -> BTreeMap<String, String> {
    let mut newest = support::observer::newest(seen);
    for passing in ["bridge/health", "bridge/marker"] {
        newest.remove(&installation.topic(passing));
    }
    newest
}

#[tokio::test]
async fn a_presence_reaches_the_broker_and_each_change_follows() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let (bridge, _) = installation.run(&["alex"]).await;
    let mut changes = bridge.monitor.changes();
    installation.until_online(&observer).await;
    let first = presence(&observer, "g/account/alex/presence");
    assert_eq!((&first["account"], &first["availability"]), (&Value::from("alex"), &Value::from("Available")));
    assert!(first["user_id"].is_string() && first["since"].is_string() && first["sequence"].is_u64(), "{first}");
    let order: Vec<String> = observer.seen().into_iter().map(|seen| seen.topic).collect();
    let place = |topic: &str| order.iter().position(|seen| seen == topic).unwrap_or_else(|| panic!("no {topic}"));
    assert!(place("g/account/alex/presence") < place("g/account/alex/state"));
    assert!(place("g/account/alex/state") < place("g/bridge/state"));
    assert_eq!(observer.newest()["g/account/alex/state"], "online");
    assert_eq!(json(&observer.newest()["g/account/alex/sign_in"])["state"], "ok");
    assert_eq!(json(&observer.newest()["g/bridge/info"])["accounts"], 1);
    observer.until("discovery", |seen| seen.topic == "homeassistant/device/g_alex/config").await;
    assert!(observer.newest().contains_key("homeassistant/device/g-bridge/config"));

    installation.cloud.set_presence(&user("alex"), "Busy", "InACall");
    let call = until_activity(&observer, "g/account/alex/presence", "InACall").await;
    assert!(call["sequence"].as_u64() > first["sequence"].as_u64());
    let mut change = changes.recv().await.unwrap();
    while change.activity.as_str() != "InACall" {
        change = changes.recv().await.unwrap();
    }
    assert!(change.answered.elapsed() < Duration::from_secs(5));

    bridge.stop().await;
    observer.until_is("g/bridge/state", "offline").await;
}

#[tokio::test]
async fn a_poll_that_changed_nothing_publishes_nothing() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let (bridge, _) = installation.run(&["alex"]).await;
    observer.until("discovery", |seen| seen.topic.ends_with("/config")).await;
    installation.more_polls(1).await;
    observer.forget();
    installation.cloud.change(&user("alex"), |_| {});
    installation.more_polls(3).await;
    assert_eq!(observer.seen(), []);
    bridge.stop().await;
}

#[tokio::test]
async fn a_restart_with_unchanged_presences_publishes_nothing_but_that_the_bridge_is_online() {
    let installation = Installation::with(&["alex", "sam"]).await;
    let observer = installation.observe().await;
    let (bridge, yaml) = installation.run(&["alex", "sam"]).await;
    installation.until_online(&observer).await;
    observer.until("discovery", |seen| seen.topic.ends_with("g_sam/config")).await;
    let before = retained(&installation, &observer.seen());
    bridge.stop().await;
    observer.until_is("g/bridge/state", "offline").await;
    observer.forget();
    let bridge = installation.start(&yaml).await;
    installation.until_online(&observer).await;
    installation.more_polls(4).await;
    let published: Vec<String> = observer.seen().into_iter().map(|seen| seen.topic).collect();
    assert_eq!(
        published.iter().filter(|topic| !topic.ends_with("/marker")).collect::<Vec<_>>(),
        ["g/bridge/state", "g/bridge/health"]
    );
    let same = |seen: &[Seen]| (retained(&installation, seen) == before).then_some(());
    installation.observe().await.wait("the same as before", same).await;
    bridge.stop().await;
}

#[tokio::test]
async fn when_graph_is_silent_the_account_is_offline_after_three_polls_and_recovers() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let (bridge, _) = installation.run(&["alex"]).await;
    installation.until_online(&observer).await;
    installation.cloud.fault(Fault::new("/me/presence", What::Cut));
    observer.until_is("g/account/alex/state", "offline").await;
    let silent = installation.polls().iter().filter(|call| call.status.is_none()).count();
    assert_eq!(silent, 3);
    assert_eq!(json(&observer.newest()["g/account/alex/sign_in"])["state"], "ok", "it is no question of signing in");
    installation.cloud.clear_faults();
    observer.until_is("g/account/alex/state", "online").await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_broker_that_lost_everything_gets_it_all_back() {
    let mut installation = Installation::with(&["alex", "sam"]).await;
    let observer = installation.observe().await;
    let (bridge, _) = installation.run(&["alex", "sam"]).await;
    installation.until_online(&observer).await;
    observer.until("discovery", |seen| seen.topic.ends_with("g_sam/config")).await;
    let before = retained(&installation, &observer.seen());
    installation.broker.kill();
    installation.broker.restart();
    let observer = installation.observe().await;
    observer.until("discovery", |seen| seen.topic.ends_with("g_sam/config")).await;
    let same = |seen: &[Seen]| (retained(&installation, seen) == before).then_some(());
    observer.wait("all that was retained", same).await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_lost_store_or_a_clock_set_back_does_not_make_a_new_presence_look_old() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let (bridge, yaml) = installation.run(&["alex"]).await;
    installation.until_online(&observer).await;
    bridge.stop().await;
    // As if the clock had been an hour ahead when it was published.
    let mut ahead = presence(&observer, "g/account/alex/presence");
    let sequence = ahead["sequence"].as_u64().unwrap() + 3_600_000;
    ahead["sequence"] = sequence.into();
    observer.publish("g/account/alex/presence", ahead.to_string(), true).await;
    std::fs::remove_dir_all(installation.folder.path().join("store")).unwrap();
    installation.sign_in(&yaml, &["alex"]).await;
    observer.until_is("g/account/alex/presence", &ahead.to_string()).await;
    observer.forget();
    let bridge = installation.start(&yaml).await;
    installation.until_online(&observer).await;
    installation.cloud.set_presence(&user("alex"), "Busy", "InAMeeting");
    let new = until_activity(&observer, "g/account/alex/presence", "InAMeeting").await;
    assert!(new["sequence"].as_u64().unwrap() > sequence, "{new}");
    bridge.stop().await;
}

#[tokio::test]
async fn a_strangers_junk_is_survived_overwritten_and_cannot_use_the_sequence_up() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let yaml = installation.yaml(&["alex"], "");
    installation.sign_in(&yaml, &["alex"]).await;
    let huge = format!(
        r#"{{"account":"alex","availability":"Away","activity":"Away","since":"2026-01-01T00:00:00Z","sequence":{}}}"#,
        (1_u64 << 53) - 1
    );
    let junk = [("presence", huge.as_str()), ("state", "\u{0}"), ("sign_in", r#"{"state":"dancing"}"#), ("else", "x")];
    for (leaf, payload) in junk {
        observer.publish(&format!("g/account/alex/{leaf}"), payload, true).await;
    }
    observer.publish("g/bridge/info", "[1]", true).await;
    observer.publish("g/account/a b/state", "x", true).await;
    observer.publish("homeassistant/device/g_alex/config", "{\"junk\":", true).await;
    let bridge = installation.start(&yaml).await;
    let first = until_activity(&observer, "g/account/alex/presence", "Available").await;
    assert!(first["sequence"].as_u64().unwrap() < 1 << 44, "{first}");
    observer.until_is("g/account/alex/state", "online").await;
    observer.until("discovery", |seen| seen.payload.contains("g/account/alex/state")).await;
    assert_eq!(observer.newest()["g/account/a b/state"], "x", "not ours");
    // While it runs, too.
    observer.publish("g/account/alex/state", "offline", true).await;
    observer.until_is("g/account/alex/state", "offline").await;
    observer.publish("g/account/alex/presence", "", true).await;
    observer.until_is("g/account/alex/presence", "").await;
    observer
        .wait("ours again", |seen| {
            let newest: BTreeMap<_, _> = seen.iter().map(|seen| (seen.topic.as_str(), seen.payload.as_str())).collect();
            (newest["g/account/alex/state"] == "online" && newest["g/account/alex/presence"].contains("Available"))
                .then_some(())
        })
        .await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_removed_account_leaves_no_ghost_and_other_bases_are_not_touched() {
    let installation = Installation::with(&["alex", "sam"]).await;
    let observer = installation.observe().await;
    let (bridge, _) = installation.run(&["alex", "sam"]).await;
    observer.until("discovery", |seen| seen.topic.ends_with("g_sam/config")).await;
    bridge.stop().await;
    let device = observer.newest()["homeassistant/device/g_sam/config"].clone();
    let others = [
        ("g2/account/sam/state", "online".to_owned()),
        ("homeassistant/device/g_2_sam/config", device.replace("\"g/", "\"g_2/")),
        ("homeassistant/device/g2-bridge/config", r#"{"a":"g2/bridge/state"}"#.to_owned()),
        ("homeassistant/device/g_lamp/config", r#"{"origin":{"name":"zigbee2mqtt"}}"#.to_owned()),
    ];
    for (topic, payload) in &others {
        observer.publish(topic, payload.clone(), true).await;
        observer.until_is(topic, payload).await;
    }
    let bridge = installation.start(&installation.yaml(&["alex"], "")).await;
    installation.until_online(&observer).await;
    for topic in
        ["g/account/sam/presence", "g/account/sam/state", "g/account/sam/sign_in", "homeassistant/device/g_sam/config"]
    {
        observer.until_is(topic, "").await;
    }
    for (topic, payload) in &others {
        assert_eq!(observer.newest()[*topic], *payload);
    }
    assert!(!observer.newest()["homeassistant/device/g_alex/config"].is_empty());
    bridge.stop().await;
}

#[tokio::test]
async fn a_location_that_stood_where_an_account_comes_to_stand_is_told_to_be_gone_there() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let topic = "homeassistant/device/g_alex/config";
    let location = r#"{"components":{"desk_status":{"platform":"sensor","unique_id":"g_alex_desk_status","state_topic":"g/actuator/alex/light/desk"}}}"#;
    observer.publish(topic, location, true).await;
    observer.until_is(topic, location).await;
    let (bridge, _) = installation.run(&["alex"]).await;
    let gone = |seen: &Seen| seen.topic == topic && seen.payload.contains(r#""desk_status":{"platform":"sensor"}"#);
    observer.until("what is gone", gone).await;
    let account = observer.wait("the account alone", |seen| {
        let last = seen.iter().rev().find(|seen| seen.topic == topic)?;
        (!last.payload.contains("desk_status")).then(|| last.payload.clone())
    });
    let account = account.await;
    // Whoever writes there while it runs, such as an actuator that did not know of the account yet.
    for other in [location.to_owned(), account.replace("In a call", "Telefoniert")] {
        observer.publish(topic, other.clone(), true).await;
        observer.until_is(topic, &other).await;
        observer.until_is(topic, &account).await;
    }
    bridge.stop().await;
}

#[tokio::test]
async fn with_discovery_switched_off_the_devices_go_and_the_presences_stay() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let (bridge, _) = installation.run(&["alex"]).await;
    observer.until("discovery", |seen| seen.topic.ends_with("g_alex/config")).await;
    bridge.stop().await;
    let yaml = installation.yaml(&["alex"], "home_assistant: { discovery: false }\n");
    let bridge = installation.start(&yaml).await;
    observer.until_is("homeassistant/device/g_alex/config", "").await;
    observer.until_is("homeassistant/device/g-bridge/config", "").await;
    observer.until_is("g/account/alex/state", "online").await;
    bridge.stop().await;
}

#[tokio::test]
async fn home_assistants_birth_brings_everything_once_more_however_often_it_comes() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let (bridge, _) = installation.run(&["alex"]).await;
    observer.until("discovery", |seen| seen.topic.ends_with("/config")).await;
    installation.more_polls(1).await;
    observer.forget();
    for _ in 0..20 {
        observer.publish("homeassistant/status", "online", false).await;
    }
    observer.until("discovery again", |seen| seen.topic.ends_with("/config")).await;
    installation.more_polls(4).await;
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for seen in observer.seen() {
        *times.entry(seen.topic).or_default() += 1;
    }
    times.remove("homeassistant/status");
    assert!(times.len() >= 6 && times.values().all(|times| *times == 1), "{times:?}");
    bridge.stop().await;
}

#[tokio::test]
async fn a_missing_sign_in_is_told_and_heals_without_a_restart() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let yaml = installation.yaml(&["alex"], "");
    let bridge = installation.start(&yaml).await;
    observer.until_is("g/account/alex/state", "offline").await;
    let needed = json(&observer.until("sign_in", |seen| seen.topic.ends_with("/sign_in")).await.payload);
    assert_eq!(needed["state"], "needed");
    assert!(needed["reason"].as_str().unwrap().contains("graph2mqtt login alex"), "{needed}");
    installation.until_online(&observer).await;
    let begun = Instant::now();
    installation.sign_in(&yaml, &["alex"]).await;
    observer.until_is("g/account/alex/state", "online").await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    observer.until("sign_in ok", |seen| seen.topic.ends_with("/sign_in") && seen.payload.contains("\"ok\"")).await;

    let first = needed.to_string();
    installation.cloud.revoke(&user("alex"));
    installation.cloud.expire_access_tokens(&user("alex"));
    observer.until_is("g/account/alex/state", "offline").await;
    observer.until("sign_in needed again", |seen| seen.payload.contains("\"needed\"") && seen.payload != first).await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_sign_in_that_was_mended_while_no_bridge_ran_is_ok_at_the_next_start() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let yaml = installation.yaml(&["alex"], "");
    let bridge = installation.start(&yaml).await;
    installation.until_online(&observer).await;
    assert_eq!(bridge.monitor.snapshot().sign_ins_needed, 1);
    bridge.stop().await;
    observer.until_is("g/bridge/state", "offline").await;
    installation.sign_in(&yaml, &["alex"]).await;
    // Graph's answer comes behind what the forerunner left at the broker.
    let slow = Fault::new("/me/presence", What::Slow(Duration::from_millis(700)));
    installation.cloud.fault(slow.times(1));
    let bridge = installation.start(&yaml).await;
    installation.until_online(&observer).await;
    observer.until("sign_in ok", |seen| seen.topic.ends_with("/sign_in") && seen.payload.contains("\"ok\"")).await;
    assert_eq!(bridge.monitor.snapshot().sign_ins_needed, 0);
    bridge.stop().await;
}

#[tokio::test]
async fn people_read_by_the_application_are_asked_for_together_and_by_name_looked_up_once() {
    let people = ["alex", "sam", "kim"];
    let installation = Installation::with(&people).await;
    let observer = installation.observe().await;
    let accounts: String = ["alex", "sam", "kim", "nobody"]
        .iter()
        .map(|person| format!("  {person}: {{ user: {}, via: app }}\n", user(person)))
        .collect();
    let bridge = installation.start(&installation.yaml_by_application(&accounts)).await;
    for person in people {
        observer.until_is(&format!("g/account/{person}/state"), "online").await;
    }
    observer.until_is("g/account/nobody/state", "offline").await;
    let unknown = json(&observer.newest()["g/account/nobody/sign_in"]);
    assert_eq!(unknown["state"], "blocked");
    assert!(unknown["reason"].as_str().unwrap().contains("nobody@contoso.com"), "{unknown}");
    installation.cloud.set_presence(&user("sam"), "Busy", "InACall");
    until_activity(&observer, "g/account/sam/presence", "InACall").await;
    installation.more_polls(4).await;
    assert_eq!(installation.cloud.calls().count(|call| call.route == Route::User), 4);
    assert!(installation.polls().iter().rev().take(3).all(|call| call.size == 3));
    bridge.stop().await;
}
