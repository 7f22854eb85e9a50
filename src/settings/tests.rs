//! The configuration as users write it.

mod mistakes;
mod whatever_comes;

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;
use crate::presence::Name;

const COMPLETE: &str = r##"
mqtt:
  url: mqtts://broker.example.net
  username: yes
  password: 0017e10
  base_topic: office/graph2mqtt
entra:
  tenant: contoso.com
  client_id: 00000000-0000-0000-0000-000000000001
  client_secret: "s#cret"
graph: { poll: { active: 2s, quiet: 1m } }
accounts:
  alex: { user: alex@contoso.com, name: 1.10 }
  boss:
    user: 0123ABCD-0000-4000-8000-00000000000F
    via: app
  team: { user: team@contoso.com, via: alex, area: Office }
hubs:
  office: { host: 192.168.1.20, id: 001788fffe102030, key: 001788010203 }
lights:
  desk:
    hub: office
    target: room/Office
    follow: [alex, boss]
    show: latest
    offline: off
    colors: { InACall: { color: "#102030", brightness: 80%, transition: 1s } }
  door: { hub: office, target: Door, follow: alex }
colors:
  inacall: "#00ff00"
"##;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn load_with(yaml: &str, environment: &[(&str, &str)], set: &[&str]) -> Result<Loaded, Mistakes> {
    let environment = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
    let set: Vec<String> = set.iter().map(ToString::to_string).collect();
    read(Some(yaml), Some("graph2mqtt.yaml".into()), Path::new("/etc/g"), environment, &set)
}

/// The mistakes as text, each a line.
fn mistakes(yaml: &str, environment: &[(&str, &str)]) -> String {
    load_with(yaml, environment, &[]).expect_err("there should be a mistake").to_string()
}

#[test]
fn nothing_at_all_is_a_configuration() {
    let settings = from_yaml("", Path::new("")).unwrap();
    assert_eq!((settings.mqtt.host.as_str(), settings.mqtt.port, settings.mqtt.tls), ("localhost", 1883, false));
    assert_eq!(settings.mqtt.keep_alive, Duration::from_secs(30));
    assert!(settings.entra.is_none() && settings.accounts.is_empty());
    assert_eq!(settings.graph.endpoint.as_str(), "https://graph.microsoft.com/v1.0");
    assert_eq!((settings.graph.active.as_secs(), settings.graph.quiet.as_secs()), (5, 30));
    assert_eq!(settings.store.url, "sqlite://data/graph2mqtt.db");
    assert_eq!(settings.actuator.location, name("home"));
    assert_eq!(settings.colors.0["Offline"], Color::Off);
    assert!(matches!(settings.colors.0["InACall"], Color::On { shade: Shade::Rgb([0xa8, 0, 0]), brightness: 100, .. }));
}

#[test]
fn scalars_reach_their_types_as_they_were_written() {
    let settings = from_yaml(COMPLETE, Path::new("")).unwrap();
    assert_eq!(settings.mqtt.username.as_deref(), Some("yes"));
    assert_eq!(settings.mqtt.password.unwrap().expose_secret(), "0017e10");
    assert_eq!(settings.accounts[&name("alex")].name.as_deref(), Some("1.10"));
    let hub = &settings.hubs[&name("office")];
    assert_eq!(hub.id.as_deref(), Some("001788fffe102030"));
    assert_eq!(hub.key.as_ref().unwrap().expose_secret(), "001788010203");
}

#[test]
fn everything_written_arrives() {
    let settings = from_yaml(COMPLETE, Path::new("/etc/g")).unwrap();
    assert_eq!(
        (settings.mqtt.host.as_str(), settings.mqtt.port, settings.mqtt.tls),
        ("broker.example.net", 8883, true)
    );
    let Some(Entra { credential: Some(Credential::Secret(secret)), .. }) = settings.entra else { panic!() };
    assert_eq!(secret.text().expose_secret(), "s#cret");
    assert_eq!(settings.accounts[&name("boss")].via, Via::App);
    assert!(matches!(settings.accounts[&name("boss")].user, User::Id(_)));
    assert_eq!(settings.accounts[&name("team")].via, Via::Account(name("alex")));
    let desk = &settings.lights[&name("desk")];
    assert_eq!(desk.target, Target { kind: Some(TargetKind::Room), name: "Office".into() });
    assert_eq!((desk.follow.len(), desk.show, &desk.offline), (2, Show::Latest, &Color::Off));
    let shade = Shade::Rgb([0x10, 0x20, 0x30]);
    let call = Color::On { shade, brightness: 80, transition: Duration::from_secs(1), effect: None };
    assert_eq!(desk.colors.0["InACall"], call);
    assert!(matches!(settings.colors.0["InACall"], Color::On { shade: Shade::Rgb([0, 255, 0]), .. }));
    assert_eq!(settings.lights[&name("door")].follow, [name("alex")]);
    assert_eq!(settings.store.url, "sqlite:///etc/g/data/graph2mqtt.db");
}

#[test]
fn what_kubernetes_sets_for_a_service_of_our_name_is_no_mistake() {
    let links = [
        ("GRAPH2MQTT_SERVICE_HOST", "10.0.0.1"),
        ("GRAPH2MQTT_SERVICE_PORT", "8480"),
        ("GRAPH2MQTT_SERVICE_PORT_HTTP", "8480"),
        ("GRAPH2MQTT_PORT", "tcp://10.0.0.1:8480"),
        ("GRAPH2MQTT_PORT_8480_TCP_ADDR", "10.0.0.1"),
    ];
    load_with("", &links, &[]).unwrap();
    for mistaken in ["GRAPH2MQTT_PORTS", "GRAPH2MQTT_WEB__PORT", "GRAPH2MQTT_PORT__X", "GRAPH2MQTT_SERVICE"] {
        assert!(mistakes("", &[(mistaken, "8480")]).contains(mistaken), "{mistaken}");
    }
}

#[test]
fn the_environment_overrides_the_file_and_flags_override_both() {
    let environment = [
        ("GRAPH2MQTT_MQTT__URL", "mqtt://env"),
        ("GRAPH2MQTT_MQTT__BASE_TOPIC", "env"),
        ("GRAPH2MQTT_ACCOUNTS__ALEX__USER", "alice@contoso.com"),
        ("GRAPH2MQTT_ACCOUNTS__NEW__USER", "new@contoso.com"),
        ("GRAPH2MQTT_COLORS__INACALL", "#0000ff"),
        ("GRAPH2MQTT_LIGHTS__DOOR__FOLLOW", "alex, new"),
        ("GRAPH2MQTT_LOG", "debug"),
        ("GRAPH2MQTT_CONFIG", "x"),
        ("PATH", "/bin"),
    ];
    let settings = load_with(COMPLETE, &environment, &["mqtt.url=mqtt://flag"]).unwrap().settings;
    assert_eq!((settings.mqtt.host.as_str(), settings.mqtt.base_topic.as_str()), ("flag", "env"));
    assert_eq!(settings.accounts[&name("alex")].user, User::Name("alice@contoso.com".into()));
    assert_eq!(settings.accounts[&name("alex")].name.as_deref(), Some("1.10"), "only the one value is replaced");
    assert!(settings.accounts.contains_key(&name("new")));
    assert_eq!(settings.lights[&name("door")].follow, [name("alex"), name("new")]);
    assert!(matches!(settings.colors.0["InACall"], Color::On { shade: Shade::Rgb([0, 0, 255]), .. }));
}

#[test]
fn no_report_and_no_debug_text_shows_a_secret() {
    for yaml in [
        "mqtt: { url: 'mqtt://u:hunter2@broker' }",
        "mqtt: { url: 'u:hunter2@broker' }",
        "mqtt: { pasword: hunter2 }",
        "mqtt: { url2: 'mqtt://u:hunter2@broker' }",
        "mqtt: hunter2",
        "entra: { client_secret: hunter2, client_secret_file: x }",
        "entra: { client_secret: [hunter2] }",
        "entra: { clientsecret: hunter2 }",
        "entra: { certificate_password: hunter2 }",
        "hubs: { a: hunter2 }",
        "hubs: { a: { host: h, key: \"hunter2\\n2\" } }",
        "hubs: { a: { host: 'hunter2@h' } }",
        "graph: { endpoint: 'https://u:hunter2@h' }",
        "mqtt: { password: hunter2 }\nfoo: 1",
    ] {
        let report = mistakes(yaml, &[("GRAPH2MQTT_PASSWORD", "hunter2"), ("GRAPH2MQTT_HUBS__B__KYE", "hunter2")]);
        assert!(!report.contains("hunter2"), "{yaml}: {report}");
    }
    let loaded = load_with(COMPLETE, &[], &[]).unwrap();
    for text in [format!("{loaded:?}"), show(&loaded)] {
        assert!(!["s#cret", "0017e10", "001788010203"].iter().any(|secret| text.contains(secret)), "{text}");
    }
}

#[test]
fn of_a_secret_and_its_file_the_higher_source_counts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "from file\r\n").unwrap();
    let file = file.to_str().unwrap();
    let password = |yaml: &str, environment: &[(&str, &str)]| {
        load_with(yaml, environment, &[]).unwrap().settings.mqtt.password.unwrap().expose_secret().to_owned()
    };
    let named = format!("mqtt: {{ username: a, password_file: '{file}' }}");
    assert_eq!(password(&named, &[]), "from file");
    assert_eq!(password(&named, &[("GRAPH2MQTT_MQTT__PASSWORD", "env")]), "env");
    assert_eq!(
        password("mqtt: { username: a, password: yaml }", &[("GRAPH2MQTT_MQTT__PASSWORD_FILE", file)]),
        "from file"
    );
    assert_eq!(
        password("mqtt: { username: a, password_file: nowhere }", &[("GRAPH2MQTT_MQTT__PASSWORD", "env")]),
        "env"
    );
    let both = [("GRAPH2MQTT_MQTT__PASSWORD", "env"), ("GRAPH2MQTT_MQTT__PASSWORD_FILE", file)];
    let report = mistakes("", &both);
    assert!(report.contains("GRAPH2MQTT_MQTT__PASSWORD:") && report.contains("GRAPH2MQTT_MQTT__PASSWORD_FILE"));
}

#[test]
fn what_is_shown_reads_back_as_the_same_configuration() {
    let loaded = load_with(COMPLETE, &[("GRAPH2MQTT_MQTT__BASE_TOPIC", "env")], &[]).unwrap();
    let shown = show(&loaded);
    assert!(shown.contains("# GRAPH2MQTT_MQTT__BASE_TOPIC") && shown.contains("# graph2mqtt.yaml:13"), "{shown}");
    // What stands in a secret's place is no application key.
    let again = from_yaml(&shown.replace("key: \"<hidden>\"", "key: abc"), Path::new("/etc/g")).unwrap();
    assert_eq!(format!("{again:?}"), format!("{:?}", loaded.settings));
}

#[test]
fn a_managed_identity_is_on_by_true_by_a_map_and_by_a_variable() {
    const ID: &str = "00000000-0000-4000-8000-000000000001";
    let accounts = "accounts: { a: { user: a@b.c, via: app } }";
    let read = |entra: &str, environment: &[(&str, &str)]| {
        let yaml = format!("entra: {{ tenant: b.c, client_id: {ID}{entra} }}\n{accounts}");
        let loaded = load_with(&yaml, environment, &[]).unwrap();
        let again = from_yaml(&show(&loaded), Path::new("/etc/g")).unwrap();
        assert_eq!(format!("{again:?}"), format!("{:?}", loaded.settings), "{}", show(&loaded));
        match loaded.settings.entra.unwrap().credential {
            Some(Credential::ManagedIdentity { client_id, role, .. }) => (client_id, role),
            other => panic!("{other:?}"),
        }
    };
    let variable = "GRAPH2MQTT_ENTRA__MANAGED_IDENTITY";
    assert_eq!(read(", managed_identity: true", &[]), (None, IdentityRole::Graph));
    assert_eq!(read("", &[(variable, "true")]), (None, IdentityRole::Graph));
    assert_eq!(read(", managed_identity: {}", &[]), (None, IdentityRole::Graph));
    assert_eq!(read(", managed_identity: { as: application }", &[]), (None, IdentityRole::Application));
    let of_user = format!("{variable}__CLIENT_ID");
    assert_eq!(read(", managed_identity: true", &[(&of_user, ID)]), (Some(ID.into()), IdentityRole::Graph));
    assert_eq!(read("", &[(&of_user, ID)]), (Some(ID.into()), IdentityRole::Graph));
    let off =
        format!("entra: {{ tenant: b.c, client_id: {ID}, client_secret: x, managed_identity: {{ client_id: {ID} }} }}");
    assert!(load_with(&off, &[(variable, "false")], &[]).is_ok(), "a variable switches it off");
}

#[test]
fn an_identity_that_asks_graph_itself_needs_no_application() {
    let yaml = "entra: { tenant: b.c, managed_identity: true }\naccounts: { a: { user: a@b.c, via: app } }";
    assert_eq!(from_yaml(yaml, Path::new("")).unwrap().entra.unwrap().client_id, "");
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let settings = load_with("", &[("GRAPH2MQTT_MQTT__USERNAME", "")], &[]).unwrap().settings;
    assert_eq!(settings.mqtt.username, None);
}

#[test]
fn the_schema_is_the_committed_one_and_takes_the_example() {
    let committed: serde_json::Value =
        serde_json::from_str(include_str!("../../config/graph2mqtt.schema.json")).unwrap();
    assert_eq!(committed, schema(), "run: graph2mqtt config schema > config/graph2mqtt.schema.json");
    let example = include_str!("../../config/graph2mqtt.example.yaml");
    assert!(example.starts_with("# yaml-language-server: $schema=graph2mqtt.schema.json\n"));
    from_yaml(example, Path::new("config")).unwrap();
    let validator = jsonschema::validator_for(&committed).unwrap();
    let complete = COMPLETE.replace("inacall", "InACall");
    for yaml in [example, &complete, "mqtt:\ncolors: { Away: { color: off } }\nweb: { hosts: a }"] {
        let instance: serde_json::Value = serde_yaml::from_str(yaml).unwrap();
        let errors: Vec<String> = validator.iter_errors(&instance).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}

#[test]
fn the_schema_refuses_what_the_program_refuses() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for yaml in ["foo: 1", "mqtt: { ur: x }", "graph: { poll: { active: 5 } }", "colors: { Avaliable: off }"] {
        let instance: serde_json::Value = serde_yaml::from_str(yaml).unwrap();
        assert!(!validator.is_valid(&instance), "{yaml}");
        assert!(from_yaml(yaml, Path::new("")).is_err(), "{yaml}");
    }
}

#[test]
fn twenty_thousand_accounts_are_read() {
    let mut yaml =
        String::from("entra: { tenant: contoso.com, client_id: 00000000-0000-0000-0000-000000000001 }\naccounts:\n");
    (0..20_000).for_each(|n| yaml.push_str(&format!("  person_{n}: {{ user: person{n}@contoso.com }}\n")));
    let loaded = load_with(&yaml, &[("GRAPH2MQTT_ACCOUNTS__PERSON_7__USER", "seven@contoso.com")], &[]).unwrap();
    assert_eq!(loaded.settings.accounts.len(), 20_000);
    assert_eq!(loaded.origin_of_account("person_8", "user").to_string(), "graph2mqtt.yaml:11");
    assert_eq!(loaded.origin_of_account("person_7", "user").to_string(), "GRAPH2MQTT_ACCOUNTS__PERSON_7__USER");
}

#[test]
fn each_cloud_has_its_own_entra_and_graph_and_either_can_be_replaced() {
    for (cloud, authority, endpoint) in [
        ("global", "https://login.microsoftonline.com/", "https://graph.microsoft.com/v1.0"),
        ("us_government", "https://login.microsoftonline.us/", "https://graph.microsoft.us/v1.0"),
        ("us_government_dod", "https://login.microsoftonline.us/", "https://dod-graph.microsoft.us/v1.0"),
        ("china", "https://login.partner.microsoftonline.cn/", "https://microsoftgraph.chinacloudapi.cn/v1.0"),
    ] {
        let yaml = |more: &str| {
            format!(
                "entra: {{ cloud: {cloud}, tenant: contoso.com, client_id: 00000000-0000-0000-0000-000000000001 }}\n{more}"
            )
        };
        let settings = from_yaml(&yaml(""), Path::new("/")).unwrap();
        assert_eq!(settings.entra.unwrap().authority.as_str(), authority, "{cloud}");
        assert_eq!(settings.graph.endpoint.as_str(), endpoint, "{cloud}");
        let replaced = from_yaml(&yaml("graph: { endpoint: 'https://graph.example/v1.0' }"), Path::new("/")).unwrap();
        assert_eq!(replaced.graph.endpoint.as_str(), "https://graph.example/v1.0", "{cloud}");
    }
}
