//! The `config` command and the report of mistakes, as a person sees them.

#![cfg(test)]

use std::path::Path;
use std::process::{Command, Output};

/// Runs the program in a folder, with no configuration but what is given.
fn graph2mqtt(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_graph2mqtt"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn folder_with(file: &str, content: impl AsRef<[u8]>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(file), content).unwrap();
    folder
}

#[test]
fn the_sources_count_in_their_order_and_each_value_says_where_it_came_from() {
    let yaml = "mqtt:\n  url: mqtt://file\n  username: file\n  client_id: file\n  password_file: secret\n";
    let folder = folder_with("graph2mqtt.yaml", yaml);
    std::fs::write(folder.path().join("secret"), "hunter2\n").unwrap();
    let environment = [("GRAPH2MQTT_MQTT__URL", "mqtt://env"), ("GRAPH2MQTT_MQTT__USERNAME", "env")];
    let output = graph2mqtt(folder.path(), &["config", "show", "--set", "mqtt.url=mqtt://flag"], &environment);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    for (value, origin) in [
        ("url: mqtt://flag ", "# --set mqtt.url"),
        ("username: env ", "# GRAPH2MQTT_MQTT__USERNAME"),
        ("client_id: file ", "# graph2mqtt.yaml:4"),
        ("password: \"<hidden>\" ", "# secret, named by graph2mqtt.yaml:5"),
        ("base_topic: graph2mqtt ", "# default"),
        ("endpoint: https://graph.microsoft.com/v1.0 ", "# by entra.cloud"),
    ] {
        let line = shown.lines().find(|line| line.trim_start().starts_with(value)).unwrap_or_else(|| panic!("{shown}"));
        assert!(line.ends_with(origin), "{line}");
    }
    assert!(!shown.contains("hunter2") && output.stderr.is_empty(), "{shown}");
}

#[test]
fn every_mistake_is_reported_at_once_with_exit_code_2() {
    let yaml = "mqtt:\n  ur: mqtt://x\ngraph:\n  poll:\n    active: 5\nlights:\n  desk: { hub: nowhere, target: Office, follow: alex }\n";
    let folder = folder_with("other.yaml", yaml);
    for command in [&["config", "show"][..], &["config", "show", "--log", "trace"]] {
        let arguments = [&["--config", "other.yaml"], command].concat();
        let output = graph2mqtt(folder.path(), &arguments, &[("GRAPH2MQTT_MQTT_URL", "mqtt://x")]);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        let report = text(&output.stderr);
        for part in [
            "4 mistakes",
            "other.yaml:2: mqtt.ur \"mqtt://x\" is not a known key\n    Did you mean mqtt.url?",
            "other.yaml:5: graph.poll.active \"5\" has no unit\n    Write 5s",
            "other.yaml:7: lights.desk.hub \"nowhere\" names a hub that is not there",
            "GRAPH2MQTT_MQTT_URL: mqtt_url",
            "Did you mean GRAPH2MQTT_MQTT__URL?",
        ] {
            assert!(report.contains(part), "{part:?} is missing in\n{report}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_one_clear_mistake() {
    let folder = folder_with("latin.yaml", b"mqtt: { username: \xe4 }");
    std::fs::write(folder.path().join("broken.yaml"), "mqtt: {\n").unwrap();
    for (file, said) in [
        ("nowhere.yaml", "No such file"),
        (".", "Is a directory"),
        ("latin.yaml", "is not UTF-8"),
        ("broken.yaml", "is not YAML"),
    ] {
        let output = graph2mqtt(folder.path(), &["config", "show"], &[("GRAPH2MQTT_CONFIG", file)]);
        assert_eq!(output.status.code(), Some(2), "{file}");
        let report = text(&output.stderr);
        assert!(report.contains("1 mistake") && report.contains(file) && report.contains(said), "{report}");
    }
}

#[test]
fn relative_paths_start_at_the_files_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("etc")).unwrap();
    std::fs::write(folder.path().join("etc/g.yaml"), "hubs: { a: { host: h, key_file: key } }").unwrap();
    std::fs::write(folder.path().join("etc/key"), "k").unwrap();
    std::fs::write(folder.path().join("etc/password"), "p").unwrap();
    let environment = [
        ("GRAPH2MQTT_MQTT__USERNAME", "u"),
        ("GRAPH2MQTT_MQTT__PASSWORD_FILE", "password"),
        ("GRAPH2MQTT_CONFIG", "etc/g.yaml"),
    ];
    let output = graph2mqtt(folder.path(), &["config", "show"], &environment);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("# etc/password, named by GRAPH2MQTT_MQTT__PASSWORD_FILE"));
}

#[test]
fn the_committed_schema_is_what_the_program_prints() {
    let output = graph2mqtt(Path::new("."), &["config", "schema"], &[]);
    assert!(output.status.success());
    let committed = std::fs::read_to_string("config/graph2mqtt.schema.json").unwrap();
    assert_eq!(text(&output.stdout), committed, "run: graph2mqtt config schema > config/graph2mqtt.schema.json");
}

#[test]
fn the_example_is_a_configuration() {
    let output = graph2mqtt(Path::new("."), &["config", "show", "--config", "config/graph2mqtt.example.yaml"], &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let folder = folder_with("graph2mqtt.yaml", "mqtt: { base_topic: from_the_file }");
    let empty =
        ["GRAPH2MQTT_CONFIG", "GRAPH2MQTT_LOG", "GRAPH2MQTT_LOG_FORMAT", "GRAPH2MQTT_MQTT__URL"].map(|name| (name, ""));
    let output = graph2mqtt(folder.path(), &["config", "show"], &empty);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("base_topic: from_the_file"), "{}", text(&output.stdout));
    let wrong = graph2mqtt(folder.path(), &["config", "show"], &[("GRAPH2MQTT_LOG_FORMAT", "xml")]);
    assert!(text(&wrong.stderr).contains("text, json"), "{}", text(&wrong.stderr));
}

/// README's blocks of one language behind a heading.
fn blocks(heading: &str, language: &str) -> Vec<String> {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let (_, behind) = readme.split_once(heading).unwrap_or_else(|| panic!("README has no {heading}"));
    let start = format!("```{language}\n");
    behind.split(&start).skip(1).map(|block| block.split_once("```").unwrap().0.to_owned()).collect()
}

#[test]
fn readmes_first_configuration_is_one_as_it_stands_there() {
    let yaml = &blocks("## A first configuration\n", "yaml")[0];
    let step = &blocks("## A first configuration\n", "sh")[0];
    let folder = folder_with("graph2mqtt.yaml", yaml);
    std::fs::write(folder.path().join("typed"), "hunter2\n").unwrap();
    let typed = std::fs::File::open(folder.path().join("typed")).unwrap();
    let done = Command::new("sh").args(["-ec", step]).current_dir(folder.path()).stdin(typed).status().unwrap();
    assert!(done.success(), "{step}");
    let output = graph2mqtt(folder.path(), &["config", "show"], &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert!(shown.contains("# secrets/mqtt, named by graph2mqtt.yaml:5") && !shown.contains("hunter2"), "{shown}");
    let check = graph2mqtt(folder.path(), &["check", "--set", "mqtt.url=mqtt://127.0.0.1:9"], &[("no_proxy", "*")]);
    assert!(text(&check.stdout).contains("1 accounts, 0 hubs, 0 lights"), "{}", text(&check.stderr));
}
