//! A way to the broker that gives back slowly.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is let through at once, in bytes, and how often.
const PIECE: usize = 1_024;
const OFTEN: Duration = Duration::from_millis(100);

/// Listens in front of a broker.
pub struct Slow {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Slow {
    /// For so long after a connection was made, what the broker says comes 10 kB a second.
    pub async fn start(broker: SocketAddr, time: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, TcpStream::connect(broker).await.unwrap(), time));
            }
        });
        Self { address, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn forward(client: TcpStream, broker: TcpStream, time: Duration) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_broker, mut to_broker) = broker.into_split();
    let up = tokio::spawn(async move { copy(&mut from_client, &mut to_broker).await });
    let end = tokio::time::Instant::now() + time;
    let mut piece = [0; PIECE];
    while tokio::time::Instant::now() < end {
        let Ok(length @ 1..) = from_broker.read(&mut piece).await else { break };
        if to_client.write_all(&piece[..length]).await.is_err() {
            break;
        }
        tokio::time::sleep(OFTEN).await;
    }
    let _ = copy(&mut from_broker, &mut to_client).await;
    up.abort();
}
