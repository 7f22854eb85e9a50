//! The calls themselves: turn, token, request, answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret;
use serde::Serialize;
use url::Url;

use super::challenge::claims;
use super::limit::Turnstile;
use super::trouble::{Asked, Question, Refusal, Trouble};
use super::{BATCH, answer};
use crate::entra::http::{self, Unread};
use crate::entra::{AccessToken, Principal, Tokens};
use crate::presence::{ObjectId, Reading};
use crate::settings;

/// The largest answer read: 650 presences with long notes are under half of it.
const LARGEST_ANSWER: usize = 2 << 20;

/// The largest error answer read.
const LARGEST_ERROR: usize = 64 << 10;

/// The bounds of how long one call may take. Within them it is twice the active interval: an answer
/// that takes longer is worth less than the next question.
const TIME_LIMIT: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));

/// How much longer a batch may take than a single call.
const BATCH_FACTOR: u32 = 2;

/// The client. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    endpoint: Url,
    http: reqwest::Client,
    tokens: Tokens,
    time_limit: Duration,
    turnstiles: Mutex<HashMap<Box<str>, Arc<Turnstile>>>,
    made: AtomicU64,
    throttled: AtomicU64,
}

/// How many calls were made since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// Requests sent to Graph.
    pub made: u64,
    /// Those that Graph answered with 429.
    pub throttled: u64,
}

/// An answer that is not a success, read as far as it is of use.
struct Refused {
    status: StatusCode,
    headers: reqwest::header::HeaderMap,
    body: Vec<u8>,
}

impl Client {
    /// `http` is used for Graph alone (redirects off).
    pub fn new(graph: &settings::Graph, http: reqwest::Client, tokens: Tokens) -> Self {
        let inner = Inner {
            endpoint: graph.endpoint.clone(),
            http,
            tokens,
            time_limit: (graph.active * 2).clamp(TIME_LIMIT.0, TIME_LIMIT.1),
            turnstiles: Mutex::default(),
            made: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// `GET /me/presence` as a person who signed in; `tenant` is the unit of Graph's limit.
    pub async fn mine(&self, who: &Principal, tenant: &str) -> Result<Reading, Trouble> {
        let request = self.request(Method::GET, &["me", "presence"]);
        let body = self.ask(Question::Mine, who, tenant, request).await?;
        answer::one(&body).map_err(|_| Trouble::passing("Graph's answer to /me/presence is not a presence".into()))
    }

    /// `POST /communications/getPresencesByUserId`, at most [`BATCH`] ids. People that Graph leaves out are left out.
    pub async fn presences(&self, who: &Principal, tenant: &str, ids: &[ObjectId]) -> Result<Vec<Reading>, Trouble> {
        let request = self
            .request(Method::POST, &["communications", "getPresencesByUserId"])
            .header(CONTENT_TYPE, "application/json")
            .timeout(self.inner.time_limit * BATCH_FACTOR)
            .body(asked(&ids[..ids.len().min(BATCH)]));
        let body = self.ask(Question::Presences, who, tenant, request).await?;
        answer::many(&body)
            .map_err(|_| Trouble::passing("Graph's answer to getPresencesByUserId is not a list of presences".into()))
    }

    /// `GET /users/{name}?$select=id`: needs User.ReadBasic.All.
    pub async fn user_id(&self, who: &Principal, tenant: &str, name: &str) -> Result<ObjectId, Trouble> {
        let request = self.request(Method::GET, &["users", name]).query(&[("$select", "id")]);
        let body = self.ask(Question::UserId(name), who, tenant, request).await?;
        answer::user_id(&body).ok_or_else(|| Trouble::passing(format!("Graph's answer about user {name:?} has no id")))
    }

    /// How many calls were made since the start.
    pub fn calls(&self) -> Calls {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Calls { made: read(&self.inner.made), throttled: read(&self.inner.throttled) }
    }

    /// How many calls the busiest tenant made since this was last asked.
    pub fn take_busiest(&self) -> u64 {
        let turnstiles = self.inner.turnstiles.lock().unwrap_or_else(PoisonError::into_inner);
        turnstiles.values().map(|turnstile| turnstile.take_passed()).max().unwrap_or(0)
    }

    pub(super) fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.inner.endpoint.clone();
        url.path_segments_mut().expect("an http URL has a path").pop_if_empty().extend(path);
        self.inner.http.request(method, url).timeout(self.inner.time_limit)
    }

    /// Sends a request; after a 401 once more with a new token.
    pub(super) async fn ask(
        &self,
        question: Question<'_>,
        who: &Principal,
        tenant: &str,
        request: RequestBuilder,
    ) -> Result<Vec<u8>, Trouble> {
        let turnstile = self.turnstile(tenant);
        let again = request.try_clone();
        let token = self.inner.tokens.access(who).await?;
        let mut answer = self.send(&turnstile, request, &token).await?;
        if let (Err(Refused { status: StatusCode::UNAUTHORIZED, headers, .. }), Some(again)) = (&answer, again) {
            let claims = claims(headers);
            tracing::debug!(?who, asks_for_claims = claims.is_some(), "Graph refused the token; getting another one");
            let token = self.inner.tokens.renew(who, &token, claims.as_deref()).await?;
            answer = self.send(&turnstile, again, &token).await?;
        }
        answer.map_err(|refused| self.trouble(question, who, &turnstile, &refused))
    }

    async fn send(
        &self,
        turnstile: &Turnstile,
        request: RequestBuilder,
        token: &AccessToken,
    ) -> Result<Result<Vec<u8>, Refused>, Trouble> {
        turnstile.pass().await;
        self.inner.made.fetch_add(1, Ordering::Relaxed);
        let response = request.bearer_auth(token.secret.expose_secret()).send().await.map_err(no_answer)?;
        let status = response.status();
        self.inner.tokens.hear_time(response.headers());
        if status.is_success() {
            turnstile.answered();
            return read(response, LARGEST_ANSWER).await.map(Ok);
        }
        let headers = response.headers().clone();
        let body = read(response, LARGEST_ERROR).await.unwrap_or_default();
        Ok(Err(Refused { status, headers, body }))
    }

    fn trouble(&self, question: Question<'_>, who: &Principal, turnstile: &Turnstile, refused: &Refused) -> Trouble {
        let Refused { status, headers, body } = refused;
        let mut after = http::retry_after(headers, Timestamp::now());
        if *status == StatusCode::TOO_MANY_REQUESTS {
            self.inner.throttled.fetch_add(1, Ordering::Relaxed);
            after = Some(turnstile.refused(after));
        }
        let after = after.map(|after| after.min(super::limit::LONGEST_RETRY_AFTER));
        let tenant = match who {
            Principal::Application(tenant) => tenant,
            Principal::Account(_) => "",
        };
        let tokens = &self.inner.tokens;
        let asked = Asked { way_in: tokens.way_in(), own: &tokens.own_right(tenant) };
        Refusal { status: *status, headers, body }.trouble(question, who, &asked, after)
    }

    /// Two names of one tenant, such as its domain and its id, share its limit from now on. Calls that wait
    /// for their turn already keep it.
    pub fn same_tenant(&self, one: &str, other: &str) {
        let turnstile = self.turnstile(one);
        let mut turnstiles = self.inner.turnstiles.lock().unwrap_or_else(PoisonError::into_inner);
        turnstiles.insert(other.into(), turnstile);
    }

    /// One for each tenant; the application is the same for all of them.
    fn turnstile(&self, tenant: &str) -> Arc<Turnstile> {
        let mut turnstiles = self.inner.turnstiles.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turnstile) = turnstiles.get(tenant) {
            return turnstile.clone();
        }
        turnstiles.entry(tenant.into()).or_insert_with(|| Arc::new(Turnstile::new())).clone()
    }
}

/// `{"ids": […]}`. Ids need no escaping, and there are hundreds: this takes a third of serde_json's time.
fn asked(ids: &[ObjectId]) -> Vec<u8> {
    let mut body = b"{\"ids\":[".to_vec();
    body.reserve(ids.len() * 39 + 2);
    for (at, id) in ids.iter().enumerate() {
        body.extend_from_slice(if at == 0 { b"\"" } else { b",\"" });
        id.write_to(&mut body);
        body.push(b'"');
    }
    body.extend_from_slice(b"]}");
    body
}

async fn read(response: Response, most: usize) -> Result<Vec<u8>, Trouble> {
    http::body(response, most).await.map_err(|unread| match unread {
        Unread::Broken(error) => no_answer(error),
        Unread::TooLarge => Trouble::passing(format!("Graph's answer is larger than {most} bytes")),
    })
}

/// The URL holds no secret, but a user's name may be in it: the cause alone is told.
fn no_answer(error: reqwest::Error) -> Trouble {
    Trouble::passing(format!("Graph did not answer: {}", http::causes(&error.without_url())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_asked_for_as_json() {
        let ids: Vec<ObjectId> =
            (1..=3).map(|n| format!("00000000-0000-4000-8000-00000000000{n}").parse().unwrap()).collect();
        for ids in [&ids[..0], &ids[..1], &ids[..]] {
            let asked: serde_json::Value = serde_json::from_slice(&asked(ids)).unwrap();
            assert_eq!(asked, serde_json::json!({ "ids": ids }));
        }
    }
}
