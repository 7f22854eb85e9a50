//! What people copy is right: the examples in README, `.env.example`, Compose, Dockerfile and the configuration file load.

#![cfg(test)]

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use graph2mqtt::presence::Report;
use graph2mqtt::settings::{self, Loaded, Mistakes, Sources};

type Variables = Vec<(OsString, OsString)>;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A folder that holds the secrets that the examples name.
fn folder_with_secrets() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("secrets")).unwrap();
    for secret in ["mqtt", "hue", "entra", "mqtt_password", "client_secret", "office_key"] {
        fs::write(folder.path().join("secrets").join(secret), "a-secret\n").unwrap();
    }
    folder
}

fn load(file: Option<PathBuf>, environment: Variables) -> Result<Loaded, Mistakes> {
    settings::load(Sources { file, environment, ..Sources::default() })
}

/// Lines `GRAPH2MQTT_…=value` or `GRAPH2MQTT_…: value`, those that are commented out included.
fn variables(text: &str) -> Variables {
    let line = |line: &str| {
        let line = line.trim_start_matches(['#', ' ']);
        let line = line.strip_prefix("ENV ").unwrap_or(line).trim_end_matches([' ', '\\']);
        let at = line.starts_with("GRAPH2MQTT_").then(|| line.find(['=', ':'])).flatten()?;
        let (name, value) = (&line[..at], line[at + 1..].trim());
        name.chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
            .then(|| (name.into(), value.into()))
    };
    text.lines().filter_map(line).collect()
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    text.split(&opening).skip(1).map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_example_for_compose_configures_both_roles() {
    let loaded = load(None, variables(&read(".env.example"))).map_err(|mistakes| mistakes.to_string()).unwrap();
    assert_eq!((loaded.settings.accounts.len(), loaded.settings.lights.len()), (1, 1));
}

#[test]
fn the_image_and_the_secrets_of_compose_set_keys_that_there_are() {
    let folder = folder_with_secrets();
    let secrets = folder.path().join("secrets");
    let compose = read("docker-compose.secrets.yml").replace("/run/secrets", &secrets.display().to_string());
    let mut all = variables(&read(".env.example"));
    all.extend(variables(&read("Dockerfile")));
    all.extend(variables(&compose));
    assert!(all.iter().any(|(name, _)| name == "GRAPH2MQTT_STORE__KEY_FILE"), "the Dockerfile's are read: {all:?}");
    let loaded = load(None, all).map_err(|mistakes| mistakes.to_string()).unwrap();
    assert!(loaded.settings.mqtt.password.is_some());
    assert_eq!(loaded.settings.store.key_file, Path::new("/data/store.key"));
}

#[test]
fn the_pages_that_compose_opens_by_uncommenting_are_where_readme_says() {
    let compose = read("docker-compose.yml");
    let opened: String = compose
        .lines()
        .map(|line| {
            let is_of_it = ["# environment:", "#   GRAPH2MQTT_WEB__LISTEN:", "# ports:"];
            let it = is_of_it.iter().any(|start| line.trim_start().starts_with(start));
            (if it { line.replacen("# ", "", 1) } else { line.to_owned() }) + "\n"
        })
        .collect();
    let opened: serde_yaml::Value = serde_yaml::from_str(&opened).unwrap();
    let service = &opened["services"]["graph2mqtt"];
    assert_eq!(service["ports"][0], "127.0.0.1:8480:8480");
    let listen = service["environment"]["GRAPH2MQTT_WEB__LISTEN"].as_str().unwrap();
    let mut all = variables(&read(".env.example"));
    all.push(("GRAPH2MQTT_WEB__LISTEN".into(), listen.into()));
    let web = load(None, all).map_err(|mistakes| mistakes.to_string()).unwrap().settings.web;
    assert!(web.listen.ip().is_unspecified() && web.listen.port() == 8480, "{listen}");
    let readme = read("README.md");
    let section = readme.split("## Docker Compose").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    for words in [web.public_url.redirect_uri().as_str(), "docker compose run --rm graph2mqtt login alex"] {
        assert!(section.contains(words), "README does not say {words}");
    }
    let closed: serde_yaml::Value = serde_yaml::from_str(&compose).unwrap();
    assert!(closed["services"]["graph2mqtt"]["ports"].is_null(), "they are open without a word");
}

#[test]
fn the_configuration_that_readme_builds_up_is_one() {
    let folder = folder_with_secrets();
    let blocks = blocks(&read("README.md"), "yaml");
    let ours: Vec<&String> = blocks.iter().filter(|block| !block.starts_with("trigger:")).collect();
    assert!(ours.len() >= 2, "README has configurations");
    let first = ours.iter().find(|block| block.contains("accounts:")).expect("README has a first configuration");
    let settings = settings::from_yaml(first, folder.path()).map_err(|mistakes| mistakes.to_string()).unwrap();
    assert_eq!(settings.accounts.len(), 1);
    // The others are excerpts: what they leave out is missed, but each key that they show is one.
    for block in ours {
        let said = settings::from_yaml(block, folder.path()).map_err(|mistakes| mistakes.to_string()).err();
        let said = said.unwrap_or_default();
        assert!(!said.contains("is not a known key"), "{said}\n{block}");
    }
}

#[test]
fn the_example_configuration_loads_as_it_stands() {
    let folder = folder_with_secrets();
    let file = folder.path().join("graph2mqtt.yaml");
    fs::copy(root().join("config/graph2mqtt.example.yaml"), &file).unwrap();
    load(Some(file), Vec::new()).map_err(|mistakes| mistakes.to_string()).unwrap();
}

#[test]
fn what_readme_says_is_built_in_is_built_in() {
    let settings = settings::from_yaml("{}", Path::new("")).map_err(|mistakes| mistakes.to_string()).unwrap();
    let rows: Vec<(String, String)> = read("README.md")
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, statuses, color, _] = cells.as_slice() else { return None };
            let hex = color.split('`').nth(1).filter(|hex| hex.starts_with('#') && hex.len() == 7)?;
            Some(((*statuses).to_owned(), hex.to_owned()))
        })
        .collect();
    assert!(rows.len() >= 5, "README has the table of colours");
    for (statuses, hex) in rows {
        for status in statuses.split(", ") {
            let shown = format!("{:?}", settings.colors.0.get(status));
            let rgb: Vec<u8> = (1..7).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
            assert!(shown.contains(&format!("{rgb:?}")), "{status}: README says {hex}, built in is {shown}");
        }
    }
}

#[test]
fn the_presence_that_readme_shows_is_one() {
    let text = read("README.md");
    let row = text.lines().find(|line| line.contains("/presence` |")).expect("README has the topic");
    let example = row.split('`').find(|cell| cell.starts_with('{')).expect("with an example");
    let report = Report::from_json(example.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(report.to_json()).unwrap(), example);
}
