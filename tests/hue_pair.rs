//! Pairing with a hub, what is kept of it, and how keys and certificates that changed are told apart.
#![cfg(test)]
#![cfg(feature = "demo")]

use std::time::Duration;

use graph2mqtt::lights::hue::{self, NotPaired, Paired, Pairing, Terms};
use graph2mqtt::lights::{self, Event, Look, Trouble};
use graph2mqtt::settings::{self, Settings, Shade};
use graph2mqtt::simulator::{Certificate, Fault, Gamut, Hub, Kind, What};
use graph2mqtt::store::Store;
use secrecy::ExposeSecret;
use tempfile::TempDir;

const RED: Look = Look::plain(Shade::Rgb([255, 0, 0]));
const ID: &str = "001788fffe102030";
const WAIT: Duration = Duration::from_secs(20);

struct Place {
    folder: TempDir,
    store: Store,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("store.db").display());
        let store = Store::open(&url, &folder.path().join("store.key")).await.unwrap();
        Self { folder, store }
    }

    /// One hub called `office`, with these keys beside its host, and one light.
    fn settings(&self, hub: &Hub, keys: &str) -> Settings {
        let yaml = format!(
            "hubs:\n  office: {{ host: \"{}\"{keys} }}\nlights:\n  desk: {{ hub: office, target: Desk, follow: alex }}\n",
            hub.address()
        );
        settings::from_yaml(&yaml, self.folder.path()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }

    async fn pair(&self, settings: &Settings, within: Duration, seen: &mut Vec<Pairing>) -> Result<Paired, NotPaired> {
        let (name, hub) = lights::hub_named(settings, "office").await.unwrap();
        let terms = Terms { within, new_certificate: true };
        let paired = hue::pair(&hub, &name, &self.store, terms, &mut |pairing| seen.push(pairing)).await?;
        paired.keep(&name, &self.store, jiff::Timestamp::now()).await?;
        Ok(paired)
    }

    fn light(&self, settings: &Settings) -> lights::Hub {
        lights::hubs(settings, &self.store).remove(0)
    }
}

fn plan() -> graph2mqtt::simulator::Plan {
    Hub::plan().room("Office", &[("Desk", Kind::Color(Gamut::C)), ("Shelf", Kind::White)])
}

async fn show(hub: &lights::Hub) -> Result<lights::Obeyed, Trouble> {
    hub.lights[0].1.show(RED, false).await
}

#[tokio::test]
async fn whoever_presses_the_button_is_given_a_key_that_is_kept_and_used() {
    let hub = plan().start().await.unwrap();
    let place = Place::new().await;
    let settings = place.settings(&hub, "");
    assert!(
        matches!(show(&place.light(&settings)).await, Err(Trouble::Stop { reason }) if reason.contains("graph2mqtt pair office"))
    );
    let mut seen = Vec::new();
    let pressed = async {
        hub.requests()
            .wait_for(WAIT, |requests| requests.iter().filter(|it| it.route == "POST /api").count() > 0)
            .await
            .unwrap();
        hub.press_button();
    };
    let (paired, ()) = tokio::join!(place.pair(&settings, WAIT, &mut seen), pressed);
    let paired = paired.unwrap();
    assert_eq!((paired.id.as_str(), paired.is_plain), (ID, false));
    assert_eq!(paired.certificate_sha256, Some(hub.certificate_sha256()), "it signs itself, so it is pinned");
    assert!(matches!(&seen[0], Pairing::Found { id, .. } if id == ID));
    assert!(matches!(seen[1], Pairing::Press { left } if left <= WAIT));
    show(&place.light(&settings)).await.unwrap();
    assert!(hub.lamp("Desk").on);

    let text = format!("{paired:?} {seen:?} {:?}", place.store.hub_keys().await.unwrap());
    assert!(!text.contains(paired.key.expose_secret()), "no key in what is shown of it");
    let raw = std::fs::read(place.folder.path().join("store.db")).unwrap();
    let key = paired.key.expose_secret().as_bytes();
    assert!(!raw.windows(key.len()).any(|part| part == key), "sealed");
}

#[tokio::test]
async fn a_hub_that_speaks_http_alone_is_paired_where_its_owner_says_so() {
    let hub = plan().plain_v1().start().await.unwrap();
    let place = Place::new().await;
    let silent = place.settings(&hub, "");
    let Err(NotPaired::Unable(text)) = place.pair(&silent, WAIT, &mut Vec::new()).await else { panic!("paired") };
    let remedy = format!("hubs.office: {{ host: {}, api: v1 }}", hub.address());
    assert!(text.contains(&remedy) && text.contains("graph2mqtt pair office"), "{text}");
    assert_eq!(hub.requests().count(|it| it.route == "POST /api"), 0, "no key is asked for where it can be read");
    let settings = place.settings(&hub, ", api: v1");
    hub.press_button();
    let paired = place.pair(&settings, WAIT, &mut Vec::new()).await.unwrap();
    assert_eq!((paired.is_plain, paired.certificate_sha256), (true, None));
    show(&place.light(&settings)).await.unwrap();
    assert!(hub.lamp("Desk").on);
}

#[tokio::test]
async fn hubs_that_know_no_key_for_clients_are_paired_and_those_that_want_one_asked_for() {
    for (plan, keys, questions) in [(plan().plain_v1(), ", api: v1", 2), (plan().v1(), "", 1), (plan().pro(), "", 1)] {
        let hub = plan.start().await.unwrap();
        let place = Place::new().await;
        let settings = place.settings(&hub, keys);
        hub.press_button();
        place.pair(&settings, WAIT, &mut Vec::new()).await.unwrap_or_else(|why| panic!("{keys}: {why}"));
        assert_eq!(hub.requests().count(|it| it.route == "POST /api"), questions, "{keys}");
        show(&place.light(&settings)).await.unwrap();
    }
    let hub = plan().start().await.unwrap();
    let place = Place::new().await;
    let no =
        r#"[{"error": {"type": 6, "address": "/", "description": "parameter, generateclientkey, not available"}}]"#;
    hub.fault(Fault::new("POST /api", What::status(200, no)));
    let Err(NotPaired::Unable(text)) = place.pair(&place.settings(&hub, ""), WAIT, &mut Vec::new()).await else {
        panic!("paired")
    };
    assert!(text.contains("error 6") && hub.requests().count(|it| it.route == "POST /api") == 2, "{text}");
}

#[tokio::test]
async fn nobody_who_does_not_press_the_button_is_paired() {
    let hub = plan().start().await.unwrap();
    let place = Place::new().await;
    let settings = place.settings(&hub, "");
    let Err(NotPaired::NotPressed(text)) = place.pair(&settings, Duration::from_millis(1200), &mut Vec::new()).await
    else {
        panic!("paired")
    };
    assert!(text.contains("link button"), "{text}");
    assert!(place.store.hub_keys().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_running_actuator_takes_a_new_key_up() {
    let hub = plan().start().await.unwrap();
    let place = Place::new().await;
    let settings = place.settings(&hub, "");
    hub.press_button();
    place.pair(&settings, WAIT, &mut Vec::new()).await.unwrap();
    let light = place.light(&settings);
    show(&light).await.unwrap();
    hub.revoke_key();
    let Err(Trouble::Stop { reason }) = show(&light).await else { panic!("403") };
    assert!(reason.contains("does not know the application key any more"), "{reason}");
    let (sender, mut events) = tokio::sync::mpsc::channel(8);
    let source = light.source.clone();
    tokio::spawn(async move { source.watch(sender).await });
    hub.requests().clear();
    assert!(matches!(show(&light).await, Err(Trouble::Stop { .. })));
    assert_eq!(hub.requests().count(|_| true), 0, "a key that is not known is not tried again");
    place.pair(&settings, WAIT, &mut Vec::new()).await.unwrap();
    let mended = async {
        loop {
            if events.recv().await.unwrap() == Event::Mended {
                return;
            }
        }
    };
    tokio::time::timeout(WAIT, mended).await.unwrap();
    show(&light).await.unwrap();
}

#[tokio::test]
async fn another_certificate_is_told_and_taken_by_pairing_again() {
    let hub = plan().start().await.unwrap();
    let place = Place::new().await;
    let settings = place.settings(&hub, "");
    hub.press_button();
    place.pair(&settings, WAIT, &mut Vec::new()).await.unwrap();
    hub.present(Certificate::self_signed(ID));
    let Err(Trouble::Hub { reason, .. }) = show(&place.light(&settings)).await else { panic!("another certificate") };
    assert!(
        reason.contains("certificate is not the one known") && reason.contains("graph2mqtt pair office"),
        "{reason}"
    );
    let mut seen = Vec::new();
    hub.press_button();
    place.pair(&settings, WAIT, &mut seen).await.unwrap();
    assert!(
        seen.iter().any(|pairing| matches!(pairing, Pairing::Changed { now, .. } if *now == hub.certificate_sha256()))
    );
    show(&place.light(&settings)).await.unwrap();
}

#[tokio::test]
async fn another_hub_than_the_one_configured_is_not_paired() {
    let hub = plan().start().await.unwrap();
    let place = Place::new().await;
    hub.press_button();
    for keys in [", id: 001788fffe999999".to_owned(), format!(", certificate_sha256: \"{}\"", "ab".repeat(32))] {
        let settings = place.settings(&hub, &keys);
        let Err(NotPaired::Unable(text)) = place.pair(&settings, WAIT, &mut Vec::new()).await else { panic!("paired") };
        assert!(text.contains("hubs.office."), "{text}");
    }
    assert_eq!(hub.requests().count(|it| it.route == "POST /api"), 0, "the button is not waited for");
}

#[tokio::test]
async fn what_is_no_hub_is_not_paired_and_an_overloaded_one_is_waited_for() {
    let hub = plan().start().await.unwrap();
    let place = Place::new().await;
    let settings = place.settings(&hub, "");
    hub.press_button();
    for what in [What::Html, What::Garbage, What::status(404, "{}")] {
        hub.fault(Fault::new("POST /api", what));
        assert!(matches!(place.pair(&settings, WAIT, &mut Vec::new()).await, Err(NotPaired::Unable(_))));
        hub.clear_faults();
    }
    hub.fault(Fault::new("POST /api", What::retry_after(429, 1)).times(1));
    hub.fault(Fault::new("POST /api", What::Cut).times(1));
    place.pair(&settings, WAIT, &mut Vec::new()).await.unwrap();
    hub.down().await;
    assert!(matches!(place.pair(&settings, WAIT, &mut Vec::new()).await, Err(NotPaired::Unable(_))));
}

#[tokio::test]
async fn hubs_are_named_by_name_id_or_address() {
    let hub = plan().start().await.unwrap();
    let place = Place::new().await;
    let settings = place.settings(&hub, &format!(", id: {ID}"));
    for text in ["office", ID, &hub.address().to_string()] {
        assert_eq!(lights::hub_named(&settings, text).await.unwrap().0, "office");
    }
    let (name, hub) = lights::hub_named(&settings, "192.168.1.77").await.unwrap();
    assert_eq!((name.as_str(), hub.host.as_str(), hub.id), ("", "192.168.1.77", None));
    let (name, hub) = lights::hub_named(&settings, "localhost").await.expect("one word that is a host");
    assert_eq!((name.as_str(), hub.host.as_str()), ("", "localhost"));
    let text = lights::hub_named(&settings, "offices").await.unwrap_err().to_string();
    assert!(text.contains("office") && text.contains("address"), "{text}");
}

#[tokio::test]
async fn signifys_list_is_asked_where_no_hub_answers_on_the_network() {
    let hub = plan().start().await.unwrap();
    let port = hub.address().port();
    let mut server = mockito::Server::new_async().await;
    let list = format!(
        r#"[{{"id":"{ID}","internalipaddress":"127.0.0.1","port":{port}}},{{"id":"x","internalipaddress":"127.0.0.1"}}]"#
    );
    server.mock("GET", "/").with_body(list).create_async().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let search = hue::find(Duration::from_millis(300), Some((&http, &server.url()))).await;
    let found = &search.hubs[0];
    assert_eq!(
        (found.id.as_str(), found.address.as_str(), found.model.as_deref()),
        (ID, hub.address().to_string().as_str(), Some("BSB002"))
    );
    assert_eq!(search.hubs.len(), 1);
    server.reset();
    server.mock("GET", "/").with_status(429).create_async().await;
    let search = hue::find(Duration::from_millis(300), Some((&http, &server.url()))).await;
    assert!(
        search.hubs.is_empty() && search.troubles.iter().any(|trouble| trouble.contains("too often")),
        "{search:?}"
    );
    assert!(hue::find(Duration::from_millis(300), None).await.hubs.is_empty(), "nobody but the network is asked");
}

#[tokio::test]
async fn what_hubs_hold_is_listed_with_what_to_write_as_target() {
    let hub = plan().zone("Office", &["Shelf"]).scene("Office", "Relax", &[]).start().await.unwrap();
    let place = Place::new().await;
    let settings = place.settings(&hub, "");
    let unpaired = lights::survey(&settings, &place.store).await.unwrap();
    assert!(unpaired.hubs[0].error.as_ref().unwrap().contains("graph2mqtt pair office"), "{unpaired:?}");
    hub.press_button();
    place.pair(&settings, WAIT, &mut Vec::new()).await.unwrap();
    let survey = lights::survey(&settings, &place.store).await.unwrap();
    let office = &survey.hubs[0];
    let targets: Vec<&str> = office.places.iter().map(|place| place.thing.target.as_str()).collect();
    assert_eq!(targets, ["room/Office", "zone/Office", "home"]);
    assert_eq!(
        (&office.places[0].lights[..], &office.places[0].scenes[..]),
        (&["Desk".to_owned(), "Shelf".to_owned()][..], &["Relax".to_owned()][..])
    );
    assert_eq!(office.lights[0].can, ["color", "white", "brightness", "on", "breathe", "blink"]);
    assert_eq!(office.lights[1].can, ["brightness", "on", "breathe", "blink"]);
    assert_eq!((survey.lights[0].target.as_str(), &survey.lights[0].error), ("Desk", &None));
}
