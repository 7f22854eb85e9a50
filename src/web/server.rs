//! The server itself: few connections, one request each, every one bounded in size and time.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::hosts::Hosts;
use super::metrics;
use super::status::{Status, Verdict};

/// Connections at one time; more wait in the system's queue.
const MOST_CONNECTIONS: usize = 32;
/// From the connection to the last byte of the answer.
const LONGEST_EXCHANGE: Duration = Duration::from_secs(5);
/// What an unfinished exchange is given when the process stops.
const GRACE: Duration = Duration::from_millis(500);
/// Bytes of a request's head (hyper takes no less than 8 KiB).
const LARGEST_HEAD: usize = 8 * 1024;
/// After a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

const HEADERS: &[(&str, &str)] = &[
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];

/// The server cannot listen: key, address, cause and remedy in the text.
#[derive(Debug, thiserror::Error)]
#[error("web.listen: cannot listen on {address}: {cause}; {remedy}")]
pub struct Unbound {
    address: SocketAddr,
    cause: io::Error,
    remedy: &'static str,
}

/// Listens on `web.listen`.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Unbound> {
    TcpListener::bind(address).await.map_err(|cause| {
        let remedy = match cause.kind() {
            io::ErrorKind::AddrInUse => {
                "another program listens there, perhaps a second graph2mqtt: stop it, or set web.listen to a free port"
            }
            io::ErrorKind::AddrNotAvailable => "this machine does not have that address: use 127.0.0.1 or 0.0.0.0",
            io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege: use a higher one",
            _ => "set web.listen to another address",
        };
        Unbound { address, cause, remedy }
    })
}

/// Answers until `shutdown` ends. `status` is asked at every request and must not block.
pub async fn serve<S>(listener: TcpListener, hosts: Hosts, shutdown: impl Future<Output = ()>, status: S)
where
    S: Fn() -> Status + Send + Sync + 'static,
{
    let router = router(hosts, Arc::new(status));
    let mut shutdown = pin!(shutdown);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MOST_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(exchange(stream, router.clone()));
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection to the web server could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    let unfinished = async { while connections.join_next().await.is_some() {} };
    // Whoever needs longer is cut off when the set is dropped.
    let _ = tokio::time::timeout(GRACE, unfinished).await;
}

/// One connection: one request, one answer.
async fn exchange(stream: TcpStream, router: Router) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(LONGEST_EXCHANGE, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a request to the web server broke off"),
        Err(_) => tracing::debug!("a request to the web server took too long"),
    }
}

type Source = Arc<dyn Fn() -> Status + Send + Sync>;

fn router(hosts: Hosts, status: Source) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .fallback(async || (StatusCode::NOT_FOUND, "There are /healthz and /metrics.\n"))
        .with_state(status)
        .layer(middleware::from_fn_with_state(Arc::new(hosts), guard))
}

async fn healthz(State(status): State<Source>) -> Response {
    let health = status().health();
    let code = match health.status {
        Verdict::Ok | Verdict::Degraded => StatusCode::OK,
        Verdict::Failing => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(health)).into_response()
}

async fn metrics(State(status): State<Source>) -> Response {
    ([(header::CONTENT_TYPE, metrics::MEDIA_TYPE)], metrics::render(&status())).into_response()
}

/// Lets pass what asks under a name of ours and reads only; every answer gets the strict headers.
async fn guard(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    let mut answer = match host(request.uri(), request.headers()) {
        None => (StatusCode::BAD_REQUEST, "A request names its host, once.\n").into_response(),
        Some(host) if !hosts.allow(host) => (StatusCode::MISDIRECTED_REQUEST, hosts.refusal(host)).into_response(),
        Some(_) if !matches!(*request.method(), Method::GET | Method::HEAD) => {
            (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")], "There is only reading here.\n")
                .into_response()
        }
        Some(_) => next.run(request).await,
    };
    for (name, value) in HEADERS {
        answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    answer
}

/// Whom the client believes to ask: a whole URL in the request line goes before the header (RFC 9112, 3.2.2).
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    if let Some(authority) = uri.authority() {
        return Some(authority.as_str());
    }
    let mut values = headers.get_all(header::HOST).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}
