//! An MQTT broker within the process, for the demo, and for tests where Mosquitto is not installed.
//!
//! Real clients can connect: MQTT 3.1.1 and 5 on one port, no password. It keeps everything in memory.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;

use mqtt5::broker::MqttBroker;
use mqtt5::broker::config::{BrokerConfig, StorageBackend, StorageConfig};
use tokio::sync::oneshot;
use tracing::subscriber::NoSubscriber;

/// More than any demo or test holds; without a word it caps what it takes.
const MANY: usize = 1_000_000;

/// A running broker. It has a thread of its own, so that its work is not the program's, and its log is
/// nobody's: what a demo shows is graph2mqtt's.
pub struct Broker {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The broker cannot be started: the address is taken, mostly.
#[derive(Debug, thiserror::Error)]
#[error("the embedded broker cannot listen on {address}: {why}")]
pub struct BrokerFailed {
    address: SocketAddr,
    why: String,
}

impl Broker {
    /// Listens on `bind`, port 0 for a free one. Returns when clients can connect.
    pub fn start(bind: SocketAddr) -> Result<Self, BrokerFailed> {
        let failed = |why: String| BrokerFailed { address: bind, why };
        let (started, outcome) = mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("broker".to_owned())
            .spawn(move || run(bind, &started, stopped))
            .map_err(|error| failed(error.to_string()))?;
        match outcome.recv() {
            Ok(Ok(address)) => Ok(Self { address, stop: Some(stop), thread: Some(thread) }),
            Ok(Err(why)) => Err(failed(why)),
            Err(_) => Err(failed("it ended at once".to_owned())),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it and all its connections; the port is free again.
    pub fn stop(self) {}
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Where a started broker listens, or why it does not.
type Started = Result<SocketAddr, String>;

fn run(bind: SocketAddr, started: &mpsc::SyncSender<Started>, stopped: oneshot::Receiver<()>) {
    let _silence = tracing::subscriber::set_default(NoSubscriber::default());
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(started.send(Err(error.to_string()))),
    };
    // All its connections are tasks of this runtime, and end with it.
    runtime.block_on(serve(bind, started, stopped));
}

async fn serve(bind: SocketAddr, started: &mpsc::SyncSender<Started>, stopped: oneshot::Receiver<()>) {
    let mut broker = match MqttBroker::with_config(config(bind)).await {
        Ok(broker) => broker,
        Err(error) => return drop(started.send(Err(error.to_string()))),
    };
    drop(started.send(broker.local_addr().ok_or_else(|| "it does not listen".to_owned())));
    // Its own shutdown is lost when it is asked for before `run` listens to it, so `run` is dropped.
    tokio::select! {
        _ = broker.run() => {}
        _ = stopped => {}
    }
}

fn config(bind: SocketAddr) -> BrokerConfig {
    let storage = StorageConfig::new()
        // Without a word it writes to the working folder.
        .with_backend(StorageBackend::Memory)
        .with_persistence(false)
        .with_max_queued_messages_per_client(MANY);
    BrokerConfig::new()
        .with_bind_address(bind)
        .with_storage(storage)
        .with_max_retained_messages(MANY)
        .with_client_channel_capacity(100_000)
        .with_sys_topics_enabled(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_address_is_an_error_that_names_it_and_a_stopped_broker_frees_it() {
        let any = "127.0.0.1:0".parse().unwrap();
        let broker = Broker::start(any).unwrap();
        let address = broker.address();
        assert!(Broker::start(address).err().unwrap().to_string().contains(&address.to_string()));
        broker.stop();
        Broker::start(address).unwrap();
    }
}
