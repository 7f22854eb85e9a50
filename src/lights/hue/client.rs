//! The client of one hub: no proxy, no redirect, https unless the configuration says otherwise, bounded in
//! time and size.
//!
//! The application key is sent over connections whose certificate was taken, and over no other: it is in
//! requests, and a request is written after the handshake. No text of an error holds a URL, since CLIP v1
//! has the key in it.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{ACCEPT, HeaderValue, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::certificate::{Contact, Known, Pin, Refused, Taken, Verifier};
use crate::lights::Trouble;
use crate::lights::body::{self, Unread};
use crate::settings;

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
/// What stands for the application key in paths of CLIP v1.
pub(super) const KEY: &str = ":key";

/// An answer that came whole.
pub(super) struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    pub body: Vec<u8>,
}

/// Where a hub is, and what it is called in texts.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The hub's name in the configuration, or its address where it has none.
    pub hub: String,
    /// Host, perhaps with a port.
    pub host: String,
    pub is_plain: bool,
}

/// A hub that can be talked to.
pub(super) struct Client {
    place: Place,
    base: String,
    http: reqwest::Client,
    verifier: Arc<Verifier>,
}

/// A client, and the key that it says.
pub(super) struct Session {
    pub client: Client,
    key: SecretString,
    header: HeaderValue,
}

impl Client {
    /// Connects nowhere yet.
    pub fn new(place: Place, known: Known) -> Result<Self, Trouble> {
        let verifier = Verifier::new(&place.hub, known);
        let http = http(&verifier, place.is_plain).map_err(|error| busy(&place.hub, None, &cause(&error)))?;
        let base = format!("{}://{}", if place.is_plain { "http" } else { "https" }, place.host);
        Ok(Self { place, base, http, verifier })
    }

    /// The client with a key to say.
    pub fn with_key(self, key: SecretString) -> Result<Session, Trouble> {
        let odd = || stop(&self.place.hub, "hubs.{}.key holds characters that no application key has");
        let text = key.expose_secret().trim();
        let is_plain = !text.is_empty() && settings::is_application_key(text);
        let mut header = HeaderValue::from_str(text).ok().filter(|_| is_plain).ok_or_else(odd)?;
        header.set_sensitive(true);
        let key = SecretString::from(text.to_owned());
        Ok(Session { client: self, key, header })
    }

    /// Where the hub is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// How the hub's certificate was judged when it was last shown; forgotten by asking.
    pub fn judged(&self) -> Option<Result<Taken, Refused>> {
        self.verifier.take_last()
    }

    /// What judges its certificates, and knows how the last request went.
    pub fn verifier(&self) -> &Arc<Verifier> {
        &self.verifier
    }

    /// From now on this certificate and no other, unless Signify vouches for the id.
    pub fn hold_to(&self, pin: Pin) {
        self.verifier.keep(pin);
    }

    /// A question without a key. Answers of any status are answers.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Trouble> {
        let request = self.http.request(method, format!("{}{path}", self.base));
        self.exchange(if let Some(body) = body { request.json(body) } else { request }).await
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<Answer, Trouble> {
        let response = request.send().await.map_err(|error| self.failed(error))?;
        self.verifier.went(Contact::Answered);
        self.whole(response).await
    }

    async fn whole(&self, response: reqwest::Response) -> Result<Answer, Trouble> {
        let status = response.status();
        if status.is_redirection() {
            return Err(self.sent_on(status));
        }
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| wait(value, Timestamp::now()));
        let body = body::read(response, LARGEST_ANSWER).await.map_err(|unread| match unread {
            Unread::Broken(error) => self.failed(error),
            Unread::TooLarge => busy(&self.place.hub, None, "the answer has no end: this is no Hue hub"),
        })?;
        Ok(Answer { status, retry_after, body })
    }

    fn failed(&self, error: reqwest::Error) -> Trouble {
        let refused = if error.is_connect() { self.verifier.take_last() } else { None };
        self.verifier.went(match &refused {
            Some(Err(refused)) => Contact::Refused(refused.against),
            _ => Contact::Unanswered,
        });
        match refused {
            Some(Err(refused)) => busy(&self.place.hub, None, &refused.to_string()),
            _ if error.is_timeout() => self.late(),
            _ => self.unreachable(&format!("cannot be talked to ({})", cause(&error.without_url()))),
        }
    }

    /// A redirect is not followed: a PUT or POST would become a GET, and the key would go along.
    fn sent_on(&self, status: StatusCode) -> Trouble {
        let Place { hub, host, is_plain } = &self.place;
        let what = match is_plain {
            true => format!(
                "http://{host} sends on to another address ({status}), as the Hue Bridge Pro does, which speaks https \
                 alone: remove hubs.{hub}.api, so that https is spoken"
            ),
            false => format!(
                "https://{host} sends on to another address ({status}), as no Hue hub does: is hubs.{hub}.host right?"
            ),
        };
        busy(hub, None, &what)
    }

    fn late(&self) -> Trouble {
        self.verifier.went(Contact::Unanswered);
        self.unreachable("does not answer in time")
    }

    fn unreachable(&self, what: &str) -> Trouble {
        let (base, hub) = (&self.base, &self.place.hub);
        busy(hub, None, &format!("{base} {what}: is the hub on, and hubs.{hub}.host right?"))
    }
}

impl Session {
    /// One request with the application key. Answers of any status are answers.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Trouble> {
        let request = self.request(method, path);
        self.client.exchange(if let Some(body) = body { request.json(body) } else { request }).await
    }

    /// A stream of events; an answer of another status is an answer.
    pub async fn stream(
        &self,
        path: &str,
        last_id: Option<&str>,
    ) -> Result<Result<reqwest::Response, Answer>, Trouble> {
        let mut request = self.request(Method::GET, path).header(ACCEPT, "text/event-stream");
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        // The answer's head is waited for as usual; its body has no end.
        let response = tokio::time::timeout(ANSWER_TIMEOUT, request.timeout(ENDLESS).send()).await;
        let response = response.map_err(|_| self.client.late())?.map_err(|error| self.client.failed(error))?;
        self.client.verifier.went(Contact::Answered);
        if response.status() == StatusCode::OK {
            return Ok(Ok(response));
        }
        let whole = tokio::time::timeout(ANSWER_TIMEOUT, self.client.whole(response)).await;
        whole.map_err(|_| self.client.late())?.map(Err)
    }

    /// Whether it says this key.
    pub fn says(&self, key: &str) -> bool {
        self.key.expose_secret() == key
    }

    /// The key, to be remembered as refused.
    pub fn key(&self) -> &SecretString {
        &self.key
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        match path.split_once(KEY) {
            Some((before, behind)) => {
                let key = self.key.expose_secret();
                self.client.http.request(method, format!("{}{before}{key}{behind}", self.client.base))
            }
            None => {
                let request = self.client.http.request(method, format!("{}{path}", self.client.base));
                request.header("hue-application-key", self.header.clone())
            }
        }
    }
}

fn http(verifier: &Arc<Verifier>, is_plain: bool) -> reqwest::Result<reqwest::Client> {
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
        .https_only(!is_plain)
        .http1_only()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(3)
        .build()
}

/// Retry-After in seconds, or as a date by this machine's clock.
fn wait(value: &HeaderValue, now: Timestamp) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = DateTimeParser::new().parse_timestamp(text).ok()?;
            date.duration_since(now).try_into().unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

/// The hub cannot be used now.
pub(super) fn busy(hub: &str, after: Option<Duration>, what: &str) -> Trouble {
    Trouble::Hub { after, reason: format!("hub {hub}: {what}") }
}

/// Nothing helps but a person; `{}` in `what` is the hub's name.
pub(super) fn stop(hub: &str, what: &str) -> Trouble {
    Trouble::Stop { reason: format!("hub {hub}: {}", what.replace("{}", hub)) }
}

/// What an error comes from, for people: the layers above it say nothing more.
fn cause(mut error: &dyn Error) -> String {
    while let Some(below) = error.source() {
        error = below;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_comes_as_seconds_or_as_a_date_and_is_believed_within_reason() {
        let now = "2026-11-24T08:00:00Z".parse().unwrap();
        let cases = [
            ("7", Some(7)),
            ("Tue, 24 Nov 2026 08:00:09 GMT", Some(9)),
            ("Tue, 24 Nov 2026 07:00:00 GMT", Some(0)),
            ("Tue, 24 Nov 2099 07:00:00 GMT", Some(LONGEST_WAIT.as_secs())),
            ("soon", None),
        ];
        for (text, expected) in cases {
            let waited = wait(&HeaderValue::from_static(text), now);
            assert_eq!(waited.map(|wait| wait.as_secs()), expected, "{text}");
        }
    }
}
