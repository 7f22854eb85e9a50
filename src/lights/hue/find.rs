//! Hubs on the network: by mDNS, and by the list that Signify keeps of hubs behind one public address.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use mdns_sd::{ResolvedService, ServiceDaemon, ServiceEvent};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::certificate::Known;
use super::client::{Client, Place};
use super::v2::answer::plain;
use crate::lights::Trouble;
use crate::lights::body::{self, Unread};

/// Signify's list of hubs. It answers 429 when it is asked often.
pub const DISCOVERY: &str = "https://discovery.meethue.com";
const SERVICE: &str = "_hue._tcp.local.";
/// More hubs than any network has.
const MOST: usize = 100;
const LARGEST_LIST: usize = 64 << 10;
/// The ports of https and http.
pub(super) const HTTPS: u16 = 443;
pub(super) const HTTP: u16 = 80;

/// A hub that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundHub {
    /// The bridge id in lower case.
    pub id: String,
    /// Host, with a port where that is not https's.
    pub address: String,
    /// Such as `BSB002`; none where the hub did not tell.
    pub model: Option<String>,
    /// The version of its software.
    pub software: Option<String>,
    /// What its owner calls it.
    pub name: Option<String>,
}

/// What a search came to.
#[derive(Debug, Default)]
pub struct Search {
    /// By id.
    pub hubs: Vec<FoundHub>,
    /// What went wrong, for people.
    pub troubles: Vec<String>,
}

/// Looks for hubs: by mDNS for a while; where that finds none, in the list at `cloud`, if one is given.
/// `http` is asked for that list alone.
pub async fn find(within: Duration, cloud: Option<(&reqwest::Client, &str)>) -> Search {
    let mut search = Search::default();
    let mut addresses = browse(within, None).await.unwrap_or_else(|error| {
        search.troubles.push(format!("mDNS: {error}"));
        BTreeMap::new()
    });
    if let (true, Some((http, url))) = (addresses.is_empty(), cloud) {
        match listed(http, url).await {
            Ok(listed) => addresses = listed,
            Err(trouble) => search.troubles.push(format!("{url}: {trouble}")),
        }
    }
    let looks = addresses.into_iter().map(|(id, address)| async move {
        match look(&address).await {
            Some(told) => FoundHub { id: told.id.clone().unwrap_or(id), ..told.hub(address) },
            None => FoundHub { id, address, model: None, software: None, name: None },
        }
    });
    search.hubs = join_all(looks).await;
    search
}

/// Hubs at known addresses, as far as they answer.
pub async fn look_at(addresses: Vec<String>) -> Vec<FoundHub> {
    let looks = addresses.into_iter().map(|address| async move { Some(look(&address).await?.hub(address)) });
    join_all(looks).await.into_iter().flatten().collect()
}

/// Where the hub of an id is now, by mDNS.
pub(super) async fn locate(id: &str, within: Duration) -> Option<String> {
    browse(within, Some(id)).await.ok()?.remove(id)
}

/// Where a host is reached, at this port where it has none of its own; nowhere where it has no address.
pub(super) async fn sockets(host: &str, port: u16) -> Vec<SocketAddr> {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    let found = match has_port {
        true => tokio::net::lookup_host(host.to_owned()).await,
        false => tokio::net::lookup_host(format!("{host}:{port}")).await,
    };
    found.map(Iterator::collect).unwrap_or_default()
}

/// Ids and addresses of the hubs that answer; ends early when the one wanted did.
async fn browse(within: Duration, wanted: Option<&str>) -> Result<BTreeMap<String, String>, mdns_sd::Error> {
    let daemon = ServiceDaemon::new()?;
    let services = daemon.browse(SERVICE)?;
    let mut found = BTreeMap::new();
    let listen = async {
        while let Ok(event) = services.recv_async().await {
            let ServiceEvent::ServiceResolved(service) = event else { continue };
            found.extend(hub_of(&service));
            if found.len() >= MOST || wanted.is_some_and(|wanted| found.contains_key(wanted)) {
                break;
            }
        }
    };
    // Hubs answer within a second; the rest of the time is for those that were asleep.
    let _ = tokio::time::timeout(within, listen).await;
    let _ = daemon.shutdown();
    Ok(found)
}

fn hub_of(service: &ResolvedService) -> Option<(String, String)> {
    let id = service.txt_properties.get_property_val_str("bridgeid")?.to_lowercase();
    let addresses = || service.addresses.iter().map(mdns_sd::ScopedIp::to_ip_addr);
    let address = addresses().find(std::net::IpAddr::is_ipv4).or_else(|| addresses().next())?;
    let host = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
    let told = super::certificate::is_hub_id(&id);
    told.then(|| (id, if service.port == HTTPS { host } else { format!("{host}:{}", service.port) }))
}

/// The list at Signify's address.
async fn listed(http: &reqwest::Client, url: &str) -> Result<BTreeMap<String, String>, String> {
    #[derive(Deserialize)]
    struct Entry {
        id: String,
        internalipaddress: String,
        port: Option<u16>,
    }
    let failed = |error: reqwest::Error| error.without_url().to_string();
    let answer = http.get(url).send().await.map_err(failed)?;
    match answer.status().as_u16() {
        200 => {}
        429 => return Err("asked too often; try again in a quarter of an hour".into()),
        status => return Err(format!("answers {status}")),
    }
    let body = body::read(answer, LARGEST_LIST).await.map_err(|unread| match unread {
        Unread::Broken(error) => failed(error),
        Unread::TooLarge => "answers without an end".to_owned(),
    })?;
    let entries: Vec<Entry> =
        serde_json::from_slice(&body).map_err(|_| "answers, but with no list of hubs".to_owned())?;
    let entry = |Entry { id, internalipaddress, port }: Entry| {
        let port = port.filter(|port| *port != HTTPS).map(|port| format!(":{port}")).unwrap_or_default();
        let id = id.to_lowercase();
        let sound = super::certificate::is_hub_id(&id) && internalipaddress.parse::<std::net::IpAddr>().is_ok();
        sound.then(|| (id, format!("{internalipaddress}{port}")))
    };
    Ok(entries.into_iter().take(MOST).filter_map(entry).collect())
}

/// What a hub tells to anybody.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub id: Option<String>,
    pub name: Option<String>,
    pub model: Option<String>,
    pub software: Option<String>,
}

impl Told {
    /// Reads the answer to `GET /api/config`; none when it is no hub's.
    pub fn read(answer: &[u8]) -> Option<Self> {
        let config: Value = serde_json::from_slice(answer).ok()?;
        let text = |key: &str| config.get(key).and_then(Value::as_str).map(plain);
        let id = text("bridgeid").map(|id| id.to_lowercase());
        let (name, model, software) = (text("name"), text("modelid"), text("swversion"));
        (id.is_some() || model.is_some()).then_some(Self { id, name, model, software })
    }

    fn hub(self, address: String) -> FoundHub {
        let Self { id, name, model, software } = self;
        FoundHub { id: id.unwrap_or_default(), address, model, software, name }
    }
}

/// Asks a hub what it tells to anybody. Nothing secret is said, so that any certificate will do.
pub(super) async fn look(address: &str) -> Option<Told> {
    match ask(address, false).await {
        None => ask(address, true).await,
        told => told,
    }
}

/// The same by plain http alone, which is all that some older hubs and look-alikes speak.
pub(super) async fn speaks_plain_http(address: &str) -> bool {
    ask(address, true).await.is_some()
}

async fn ask(address: &str, is_plain: bool) -> Option<Told> {
    let place = Place { hub: address.to_owned(), host: address.to_owned(), is_plain };
    let client = Client::new(place, Known { any: true, ..Known::default() }).ok()?;
    told_by(&client).await.ok()?
}

/// What is told to anybody; none where that is no hub's answer. The question needs no key.
pub(super) async fn told_by(client: &Client) -> Result<Option<Told>, Trouble> {
    // Not every look-alike answers both.
    for path in ["/api/config", "/api/0/config"] {
        let answer = client.ask(Method::GET, path, None).await?;
        if let Some(told) = Told::read(&answer.body).filter(|_| answer.status.is_success()) {
            return Ok(Some(told));
        }
    }
    Ok(None)
}
