//! Every key that there is, as data: its kind, default, and what it is for. From this table come the
//! defaults, the check for unknown keys, the JSON Schema and the hiding of secrets.

use crate::presence::{Activity, Availability};

/// One key. `*` in its path stands for a name, under `colors` for a status.
#[derive(Debug)]
pub(super) struct Key {
    pub path: &'static str,
    pub kind: Kind,
    pub default: Option<&'static str>,
    /// For editors: what it is for.
    pub about: &'static str,
    pub example: &'static str,
}

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// `[a-z0-9_]+`
    Name,
    Url,
    Switch,
    /// A switch, or a map of the keys below it, which means that it is on.
    SwitchOrKeys,
    Duration,
    /// A list, or one text, separated by commas in the environment.
    List,
    /// A file or folder; relative ones start at the configuration file's folder.
    Path,
    /// Never shown. `<key>_file` names a file that holds it.
    Secret,
    SecretFile,
    Choice(&'static [&'static str]),
    /// A colour as `settings::color` has it, or a map of [`COLOR_FIELDS`].
    Color,
}

const fn key(path: &'static str, kind: Kind, default: &'static str, about: &'static str, example: &'static str) -> Key {
    Key { path, kind, default: Some(default), about, example }
}

/// A key that has no default.
const fn open(path: &'static str, kind: Kind, about: &'static str, example: &'static str) -> Key {
    Key { path, kind, default: None, about, example }
}

pub(super) const CLOUDS: &[&str] = &["global", "us_government", "us_government_dod", "china"];
pub(super) const IDENTITY_ROLES: &[&str] = &["graph", "application"];
pub(super) const APIS: &[&str] = &["v2", "v1"];
/// What a light does while nothing is to be shown.
pub(super) const RESTS: &[&str] = &["keep", "off", "restore"];
pub(super) const SHOWS: &[&str] = &["busiest", "latest", "first"];
pub(super) const REQUESTS: &[&str] = &["safe", "all", "none"];
pub(super) const ON_STOPS: &[&str] = &["keep", "clear"];

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key("mqtt.url", Kind::Url, "mqtt://localhost:1883", "The broker: mqtt://host:port, or mqtts:// for TLS. It must speak MQTT 5.", "mqtts://broker.example.net"),
    open("mqtt.username", Kind::Text, "User name at the broker.", "graph2mqtt"),
    open("mqtt.password", Kind::Secret, "Password at the broker. Better in a file: password_file.", ""),
    open("mqtt.password_file", Kind::SecretFile, "File that holds the password.", "/run/secrets/mqtt"),
    key("mqtt.base_topic", Kind::Text, "graph2mqtt", "First part of every topic. Each bridge on a broker needs its own.", "graph2mqtt"),
    open("mqtt.client_id", Kind::Text, "Prefix of the client id, where the broker's rules ask for one.", "graph2mqtt"),
    key("mqtt.keep_alive", Kind::Duration, "30s", "After about one and a half of these without a sign of life, the broker says offline for us. 5s at least.", "30s"),
    open("mqtt.ca_file", Kind::Path, "PEM file of the authorities that sign the broker's certificate, instead of the system's.", "ca.pem"),
    open("mqtt.client_certificate_file", Kind::Path, "PEM file of our certificate, where the broker asks for one.", "client.pem"),
    open("mqtt.client_key_file", Kind::Path, "PEM file of the key to client_certificate_file.", "client.key"),
    key("mqtt.requests", Kind::Choice(REQUESTS), "safe", "What others may ask of the bridge over MQTT: all; safe, nothing that acts as a person (signing in, removing, setting a presence); or none.", "safe"),

    key("home_assistant.discovery", Kind::Switch, "true", "Whether Home Assistant is told about accounts and lights.", "true"),
    key("home_assistant.prefix", Kind::Text, "homeassistant", "Home Assistant's discovery prefix.", "homeassistant"),
    key("home_assistant.status_topic", Kind::Text, "homeassistant/status", "Where Home Assistant says that it is up.", "homeassistant/status"),
    key("home_assistant.on_stop", Kind::Choice(ON_STOPS), "keep", "At a clean stop the devices stay and are unavailable (keep), or leave Home Assistant (clear).", "keep"),
    open("home_assistant.definitions", Kind::Path, "Folder of entity definitions that replace those built in, file by file.", "ha-discovery"),

    key("entra.cloud", Kind::Choice(CLOUDS), "global", "Microsoft's cloud in which the tenant lives. GCC uses global.", "global"),
    open("entra.authority", Kind::Url, "The URL in front of /<tenant>/oauth2/v2.0; set by cloud.", "https://login.microsoftonline.com"),
    open("entra.tenant", Kind::Text, "The tenant: a domain or an id.", "contoso.com"),
    open("entra.client_id", Kind::Text, "The application (client) id of the registered application.", "00000000-0000-0000-0000-000000000000"),
    open("entra.client_secret", Kind::Secret, "The application's secret. Better in a file: client_secret_file. Leave both out for a public client.", ""),
    open("entra.client_secret_file", Kind::SecretFile, "File that holds the application's secret; read again when it changes.", "/run/secrets/entra"),
    open("entra.certificate_file", Kind::Path, "Instead of a secret: PEM file with a certificate and its RSA key, or a PFX; read again when it changes.", "entra.pem"),
    open("entra.certificate_password", Kind::Secret, "Password of the PFX. Better in a file: certificate_password_file.", ""),
    open("entra.certificate_password_file", Kind::SecretFile, "File that holds the password of the PFX.", "/run/secrets/pfx"),

    open("entra.managed_identity", Kind::SwitchOrKeys, "Instead of a secret: the managed identity of the machine in Azure. true, or a map.", "true"),
    open("entra.managed_identity.client_id", Kind::Text, "The client id of a user-assigned identity; the machine's own is used where it is left out.", "00000000-0000-0000-0000-000000000000"),
    key("entra.managed_identity.as", Kind::Choice(IDENTITY_ROLES), "graph", "graph: it asks Graph itself (via: app). application: it is a federated credential of the application.", "application"),
    open("entra.federated_token_file", Kind::Path, "Instead of a secret: a token of Kubernetes or another identity provider that the application trusts; read again each time.", "/var/run/secrets/azure/tokens/azure-identity-token"),
    open("entra.key_vault.vault", Kind::Url, "The Azure key vault that holds the application's secret or certificate, reached with a managed identity or a federated token.", "https://contoso.vault.azure.net"),
    open("entra.key_vault.secret", Kind::Text, "The name of the secret in the vault.", "graph2mqtt"),
    open("entra.key_vault.certificate", Kind::Text, "The name of the certificate in the vault.", "graph2mqtt"),

    open("graph.endpoint", Kind::Url, "Graph's URL with its version; set by entra.cloud.", "https://graph.microsoft.com/v1.0"),
    open("graph.ca_file", Kind::Path, "PEM file of a company's authorities, trusted for Entra and Graph besides the system's.", "company.pem"),
    key("graph.poll.active", Kind::Duration, "5s", "How often an account is asked for that is at work. 1s at least.", "5s"),
    key("graph.write", Kind::Switch, "false", "Whether presence and status message can be set; people are then asked for Presence.ReadWrite when they sign in.", "true"),
    key("graph.poll.quiet", Kind::Duration, "30s", "How often an account is asked for that is away or offline. Not under active.", "30s"),

    open("accounts.*.user", Kind::Text, "Whose presence: a user principal name, or an object id.", "alex@contoso.com"),
    open("accounts.*.name", Kind::Text, "What people read; the account's key where it is left out.", "Alex Wilber"),
    open("accounts.*.area", Kind::Text, "The area that Home Assistant is to suggest.", "Office"),
    open("accounts.*.tenant", Kind::Text, "Another tenant than entra.tenant.", "fabrikam.com"),
    key("accounts.*.via", Kind::Text, "sign_in", "By whose right: sign_in (the person's own), app (the application's), or another account's name.", "sign_in"),

    key("store.url", Kind::Text, "sqlite://data/graph2mqtt.db", "Where sign-ins are kept, sealed.", "sqlite://data/graph2mqtt.db"),
    key("store.key_file", Kind::Path, "data/store.key", "The key that seals the store; made at the first start.", "data/store.key"),

    key("web.listen", Kind::Text, "127.0.0.1:8480", "Address and port of the pages, of health and of metrics.", "127.0.0.1:8480"),
    open("web.public_url", Kind::Url, "The pages as browsers reach them, perhaps under a path of a reverse proxy; http://localhost and web.listen's port where it is left out.", "https://presence.example.net"),
    open("web.hosts", Kind::List, "Further host names under which the pages may be asked for.", "graph2mqtt.example.net"),
    open("web.password", Kind::Secret, "What the pages ask for before they show anything. Better in a file: password_file.", ""),
    open("web.password_file", Kind::SecretFile, "File that holds the pages' password.", "/run/secrets/web"),
    open("web.enrol.tenants", Kind::List, "Tenants, by domain or id, whose people may add themselves at /enrol. Nobody's where it is left out.", "contoso.com"),
    open("web.metrics_listen", Kind::Text, "Address and port of health and metrics, instead of web.listen.", "127.0.0.1:8481"),

    key("actuator.location", Kind::Name, "home", "Actuators with one location share its work.", "home"),

    open("hubs.*.host", Kind::Text, "The hub's host name or address; it may carry a port.", "192.168.1.20"),
    open("hubs.*.id", Kind::Text, "The bridge id: 16 hex digits, as printed in the Hue app.", "001788fffe102030"),
    open("hubs.*.key", Kind::Secret, "The application key, where pair did not keep it in the store. Better in a file: key_file.", ""),
    open("hubs.*.key_file", Kind::SecretFile, "File that holds the application key.", "/run/secrets/hue"),
    open("hubs.*.certificate_sha256", Kind::Text, "SHA-256 of the hub's certificate, for a hub that signs itself: 64 hex digits.", ""),
    open("hubs.*.api", Kind::Choice(APIS), "v2, or v1 for older hubs and look-alikes: by http, or by https with certificate_sha256. Left out, it is found out by https.", "v1"),

    open("lights.*.hub", Kind::Name, "The hub on which the light hangs.", "office"),
    open("lights.*.wled", Kind::Text, "Instead of a hub: host name or address of a WLED strip; target is then a segment, or all where it is left out.", "192.168.1.30"),
    open("lights.*.target", Kind::Text, "Which room, zone or light, by name or id; room/Office where a name is both.", "Office"),
    open("lights.*.follow", Kind::List, "The account, or accounts, whose presence is shown.", "alex"),
    key("lights.*.show", Kind::Choice(SHOWS), "busiest", "Which of several accounts counts.", "busiest"),
    key("lights.*.offline", Kind::Color, "keep", "What is shown while no followed account is known.", "keep"),
    open("lights.*.hours.days", Kind::List, "The days on which the hours begin: mon-fri, or a list; every day where it is left out.", "mon-fri"),
    open("lights.*.hours.from", Kind::Text, "From when the light follows.", "08:00"),
    open("lights.*.hours.to", Kind::Text, "Until when, on the next day where that is not later than from; 24:00 is the end of the day.", "18:00"),
    open("lights.*.hours.time_zone", Kind::Text, "Where it is that time: a name of the tz database.", "Europe/Berlin"),
    key("lights.*.hours.outside", Kind::Choice(RESTS), "keep", "What the light does outside its hours: keep, off, or restore what it showed before.", "off"),
    key("lights.*.hand", Kind::Text, "until_change", "After a person changed the light: until_change leaves it until another status is to be shown, a duration for that time, ignore not at all.", "30m"),
    key("lights.*.on_stop", Kind::Choice(RESTS), "keep", "What the light does when the location's last actuator is stopped: keep, off, or restore what it showed before.", "off"),
    open("lights.*.colors.*", Kind::Color, "This light's own colours, looked up before the others.", "#6bb700"),

    open("colors.*", Kind::Color, "The colour for a status: an activity, an availability, or default.", "#6bb700"),
];

/// The members of a colour that is written as a map: name, default, what it is for, example.
pub(super) const COLOR_FIELDS: &[(&str, Option<&str>, &str, &str)] = &[
    (
        "color",
        None,
        "The colour itself: \"#rrggbb\" in quotes, a CSS name, temperature:2700, xy:0.675,0.322, scene:<name>, off, restore or keep.",
        "#6bb700",
    ),
    ("brightness", Some("100%"), "1% to 100%. A scene has its own where this is left out.", "80%"),
    ("transition", Some("400ms"), "How long the change takes.", "1s"),
    (
        "effect",
        Some("none"),
        "none, breathe or blink, as long as the status lasts; or for a while, such as blink:30s.",
        "blink:30s",
    ),
];

/// The colours that people expect, from Teams and its companions.
pub(super) const COLORS: &[(&str, &str)] = &[
    ("Available", "#6bb700"),
    ("AvailableIdle", "#6bb700"),
    ("Away", "#ffaa44"),
    ("BeRightBack", "#ffaa44"),
    ("Inactive", "#ffaa44"),
    ("Busy", "#d13438"),
    ("BusyIdle", "#d13438"),
    ("InAMeeting", "#d13438"),
    ("InACall", "#a80000"),
    ("InAConferenceCall", "#a80000"),
    ("Presenting", "#a80000"),
    ("DoNotDisturb", "#b03cde"),
    ("Focusing", "#b03cde"),
    ("UrgentInterruptionsOnly", "#b03cde"),
    ("OutOfOffice", "#b4009e"),
    ("Offline", "off"),
    ("OffWork", "off"),
    ("PresenceUnknown", "off"),
    ("default", "off"),
];

/// Every word that can stand under `colors`, in its canonical spelling.
pub(super) fn statuses() -> impl Iterator<Item = &'static str> {
    let availabilities = Availability::KNOWN.iter().filter(|word| !Activity::KNOWN.contains(word));
    Activity::KNOWN.iter().chain(availabilities).copied().chain(["default"])
}

/// A status in its canonical spelling, if it is one.
pub(super) fn status(word: &str) -> Option<&'static str> {
    statuses().find(|status| status.eq_ignore_ascii_case(word))
}

/// A path as people write it: statuses in their canonical spelling.
pub(super) fn spelt(path: &str) -> String {
    let mut parent = "";
    let spell = |part| {
        let spelt = if parent == "colors" { status(part).unwrap_or(part) } else { part };
        parent = part;
        spelt
    };
    path.split('.').map(spell).collect::<Vec<_>>().join(".")
}

/// What stands at a path.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Key(&'static Key),
    /// A member of a colour.
    ColorField,
    /// Something that holds keys.
    Section,
    Unknown,
}

/// What stands at a path whose parts are in lower case (names as they were written).
pub(super) fn find(path: &str) -> Place {
    if let Some(key) = KEYS.iter().find(|key| covers(key.path, path) == Cover::Whole) {
        return Place::Key(key);
    }
    let is_color_field = || {
        let (parent, field) = path.rsplit_once('.')?;
        COLOR_FIELDS.iter().find(|(name, ..)| *name == field)?;
        KEYS.iter().find(|key| key.kind == Kind::Color && covers(key.path, parent) == Cover::Whole)
    };
    if is_color_field().is_some() {
        return Place::ColorField;
    }
    if KEYS.iter().any(|key| covers(key.path, path) == Cover::Start) {
        return Place::Section;
    }
    Place::Unknown
}

/// How a path lies on a pattern.
#[derive(Debug, PartialEq, Eq)]
enum Cover {
    Whole,
    /// The path ends before the pattern.
    Start,
    Not,
}

fn covers(pattern: &str, path: &str) -> Cover {
    let (mut wanted, mut given) = (pattern.split('.'), path.split('.'));
    let mut parent = "";
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Cover::Whole,
            (Some(_), None) => return Cover::Start,
            (None, Some(_)) => return Cover::Not,
            (Some("*"), Some(word)) if parent == "colors" && status(word).is_none() => return Cover::Not,
            (Some("*"), Some(_)) => {}
            (Some(part), Some(word)) if part == word => parent = part,
            _ => return Cover::Not,
        }
    }
}

/// Whether the last part of such a path is a name that the user chose, and keeps its case.
pub(super) fn is_name(path: &[&str]) -> bool {
    matches!(path, ["accounts" | "hubs" | "lights", _])
}

/// Whether a value at a path could be a secret, even where the key is misspelt.
pub(super) fn may_be_secret(path: &str) -> bool {
    const WORDS: &[&str] = &["pass", "pwd", "secret", "key", "token", "credential", "auth", "pin"];
    matches!(find(path), Place::Key(Key { kind: Kind::Secret, .. })) || WORDS.iter().any(|word| path.contains(word))
}

/// More of an unknown key says nothing about which one was meant.
const LONGEST_COMPARED: usize = 100;

/// The known key that is most like an unknown one, with the names that the unknown one has.
pub(super) fn nearest(path: &str) -> String {
    let path: String = path.chars().take(LONGEST_COMPARED).collect();
    let path = path.as_str();
    let given: Vec<&str> = path.split('.').collect();
    let flat = path.replace("__", "_").replace('.', "_");
    candidates(&given)
        .max_by(|a, b| likeness(a, path, &flat).total_cmp(&likeness(b, path, &flat)))
        .expect("there are keys")
}

/// Every known key, with `*` filled in from the path asked for.
fn candidates(given: &[&str]) -> impl Iterator<Item = String> {
    let fill = |pattern: &str| {
        let filled = pattern.split('.').enumerate().map(|(at, part)| match part {
            "*" => given.get(at).copied().filter(|word| !word.is_empty()).unwrap_or("<name>"),
            part => part,
        });
        filled.collect::<Vec<_>>().join(".")
    };
    let under_colors = |key: &&Key| !key.path.ends_with("colors.*");
    // Thousands of accounts can have the same wrong key: only their own keys are compared with it.
    let only = if given[0] == "accounts" && given.len() > 2 { "accounts." } else { "" };
    let plain = KEYS.iter().filter(under_colors).map(|key| key.path.to_owned());
    let own = statuses().map(|status| format!("lights.*.colors.{status}"));
    let colors = statuses().map(|status| format!("colors.{status}"));
    let fields = COLOR_FIELDS.iter().map(|(field, ..)| format!("colors.*.{field}"));
    let own_fields = COLOR_FIELDS.iter().map(|(field, ..)| format!("lights.*.colors.*.{field}"));
    let all: Vec<String> = plain
        .chain(own)
        .chain(colors)
        .chain(fields)
        .chain(own_fields)
        .filter(|pattern| pattern.starts_with(only))
        .map(|pattern| fill(&pattern))
        .collect();
    all.into_iter()
}

/// How alike a known key and a given path are. A key that differs in nothing but where its levels
/// end (`mqtt_url`) is as good as the same; one that ends in the same word may have lost its section.
fn likeness(known: &str, path: &str, flat: &str) -> f64 {
    let known = known.to_ascii_lowercase();
    if known.replace('.', "_") == flat || misses_levels(&known, flat) {
        return 2.0;
    }
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let same_word = if last(&known) == last(path) { 0.2 } else { 0.0 };
    let common = known.split('.').zip(path.split('.')).take_while(|(a, b)| a == b).count();
    strsim::normalized_damerau_levenshtein(&known, path) + same_word + 0.1 * common as f64
}

/// Whether `hubs_office_host` is meant to be `hubs.<name>.host`.
fn misses_levels(known: &str, flat: &str) -> bool {
    known.split_once(".<name>.").is_some_and(|(section, field)| {
        let middle = flat.strip_prefix(section).and_then(|rest| rest.strip_suffix(&field.replace('.', "_")));
        middle.is_some_and(|middle| middle.len() > 2 && middle.starts_with('_') && middle.ends_with('_'))
    })
}
