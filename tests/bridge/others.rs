//! Others on our base topic: a second bridge, a stranger's heap, a broker that gives nothing back.

use graph2mqtt::bridge::Failure;

use super::installation::{Installation, user};
use super::support::observer::Seen;
use super::support::{Broker, Home};
use super::until_activity;

/// As after a power cut, when both find an empty broker and neither sees the other in time.
#[tokio::test]
async fn of_two_bridges_that_find_each_other_late_the_greater_instance_goes() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let (bridge, _) = installation.run(&["alex"]).await;
    installation.until_online(&observer).await;
    let ours = |seen: &Seen| seen.topic == "g/bridge/info" && seen.payload.contains(r#""version""#);
    for greater in [true, true, false] {
        observer.forget();
        let instance = if greater { "z" } else { "0" };
        observer.publish("g/bridge/info", format!(r#"{{"instance":"{instance}"}}"#), true).await;
        observer.until("our answer, by which the other knows that we are alive", ours).await;
    }
    observer.publish("g/bridge/info", r#"{"instance":"0"}"#, true).await;
    let refused = bridge.end().await.unwrap_err();
    assert!(matches!(&refused, Failure::Misconfigured(why) if why.contains("mqtt.base_topic")), "{refused}");
}

#[tokio::test]
async fn a_strangers_info_ends_no_bridge_and_is_written_over() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let (bridge, _) = installation.run(&["alex"]).await;
    installation.until_online(&observer).await;
    for payload in [r#"{"instance":""}"#, "[]", "no JSON"] {
        observer.forget();
        observer.publish("g/bridge/info", payload, true).await;
        observer
            .until("ours again", |seen| seen.topic == "g/bridge/info" && seen.payload.contains(r#""version""#))
            .await;
    }
    bridge.stop().await;
}

#[tokio::test]
async fn a_topic_of_nobody_is_cleared_however_much_it_holds() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    for account in ["alex", "ghost"] {
        observer.publish(&format!("g/account/{account}/presence"), "x".repeat(300_000), true).await;
    }
    let (bridge, _) = installation.run(&["alex"]).await;
    observer.until_is("g/account/ghost/presence", "").await;
    observer.until("ours", |seen| seen.payload.contains(r#""availability":"Available""#)).await;
    bridge.stop().await;
}

#[test]
fn a_broker_that_gives_nothing_back_is_told() {
    // Mosquitto grants the subscription all the same.
    let Some(broker) = Broker::builder().acl("topic write #\n").start_mosquitto() else { return };
    let home = Home::new(&format!(
        "mqtt: {{ url: \"{}\", base_topic: g }}\nweb: {{ listen: \"127.0.0.1:0\" }}\n\
         entra: {{ authority: \"http://127.0.0.1:9\", tenant: contoso.com, client_id: 00000000-0000-0000-0000-000000000000 }}\n\
         accounts: {{ alex: {{ user: alex@contoso.com }} }}\n",
        broker.url()
    ));
    let mut bridge = home.start(&["bridge"]);
    let line = bridge.hears("gives nothing back");
    assert!(line.contains("WARN") && line.contains("g/#") && line.contains("ACL"), "{line}");
    assert!(bridge.stop().success());
}

#[tokio::test]
async fn a_base_topic_that_a_living_bridge_holds_is_refused() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let (first, yaml) = installation.run(&["alex"]).await;
    installation.until_online(&observer).await;
    let second = Installation {
        folder: tempfile::tempdir().unwrap(),
        cloud: installation.cloud.clone(),
        ..other(&installation).await
    };
    second.sign_in(&yaml, &["alex"]).await;
    let refused = second.start(&yaml).await.end().await.unwrap_err().to_string();
    assert!(refused.contains("mqtt.base_topic") && refused.contains("\"g\""), "{refused}");
    observer.until_is("g/bridge/state", "online").await;
    installation.cloud.set_presence(&user("alex"), "Busy", "Presenting");
    until_activity(&observer, "g/account/alex/presence", "Presenting").await;
    first.stop().await;
}

/// Another installation, whose own parts are not used.
async fn other(installation: &Installation) -> Installation {
    Installation { base: installation.base, ..Installation::with(&[]).await }
}

#[tokio::test]
async fn a_base_topic_that_a_dead_bridge_left_online_is_taken_over() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    observer.publish("g/bridge/info", r#"{"instance":"gone"}"#, true).await;
    observer.publish("g/bridge/state", "online", true).await;
    observer.until_is("g/bridge/state", "online").await;
    let (bridge, _) = installation.run(&["alex"]).await;
    until_activity(&observer, "g/account/alex/presence", "Available").await;
    installation.until_online(&observer).await;
    bridge.stop().await;
}

#[tokio::test]
async fn an_offline_in_our_name_is_answered_and_a_killed_bridge_is_succeeded() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let (first, yaml) = installation.run(&["alex"]).await;
    installation.until_online(&observer).await;
    observer.publish("g/bridge/state", "offline", true).await;
    observer.until_is("g/bridge/state", "offline").await;
    installation.until_online(&observer).await;
    first.kill().await;
    let second = installation.start(&yaml).await;
    observer.until_is("g/bridge/state", "offline").await;
    installation.until_online(&observer).await;
    second.stop().await;
}
