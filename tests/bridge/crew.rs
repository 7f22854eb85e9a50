//! Accounts that come and go while the bridge runs, and between two starts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use graph2mqtt::presence::AccountName;
use graph2mqtt::simulator::Call;

use super::installation::{CLIENT, Installation, TENANT, name, user};
use super::slow::Slow;
use super::support::observer::{Seen, newest};
use super::support::{Home, Observer};
use super::{json, until_activity};

const LEAVES: [&str; 3] = ["presence", "state", "sign_in"];

/// Within what time a running bridge takes up what another process did.
const SOON: Duration = Duration::from_secs(10);

fn topic(account: &AccountName, leaf: &str) -> String {
    format!("g/account/{account}/{leaf}")
}

fn device(account: &AccountName) -> String {
    format!("homeassistant/device/g_{account}/config")
}

fn topics(account: &AccountName) -> [String; 4] {
    let [presence, state, sign_in] = LEAVES.map(|leaf| topic(account, leaf));
    [presence, state, sign_in, device(account)]
}

/// Waits until all of an account's topics are cleared.
async fn until_cleared(observer: &Observer, account: &AccountName) {
    for topic in topics(account) {
        observer.until_is(&topic, "").await;
    }
}

fn polls_of(installation: &Installation, person: &str) -> Vec<Instant> {
    let theirs = |call: &Call| call.principal.as_deref() == Some(person);
    installation.polls().iter().filter(|call| theirs(call)).map(|call| call.at).collect()
}

#[tokio::test]
async fn who_enrols_is_polled_without_a_restart_and_who_is_removed_leaves_nothing_behind() {
    let installation = Installation::with(&["alex", "kim"]).await;
    let observer = installation.observe().await;
    let (bridge, _) = installation.run(&["alex"]).await;
    installation.until_online(&observer).await;
    let store = installation.store().await;

    let begun = Instant::now();
    let kim = installation.enrol(&store, &user("kim")).await;
    observer.until_is(&topic(&kim, "state"), "online").await;
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let presence = json(&observer.newest()[&topic(&kim, "presence")]);
    assert_eq!((&presence["account"], &presence["user_id"]), (&kim.as_str().into(), &kim.as_str().into()));
    observer.until("the sign-in", |seen| seen.topic == topic(&kim, "sign_in") && seen.payload.contains("ok")).await;
    let described = observer.until("kim's device", |seen| seen.topic == device(&kim)).await;
    assert_eq!(json(&described.payload)["device"]["name"], user("kim"));
    assert_eq!(json(&observer.newest()["g/bridge/info"])["accounts"], 2);
    assert_eq!(bridge.monitor.snapshot().accounts, 2);
    installation.cloud.set_presence(&user("kim"), "Busy", "InACall");
    until_activity(&observer, &topic(&kim, "presence"), "InACall").await;

    let begun = Instant::now();
    store.remove_grant(&kim).await.unwrap();
    until_cleared(&observer, &kim).await;
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    observer
        .until("one account", |seen| seen.topic == "g/bridge/info" && seen.payload.contains(r#""accounts":1,"#))
        .await;
    let polls = polls_of(&installation, &user("kim")).len();
    observer.forget();
    installation.cloud.set_presence(&user("kim"), "Away", "Away");
    installation.more_polls(3).await;
    assert_eq!(polls_of(&installation, &user("kim")).len(), polls, "nobody asks for kim any more");
    assert!(observer.seen().iter().all(|seen| !seen.topic.contains(kim.as_str())), "{:?}", observer.seen());
    assert_eq!(bridge.monitor.snapshot().accounts_online, 1);

    let again = installation.enrol(&store, &user("kim")).await;
    assert_eq!(again, kim);
    until_activity(&observer, &topic(&kim, "presence"), "Away").await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_restart_carries_on_who_enrolled_and_clears_who_was_removed_meanwhile() {
    let mut installation = Installation::with(&["kim", "sam"]).await;
    let observer = installation.observe().await;
    let store = installation.store().await;
    let yaml = installation.yaml(&[], "  nobody: { user: nobody@contoso.com }\n");
    let kim = installation.enrol(&store, &user("kim")).await;
    let sam = installation.enrol(&store, &user("sam")).await;
    let bridge = installation.start(&yaml).await;
    for account in [&kim, &sam] {
        observer.until("the device", |seen| seen.topic == device(account)).await;
    }
    bridge.stop().await;
    observer.until_is("g/bridge/state", "offline").await;
    store.remove_grant(&sam).await.unwrap();
    observer.forget();
    let bridge = installation.start(&yaml).await;
    until_cleared(&observer, &sam).await;
    installation.until_online(&observer).await;
    installation.more_polls(2).await;
    assert!(observer.seen().iter().all(|seen| !seen.topic.contains(kim.as_str())), "kim's are as they were");

    installation.broker.kill();
    installation.broker.restart();
    let observer = installation.observe().await;
    observer.until("kim again", |seen| seen.topic == device(&kim)).await;
    let kept: Vec<String> =
        observer.seen().into_iter().filter(|seen| !seen.payload.is_empty()).map(|seen| seen.topic).collect();
    assert!(kept.iter().all(|topic| !topic.contains(sam.as_str())), "{kept:?}");
    bridge.stop().await;
}

#[tokio::test]
async fn a_configured_account_whose_grant_is_removed_needs_a_sign_in_and_keeps_its_topics() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let (bridge, yaml) = installation.run(&["alex"]).await;
    installation.until_online(&observer).await;
    let begun = Instant::now();
    installation.store().await.remove_grant(&name("alex")).await.unwrap();
    observer.until_is("g/account/alex/state", "offline").await;
    observer.until("the need", |seen| seen.topic.ends_with("alex/sign_in") && seen.payload.contains("needed")).await;
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert!(!observer.newest()["g/account/alex/presence"].is_empty());
    installation.sign_in(&yaml, &["alex"]).await;
    observer.until_is("g/account/alex/state", "online").await;
    bridge.stop().await;
}

#[tokio::test]
async fn who_enrolled_with_a_lost_store_is_offline_and_keeps_the_rest() {
    let installation = Installation::with(&["alex", "kim"]).await;
    let observer = installation.observe().await;
    let kim = installation.enrol(&installation.store().await, &user("kim")).await;
    let (bridge, yaml) = installation.run(&["alex"]).await;
    observer.until("the device", |seen| seen.topic == device(&kim)).await;
    bridge.stop().await;
    let before = observer.newest();
    std::fs::remove_dir_all(installation.folder.path().join("store")).unwrap();
    installation.sign_in(&yaml, &["alex"]).await;
    for _ in 0..2 {
        let bridge = installation.start(&yaml).await;
        observer.until_is(&topic(&kim, "state"), "offline").await;
        installation.until_online(&observer).await;
        bridge.stop().await;
        observer.until_is("g/bridge/state", "offline").await;
        let fresh = installation.observe().await;
        let presence = fresh.until("what is retained", |seen| seen.topic == topic(&kim, "presence")).await;
        assert_eq!(presence.payload, before[&topic(&kim, "presence")]);
        assert_eq!(observer.newest()[&device(&kim)], before[&device(&kim)]);
    }
    let kim = installation.enrol(&installation.store().await, &user("kim")).await;
    let bridge = installation.start(&yaml).await;
    observer.until_is(&topic(&kim, "state"), "online").await;
    bridge.stop().await;
}

#[tokio::test]
async fn fifty_come_and_go_and_nobody_else_loses_a_turn() {
    let others = ["alex", "lee", "robin"];
    let crowd: Vec<String> = (0..75).map(|n| format!("p{n}")).collect();
    let people: Vec<&str> = others.into_iter().chain(crowd.iter().map(String::as_str)).collect();
    let mut installation = Installation::with(&people).await;
    let observer = installation.observe().await;
    let (bridge, _) = installation.run(&others).await;
    installation.until_online(&observer).await;
    let store = installation.store().await;
    let begun = Instant::now();
    let mut accounts = Vec::new();
    for person in &crowd {
        accounts.push(installation.enrol(&store, &user(person)).await);
        if accounts.len() % 3 == 0 {
            store.remove_grant(&accounts[accounts.len() - 3]).await.unwrap();
        }
        if accounts.len() == 40 {
            observer.until_is(&topic(&accounts[38], "state"), "online").await;
            installation.enrol(&store, &user("p0")).await;
        }
    }
    let (gone, there): (Vec<_>, Vec<_>) = accounts.iter().enumerate().partition(|(at, _)| at % 3 == 0 && *at > 0);
    let settled = |seen: &[Seen]| {
        let newest = newest(seen);
        let is = |topic: String, payload: &str| newest.get(&topic).map_or("", String::as_str) == payload;
        let online = there.iter().all(|(_, account)| is(topic(account, "state"), "online") && !is(device(account), ""));
        (online && gone.iter().all(|(_, account)| topics(account).into_iter().all(|topic| is(topic, "")))).then_some(())
    };
    observer.wait("everybody's state", settled).await;
    assert_eq!(bridge.monitor.snapshot().accounts, there.len() as u64 + 3);
    assert_eq!(bridge.monitor.snapshot().accounts_online, there.len() as u64 + 3);

    for (person, account) in [("alex", &name("alex")), ("p74", &accounts[74])] {
        installation.cloud.set_presence(&user(person), "Busy", "InACall");
        let seen = until_activity(&observer, &topic(account, "presence"), "InACall").await;
        assert_eq!(seen["account"], account.as_str(), "in its own topic");
    }
    for person in others {
        let polls: Vec<Instant> = polls_of(&installation, &user(person)).into_iter().filter(|at| *at > begun).collect();
        let longest = polls.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(longest < Duration::from_secs(3), "{person} waited for {longest:?}");
    }

    // All that is retained is what it was, after the broker lost it.
    let wanted = retained(&observer.seen());
    installation.broker.kill();
    installation.broker.restart();
    let observer = installation.observe().await;
    observer.wait("all that was retained", |seen| (retained(seen) == wanted).then_some(())).await;
    bridge.stop().await;
}

/// What is retained of the accounts.
fn retained(seen: &[Seen]) -> BTreeMap<String, String> {
    let mut newest = newest(seen);
    newest.retain(|topic, payload| !payload.is_empty() && !topic.starts_with("g/bridge/"));
    newest
}

#[tokio::test]
async fn each_of_several_tenants_is_asked_in_its_own_name() {
    let installation = Installation::with(&["alex", "kim"]).await;
    let fabrikam = installation.cloud.add_tenant("fabrikam.com");
    installation.cloud.consent(CLIENT, "fabrikam.com", &["Presence.Read"]);
    installation.cloud.add_person("dana@fabrikam.com", "dana");
    installation.cloud.set_presence("dana@fabrikam.com", "Busy", "Busy");
    let observer = installation.observe().await;
    let (bridge, _) = installation.run(&["alex"]).await;
    installation.until_online(&observer).await;
    let store = installation.store().await;
    let (kim, dana) =
        (installation.enrol(&store, &user("kim")).await, installation.enrol(&store, "dana@fabrikam.com").await);
    let grant = store.grant(&dana).await.unwrap().unwrap();
    assert_eq!(grant.tenant_id.as_str(), fabrikam);
    for account in [&kim, &dana] {
        observer.until_is(&topic(account, "state"), "online").await;
    }
    installation.cloud.expire_access_tokens("dana@fabrikam.com");
    let version = grant.version;
    let refreshed = async || store.grant(&dana).await.unwrap().unwrap().version > version;
    while !refreshed().await {
        installation.more_polls(1).await;
    }
    installation.cloud.set_presence("dana@fabrikam.com", "Away", "Away");
    until_activity(&observer, &topic(&dana, "presence"), "Away").await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_broker_that_takes_its_time_to_give_back_what_it_holds_is_waited_for() {
    let people: Vec<String> = (0..25).map(|n| format!("p{n}")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let installation = Installation::with(&people).await;
    let observer = installation.observe().await;
    let (bridge, yaml) = installation.run(&people).await;
    for person in &people {
        observer.until("the device", |seen| seen.topic == device(&name(person))).await;
    }
    bridge.stop().await;
    observer.until_is("g/bridge/state", "offline").await;
    observer.forget();
    let slow = Slow::start(installation.broker.address(), Duration::from_secs(4)).await;
    let through = yaml.replace(&installation.broker.url(), &format!("mqtt://{}", slow.address()));
    let begun = Instant::now();
    let bridge = installation.start(&through).await;
    installation.until_online(&observer).await;
    assert!(begun.elapsed() > Duration::from_secs(3), "it was not slow: {:?}", begun.elapsed());
    let published: Vec<String> = observer.seen().into_iter().map(|seen| seen.topic).collect();
    let anew: Vec<&String> = published.iter().filter(|topic| topic.contains("/account/")).collect();
    assert!(anew.is_empty(), "{anew:?}");
    bridge.stop().await;
}

/// As a user has it: the program, without a configured account, and commands beside it.
#[tokio::test(flavor = "multi_thread")]
async fn the_program_runs_for_those_who_enrol_and_its_command_removes_them() {
    let installation = Installation::with(&["kim"]).await;
    let observer = installation.observe().await;
    let store = installation.store().await;
    let folder = installation.folder.path().display();
    let web = format!("web: {{ listen: \"127.0.0.1:0\", enrol: {{ tenants: [{TENANT}] }} }}\n");
    let yaml = installation.yaml(&[], &web).replace("accounts:\n", "");
    let yaml = yaml
        .replace("sqlite://store", &format!("sqlite://{folder}/store"))
        .replace("store/key", &format!("{folder}/store/key"));
    let home = Home::new(&yaml);
    let mut program = home.start(&["run"]);
    installation.until_online(&observer).await;
    let kim = installation.enrol(&store, &user("kim")).await;
    observer.until_is(&topic(&kim, "state"), "online").await;
    let shown = String::from_utf8(home.output(&["accounts"]).stdout).unwrap();
    assert!(shown.contains(kim.as_str()) && shown.contains("kim@contoso.com") && shown.contains("enrolled"), "{shown}");
    let removed = home.output(&["accounts", "remove", kim.as_str(), "--yes"]);
    assert!(removed.status.success(), "{}", String::from_utf8_lossy(&removed.stderr));
    until_cleared(&observer, &kim).await;
    let said = program.said();
    assert!(program.stop().success());
    assert!(!said.contains("WARN") && !said.contains("ERROR"), "a normal run warns of nothing: {said}");
}
