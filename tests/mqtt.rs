//! The connection to the broker, over a real one: what is wanted retained is there, whatever happens.

#![cfg(test)]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use graph2mqtt::mqtt::{Connection, Event, Message, Options, Slot, Subscription, Wanted};
use graph2mqtt::settings;
use support::observer::{PATIENCE, newest};
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
    settings::Mqtt {
        host: broker.host().into(),
        port: broker.port(),
        tls: false,
        username: None,
        password: None,
        base_topic: "t".into(),
        client_id: None,
        keep_alive: Duration::from_secs(5),
        ca_file: None,
        client_certificate_file: None,
        client_key_file: None,
    }
}

fn options(id: &str, filters: &[&str]) -> Options {
    let subscription = |filter: &&str| Subscription { filter: (*filter).to_owned(), qos: 1, no_local: false };
    Options {
        client_id: id.to_owned(),
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
