//! How requests reach Entra: redirects off, time and size limited, and nothing but JSON comes back.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use oauth2::http::{Response, StatusCode, header};
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};

use super::answers::Refusal;

/// An answer with a token has a few thousand bytes.
const LARGEST: usize = 1 << 20;

/// For the whole of a request, its answer's body included.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest Retry-After that is believed.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Carries the requests of one errand, and keeps what of the last answer oauth2 does not hand on.
pub(super) struct Transport<'a> {
    http: &'a reqwest::Client,
    last: Mutex<Last>,
}

#[derive(Debug, Default, Clone)]
struct Last {
    refusal: Option<Refusal>,
    retry_after: Option<Duration>,
}

/// No answer that means anything. The text is for people, and continues "Entra …".
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoAnswer(String);

impl<'a> Transport<'a> {
    pub(super) fn new(http: &'a reqwest::Client) -> Self {
        Self { http, last: Mutex::default() }
    }

    /// The last answer's error body, where it had one.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).refusal.clone()
    }

    /// The last answer's Retry-After.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).retry_after
    }

    /// The answer's content type is left out: its body was looked at.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, NoAnswer> {
        let mut request = reqwest::Request::try_from(request).map_err(|error| unreachable(&error))?;
        *request.timeout_mut() = Some(PATIENCE);
        self.remember(Last::default());
        let response = self.http.execute(request).await.map_err(|error| unreachable(&error))?;
        let status = response.status();
        let retry_after = wait(response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()));
        self.remember(Last { refusal: None, retry_after });
        let body = read(response).await?;
        let refusal = if status == StatusCode::OK { None } else { Refusal::read(&body) };
        self.remember(Last { refusal: refusal.clone(), retry_after });
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            return Err(NoAnswer(format!("cannot serve the request now (HTTP {})", status.as_u16())));
        }
        if !is_object(&body) || (status != StatusCode::OK && refusal.is_none()) {
            return Err(not_entra(status));
        }
        let mut answer = Response::new(body);
        *answer.status_mut() = status;
        Ok(answer)
    }

    fn remember(&self, last: Last) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }
}

impl<'c> AsyncHttpClient<'c> for Transport<'_> {
    type Error = NoAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, NoAnswer>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, NoAnswer> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
        if body.len() + chunk.len() > LARGEST {
            return Err(NoAnswer(format!("sends more than {} KiB where a token is expected", LARGEST >> 10)));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
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

/// The causes that reqwest found, from the outermost to the first; the URL holds no secret and helps.
fn unreachable(error: &reqwest::Error) -> NoAnswer {
    let mut text = format!("does not answer: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    NoAnswer(text)
}

/// Retry-After as seconds or as a date.
fn wait(value: Option<&str>) -> Option<Duration> {
    let value = value?.trim();
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
            Duration::try_from(date.duration_since(jiff::Timestamp::now())).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_never_much_longer_than_an_hour() {
        assert_eq!(wait(Some("41")), Some(Duration::from_secs(41)));
        assert_eq!(wait(Some("99999999999")), Some(LONGEST_WAIT));
        assert_eq!(wait(Some("Wed, 21 Oct 2015 07:28:00 GMT")), Some(Duration::ZERO));
        assert_eq!(wait(Some("Mon, 21 Oct 2115 07:28:00 GMT")), Some(LONGEST_WAIT));
        for odd in [None, Some(""), Some("-5"), Some("soon")] {
            assert_eq!(wait(odd), None, "{odd:?}");
        }
    }
}
