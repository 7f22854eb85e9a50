//! The https client of one hub: no proxy, no redirect, no plain http, bounded in time and size.
//!
//! The application key is sent over connections whose certificate was taken, and over no other:
//! it is in requests, and a request is written after the handshake.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode, redirect};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::certificate::{Known, Taken, Verifier};
use crate::lights::Trouble;
use crate::presence::Name;
use crate::settings;
use crate::store::Store;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);
/// An event stream is open for as long as it lives.
const ENDLESS: Duration = Duration::from_secs(365 * 24 * 3600);
/// Below the hubs' own limit, so that a connection is rarely closed under a command.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// A Bridge Pro with 150 lights and 500 scenes stays below.
const LARGEST_ANSWER: usize = 16 << 20;
/// What a Retry-After can ask for at most.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// An answer that came whole.
pub(super) struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    pub body: Vec<u8>,
}

/// A connected hub.
pub(super) struct Client {
    hub: Name,
    base: String,
    key: HeaderValue,
    http: reqwest::Client,
    verifier: Arc<Verifier>,
}

impl Client {
    /// Prepares the client; where the hub's certificate is to be taken at first contact, this is it.
    pub async fn connect(hub: &Name, settings: &settings::Hub, store: &Store) -> Result<Self, Trouble> {
        let key = settings.key.as_ref().ok_or_else(|| stop(hub, "no application key is set: set hubs.{}.key"))?;
        let mut key = HeaderValue::from_str(key.expose_secret().trim())
            .map_err(|_| stop(hub, "hubs.{}.key holds characters that no application key has"))?;
        key.set_sensitive(true);
        let kept = match (&settings.certificate_sha256, &settings.id) {
            (None, Some(id)) => store.hub_pin(id).await.map_err(|error| busy(hub, None, &error.to_string()))?,
            _ => None,
        };
        let first_contact = settings.certificate_sha256.is_none() && kept.is_none();
        let known = Known { id: settings.id.clone(), configured: settings.certificate_sha256, kept };
        let verifier = Verifier::new(hub.as_str(), known);
        let http = http(&verifier).map_err(|error| busy(hub, None, &cause(&error)))?;
        let client = Self { hub: hub.clone(), base: format!("https://{}", settings.host), key, http, verifier };
        if let (true, Some(id)) = (first_contact, &settings.id) {
            client.meet(id, store).await?;
        }
        Ok(client)
    }

    /// First contact: a question that needs no key, then the certificate is kept before the key is sent.
    async fn meet(&self, id: &str, store: &Store) -> Result<(), Trouble> {
        let answer = self.exchange(self.http.get(format!("{}/api/config", self.base))).await;
        if let Some(Ok(Taken::First(pin))) = self.verifier.take_last() {
            self.verifier.keep(pin);
            store.set_hub_pin(id, pin).await.map_err(|error| busy(&self.hub, None, &error.to_string()))?;
            tracing::info!(hub = %self.hub, id, "took the hub's certificate at the first contact; from now on it is held to");
        }
        answer.map(drop)
    }

    /// One request with the application key. Answers of any status are answers.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Trouble> {
        let request = self.http.request(method, format!("{}{path}", self.base));
        let request = request.header("hue-application-key", self.key.clone());
        self.exchange(if let Some(body) = body { request.json(body) } else { request }).await
    }

    /// A stream of events; an answer of another status is an answer.
    pub async fn stream(
        &self,
        path: &str,
        last_id: Option<&str>,
    ) -> Result<Result<reqwest::Response, Answer>, Trouble> {
        let mut request = self.http.get(format!("{}{path}", self.base));
        request = request.header("hue-application-key", self.key.clone()).header(ACCEPT, "text/event-stream");
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        // The answer's head is waited for as usual; its body has no end.
        let response = tokio::time::timeout(ANSWER_TIMEOUT, request.timeout(ENDLESS).send()).await;
        let response = response.map_err(|_| self.late())?.map_err(|error| self.failed(error))?;
        if response.status() == StatusCode::OK { Ok(Ok(response)) } else { self.whole(response).await.map(Err) }
    }

    async fn exchange(&self, request: reqwest::RequestBuilder) -> Result<Answer, Trouble> {
        let response = request.send().await.map_err(|error| self.failed(error))?;
        self.whole(response).await
    }

    /// An answer with its body. An event stream's status alone counts where the body does not end.
    async fn whole(&self, mut response: reqwest::Response) -> Result<Answer, Trouble> {
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(seconds);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(busy(&self.hub, None, "the answer has no end: this is no Hue hub"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, retry_after, body })
    }

    fn failed(&self, error: reqwest::Error) -> Trouble {
        let refused = if error.is_connect() { self.verifier.take_last() } else { None };
        match refused {
            Some(Err(refused)) => busy(&self.hub, None, &refused.to_string()),
            _ => {
                if error.is_timeout() {
                    return self.late();
                }
                self.unreachable(&format!("cannot be talked to ({})", cause(&error)))
            }
        }
    }
}

impl Client {
    fn late(&self) -> Trouble {
        self.unreachable("does not answer in time")
    }

    fn unreachable(&self, what: &str) -> Trouble {
        let (base, hub) = (&self.base, &self.hub);
        busy(hub, None, &format!("{base} {what}: is the hub on, and hubs.{hub}.host right?"))
    }
}

fn http(verifier: &Arc<Verifier>) -> reqwest::Result<reqwest::Client> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    tls.resumption = rustls::client::Resumption::in_memory_sessions(4);
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .http1_only()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(3)
        .build()
}

/// Retry-After in seconds; a date is not used by hubs and is passed over.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    let seconds = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// The hub cannot be used now.
pub(super) fn busy(hub: &Name, after: Option<Duration>, what: &str) -> Trouble {
    Trouble::Hub { after, reason: format!("hub {hub}: {what}") }
}

/// Nothing helps but another configuration; `{}` in `what` is the hub's name.
fn stop(hub: &Name, what: &str) -> Trouble {
    Trouble::Stop { reason: format!("hub {hub}: {}", what.replace("{}", hub.as_str())) }
}

/// What an error comes from, for people: the layers above it say nothing more.
fn cause(mut error: &dyn Error) -> String {
    while let Some(below) = error.source() {
        error = below;
    }
    error.to_string()
}
