//! A simulated cloud with one tenant, an application, people, and the settings that name them.

use std::path::PathBuf;
use std::time::Duration;

use graph2mqtt::entra::{AccessToken, Principal, Tokens, Trouble};
use graph2mqtt::presence::AccountName;
use graph2mqtt::settings::{self, Settings};
use graph2mqtt::simulator::{Application, Call, Cloud, Route};
use graph2mqtt::store::{Grant, Store};
use secrecy::ExposeSecret;
use tempfile::TempDir;

pub const CLIENT: &str = "00000000-0000-4000-8000-0000000000c1";
pub const SECRET: &str = "the-secret-of-the-application";
/// Shorter than what is taken from the store: every new process has to refresh.
pub const SHORT: Duration = Duration::from_secs(25);

pub struct World {
    pub cloud: Cloud,
    folder: TempDir,
}

impl World {
    /// alex, kim and sam of contoso.com, and a public application that may read the presence of whoever signs in.
    pub async fn new() -> Self {
        Self::with(Application::public(CLIENT, "contoso.com").delegated(&["Presence.Read"])).await
    }

    pub async fn with(application: Application) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cloud = Cloud::start().await.unwrap();
        cloud.add_tenant("contoso.com");
        cloud.add_application(application);
        for name in ["alex", "kim", "sam"] {
            cloud.add_person(&upn(name), name);
        }
        Self { cloud, folder: tempfile::tempdir().unwrap() }
    }

    /// Settings with these accounts, each `{ user: <name>@contoso.com }`.
    pub fn settings(&self, accounts: &[&str]) -> Settings {
        let lines: String = accounts.iter().map(|name| format!("  {name}: {{ user: {} }}\n", upn(name))).collect();
        self.settings_of(&format!("accounts:\n{lines}"), "")
    }

    /// Settings with this section of accounts, and these further keys of `entra`.
    pub fn settings_of(&self, accounts: &str, entra: &str) -> Settings {
        settings::from_yaml(&self.yaml(accounts, entra), self.folder.path()).unwrap()
    }

    /// The same, with these variables in the environment.
    pub fn settings_in(&self, accounts: &str, entra: &str, environment: &[(&str, &str)]) -> Settings {
        let file = self.folder.path().join("graph2mqtt.yaml");
        std::fs::write(&file, self.yaml(accounts, entra)).unwrap();
        let environment = environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
        settings::load(settings::Sources { file: Some(file), environment, set: Vec::new() }).unwrap().settings
    }

    fn yaml(&self, accounts: &str, entra: &str) -> String {
        let (authority, endpoint) = (self.cloud.authority(), self.cloud.graph());
        format!(
            "entra: {{ authority: \"{authority}\", tenant: contoso.com, client_id: {CLIENT}{entra} }}\n\
             graph: {{ endpoint: \"{endpoint}\" }}\n{accounts}"
        )
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub async fn store(&self) -> Store {
        let folder = self.folder.path().join("data");
        let url = format!("sqlite://{}", folder.join("graph2mqtt.db").display());
        Store::open(&url, &folder.join("store.key")).await.unwrap()
    }

    /// Somebody altered what the store holds of an account's sign-in.
    pub async fn alter(&self, account: &str) {
        use sqlx::Connection;
        let url = format!("sqlite://{}", self.folder.path().join("data/graph2mqtt.db").display());
        let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
        let alter = sqlx::query("UPDATE accounts SET cache = $1 WHERE name = $2").bind(vec![7_u8; 64]).bind(account);
        assert_eq!(alter.execute(&mut connection).await.unwrap().rows_affected(), 1);
        connection.close().await.unwrap();
    }

    /// What a process that has just started holds.
    pub async fn start(&self, settings: &Settings) -> Tokens {
        self.start_with(settings, http(Duration::from_secs(15))).await
    }

    pub async fn start_with(&self, settings: &Settings, http: reqwest::Client) -> Tokens {
        Tokens::new(settings, http, self.store().await).unwrap()
    }

    /// The account's own person signs in.
    pub async fn sign_in(&self, tokens: &Tokens, account: &str) -> Result<Grant, Trouble> {
        self.sign_in_as(tokens, account, account).await
    }

    pub async fn sign_in_as(&self, tokens: &Tokens, account: &str, person: &str) -> Result<Grant, Trouble> {
        tokens.sign_in(&name(account), |prompt| self.cloud.approve(&prompt.user_code, &upn(person)).unwrap()).await
    }

    /// Whose presence Graph shows for this token.
    pub async fn whose(&self, token: &AccessToken) -> String {
        let answer = http(Duration::from_secs(15))
            .get(format!("{}/me/presence", self.cloud.graph()))
            .bearer_auth(token.secret.expose_secret())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        let presence: serde_json::Value = answer.json().await.unwrap();
        presence["id"].as_str().unwrap().to_owned()
    }

    /// How often the token endpoint was asked.
    pub fn asked(&self) -> usize {
        self.cloud.calls().count(|call: &Call| call.route == Route::Token)
    }
}

/// A client that waits so long for the next piece of an answer.
pub fn http(patience: Duration) -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only([])
        .read_timeout(patience)
        .no_proxy()
        .build()
        .unwrap()
}

pub fn name(account: &str) -> AccountName {
    account.parse().unwrap()
}

pub fn upn(person: &str) -> String {
    format!("{person}@contoso.com")
}

pub fn person(account: &str) -> Principal {
    Principal::Account(name(account))
}
