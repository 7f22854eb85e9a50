//! A company's proxy and authority: for Entra, Graph and a key vault, and for nothing else.

use std::fs;
use std::process::{Command, Output, Stdio};

use graph2mqtt::simulator::{Application, Cloud, Gamut, Hub, Kind};

use crate::front::{Proxy, Tls};
use crate::world::{CLIENT, SECRET};

const MACHINE: &str = "00000000-0000-4000-8000-0000000000d1";

struct Company {
    folder: tempfile::TempDir,
    cloud: Cloud,
    hub: Hub,
    proxy: Proxy,
    port: u16,
}

impl Company {
    /// Entra, Graph and a key vault behind TLS of the company's own; a managed identity on the machine; a hub at home.
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tls = Tls::bind().await;
        let (url, port) = (tls.url(), tls.port);
        let cloud = Cloud::start_behind(&url).await.unwrap();
        cloud.add_tenant("contoso.com");
        cloud.add_application(
            Application::confidential(CLIENT, "contoso.com", SECRET)
                .roles(&["Presence.Read.All", "User.ReadBasic.All"]),
        );
        cloud.add_application(Application::identity(MACHINE, "contoso.com"));
        cloud.assign_identity(MACHINE, true);
        cloud.let_read_vault(MACHINE);
        cloud.put_secret("graph2mqtt", SECRET);
        cloud.add_person("alex@contoso.com", "Alex");
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("company.pem"), &tls.authority).unwrap();
        tls.serve(cloud.address());
        let hub = Hub::plan().room("Office", &[("Desk", Kind::Color(Gamut::C))]).start().await.unwrap();
        Self { folder, cloud, hub, proxy: Proxy::start().await, port }
    }

    fn configure(&self, graph: &str) {
        let url = format!("https://localhost:{}", self.port);
        let (host, id, key) = (self.hub.address(), self.hub.bridge_id(), self.hub.key());
        let yaml = format!(
            "mqtt: {{ url: 'mqtt://127.0.0.1:9' }}\n\
             entra:\n  authority: '{url}'\n  tenant: contoso.com\n  client_id: {CLIENT}\n  \
             key_vault: {{ vault: '{url}', secret: graph2mqtt }}\n\
             graph: {{ endpoint: '{url}/v1.0'{graph} }}\n\
             accounts: {{ alex: {{ user: alex@contoso.com, via: app }} }}\n\
             hubs: {{ office: {{ host: '{host}', id: {id}, key: {key} }} }}\n\
             lights: {{ desk: {{ hub: office, target: Office, follow: alex }} }}\n",
        );
        fs::write(self.folder.path().join("graph2mqtt.yaml"), yaml).unwrap();
    }

    /// What `check` says.
    async fn check(&self, environment: &[(&str, &str)]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graph2mqtt"));
        command.current_dir(self.folder.path()).args(["--config", "graph2mqtt.yaml", "check"]).stdin(Stdio::null());
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        let imds = format!("http://{}", self.cloud.address());
        command.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", imds).envs(environment.iter().copied());
        let Output { stdout, .. } = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        String::from_utf8(stdout).unwrap()
    }

    fn proxy(&self) -> String {
        format!("http://{}", self.proxy.address)
    }
}

fn is_ok(said: &str, subject: &str) -> bool {
    said.lines().any(|line| line.starts_with("ok") && line.contains(subject))
}

#[tokio::test(flavor = "multi_thread")]
async fn entra_graph_and_the_vault_are_reached_through_the_proxy_hub_and_identity_are_not() {
    let company = Company::new().await;
    company.configure(", ca_file: company.pem");
    let proxy = company.proxy();
    let said = company.check(&[("HTTPS_PROXY", &proxy), ("HTTP_PROXY", &proxy)]).await;
    for subject in ["entra app", "graph alex", "hub office"] {
        assert!(is_ok(&said, subject), "{subject}: {said}");
    }
    let asked = company.proxy.asked();
    let through = format!("CONNECT localhost:{} HTTP/1.1", company.port);
    assert!(!asked.is_empty() && asked.iter().all(|line| *line == through), "{asked:?}");
    let directly = company.cloud.calls().count(|call| call.route == graph2mqtt::simulator::Route::Identity);
    assert_eq!(directly, 1, "the identity was asked directly");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_proxy_names_what_is_reached_directly() {
    let company = Company::new().await;
    company.configure(", ca_file: company.pem");
    let said = company.check(&[("HTTPS_PROXY", &company.proxy()), ("NO_PROXY", "localhost")]).await;
    assert!(is_ok(&said, "graph alex"), "{said}");
    assert_eq!(company.proxy.asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_authority_of_the_company_nothing_is_believed_and_the_check_says_so() {
    let company = Company::new().await;
    company.configure("");
    let said = company.check(&[]).await;
    assert!(!is_ok(&said, "entra app") && said.contains("certificate") && is_ok(&said, "hub office"), "{said}");
    assert!(!said.contains(SECRET), "{said}");
}
