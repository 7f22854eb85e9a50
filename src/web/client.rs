//! Asks a running process for its health.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::status::Health;

/// Far more than a health answer has.
const LARGEST_ANSWER: usize = 64 * 1024;

/// No health came back: where was asked, what happened, what to do.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// No connection.
    #[error(
        "nothing answers on {address} ({cause}): is graph2mqtt running, and is web.listen the same in its configuration?"
    )]
    Nobody {
        /// Where was asked.
        address: SocketAddr,
        /// The system's word.
        cause: std::io::Error,
    },
    /// A connection, and no answer in time.
    #[error("{address} did not answer within {limit:?}: the process hangs or the machine is overloaded; see its log")]
    TooLate {
        /// Where was asked.
        address: SocketAddr,
        /// How long was waited.
        limit: Duration,
    },
    /// An answer that is not graph2mqtt's.
    #[error("what answers on {address} is not graph2mqtt ({cause}): set web.listen to a port of its own")]
    Stranger {
        /// Where was asked.
        address: SocketAddr,
        /// What was odd.
        cause: String,
    },
}

/// `GET /healthz` of the process that listens on `listen`, asked by loopback where that is every address.
pub async fn ask(listen: SocketAddr, limit: Duration) -> Result<Health, Unanswered> {
    let address = SocketAddr::new(reachable(listen.ip()), listen.port());
    match tokio::time::timeout(limit, exchange(address)).await {
        Ok(answer) => answer,
        Err(_) => Err(Unanswered::TooLate { address, limit }),
    }
}

async fn exchange(address: SocketAddr) -> Result<Health, Unanswered> {
    let stream = TcpStream::connect(address).await.map_err(|cause| Unanswered::Nobody { address, cause })?;
    let stranger = |cause: String| Unanswered::Stranger { address, cause };
    let body = get(stream, address).await.map_err(|cause| stranger(cause.to_string()))?;
    let bytes = to_bytes(body, LARGEST_ANSWER).await.map_err(|cause| stranger(cause.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|_| stranger("its answer is not a health report".to_owned()))
}

async fn get(stream: TcpStream, address: SocketAddr) -> Result<Body, hyper::Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the connection, which ends with the caller's time limit at the latest.
    tokio::spawn(connection);
    let request = Request::get("/healthz")
        .header(header::HOST, address.to_string())
        .body(Body::empty())
        .expect("a constant path and an address make a request");
    Ok(Body::new(sender.send_request(request).await?.into_body()))
}

fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}
