//! How a connection ends, and what the broker's retained state says afterwards.

use rumqttc::v5::mqttbytes::v5::{Disconnect, DisconnectProperties, DisconnectReasonCode, Packet};

use super::*;

#[tokio::test]
async fn a_clean_close_sends_what_is_pending_then_offline_and_no_will_follows() {
    let broker = Broker::start();
    let board = Board::of(300, "old");
    let (connection, mut events) = open(&broker, Arc::clone(&board));
    connected(&mut events).await;
    board.set(299, "at the very end");
    connection.changed(299);
    connection.close(Duration::from_secs(5)).await;
    let observer = Observer::connect(broker.address(), "t/#").await;
    observer.until_is("t/299", "at the very end").await;
    observer.until_is("t/state", "offline").await;
    assert_eq!(observer.newest().len(), 301, "all that was pending is there");
}

#[tokio::test]
async fn a_crash_lets_the_broker_publish_the_will() {
    let broker = Broker::start();
    let observer = Observer::connect(broker.address(), "t/state").await;
    let (connection, mut events) = open(&broker, Board::of(1, "x"));
    connected(&mut events).await;
    drop(connection);
    observer.until_is("t/state", "offline").await;
}

#[tokio::test]
async fn a_broker_that_gives_no_ack_does_not_hold_up_a_close() {
    let broker = Broker::start();
    let (connection, mut events) = open(&broker, Board::of(1, "x"));
    connected(&mut events).await;
    broker.freeze();
    let start = std::time::Instant::now();
    connection.close(Duration::from_millis(500)).await;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    broker.thaw();
    let observer = Observer::connect(broker.address(), "t/state").await;
    observer.until_is("t/state", "offline").await;
}

#[tokio::test]
async fn closing_while_there_is_no_broker_is_quick() {
    let mut broker = Broker::start();
    broker.kill();
    let (connection, mut events) = open(&broker, Board::of(1, "x"));
    assert!(disconnected(&mut events).await.contains("refused"));
    let start = std::time::Instant::now();
    connection.close(Duration::from_secs(5)).await;
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_frozen_broker_is_noticed_by_its_silence_and_found_again() {
    let Some(broker) = Broker::builder().start_mosquitto() else { return };
    let (_connection, mut events) = open(&broker, Board::of(1, "x"));
    connected(&mut events).await;
    broker.freeze();
    let text = disconnected(&mut events).await;
    assert!(text.contains("ping") && text.contains("mqtt.keep_alive"), "{text}");
    broker.thaw();
    connected(&mut events).await;
}

/// Mosquitto 2.0 closes the older connection without a reason; others say that it is taken over.
#[tokio::test]
async fn two_processes_with_one_client_id_say_so_and_soon_stop_to_fight() {
    let broker = Broker::start();
    let (_first, mut first) = open(&broker, Board::of(1, "x"));
    connected(&mut first).await;
    let (_second, _keep) = open(&broker, Board::of(1, "x"));
    let mut times = 0;
    while let Ok(text) = tokio::time::timeout(Duration::from_secs(5), disconnected(&mut first)).await {
        assert!(text.contains("another process") && text.contains("under-test"), "{text}");
        times += 1;
    }
    assert!((1..=3).contains(&times), "taken over {times} times");
}

#[tokio::test]
async fn a_broker_that_says_taken_over_is_left_alone_for_long() {
    let port = fake::broker(|packet| match packet {
        // rumqttc reads no DISCONNECT whose properties are left out.
        Packet::Publish(_) => vec![Packet::Disconnect(Disconnect {
            reason_code: DisconnectReasonCode::SessionTakenOver,
            properties: Some(DisconnectProperties {
                session_expiry_interval: None,
                reason_string: Some("taken over".to_owned()),
                user_properties: vec![],
                server_reference: None,
            }),
        })],
        _ => vec![],
    })
    .await;
    let board = Board::of(1, "x");
    let (_connection, mut events) = Connection::open(&settings_for(port), options("under-test", &[]), board).unwrap();
    let text = disconnected(&mut events).await;
    assert!(text.contains("another process has connected") && text.contains("mqtt.client_id"), "{text}");
    let again = tokio::time::timeout(Duration::from_secs(3), events.recv()).await;
    assert!(again.is_err(), "it came back at once: {again:?}");
}

#[tokio::test]
async fn a_broker_that_shuts_down_is_called_by_its_name() {
    let mut broker = Broker::start();
    let (_connection, mut events) = open(&broker, Board::of(1, "x"));
    connected(&mut events).await;
    broker.stop();
    let text = disconnected(&mut events).await;
    assert!(text.contains(&format!("mqtt://127.0.0.1:{}", broker.port())) && text.contains("ended"), "{text}");
}
