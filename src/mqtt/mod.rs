//! One connection to the broker: the wanted retained state, reconnects, subscriptions, the will.
//!
//! MQTT 5 by rumqttc. A broker may lose everything: what is wanted retained is published again on
//! every ConnAck. Retained payloads are rendered when they are sent ([`Wanted`]), never kept here.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::settings;

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The whole topic.
    pub topic: String,
    /// The payload; empty clears a retained message.
    pub payload: Vec<u8>,
}

/// One place of the wanted retained state. Lower slots are sent first.
pub type Slot = u32;

/// What a role wants retained at the broker. Rendered at the moment of sending, so the newest wins
/// and nothing is kept twice.
pub trait Wanted: Send + Sync {
    /// The slots in use are `0..slots()`; all of them are sent on every ConnAck.
    fn slots(&self) -> Slot;
    /// The message of a slot now; `None`: nothing is wanted there (yet).
    fn render(&self, slot: Slot) -> Option<Message>;
}

/// What the connection needs besides the settings.
pub struct Options {
    /// The full client id.
    pub client_id: String,
    /// The retained last will; on a clean stop its payload is published before the disconnect.
    pub will: Message,
    /// Subscribed again on every ConnAck.
    pub subscriptions: Vec<Subscription>,
}

/// One topic filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The topic filter.
    pub filter: String,
    /// Quality of service, 0 or 1. A stock Mosquitto drops retained messages beyond about 1,000 on one
    /// QoS 1 wildcard; QoS 0 gets them all.
    pub qos: u8,
    /// Whether our own messages are left out (MQTT 5's no local).
    pub no_local: bool,
}

/// What the connection tells its role.
#[derive(Debug, Clone)]
pub enum Event {
    /// ConnAck, and the broker answered our subscriptions. The whole wanted state is on its way again.
    Connected,
    /// The connection ended; it is tried again by itself with back-off. The text is for people.
    Disconnected(String),
    /// The broker refused something for good (rights); said once. The text is for people.
    Refused(String),
    /// A message came.
    Received(Received),
}

/// A message from the broker.
#[derive(Debug, Clone)]
pub struct Received {
    /// The topic.
    pub topic: String,
    /// The payload.
    pub payload: bytes::Bytes,
    /// Whether it was retained, that is, sent because of a subscription.
    pub retained: bool,
}

/// The sending side. Cheap to clone.
#[derive(Clone)]
pub struct Connection {}

impl Connection {
    /// Starts connecting in the background.
    pub fn open(
        _settings: &settings::Mqtt,
        _options: Options,
        _wanted: Arc<dyn Wanted>,
    ) -> Result<(Self, mpsc::Receiver<Event>), Unusable> {
        todo!()
    }
    /// A slot's message changed: send it as soon as possible. Never blocks; changes coalesce.
    pub fn changed(&self, _slot: Slot) {
        todo!()
    }
    /// Everything is sent again (Home Assistant's birth).
    pub fn all_changed(&self) {
        todo!()
    }
    /// Publishes without retention. Dropped while disconnected.
    pub fn publish(&self, _message: Message, _qos: u8) {
        todo!()
    }
    /// Sends what is pending, then the will's payload, waits for its ack (at most `limit`), disconnects.
    pub async fn close(self, _limit: Duration) {
        todo!()
    }
}

/// The connection cannot even be tried: unreadable certificate files.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub String);
