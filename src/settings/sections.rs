//! From single values to the typed settings, section by section, and what the sections must agree on.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::ExposeSecret;
use url::Url;

use super::accounts;
use super::apart;
use super::color::Color;
use super::entra;
use super::hours;
use super::keys;
use super::parse;
use super::reader::Reader;
use super::types::{
    Actuator, Api, Graph, HomeAssistant, Hub, Light, Mqtt, OnStop, Requests, Settings, Show, Store, Target,
};
use super::web;
use crate::presence::Name;

/// Authority and endpoint of each of [`keys::CLOUDS`].
const CLOUD_URLS: &[(&str, &str)] = &[
    ("https://login.microsoftonline.com", "https://graph.microsoft.com/v1.0"),
    ("https://login.microsoftonline.us", "https://graph.microsoft.us/v1.0"),
    ("https://login.microsoftonline.us", "https://dod-graph.microsoft.us/v1.0"),
    ("https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn/v1.0"),
];

/// MQTT writes the keep-alive as 16 bits of seconds.
const LONGEST_KEEP_ALIVE: Duration = Duration::from_secs(65_535);
const LONGEST_POLL: Duration = Duration::from_secs(3600);

/// Reads every section, so that every mistake is found; none where there is one.
pub(super) fn settings(
    reader: &mut Reader,
    accounts: accounts::Reader,
    azure: entra::Azure,
) -> Option<(Settings, accounts::AccountOrigins)> {
    let mqtt = mqtt(reader);
    let home_assistant = home_assistant(reader);
    let cloud = reader.value("entra.cloud", |text| parse::choice(text, keys::CLOUDS));
    let authority = service(reader, "entra.authority", cloud.map(|cloud| CLOUD_URLS[cloud].0));
    let entra = entra::entra(reader, cloud, authority, &accounts, azure);
    let graph = graph(reader, cloud);
    let store = store(reader);
    let web = web::web(reader);
    let actuator = reader.value("actuator.location", parse::name).map(|location| Actuator { location });
    let hubs: BTreeMap<Name, Option<Hub>> =
        reader.names("hubs").into_iter().map(|name| (name.clone(), hub(reader, &name))).collect();
    let lights: BTreeMap<Name, Option<Light>> =
        reader.names("lights").into_iter().map(|name| (name.clone(), light(reader, &name, &hubs, &accounts))).collect();
    apart::apart(reader, &lights);
    let colors = reader.colors("colors");
    accounts.check_via(&mut reader.mistakes);
    Some((
        Settings {
            mqtt: mqtt?,
            home_assistant: home_assistant?,
            entra: entra?,
            graph: graph?,
            accounts: accounts.accounts,
            store: store?,
            web: web?,
            actuator: actuator?,
            hubs: whole(hubs)?,
            lights: whole(lights)?,
            colors,
        },
        accounts.origins,
    ))
}

fn whole<T>(named: BTreeMap<Name, Option<T>>) -> Option<BTreeMap<Name, T>> {
    named.into_iter().map(|(name, value)| Some((name, value?))).collect()
}

fn mqtt(reader: &mut Reader) -> Option<Mqtt> {
    let url = reader.value("mqtt.url", parse::broker);
    let username = reader.value("mqtt.username", parse::text);
    let password = reader.secret("mqtt.password");
    let base_topic = reader.value("mqtt.base_topic", parse::topic);
    let client_id = reader.value("mqtt.client_id", parse::text);
    let keep_alive =
        reader.value("mqtt.keep_alive", |text| parse::duration(text, Duration::from_secs(5), LONGEST_KEEP_ALIVE));
    let ca_file = reader.file("mqtt.ca_file");
    let client_certificate_file = reader.file("mqtt.client_certificate_file");
    let client_key_file = reader.file("mqtt.client_key_file");
    let requests = reader.value("mqtt.requests", |text| parse::choice(text, keys::REQUESTS));
    both(reader, "mqtt.client_certificate_file", "mqtt.client_key_file");
    for key in ["mqtt.password", "mqtt.password_file"] {
        if reader.is_set(key) && !reader.is_set("mqtt.username") {
            reader.clash(key, "needs mqtt.username beside it", "Set mqtt.username, or leave the password out.");
        }
    }
    let (tls, host, port) = url?;
    if !tls {
        for key in ["mqtt.ca_file", "mqtt.client_certificate_file"] {
            if reader.is_set(key) {
                reader.clash(
                    key,
                    "is of no use without TLS",
                    "Let mqtt.url begin with mqtts://, or leave the key out.",
                );
            }
        }
    }
    let (base_topic, keep_alive) = (base_topic?, keep_alive?);
    Some(Mqtt {
        host,
        port,
        tls,
        username,
        password,
        base_topic,
        client_id,
        keep_alive,
        ca_file,
        client_certificate_file,
        client_key_file,
        requests: match keys::REQUESTS[requests?] {
            "all" => Requests::All,
            "none" => Requests::None,
            _ => Requests::Safe,
        },
    })
}

/// Says so when only one of two keys is set.
fn both(reader: &mut Reader, one: &str, other: &str) {
    for (set, missing) in [(one, other), (other, one)] {
        if reader.is_set(set) && !reader.is_set(missing) {
            reader.clash(set, format!("needs {missing} beside it"), format!("Set {missing}, or leave both out."));
        }
    }
}

fn home_assistant(reader: &mut Reader) -> Option<HomeAssistant> {
    let discovery = reader.value("home_assistant.discovery", parse::switch);
    let prefix = reader.value("home_assistant.prefix", parse::topic);
    let status_topic = reader.value("home_assistant.status_topic", parse::topic);
    let definitions = reader.folder("home_assistant.definitions");
    let on_stop = reader.value("home_assistant.on_stop", |text| parse::choice(text, keys::ON_STOPS));
    let on_stop = if keys::ON_STOPS[on_stop?] == "clear" { OnStop::Clear } else { OnStop::Keep };
    Some(HomeAssistant { discovery: discovery?, prefix: prefix?, status_topic: status_topic?, definitions, on_stop })
}

/// A service's URL: what is set, or what follows from the cloud.
fn service(reader: &mut Reader, key: &str, by_cloud: Option<&str>) -> Option<Url> {
    if reader.is_set(key) {
        return reader.value(key, parse::web_service);
    }
    let url = by_cloud?;
    reader.derived(key, url, "entra.cloud");
    Some(Url::parse(url).expect("the table holds URLs"))
}

fn graph(reader: &mut Reader, cloud: Option<usize>) -> Option<Graph> {
    let endpoint = service(reader, "graph.endpoint", cloud.map(|cloud| CLOUD_URLS[cloud].1));
    let ca_file = reader.file("graph.ca_file");
    let poll = |text: &str| parse::duration(text, Duration::from_secs(1), LONGEST_POLL);
    let active = reader.value("graph.poll.active", poll);
    let quiet = reader.value("graph.poll.quiet", poll);
    let write = reader.value("graph.write", parse::switch);
    let (active, quiet) = (active?, quiet?);
    if quiet < active {
        let problem = format!("is shorter than graph.poll.active ({})", parse::short(active));
        reader.clash("graph.poll.quiet", problem, "Make quiet at least as long as active.");
    }
    Some(Graph { endpoint: endpoint?, ca_file, active, quiet, write: write? })
}

fn store(reader: &mut Reader) -> Option<Store> {
    let path = reader.value("store.url", parse::store_path);
    let key_file = reader.path("store.key_file");
    let url = format!("sqlite://{}", reader.in_folder(&path?).display());
    Some(Store { url, key_file: key_file? })
}

fn hub(reader: &mut Reader, name: &Name) -> Option<Hub> {
    let key = |field: &str| format!("hubs.{name}.{field}");
    let host = reader.required(&key("host"), "a hub is reached by its address", parse::hub_host);
    let id = reader.value(&key("id"), parse::bridge_id);
    let application_key = reader.secret(&key("key"));
    if application_key.as_ref().is_some_and(|key| !parse::is_application_key(key.expose_secret())) {
        let remedy = "Copy it anew, as pair printed it: letters, digits, and - . _ ~ alone.";
        reader.clash(&key("key"), "holds characters that no application key has", remedy);
    }
    let certificate_sha256 = reader.value(&key("certificate_sha256"), parse::sha256);
    let api = reader.value(&key("api"), |text| parse::choice(text, keys::APIS));
    let api = api.map(|at| [Api::V2, Api::V1][at]);
    Some(Hub { host: host?, id, key: application_key, certificate_sha256, api })
}

fn light(
    reader: &mut Reader,
    name: &Name,
    hubs: &BTreeMap<Name, Option<Hub>>,
    accounts: &accounts::Reader,
) -> Option<Light> {
    let key = |field: &str| format!("lights.{name}.{field}");
    let wled = reader.value(&key("wled"), parse::strip_host);
    let is_wled = reader.is_set(&key("wled"));
    let (hub, target) = if is_wled {
        if reader.is_set(&key("hub")) {
            reader.clash(&key("hub"), "stands beside wled", "Keep one of the two: a WLED is its own hub.");
        }
        let whole = Target { kind: None, name: String::new() };
        (
            Some(name.clone()),
            if reader.is_set(&key("target")) { reader.value(&key("target"), parse::target) } else { Some(whole) },
        )
    } else {
        (
            reader.required(&key("hub"), "a light hangs on a hub, or is a WLED (wled: its address)", parse::name),
            reader.required(&key("target"), "it says which room, zone or light", parse::target),
        )
    };
    let follow = reader.list(&key("follow"), parse::account);
    let show = reader.value(&key("show"), |text| parse::choice(text, keys::SHOWS));
    let offline = reader.color_or(&key("offline"), ("keep", Color::Keep));
    let hours = hours::hours(reader, &format!("lights.{name}"));
    let hand = reader.value(&key("hand"), hours::on_hand);
    let on_stop = reader.value(&key("on_stop"), |text| parse::choice(text, keys::RESTS)).map(hours::rest);
    let colors = reader.colors(&key("colors"));
    if let Some(hub) = hub.as_ref().filter(|_| !is_wled)
        && !hubs.contains_key(hub)
    {
        let known = listed(hubs.keys());
        reader.clash(
            &key("hub"),
            "names a hub that is not there",
            format!("Name one of hubs ({known}), or add it there."),
        );
    }
    follows(reader, &key("follow"), follow.as_deref(), accounts);
    let show = match keys::SHOWS[show?] {
        "latest" => Show::Latest,
        "first" => Show::First,
        _ => Show::Busiest,
    };
    Some(Light {
        hub: hub?,
        target: target?,
        wled,
        follow: follow?,
        show,
        offline: offline?,
        hours: hours?,
        hand: hand?,
        on_stop: on_stop?,
        colors,
    })
}

/// Accounts of another bridge can be followed; where there are accounts here, they are meant.
fn follows(reader: &mut Reader, key: &str, follow: Option<&[Name]>, accounts: &accounts::Reader) {
    let Some(follow) = follow.filter(|follow| !follow.is_empty()) else {
        return reader.clash(key, "is missing: a light follows at least one account", "Set it, such as follow: alex.");
    };
    for name in follow {
        if accounts.named > 0 && !reader.is_set(web::ENROL) && !accounts.accounts.contains_key(name) {
            let problem = format!("names the account {name}, which is not there");
            let known = listed(accounts.accounts.keys());
            reader.clash(key, problem, format!("Name one of accounts ({known}), or add it there."));
        }
    }
}

/// The first few of some names, for a person.
fn listed<'a>(names: impl ExactSizeIterator<Item = &'a Name>) -> String {
    const LISTED: usize = 8;
    let more = if names.len() > LISTED { ", …" } else { "" };
    let names: Vec<&str> = names.take(LISTED).map(Name::as_str).collect();
    if names.is_empty() { "there is none".into() } else { format!("{}{more}", names.join(", ")) }
}
