//! A whole installation for a test: Entra and Graph simulated, a broker, a store, and a bridge in this process.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{StreamExt, stream};
use graph2mqtt::bridge::{self, Failure, Monitor, Parts};
use graph2mqtt::entra::Tokens;
use graph2mqtt::presence::AccountName;
use graph2mqtt::settings::{self, Settings};
use graph2mqtt::simulator::{Application, Call, Cloud, Route};
use graph2mqtt::store::{Enrolment, Store};
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::support::{Broker, Observer};

pub const TENANT: &str = "contoso.com";
pub const CLIENT: &str = "11111111-0000-4000-8000-000000000001";

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(40);

/// A configuration with another `mqtt.requests`.
pub fn with_requests(yaml: &str, requests: &str) -> String {
    yaml.replace("mqtt: {", &format!("mqtt: {{ requests: {requests},"))
}

pub struct Installation {
    pub cloud: Cloud,
    pub broker: Broker,
    pub folder: TempDir,
    pub base: &'static str,
}

/// A bridge that runs in this process.
pub struct Running {
    pub monitor: Monitor,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), Failure>>,
}

pub fn name(text: &str) -> AccountName {
    text.parse().unwrap()
}

pub fn user(account: &str) -> String {
    format!("{account}@{TENANT}")
}

impl Installation {
    /// With these people; nobody has signed in.
    pub async fn with(people: &[&str]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cloud = Cloud::start().await.unwrap();
        cloud.add_tenant(TENANT);
        let application = Application::public(CLIENT, TENANT)
            .secret("s3cret")
            .multi_tenant()
            .delegated(&["Presence.Read", "Presence.Read.All", "User.Read"])
            .roles(&["Presence.Read.All", "User.ReadBasic.All"]);
        cloud.add_application(application);
        cloud.adjust(|rules| rules.interval = Duration::ZERO);
        for person in people {
            cloud.add_person(&user(person), person);
            cloud.set_presence(&user(person), "Available", "Available");
        }
        Self { cloud, broker: Broker::start(), folder: tempfile::tempdir().unwrap(), base: "g" }
    }

    /// A configuration in which these people sign in themselves. `more` is further YAML; `{}` in it is nothing special.
    pub fn yaml(&self, people: &[&str], more: &str) -> String {
        let accounts: String =
            people.iter().map(|person| format!("  {person}: {{ user: {} }}\n", user(person))).collect();
        let (broker, base) = (self.broker.url(), self.base);
        let (authority, graph) = (self.cloud.authority(), self.cloud.graph());
        format!(
            "mqtt: {{ url: \"{broker}\", base_topic: {base}, keep_alive: 5s }}\n\
             entra: {{ authority: \"{authority}\", tenant: {TENANT}, client_id: {CLIENT} }}\n\
             graph: {{ endpoint: \"{graph}\", poll: {{ active: 1s, quiet: 1s }} }}\n\
             store: {{ url: \"sqlite://store/g.db\", key_file: store/key }}\n\
             accounts:\n{accounts}{more}"
        )
    }

    /// The same by the application's own right.
    pub fn yaml_by_application(&self, accounts: &str) -> String {
        self.yaml(&[], accounts)
            .replace(&format!("client_id: {CLIENT}"), &format!("client_id: {CLIENT}, client_secret: s3cret"))
    }

    pub fn settings(&self, yaml: &str) -> Settings {
        settings::from_yaml(yaml, self.folder.path()).unwrap_or_else(|mistakes| panic!("{mistakes}\n{yaml}"))
    }

    async fn tokens(&self, settings: &Settings) -> (Tokens, Store, reqwest::Client) {
        let store = Store::open(&settings.store.url, &settings.store.key_file).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        (Tokens::new(settings, http.clone(), store.clone()).unwrap(), store, http)
    }

    /// Whoever signs in from now on grants that their presence is set, too: the configuration that sets it.
    pub fn writing(&self, people: &[&str]) -> String {
        self.cloud.consent(CLIENT, TENANT, &["Presence.ReadWrite"]);
        with_requests(&self.yaml(people, ""), "all").replace("graph: {", "graph: { write: true,")
    }

    /// People sign in, as by `login` in a process of its own.
    pub async fn sign_in(&self, yaml: &str, people: &[&str]) {
        let settings = self.settings(yaml);
        let (tokens, ..) = self.tokens(&settings).await;
        // Each waits until it may ask whether the code was used.
        let sign_in = async |person: &&str| {
            let approve =
                |prompt: &graph2mqtt::entra::Prompt| self.cloud.approve(&prompt.user_code, &user(person)).unwrap();
            tokens.sign_in(&name(person), approve).await.unwrap();
        };
        stream::iter(people).for_each_concurrent(16, sign_in).await;
    }

    pub async fn store(&self) -> Store {
        let settings = self.settings(&self.yaml(&[], "  nobody: { user: nobody@contoso.com }\n"));
        Store::open(&settings.store.url, &settings.store.key_file).await.unwrap()
    }

    /// A person signs in to become an account, as by the enrolment page; answers with the account's name.
    pub async fn enrol(&self, store: &Store, person: &str) -> AccountName {
        let answer = self.cloud.sign_in(CLIENT, person, "openid profile offline_access Presence.Read");
        let claims = answer["id_token"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        let id = |claim: &str| claims[claim].as_str().unwrap().parse().unwrap();
        let now = Timestamp::now();
        let cache = json!({
            "refresh_token": answer["refresh_token"], "access_token": answer["access_token"],
            "obtained_at": now, "expires_at": now + 1.hours(), "permissions": ["Presence.Read"],
        });
        let person = Enrolment {
            tenant_id: id("tid"),
            object_id: id("oid"),
            username: person.to_owned(),
            confidential: false,
            granted_at: now,
        };
        let held = store.hold(&cache.to_string().into(), now, now + 1.minutes()).await.unwrap();
        store.enrol(held, person, now).await.unwrap().account
    }

    /// The presence client alone.
    pub async fn client(&self, yaml: &str) -> graph2mqtt::graph::Client {
        let settings = self.settings(yaml);
        let (tokens, _, http) = self.tokens(&settings).await;
        graph2mqtt::graph::Client::new(&settings.graph, http, tokens)
    }

    pub async fn start(&self, yaml: &str) -> Running {
        self.start_with(yaml, bridge::Control::default()).await
    }

    /// The same, with what requests may do to the process.
    pub async fn start_with(&self, yaml: &str, control: bridge::Control) -> Running {
        let settings = self.settings(yaml);
        let (tokens, store, http) = self.tokens(&settings).await;
        let graph = graph2mqtt::graph::Client::new(&settings.graph, http, tokens.clone());
        let (monitor, shutdown) = (Monitor::new(), CancellationToken::new());
        let parts = Parts {
            settings: Arc::new(settings),
            store,
            tokens,
            graph,
            monitor: monitor.clone(),
            shutdown: shutdown.clone(),
            control,
        };
        Running { monitor, shutdown, task: tokio::spawn(bridge::run(parts)) }
    }

    /// Signs these people in, and starts a bridge for them.
    pub async fn run(&self, people: &[&str]) -> (Running, String) {
        let yaml = self.yaml(people, "");
        self.sign_in(&yaml, people).await;
        (self.start(&yaml).await, yaml)
    }

    pub async fn observe(&self) -> Observer {
        Observer::connect(self.broker.address(), "#").await
    }

    pub fn topic(&self, rest: &str) -> String {
        format!("{}/{rest}", self.base)
    }

    pub async fn until_online(&self, observer: &Observer) {
        observer.until_is(&self.topic("bridge/state"), "online").await;
    }

    /// Calls to Graph for presences so far.
    pub fn polls(&self) -> Vec<Call> {
        let presence = |call: &Call| Route::PRESENCE.contains(&call.route);
        self.cloud.calls().all().into_iter().filter(presence).collect()
    }

    /// Waits until so many more calls for presences were answered.
    pub async fn more_polls(&self, count: usize) {
        let wanted = self.polls().len() + count;
        let presence = |call: &&Call| Route::PRESENCE.contains(&call.route);
        let enough = |calls: &[Call]| calls.iter().filter(presence).count() >= wanted;
        self.cloud.calls().wait_for(PATIENCE, enough).await.unwrap();
    }
}

impl Running {
    /// A clean stop.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Gone without a word, as by `kill -9`: its connection is cut.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// How it ends by itself.
    pub async fn end(self) -> Result<(), Failure> {
        tokio::time::timeout(PATIENCE, self.task).await.expect("it ends").unwrap()
    }
}
