//! What others ask a running bridge for, in good faith and otherwise.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use graph2mqtt::bridge::{Control, LogLevel};
use graph2mqtt::entra::Principal;
use graph2mqtt::presence::PREFERRED;
use serde_json::{Value, json};

use super::installation::{Installation, TENANT, name, user, with_requests};
use super::stand_in::{History, HomeAssistant};
use super::support::Observer;
use super::until_activity;

/// Asks, and gives the answer.
pub async fn ask(observer: &Observer, command: &str, request: Value) -> Value {
    observer.forget();
    observer.publish(&format!("g/bridge/request/{command}"), request.to_string(), false).await;
    answer(observer, command).await
}

async fn answer(observer: &Observer, command: &str) -> Value {
    let topic = format!("g/bridge/response/{command}");
    let seen = observer.until(&format!("an answer to {command}"), |seen| seen.topic == topic).await;
    serde_json::from_str(&seen.payload).unwrap()
}

fn error(answer: &Value) -> &str {
    assert_eq!(answer["status"], "error", "{answer}");
    answer["error"].as_str().unwrap()
}

#[tokio::test]
async fn a_request_is_answered_with_its_transaction_and_where_mqtt_5_asks_for_it() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let (bridge, _) = installation.run(&["alex"]).await;
    installation.until_online(&observer).await;
    let answer = ask(&observer, "health_check", json!({"transaction": "t1"})).await;
    assert_eq!((&answer["status"], &answer["transaction"]), (&json!("ok"), &json!("t1")));
    assert_eq!((&answer["data"]["accounts"], &answer["data"]["accounts_online"]), (&json!(1), &json!(1)));
    assert!(answer["data"]["last_poll"]["alex"].is_string() && answer["data"]["last_error"].is_null(), "{answer}");

    observer.ask("g/bridge/request/poll", r#"{"account":"alex"}"#, "app/answers", "c7").await;
    let there = observer.until("the answer at the response topic", |seen| seen.topic == "app/answers").await;
    assert_eq!((there.correlation.as_deref(), there.retained), (Some("c7"), false));
    assert_eq!(there.payload, r#"{"data":{"account":"alex"},"status":"ok"}"#);
    observer.forget();
    observer.ask("g/bridge/request/poll", "{}", "g/bridge/state", "c8").await;
    observer.until("the usual answer", |seen| seen.topic == "g/bridge/response/poll").await;
    ask(&observer, "health_check", json!({})).await;
    assert!(observer.seen().iter().all(|seen| seen.topic != "g/bridge/state"));
    bridge.stop().await;
}

#[tokio::test]
async fn poll_asks_graph_before_the_turn_comes() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let yaml = installation.yaml(&["alex"], "").replace("active: 1s, quiet: 1s", "active: 5m, quiet: 5m");
    installation.sign_in(&yaml, &["alex"]).await;
    let bridge = installation.start(&yaml).await;
    installation.until_online(&observer).await;
    installation.cloud.set_presence(&user("alex"), "Busy", "InACall");
    // An answer that is younger than a second is not asked for again.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(ask(&observer, "poll", json!({})).await["data"]["accounts"], 1);
    let begun = Instant::now();
    until_activity(&observer, "g/account/alex/presence", "InACall").await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    let unknown = ask(&observer, "poll", json!({"account": "nobody"})).await;
    assert!(error(&unknown).contains("\"nobody\" is no account"));
    bridge.stop().await;
}

#[tokio::test]
async fn what_is_odd_gets_an_error_or_silence_and_polling_goes_on() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    // A retained request is nobody's wish of now.
    observer.publish("g/bridge/request/restart", "{}", true).await;
    observer.until_is("g/bridge/request/restart", "{}").await;
    let (bridge, _) = installation.run(&["alex"]).await;
    installation.until_online(&observer).await;
    for (payload, expected) in [
        ("{", "not JSON"),
        ("[1]", "no object"),
        (r#"{"akount":"alex"}"#, "takes account, transaction"),
        (r#"{"account":7}"#, "account is a text"),
    ] {
        observer.forget();
        observer.publish("g/bridge/request/poll", payload, false).await;
        let answer = answer(&observer, "poll").await;
        assert!(error(&answer).contains(expected), "{payload}: {answer}");
    }
    observer.publish("g/bridge/request/poll", "x".repeat(1_000_000), false).await;
    observer.until("too large", |seen| seen.payload.contains("larger than 8192 bytes")).await;
    assert!(error(&ask(&observer, "dance", json!({})).await).contains("known are poll, account/login"));
    assert_eq!(observer.newest().get("g/bridge/response/restart"), None);
    bridge.stop().await;
}

#[tokio::test]
async fn a_flood_of_requests_stalls_nothing() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let (bridge, _) = installation.run(&["alex"]).await;
    installation.until_online(&observer).await;
    let flood = async {
        for number in 0..500 {
            observer.publish("g/bridge/request/poll", format!("{{\"transaction\":{number}}}"), false).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let watch = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        installation.cloud.set_presence(&user("alex"), "Busy", "Presenting");
        let begun = Instant::now();
        until_activity(&observer, "g/account/alex/presence", "Presenting").await;
        begun.elapsed()
    };
    let ((), heard) = tokio::join!(flood, watch);
    assert!(heard < Duration::from_secs(3), "{heard:?}");
    let answers = observer.seen().iter().filter(|seen| seen.topic == "g/bridge/response/poll").count();
    assert!((50..200).contains(&answers), "{answers} answers");
    assert!(installation.polls().len() < 40, "nobody makes us ask Graph as fast as they can ask us");
    bridge.stop().await;
}

#[tokio::test]
async fn what_acts_as_a_person_is_off_unless_it_is_switched_on_and_none_hears_nothing() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let (bridge, yaml) = installation.run(&["alex"]).await;
    installation.until_online(&observer).await;
    for command in ["account/login", "account/cancel_login", "account/remove", "account/set_presence"] {
        let answer = ask(&observer, command, json!({"account": "alex"})).await;
        assert!(error(&answer).contains("mqtt.requests: all"), "{answer}");
    }
    bridge.stop().await;
    observer.until_is("g/bridge/state", "offline").await;
    let bridge = installation.start(&with_requests(&yaml, "none")).await;
    installation.until_online(&observer).await;
    observer.forget();
    observer.publish("g/bridge/request/health_check", "{}", false).await;
    installation.more_polls(2).await;
    assert!(observer.seen().iter().all(|seen| !seen.topic.contains("response")));
    bridge.stop().await;
}

#[tokio::test]
async fn a_sign_in_from_the_dashboard_shows_its_code_until_it_was_used() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let yaml = with_requests(&installation.yaml(&["alex"], ""), "all");
    let bridge = installation.start(&yaml).await;
    observer.until("needed", |seen| seen.topic.ends_with("/sign_in") && seen.payload.contains("\"needed\"")).await;
    let device = observer.until("the device", |seen| seen.topic.ends_with("g_alex/config")).await;
    assert!(device.payload.contains("g/bridge/request/account/login"), "an account nobody signed in has the button");

    let answer = ask(&observer, "account/login", json!({"account": "alex", "transaction": 1})).await;
    let code = answer["data"]["code"].as_str().unwrap().to_owned();
    assert!(answer["data"]["url"].as_str().unwrap().starts_with("http"), "{answer}");
    let pending = observer.until("pending", |seen| seen.topic.ends_with("/sign_in")).await;
    let pending: Value = serde_json::from_str(&pending.payload).unwrap();
    assert_eq!((&pending["state"], &pending["code"]), (&json!("pending"), &json!(code)));
    let again = ask(&observer, "account/login", json!({"account": "alex"})).await;
    assert_eq!(again["data"]["code"], code, "two who ask share one code");

    let cancelled = ask(&observer, "account/cancel_login", json!({"account": "alex"})).await;
    assert_eq!(cancelled["status"], "ok");
    observer.until("needed again", |seen| seen.topic.ends_with("/sign_in") && !seen.payload.contains("code")).await;
    assert!(error(&ask(&observer, "account/cancel_login", json!({"account": "alex"})).await).contains("no sign-in"));

    let answer = ask(&observer, "account/login", json!({"account": "alex"})).await;
    installation.cloud.approve(answer["data"]["code"].as_str().unwrap(), &user("alex")).unwrap();
    observer.until_is("g/account/alex/state", "online").await;
    let ok = observer
        .wait("ok", |seen| {
            let last = seen.iter().rev().find(|seen| seen.topic == "g/account/alex/sign_in")?;
            last.payload.contains("\"ok\"").then(|| last.payload.clone())
        })
        .await;
    assert!(!ok.contains("code"), "{ok}");
    bridge.stop().await;
}

#[tokio::test]
async fn the_devices_leave_home_assistant_and_come_back_as_asked() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let (bridge, _) = installation.run(&["alex"]).await;
    let device = "homeassistant/device/g_alex/config";
    let published = observer.until("discovery", |seen| seen.topic == device).await.payload;
    // A location's device, whose actuator does not run; and others that are none of ours.
    let location = |base: &str| format!(r#"{{"components":{{"c":{{"state_topic":"{base}/actuator/home/state"}}}}}}"#);
    let home = ("homeassistant/device/g_home/config", location("g"));
    let others =
        [("homeassistant/device/g2_home/config", location("g2")), ("homeassistant/device/mine/config", location("g"))];
    for (topic, payload) in others.iter().chain([&home]) {
        observer.publish(topic, payload.clone(), true).await;
        observer.until_is(topic, payload).await;
    }
    installation.more_polls(1).await;
    assert_eq!(ask(&observer, "discovery/clear", json!({})).await["status"], "ok");
    observer.until_is(device, "").await;
    observer.until_is(home.0, "").await;
    assert!(observer.seen().iter().all(|seen| others.iter().all(|(topic, _)| seen.topic != *topic)));
    observer.until_is("homeassistant/device/g-bridge/config", "").await;
    // Home Assistant's birth does not bring back what was sent away.
    observer.publish("homeassistant/status", "online", false).await;
    observer.until("everything else again", |seen| seen.topic == "g/account/alex/presence").await;
    installation.more_polls(2).await;
    assert_eq!(observer.newest()[device], "");
    assert_eq!(ask(&observer, "discovery/publish", json!({})).await["status"], "ok");
    observer.until_is(device, &published).await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_person_sets_presence_and_message_and_what_graph_shows_is_what_is_told() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let yaml = installation.writing(&["alex"]);
    installation.sign_in(&yaml, &["alex"]).await;
    let bridge = installation.start(&yaml).await;
    installation.until_online(&observer).await;
    let device = observer.until("the select", |seen| seen.payload.contains("g_alex_set_presence")).await;
    assert!(device.payload.contains(r#""Automatic","Available","Busy""#), "{}", device.payload);

    let wrong = ask(&observer, "account/set_presence", json!({"account": "alex", "availability": "InACall"})).await;
    assert!(error(&wrong).contains("Busy with Busy") && error(&wrong).contains("Offline with OffWork"));
    let request = json!({"account": "alex", "availability": "DoNotDisturb", "expires_in": "2h"});
    let answer = ask(&observer, "account/set_presence", request.clone()).await;
    assert_eq!(answer["data"]["availability"], "DoNotDisturb", "{answer}");
    assert_eq!(answer["data"]["shown"], true);
    let shown = until_activity(&observer, "g/account/alex/presence", "DoNotDisturb").await;
    assert_eq!(shown["preferred"]["availability"], "DoNotDisturb");
    assert!(shown["preferred"]["expires"].is_string());

    let message = json!({"account": "alex", "message": "In the lab", "expires_in": "8h"});
    let answer = ask(&observer, "account/set_status_message", message).await;
    assert_eq!(answer["data"]["status_message"]["content"], "In the lab", "{answer}");
    observer.until("the message", |seen| seen.topic.ends_with("/presence") && seen.payload.contains("lab")).await;
    let long = json!({"account": "alex", "message": "x".repeat(281)});
    assert!(error(&ask(&observer, "account/set_status_message", long).await).contains("280"));

    let clear = json!({"account": "alex", "availability": "Automatic"});
    assert_eq!(ask(&observer, "account/set_presence", clear).await["data"]["availability"], "Available");
    let cleared = until_activity(&observer, "g/account/alex/presence", "Available").await;
    assert!(cleared["preferred"].is_null(), "{cleared}");

    // Nobody is signed in to Teams: Graph takes it, and shows it later.
    installation.cloud.set_presence(&user("alex"), "Offline", "Offline");
    let answer = ask(&observer, "account/set_presence", request).await;
    assert_eq!((&answer["data"]["availability"], &answer["data"]["shown"]), (&json!("Offline"), &json!(false)));
    observer.forget();
    installation.cloud.set_presence(&user("alex"), "Available", "Available");
    let later = until_activity(&observer, "g/account/alex/presence", "DoNotDisturb").await;
    assert_eq!(later["preferred"]["availability"], "DoNotDisturb");
    bridge.stop().await;
}

#[tokio::test]
async fn what_a_person_set_ends_by_itself_also_where_another_process_set_it() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let yaml = installation.writing(&["alex"]);
    installation.sign_in(&yaml, &["alex"]).await;
    let bridge = installation.start(&yaml).await;
    installation.until_online(&observer).await;
    let topic = "g/account/alex/presence";
    let mut presence: Value = serde_json::from_str(&observer.newest()[topic]).unwrap();
    bridge.stop().await;
    observer.forget();

    let lasts = Duration::from_secs(10);
    let (who, id) = (Principal::Account(name("alex")), presence["user_id"].as_str().unwrap().parse().unwrap());
    let pair = &PREFERRED.iter().find(|(name, _)| *name == "DoNotDisturb").unwrap().1;
    installation.client(&yaml).await.set_preferred(&who, TENANT, id, pair, lasts).await.unwrap();
    let ends = jiff::Timestamp::now() + lasts;
    presence["availability"] = "DoNotDisturb".into();
    presence["activity"] = "DoNotDisturb".into();
    presence["preferred"] = json!({"availability": "DoNotDisturb", "expires": ends});
    observer.publish(topic, presence.to_string(), true).await;
    observer.until_is(topic, &presence.to_string()).await;

    let bridge = installation.start(&yaml).await;
    let home = HomeAssistant::start(installation.broker.address(), &History::default());
    home.until("select.alex_set_presence", "DoNotDisturb").await;
    home.until("select.alex_set_presence", "Automatic").await;
    home.until("sensor.alex_availability", "Available").await;
    let late = jiff::Timestamp::now().duration_since(ends);
    assert!(!late.is_negative() && late < jiff::SignedDuration::from_secs(5), "{late:?}");
    let ended = until_activity(&observer, topic, "Available").await;
    assert!(ended["preferred"].is_null(), "{ended}");
    bridge.stop().await;
}

#[tokio::test]
async fn without_the_right_to_write_the_presence_is_read_all_the_same_and_nothing_can_be_set() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    // Signed in before graph.write was switched on.
    let yaml = with_requests(&installation.yaml(&["alex"], ""), "all");
    installation.sign_in(&yaml, &["alex"]).await;
    let bridge = installation.start(&yaml.replace("graph: {", "graph: { write: true,")).await;
    observer.until_is("g/account/alex/state", "online").await;
    let device = observer.until("the device", |seen| seen.topic.ends_with("g_alex/config")).await;
    assert!(!device.payload.contains("set_presence"), "{}", device.payload);
    installation.cloud.expire_access_tokens(&user("alex"));
    installation.more_polls(3).await;
    assert_eq!(observer.newest()["g/account/alex/state"], "online");
    let request = json!({"account": "alex", "availability": "Busy"});
    let answer = ask(&observer, "account/set_presence", request).await;
    assert!(error(&answer).contains("Presence.ReadWrite") && error(&answer).contains("sign in again"), "{answer}");
    bridge.stop().await;
}

#[tokio::test]
async fn a_sign_in_is_forgotten_as_asked() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let yaml = with_requests(&installation.yaml(&["alex"], ""), "all");
    installation.sign_in(&yaml, &["alex"]).await;
    let bridge = installation.start(&yaml).await;
    installation.until_online(&observer).await;
    assert_eq!(ask(&observer, "account/remove", json!({"account": "alex"})).await["status"], "ok");
    observer.until_is("g/account/alex/state", "offline").await;
    observer.until("needed", |seen| seen.topic.ends_with("/sign_in") && seen.payload.contains("\"needed\"")).await;
    assert!(error(&ask(&observer, "account/remove", json!({"account": "alex"})).await).contains("no sign-in"));
    bridge.stop().await;
}

struct Level(Mutex<&'static str>);

impl LogLevel for Level {
    fn level(&self) -> &'static str {
        *self.0.lock().unwrap()
    }

    fn set(&self, level: &str) -> Result<(), String> {
        *self.0.lock().unwrap() = graph2mqtt::bridge::LEVELS.iter().find(|known| **known == level).unwrap();
        Ok(())
    }
}

#[tokio::test]
async fn the_logs_level_is_changed_and_a_new_start_is_asked_for() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let yaml = installation.yaml(&["alex"], "");
    installation.sign_in(&yaml, &["alex"]).await;
    let level = Arc::new(Level(Mutex::new("info")));
    let restarts = Arc::new(AtomicUsize::new(0));
    let counted = restarts.clone();
    let restart = move || match counted.fetch_add(1, Ordering::Relaxed) {
        0 => Ok(()),
        _ => Err("the configuration has mistakes".to_owned()),
    };
    let control = Control { log: Some(level.clone()), restart: Some(Arc::new(restart)) };
    let bridge = installation.start_with(&yaml, control).await;
    installation.until_online(&observer).await;
    let info = |observer: &Observer| serde_json::from_str::<Value>(&observer.newest()["g/bridge/info"]).unwrap();
    assert_eq!(info(&observer)["log_level"], "info");
    assert_eq!(ask(&observer, "log_level", json!({"level": "debug"})).await["data"]["level"], "debug");
    observer.until("info", |seen| seen.topic == "g/bridge/info" && seen.payload.contains("debug")).await;
    assert_eq!(level.level(), "debug");
    assert!(error(&ask(&observer, "log_level", json!({"level": "verbose"})).await).contains("error, warn, info"));
    assert_eq!(ask(&observer, "restart", json!({})).await["status"], "ok");
    assert!(error(&ask(&observer, "restart", json!({})).await).contains("mistakes"));
    assert_eq!(restarts.load(Ordering::Relaxed), 2);
    bridge.stop().await;
}

#[tokio::test]
async fn at_a_clean_stop_the_devices_stay_or_leave_as_configured() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let (bridge, yaml) = installation.run(&["alex"]).await;
    let device = "homeassistant/device/g_alex/config";
    observer.until("discovery", |seen| seen.topic == device).await;
    bridge.stop().await;
    observer.until_is("g/bridge/state", "offline").await;
    assert!(!observer.newest()[device].is_empty());
    let bridge = installation.start(&format!("{yaml}home_assistant: {{ on_stop: clear }}\n")).await;
    installation.until_online(&observer).await;
    bridge.stop().await;
    observer.until_is("g/bridge/state", "offline").await;
    observer.until_is(device, "").await;
    assert!(!observer.newest()["g/account/alex/presence"].is_empty(), "presences stay");
}
