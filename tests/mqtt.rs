//! The connection to the broker, over a real one: what is wanted retained is there, whatever happens.

#![cfg(test)]

mod support;

#[path = "mqtt/endings.rs"]
mod endings;
#[path = "mqtt/fake.rs"]
mod fake;
#[path = "mqtt/refusals.rs"]
mod refusals;
#[cfg(feature = "demo")]
#[path = "mqtt/tls.rs"]
mod tls;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use graph2mqtt::mqtt::{Connection, Event, Message, Options, Slot, Subscription, Wanted};
use graph2mqtt::settings;
use support::observer::{PATIENCE, Seen, newest};
use support::{Broker, Observer};
use tokio::sync::mpsc::Receiver;

/// What a test wants retained: `t/<slot>`, with a payload that it can change.
#[derive(Default)]
struct Board(Mutex<BTreeMap<Slot, String>>);

impl Board {
    fn of(slots: Slot, payload: &str) -> Arc<Self> {
        Arc::new(Self(Mutex::new((0..slots).map(|slot| (slot, payload.to_owned())).collect())))
    }

    fn set(&self, slot: Slot, payload: &str) {
        self.0.lock().unwrap().insert(slot, payload.to_owned());
    }
}

impl Wanted for Board {
    fn slots(&self) -> Slot {
        self.0.lock().unwrap().last_key_value().map_or(0, |(slot, _)| slot + 1)
    }

    fn render(&self, slot: Slot) -> Option<Message> {
        let payload = self.0.lock().unwrap().get(&slot)?.clone().into_bytes();
        Some(Message { topic: format!("t/{slot}"), payload })
    }
}

fn settings(broker: &Broker) -> settings::Mqtt {
    settings_for(broker.port())
}

fn settings_for(port: u16) -> settings::Mqtt {
    settings::Mqtt {
        host: "127.0.0.1".into(),
        port,
        tls: false,
        username: None,
        password: None,
        base_topic: "t".into(),
        client_id: None,
        keep_alive: Duration::from_secs(5),
        ca_file: None,
        client_certificate_file: None,
        client_key_file: None,
        requests: settings::Requests::Safe,
    }
}

fn options(id: &str, filters: &[&str]) -> Options {
    let subscription = |filter: &&str| Subscription { filter: (*filter).to_owned(), qos: 1, no_local: false };
    Options {
        client_id: id.to_owned(),
        may_be_taken: true,
        will: Some(Message { topic: "t/state".into(), payload: b"offline".to_vec() }),
        subscriptions: filters.iter().map(subscription).collect(),
    }
}

fn open(broker: &Broker, wanted: Arc<Board>) -> (Connection, Receiver<Event>) {
    Connection::open(&settings(broker), options("under-test", &[]), wanted).unwrap()
}

/// Waits for an event that gives an answer, passing over the others.
async fn event<T>(events: &mut Receiver<Event>, what: &str, answer: impl Fn(Event) -> Option<T>) -> T {
    let wait = async {
        loop {
            let event = events.recv().await.expect("the connection lives");
            if let Some(answer) = answer(event) {
                return answer;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what} did not come"))
}

async fn connected(events: &mut Receiver<Event>) {
    event(events, "Connected", |event| matches!(event, Event::Connected).then_some(())).await;
}

async fn disconnected(events: &mut Receiver<Event>) -> String {
    event(events, "Disconnected", |event| match event {
        Event::Disconnected(text) => Some(text),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn what_is_wanted_is_retained_and_a_change_replaces_it() {
    let broker = Broker::start();
    let board = Board::of(3, "old");
    let (connection, mut events) = open(&broker, Arc::clone(&board));
    connected(&mut events).await;
    let observer = Observer::connect(broker.address(), "t/#").await;
    for slot in 0..3 {
        observer.until_is(&format!("t/{slot}"), "old").await;
    }
    board.set(1, "new");
    connection.changed(1);
    observer.until_is("t/1", "new").await;
    let late = Observer::connect(broker.address(), "t/1").await;
    assert!(late.until("the retained one", |seen| seen.payload == "new").await.retained);
}

#[tokio::test]
async fn a_broker_that_lost_everything_gets_everything_back() {
    let mut broker = Broker::start();
    let board = Board::of(500, "kept");
    let (_connection, mut events) = open(&broker, Arc::clone(&board));
    connected(&mut events).await;
    broker.kill();
    assert!(disconnected(&mut events).await.contains(&broker.port().to_string()));
    board.set(7, "changed while away");
    broker.restart();
    connected(&mut events).await;
    let observer = Observer::connect(broker.address(), "t/+").await;
    observer.wait("all of it", |seen| (newest(seen).len() == 500).then_some(())).await;
    observer.until_is("t/7", "changed while away").await;
}

#[tokio::test]
async fn ten_thousand_slots_all_arrive_lowest_first_and_a_change_overtakes_them() {
    const SLOTS: Slot = 10_000;
    let broker = Broker::start();
    let observer = Observer::connect(broker.address(), "t/+").await;
    let board = Board::of(SLOTS, "old");
    let (connection, mut events) = open(&broker, Arc::clone(&board));
    connected(&mut events).await;
    observer.until("the first ones", |seen| seen.topic == "t/100").await;
    board.set(SLOTS - 1, "new");
    connection.changed(SLOTS - 1);
    let count = |seen: &[Seen]| (seen.len() >= SLOTS as usize).then(|| seen.to_vec());
    let seen = observer.wait("all of them", count).await;
    assert_eq!(newest(&seen).len(), SLOTS as usize, "none is lost, none is sent twice");
    let at = seen.iter().position(|seen| seen.payload == "new").unwrap();
    assert!(at < SLOTS as usize - 1, "the change waited for the whole resend");
    let rest = seen.iter().filter(|seen| seen.payload == "old").map(|seen| seen.topic.clone());
    assert_eq!(rest.collect::<Vec<_>>(), (0..SLOTS - 1).map(|slot| format!("t/{slot}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn everything_is_sent_again_when_asked_for() {
    let broker = Broker::start();
    let (connection, mut events) = open(&broker, Board::of(20, "x"));
    connected(&mut events).await;
    let observer = Observer::connect(broker.address(), "t/+").await;
    observer.wait("the retained ones", |seen| (seen.len() >= 20).then_some(())).await;
    observer.forget();
    connection.all_changed();
    let again = observer.wait("all of it again", |seen| (seen.len() >= 20).then(|| seen.to_vec())).await;
    assert!(again.iter().all(|seen| !seen.retained));
}

#[tokio::test]
async fn retained_messages_come_before_a_marker_that_is_published_once_connected() {
    let broker = Broker::start();
    let stranger = Observer::connect(broker.address(), "none").await;
    for number in 0..300 {
        stranger.publish(&format!("own/{number}"), "kept", true).await;
    }
    stranger.publish("own/last", "kept", true).await;
    let watcher = Observer::connect(broker.address(), "own/last").await;
    watcher.until_is("own/last", "kept").await;
    let mut options = options("under-test", &["own/#", "marker"]);
    options.subscriptions[0].qos = 0;
    let (connection, mut events) = Connection::open(&settings(&broker), options, Board::of(0, "")).unwrap();
    let mut retained = 0;
    let read = async {
        loop {
            match events.recv().await.unwrap() {
                Event::Connected => connection.publish(Message { topic: "marker".into(), payload: vec![] }, 0),
                Event::Received(received) if received.topic == "marker" => return retained,
                Event::Received(received) => retained += usize::from(received.retained),
                _ => {}
            }
        }
    };
    assert_eq!(tokio::time::timeout(PATIENCE, read).await.unwrap(), 301);
}

#[tokio::test]
async fn a_large_message_goes_both_ways_and_one_beyond_our_limit_is_left_to_the_broker() {
    let broker = Broker::start();
    let board = Board::of(1, &"x".repeat(1 << 20));
    let (_connection, mut events) =
        Connection::open(&settings(&broker), options("under-test", &["in/+"]), board).unwrap();
    connected(&mut events).await;
    let observer = Observer::connect(broker.address(), "t/0").await;
    observer.until("a megabyte", |seen| seen.payload.len() == 1 << 20).await;
    observer.publish("in/giant", vec![b'g'; 5 << 20], true).await;
    observer.publish("in/large", vec![b'l'; 1 << 20], true).await;
    let large = event(&mut events, "the large one", |event| match event {
        Event::Received(received) => Some(received),
        Event::Disconnected(text) => panic!("{text}"),
        _ => None,
    })
    .await;
    assert_eq!((large.topic.as_str(), large.payload.len()), ("in/large", 1 << 20));
}

#[tokio::test]
async fn a_role_that_takes_no_events_can_still_close() {
    let broker = Broker::start();
    let stranger = Observer::connect(broker.address(), "t/state").await;
    let (connection, mut events) =
        Connection::open(&settings(&broker), options("under-test", &["flood/#"]), Board::of(1, "x")).unwrap();
    connected(&mut events).await;
    for number in 0..2_000 {
        stranger.publish(&format!("flood/{number}"), "x", false).await;
    }
    tokio::time::timeout(PATIENCE, connection.close(Duration::from_secs(2))).await.expect("it closes");
    stranger.until_is("t/state", "offline").await;
}
