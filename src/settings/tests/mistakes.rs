//! Each mistake of a configuration says the key, the value, the origin and what to do.

use super::*;

/// A configuration with one mistake, and what the report must say of it.
const MISTAKES: &[(&str, &[&str])] = &[
    ("mqtt: { ur: x }", &["graph2mqtt.yaml:1: mqtt.ur \"x\" is not a known key", "mqtt.url"]),
    ("tenant: contoso.com", &["tenant \"contoso.com\" is not a known key", "entra.tenant"]),
    (
        "entra: { client_secret: s3, certificate_file: /dev/null }",
        &["entra.certificate_file", "second credential beside entra.client_secret"],
    ),
    (
        "entra: { client_secret: s3, certificate_file: /dev/null, certificate_password: s3, federated_token_file: x }",
        &["2 mistakes", "entra.certificate_file", "entra.federated_token_file"],
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
    (
        "entra: { key_vault: { vault: 'https://x', secret: a/b } }",
        &["is not a name in a key vault", "entra.client_secret_file"],
    ),
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
    ("colors: { Offline: black }", &["colors.Offline \"black\" is no light", "Write off"]),
    ("colors: { Offline: '#000000' }", &["colors.Offline", "is no light"]),
    ("hubs: { a: { host: x, key: 'not one' } }", &["hubs.a.key holds characters that no application key has", "pair"]),
    ("mqtt: { password: '' }", &["mqtt.password is empty"]),
    ("mqtt: { username: a, password_file: no/where }", &["mqtt.password_file \"no/where\" cannot be read"]),
    (
        "mqtt: { username: a, password_file: hunter2 }",
        &["mqtt.password_file names a file that is not there", "mqtt.password."],
    ),
    ("mqtt: { password: s3 }", &["mqtt.password needs mqtt.username"]),
    ("mqtt: { password_file: /dev/null }", &["mqtt.password_file \"/dev/null\" needs mqtt.username"]),
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
    (
        "lights: { a: { wled: h, follow: d }, b: { wled: h, target: 1, follow: d } }",
        &["lights.b.wled \"h\" is the strip of lights.a too", "share lamps", "segment of its own"],
    ),
    (
        "lights: { a: { wled: h, target: Sign, follow: d }, b: { wled: i, follow: d }, c: { wled: h, target: sign, follow: d } }",
        &["lights.c.wled \"h\" is the strip of lights.a too"],
    ),
    (
        "lights: { a: { wled: Strip.lan, follow: d }, b: { wled: 'strip.lan.:80', follow: d } }",
        &["lights.b.wled \"strip.lan.:80\" is the strip of lights.a too"],
    ),
    (
        "lights: { a: { wled: '[0:0::1]:80', follow: d }, b: { wled: '[::1]', follow: d } }",
        &["lights.b.wled \"[::1]\" is the strip of lights.a too"],
    ),
    (
        "lights: { a: { wled: h, follow: d, hours: { from: '8:00', to: '12:00', time_zone: UTC } }, b: { wled: h, follow: d, hours: { from: '12:00', to: '20:00', time_zone: UTC } } }",
        &["lights.b.wled \"h\" is the strip of lights.a too", "hours that exclude each other do not part them"],
    ),
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
fn a_secret_where_its_name_belongs_is_not_told() {
    let secrets = ["hunter2", "abc8Q~d.efGhIjKlMnOpQrStUvWxYz0123456789", "aB3/x+yz/q==", "a/b~c"];
    for secret in secrets {
        for yaml in [
            format!("mqtt: {{ username: a, password_file: '{secret}' }}"),
            format!("entra: {{ client_secret_file: '{secret}' }}"),
            format!("hubs: {{ h: {{ host: h, key_file: '{secret}' }} }}"),
            format!("web: {{ password_file: '{secret}' }}"),
            format!("entra: {{ key_vault: {{ vault: 'https://x', secret: '_{secret}' }} }}"),
        ] {
            let report = mistakes(&yaml, &[]);
            assert!(!report.contains(secret) && report.contains("1 mistake in"), "{report}");
        }
    }
}

#[test]
fn a_file_that_is_no_yaml_hides_no_mistake_of_the_environment() {
    let report = mistakes("mqtt: [", &[("GRAPH2MQTT_MQTT_URL", "x")]);
    for part in ["2 mistakes", "is not YAML", "GRAPH2MQTT_MQTT__URL"] {
        assert!(report.contains(part), "{part}: {report}");
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
fn strips_at_other_ports_are_others() {
    for (one, other) in [("h", "h:8080"), ("h:81", "h:82"), ("h", "i"), ("h", "h:443")] {
        let yaml = format!("lights: {{ a: {{ wled: '{one}', follow: d }}, b: {{ wled: '{other}', follow: d }} }}");
        assert!(from_yaml(&yaml, Path::new("")).is_ok(), "{yaml}");
    }
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
