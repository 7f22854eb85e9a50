//! `login` and `accounts` as a person runs them.

use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use graph2mqtt::entra::Principal;
use graph2mqtt::simulator::{Application, Call, Route};
use graph2mqtt::store::{Enrolment, Origin};
use jiff::ToSpan;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::world::{CLIENT, SECRET, World, person, upn};

const ACCOUNTS: &str = "  alex: { user: alex@contoso.com }\n  kim: { user: kim@contoso.com, via: alex }\n";

fn start(world: &World, arguments: &[&str]) -> Child {
    start_as(world, arguments, ACCOUNTS, "")
}

/// With these accounts, and further keys of `entra`.
fn start_as(world: &World, arguments: &[&str], accounts: &str, entra: &str) -> Child {
    let (authority, endpoint) = (world.cloud.authority(), world.cloud.graph());
    let config = world.folder().join("graph2mqtt.yaml");
    fs::write(
        &config,
        format!(
            "entra: {{ authority: \"{authority}\", tenant: contoso.com, client_id: {CLIENT}{entra} }}\n\
             graph: {{ endpoint: \"{endpoint}\" }}\naccounts:\n{accounts}"
        ),
    )
    .unwrap();
    Command::new(env!("CARGO_BIN_EXE_graph2mqtt"))
        .args(["--config", config.to_str().unwrap()])
        .args(arguments)
        .env("no_proxy", "*")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

async fn end(child: Child) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

async fn run(world: &World, arguments: &[&str]) -> (Option<i32>, String, String) {
    end(start(world, arguments)).await
}

/// The code that the command waits with.
async fn code(world: &World) -> String {
    let polled = |calls: &[Call]| calls.iter().any(|call| call.route == Route::Token);
    world.cloud.calls().wait_for(Duration::from_secs(30), polled).await.unwrap();
    world.cloud.pending_codes().pop().unwrap()
}

async fn world() -> World {
    let world = World::new().await;
    world.cloud.consent(CLIENT, "contoso.com", &["Presence.Read.All", "User.ReadBasic.All"]);
    world.cloud.adjust(|rules| rules.interval = Duration::from_secs(1));
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_is_listed_and_is_removed() {
    let world = world().await;
    let login = start(&world, &["login", "alex"]);
    let user_code = code(&world).await;
    world.cloud.approve(&user_code, &upn("alex")).unwrap();
    let (status, shown, logged) = end(login).await;
    assert_eq!((status, &*logged), (Some(0), ""), "{shown}");
    assert!(shown.contains(&user_code) && shown.contains("signed in as alex@contoso.com"), "{shown}");
    assert!(shown.is_ascii(), "not plain, though no terminal looks: {shown}");

    let (status, shown, _) = run(&world, &["accounts", "--json"]).await;
    let rows: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((status, &rows[0]["state"], &rows[1]["via"]), (Some(0), &"signed in".into(), &"alex".into()));
    assert!(rows[0]["last_refresh"].is_string(), "{rows}");
    let (_, table, _) = run(&world, &["accounts"]).await;
    assert_eq!(table.lines().count(), 3, "{table}");

    let (status, shown, _) = run(&world, &["accounts", "remove", "alex"]).await;
    assert!(status == Some(0) && shown.contains("forgotten"), "{shown}");
    let (status, shown, _) = run(&world, &["accounts", "remove", "alex"]).await;
    assert!(status == Some(0) && shown.contains("no sign-in to forget"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_in_another_way_meanwhile_is_not_waited_for() {
    let world = world().await;
    let login = start(&world, &["login", "alex"]);
    let user_code = code(&world).await;
    world.sign_in(&world.start(&world.settings(&["alex"])).await, "alex").await.unwrap();
    let process = Pid::from_raw(login.id().try_into().unwrap());
    let ended = tokio::time::timeout(Duration::from_secs(20), end(login)).await;
    let ended = ended.unwrap_or_else(|_| {
        kill(process, Signal::SIGKILL).unwrap();
        panic!("it waits on");
    });
    assert!(ended.0 == Some(0) && ended.1.contains("signed in as alex@contoso.com"), "{ended:?}");
    assert!(world.cloud.pending_codes().contains(&user_code), "nobody used its code");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_does_not_open_is_listed_and_asks_for_another() {
    let world = world().await;
    let settings = world.settings(&["alex"]);
    world.sign_in(&world.start(&settings).await, "alex").await.unwrap();
    world.alter("alex").await;
    let trouble = world.start(&settings).await.access(&person("alex")).await.unwrap_err();
    let text = trouble.to_string();
    assert!(matches!(trouble, graph2mqtt::entra::Trouble::SignIn { .. }) && text.ends_with("login alex"), "{text}");
    let (_, shown, _) = run(&world, &["accounts", "--json"]).await;
    let rows: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&rows[0]["state"], &rows[0]["signed_in_as"]), (&"needs sign-in".into(), &"alex@contoso.com".into()));
    let reason = rows[0]["reason"].as_str().unwrap();
    assert!(reason.contains("does not open") && reason.ends_with("graph2mqtt login alex"), "{reason}");

    world.sign_in(&world.start(&settings).await, "alex").await.unwrap();
    world.start(&settings).await.access(&person("alex")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_entra_revoked_is_told_as_such_and_why() {
    let world = world().await;
    let settings = world.settings(&["alex"]);
    world.sign_in(&world.start(&settings).await, "alex").await.unwrap();
    world.cloud.revoke(&upn("alex"));
    let tokens = world.start(&settings).await;
    let token = tokens.access(&person("alex")).await.unwrap();
    tokens.renew(&person("alex"), &token, None).await.unwrap_err();
    let (_, shown, _) = run(&world, &["accounts", "--json"]).await;
    let rows: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&rows[0]["state"], &rows[0]["origin"]), (&"needs sign-in".into(), &"configured".into()));
    assert!(rows[0]["reason"].as_str().unwrap().contains("graph2mqtt login alex"), "{rows}");
    let (_, table, _) = run(&world, &["accounts"]).await;
    assert!(table.contains("needs sign-in") && table.contains("graph2mqtt login alex"), "{table}");

    world.sign_in(&tokens, "alex").await.unwrap();
    let (_, table, _) = run(&world, &["accounts"]).await;
    assert!(table.contains("signed in") && !table.contains("graph2mqtt login"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_by_the_applications_right_or_anothers_is_listed_as_that_right_stands() {
    const ALL: &str = "  alex: { user: alex@contoso.com }\n  kim: { user: kim@contoso.com, via: alex }\n  \
                       sam: { user: sam@contoso.com, via: app }\n";
    let application = Application::confidential(CLIENT, "contoso.com", SECRET).expired_secret("old");
    let world = World::with(application.delegated(&["Presence.Read.All", "User.ReadBasic.All"])).await;
    let settings =
        |secret: &str| world.settings_of(&format!("accounts:\n{ALL}"), &format!(", client_secret: {secret}"));
    let (own, proof) = (Principal::Application("contoso.com".into()), format!(", client_secret: {SECRET}"));
    let listed = async || {
        let (_, shown, _) = end(start_as(&world, &["accounts", "--json"], ALL, &proof)).await;
        let rows: serde_json::Value = serde_json::from_str(&shown).unwrap();
        [0, 1, 2].map(|at| {
            let words = |key: &str| rows[at][key].as_str().unwrap_or_default().to_owned();
            (words("state"), words("reason"))
        })
    };
    let [alex, kim, sam] = listed().await;
    assert_eq!([&*alex.0, &kim.0, &sam.0], ["needs sign-in", "needs sign-in", "needs no sign-in"]);
    assert_eq!(kim.1, "account alex: needs sign-in; whoever is read by its right waits for that");

    let tokens = world.start(&settings("old")).await;
    let trouble = tokens.access(&own).await.unwrap_err().to_string();
    let [.., sam] = listed().await;
    assert_eq!(sam, ("blocked".to_owned(), trouble.clone()));
    assert!(trouble.contains("client_secret has expired"), "{trouble}");
    let (_, table, _) = end(start_as(&world, &["accounts"], ALL, &proof)).await;
    assert!(table.contains("blocked") && table.contains(&trouble), "{table}");

    let tokens = world.start(&settings(SECRET)).await;
    world.sign_in(&tokens, "alex").await.unwrap();
    tokens.access(&own).await.unwrap();
    let well = ["signed in", "needs no sign-in", "needs no sign-in"].map(|state| (state.to_owned(), String::new()));
    assert_eq!(listed().await, well);

    world.cloud.revoke(&upn("alex"));
    let token = tokens.access(&person("alex")).await.unwrap();
    tokens.renew(&person("alex"), &token, None).await.unwrap_err();
    let [alex, kim, _] = listed().await;
    assert!(alex == kim && kim.0 == "needs sign-in" && kim.1.ends_with("graph2mqtt login alex"), "{kim:?}");
    let (_, table, _) = end(start_as(&world, &["accounts"], ALL, &proof)).await;
    assert_eq!(table.matches(&*kim.1).count(), 1, "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_enrolled_is_listed_and_can_be_removed() {
    const ID: &str = "33333333-0000-4000-8000-000000000003";
    let world = world().await;
    let store = world.store().await;
    let (now, tenant) = (jiff::Timestamp::now(), "11111111-0000-4000-8000-000000000001");
    let kim = Enrolment {
        tenant_id: tenant.parse().unwrap(),
        object_id: ID.parse().unwrap(),
        username: "kim@fabrikam.com".into(),
        confidential: false,
        granted_at: now,
    };
    let held = store.hold(&"{}".to_owned().into(), now, now + 1.minutes()).await.unwrap();
    store.enrol(held, kim, now).await.unwrap();
    let (_, shown, _) = run(&world, &["accounts", "--json"]).await;
    let rows: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let row = &rows[2];
    assert_eq!([&row["account"], &row["user"], &row["tenant"]], [ID, "kim@fabrikam.com", tenant]);
    assert_eq!([&row["origin"], &row["via"], &row["state"]], ["enrolled", "sign_in", "signed in"]);

    let slip = ID.replace("33333333", "33333334");
    let (status, _, told) = run(&world, &["accounts", "remove", &slip]).await;
    assert!(status == Some(2) && told.contains(&format!("did you mean {ID}?")), "{told}");
    let (status, shown, _) = run(&world, &["accounts", "remove", ID, "--yes", "--json"]).await;
    assert_eq!((status, shown.trim()), (Some(0), &*format!(r#"{{"account":"{ID}","removed":true}}"#)));
    let (_, shown, _) = run(&world, &["accounts"]).await;
    assert!(!shown.contains(ID), "{shown}");
    assert_eq!(
        store.roll().await.unwrap().gone,
        [(ID.parse().unwrap(), Origin::Enrolled)],
        "a start clears its topics"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_names_the_nearest_account_and_ends_with_2() {
    let world = world().await;
    for arguments in [&["login", "alx"][..], &["accounts", "remove", "Alex"]] {
        let (status, _, told) = run(&world, arguments).await;
        assert!(status == Some(2) && told.contains("did you mean alex?"), "{arguments:?}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_read_through_another_needs_no_sign_in() {
    let world = world().await;
    let (status, shown, _) = run(&world, &["login", "kim"]).await;
    assert!(status == Some(0) && shown.contains("read through alex"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_the_waiting_and_changes_nothing() {
    let world = world().await;
    let login = start(&world, &["login", "alex"]);
    code(&world).await;
    kill(Pid::from_raw(login.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let (status, _, told) = end(login).await;
    assert!(status == Some(1) && told.contains("cancelled; nothing was changed"), "{told}");
    assert!(world.store().await.grants().await.unwrap().is_empty());
}
