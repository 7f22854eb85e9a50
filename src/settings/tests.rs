//! The configuration as users write it.

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
    assert!(matches!(settings.colors.0["InACall"], Color::On { rgb: [0xa8, 0, 0], brightness: 100, .. }));
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
    assert_eq!(secret.expose_secret(), "s#cret");
    assert_eq!(settings.accounts[&name("boss")].via, Via::App);
    assert!(matches!(settings.accounts[&name("boss")].user, User::Id(_)));
    assert_eq!(settings.accounts[&name("team")].via, Via::Account(name("alex")));
    let desk = &settings.lights[&name("desk")];
    assert_eq!(desk.target, Target { kind: Some(TargetKind::Room), name: "Office".into() });
    assert_eq!((desk.follow.len(), desk.show, &desk.offline), (2, Show::Latest, &Color::Off));
    let call = Color::On { rgb: [0x10, 0x20, 0x30], brightness: 80, transition: Duration::from_secs(1) };
    assert_eq!(desk.colors.0["InACall"], call);
    assert!(matches!(settings.colors.0["InACall"], Color::On { rgb: [0, 255, 0], .. }));
    assert_eq!(settings.lights[&name("door")].follow, [name("alex")]);
    assert_eq!(settings.store.url, "sqlite:///etc/g/data/graph2mqtt.db");
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
    assert!(matches!(settings.colors.0["InACall"], Color::On { rgb: [0, 0, 255], .. }));
}
