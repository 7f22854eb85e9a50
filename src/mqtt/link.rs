//! One connection's life after its ConnAck: what is handed to rumqttc when, what the acks say.
//!
//! rumqttc gets one request at a time and says when it is on the wire; only then the next is chosen, and
//! rendered. All of it happens in one task, so that costs nothing, and a change is behind one message at
//! most. A packet id is used again only when its last ack has come, so ids never collide.

use std::time::Duration;

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::v5::{ConnAck, Packet, PubAck, Publish, PublishProperties, SubAck};
use rumqttc::v5::{AsyncClient, ClientError, Event as Polled};
use tokio::time::Instant;

use super::pending::{Next, Once, Pending, Stop};
use super::slots::Slots;
use super::subscribing::Subscribing;
use super::trouble::{Answer, Place, Refusals};
use super::{Event, Message, Received, Reply, Slot, Subscription, Wanted, dialect};

/// A message that the broker refused for a time (a quota) is sent again after this.
const REFUSED_FOR_A_TIME: Duration = Duration::from_secs(30);
/// What a PUBLISH needs besides topic and payload, in bytes, at most.
const FRAME: usize = 16;
/// MQTT's limit on a topic, in bytes.
const LONGEST_TOPIC: usize = 65_535;

/// What the broker takes, by its ConnAck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Messages that may wait for their ack.
    in_flight: u16,
    /// Bytes a packet.
    largest: usize,
    /// Whether it takes QoS 1.
    acks: bool,
    /// Whether it keeps retained messages.
    retains: bool,
    /// Whether it shares messages out.
    shares: bool,
}

/// What was sent.
#[derive(Debug)]
enum Sent {
    Slot(Slot),
    /// By its topic.
    Message(String),
    Subscribe,
    Will,
    Disconnect,
}

/// How far the goodbye is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goodbye {
    NotYet,
    WillSent,
    WillAcked,
}

pub(super) struct Link<'a> {
    client: AsyncClient,
    limits: Limits,
    pending: &'a Pending,
    wanted: &'a dyn Wanted,
    will: Option<&'a Message>,
    subscriptions: Subscribing<'a>,
    /// What rumqttc was given and has not put on the wire yet.
    handed: Option<Sent>,
    /// What waits for its ack, by packet id; the first place is never used.
    unacked: Vec<Option<Sent>>,
    in_flight: u16,
    last_id: u16,
    refused: Slots,
    refused_until: Option<Instant>,
    goodbye: Goodbye,
    events: Vec<Event>,
}

impl Limits {
    pub(super) fn of(ack: &ConnAck) -> Self {
        let properties = ack.properties.as_ref();
        let receive_max = properties.and_then(|given| given.receive_max).unwrap_or(u16::MAX);
        Self {
            in_flight: receive_max.clamp(1, dialect::IN_FLIGHT),
            largest: properties.and_then(|given| given.max_packet_size).map_or(usize::MAX, |size| size as usize),
            acks: properties.and_then(|given| given.max_qos) != Some(0),
            retains: properties.and_then(|given| given.retain_available) != Some(0),
            shares: Subscribing::can_share(ack),
        }
    }
}

impl<'a> Link<'a> {
    pub(super) fn new(
        client: AsyncClient,
        limits: Limits,
        pending: &'a Pending,
        wanted: &'a dyn Wanted,
        will: Option<&'a Message>,
        subscriptions: &'a [Subscription],
    ) -> Self {
        let subscriptions = Subscribing::new(subscriptions, limits.shares);
        let events = if subscriptions.is_done() { vec![Event::Connected] } else { vec![] };
        Self {
            client,
            limits,
            pending,
            wanted,
            will,
            subscriptions,
            handed: None,
            unacked: (0..=limits.in_flight).map(|_| None).collect(),
            in_flight: 0,
            last_id: 0,
            refused: Slots::default(),
            refused_until: None,
            goodbye: Goodbye::NotYet,
            events,
        }
    }

    /// What the role is to be told.
    pub(super) fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// When [`Self::fill`] is to be called though nothing happens.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        match self.pending.stopping() {
            Some(Stop::Goodbye { flush_until, until }) => {
                Some(if Instant::now() < flush_until { flush_until } else { until })
            }
            _ => self.refused_until,
        }
    }

    /// Whether the goodbye took too long.
    pub(super) fn out_of_time(&self) -> bool {
        matches!(self.pending.stopping(), Some(Stop::Goodbye { until, .. }) if Instant::now() >= until)
    }

    /// Hands the next request to rumqttc, if there is one and if the broker can take it.
    pub(super) fn fill(&mut self, place: &Place, refusals: &mut Refusals) {
        self.retry();
        while self.handed.is_none() && self.has_room() {
            if self.subscriptions.is_due() {
                self.subscribe();
            } else if !self.fill_goodbye() {
                match self.pending.next() {
                    Some(next) => self.send_next(next, place, refusals),
                    None => return,
                }
            } else {
                return;
            }
        }
    }

    /// rumqttc takes nothing while the window is full; the next packet id has to be free.
    fn has_room(&self) -> bool {
        let next = if self.last_id >= self.limits.in_flight { 1 } else { self.last_id + 1 };
        self.in_flight < self.limits.in_flight && self.unacked[usize::from(next)].is_none()
    }

    fn retry(&mut self) {
        if self.refused_until.is_some_and(|until| Instant::now() >= until) {
            self.refused_until = None;
            while let Some(slot) = self.refused.pop() {
                self.pending.retry(slot);
            }
        }
        if self.pending.take_all_changed() {
            self.pending.resend(self.wanted.slots());
        }
    }

    fn subscribe(&mut self) {
        let request = self.subscriptions.next();
        let handed = match request.properties {
            Some(properties) => self.client.try_subscribe_many_with_properties(request.filters, properties),
            None => self.client.try_subscribe_many(request.filters),
        };
        self.hand(Sent::Subscribe, handed);
    }

    /// The steps of the goodbye, once it is asked for and nothing is pending or its time is up. Returns
    /// whether nothing else may be sent.
    fn fill_goodbye(&mut self) -> bool {
        let Some(Stop::Goodbye { flush_until, .. }) = self.pending.stopping() else { return false };
        match self.goodbye {
            Goodbye::NotYet if self.pending.is_empty() || Instant::now() >= flush_until => match self.will {
                Some(will) => {
                    self.goodbye = Goodbye::WillSent;
                    self.publish(Sent::Will, Once { retain: true, ..Once::new(will.clone(), 1) });
                    true
                }
                None => {
                    self.goodbye = Goodbye::WillAcked;
                    self.fill_goodbye()
                }
            },
            Goodbye::NotYet => false,
            Goodbye::WillSent => true,
            Goodbye::WillAcked => {
                let handed = self.client.try_disconnect();
                self.hand(Sent::Disconnect, handed);
                true
            }
        }
    }

    fn send_next(&mut self, next: Next, place: &Place, refusals: &mut Refusals) {
        let (sent, once) = match next {
            Next::Once(once) => (Sent::Message(once.message.topic.clone()), once),
            Next::Slot(slot) => match self.wanted.render(slot) {
                Some(message) => (Sent::Slot(slot), Once { retain: true, ..Once::new(message, 1) }),
                None => return,
            },
        };
        match self.unfit(&once) {
            Some(answer) => self.events.extend(refusals.publish(&once.message.topic, answer, place)),
            None => self.publish(sent, once),
        }
    }

    /// Why a message would end the connection, were it sent.
    fn unfit(&self, once: &Once) -> Option<Answer> {
        let Once { message, correlation, retain, .. } = once;
        let extra = correlation.as_ref().map_or(0, |data| data.len() + FRAME);
        let size = message.topic.len() + message.payload.len() + FRAME + extra;
        if message.topic.is_empty() || message.topic.len() > LONGEST_TOPIC || message.topic.contains(['+', '#', '\0']) {
            Some(Answer::BadTopic)
        } else if size > self.limits.largest {
            Some(Answer::TooLarge { size, largest: self.limits.largest })
        } else if *retain && !self.limits.retains {
            Some(Answer::NotRetained)
        } else {
            None
        }
    }

    fn publish(&mut self, sent: Sent, once: Once) {
        let Once { message, qos, correlation, retain } = once;
        let qos = dialect::qos(if self.limits.acks { qos } else { 0 });
        let handed = match correlation {
            None => self.client.try_publish(message.topic, qos, retain, message.payload),
            Some(data) => {
                let properties = PublishProperties { correlation_data: Some(data), ..PublishProperties::default() };
                self.client.try_publish_with_properties(message.topic, qos, retain, message.payload, properties)
            }
        };
        self.hand(sent, handed);
    }

    fn hand(&mut self, sent: Sent, handed: Result<(), ClientError>) {
        match handed {
            Ok(()) => self.handed = Some(sent),
            // Its channel is empty, and topics are checked: this would be an error in the program.
            Err(error) => tracing::error!(?sent, "rumqttc did not take a request: {error}"),
        }
    }

    /// Takes what rumqttc's loop reports.
    pub(super) fn take(&mut self, polled: Polled, place: &Place, refusals: &mut Refusals) {
        match polled {
            Polled::Outgoing(Outgoing::Publish(id)) => self.on_wire(id),
            Polled::Outgoing(Outgoing::Subscribe(id)) => {
                self.last_id = id;
                self.handed = None;
            }
            Polled::Incoming(Packet::PubAck(ack)) => self.acked(&ack, place, refusals),
            Polled::Incoming(Packet::SubAck(ack)) => self.subscribed(&ack, place, refusals),
            Polled::Incoming(Packet::Publish(publish)) => {
                let received = self.received(publish);
                self.events.extend(received);
            }
            _ => {}
        }
    }

    fn on_wire(&mut self, id: u16) {
        let sent = self.handed.take();
        if id == 0 {
            if matches!(sent, Some(Sent::Will)) {
                self.goodbye = Goodbye::WillAcked;
            }
            return;
        }
        self.last_id = id;
        self.in_flight += 1;
        self.unacked[usize::from(id)] = sent;
    }

    fn acked(&mut self, ack: &PubAck, place: &Place, refusals: &mut Refusals) {
        let Some(sent) = self.unacked.get_mut(usize::from(ack.pkid)).and_then(Option::take) else { return };
        self.in_flight -= 1;
        if matches!(sent, Sent::Will) {
            self.goodbye = Goodbye::WillAcked;
        }
        let Some(answer) = Answer::of_publish(ack.reason) else { return };
        let topic = match sent {
            Sent::Slot(slot) => {
                if answer.passes() {
                    self.refused.insert(slot);
                    self.refused_until.get_or_insert(Instant::now() + REFUSED_FOR_A_TIME);
                }
                self.wanted.render(slot).map(|message| message.topic)
            }
            Sent::Message(topic) => Some(topic),
            Sent::Will => self.will.map(|will| will.topic.clone()),
            Sent::Subscribe | Sent::Disconnect => None,
        };
        self.events.extend(topic.and_then(|topic| refusals.publish(&topic, answer, place)));
    }

    fn subscribed(&mut self, ack: &SubAck, place: &Place, refusals: &mut Refusals) {
        for (filter, answer) in self.subscriptions.answered(ack) {
            self.events.extend(refusals.subscribe(filter, answer, place));
        }
        if self.subscriptions.is_done() {
            self.events.push(Event::Connected);
        }
    }

    fn received(&self, publish: Publish) -> Option<Event> {
        let given = self.subscriptions.was_given(&publish);
        let Ok(topic) = String::from_utf8(publish.topic.into()) else {
            tracing::debug!("a message was dropped: its topic is not UTF-8");
            return None;
        };
        let reply = publish.properties.and_then(|properties| {
            Some(Box::new(Reply { topic: properties.response_topic?, correlation: properties.correlation_data }))
        });
        Some(Event::Received(Received { topic, payload: publish.payload, retained: publish.retain, given, reply }))
    }
}
