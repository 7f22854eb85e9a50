//! `hubs`, `pair`, `lights` and `lights test`, as a person types them: what they print, and how they end.

#![cfg(test)]
#![cfg(all(test, feature = "demo"))]

mod support;

use std::process::Output;
use std::time::Duration;

use graph2mqtt::simulator::{Certificate, Gamut, Hub, Kind, Plan, Request, Wled};
use nix::sys::signal::Signal;
use serde_json::Value;
use support::{Home, Program};

const ID: &str = "001788fffe102030";
const PATIENCE: Duration = Duration::from_secs(30);
const ALONE: [&str; 3] = ["--no-cloud", "--wait", "1"];

fn plan() -> Plan {
    let relax = [("Desk", serde_json::json!({"on": {"on": true}, "color": {"xy": {"x": 0.5, "y": 0.4}}}))];
    Hub::plan()
        .room("Office", &[("Desk", Kind::Color(Gamut::C)), ("Shelf", Kind::White)])
        .scene("Office", "Relax", &relax)
}

async fn hub() -> Hub {
    let hub = plan().start().await.unwrap();
    hub.revoke_key();
    hub
}

/// A configuration with this hub as `office`, further keys of it, and one light.
fn home(hub: &Hub, keys: &str) -> Home {
    Home::new(&format!(
        "hubs: {{ office: {{ host: '{}'{keys} }} }}\nlights: {{ desk: {{ hub: office, target: room/Office, follow: alex }} }}\n",
        hub.address()
    ))
}

/// What a command came to: exit code, stdout, stderr.
fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

async fn run(home: &Home, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = home.command(arguments);
    said(&tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap())
}

async fn json(home: &Home, arguments: &[&str]) -> (Option<i32>, Value) {
    let (code, out, err) = run(home, arguments).await;
    (code, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}\n{err}")))
}

fn hubs<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ["hubs"].iter().chain(&ALONE).chain(more).copied().collect()
}

/// Pairs, with the button pressed once the hub is asked.
async fn pair(home: &Home, hub: &Hub, arguments: &[&str]) -> (Option<i32>, String, String) {
    let pressed = async {
        let asked = |requests: &[Request]| requests.iter().any(|it| it.route == "POST /api");
        hub.requests().wait_for(PATIENCE, asked).await.unwrap();
        hub.press_button();
    };
    tokio::join!(run(home, arguments), pressed).0
}

#[tokio::test(flavor = "multi_thread")]
async fn hubs_are_listed_with_what_they_are_and_whether_they_are_paired() {
    let hub = hub().await;
    let home = home(&hub, "");
    let (code, out, err) = run(&home, &hubs(&[])).await;
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let address = hub.address().to_string();
    let row = out.lines().find(|line| line.contains(ID)).unwrap();
    let columns: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(columns, [ID, &address, "BSB002", "1968096020", "no", "Simulated", "Hue", "(hubs.office)"]);
    assert!(out.contains("graph2mqtt pair office"), "{out}");
    let (code, listed) = json(&home, &hubs(&["--json"])).await;
    assert_eq!(code, Some(0));
    let expected = serde_json::json!([{
        "hub": "office", "id": ID, "address": address, "model": "BSB002", "software": "1968096020",
        "name": "Simulated Hue", "paired": false, "answers": true,
    }]);
    assert_eq!(listed, expected);
    pair(&home, &hub, &["pair", "office"]).await;
    assert_eq!(json(&home, &hubs(&["--json"])).await.1[0]["paired"], true);

    hub.down().await;
    let (code, out, _) = run(&home, &hubs(&[])).await;
    assert_eq!(code, Some(0));
    assert!(out.contains("does not answer") && out.contains("(hubs.office)"), "{out}");
    assert_eq!(json(&home, &hubs(&["--json"])).await.1[0]["answers"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_hub_is_found_it_is_said_where_to_look_and_the_vendors_list_can_be_left_out() {
    let mut list = mockito::Server::new_async().await;
    let asked = list.mock("GET", "/").with_status(429).expect(1).create_async().await;
    let home = Home::new("{}");
    let (code, out, err) = run(&home, &["hubs", "--wait", "1", "--cloud", &list.url()]).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("No hub was found") && out.contains("graph2mqtt pair ADDRESS"), "{out}");
    assert!(err.contains("asked too often"), "{err}");
    asked.assert_async().await;
    assert_eq!(json(&home, &hubs(&["--json"])).await, (Some(0), serde_json::json!([])));
    asked.assert_async().await;
    let (code, ..) = run(&home, &["hubs", "--no-cloud", "--cloud", "http://127.0.0.1:1"]).await;
    assert_eq!(code, Some(2), "both at once mean nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_is_paired_by_name_and_its_key_kept_and_never_shown() {
    let hub = hub().await;
    let home = home(&hub, "");
    let (code, out, err) = pair(&home, &hub, &["--log", "trace", "pair", "office"]).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains(&format!("Hub {ID} is paired")) && out.contains("graph2mqtt lights"), "{out}");
    assert!(err.contains("Press the round link button on the hub within 60 s"), "{err}");
    assert!(!err.contains('\u{1b}'), "where nobody looks, nothing is drawn: {err}");
    assert!(!out.contains(&hub.key()) && !err.contains(&hub.key()), "the key is shown");
    let (code, out, err) = run(&home, &["lights"]).await;
    assert_eq!(code, Some(0), "{out}\n{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_is_paired_by_its_address_and_the_line_for_the_configuration_printed() {
    let hub = hub().await;
    let home = Home::new("{}");
    let address = hub.address().to_string();
    let (code, out, err) = pair(&home, &hub, &["pair", &address]).await;
    assert_eq!(code, Some(0), "{err}");
    let line = out.lines().find(|line| line.contains("office: {")).unwrap();
    assert_eq!(line.trim(), format!("office: {{ host: {address}, id: {ID} }}"));
    // The line as it stands works, with the key that is kept.
    home.configure(&format!("hubs:\n{line}\nlights: {{ desk: {{ hub: office, target: Desk, follow: alex }} }}\n"));
    let (code, out, _) = run(&home, &["lights"]).await;
    assert!(code == Some(0) && out.contains("target: room/Office"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_of_old_that_is_reached_by_https_is_configured_for_https() {
    let hub = plan().v1().start().await.unwrap();
    hub.revoke_key();
    let home = Home::new("{}");
    let address = hub.address().to_string();
    let (code, out, err) = pair(&home, &hub, &["pair", &address]).await;
    assert_eq!(code, Some(0), "{err}");
    let line = out.lines().find(|line| line.contains("office: {")).unwrap();
    assert_eq!(line.trim(), format!("office: {{ host: {address}, id: {ID} }}"), "api: v1 would lead to plain http");
    home.configure(&format!("hubs:\n{line}\nlights: {{ desk: {{ hub: office, target: Desk, follow: alex }} }}\n"));
    let (code, out, err) = run(&home, &["lights"]).await;
    assert!(code == Some(0) && out.contains("target: room/Office"), "{out}\n{err}");
    let pinned = format!(", api: v1, certificate_sha256: '{}'", hub.certificate_sha256());
    let (.., err) = pair(&self::home(&hub, &pinned), &hub, &["pair", "office", "--print-key"]).await;
    let line = err.lines().find(|line| line.contains("office: {")).unwrap();
    assert!(!line.contains("api: v1") && line.contains(&hub.certificate_sha256()), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_a_file_is_all_of_stdout_and_kept_nowhere() {
    let hub = hub().await;
    let home = home(&hub, "");
    let (code, out, err) = pair(&home, &hub, &["pair", "office", "--print-key"]).await;
    assert_eq!((code, out.trim()), (Some(0), hub.key().as_str()), "{err}");
    assert!(err.contains("key_file:") && err.contains(&hub.certificate_sha256()), "{err}");
    assert_eq!(json(&home, &hubs(&["--json"])).await.1[0]["paired"], false);
    // As it says, so it works.
    std::fs::create_dir(home.path().join("secrets")).unwrap();
    std::fs::write(home.path().join("secrets/hue"), out).unwrap();
    let line = err.lines().find(|line| line.contains("office: {")).unwrap();
    home.configure(&format!("hubs:\n{line}\n"));
    let (code, out, err) = run(&home, &["lights"]).await;
    assert!(code == Some(0) && out.contains("room/Office"), "{out}\n{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_hub_from_being_paired_is_told_and_changes_nothing() {
    let hub = hub().await;
    let right = home(&hub, "");
    let (code, out, err) = run(&right, &["pair", "office", "--wait", "1"]).await;
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("nobody pressed the link button within 1 s"), "{err}");
    let wrong = home(&hub, ", id: 001788fffe999999");
    let (code, _, err) = run(&wrong, &["pair", "office"]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("hubs.office.id is 001788fffe999999"), "{err}");
    let (code, _, err) = run(&right, &["pair", "attic"]).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("it has office"), "{err}");
    let (code, _, err) = run(&right, &["pair", "001788fffe000000"]).await;
    assert_eq!(code, Some(1), "the usage is right, and the hub away: {err}");
    assert!(err.contains("no hub of this id") && err.contains("give its address"), "{err}");
    assert_eq!(run(&right, &["pair", "office", "--wait", "0"]).await.0, Some(2));
    hub.down().await;
    let (code, _, err) = run(&right, &["pair", "office"]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains(&format!("https://{}", hub.address())) && err.contains("is the hub on"), "{err}");
    assert_eq!(json(&right, &hubs(&["--json"])).await.1[0]["paired"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_the_wait_for_the_button() {
    let hub = hub().await;
    let home = home(&hub, "");
    let mut program = home.start(&["pair", "office"]);
    program.hears("Press the round link button");
    program.signal(Signal::SIGINT);
    assert_eq!(program.ends().code(), Some(1));
    assert!(program.said().contains("cancelled; nothing was changed"), "{}", program.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_the_wait_is_counted_down() {
    let script = std::process::Command::new("script").arg("--version").output();
    if !script.is_ok_and(|output| output.status.success()) {
        return println!("not run: script (util-linux) is missing");
    }
    let hub = hub().await;
    let home = home(&hub, "");
    let program = env!("CARGO_BIN_EXE_graph2mqtt");
    let mut command = home.command(&[]);
    let folder = command.get_current_dir().unwrap().to_owned();
    command = std::process::Command::new("script");
    command.current_dir(folder).env("TERM", "xterm").stdin(std::process::Stdio::null());
    command.args(["-qec", &format!("{program} --config graph2mqtt.yaml pair office --wait 30"), "/dev/null"]);
    let mut program = Program::spawn(command);
    let asked = |requests: &[Request]| requests.iter().filter(|it| it.route == "POST /api").count() >= 2;
    hub.requests().wait_for(PATIENCE, asked).await.unwrap();
    hub.press_button();
    assert!(program.ends().success(), "{}", program.said());
    program.hears("is paired");
    for drawn in ["Waiting for the button, 30 s left", "Waiting for the button, 29 s left"] {
        assert!(program.said().contains(drawn), "{}", program.said());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_certificate_is_told_before_the_button_counts() {
    let hub = hub().await;
    let home = home(&hub, "");
    pair(&home, &hub, &["pair", "office"]).await;
    let before = hub.certificate_sha256();
    hub.present(Certificate::self_signed(ID));
    let (code, out, _) = run(&home, &["lights"]).await;
    assert!(code == Some(1) && out.contains("its certificate is not the one known"), "{out}");
    let (code, _, err) = pair(&home, &hub, &["pair", "office"]).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains(&before) && err.contains(&hub.certificate_sha256()), "{err}");
    assert_eq!(run(&home, &["lights"]).await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn lights_are_listed_with_what_to_write_as_target_and_what_is_wrong() {
    let hub = hub().await;
    let home = home(&hub, "");
    let (code, out, _) = run(&home, &["lights"]).await;
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("Hub office") && out.contains("graph2mqtt pair office"), "{out}");
    pair(&home, &hub, &["pair", "office"]).await;
    let (code, out, err) = run(&home, &["lights"]).await;
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    for part in
        ["Hub office (001788fffe102030)", "target: room/Office", "scenes: Relax", "target: light/Shelf", "desk", ": ok"]
    {
        assert!(out.contains(part), "{part}: {out}");
    }
    let (code, listed) = json(&home, &["lights", "--json"]).await;
    assert_eq!(code, Some(0));
    assert_eq!(listed["hubs"][0]["places"][0]["target"], "room/Office");
    assert_eq!(listed["hubs"][0]["lights"][1]["can"], serde_json::json!(["brightness", "on", "breathe", "blink"]));
    assert_eq!((&listed["lights"][0]["light"], &listed["lights"][0]["error"]), (&"desk".into(), &Value::Null));

    hub.revoke_key();
    let (code, out, _) = run(&home, &["lights"]).await;
    assert!(code == Some(1) && out.contains("does not know the application key any more"), "{out}");
    hub.down().await;
    let (code, listed) = json(&home, &["lights", "--json"]).await;
    assert_eq!(code, Some(1));
    assert!(listed["hubs"][0]["error"].as_str().unwrap().contains("is the hub on"), "{listed}");
    assert_eq!(listed["lights"][0]["error"], "not looked up: mend hub office first", "it is waited for once");
    assert_eq!(run(&Home::new("{}"), &["lights"]).await.1.trim(), "No hub is configured or paired: graph2mqtt hubs");
}

#[tokio::test(flavor = "multi_thread")]
async fn scenes_that_a_light_cannot_show_are_told_before_they_are_due() {
    let hub = plan().start().await.unwrap();
    let said = async |target: &str, colors: &str| {
        let home = Home::new(&format!(
            "mqtt: {{ url: 'mqtt://127.0.0.1:9' }}\nhubs: {{ office: {{ host: '{}', id: {ID}, key: {} }} }}\n\
             lights: {{ desk: {{ hub: office, target: {target}, follow: alex }} }}\n\
             colors: {{ Available: {colors} }}\n",
            hub.address(),
            hub.key()
        ));
        let (code, listed) = json(&home, &["lights", "--json"]).await;
        let error = listed["lights"][0]["error"].as_str().map(str::to_owned);
        assert_eq!(code, Some(i32::from(error.is_some())), "{listed}");
        let (_, checked, _) = run(&home, &["check"]).await;
        let line = checked.lines().find(|line| line.contains("light desk")).unwrap().to_owned();
        assert_eq!(error.is_none(), line.starts_with("ok"), "{line}");
        assert!(error.as_ref().is_none_or(|error| line.contains(error)), "{line}");
        error
    };
    assert_eq!(said("room/Office", "scene:relax").await, None);
    let mistyped = said("room/Office", "{ color: 'scene:Realx', brightness: 40% }").await.unwrap();
    assert!(mistyped.contains("no scene \"Realx\"; it has Relax") && mistyped.contains("colors"), "{mistyped}");
    let lamp = said("light/Desk", "scene:Relax").await.unwrap();
    assert!(lamp.contains("scenes belong to rooms and zones"), "{lamp}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_flash_shows_which_lamp_it_is_and_what_is_wrong_with_it() {
    let hub = hub().await;
    hub.adjust(|limits| limits.group_gap = Duration::ZERO);
    let home = home(&hub, "");
    assert_eq!(run(&home, &["lights", "test", "desk"]).await.0, Some(1), "it is not paired");
    pair(&home, &hub, &["pair", "office"]).await;
    let (code, out, err) = run(&home, &["lights", "test", "desk"]).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("desk flashes"), "{out}");
    assert!(hub.commands().count(|_| true) > 0);
    assert!(!hub.lamp("Desk").on, "it shows what it showed before");
    let (code, flashed) = json(&home, &["lights", "test", "desk", "--json"]).await;
    assert_eq!((code, flashed), (Some(0), serde_json::json!({"light": "desk", "flashed": true})));
    let (code, _, err) = run(&home, &["lights", "test", "deks"]).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("did you mean desk?"), "{err}");
    hub.unreachable("Desk");
    hub.unreachable("Shelf");
    let (code, out, err) = run(&home, &["lights", "test", "desk"]).await;
    assert!(code == Some(1) && err.contains("out of reach"), "{out}{err}");
    hub.down().await;
    let (code, _, err) = run(&home, &["lights", "test", "desk"]).await;
    assert!(code == Some(1) && err.contains("is the hub on"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lights_asks_strips_for_their_segments_and_whether_they_are_there() {
    let (strip, away) = (Wled::start().await.unwrap(), Wled::start().await.unwrap());
    let light =
        |strip: &Wled, target: &str| format!("{{ wled: '{}', target: {target}, follow: alex }}", strip.address());
    let home = |door: String| Home::new(&format!("lights: {{ sign: {}, door: {door} }}\n", light(&strip, "Sign")));
    let (code, out, err) = run(&home(light(&strip, "0")), &["lights"]).await;
    assert!(code == Some(0) && out.matches(": ok").count() == 2, "{out}\n{err}");
    let (code, out, _) = run(&home(light(&strip, "Door")), &["lights"]).await;
    assert!(code == Some(1) && out.contains("no segment \"Door\"; it has 0, 1"), "{out}");
    away.down().await;
    let (code, listed) = json(&home(light(&away, "0")), &["lights", "--json"]).await;
    let [door, sign] = [0, 1].map(|at| &listed["lights"][at]);
    assert!(door["error"].as_str().is_some_and(|error| error.contains("lights.door.wled")), "{listed}");
    assert!(code == Some(1) && sign["error"].is_null(), "{listed}");
}
