//! Discovery as a specification: the payloads, their ids, and what is not taken from a user's own files.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::presence::{Activity, Availability};

const ALEX: Device<'_> =
    Device { base: "graph2mqtt", account: "alex", name: "Alex", area: Some("Office"), with: EVERYTHING };

const EVERYTHING: With =
    With::REQUESTS.and(With::PERSON, true).and(With::SIGN_IN, true).and(With::WRITE, true).and(With::FEW, true);

const RHYTHM: Rhythm = Rhythm { active: Duration::from_secs(5), quiet: Duration::from_secs(30) };

fn home<'a>(lights: &'a [Name]) -> Location<'a> {
    Location { base: "graph2mqtt", name: "home", id: "graph2mqtt_home", lights, with: EVERYTHING }
}

fn lights() -> Vec<Name> {
    ["desk", "hall_2"].map(|name| name.parse().unwrap()).into()
}

/// The keys of a payload's components.
fn components(payload: &[u8]) -> Vec<String> {
    json(payload)["components"].as_object().unwrap().keys().cloned().collect()
}

fn compiled_in() -> Definitions {
    Definitions::load(None, RHYTHM).unwrap()
}

fn json(payload: &[u8]) -> Value {
    serde_json::from_slice(payload).unwrap()
}

/// What loading says about a user's own `account.yaml`.
fn said(yaml: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("account.yaml"), yaml).unwrap();
    let said = Definitions::load(Some(folder.path()), RHYTHM).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(said.is_empty() || said.contains(folder.path().to_str().unwrap()), "the file is not named: {said}");
    said
}

/// The compiled-in definition of an account, with one text replaced.
fn altered(from: &str, to: &str) -> String {
    let yaml = include_str!("../../ha-discovery/account.yaml");
    assert!(yaml.contains(from), "{from}");
    yaml.replacen(from, to, 1)
}

/// The payload with the version, which changes with every release, taken out.
fn versionless(payload: &[u8]) -> Value {
    let text = String::from_utf8(payload.to_vec()).unwrap();
    serde_json::from_str(&text.replace(&format!("{:?}", env!("CARGO_PKG_VERSION")), "\"<version>\"")).unwrap()
}

#[test]
fn the_payload_of_an_account() {
    insta::assert_json_snapshot!("account", versionless(&compiled_in().account(ALEX)));
}

#[test]
fn the_payload_of_the_bridge() {
    insta::assert_json_snapshot!("bridge", versionless(&compiled_in().bridge("graph2mqtt", EVERYTHING)));
}

#[test]
fn the_payload_of_a_location() {
    insta::assert_json_snapshot!("actuator", versionless(&compiled_in().actuator(home(&lights()))));
}

#[test]
fn what_is_rendered_keeps_home_assistants_rules_with_and_without_each_condition() {
    let (definitions, lights) = (compiled_in(), lights());
    for bits in 0..32_u32 {
        let on = |bit: u32| bits & (1 << bit) != 0;
        let with = With::default()
            .and(With::REQUESTS, on(0))
            .and(With::PERSON, on(1))
            .and(With::SIGN_IN, on(2))
            .and(With::WRITE, on(3))
            .and(With::FEW, on(4));
        let area = on(0).then_some("Office");
        let payloads = [
            definitions.account(Device { with, area, ..ALEX }),
            definitions.bridge("graph2mqtt", with),
            definitions.actuator(Location { with, ..home(&lights) }),
            definitions.actuator(Location { with, ..home(&[]) }),
        ];
        for payload in payloads {
            assert_eq!(rules::mistakes(&json(&payload)), Vec::<String>::new());
            assert!(!String::from_utf8(payload).unwrap().contains("only_with"));
        }
    }
}

#[test]
fn what_says_that_components_are_gone_keeps_the_rules_too() {
    let (definitions, lights) = (compiled_in(), lights());
    for (before, after) in [
        (definitions.account(ALEX), definitions.account(Device { with: With::default(), ..ALEX })),
        (definitions.bridge("graph2mqtt", EVERYTHING), definitions.bridge("graph2mqtt", With::default())),
        (definitions.actuator(home(&lights)), definitions.actuator(home(&[]))),
    ] {
        let gone = gone(&before, &after);
        assert!(!gone.is_empty());
        assert_eq!(rules::mistakes(&json(&retiring(&after, &gone))), Vec::<String>::new());
    }
}

#[test]
fn another_name_another_area_and_other_rights_keep_every_identity() {
    let definitions = compiled_in();
    let identities = |device: Device<'_>| {
        let payload = json(&definitions.account(device));
        let ids =
            |(key, it): (&String, &Value)| (key.clone(), it["unique_id"].clone(), it["default_entity_id"].clone());
        let components: Vec<_> = payload["components"].as_object().unwrap().iter().map(ids).collect();
        (payload["device"]["identifiers"].clone(), components)
    };
    let (device, all) = identities(ALEX);
    assert_eq!(identities(Device { name: "Alexandra Wilber", area: None, ..ALEX }), (device.clone(), all.clone()));
    let (same, fewer) = identities(Device { with: With::REQUESTS, ..ALEX });
    assert!(same == device && fewer.len() < all.len() && fewer.iter().all(|it| all.contains(it)));
}

#[test]
fn what_acts_as_a_person_asks_or_sets_is_there_only_where_that_is_allowed() {
    let definitions = compiled_in();
    let of = |with: With| components(&definitions.account(Device { with, ..ALEX }));
    let has = |components: &[String], key: &str| components.iter().any(|component| component == key);
    let safe = of(With::REQUESTS.and(With::SIGN_IN, true).and(With::WRITE, true));
    assert!(has(&safe, "poll") && has(&safe, "sign_in_problem"));
    for key in ["sign_in", "sign_in_code", "sign_in_address", "set_presence", "set_status_message", "last_poll"] {
        assert!(!has(&safe, key) && has(&of(EVERYTHING), key), "{key}");
    }
    let by_application = of(With::REQUESTS.and(With::PERSON, true));
    assert!(!has(&by_application, "sign_in") && !has(&by_application, "set_presence"));
    assert!(!has(&of(With::default()), "poll"));
    let none = components(&definitions.bridge("graph2mqtt", With::default()));
    assert!(has(&none, "connection") && !has(&none, "restart") && !has(&none, "log_level"));
}

#[test]
fn what_must_work_while_an_account_is_offline_asks_for_the_bridge_alone() {
    let payload = json(&compiled_in().account(ALEX));
    let topics = |key: &str| -> Option<Vec<&str>> {
        let list = payload["components"][key]["availability"].as_array()?;
        Some(list.iter().filter_map(|entry| entry["topic"].as_str()).collect())
    };
    for key in ["sign_in_problem", "sign_in", "sign_in_code", "sign_in_address", "poll", "last_poll", "poll_interval"] {
        assert_eq!(topics(key), Some(vec!["graph2mqtt/bridge/state"]), "{key}");
    }
    assert_eq!(topics("availability"), None, "the root's counts");
}

#[test]
fn every_word_of_graph_is_an_option_for_home_assistant_ignores_others() {
    let payload = json(&compiled_in().account(ALEX));
    let options = |component: &str| payload["components"][component]["options"].clone();
    assert_eq!(options("availability"), Value::from(Availability::KNOWN.to_vec()));
    assert_eq!(options("activity"), Value::from(Activity::KNOWN.to_vec()));
    assert!(Availability::KNOWN.contains(&"PresenceUnknown") && Activity::KNOWN.contains(&"PresenceUnknown"));
}

#[test]
fn without_an_area_none_is_suggested() {
    let payload = json(&compiled_in().account(Device { area: None, ..ALEX }));
    assert_eq!(payload["device"].get("suggested_area"), None);
    assert_eq!(payload["device"]["name"], "Alex");
}

#[test]
fn an_enrolled_accounts_entity_ids_hold_no_hyphens() {
    let id = "0123abcd-0000-4000-8000-00000000000f";
    let payload = json(&compiled_in().account(Device { account: id, ..ALEX }));
    assert_eq!(
        payload["components"]["since"]["default_entity_id"],
        "sensor.0123abcd_0000_4000_8000_00000000000f_since"
    );
}

#[test]
fn the_bridges_device_is_the_one_that_accounts_hang_on() {
    let definitions = compiled_in();
    let account = json(&definitions.account(ALEX));
    assert_eq!(
        account["device"]["via_device"],
        json(&definitions.bridge("graph2mqtt", EVERYTHING))["device"]["identifiers"][0]
    );
}

#[test]
fn an_id_is_made_of_characters_that_home_assistant_takes() {
    assert_eq!(device_id("graph2mqtt", "alex"), "graph2mqtt_alex");
    assert_eq!(device_id("my_home-2", "alex"), "my_home-2_alex");
    assert_eq!(device_id("home/teams", "alex"), "home-2fteams_alex");
    assert_eq!(actuator_id("graph2mqtt", "home", false), "graph2mqtt_home");
    assert_eq!(actuator_id("graph2mqtt", "alex", true), "graph2mqtt_alex-actuator");
    assert_eq!(topic("homeassistant", "graph2mqtt_alex"), "homeassistant/device/graph2mqtt_alex/config");
}

proptest! {
    #[test]
    fn two_bases_or_accounts_never_share_an_id(
        one in "[a-c/ü]{1,4}", other in "[a-c/ü]{1,4}", first in "[a-c_]{1,3}", second in "[a-c_]{1,3}"
    ) {
        prop_assert_eq!(device_id(&one, &first) == device_id(&other, &second), (&one, &first) == (&other, &second));
        prop_assert!(bridge_id(&one) != device_id(&other, &second));
        let fitting = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        prop_assert!(device_id(&one, &first).chars().all(fitting));
    }

    #[test]
    fn whatever_a_name_holds_the_payload_is_json_and_says_it(name in "\\PC{0,300}|[\"\\\\<>{}a-z\\n]{0,300}") {
        let payload = json(&compiled_in().account(Device { name: &name, area: Some(&name), ..ALEX }));
        prop_assert_eq!(payload["device"]["name"].as_str(), Some(name.as_str()));
        prop_assert_eq!(payload["device"]["suggested_area"].as_str(), Some(name.as_str()));
    }
}

#[test]
fn a_placeholder_within_a_name_is_text() {
    let payload = json(&compiled_in().account(Device { name: "<base> {{ states('x') }}", ..ALEX }));
    assert_eq!(payload["device"]["name"], "<base> {{ states('x') }}");
}

#[test]
fn a_file_of_the_same_name_replaces_a_definition() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("account.yaml"), altered("name: In a call", "name: Telefoniert")).unwrap();
    let definitions = Definitions::load(Some(folder.path()), RHYTHM).unwrap();
    assert_eq!(json(&definitions.account(ALEX))["components"]["in_a_call"]["name"], "Telefoniert");
    assert_eq!(definitions.bridge("b", EVERYTHING), compiled_in().bridge("b", EVERYTHING));
}

#[test]
fn what_home_assistant_would_drop_is_refused_with_its_place() {
    let cases = [
        ("availability_mode: all", "availability_mode: all\nchild_devices: []", "the root: child_devices"),
        ("manufacturer: Microsoft", "maker: Microsoft", "device: maker"),
        ("origin:\n  name: graph2mqtt", "origin:\n  sw: x", "origin: name is missing"),
        ("platform: sensor", "platform: senser", "components.availability: platform"),
        ("unique_id: <id>_availability", "x: y", "components.availability: unique_id"),
        ("options: <availabilities>", "options: []", "components.availability: device_class enum needs options"),
        ("options: <availabilities>", "options: <availabilities>\n    state_class: measurement", "state_class"),
        ("entity_category: diagnostic", "entity_category: config", "components.sign_in_problem: entity_category"),
        ("icon: mdi:phone", "icon: phone", "components.in_a_call: icon"),
        ("default_entity_id: sensor", "default_entity_id: switch", "default_entity_id begins"),
        ("object_id: <object>_since\n", "x: y\n", "components.since: object_id"),
        ("unique_id: <id>_since", "unique_id: <id>.since", "components.since: unique_id is made of"),
        ("object_id: <object>_since", "object_id: <object>-since", "components.since: object_id and default_entity_id"),
        ("sensor.<object>_since", "sensor.<object>_Since", "components.since: object_id and default_entity_id"),
        ("payload_press: '{\"account\":\"<account>\"}'", "retain: true", "components.sign_in: retain is false"),
        ("  in_a_call:", "  in a call:", "components.in a call: use the characters"),
        ("name: <name>", "name: <nmae>", "<nmae> is not a placeholder"),
        ("components:", "components: []\nx:", "components: a map"),
        ("device_class: timestamp", "device_class: presence", "binary_sensor only"),
        ("device_class: timestamp", "expire_after: 60", "expire_after"),
        ("availability_mode: all", "availability_mode: latest", "the root: availability is a list"),
        ("only_with: [person, sign_in]", "only_with: [persons]", "\"persons\" is not one of requests, person"),
        ("command_topic: <base>/bridge/request/account/login", "x: y", "components.sign_in: a sensor"),
        ("options: <preferred>", "options: []", "options of a select"),
        ("max: 255", "max: 256", "components.set_status_message: max"),
        ("enabled_by_default: false", "enabled_by_default: no thanks", "enabled_by_default"),
    ];
    for (from, to, expected) in cases {
        let said = said(&altered(from, to));
        assert!(said.contains(expected), "{to:?} should say {expected:?}, and said {said:?}");
    }
}

#[test]
fn what_is_not_a_definition_at_all_is_refused() {
    let giant = " ".repeat(2 << 20);
    for yaml in ["", "a: [", "- a\n- b\n", "42", "\"text\"", giant.as_str()] {
        assert!(!said(yaml).is_empty(), "{:?} was taken", &yaml[..yaml.len().min(20)]);
    }
}

#[test]
fn a_component_of_nothing_but_its_platform_removes_it_and_is_taken() {
    let start = "device: {identifiers: [x], name: n}\norigin: {name: o}\ncomponents:\n";
    assert_eq!(said(&format!("{start}  gone: {{platform: sensor}}\n")), "");
}

#[test]
fn an_account_called_as_a_location_with_its_light_shares_no_id_with_the_light() {
    let (definitions, lights) = (compiled_in(), lights());
    let ids = |payload: &[u8]| -> Vec<String> {
        let payload = json(payload);
        let ids =
            payload["components"].as_object().unwrap().values().flat_map(|it| [&it["unique_id"], &it["object_id"]]);
        ids.map(|id| id.as_str().unwrap().to_owned()).collect()
    };
    let of_lights = ids(&definitions.actuator(home(&lights)));
    for account in ["home", "home_desk", "home_hall_2", "home_hall", "bridge"] {
        let of_account = ids(&definitions.account(Device { account, ..ALEX }));
        assert!(of_account.iter().all(|id| !of_lights.contains(id)), "{account}");
    }
}

#[test]
fn unique_ids_are_unique() {
    let definitions = compiled_in();
    let lights = lights();
    let payloads = [
        json(&definitions.account(ALEX)),
        json(&definitions.bridge("graph2mqtt", EVERYTHING)),
        json(&definitions.actuator(home(&lights))),
    ];
    let ids: Vec<_> = payloads
        .iter()
        .flat_map(|payload| payload["components"].as_object().unwrap().values())
        .map(|component| component["unique_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
}
