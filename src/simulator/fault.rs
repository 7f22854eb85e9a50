//! Faults that a test asks for: what goes wrong on real networks and servers.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};

use super::server::Conn;

/// How long the first half of a cut body has to leave before the connection ends.
const HALF_SENT: Duration = Duration::from_millis(20);

/// The most that a stand-in answers, and thus the most that is cut in half.
const LARGEST: usize = 16 << 20;

/// Something that goes wrong for some requests.
#[derive(Debug, Clone)]
pub struct Fault {
    /// A part of the method, a blank and the path, such as `/me/presence` or `PUT /clip/v2/resource/light`;
    /// empty: every request.
    route: String,
    /// How often yet; without it until the faults are cleared.
    times: Option<u32>,
    what: What,
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum What {
    /// This answer instead of the true one; the request has no effect.
    Answer {
        /// HTTP status.
        status: u16,
        /// Names and values.
        headers: Vec<(String, String)>,
        /// As it stands.
        body: String,
    },
    /// No answer, ever; the request has no effect.
    Hang,
    /// The true answer, this much later.
    Slow(Duration),
    /// The connection ends without an answer; the request has no effect.
    Cut,
    /// The request has its effect, and then the connection ends without an answer.
    Lost,
    /// The request has its effect, and the connection ends in the middle of the answer's body.
    CutBody,
    /// A page for people, with status 200, as captive portals and proxies send it.
    Html,
    /// A body that never ends.
    Endless,
    /// Status 200 and a body that claims to be JSON.
    Garbage,
}

impl What {
    /// An answer with a JSON body and no headers of its own.
    pub fn status(status: u16, body: impl Into<String>) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self::Answer { status, headers, body: body.into() }
    }

    /// An answer that says when to come again, with an empty body.
    pub fn retry_after(status: u16, seconds: u64) -> Self {
        Self::Answer { status, headers: vec![("retry-after".to_owned(), seconds.to_string())], body: String::new() }
    }
}

impl Fault {
    /// For every request whose method, blank and path contain `route`, until the faults are cleared.
    pub fn new(route: impl Into<String>, what: What) -> Self {
        Self { route: route.into(), times: None, what }
    }

    /// Only so many times.
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }
}

/// The faults of one stand-in. The newest that fits counts.
#[derive(Default)]
pub(super) struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    pub(super) fn add(&self, fault: Fault) {
        self.lock().push(fault);
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// What goes wrong for this request, which counts as one time.
    pub(super) fn take(&self, method: &str, path: &str) -> Option<What> {
        let mut faults = self.lock();
        if faults.is_empty() {
            return None;
        }
        let route = format!("{method} {path}");
        let at = faults.iter().rposition(|fault| route.contains(&fault.route))?;
        let what = faults[at].what.clone();
        if let Some(times) = &mut faults[at].times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                faults.remove(at);
            }
        }
        Some(what)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl What {
    /// Answers the request as this fault does.
    pub(super) async fn happen(self, request: Request, next: Next, conn: &Conn) -> Response {
        match self {
            Self::Answer { status, headers, body } => answer(status, &headers, body),
            Self::Hang => std::future::pending().await,
            Self::Slow(time) => {
                tokio::time::sleep(time).await;
                next.run(request).await
            }
            Self::Cut => cut(conn),
            Self::Lost => {
                next.run(request).await;
                cut(conn)
            }
            Self::CutBody => cut_in_the_middle(next.run(request).await).await,
            Self::Html => {
                let page = "<!DOCTYPE html><html><head><title>Sign in to Wi-Fi</title></head><body><h1>Welcome</h1></body></html>";
                ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
            }
            Self::Endless => endless(),
            Self::Garbage => {
                ([(header::CONTENT_TYPE, "application/json")], "{\"value\":[{\"id\":\u{1},]]").into_response()
            }
        }
    }
}

fn answer(status: u16, headers: &[(String, String)], body: String) -> Response {
    let named = headers.iter().filter_map(|(name, value)| {
        Some((HeaderName::try_from(name.as_str()).ok()?, HeaderValue::try_from(value.as_str()).ok()?))
    });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, named.collect::<HeaderMap>(), body).into_response()
}

/// The answer never leaves: the connection refuses to be written to.
fn cut(conn: &Conn) -> Response {
    conn.cut();
    Response::default()
}

async fn cut_in_the_middle(whole: Response) -> Response {
    let (mut parts, body) = whole.into_parts();
    let body = to_bytes(body, LARGEST).await.unwrap_or_default();
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len().max(1)));
    let half = body.slice(..body.len() / 2);
    let then_cut = stream::once(async {
        tokio::time::sleep(HALF_SENT).await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted))
    });
    Response::from_parts(parts, Body::from_stream(stream::iter([Ok(half)]).chain(then_cut)))
}

fn endless() -> Response {
    let blanks = Bytes::from(vec![b' '; 8 << 10]);
    let body = Body::from_stream(stream::repeat(blanks).map(Ok::<_, Infallible>));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
