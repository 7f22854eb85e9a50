//! People who are read together: what is wrong with one of them is told of that one, and costs the others nothing.

use std::time::{Duration, Instant};

use graph2mqtt::simulator::{Call, Fault, Route, What};
use serde_json::json;

use super::installation::{Installation, user};
use super::requests::ask;
use super::support::Observer;
use super::until_activity;

/// Waits until an account's sign_in topic says this.
async fn until_sign_in(observer: &Observer, account: &str, state: &str) -> String {
    let topic = format!("g/account/{account}/sign_in");
    let says = format!(r#"{{"state":"{state}""#);
    observer
        .until(&format!("{state} on {topic}"), |seen| seen.topic == topic && seen.payload.starts_with(&says))
        .await
        .payload
}

fn by_id(accounts: &[(&str, String)]) -> String {
    accounts.iter().map(|(account, id)| format!("  {account}: {{ user: {id}, via: app }}\n")).collect()
}

#[tokio::test]
async fn a_batch_that_graph_refuses_is_halved_until_the_culprit_stands_alone() {
    for status in [400, 404, 413] {
        let people = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let installation = Installation::with(&people).await;
        let observer = installation.observe().await;
        let culprit = installation.cloud.person_id(&user("c"));
        installation.cloud.adjust(|rules| rules.refused = Some((culprit, status)));
        let ids = people.map(|person| (person, installation.cloud.person_id(&user(person)).to_string()));
        let bridge = installation.start(&installation.yaml_by_application(&by_id(&ids))).await;
        for person in people.iter().filter(|person| **person != "c") {
            observer.until_is(&format!("g/account/{person}/state"), "online").await;
        }
        // Of eight, four, two and one.
        let first: Vec<_> = installation.polls().iter().map(|call| call.size).collect();
        assert_eq!(first[..7].iter().sum::<usize>(), 8 + 2 * 4 + 2 * 2 + 2, "{first:?}");
        let reason = until_sign_in(&observer, "c", "blocked").await;
        assert!(reason.contains(&status.to_string()) && reason.contains("object id"), "{reason}");
        assert!(reason.contains("graph.endpoint"), "{reason}");
        installation.more_polls(3).await;
        let last = installation.polls();
        assert!(last.iter().rev().take(2).all(|call| call.size == 7 && call.status == Some(200)), "{last:?}");
        // Of eight, four and two: whoever was found out spoils no further batch.
        let spoilt = installation.polls().iter().filter(|call| call.size > 1 && call.status == Some(status)).count();
        assert_eq!(spoilt, 3);
        installation.cloud.adjust(|rules| rules.refused = None);
        ask(&observer, "poll", json!({ "account": "c" })).await;
        observer.until_is("g/account/c/state", "online").await;
        until_sign_in(&observer, "c", "ok").await;
        let together = |calls: &[Call]| calls.iter().any(|call| call.size == 8 && call.status == Some(200));
        installation.cloud.calls().wait_for(Duration::from_secs(10), together).await.unwrap();
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_wrong_endpoint_is_not_asked_once_for_each_person() {
    let people: Vec<String> = (0..64).map(|number| format!("p{number}")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let installation = Installation::with(&people).await;
    installation.cloud.fault(Fault::new("getPresencesByUserId", What::status(404, "{}")));
    let ids: Vec<_> =
        people.iter().map(|person| (*person, installation.cloud.person_id(&user(person)).to_string())).collect();
    let observer = installation.observe().await;
    let bridge = installation.start(&installation.yaml_by_application(&by_id(&ids))).await;
    for person in &people {
        observer.until_is(&format!("g/account/{person}/state"), "offline").await;
    }
    let calls = installation.cloud.calls().count(|call| call.route == Route::Presences);
    assert!(calls < 64, "{calls} calls");
    bridge.stop().await;
}

#[tokio::test]
async fn who_is_left_out_of_the_answers_is_told_why_and_healed_by_coming() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let stranger = "5a000000-0000-4000-8000-000000000001";
    let ids = [("alex", installation.cloud.person_id(&user("alex")).to_string()), ("sam", stranger.to_owned())];
    let bridge = installation.start(&installation.yaml_by_application(&by_id(&ids))).await;
    observer.until_is("g/account/alex/state", "online").await;
    let reason = until_sign_in(&observer, "sam", "blocked").await;
    assert!(reason.contains("leaves this user out") && reason.contains("object id"), "{reason}");
    assert_eq!(observer.newest()["g/account/sam/state"], "offline");
    installation.cloud.add_person_as(stranger.parse().unwrap(), &user("sam"), "Sam");
    ask(&observer, "poll", json!({})).await;
    observer.until_is("g/account/sam/state", "online").await;
    until_sign_in(&observer, "sam", "ok").await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_request_to_poll_keeps_the_time_that_graph_named() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let (bridge, _) = installation.run(&["alex"]).await;
    installation.until_online(&observer).await;
    installation.cloud.fault(Fault::new("/me/presence", What::retry_after(503, 4)).times(1));
    let refused = |calls: &[Call]| calls.iter().any(|call| call.status == Some(503));
    installation.cloud.calls().wait_for(Duration::from_secs(10), refused).await.unwrap();
    let polls = installation.polls().len();
    for request in [json!({ "account": "alex" }), json!({}), json!({ "account": "alex" })] {
        ask(&observer, "poll", request).await;
    }
    installation.more_polls(1).await;
    let calls = installation.polls();
    let (refused, next) = (&calls[polls - 1], &calls[polls]);
    assert_eq!(refused.status, Some(503));
    assert!(next.at >= refused.answered + Duration::from_secs(4), "asked after {:?}", next.at - refused.answered);
    bridge.stop().await;
}

#[tokio::test]
async fn a_request_to_poll_does_not_wait_for_our_own_back_off() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let yaml = installation.yaml(&["alex"], "").replace("active: 1s, quiet: 1s", "active: 5m, quiet: 5m");
    installation.sign_in(&yaml, &["alex"]).await;
    installation.cloud.fault(Fault::new("/me/presence", What::status(500, "{}")).times(1));
    let bridge = installation.start(&yaml).await;
    observer.until_is("g/account/alex/state", "offline").await;
    let begun = Instant::now();
    ask(&observer, "poll", json!({})).await;
    observer.until_is("g/account/alex/state", "online").await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    bridge.stop().await;
}

#[tokio::test]
async fn who_is_read_by_another_accounts_right_follows_with_that_accounts_sign_in() {
    let installation = Installation::with(&["alex", "sam"]).await;
    let observer = installation.observe().await;
    let sam = installation.cloud.person_id(&user("sam"));
    let yaml = installation.yaml(&["alex"], &format!("  sam: {{ user: {sam}, via: alex }}\n"));
    let bridge = installation.start(&yaml).await;
    until_sign_in(&observer, "sam", "needed").await;
    // As by `login` beside the running bridge.
    installation.sign_in(&yaml, &["alex"]).await;
    for account in ["alex", "sam"] {
        observer.until_is(&format!("g/account/{account}/state"), "online").await;
    }
    installation.cloud.set_presence(&user("sam"), "Busy", "InACall");
    until_activity(&observer, "g/account/sam/presence", "InACall").await;
    let by_alex = |call: &Call| call.route == Route::Presences && call.principal.as_deref() == Some(&user("alex"));
    assert!(installation.cloud.calls().count(by_alex) > 0);
    bridge.stop().await;
}
