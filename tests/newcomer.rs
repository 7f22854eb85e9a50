//! From nothing to a lamp that follows, by README alone: `hubs`, `pair`, `lights`, README's five lines, `run`.

#![cfg(test)]
#![cfg(all(test, feature = "demo"))]

mod support;

use std::time::Duration;

use graph2mqtt::simulator::{Gamut, Hub, Kind, LampState, Request};
use mdns_sd::{IfKind, ServiceDaemon, ServiceInfo};
use support::{Broker, Home, Observer};

const PATIENCE: Duration = Duration::from_secs(30);
const ID: &str = "001788fffeabcdef";

/// The first block of YAML behind these words.
fn block_behind<'a>(readme: &'a str, words: &str) -> &'a str {
    let (_, behind) = readme.split_once(words).unwrap_or_else(|| panic!("README says no more: {words}"));
    behind.split_once("```yaml\n").unwrap().1.split_once("```").unwrap().0
}

/// README's five lines, for this hub and this broker.
fn five_lines(hub: &str, broker: &str) -> String {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let lines = block_behind(&readme, "Then five lines are enough");
    assert_eq!(lines.lines().count(), 5, "{lines}");
    for said in ["192.168.1.20", "001788fffe102030", "mqtt://192.168.1.10:1883"] {
        assert!(lines.contains(said), "{said}: {lines}");
    }
    lines.replace("192.168.1.20", hub).replace("001788fffe102030", ID).replace("mqtt://192.168.1.10:1883", broker)
}

fn announce(hub: &Hub) -> ServiceDaemon {
    let (daemon, address) = (ServiceDaemon::new().unwrap(), hub.address());
    let about = [("bridgeid", ID), ("modelid", "BSB002")];
    let host = format!("{ID}.local.");
    let mut service =
        ServiceInfo::new("_hue._tcp.local.", "Hue Bridge - ABCDEF", &host, address.ip(), address.port(), &about[..])
            .unwrap();
    service.set_interfaces(vec![IfKind::LoopbackV4]);
    daemon.register(service).unwrap();
    daemon
}

fn is_red(lamp: &LampState) -> bool {
    lamp.on && lamp.xy.is_some_and(|(x, _)| x > 0.6)
}

#[test]
fn the_five_lines_go_without_the_last_into_the_first_configuration() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let home = Home::new("");
    std::fs::create_dir(home.path().join("secrets")).unwrap();
    std::fs::write(home.path().join("secrets/mqtt"), "secret").unwrap();
    let (first, lines) =
        (block_behind(&readme, "## A first configuration"), block_behind(&readme, "Then five lines are enough"));
    let (four, _) = lines.trim_end().rsplit_once('\n').unwrap();
    let taken = |more: &str| graph2mqtt::settings::from_yaml(&format!("{first}{more}\n"), home.path());
    assert!(taken(four).is_ok_and(|settings| settings.lights.len() == 1 && settings.accounts.len() == 1));
    assert!(taken(lines).is_err_and(|mistakes| mistakes.to_string().contains("mqtt")), "so README has to say it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_gets_from_nothing_to_a_lamp_that_follows() {
    let hub = Hub::plan().bridge_id(ID).room("Office", &[("Desk", Kind::Color(Gamut::C))]).start().await.unwrap();
    hub.revoke_key();
    // The flash and the first look come quicker than a person types.
    hub.adjust(|limits| limits.group_gap = Duration::ZERO);
    let announced = announce(&hub);
    let broker = Broker::start();
    let bridge = Observer::connect(broker.address(), "graph2mqtt/#").await;
    // Nothing is there yet, not even a configuration.
    let home = Home::new("");
    std::fs::remove_file(home.config()).unwrap();
    let program = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_graph2mqtt"));
        command.current_dir(home.path()).args(arguments);
        command
    };
    let run = async |arguments: &[&str]| {
        let mut command = program(arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {out}\n{err}");
        out.into_owned()
    };

    let found = run(&["hubs", "--no-cloud"]).await;
    let row = found.lines().find(|line| line.starts_with(ID)).unwrap_or_else(|| panic!("{found}"));
    let address = row.split_whitespace().nth(1).unwrap();
    assert!(found.contains("To pair one: graph2mqtt pair "), "{found}");

    let pressed = async {
        let asked = |requests: &[Request]| requests.iter().any(|it| it.route == "POST /api");
        hub.requests().wait_for(PATIENCE, asked).await.unwrap();
        hub.press_button();
    };
    let (paired, ()) = tokio::join!(async { run(&["pair", address]).await }, pressed);
    let configuration = five_lines(address, &broker.url());
    let first: Vec<&str> =
        configuration.lines().take(2).map(|line| line.split('#').next().unwrap().trim_end()).collect();
    assert!(paired.contains(&first.join("\n")), "pair prints the first of README's lines: {paired}");

    assert!(run(&["lights"]).await.contains("target: room/Office"));
    home.configure(&configuration);
    assert!(run(&["lights", "test", "desk"]).await.contains("desk flashes"));
    for topic in ["graph2mqtt/bridge/state", "graph2mqtt/account/alex/state"] {
        bridge.publish(topic, "online", true).await;
    }
    let busy =
        r#"{"account":"alex","availability":"Busy","activity":"Busy","since":"2026-11-24T08:00:00Z","sequence":1}"#;
    bridge.publish("graph2mqtt/account/alex/presence", busy, true).await;
    let running = support::Program::spawn(program(&["run", "--set", "web.listen=127.0.0.1:0"]));
    if let Err(late) = hub.wait_for("Desk", PATIENCE, is_red).await {
        panic!("{late}: {}", running.said());
    }
    assert!(!running.said().contains("WARN"), "{}", running.said());
    let _ = announced.shutdown();
}
