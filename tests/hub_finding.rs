//! Hubs on the network, announced by a real mDNS responder on the loopback interface: `hubs` finds them, and one
//! that moves is found again by its id, with its key and its certificate.

#![cfg(test)]
#![cfg(all(test, feature = "demo"))]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use graph2mqtt::lights::{self, Look, Trouble};
use graph2mqtt::settings::{self, Settings, Shade};
use graph2mqtt::simulator::{Fault, Gamut, Hub, Kind, Request, What};
use graph2mqtt::store::{HubKey, Store};
use mdns_sd::{IfKind, ServiceDaemon, ServiceInfo};
use serde_json::Value;
use support::Home;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(30);
const RED: Look = Look::plain(Shade::Rgb([255, 0, 0]));

/// A hub's words on the network, until it is dropped.
struct Announced(ServiceDaemon);

impl Drop for Announced {
    fn drop(&mut self) {
        let _ = self.0.shutdown();
    }
}

fn announce(id: &str, address: SocketAddr) -> Announced {
    let daemon = ServiceDaemon::new().unwrap();
    let name = format!("Hue Bridge - {}", &id[10..].to_uppercase());
    // As hubs do, the id in upper case is taken too.
    let about = [("bridgeid", id.to_uppercase()), ("modelid", "BSB002".to_owned())];
    let host = format!("{id}.local.");
    let mut service =
        ServiceInfo::new("_hue._tcp.local.", &name, &host, address.ip(), address.port(), &about[..]).unwrap();
    service.set_interfaces(vec![IfKind::LoopbackV4]);
    daemon.register(service).unwrap();
    Announced(daemon)
}

/// Ids that no other test announces meanwhile.
fn id() -> String {
    format!("001788fffe{:06x}", fastrand::u32(..1 << 24))
}

async fn hub(id: &str) -> Hub {
    Hub::plan().bridge_id(id).room("Office", &[("Desk", Kind::Color(Gamut::C))]).start().await.unwrap()
}

/// An address at which a hub is reached, until it moves.
struct Address {
    at: SocketAddr,
    task: JoinHandle<()>,
}

impl Address {
    async fn of(hub: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                open.spawn(async move {
                    let mut far = TcpStream::connect(hub).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self { at, task }
    }

    /// Nobody answers there any more.
    async fn leave(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// An installation whose hub was paired at an address.
struct Place {
    _folder: TempDir,
    store: Store,
    settings: Settings,
}

impl Place {
    async fn paired(hub: &Hub, at: SocketAddr) -> Self {
        let place = Self::new(at).await;
        place.pair(hub, at).await;
        place
    }

    async fn new(at: impl std::fmt::Display) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let yaml = format!(
            "hubs: {{ office: {{ host: '{at}' }} }}\nlights: {{ desk: {{ hub: office, target: Desk, follow: alex }} }}\n"
        );
        let settings = settings::from_yaml(&yaml, folder.path()).unwrap();
        let url = format!("sqlite://{}", folder.path().join("store.db").display());
        let store = Store::open(&url, &folder.path().join("store.key")).await.unwrap();
        Self { _folder: folder, store, settings }
    }

    /// What pairing keeps.
    async fn pair(&self, hub: &Hub, at: SocketAddr) {
        let key = HubKey {
            hub_id: hub.bridge_id(),
            name: "office".into(),
            host: at.to_string(),
            paired_at: jiff::Timestamp::now(),
            key: hub.key().into(),
        };
        self.store.put_hub_key(&key).await.unwrap();
        let pin: Vec<u8> =
            (0..32).map(|at| u8::from_str_radix(&hub.certificate_sha256()[2 * at..2 * at + 2], 16).unwrap()).collect();
        self.store.set_hub_pin(&hub.bridge_id(), pin.try_into().unwrap()).await.unwrap();
    }

    /// Its lights, with the events listened to, as a running actuator does.
    fn lights(&self) -> (lights::Hub, JoinHandle<()>) {
        let lights = lights::hubs(&self.settings, &self.store).remove(0);
        let source = lights.source.clone();
        let listening = tokio::spawn(async move {
            let (events, mut heard) = tokio::sync::mpsc::channel(16);
            tokio::join!(source.watch(events), async { while heard.recv().await.is_some() {} });
        });
        (lights, listening)
    }

    async fn kept_host(&self) -> String {
        self.store.hub_keys().await.unwrap().remove(0).host
    }
}

/// Shows red, for as long as it takes until the hub obeys.
async fn shows_red(lights: &lights::Hub, hub: &Hub) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match lights.lights[0].1.show(RED, false).await {
            Ok(_) => break,
            Err(trouble) if tokio::time::Instant::now() > deadline => panic!("{trouble}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
    assert!(hub.lamp("Desk").on);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_announces_itself_is_listed_with_what_it_tells() {
    let id = id();
    let hub = hub(&id).await;
    let _announced = announce(&id, hub.address());
    let home = Home::new("{}");
    let mut command = home.command(&["hubs", "--json", "--no-cloud", "--wait", "3"]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let hubs: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let found = hubs.iter().find(|it| it["id"] == *id).unwrap_or_else(|| panic!("not found among {hubs:?}"));
    let expected = serde_json::json!({
        "hub": null, "id": id, "address": hub.address().to_string(), "model": "BSB002", "software": "1968096020",
        "name": "Simulated Hue", "paired": false, "answers": true,
    });
    assert_eq!(*found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_moves_is_found_again_by_its_id_and_the_key_kept() {
    let id = id();
    let hub = hub(&id).await;
    let first = Address::of(hub.address()).await;
    let place = Place::paired(&hub, first.at).await;
    let (running, _listening) = place.lights();
    shows_red(&running, &hub).await;
    hub.hand("Desk", &serde_json::json!({"on": {"on": false}}));
    first.leave().await;
    hub.disconnect();
    let Err(Trouble::Hub { .. }) = running.lights[0].1.show(RED, false).await else { panic!("nobody answers there") };

    let _announced = announce(&id, hub.address());
    shows_red(&running, &hub).await;
    assert_eq!(place.kept_host().await, hub.address().to_string());
    let again = lights::survey(&place.settings, &place.store).await.unwrap();
    assert_eq!((&again.hubs[0].error, again.hubs[0].id.as_deref()), (&None, Some(&*id)), "a new start finds it too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_is_paired_by_its_id_alone_where_it_announces_itself() {
    let id = id();
    let hub = hub(&id).await;
    let nobody = settings::from_yaml("{}", std::path::Path::new("/")).unwrap();
    let _announced = announce(&id, hub.address());
    let (name, found) = lights::hub_named(&nobody, &id.to_uppercase()).await.unwrap();
    let expected = ("", hub.address().to_string(), Some(id.clone()));
    assert_eq!((name.as_str(), found.host.clone(), found.id.clone()), expected);
    let place = Place::new("127.0.0.1:1").await;
    hub.press_button();
    let terms = lights::hue::Terms { within: PATIENCE, new_certificate: true };
    let paired = lights::hue::pair(&found, &name, &place.store, terms, &mut |_| {}).await.unwrap();
    assert_eq!((paired.id, paired.host), (id, hub.address().to_string()));
    let Err(lights::NoSuchHub::Away(text)) = lights::hub_named(&nobody, "001788fffe000000").await else {
        panic!("found")
    };
    assert!(text.contains("001788fffe000000") && text.contains("mDNS") && text.contains("graph2mqtt hubs"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_configured_by_name_has_not_moved_when_it_is_busy() {
    let id = id();
    let hub = hub(&id).await;
    let _announced = announce(&id, hub.address());
    let host = format!("localhost:{}", hub.address().port());
    let place = Place::new(&host).await;
    place.pair(&hub, hub.address()).await;
    let (running, _listening) = place.lights();
    shows_red(&running, &hub).await;
    let streams = |status: u16| {
        move |requests: &[Request]| {
            requests.iter().any(|it| it.route.contains("eventstream") && it.status == Some(status))
        }
    };
    hub.requests().wait_for(PATIENCE, streams(200)).await.unwrap();
    hub.requests().clear();
    hub.fault(Fault::new("eventstream", What::status(429, "{}")).times(1));
    hub.disconnect();
    hub.requests().wait_for(PATIENCE, streams(429)).await.unwrap();
    hub.requests().wait_for(PATIENCE, streams(200)).await.unwrap();
    assert_eq!(place.store.hub_host(&id, &host).await.unwrap(), None, "it is where it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_moved_is_reached_after_a_restart_without_a_search() {
    let id = id();
    let hub = hub(&id).await;
    let gone = Address::of(hub.address()).await;
    let place = Place::paired(&hub, gone.at).await;
    let configured = gone.at.to_string();
    gone.leave().await;
    // Nobody announces it any more: a search would find nothing.
    place.store.set_hub_host(&id, &configured, &hub.address().to_string()).await.unwrap();
    let (started, _listening) = place.lights();
    let began = tokio::time::Instant::now();
    started.lights[0].1.show(RED, false).await.expect("it is tried where it was found");
    assert!(began.elapsed() < Duration::from_secs(3), "no search: {:?}", began.elapsed());
    assert!(hub.lamp("Desk").on);
    let elsewhere = lights::survey(&another_host(&place.settings), &place.store).await.unwrap();
    assert!(elsewhere.hubs[0].error.is_some(), "whoever corrects hubs.office.host is believed");
}

/// The configuration with another address, at which nobody answers.
fn another_host(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    settings.hubs.values_mut().for_each(|hub| hub.host = "127.0.0.1:1".into());
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_hub_was_found_is_a_hint_and_whoever_is_there_now_gets_no_key() {
    let id = id();
    let (real, impostor) = (hub(&id).await, hub(&id).await);
    impostor.add_key(&real.key());
    let place = Place::paired(&real, real.address()).await;
    let (configured, moved) = (real.address().to_string(), impostor.address().to_string());
    place.store.set_hub_host(&id, &configured, &moved).await.unwrap();
    let (started, _listening) = place.lights();
    shows_red(&started, &real).await;
    assert_eq!(impostor.requests().count(|_| true), 0, "the key was sent to it");
    assert_eq!(place.store.hub_host(&id, &configured).await.unwrap(), None, "it is where the configuration says");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_announces_itself_under_the_id_and_shows_another_certificate_gets_no_key() {
    let id = id();
    let (real, impostor) = (hub(&id).await, hub(&id).await);
    impostor.add_key(&real.key());
    let place = Place::paired(&real, real.address()).await;
    real.down().await;
    let _announced = announce(&id, impostor.address());
    let survey = lights::survey(&place.settings, &place.store).await.unwrap();
    let error = survey.hubs[0].error.clone().unwrap();
    assert!(error.contains("its certificate is not the one known"), "{error}");
    assert_eq!(impostor.requests().count(|_| true), 0, "the key was sent to it");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_announces_itself_under_the_id_and_says_by_http_that_it_is_another_gets_no_key() {
    let id = id();
    let hub =
        |id: &str| Hub::plan().bridge_id(id).room("Office", &[("Desk", Kind::Color(Gamut::C))]).plain_v1().start();
    let (real, other) = (hub(&id).await.unwrap(), hub(&self::id()).await.unwrap());
    other.add_key(&real.key());
    let mut place = Place::paired(&real, real.address()).await;
    place.settings.hubs.values_mut().for_each(|hub| hub.api = Some(settings::Api::V1));
    real.down().await;
    let _announced = announce(&id, other.address());
    let survey = lights::survey(&place.settings, &place.store).await.unwrap();
    assert!(survey.hubs[0].error.is_some(), "it is another hub");
    let asked: Vec<String> = other.requests().all().into_iter().map(|it| it.route).collect();
    assert_eq!(asked, ["GET /api/config"], "it was found, and asked who it is without the key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_was_replaced_is_told_until_the_new_one_is_paired_under_its_name() {
    let (old, new) = (hub("001788fffe000001").await, hub("c42996fffe000002").await);
    let place = Place::paired(&old, new.address()).await;
    let (running, _listening) = place.lights();
    let Err(Trouble::Hub { reason, .. }) = running.lights[0].1.show(RED, false).await else { panic!("another hub") };
    assert!(reason.contains("graph2mqtt pair office"), "{reason}");
    place.pair(&new, new.address()).await;
    shows_red(&running, &new).await;
}
