//! The configuration as users write it.

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

/// A configuration with one mistake, and what the report must say of it.
const MISTAKES: &[(&str, &[&str])] = &[
    ("mqtt: { ur: x }", &["graph2mqtt.yaml:1: mqtt.ur \"x\" is not a known key", "mqtt.url"]),
    ("tenant: contoso.com", &["tenant \"contoso.com\" is not a known key", "entra.tenant"]),
    (
        "entra: { client_secret: s3, certificate_file: /dev/null }",
        &["entra.certificate_file", "second credential beside entra.client_secret"],
    ),
    ("entra: { certificate_password: s3 }", &["entra.certificate_password", "needs entra.certificate_file"]),
    ("entra: { certificate_file: nowhere.pem }", &["entra.certificate_file", "cannot be read"]),
    ("entra: { managed_identity: maybe }", &["entra.managed_identity \"maybe\" is neither true nor false"]),
    (
        "entra: { managed_identity: [true] }",
        &["entra.managed_identity has a value of the wrong type", "true, or a map"],
    ),
    ("entra: { managed_identity: { '=': true } }", &["entra.managed_identity.= \"true\" is not a known key"]),
    ("entra: { managed_identity: { as: person } }", &["entra.managed_identity.as", "graph, application"]),
    (
        "entra: { managed_identity: { client_id: x } }",
        &["entra.managed_identity.client_id \"x\" is not an application id"],
    ),
    (
        "entra: { managed_identity: true, federated_token_file: x }",
        &["entra.federated_token_file", "second credential beside entra.managed_identity"],
    ),
    ("entra: { key_vault: { secret: x } }", &["entra.key_vault.vault is missing"]),
    ("entra: { key_vault: { vault: 'https://x' } }", &["entra.key_vault.secret is missing"]),
    ("entra: { key_vault: { vault: 'https://x', secret: a, certificate: b } }", &["entra.key_vault.certificate \"b\""]),
    ("entra: { key_vault: { vault: 'http://x.example', secret: a } }", &["unencrypted"]),
    (
        "entra: { key_vault: { vault: 'https://x/secrets/a', secret: a } }",
        &["entra.key_vault.vault", "goes on behind the host"],
    ),
    ("entra: { key_vault: { vault: 'https://x', secret: a/b } }", &["is not a name in a key vault"]),
    (
        "entra: { tenant: b.c, managed_identity: true }\naccounts: { a: { user: a@b.c, via: app, tenant: d.e } }",
        &["accounts.a.tenant", "managed identity's", "as: application"],
    ),
    (
        "entra: { tenant: b.c, managed_identity: true }\naccounts: { a: { user: a@b.c } }",
        &["entra.client_id is missing"],
    ),
    ("web: { enrol: { tenants: organizations } }", &["web.enrol.tenants \"organizations\" would let anybody"]),
    ("web: { enrol: { tenants: contoso.com } }", &["entra.tenant is missing: people may enrol"]),
    ("mqtt: { url: [a] }", &["mqtt.url has a value of the wrong type"]),
    ("mqtt: { url: { a: b } }", &["mqtt.url has a value of the wrong type"]),
    ("mqtt: broker", &["mqtt takes keys of its own", "mqtt.url"]),
    ("mqtt.url: mqtt://x", &["has a dot"]),
    ("mqtt: { url: 'broker:1883' }", &["\"broker:1883\" has no scheme", "mqtt://"]),
    ("mqtt: { url: 'tcp://broker' }", &["scheme", "mqtt://"]),
    ("mqtt: { url: 'ws://broker' }", &["WebSocket"]),
    ("mqtt: { url: 'mqtt://broker/path' }", &["goes on behind the port"]),
    ("mqtt: { url: 'mqtt://broker:99999' }", &["mqtt.url"]),
    ("mqtt: { base_topic: 'a/#' }", &["wildcard"]),
    ("mqtt: { base_topic: /a }", &["empty level"]),
    ("mqtt: { base_topic: $SYS }", &["$"]),
    ("mqtt: { base_topic: '' }", &["is empty"]),
    ("mqtt: { keep_alive: 4s }", &["is too short", "5s"]),
    ("mqtt: { keep_alive: 30 }", &["\"30\" has no unit", "30s"]),
    ("mqtt: { keep_alive: 30 parsecs }", &["unit that is not known"]),
    ("mqtt: { url: 'mqtts://b', client_certificate_file: Cargo.toml }", &["client_key_file"]),
    ("mqtt: { url: 'mqtts://b', ca_file: nowhere.pem }", &["\"nowhere.pem\" cannot be read"]),
    ("mqtt: { password: '' }", &["mqtt.password is empty"]),
    ("mqtt: { password_file: nowhere }", &["mqtt.password_file \"nowhere\" cannot be read"]),
    ("mqtt: { password: a, password_file: b }", &["given twice", "graph2mqtt.yaml:1"]),
    ("home_assistant: { discovery: maybe }", &["neither true nor false"]),
    ("entra: { cloud: moon }", &["choices", "us_government"]),
    ("entra: { authority: 'http://login.example.net' }", &["unencrypted", "https://"]),
    ("graph: { endpoint: 'http://10.0.0.1/v1.0' }", &["unencrypted"]),
    ("graph: { endpoint: 'ftp://x' }", &["scheme"]),
    ("graph: { poll: { active: 5 } }", &["graph.poll.active \"5\" has no unit", "5s"]),
    ("graph: { poll: { active: 900ms } }", &["too short", "1s"]),
    ("graph: { poll: { active: 40s } }", &["graph.poll.quiet \"30s\" is shorter than graph.poll.active (40s)"]),
    ("accounts: { a: { user: a@b.c } }", &["entra.tenant is missing", "entra.client_id is missing"]),
    ("accounts: { Alex: { user: a@b.c } }", &["accounts.Alex is not a name"]),
    ("accounts: { a: }", &["accounts.a.user is missing"]),
    ("accounts: { a: { user: alex } }", &["accounts.a.user \"alex\" is neither"]),
    ("accounts: { a: { user: a@b.c, vai: app } }", &["accounts.a.vai", "accounts.a.via"]),
    ("accounts: { a: { user: a@b.c, via: b } }", &["accounts.a.via \"b\" names an account that is not there"]),
    ("accounts: { a: { user: a@b.c, via: a } }", &["names the account itself"]),
    ("accounts: { a: { user: a@b.c, via: b }, b: { user: b@b.c, via: app } }", &["does not sign in itself"]),
    ("accounts: { a: { user: a@b.c, via: app } }", &["entra.client_secret is missing", "accounts.a"]),
    ("store: { url: 'postgres://x' }", &["PostgreSQL"]),
    ("store: { url: data.db }", &["sqlite://"]),
    ("web: { listen: 8480 }", &["0.0.0.0:8480"]),
    ("web: { hosts: ['http://a'] }", &["host name"]),
    ("web: { public_url: presence.example.net }", &["web.public_url \"presence.example.net\" is not a URL"]),
    ("web: { public_url: 'ftp://a' }", &["is not a page's URL"]),
    ("web: { public_url: 'https://a/?b' }", &["query or fragment"]),
    ("web: { public_url: 'https://a:b@c' }", &["carries credentials", "web.password"]),
    ("web: { public_url: 'https://a/sign-in/callback' }", &["is the redirect URI"]),
    ("web: { public_url: 'https://a/b%20c' }", &["has a path that"]),
    ("web: { password: '' }", &["web.password is empty"]),
    ("web: { metrics_listen: '127.0.0.1:8480' }", &["web.metrics_listen", "is the same as web.listen"]),
    ("actuator: { location: Living Room }", &["actuator.location \"Living Room\" is not a name"]),
    ("hubs: { a: {} }", &["hubs.a.host is missing"]),
    ("hubs: { a: { host: 'https://1.2.3.4' } }", &["hubs.a.host \"https://1.2.3.4\" has a scheme"]),
    ("hubs: { a: { host: h, id: 123 } }", &["16 hex digits"]),
    ("hubs: { a: { host: h, certificate_sha256: 12 } }", &["64 hex digits"]),
    ("lights: { a: }", &["lights.a.hub is missing", "lights.a.target is missing", "lights.a.follow is missing"]),
    ("lights: { a: { hub: b, target: c, follow: d } }", &["lights.a.hub \"b\" names a hub that is not there"]),
    ("lights: { a: { hub: b, target: c, follow: d, show: all } }", &["busiest, latest, first"]),
    ("lights: { a: { hub: b, target: c, follow: d, offline: blau } }", &["lights.a.offline \"blau\" is not a colour"]),
    ("colors: { InACal: off }", &["is not a known key", "colors.InACall"]),
    ("colors: { Busy: #ff0000\n }", &["colors.Busy", "in", "quotes"]),
    ("colors: { Busy: '#ff00' }", &["colors.Busy \"#ff00\" is not a colour"]),
    ("colors: { Busy: { color: '#ff0000', brightness: 0 } }", &["colors.Busy.brightness \"0\" is out of range"]),
    ("colors: { Busy: { color: '#ff0000', effect: flash } }", &["colors.Busy.effect \"flash\" is not an effect"]),
    ("colors: { Busy: { color: '#ff0000', transition: 1 } }", &["has no unit"]),
    ("colors: { Busy: { color: 'scene:sunset', effect: blink } }", &["colors.Busy \"scene:sunset\" takes no effect"]),
    ("colors: { Busy: { color: restore, brightness: 50 } }", &["colors.Busy \"restore\" takes neither brightness"]),
    ("colors: { Busy: 'temperature:12' }", &["colors.Busy \"temperature:12\" is out of range"]),
    ("colors: { Busy: gren }", &["colors.Busy \"gren\" is not a colour", "CSS colour name"]),
    ("mqtt: &a { username: x }", &["anchor"]),
    ("mqtt: { password: !secret x }", &["tag"]),
    ("mqtt: { username: a, USERNAME: b }", &["is there twice"]),
    ("mqtt:\n  username: a\nmqtt:\n  url: b", &["graph2mqtt.yaml:3: mqtt is there twice"]),
    ("a: [", &["graph2mqtt.yaml:2", "is not YAML"]),
    ("- a", &["is not a map of sections"]),
    ("mqtt:\n---\nmqtt:", &["second document"]),
    ("[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]: 1", &["key"]),
];

#[test]
fn each_mistake_says_the_key_the_value_the_origin_and_what_to_do() {
    for (yaml, expected) in MISTAKES {
        let report = mistakes(yaml, &[]);
        for part in *expected {
            assert!(report.contains(part), "{yaml}\nshould say {part:?}, but says\n{report}");
        }
    }
}

#[test]
fn a_light_may_follow_an_account_of_another_bridge_but_not_an_unknown_one_of_this() {
    let light = "hubs: { h: { host: h } }\nlights: { l: { hub: h, target: t, follow: zoe } }\n";
    assert!(from_yaml(light, Path::new("")).is_ok());
    let with_accounts = format!("{light}accounts: {{ alex: {{ user: a@b.c }} }}");
    let report = mistakes(&with_accounts, &[]);
    assert!(report.contains("lights.l.follow names the account zoe, which is not there"), "{report}");
}

#[test]
fn all_mistakes_come_at_once() {
    let report = mistakes("mqtt: { ur: x, keep_alive: 1s }\nfoo: 1\nhubs: { a: }", &[("GRAPH2MQTT_MQTT_URL", "x")]);
    for part in ["5 mistakes", "mqtt.ur", "mqtt.keep_alive", "foo", "hubs.a.host", "GRAPH2MQTT_MQTT__URL"] {
        assert!(report.contains(part), "{part}: {report}");
    }
}

#[test]
fn a_variable_with_one_underscore_too_few_is_answered_with_the_right_one() {
    for (variable, right) in [
        ("GRAPH2MQTT_MQTT_URL", "GRAPH2MQTT_MQTT__URL?"),
        ("GRAPH2MQTT_ENTRA_CLIENT_SECRET", "GRAPH2MQTT_ENTRA__CLIENT_SECRET?"),
        ("GRAPH2MQTT_GRAPH__POLL_ACTIVE", "GRAPH2MQTT_GRAPH__POLL__ACTIVE?"),
        ("GRAPH2MQTT_HUBS_OFFICE_HOST", "GRAPH2MQTT_HUBS__<NAME>__HOST?"),
        ("GRAPH2MQTT_COLORS__INACAL", "GRAPH2MQTT_COLORS__INACALL?"),
    ] {
        let report = mistakes("", &[(variable, "x")]);
        assert!(report.contains(variable) && report.contains(right), "{report}");
    }
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
    let named = format!("mqtt: {{ password_file: '{file}' }}");
    assert_eq!(password(&named, &[]), "from file");
    assert_eq!(password(&named, &[("GRAPH2MQTT_MQTT__PASSWORD", "env")]), "env");
    assert_eq!(password("mqtt: { password: yaml }", &[("GRAPH2MQTT_MQTT__PASSWORD_FILE", file)]), "from file");
    assert_eq!(password("mqtt: { password_file: nowhere }", &[("GRAPH2MQTT_MQTT__PASSWORD", "env")]), "env");
    let both = [("GRAPH2MQTT_MQTT__PASSWORD", "env"), ("GRAPH2MQTT_MQTT__PASSWORD_FILE", file)];
    let report = mistakes("", &both);
    assert!(report.contains("GRAPH2MQTT_MQTT__PASSWORD:") && report.contains("GRAPH2MQTT_MQTT__PASSWORD_FILE"));
}

#[test]
fn what_is_shown_reads_back_as_the_same_configuration() {
    let loaded = load_with(COMPLETE, &[("GRAPH2MQTT_MQTT__BASE_TOPIC", "env")], &[]).unwrap();
    let shown = show(&loaded);
    assert!(shown.contains("# GRAPH2MQTT_MQTT__BASE_TOPIC") && shown.contains("# graph2mqtt.yaml:13"), "{shown}");
    let again = from_yaml(&shown, Path::new("/etc/g")).unwrap();
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
