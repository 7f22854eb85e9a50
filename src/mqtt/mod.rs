//! One connection to the broker: the wanted retained state, reconnects, subscriptions, the will.
//!
//! MQTT 5 by rumqttc. A broker may lose everything: what is wanted retained is published again on
//! every ConnAck. Retained payloads are rendered when they are sent ([`Wanted`]), never kept here.
//!
//! # Layout
//! - [`Connection`]: the handle that roles hold; it only notes what is to be done.
//! - `pending`: what is to be done: changed slots, the full resend behind them, messages.
//! - `driver`: the one task: connects, backs off, logs, forwards events.
//! - `link`: one connection's life, from ConnAck to its end: flow control, acks, refusals.
//! - `subscribing`: what was subscribed, and which messages were given to us out of a group.
//! - `dialect`: the options that rumqttc is given; `tls`: its certificates.
//! - `trouble`: what went wrong, in words for people, and how long to wait.
//! - `requests`: what others ask a role on `<room>/request/<command>`, and the shape of the answers;
//!   `arguments`: the members of such a request.

mod arguments;
mod backoff;
mod connection;
mod dialect;
mod driver;
mod link;
mod pending;
mod requests;
mod slots;
mod subscribing;
mod tls;
mod trouble;

pub use arguments::{Arguments, quoted};
pub use connection::Connection;
pub use requests::{Answer, Refused, Request, Requests, Ticket};

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

/// A client that only looks keeps nothing at the broker.
impl Wanted for () {
    fn slots(&self) -> Slot {
        0
    }

    fn render(&self, _: Slot) -> Option<Message> {
        None
    }
}

/// What the connection needs besides the settings.
pub struct Options {
    /// The full client id.
    pub client_id: String,
    /// Whether another process may come with this client id, and end our connections as we end its: not where the
    /// id is this process's alone.
    pub may_be_taken: bool,
    /// The retained last will; on a clean stop its payload is published before the disconnect. None for
    /// a client that only looks.
    pub will: Option<Message>,
    /// Subscribed on every ConnAck.
    pub subscriptions: Vec<Subscription>,
}

/// One topic filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The topic filter; `$share/<group>/<filter>` shares its messages with the group's other members.
    pub filter: String,
    /// Quality of service, 0 or 1. A stock Mosquitto drops retained messages beyond about 1,000 on one
    /// QoS 1 wildcard; QoS 0 gets them all.
    pub qos: u8,
    /// Whether our own messages are left out (MQTT 5's no local). Not for a shared subscription.
    pub no_local: bool,
}

/// What the connection tells its role.
#[derive(Debug, Clone)]
pub enum Event {
    /// ConnAck, and the broker answered our subscriptions. The whole wanted state is on its way again.
    Connected,
    /// The connection ended or could not be made; it is tried again by itself with back-off. Comes after
    /// every attempt that fails. The text is for people, and is in the log already.
    Disconnected(String),
    /// The broker refused something (rights, size); said once for topics of one kind. The text is for
    /// people, and is in the log already.
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
    /// Whether it came by a shared subscription: of its group, the broker gave it to us. It comes beside
    /// the same message by a plain subscription. Where a broker shares nothing out, every message that was
    /// not retained counts as given.
    pub given: bool,
    /// Where the sender wants an answer besides, where they said so. Unchecked: anybody may have sent it.
    pub reply: Option<Box<Reply>>,
}

/// MQTT 5's response topic and correlation data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The response topic.
    pub topic: String,
    /// To be sent along.
    pub correlation: Option<bytes::Bytes>,
}

/// The connection cannot even be tried: unreadable certificate files.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub String);
