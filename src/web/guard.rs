//! What every request passes before it is answered: under which name it asks, what it wants to do, and
//! the strict headers of every answer.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::hosts::Hosts;

/// An answer may set its own policy of content and of referrers; the rest is the same for all.
const HEADERS: &[(&str, &str)] = &[
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];

/// What a listener lets through.
pub(super) struct Guard {
    pub hosts: Hosts,
    /// The path that a reverse proxy may have left in front; empty where there is none.
    pub path: String,
    /// What may be posted to, a segment each; `*` is any one.
    pub posts: Vec<&'static [&'static str]>,
}

impl Guard {
    fn takes_post(&self, path: &str) -> bool {
        let inner = path.strip_prefix(&self.path).filter(|inner| inner.starts_with('/')).unwrap_or(path);
        let segments: Vec<&str> = inner.split('/').skip(1).collect();
        let fits = |wanted: &&[&str]| {
            wanted.len() == segments.len() && wanted.iter().zip(&segments).all(|(want, is)| *want == "*" || want == is)
        };
        self.posts.iter().any(fits)
    }
}

/// Lets pass what asks under a name of ours, and reads only, but for the forms; every answer gets the strict headers.
pub(super) async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let may_post = request.method() == Method::POST && guard.takes_post(request.uri().path());
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let mut answer = match host(request.uri(), request.headers()) {
        None => (StatusCode::BAD_REQUEST, "A request names its host, once.\n").into_response(),
        Some(host) if !guard.hosts.allow(host) => {
            (StatusCode::MISDIRECTED_REQUEST, guard.hosts.refusal(host)).into_response()
        }
        Some(_) if !reads && !may_post => {
            (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")], "There is only reading here.\n")
                .into_response()
        }
        Some(_) => next.run(request).await,
    };
    for (name, value) in HEADERS {
        answer.headers_mut().entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    answer
}

/// Whom the client believes to ask: a whole URL in the request line goes before the header (RFC 9112, 3.2.2).
pub(super) fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    if let Some(authority) = uri.authority() {
        return Some(authority.as_str());
    }
    let mut values = headers.get_all(header::HOST).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}
