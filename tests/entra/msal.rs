//! Microsoft's own client (Python's `msal`) signs in to the simulated Entra: what it takes for Entra is enough like it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use graph2mqtt::simulator::{Application, Call, Cloud, Platform, Route};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use url::Url;

use crate::front::Tls;
use crate::visitor;
use crate::world::{CLIENT, SECRET};

const CERTIFICATE: &str = include_str!("keys/rsa.crt");
const KEY: &str = include_str!("keys/rsa.key");

/// The Python that has msal: the tester's, or that of `.ci/run`.
fn python() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let of_ci = cache.map(|cache| cache.join("graph2mqtt-ci/python/bin/python3"));
    let candidates = [Some(PathBuf::from("python3")), of_ci];
    let has_msal = |python: &PathBuf| {
        let asked = Command::new(python).args(["-c", "import msal"]).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    let found = candidates.into_iter().flatten().find(has_msal);
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "python3 with msal is missing: .ci/run installs it");
        eprintln!("left out: there is no python3 with msal; .ci/run tests installs it");
    }
    found
}

/// The client, at work.
struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Client {
    fn start(python: PathBuf, asked: &Value) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/entra/msal_client.py");
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut client = Self { child, input, output };
        client.tell(asked);
        client
    }

    fn tell(&mut self, what: &Value) {
        writeln!(self.input, "{what}").unwrap();
    }

    /// The next thing that it says.
    async fn hear(mut self) -> (Self, Value) {
        tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            self.output.read_line(&mut line).unwrap();
            assert!(!line.is_empty(), "{}", self.last_words());
            let said = serde_json::from_str(&line).unwrap();
            (self, said)
        })
        .await
        .unwrap()
    }

    fn last_words(&mut self) -> String {
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        errors
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An Entra behind TLS, and what the client is told of it.
async fn entra(application: Application) -> (Cloud, tempfile::TempDir, Value) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tls = Tls::bind().await;
    let cloud = Cloud::start_behind(&tls.url()).await.unwrap();
    cloud.add_tenant("contoso.com");
    cloud.add_application(application);
    cloud.add_person("alex@contoso.com", "Alex");
    cloud.adjust(|rules| rules.interval = Duration::from_secs(1));
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, &tls.authority).unwrap();
    let asked = json!({ "authority": format!("{}/contoso.com", tls.url()), "client_id": CLIENT, "ca": ca });
    tls.serve(cloud.address());
    (cloud, folder, asked)
}

fn with(mut asked: Value, more: Value) -> Value {
    asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn microsofts_client_signs_a_person_in_by_device_code_and_refreshes() {
    let Some(python) = python() else { return };
    let application = Application::public(CLIENT, "contoso.com").delegated(&["Presence.Read"]);
    let (cloud, _folder, asked) = entra(application).await;
    let client = Client::start(python, &with(asked, json!({ "way": "device" })));
    let polled = |calls: &[Call]| calls.iter().any(|call| call.route == Route::Token);
    cloud.calls().wait_for(Duration::from_secs(60), polled).await.unwrap();
    let (client, prompt) = client.hear().await;
    assert_eq!(prompt["user_code"], cloud.pending_codes()[0]);
    cloud.approve(&cloud.pending_codes()[0], "alex@contoso.com").unwrap();
    let (client, said) = client.hear().await;
    assert_eq!((&said["error"], &said["who"]), (&Value::Null, &"alex@contoso.com".into()), "{said:?}");
    assert_eq!(client.hear().await.1["refreshed"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn microsofts_client_proves_the_application_by_a_secret_and_by_a_certificate() {
    let Some(python) = python() else { return };
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let application = Application::confidential(CLIENT, "contoso.com", SECRET).certificate(&certificate);
    let (_cloud, _folder, asked) = entra(application.roles(&["Presence.Read.All"])).await;
    for more in [
        json!({ "way": "secret", "secret": SECRET }),
        json!({ "way": "certificate", "certificate": CERTIFICATE, "key": KEY }),
    ] {
        let (_client, said) = Client::start(python.clone(), &with(asked.clone(), more)).hear().await;
        assert_eq!((&said["error"], &said["has_token"]), (&Value::Null, &true.into()), "{said:?}");
    }
    let wrong = json!({ "way": "secret", "secret": "another" });
    let (_client, said) = Client::start(python, &with(asked, wrong)).hear().await;
    assert!(said["error"].as_str().unwrap().contains("AADSTS7000215"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn microsofts_client_signs_a_person_in_by_an_authorization_code_that_is_posted() {
    const BACK: &str = "https://presence.example/sign-in/callback";
    let Some(python) = python() else { return };
    let application = Application::confidential(CLIENT, "contoso.com", SECRET).redirect(Platform::Web, BACK);
    let (cloud, _folder, asked) = entra(application.delegated(&["Presence.Read"])).await;
    let more = json!({ "way": "code", "secret": SECRET, "back": BACK });
    let (mut client, said) = Client::start(python, &with(asked, more)).hear().await;
    // The person's browser takes the way without TLS.
    let mut page: Url = said["page"].as_str().unwrap().parse().unwrap();
    page.set_scheme("http").unwrap();
    page.set_ip_host(cloud.address().ip()).unwrap();
    page.set_port(Some(cloud.address().port())).unwrap();
    let post = visitor::answer(&page, "alex@contoso.com", "sign_in").await.unwrap();
    assert_eq!(post.to, BACK);
    client.tell(&json!(post.fields));
    let (_client, said) = client.hear().await;
    assert_eq!((&said["error"], &said["who"]), (&Value::Null, &"alex@contoso.com".into()), "{said:?}");
}
