//! From texts to types. Each function says what is wrong with a text and what to write instead.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use url::{Host, Url};

use super::types::{Target, TargetKind, User};
use crate::presence::{Name, ObjectId};

/// Why a text was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub problem: String,
    pub remedy: String,
}

pub(super) type Parsed<T> = Result<T, Wrong>;

pub(super) fn wrong<T>(problem: impl Into<String>, remedy: impl Into<String>) -> Parsed<T> {
    Err(Wrong { problem: problem.into(), remedy: remedy.into() })
}

pub(super) fn text(text: &str) -> Parsed<String> {
    if text.trim().is_empty() {
        return wrong("is empty", "Give it a value, or leave the key out.");
    }
    if text.chars().any(char::is_control) {
        return wrong("holds control characters", "Write it in one line of plain text.");
    }
    Ok(text.to_owned())
}

pub(super) fn switch(text: &str) -> Parsed<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => wrong("is neither true nor false", "Write true or false."),
    }
}

pub(super) fn name(text: &str) -> Parsed<Name> {
    match text.parse::<Name>() {
        Ok(name) if !text.contains('-') => Ok(name),
        _ => wrong("is not a name", "Use 1 to 64 of the characters a-z, 0-9 and _."),
    }
}

/// An account to be followed: by its name, or by object id where it enrolled.
pub(super) fn account(text: &str) -> Parsed<Name> {
    match text.trim().parse::<ObjectId>() {
        Ok(id) => Ok(id.as_str().parse().expect("an object id is a name")),
        Err(_) => name(text),
    }
}

/// One of a few words; gives its place among them.
pub(super) fn choice(text: &str, words: &[&str]) -> Parsed<usize> {
    match words.iter().position(|word| word.eq_ignore_ascii_case(text)) {
        Some(at) => Ok(at),
        None => wrong("is not one of the choices", format!("Choose one of {}.", words.join(", "))),
    }
}

const UNITS: &[(&str, f64)] = &[("ms", 0.001), ("s", 1.0), ("min", 60.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)];

/// A number with a unit, within limits.
pub(super) fn duration(text: &str, least: Duration, most: Duration) -> Parsed<Duration> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()));
    let Ok(number) = number.parse::<f64>() else {
        return wrong("is not a duration", "Write a number with a unit: 500ms, 5s, 2m, 1h.");
    };
    let unit = unit.trim();
    if unit.is_empty() {
        return wrong("has no unit", format!("Write {text}s if seconds are meant (or ms, m, h)."));
    }
    let Some((_, seconds)) = UNITS.iter().find(|(known, _)| known.eq_ignore_ascii_case(unit)) else {
        return wrong("has a unit that is not known", "Use one of ms, s, m, h, d: 500ms, 5s, 2m, 1h.");
    };
    let limits = || format!("Write something from {} to {}.", short(least), short(most));
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(duration) if duration < least => wrong("is too short", limits()),
        Ok(duration) if duration <= most => Ok(duration),
        _ => wrong("is too long", limits()),
    }
}

/// A duration as a person would write it.
pub(super) fn short(duration: Duration) -> String {
    const UNITS: &[(u128, &str)] = &[(3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
    let milliseconds = duration.as_millis();
    let whole = UNITS.iter().find(|(unit, _)| milliseconds > 0 && milliseconds.is_multiple_of(*unit));
    whole.map_or("0s".into(), |(unit, name)| format!("{}{name}", milliseconds / unit))
}

/// The broker's URL as TLS, host and port.
pub(super) fn broker(text: &str) -> Parsed<(bool, String, u16)> {
    const EXAMPLE: &str = "Write mqtt://host:port, or mqtts://host:port for TLS.";
    let Some((scheme, rest)) = text.split_once("://") else {
        return wrong("has no scheme", EXAMPLE);
    };
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "mqtt" => false,
        "mqtts" => true,
        "ws" | "wss" => return wrong("asks for a WebSocket, which is not spoken here", EXAMPLE),
        _ => return wrong("has a scheme that is not spoken here", EXAMPLE),
    };
    let Ok(url) = Url::parse(text) else {
        return wrong("is not a URL", EXAMPLE);
    };
    if rest.split('/').next().is_some_and(|authority| authority.contains('@')) {
        let remedy = "Take them out of the URL; set mqtt.username and mqtt.password_file (or mqtt.password).";
        return wrong("carries credentials", remedy);
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return wrong("goes on behind the port", EXAMPLE);
    }
    let host = match url.host() {
        Some(Host::Domain(domain)) if is_host_name(domain) => domain.to_ascii_lowercase(),
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(Host::Ipv4(address)) => address.to_string(),
        _ => return wrong("has no host that could exist", EXAMPLE),
    };
    match url.port() {
        Some(0) => wrong("has the port 0", EXAMPLE),
        port => Ok((tls, host, port.unwrap_or(if tls { 8883 } else { 1883 }))),
    }
}

/// An https URL without an end slash; http is taken on a loopback address alone.
pub(super) fn web_service(text: &str) -> Parsed<Url> {
    let Ok(mut url) = Url::parse(text) else {
        return wrong("is not a URL", "Write https:// and the host, such as https://login.microsoftonline.com.");
    };
    let loopback = match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return wrong("has no host", "Write https:// and the host."),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("carries credentials", "Take them out of the URL.");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return wrong("has a query or fragment", "End the URL with its path.");
    }
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => return wrong("would send tokens unencrypted", "Use https://; http:// is for localhost alone."),
        _ => return wrong("has a scheme that is not spoken here", "Use https://."),
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// A key vault: an https URL that is nothing but a host.
pub(super) fn vault(text: &str) -> Parsed<Url> {
    let url = web_service(text)?;
    if url.path().len() > 1 {
        return wrong(
            "goes on behind the host",
            "Write the vault's URI alone, such as https://contoso.vault.azure.net.",
        );
    }
    Ok(url)
}

/// What a secret or certificate is called in a key vault.
pub(super) fn vault_name(text: &str) -> Parsed<String> {
    let text = text.trim();
    if (1..=127).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Ok(text.to_owned());
    }
    wrong(
        "is not a name in a key vault",
        "Write its name alone: letters, digits and -, without the vault or a version.",
    )
}

/// A topic that is written to: levels without wildcards.
pub(super) fn topic(text: &str) -> Parsed<String> {
    const REMEDY: &str = "Write levels such as graph2mqtt or office/graph2mqtt.";
    let text = self::text(text)?;
    if text.contains(['+', '#']) {
        return wrong("holds a wildcard", REMEDY);
    }
    if text.starts_with('$') {
        return wrong("begins with $, which belongs to the broker", REMEDY);
    }
    if text.starts_with('/') || text.ends_with('/') || text.contains("//") {
        return wrong("has an empty level", REMEDY);
    }
    if text.len() > 200 {
        return wrong("is longer than 200 bytes", REMEDY);
    }
    Ok(text)
}

pub(super) fn tenant(text: &str) -> Parsed<String> {
    let lower = text.trim().to_ascii_lowercase();
    if matches!(lower.as_str(), "consumers" | "common") {
        let remedy = "Write the tenant's domain or id; organizations is for applications of many tenants.";
        return wrong("holds personal accounts, which have no presence", remedy);
    }
    if lower == "organizations" || text.parse::<ObjectId>().is_ok() || (is_host_name(&lower) && lower.contains('.')) {
        return Ok(lower);
    }
    wrong("is not a tenant", "Write its domain, such as contoso.com, or its id, a GUID.")
}

pub(super) fn client_id(text: &str) -> Parsed<String> {
    match text.trim().parse::<ObjectId>() {
        Ok(id) => Ok(id.to_string()),
        Err(_) => wrong("is not an application id", "Copy the Application (client) ID, a GUID, from Entra's overview."),
    }
}

pub(super) fn user(text: &str) -> Parsed<User> {
    let text = text.trim();
    if let Ok(id) = text.parse::<ObjectId>() {
        return Ok(User::Id(id));
    }
    let plain = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control());
    match text.split_once('@') {
        Some((name, domain)) if plain(name) && plain(domain) && !domain.contains(['@', '/', '?']) => {
            Ok(User::Name(text.into()))
        }
        _ => {
            wrong("is neither a user name nor an object id", "Write alex@contoso.com, or the user's object id, a GUID.")
        }
    }
}

pub(super) fn store_path(text: &str) -> Parsed<String> {
    const REMEDY: &str = "Write sqlite:// and a path, such as sqlite://data/graph2mqtt.db.";
    let Some((scheme, path)) = text.split_once("://") else {
        return wrong("is not a store's URL", REMEDY);
    };
    match scheme.to_ascii_lowercase().as_str() {
        "sqlite" => {}
        "postgres" | "postgresql" => return wrong("names PostgreSQL, which is not in this version yet", REMEDY),
        _ => return wrong("has a scheme that is not known", REMEDY),
    }
    if path.is_empty() || path.ends_with('/') || path == ":memory:" {
        return wrong("names no file", REMEDY);
    }
    if path.contains(['?', '#', '%']) || path.chars().any(char::is_control) {
        return wrong("holds ?, # or %, which a store's URL cannot", REMEDY);
    }
    Ok(path.to_owned())
}

pub(super) fn listen(text: &str) -> Parsed<SocketAddr> {
    match text.trim().parse() {
        Ok(address) => Ok(address),
        Err(_) => wrong(
            "is not an address with a port",
            "Write 127.0.0.1:8480 for this machine alone, 0.0.0.0:8480 for every network.",
        ),
    }
}

/// A host name under which pages are asked for: no scheme, no port.
pub(super) fn host_name(text: &str) -> Parsed<String> {
    let lower = text.trim().to_ascii_lowercase();
    if is_host_name(&lower) || lower.parse::<IpAddr>().is_ok() {
        return Ok(lower);
    }
    wrong("is not a host name", "Write the name alone, without scheme and port: graph2mqtt.example.net.")
}

/// A hub: a host, perhaps with a port, as it is written.
pub(super) fn hub_host(text: &str) -> Parsed<String> {
    const REMEDY: &str = "Write the address alone, such as 192.168.1.20, or with a port, 192.168.1.20:443.";
    address("https", text, REMEDY).map(|_| text.trim().to_ascii_lowercase())
}

/// A WLED strip: the same, written in one way, since lights at one address are on one strip.
pub(super) fn strip_host(text: &str) -> Parsed<String> {
    const REMEDY: &str = "Write the address alone, such as 192.168.1.30, or with a port, 192.168.1.30:8080.";
    let url = address("http", text, REMEDY)?;
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    Ok(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

fn address(scheme: &str, text: &str, remedy: &str) -> Parsed<Url> {
    if text.contains("://") {
        return wrong("has a scheme", remedy);
    }
    let lower = text.trim().to_ascii_lowercase();
    let Ok(url) = Url::parse(&format!("{scheme}://{lower}")) else {
        return wrong("is not a host", remedy);
    };
    let alone = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && !lower.contains(['/', '@']);
    match (alone, url.host(), url.port()) {
        (true, Some(Host::Domain(domain)), port) if is_host_name(domain) && port != Some(0) => Ok(url),
        (true, Some(Host::Ipv4(_) | Host::Ipv6(_)), port) if port != Some(0) => Ok(url),
        _ => wrong("is not a host", remedy),
    }
}

pub(super) fn bridge_id(text: &str) -> Parsed<String> {
    let lower = text.trim().to_ascii_lowercase();
    if lower.len() == 16 && lower.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(lower);
    }
    let remedy = "Write 16 hex digits, such as 001788fffe102030; https://<hub>/api/config shows them as bridgeid.";
    wrong("is not a bridge id", remedy)
}

/// Whether it can be a hub's application key, which in CLIP v1 is a part of the path.
pub fn is_application_key(text: &str) -> bool {
    text.trim().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_~.".contains(&byte))
}

pub(super) fn sha256(text: &str) -> Parsed<[u8; 32]> {
    let digits: Vec<u32> = text.chars().filter(|c| *c != ':').map(|c| c.to_digit(16).unwrap_or(16)).collect();
    if digits.len() != 64 || digits.contains(&16) {
        return wrong("is not a SHA-256 fingerprint", "Write 64 hex digits; colons between them are fine.");
    }
    Ok(std::array::from_fn(|at| (digits[2 * at] * 16 + digits[2 * at + 1]) as u8))
}

pub(super) fn target(text: &str) -> Parsed<Target> {
    const KINDS: &[(&str, TargetKind)] = &[
        ("room", TargetKind::Room),
        ("zone", TargetKind::Zone),
        ("light", TargetKind::Light),
        ("group", TargetKind::Group),
        ("home", TargetKind::Home),
    ];
    let text = self::text(text)?;
    let kind = text.split_once('/').and_then(|(word, name)| {
        let (_, kind) = KINDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word.trim()))?;
        Some((*kind, name.trim()))
    });
    let (kind, name) = kind.map_or((None, text.trim()), |(kind, name)| (Some(kind), name));
    if name.is_empty() {
        return wrong("names nothing", "Write a name, such as Office, or room/Office.");
    }
    Ok(Target { kind, name: name.to_owned() })
}

pub(super) fn percent(text: &str) -> Parsed<u8> {
    const REMEDY: &str = "Write 1% to 100%; for darkness, write off as the colour.";
    match text.trim().trim_end_matches('%').trim_end().parse::<u8>() {
        Ok(percent @ 1..=100) => Ok(percent),
        Ok(_) => wrong("is out of range", REMEDY),
        Err(_) => wrong("is not a percentage", REMEDY),
    }
}

fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
    };
    text.len() <= 253 && text.trim_end_matches('.').split('.').all(label)
}
