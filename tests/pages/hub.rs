//! A hub's page: how it stands, and pairing it by its button.

use std::sync::Arc;
use std::time::Duration;

use graph2mqtt::actuator::{Actuator, Pairings, Progress};
use graph2mqtt::settings;
use graph2mqtt::simulator::{Certificate, Gamut, Hub, Kind};
use graph2mqtt::store::Store;
use graph2mqtt::web::{self, Pages, Site, Status};
use reqwest::{Method, header};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::browser::{Answer, Browser};

const PATIENCE: Duration = Duration::from_secs(20);

/// The pages of an actuator with one hub, which is not paired.
struct House {
    hub: Hub,
    pairings: Pairings,
    store: Store,
    port: u16,
    stop: CancellationToken,
    _folder: TempDir,
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl House {
    /// `web`: further keys of it.
    async fn new(web: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let hub = Hub::plan().room("Office", &[("Desk", Kind::Color(Gamut::C))]).start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let listener = web::bind("web.listen", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let yaml = format!(
            "web: {{ listen: '127.0.0.1:{port}'{web} }}\nhubs: {{ office: {{ host: '{}' }} }}\n\
             lights: {{ desk: {{ hub: office, target: Desk, follow: alex }} }}\n",
            hub.address()
        );
        let settings = Arc::new(settings::from_yaml(&yaml, folder.path()).unwrap());
        let url = format!("sqlite://{}", folder.path().join("g.db").display());
        let store = Store::open(&url, &folder.path().join("key")).await.unwrap();
        let state = Actuator::new(settings.clone(), store.clone()).state();
        let pairings = state.pairings();
        let status = move || {
            let actuator = web::Actuator { connected: true, lights: state.lights(), hubs: state.hubs() };
            Status { bridge: None, actuator: Some(actuator) }
        };
        let pages = Pages { settings, status: Arc::new(status), bridge: None, pairings: Some(pairings.clone()) };
        let stop = CancellationToken::new();
        tokio::spawn(web::serve(listener, Site::pages(pages), stop.clone().cancelled_owned()));
        Self { hub, pairings, store, port, stop, _folder: folder }
    }

    fn browser(&self) -> Browser {
        Browser::at(self.port)
    }

    /// Until the button is waited for.
    async fn asks_for_the_button(&self) {
        let asks = |requests: &[graph2mqtt::simulator::Request]| requests.iter().any(|it| it.route == "POST /api");
        self.hub.requests().wait_for(PATIENCE, asks).await.unwrap();
    }

    /// How the pairing under way ends.
    async fn ends(&self) -> Progress {
        let mut progress = self.pairings.start("office", false).unwrap();
        let ended = progress.wait_for(|progress| !progress.is_under_way());
        tokio::time::timeout(PATIENCE, ended).await.expect("it ends").unwrap().clone()
    }
}

fn counts_down(page: &Answer) -> bool {
    page.text.contains("Press the button on the hub") && page.text.contains("http-equiv=\"refresh\" content=\"1\"")
}

#[tokio::test]
async fn pressing_the_button_pairs_the_hub_and_no_page_ever_shows_the_key() {
    let house = House::new("").await;
    let browser = house.browser();
    let first = browser.get("/").await.says(200, "Hubs").says(200, "href=\"/hub/office\"");
    let begun = browser.press("/hub/office", "pair").await;
    assert_eq!(begun.location(), "/hub/office");
    house.asks_for_the_button().await;
    let counting = browser.get("/hub/office").await;
    assert!(counts_down(&counting), "{counting:?}");
    let seconds: u64 = crate::visitor::between(&counting.text, "class=\"code\">", " s<").unwrap().parse().unwrap();
    assert!((30..=60).contains(&seconds), "{seconds}");
    house.hub.press_button();
    assert!(matches!(house.ends().await, Progress::Paired { .. }));
    let ended = browser.get("/hub/office").await.says(200, "Paired with <strong>Simulated Hue</strong>");
    assert!(!counts_down(&ended));
    let keys = house.store.hub_keys().await.unwrap();
    assert_eq!((keys.len(), keys[0].name.as_str()), (1, "office"));
    for page in [first, counting, ended, browser.get("/").await] {
        assert!(!page.text.contains(keys[0].key.expose_secret()), "{}", page.text);
    }
}

#[tokio::test]
async fn whoever_comes_second_joins_and_anybody_can_cancel() {
    let house = House::new("").await;
    let (one, other) = (house.browser(), house.browser());
    one.press("/hub/office", "pair").await;
    house.asks_for_the_button().await;
    let seen = other.get("/hub/office").await;
    assert!(counts_down(&seen), "{seen:?}");
    let token = other.token("/hub/office").await;
    other.post("/hub/office/pair", &[("token", &token)]).await;
    assert_eq!(other.press("/hub/office", "cancel").await.location(), "/hub/office");
    one.get("/hub/office").await.says(200, "Pairing was cancelled").says(200, "Pair it");
    house.hub.press_button();
    assert!(house.store.hub_keys().await.unwrap().is_empty());
    let asked = house.hub.requests().count(|it| it.route == "POST /api");
    assert!(asked <= 3, "{asked}: two pairings at once");
}

#[tokio::test]
async fn what_went_wrong_is_told_with_the_remedy() {
    let house = House::new("").await;
    house.hub.down().await;
    let browser = house.browser();
    browser.press("/hub/office", "pair").await;
    assert!(matches!(house.ends().await, Progress::Failed(_)));
    browser.get("/hub/office").await.says(200, "is the hub on, and hubs.office.host right?");
}

#[tokio::test]
async fn another_certificate_is_told_before_the_button_is_pressed() {
    let house = House::new("").await;
    let browser = house.browser();
    house.hub.press_button();
    browser.press("/hub/office", "pair").await;
    assert!(matches!(house.ends().await, Progress::Paired { .. }));
    let before = house.hub.certificate_sha256();
    house.hub.present(Certificate::self_signed(&house.hub.bridge_id()));
    house.hub.requests().clear();
    house.hub.release_button();
    browser.press("/hub/office", "pair").await;
    house.asks_for_the_button().await;
    let page = browser.get("/hub/office").await.says(200, "Its certificate is another one than before.");
    assert!(page.text.contains(&before) && page.text.contains(&house.hub.certificate_sha256()), "{}", page.text);
}

#[tokio::test]
async fn forms_of_others_pair_nothing() {
    let house = House::new("").await;
    let browser = house.browser();
    let token = browser.token("/hub/office").await;
    for action in ["pair", "cancel"] {
        let path = format!("/hub/office/{action}");
        let foreign = browser.request(Method::POST, &path).header(header::ORIGIN, "https://evil.example");
        browser.send(foreign.form(&[("token", &token)])).await.says(403, "Another site sent this form");
        browser.post(&path, &[("token", "")]).await.says(403, "cookies");
        house.browser().post(&path, &[("token", &token)]).await.says(403, "cookies");
        let rebound = browser.request(Method::POST, &path).header(header::HOST, "evil.example");
        browser.send(rebound.form(&[("token", &token)])).await.says(421, "not a name of this server");
        browser.get(&path).await.says(405, "");
    }
    browser.post("/hub/attic/pair", &[("token", &token)]).await.says(404, "no hub of that name");
    browser.get("/hub/attic").await.says(404, "no hub of that name");
    assert_eq!(house.pairings.progress("office"), Progress::Idle);
    assert_eq!(house.hub.requests().count(|_| true), 0);
}

#[tokio::test]
async fn without_the_password_no_hub_is_shown_and_none_paired() {
    let house = House::new(", password: open sesame").await;
    let browser = house.browser();
    browser.get("/hub/office").await.says(401, "type=\"password\"");
    let token = browser.token("/").await;
    browser.post("/hub/office/pair", &[("token", &token)]).await.says(401, "Password");
    assert_eq!(house.pairings.progress("office"), Progress::Idle);
    browser.post("/login", &[("token", &token), ("to", "/hub/office"), ("password", "open sesame")]).await;
    browser.get("/hub/office").await.says(200, "Pair it");
}
