//! The blueprints for Home Assistant: YAML with what a blueprint has, and deaf to restarts.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use graph2mqtt::presence::Activity;
use serde_yaml::Value;

/// What a blueprint must have, by path; and what an automation of it must have.
const NEEDED: &[&str] =
    &["blueprint.name", "blueprint.description", "blueprint.domain", "blueprint.input", "triggers", "actions", "mode"];
/// Keys at the root that an automation takes.
const ROOT: &[&str] =
    &["blueprint", "mode", "max_exceeded", "variables", "trigger_variables", "triggers", "conditions", "actions"];
/// What `blueprint` takes.
const HEAD: &[&str] = &["name", "description", "domain", "author", "source_url", "homeassistant", "input"];
/// What an input takes.
const INPUT: &[&str] = &["name", "description", "default", "selector"];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("blueprints/automation/graph2mqtt")
}

fn blueprints() -> Vec<(String, Value)> {
    let mut found: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            let read = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, read)
        })
        .collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, key| value.get(key))
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_mapping().map(|map| map.keys().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// The names behind `!input`, wherever they stand.
fn inputs_used(value: &Value, used: &mut BTreeSet<String>) {
    match value {
        Value::Tagged(tagged) => {
            assert_eq!(tagged.tag.to_string(), "!input");
            used.insert(tagged.value.as_str().unwrap().to_owned());
        }
        Value::Sequence(items) => items.iter().for_each(|item| inputs_used(item, used)),
        Value::Mapping(map) => map.values().for_each(|value| inputs_used(value, used)),
        _ => {}
    }
}

#[test]
fn each_has_what_a_blueprint_has_and_nothing_that_home_assistant_refuses() {
    let blueprints = blueprints();
    assert_eq!(blueprints.len(), 3);
    for (name, blueprint) in &blueprints {
        for needed in NEEDED {
            assert!(at(blueprint, needed).is_some(), "{name}: {needed} is missing");
        }
        assert!(keys(blueprint).iter().all(|key| ROOT.contains(key)), "{name}: {:?}", keys(blueprint));
        let head = &blueprint["blueprint"];
        assert!(keys(head).iter().all(|key| HEAD.contains(key)), "{name}: {:?}", keys(head));
        assert_eq!(head["domain"], "automation", "{name}");
        assert_eq!(head["homeassistant"]["min_version"], "2024.12.0", "{name}: the oldest that is supported");
        for (input, described) in head["input"].as_mapping().unwrap() {
            assert!(keys(described).iter().all(|key| INPUT.contains(key)), "{name}: {input:?}");
            assert!(described.get("name").is_some() && described.get("selector").is_some(), "{name}: {input:?}");
        }
    }
}

#[test]
fn every_input_is_used_and_every_one_used_is_there() {
    for (name, blueprint) in blueprints() {
        let declared: BTreeSet<String> =
            keys(&blueprint["blueprint"]["input"]).into_iter().map(str::to_owned).collect();
        let mut used = BTreeSet::new();
        inputs_used(&blueprint, &mut used);
        assert_eq!(used, declared, "{name}: used (left), declared (right)");
    }
}

#[test]
fn no_restart_of_anything_triggers_one() {
    for (name, blueprint) in blueprints() {
        for trigger in blueprint["triggers"].as_sequence().unwrap() {
            assert_eq!(trigger["trigger"], "state", "{name}");
            let ignores = |key: &str| {
                let list: Vec<&str> = trigger
                    .get(key)
                    .and_then(Value::as_sequence)
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                list == ["unavailable", "unknown"]
            };
            // What begins or ends at one value cannot begin or end at unavailable.
            assert!(trigger.get("from").is_some() || ignores("not_from"), "{name}: from unavailable is news");
            assert!(trigger.get("to").is_some() || ignores("not_to"), "{name}: to unavailable is news");
        }
    }
}

/// Between two parts of a text.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).map(|(inner, _)| inner).unwrap()
}

#[test]
fn each_names_entities_and_words_that_there_are() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let account = fs::read_to_string(root.join("ha-discovery/account.yaml")).unwrap().replace("<object>", "alex");
    for (name, blueprint) in blueprints() {
        for (input, described) in blueprint["blueprint"]["input"].as_mapping().unwrap() {
            let Some(filter) = at(described, "selector.entity.filter") else { continue };
            let example = described["description"].as_str().unwrap();
            let (domain, id) =
                example.rsplit_once("such as ").unwrap().1.trim_end_matches('.').split_once('.').unwrap();
            let entity = format!("default_entity_id: {domain}.{id}\n");
            assert!(account.contains(&entity), "{name}: {input:?} names {domain}.{id}");
            assert_eq!(filter[0]["domain"], domain, "{name}: {input:?}");
            let component = account.split(&entity).nth(1).unwrap().split("unique_id").next().unwrap();
            if let Some(class) = filter[0].get("device_class").and_then(Value::as_str) {
                assert!(component.contains(&format!("device_class: {class}\n")), "{name}: {input:?}");
            }
        }
    }
    let light = fs::read_to_string(folder().join("light_by_presence.yaml")).unwrap();
    let colors = between(&light, "color: >-", "{% else %}");
    let words: Vec<&str> = colors.split('\'').skip(1).step_by(2).collect();
    assert!(words.iter().all(|word| Activity::KNOWN.contains(word)), "{words:?}");
    let dark: Vec<&&str> = Activity::KNOWN.iter().filter(|word| !words.contains(word)).collect();
    assert_eq!(dark, [&"Offline", &"OffWork", &"OutOfOffice", &"PresenceUnknown"], "what switches the light off");
}

#[test]
fn the_example_dashboard_shows_entities_that_there_are() {
    let text = fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/dashboard.yaml")).unwrap();
    let read: Value = serde_yaml::from_str(&text).unwrap();
    assert!(read["views"][0]["cards"].as_sequence().unwrap().len() >= 4);
    let definitions: String = [("account", "alex"), ("bridge", ""), ("actuator", "home")]
        .map(|(name, object)| {
            let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("ha-discovery/{name}.yaml"));
            fs::read_to_string(path).unwrap().replace("<object>", object).replace("<light>", "desk")
        })
        .concat();
    let shown = text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("entity: "));
    let mut count = 0;
    for entity in shown {
        count += 1;
        assert!(definitions.contains(&format!("default_entity_id: {entity}\n")), "{entity}");
    }
    assert!(count > 15);
}
