//! A bare client that notes what the broker tells it, for a test to look at.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectProperties, Packet, PublishProperties};
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How long a test waits for what has to come.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// One message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub topic: String,
    pub payload: String,
    pub retained: bool,
    /// MQTT 5's correlation data.
    pub correlation: Option<String>,
    pub at: Instant,
}

/// A client with a QoS 0 subscription (a stock broker drops retained messages beyond 1,000 on QoS 1).
pub struct Observer {
    client: AsyncClient,
    noted: Arc<Noted>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Noted {
    seen: Mutex<Vec<Seen>>,
    changed: Notify,
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Observer {
    /// Subscribes to `filter`; returns when the broker has granted it.
    pub async fn connect(broker: SocketAddr, filter: &str) -> Self {
        Self::connect_as(broker, filter, None).await
    }

    /// As a user with a password.
    pub async fn connect_as(broker: SocketAddr, filter: &str, user: Option<(&str, &str)>) -> Self {
        let id = format!("observer-{}", fastrand::u64(..));
        let mut options = MqttOptions::new(id, broker.ip().to_string(), broker.port());
        let largest = Some(16 * 1024 * 1024);
        options.set_connect_properties(ConnectProperties { max_packet_size: largest, ..ConnectProperties::new() });
        options.set_outgoing_inflight_upper_limit(100);
        if let Some((name, password)) = user {
            options.set_credentials(name, password);
        }
        let mut network = rumqttc::NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        let (client, mut eventloop) = AsyncClient::new(options, 100);
        client.subscribe(filter, QoS::AtMostOnce).await.expect("the channel is open");
        loop {
            match eventloop.poll().await.expect("the observer reaches the broker") {
                Event::Incoming(Packet::SubAck(_)) => break,
                _ => continue,
            }
        }
        let noted = Arc::new(Noted::default());
        let notes = Arc::clone(&noted);
        let task = tokio::spawn(async move {
            while let Ok(event) = eventloop.poll().await {
                if let Event::Incoming(Packet::Publish(publish)) = event {
                    let topic = String::from_utf8_lossy(&publish.topic).into_owned();
                    let payload = String::from_utf8_lossy(&publish.payload).into_owned();
                    let correlation = publish.properties.and_then(|properties| properties.correlation_data);
                    let correlation = correlation.map(|data| String::from_utf8_lossy(&data).into_owned());
                    let seen = Seen { topic, payload, retained: publish.retain, correlation, at: Instant::now() };
                    notes.seen.lock().unwrap().push(seen);
                    notes.changed.notify_waiters();
                }
            }
        });
        Self { client, noted, task }
    }

    /// Publishes as a stranger would.
    pub async fn publish(&self, topic: &str, payload: impl Into<Vec<u8>>, retain: bool) {
        self.client.publish(topic, QoS::AtLeastOnce, retain, payload.into()).await.expect("the observer is connected");
    }

    /// Asks for something, to be answered on this topic with this correlation data.
    pub async fn ask(&self, topic: &str, payload: &str, answer: &str, correlation: &str) {
        let properties = PublishProperties {
            response_topic: Some(answer.to_owned()),
            correlation_data: Some(correlation.to_owned().into()),
            ..PublishProperties::default()
        };
        let asked =
            self.client.publish_with_properties(topic, QoS::AtLeastOnce, false, payload.to_owned(), properties).await;
        asked.expect("the observer is connected");
    }

    /// All that came, in its order.
    pub fn seen(&self) -> Vec<Seen> {
        self.notes().clone()
    }

    /// Forgets what came so far.
    pub fn forget(&self) {
        self.notes().clear();
    }

    /// The newest payload of each topic; a cleared one is empty.
    pub fn newest(&self) -> BTreeMap<String, String> {
        newest(&self.notes())
    }

    /// Waits until a message fits, one that has come already included.
    pub async fn until(&self, what: &str, fits: impl Fn(&Seen) -> bool) -> Seen {
        self.wait(what, |seen| seen.iter().find(|seen| fits(seen)).cloned()).await
    }

    /// Waits until the newest payload of a topic is this one.
    pub async fn until_is(&self, topic: &str, payload: &str) {
        let newest =
            |seen: &[Seen]| seen.iter().rev().find(|seen| seen.topic == topic).map(|seen| seen.payload.clone());
        self.wait(&format!("{topic} = {payload}"), |seen| newest(seen).filter(|newest| newest == payload)).await;
    }

    /// Waits until what came gives an answer; fails with what came after [`PATIENCE`]. The closure looks
    /// at what it is given, not at the observer, which is locked meanwhile ([`newest`] helps).
    pub async fn wait<T>(&self, what: &str, answer: impl Fn(&[Seen]) -> Option<T>) -> T {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let changed = self.noted.changed.notified();
            if let Some(answer) = answer(&self.notes()) {
                return answer;
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                let seen = self.seen();
                let last = &seen[seen.len().saturating_sub(50)..];
                panic!("{what} did not come; of {} messages the last are {last:#?}", seen.len());
            }
        }
    }

    fn notes(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.noted.seen.try_lock().unwrap_or_else(|_| {
            // Held for long only by a test that asks the observer within its own closure: no silent hang.
            let deadline = Instant::now() + PATIENCE;
            loop {
                match self.noted.seen.try_lock() {
                    Ok(notes) => return notes,
                    Err(_) if Instant::now() < deadline => std::thread::yield_now(),
                    Err(_) => panic!("the observer is asked within a closure that it runs"),
                }
            }
        })
    }
}

/// The newest payload of each topic; a cleared one is empty.
pub fn newest(seen: &[Seen]) -> BTreeMap<String, String> {
    seen.iter().map(|seen| (seen.topic.clone(), seen.payload.clone())).collect()
}
