//! A site with its pages, and a browser as far as they need one: it keeps cookies and follows nothing by itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use graph2mqtt::bridge::{Monitor, Snapshot};
use graph2mqtt::entra::{SignIns, Tokens};
use graph2mqtt::settings::{self, Settings};
use graph2mqtt::simulator::{Application, Cloud, Platform};
use graph2mqtt::store::{Enrolment, Grant, Store};
use graph2mqtt::web::{self, Bridge, Pages, Site, Status};
use reqwest::header::{self, HeaderMap};
use reqwest::{Method, RequestBuilder, StatusCode};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::visitor;

pub const CLIENT: &str = "00000000-0000-4000-8000-0000000000c1";

/// Pages on a free port.
pub struct Installation {
    pub cloud: Cloud,
    pub sign_ins: SignIns,
    pub port: u16,
    store: Store,
    _folder: TempDir,
    stop: CancellationToken,
}

impl Drop for Installation {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Installation {
    /// With alex, who signs in, kim, who is read by alex's right, and lee, who signs in.
    pub async fn new() -> Self {
        Self::with("http://localhost:PORT", "").await
    }

    /// With this `web.public_url`, and further keys of `web`. `PORT` is the listener's.
    pub async fn with(public_url: &str, web: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = web::bind("web.listen", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let public_url = public_url.replace("PORT", &port.to_string());
        let (cloud, folder) = (cloud(&public_url).await, tempfile::tempdir().unwrap());
        let settings =
            settings(&cloud, &folder, &format!("listen: 127.0.0.1:{port}, public_url: \"{public_url}\"{web}"));
        let url = format!("sqlite://{}", folder.path().join("g.db").display());
        let store = Store::open(&url, &folder.path().join("key")).await.unwrap();
        let http = client();
        let sign_ins = Tokens::new(&settings, http, store.clone()).unwrap().sign_ins();
        let bridge = Bridge { monitor: Monitor::new(), sign_ins: sign_ins.clone() };
        let stop = serve(listener, settings, Some(bridge));
        Self { cloud, sign_ins, port, store, _folder: folder, stop }
    }

    pub fn browser(&self) -> Browser {
        Browser::at(self.port)
    }

    /// Somebody enrolled before.
    pub async fn enrolled(&self, upn: &str) {
        let id = self.cloud.person_id(upn);
        let tenant_id = self.cloud.tenant_id(upn.rsplit('@').next().unwrap());
        let now = jiff::Timestamp::now();
        let held = self.store.hold(&"{}".to_owned().into(), now, now + jiff::SignedDuration::from_mins(1)).await;
        let person =
            Enrolment { tenant_id, object_id: id, username: upn.to_owned(), confidential: false, granted_at: now };
        self.store.enrol(held.unwrap(), person, now).await.unwrap();
    }

    pub async fn grants(&self) -> Vec<Grant> {
        self.store.grants().await.unwrap()
    }
}

async fn cloud(public_url: &str) -> Cloud {
    let cloud = Cloud::start().await.unwrap();
    cloud.add_tenant("contoso.com");
    let callback = format!("{}/sign-in/callback", public_url.trim_end_matches('/'));
    let application = Application::public(CLIENT, "contoso.com").multi_tenant().delegated(&["Presence.Read"]);
    cloud.add_application(application.redirect(Platform::Desktop, &callback));
    cloud.consent(CLIENT, "contoso.com", &["Presence.Read.All", "User.ReadBasic.All"]);
    cloud.adjust(|rules| rules.interval = Duration::from_secs(1));
    for name in ["alex", "kim", "lee", "sam"] {
        cloud.add_person(&format!("{name}@contoso.com"), name);
    }
    cloud
}

fn settings(cloud: &Cloud, folder: &TempDir, web: &str) -> Arc<Settings> {
    let (authority, endpoint) = (cloud.authority(), cloud.graph());
    let yaml = format!(
        "entra: {{ authority: \"{authority}\", tenant: contoso.com, client_id: {CLIENT} }}\n\
         graph: {{ endpoint: \"{endpoint}\" }}\nweb: {{ {web} }}\naccounts:\n  \
         alex: {{ user: alex@contoso.com, name: 'Alex <b>W</b>' }}\n  kim: {{ user: kim@contoso.com, via: alex }}\n  \
         lee: {{ user: lee@contoso.com }}\n"
    );
    Arc::new(settings::from_yaml(&yaml, folder.path()).unwrap())
}

/// Serves pages until the token is cancelled.
pub fn serve(listener: tokio::net::TcpListener, settings: Arc<Settings>, bridge: Option<Bridge>) -> CancellationToken {
    let stop = CancellationToken::new();
    let status =
        Arc::new(|| Status { bridge: Some(Snapshot { connected: true, ..Snapshot::default() }), actuator: None });
    let site = Site::pages(Pages { settings, status, bridge, pairings: None });
    tokio::spawn(web::serve(listener, site, stop.clone().cancelled_owned()));
    stop
}

fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().tls_certs_only([]).no_proxy().redirect(reqwest::redirect::Policy::none());
    builder.build().unwrap()
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn location(&self) -> &str {
        assert_eq!(self.status, 303, "{self:?}");
        self.header("location")
    }

    /// A page with this status that says these words.
    #[track_caller]
    pub fn says(self, status: u16, words: &str) -> Self {
        assert!(self.status == status && self.text.contains(words), "not {status} with {words:?}: {self:?}");
        self
    }
}

pub struct Browser {
    base: String,
    http: reqwest::Client,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Browser {
    /// At the pages of this port.
    pub fn at(port: u16) -> Self {
        Self { base: format!("http://localhost:{port}"), http: client(), cookies: Mutex::default() }
    }

    /// Another one, on a machine of this address.
    pub fn on(self, machine: &str) -> Self {
        let builder = reqwest::Client::builder().tls_certs_only([]).no_proxy().local_address(machine.parse().ok());
        Self { http: builder.redirect(reqwest::redirect::Policy::none()).build().unwrap(), ..self }
    }

    /// A page, once it says this.
    pub async fn until(&self, page: &str, words: &str) -> Answer {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            let answer = self.get(page).await;
            if answer.text.contains(words) {
                return answer;
            }
            assert!(tokio::time::Instant::now() < deadline, "never {words:?}: {}", answer.text);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn origin(&self) -> &str {
        &self.base
    }

    /// A request with the cookies, to a path or to a whole URL on this host.
    pub fn request(&self, method: Method, to: &str) -> RequestBuilder {
        let url = if to.starts_with("http") { to.to_owned() } else { format!("{}{to}", self.base) };
        let cookies: Vec<String> = self.cookies.lock().unwrap().iter().map(|(k, v)| format!("{k}={v}")).collect();
        let request = self.http.request(method, url);
        if cookies.is_empty() { request } else { request.header(header::COOKIE, cookies.join("; ")) }
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let (pair, _) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
        }
        Answer { status: response.status(), headers: response.headers().clone(), text: response.text().await.unwrap() }
    }

    pub async fn get(&self, to: &str) -> Answer {
        self.send(self.request(Method::GET, to)).await
    }

    /// Posts a form as a page of this origin would.
    pub async fn post(&self, to: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(self.request(Method::POST, to).header(header::ORIGIN, &self.base).form(fields)).await
    }

    /// What the forms of a page carry.
    pub async fn token(&self, page: &str) -> String {
        visitor::hidden(&self.get(page).await.text).remove("token").expect("a page with a form")
    }

    /// Opens an account's page and presses one of its buttons.
    pub async fn press(&self, page: &str, action: &str) -> Answer {
        let token = self.token(page).await;
        self.post(&format!("{page}/{action}"), &[("token", &token)]).await
    }

    /// What Entra lets it post: from another site, so without cookies.
    pub async fn post_from_entra(&self, post: &visitor::Post) -> Answer {
        self.send(self.http.post(&post.to).header(header::ORIGIN, "https://login.example").form(&post.fields)).await
    }
}
