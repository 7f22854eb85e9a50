//! Home Assistant's own client of Hue hubs (Python's `aiohue`) talks to the simulated hub: what it takes for a hub is
//! enough like one.
#![cfg(test)]
#![cfg(feature = "demo")]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use graph2mqtt::simulator::{Gamut, Hub, Kind};
use serde_json::{Value, json};

const WAIT: Duration = Duration::from_secs(120);

/// The Python that has aiohue: the tester's, or that of `.ci/run`.
fn python() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let of_ci = cache.map(|cache| cache.join("graph2mqtt-ci/python/bin/python3"));
    let candidates = [Some(PathBuf::from("python3")), of_ci];
    let has_aiohue = |python: &PathBuf| {
        let asked = Command::new(python).args(["-c", "import aiohue"]).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    let found = candidates.into_iter().flatten().find(has_aiohue);
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "python3 with aiohue is missing: .ci/run installs it");
        eprintln!("left out: there is no python3 with aiohue; .ci/run tests installs it");
    }
    found
}

#[tokio::test]
async fn aiohue_sees_lights_rooms_scenes_and_events_and_commands_a_light() {
    let Some(python) = python() else { return };
    let relax = [("Desk", json!({"on": {"on": true}, "dimming": {"brightness": 30}}))];
    let hub = Hub::plan()
        .room("Office", &[("Desk", Kind::Color(Gamut::C)), ("Shelf", Kind::White), ("Fan", Kind::Plug)])
        .zone("Work", &["Desk"])
        .scene("Office", "Relax", &relax)
        .start()
        .await
        .unwrap();
    hub.adjust(|limits| (limits.light_commands, limits.group_gap) = (1000, Duration::ZERO));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/aiohue_client.py");
    let mut client = Command::new(python);
    client.args([script, &hub.address().to_string(), &hub.key()]).stdin(Stdio::null());
    let done = tokio::task::spawn_blocking(move || client.output());
    let done = tokio::time::timeout(WAIT, done).await.expect("aiohue ends in time").unwrap().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
    let seen: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(seen["bridge"].as_str().map(str::to_lowercase), Some(hub.bridge_id()), "{said}");
    assert_eq!(seen["lights"], json!(["Desk", "Fan", "Shelf"]), "{said}");
    assert_eq!((&seen["rooms"], &seen["zones"]), (&json!(["Office"]), &json!(["Work"])), "{said}");
    assert_eq!(seen["scenes"], json!(["Relax"]), "{said}");
    assert_eq!(seen["desk"], json!({"color": true, "white": true, "on": true}), "{said}");
    assert_eq!((&seen["group"], &seen["told"]), (&json!("grouped_light"), &json!(true)), "{said}");
    assert_eq!(hub.lamp("Desk").xy, Some((0.65, 0.3)));
}
