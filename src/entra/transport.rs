//! How requests reach Entra: proven, redirects off, time and size limited, and nothing but JSON comes back.

use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use oauth2::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::Request;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Notify;
use url::{Url, form_urlencoded};

use super::Trouble;
use super::answers::Refusal;
use super::clock::Watch;
use super::credential::{Credential, Proof, Purpose};
use super::http::{self, Unread};

/// An answer with a token has a few thousand bytes.
const LARGEST: usize = 1 << 20;

/// For the whole of a request, its answer's body included.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest Retry-After that is believed.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Carries the requests of one errand, and keeps what of the last answer oauth2 does not hand on.
pub(super) struct Transport<'a> {
    http: &'a reqwest::Client,
    token_endpoint: Url,
    /// How the application proves itself; none for a public client.
    proving: Option<Proving<'a>>,
    /// What Graph asks of the token, beyond scopes.
    claims: Option<&'a str>,
    watch: &'a Watch,
    last: Mutex<Last>,
    /// Rings when the credential could not be shown.
    troubled: Notify,
}

/// What proofs are made of and for.
pub(super) struct Proving<'a> {
    pub credential: &'a Credential,
    pub client_id: &'a str,
    pub clock: fn() -> Timestamp,
}

#[derive(Debug, Default, Clone)]
struct Last {
    refusal: Option<Refusal>,
    retry_after: Option<Duration>,
    /// Whether Entra said that it could not serve the request.
    busy: bool,
    /// What kept the request from being sent at all.
    own_trouble: Option<Trouble>,
    unanswered: Option<NoAnswer>,
    /// The secrets of the proof that was sent.
    shown: Vec<SecretString>,
}

/// No answer that means anything. The text is for people, and continues "Entra …".
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoAnswer(String);

impl<'a> Transport<'a> {
    pub(super) fn new(
        http: &'a reqwest::Client,
        watch: &'a Watch,
        token_endpoint: Url,
        proving: Option<Proving<'a>>,
    ) -> Self {
        Self { http, token_endpoint, proving, claims: None, watch, last: Mutex::default(), troubled: Notify::new() }
    }

    /// With these claims (JSON) in each request.
    pub(super) fn claiming(self, claims: Option<&'a str>) -> Self {
        Self { claims, ..self }
    }

    /// Where tokens are asked for.
    pub(super) fn token_endpoint(&self) -> &Url {
        &self.token_endpoint
    }

    /// The last answer's error body, where it had one.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.last().refusal.clone()
    }

    /// Why the last request was not sent, where the credential cannot be shown.
    pub(super) fn own_trouble(&self) -> Option<Trouble> {
        self.last().own_trouble.clone()
    }

    /// Why the last request brought no answer that means anything, where it was so.
    pub(super) fn unanswered(&self) -> Option<NoAnswer> {
        self.last().unanswered.clone()
    }

    /// Whether the last request surely had no effect and may have one soon: Entra could not serve it, or it was not sent.
    pub(super) fn may_try_again(&self, trouble: &Trouble) -> bool {
        let last = self.last();
        let had_none =
            last.busy || last.own_trouble.is_some() || last.refusal.as_ref().is_some_and(Refusal::had_no_effect);
        had_none && matches!(trouble, Trouble::Retry { .. })
    }

    /// What keeps the application from proving itself and is not mended by waiting, where it is so now.
    pub(super) async fn rehearse(&self) -> Result<(), Trouble> {
        self.try_proof().await.or_else(|trouble| lasting(trouble).map_or(Ok(()), Err))
    }

    /// What keeps the application from proving itself now, also where it passes.
    pub(super) async fn try_proof(&self) -> Result<(), Trouble> {
        match &self.proving {
            Some(proving) => proving.proof(&self.token_endpoint).await.map(drop),
            None => Ok(()),
        }
    }

    /// Ends when a request was not sent for such a trouble. Whoever asks again and again would do so in vain.
    pub(super) async fn stuck(&self) -> Trouble {
        loop {
            self.troubled.notified().await;
            if let Some(trouble) = self.own_trouble().and_then(lasting) {
                return trouble;
            }
        }
    }

    /// The application's secrets that the last request held.
    pub(super) fn shown(&self) -> Vec<SecretString> {
        self.last().shown.clone()
    }

    /// The last answer's Retry-After.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.last().retry_after
    }

    /// What Entra tells everybody.
    pub(super) async fn get(&self, url: &Url) -> Result<Vec<u8>, NoAnswer> {
        self.once(Request::new(Method::GET, url.clone())).await.map(|(_, body)| body)
    }

    /// Once more with a newer credential, where Entra refuses the application and there is one.
    async fn send(&self, url: &Url, mut form: String) -> Result<(StatusCode, Vec<u8>), NoAnswer> {
        *self.last() = Last::default();
        if let Some(claims) = self.claims {
            append(&mut form, [("claims", claims)]);
        }
        let Some(proving) = &self.proving else { return self.once(post(url, form)).await };
        let (proof, request) = self.prove(proving, url, &form).await?;
        let answer = self.once(request).await?;
        let refused = self.refusal().is_some_and(|refusal| refusal.error == "invalid_client");
        if !refused || !proving.credential.renew(&proof).await {
            return Ok(answer);
        }
        let (_, request) = self.prove(proving, url, &form).await?;
        self.once(request).await
    }

    /// The form with what proves the application.
    async fn prove(&self, proving: &Proving<'_>, url: &Url, form: &str) -> Result<(Proof, Request), NoAnswer> {
        let proof = proving.proof(&self.token_endpoint).await;
        let mut last = self.last();
        match proof {
            Ok(proof) => {
                last.shown.extend(proof.secrets().cloned());
                let mut whole = form.to_owned();
                append(&mut whole, proof.fields.iter().map(|(name, value)| (*name, value.expose_secret())));
                Ok((proof, post(url, whole)))
            }
            Err(trouble) => {
                last.own_trouble = Some(trouble);
                self.troubled.notify_one();
                Err(NoAnswer("was not asked".to_owned()))
            }
        }
    }

    async fn once(&self, mut request: Request) -> Result<(StatusCode, Vec<u8>), NoAnswer> {
        *request.timeout_mut() = Some(PATIENCE);
        self.last().refusal = None;
        let response = self.http.execute(request).await.map_err(|error| unreachable(&error))?;
        let status = response.status();
        self.watch.hear(response.headers().get(header::DATE));
        self.last().retry_after = wait(response.headers());
        let body = read(response).await?;
        let refusal = if status == StatusCode::OK { None } else { Refusal::read(&body) };
        self.last().refusal.clone_from(&refusal);
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            // Any other may come from what stands in between, while Entra did what was asked.
            self.last().busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
            return Err(NoAnswer(format!("cannot serve the request now (HTTP {})", status.as_u16())));
        }
        if !is_object(&body) || (status != StatusCode::OK && refusal.is_none()) {
            return Err(not_entra(status));
        }
        Ok((status, body))
    }

    /// Where a request of the crate's goes; mostly to the one place that need not be read again.
    fn url(&self, uri: &Uri) -> Result<Url, NoAnswer> {
        if uri == self.token_endpoint.as_str() {
            return Ok(self.token_endpoint.clone());
        }
        Url::parse(&uri.to_string()).map_err(|_| NoAnswer("has no such page".to_owned()))
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proving<'_> {
    async fn proof(&self, token_endpoint: &Url) -> Result<Proof, Trouble> {
        let purpose = Purpose { client_id: self.client_id, token_endpoint: token_endpoint.as_str() };
        self.credential.prove(purpose, (self.clock)()).await
    }
}

/// What waiting does not mend.
fn lasting(trouble: Trouble) -> Option<Trouble> {
    Some(trouble).filter(|trouble| !matches!(trouble, Trouble::Retry { .. }))
}

fn post(url: &Url, form: String) -> Request {
    let mut request = Request::new(Method::POST, url.clone());
    let headers = request.headers_mut();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    *request.body_mut() = Some(form.into());
    request
}

/// These fields behind the form's own.
fn append<'a>(form: &mut String, more: impl IntoIterator<Item = (&'a str, &'a str)>) {
    form_urlencoded::Serializer::for_suffix(form, 0).extend_pairs(more);
}

impl<'c> AsyncHttpClient<'c> for Transport<'_> {
    type Error = NoAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, NoAnswer>> + Send + 'c>>;

    /// The crate's requests are forms, all of them. The answer's content type is left out: its body was looked at.
    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let url = self.url(request.uri())?;
            let form = String::from_utf8(request.into_body()).map_err(|_| NoAnswer("takes forms alone".to_owned()))?;
            let sent = self.send(&url, form).await;
            self.last().unanswered = sent.as_ref().err().cloned();
            let (status, body) = sent?;
            let mut answer = Response::new(body);
            *answer.status_mut() = status;
            Ok(answer)
        })
    }
}

async fn read(response: reqwest::Response) -> Result<Vec<u8>, NoAnswer> {
    http::body(response, LARGEST).await.map_err(|unread| match unread {
        Unread::Broken(error) => unreachable(&error),
        Unread::TooLarge => NoAnswer(format!("sends more than {} KiB where a token is expected", LARGEST >> 10)),
    })
}

fn is_object(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

fn not_entra(status: StatusCode) -> NoAnswer {
    NoAnswer(format!(
        "answers HTTP {} with something else than JSON; is entra.authority right, or does a proxy or a captive \
         portal answer in its place?",
        status.as_u16()
    ))
}

/// The URL holds no secret and helps.
fn unreachable(error: &reqwest::Error) -> NoAnswer {
    NoAnswer(format!("does not answer: {}", http::causes(error)))
}

/// Retry-After, as far as it is believed.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    Some(http::retry_after(headers, Timestamp::now())?.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_never_much_longer_than_an_hour() {
        let wait = |value: Option<&str>| {
            wait(&value.map(|value| (header::RETRY_AFTER, value.parse().unwrap())).into_iter().collect())
        };
        assert_eq!(wait(Some("41")), Some(Duration::from_secs(41)));
        assert_eq!(wait(Some("99999999999")), Some(LONGEST_WAIT));
        assert_eq!(wait(Some("Wed, 21 Oct 2015 07:28:00 GMT")), Some(Duration::ZERO));
        assert_eq!(wait(Some("Mon, 21 Oct 2115 07:28:00 GMT")), Some(LONGEST_WAIT));
        for odd in [None, Some(""), Some("-5"), Some("soon")] {
            assert_eq!(wait(odd), None, "{odd:?}");
        }
    }
}
