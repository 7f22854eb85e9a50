//! Managed identities: tokens that Azure hands to a process on its own machines, without any secret.
//!
//! Which of Azure's services is asked follows from the environment. Always directly, never through a
//! proxy. Sources: Microsoft's "How managed identities for Azure resources work with virtual machines",
//! "Use managed identities for App Service and Azure Functions", "Authenticate against Azure resources with
//! Azure Arc-enabled servers".

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::backoff::Backoff;
use crate::entra::Trouble;
use crate::entra::http::{self, Unread, causes};
use crate::entra::issued::Issued;
use crate::settings::Azure;

/// The instance metadata service of virtual machines.
const IMDS: &str = "http://169.254.169.254";

/// Where Azure Arc's agent is, and listens, where nothing else is said.
const ARC_AGENT: &str = "/opt/azcmagent/bin/himds";
const ARC_ENDPOINT: &str = "http://localhost:40342/metadata/identity/oauth2/token";

/// The only folder from which Azure Arc's agent may have a key read, and the longest one.
const ARC_KEYS: &str = "/var/opt/azcmagent/tokens";
const LONGEST_KEY: u64 = 4096;

/// The endpoints are on the machine itself, or one hop away.
const CONNECT: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(15);

const LARGEST: usize = 64 << 10;

/// What people are sent to where something is wrong.
pub(super) struct Names {
    /// For what the identity is used.
    what: &'static str,
    /// Where a user-assigned one is named.
    client_id: &'static str,
}

/// In the application's place, or as its credential.
pub(super) const OWN: Names = Names { what: "entra.managed_identity", client_id: "entra.managed_identity.client_id" };

/// To reach a key vault.
pub(super) const OF_A_VAULT: Names =
    Names { what: "entra.key_vault, by the machine's identity", client_id: "AZURE_CLIENT_ID of the environment" };

/// The identity of this machine.
pub(in crate::entra) struct Identity {
    names: &'static Names,
    source: Source,
    /// A user-assigned one.
    client_id: Option<String>,
    http: reqwest::Client,
    backoff: Backoff,
}

/// Which of Azure's services hands out the tokens.
enum Source {
    VirtualMachine(Url),
    AppService { endpoint: Url, header: SecretString },
    Arc { endpoint: Url, keys: PathBuf },
}

/// Numbers come as texts, and expiry in either form.
#[derive(Deserialize)]
struct Answer {
    access_token: SecretString,
    expires_in: Option<Seconds>,
    expires_on: Option<Seconds>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(i64),
    Text(String),
}

impl Seconds {
    fn get(&self) -> Option<i64> {
        match self {
            Self::Number(seconds) => Some(*seconds),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

impl Answer {
    /// How long the token is good. `expires_in` counts from when it was issued, and Azure hands one out again for a day:
    /// what `expires_on` leaves of it counts, unless this machine's clock is past that.
    fn life(&self, now: Timestamp) -> Option<Duration> {
        let number = |seconds: &Option<Seconds>| seconds.as_ref().and_then(Seconds::get);
        let left = number(&self.expires_on).map(|at| at.saturating_sub(now.as_second()));
        let lives = [left, number(&self.expires_in)].into_iter().flatten();
        lives.filter_map(|life| u64::try_from(life).ok()).filter(|life| *life > 0).min().map(Duration::from_secs)
    }
}

impl Identity {
    pub(super) fn new(azure: &Azure, client_id: Option<&str>, names: &'static Names) -> Result<Self, Trouble> {
        let source = Source::of(azure, Path::new(ARC_AGENT).exists(), names)?;
        Self::of(source, client_id, names)
    }

    fn of(source: Source, client_id: Option<&str>, names: &'static Names) -> Result<Self, Trouble> {
        if let (Source::Arc { .. }, Some(_)) = (&source, client_id) {
            return Err(Trouble::misconfigured(format!(
                "{}: Azure Arc has no user-assigned identities; leave it out",
                names.client_id
            )));
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(PATIENCE)
            .build()
            .map_err(|error| Trouble::misconfigured(format!("the client for managed identities: {error}")))?;
        Ok(Self { names, source, client_id: client_id.map(str::to_owned), http, backoff: Backoff::default() })
    }

    /// A token for a resource, such as `https://graph.microsoft.com`.
    pub(in crate::entra) async fn token(&self, resource: &str) -> Result<Issued, Trouble> {
        self.backoff.pass()?;
        let outcome = self.ask(resource).await;
        self.backoff.note(&outcome);
        outcome
    }

    async fn ask(&self, resource: &str) -> Result<Issued, Trouble> {
        let response = self.send(self.request(resource)).await?;
        let response = match &self.source {
            Source::Arc { keys, .. } if response.status() == StatusCode::UNAUTHORIZED => {
                let key = arc_key(&response, keys, self.names)?;
                let basic = format!("Basic {}", key.expose_secret());
                self.send(self.request(resource).header(AUTHORIZATION, basic)).await?
            }
            _ => response,
        };
        let (status, body) = (response.status(), read(response, self.names).await?);
        if status != StatusCode::OK {
            return Err(self.refused(status, &body));
        }
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| self.later("answers with something that holds no token".to_owned()))?;
        let life = answer.life(Timestamp::now());
        Ok(Issued::of_application(answer.access_token, life))
    }

    fn request(&self, resource: &str) -> RequestBuilder {
        let of_user = self.client_id.as_ref().map(|id| ("client_id", id.as_str()));
        let ask = |endpoint: &Url, version: &str| {
            let mut url = endpoint.clone();
            url.query_pairs_mut()
                .extend_pairs([("api-version", version), ("resource", resource)])
                .extend_pairs(of_user);
            self.http.get(url)
        };
        match &self.source {
            Source::VirtualMachine(endpoint) => ask(endpoint, "2018-02-01").header("Metadata", "true"),
            Source::AppService { endpoint, header } => {
                ask(endpoint, "2019-08-01").header("X-IDENTITY-HEADER", header.expose_secret())
            }
            Source::Arc { endpoint, .. } => ask(endpoint, "2019-11-01").header("Metadata", "true"),
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Trouble> {
        request.send().await.map_err(|error| {
            let remedy = match self.source {
                Source::VirtualMachine(_) => "; is this a virtual machine in Azure that has a managed identity?",
                _ => "",
            };
            self.later(format!("does not answer: {}{remedy}", causes(&error.without_url())))
        })
    }

    /// 404 and 410 come while Azure moves the endpoint; 400 is for good.
    fn refused(&self, status: StatusCode, body: &[u8]) -> Trouble {
        let said = serde_json::from_slice::<serde_json::Value>(body).ok();
        let said = said.as_ref().and_then(|said| said["error_description"].as_str().or(said["message"].as_str()));
        let said: String = said.unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
        let (place, number) = (self.source.place(), status.as_u16());
        match status {
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let Names { what, client_id } = self.names;
                Trouble::misconfigured(format!(
                    "{what}: {place} answers {number} ({said}); give this machine a system-assigned identity, or set \
                     {client_id} to the client id of one that is assigned to it"
                ))
            }
            _ => self.later(format!("answers {number} ({said})")),
        }
    }

    fn later(&self, what: String) -> Trouble {
        Trouble::later(format!("{}: {} {what}", self.names.what, self.source.place()))
    }
}

impl Source {
    fn of(azure: &Azure, is_arc: bool, names: &Names) -> Result<Self, Trouble> {
        let url = |name: &str, text: &str| {
            let url = Url::parse(text).ok().filter(|url| url.scheme() == "http" && url.has_host());
            url.ok_or_else(|| {
                Trouble::misconfigured(format!(
                    "{}: the environment's {name} is no http URL; virtual machines, App Service, Container Apps and \
                     Azure Arc are known here",
                    names.what
                ))
            })
        };
        let arc = |endpoint: Url| Self::Arc { endpoint, keys: ARC_KEYS.into() };
        match (azure.get("IDENTITY_ENDPOINT"), azure.get("IDENTITY_HEADER"), azure.get("IMDS_ENDPOINT")) {
            (Some(endpoint), Some(header), _) => {
                Ok(Self::AppService { endpoint: url("IDENTITY_ENDPOINT", endpoint)?, header: header.into() })
            }
            (Some(endpoint), None, Some(_)) => Ok(arc(url("IDENTITY_ENDPOINT", endpoint)?)),
            (None, ..) if is_arc && azure.get("AZURE_POD_IDENTITY_AUTHORITY_HOST").is_none() => {
                Ok(arc(url("", ARC_ENDPOINT)?))
            }
            _ => {
                let host = azure.get("AZURE_POD_IDENTITY_AUTHORITY_HOST").unwrap_or(IMDS);
                let mut endpoint = url("AZURE_POD_IDENTITY_AUTHORITY_HOST", host)?;
                endpoint.set_path("/metadata/identity/oauth2/token");
                Ok(Self::VirtualMachine(endpoint))
            }
        }
    }

    /// For people.
    fn place(&self) -> String {
        match self {
            Self::VirtualMachine(url) => {
                format!("the virtual machine's endpoint {}", url.origin().ascii_serialization())
            }
            Self::AppService { endpoint, .. } => {
                format!("App Service's endpoint {}", endpoint.origin().ascii_serialization())
            }
            Self::Arc { endpoint, .. } => format!("Azure Arc's endpoint {}", endpoint.origin().ascii_serialization()),
        }
    }
}

/// The key that Azure Arc's agent wants to see, from the file that its challenge names.
fn arc_key(response: &Response, folder: &Path, names: &Names) -> Result<SecretString, Trouble> {
    let wrong = |what: &str| Trouble::misconfigured(format!("{}: Azure Arc's agent {what}", names.what));
    let challenge = response.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
    let path =
        challenge.and_then(|challenge| challenge.strip_prefix("Basic realm=")).map(|path| path.trim_matches('"'));
    let path = Path::new(path.ok_or_else(|| wrong("names no key file"))?);
    let is_there = path.parent() == Some(folder) && path.extension().is_some_and(|extension| extension == "key");
    if !is_there {
        return Err(wrong("names a key file outside of its folder; it is not read"));
    }
    let meta = path.symlink_metadata().map_err(|error| {
        wrong(&format!("names {}: {error}; add this program's user to the group himds", path.display()))
    })?;
    if !meta.is_file() || meta.len() > LONGEST_KEY {
        return Err(wrong("names a key file that is none; it is not read"));
    }
    let key = std::fs::read_to_string(path).map_err(|error| {
        wrong(&format!("names {}: {error}; add this program's user to the group himds", path.display()))
    })?;
    Ok(key.trim().into())
}

async fn read(response: Response, names: &Names) -> Result<Vec<u8>, Trouble> {
    http::body(response, LARGEST).await.map_err(|unread| match unread {
        Unread::Broken(error) => Trouble::later(format!("{}: {}", names.what, causes(&error.without_url()))),
        Unread::TooLarge => Trouble::later(format!("{}: the answer is larger than any token", names.what)),
    })
}

#[cfg(feature = "demo")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::{Application, Cloud};

    const MACHINE: &str = "00000000-0000-4000-8000-0000000000d1";

    /// An agent that names this file, which holds this key.
    async fn arc(folder: &Path, file: &str, key: &str) -> (Cloud, Identity) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cloud = Cloud::start().await.unwrap();
        cloud.add_tenant("contoso.com");
        cloud.add_application(Application::identity(MACHINE, "contoso.com"));
        cloud.assign_identity(MACHINE, true);
        cloud.arc_key(file, key);
        let endpoint = Url::parse(&format!("{}/arc/token", cloud.authority())).unwrap();
        (cloud, Identity::of(Source::Arc { endpoint, keys: folder.to_owned() }, None, &OWN).unwrap())
    }

    #[tokio::test]
    async fn azure_arc_is_shown_the_key_that_its_agent_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("1.key");
        std::fs::write(&file, "the key").unwrap();
        let (_cloud, identity) = arc(folder.path(), file.to_str().unwrap(), "the key").await;
        let life = identity.token("https://vault.azure.net").await.unwrap().life.as_secs();
        assert!((86_390..=86_400).contains(&life), "{life}");
    }

    #[test]
    fn a_token_lasts_as_long_as_the_shorter_of_the_times_that_azure_tells() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        for (expires_in, expires_on, life) in [
            ("\"86400\"", "\"1086400\"", Some(86_400)),
            ("\"86400\"", "\"1003600\"", Some(3600)),
            ("3599", "1086400", Some(3599)),
            ("null", "1003600", Some(3600)),
            ("\"3599\"", "\"11/24/2026 08:00:00 +00:00\"", Some(3599)),
            ("3599", "999999", Some(3599)),
            ("-1", "999999", None),
            ("null", "null", None),
        ] {
            let text = format!(r#"{{"access_token":"x","expires_in":{expires_in},"expires_on":{expires_on}}}"#);
            let answer: Answer = serde_json::from_str(&text).unwrap();
            assert_eq!(answer.life(now), life.map(Duration::from_secs), "{text}");
        }
    }

    #[tokio::test]
    async fn no_other_file_is_read_whatever_the_agent_names() {
        let folder = tempfile::tempdir().unwrap();
        let inside = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(inside("long.key"), "x".repeat(5000)).unwrap();
        std::fs::write(inside("key.txt"), "x").unwrap();
        std::os::unix::fs::symlink("/etc/hostname", inside("link.key")).unwrap();
        for (file, words) in [
            ("/etc/passwd".to_owned(), "outside of its folder"),
            (inside("../1.key"), "outside of its folder"),
            (inside("key.txt"), "outside of its folder"),
            (inside("long.key"), "is not read"),
            (inside("link.key"), "is not read"),
            (inside("none.key"), "himds"),
            (String::new(), "outside of its folder"),
        ] {
            let (_cloud, identity) = arc(folder.path(), &file, "x").await;
            let trouble = identity.token("https://vault.azure.net").await.unwrap_err();
            let text = trouble.to_string();
            assert!(matches!(trouble, Trouble::Misconfigured { .. }) && text.contains(words), "{file}: {text}");
        }
    }

    #[test]
    fn the_environment_says_which_service_is_there() {
        let place = |variables: &[(&str, &str)], is_arc| {
            let environment: Vec<_> = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
            Source::of(&Azure::new(&environment), is_arc, &OWN).map(|source| source.place())
        };
        let endpoint = ("IDENTITY_ENDPOINT", "http://localhost:1/token");
        for (variables, is_arc, expected) in [
            (&[][..], false, "the virtual machine's endpoint http://169.254.169.254"),
            (&[], true, "Azure Arc's endpoint http://localhost:40342"),
            (&[endpoint, ("IDENTITY_HEADER", "x")], false, "App Service's endpoint http://localhost:1"),
            (&[endpoint, ("IMDS_ENDPOINT", "http://localhost:2")], false, "Azure Arc's endpoint http://localhost:1"),
            (
                &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:3")],
                true,
                "the virtual machine's endpoint http://127.0.0.1:3",
            ),
        ] {
            assert_eq!(place(variables, is_arc).unwrap(), expected, "{variables:?}");
        }
        for odd in ["https://fabric:2377/", "nonsense", "file:///x"] {
            assert!(place(&[("IDENTITY_ENDPOINT", odd), ("IDENTITY_HEADER", "x")], false).is_err(), "{odd}");
        }
        let arc = Source::Arc { endpoint: Url::parse("http://localhost/").unwrap(), keys: "/".into() };
        let trouble = Identity::of(arc, Some(MACHINE), &OF_A_VAULT).err().unwrap();
        assert!(trouble.to_string().starts_with("AZURE_CLIENT_ID of the environment: Azure Arc has no"), "{trouble}");
    }
}
