//! The server itself: few connections, one request each, every one bounded in size and time.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::site::Site;
use super::source::Peer;

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

/// The server cannot listen: key, address, cause and remedy in the text.
#[derive(Debug, thiserror::Error)]
#[error("{key}: cannot listen on {address}: {cause}; {remedy}")]
pub struct Unbound {
    key: &'static str,
    address: SocketAddr,
    cause: io::Error,
    remedy: &'static str,
}

/// Listens on an address; `key` is where the configuration names it.
pub async fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, Unbound> {
    TcpListener::bind(address).await.map_err(|cause| {
        let remedy = match cause.kind() {
            io::ErrorKind::AddrInUse => {
                "another program listens there, perhaps a second graph2mqtt: stop it, or set another port"
            }
            io::ErrorKind::AddrNotAvailable => "this machine does not have that address: use 127.0.0.1 or 0.0.0.0",
            io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege: use a higher one",
            _ => "set another address",
        };
        Unbound { key, address, cause, remedy }
    })
}

/// Serves the site until `shutdown` ends.
pub async fn serve(listener: TcpListener, site: Site, shutdown: impl Future<Output = ()>) {
    let router = site.into_router();
    let mut shutdown = pin!(shutdown);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MOST_CONNECTIONS => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(exchange(stream, peer, router.clone()));
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
async fn exchange(stream: TcpStream, peer: SocketAddr, router: Router) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer.ip()));
        router.call(request)
    });
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
