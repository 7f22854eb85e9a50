//! What a broker refuses is said once, with its topic and a remedy; nothing of it ends in a loop.

use rumqttc::v5::mqttbytes::v5::{Packet, PubAck, PubAckReason, SubAck, SubscribeReasonCode};
use secrecy::SecretString;

use super::*;

async fn refused(events: &mut Receiver<Event>) -> String {
    event(events, "Refused", |event| match event {
        Event::Refused(text) => Some(text),
        Event::Disconnected(text) => panic!("{text}"),
        _ => None,
    })
    .await
}

fn as_user(broker: &Broker, password: &str) -> settings::Mqtt {
    let password = Some(SecretString::from(password.to_owned()));
    settings::Mqtt { username: Some("teams".into()), password, ..settings(broker) }
}

#[tokio::test]
async fn a_wrong_password_is_named_without_being_told() {
    let Some(broker) = Broker::builder().user("teams", "right").start_mosquitto() else { return };
    let wrong = as_user(&broker, "hunter2-wrong");
    let (_connection, mut events) = Connection::open(&wrong, options("under-test", &[]), Board::of(1, "x")).unwrap();
    let text = disconnected(&mut events).await;
    assert!(text.contains("\"teams\"") && text.contains("mqtt.password") && !text.contains("hunter2"), "{text}");
    let right = as_user(&broker, "right");
    let (_connection, mut events) = Connection::open(&right, options("under-test", &[]), Board::of(1, "x")).unwrap();
    connected(&mut events).await;
}

#[tokio::test]
async fn a_message_that_may_not_be_published_is_refused_once_a_kind() {
    let acl = "user teams\ntopic readwrite t/0\ntopic readwrite t/state\ntopic read #\n";
    let Some(broker) = Broker::builder().user("teams", "right").acl(acl).start_mosquitto() else { return };
    let user = as_user(&broker, "right");
    let (connection, mut events) = Connection::open(&user, options("under-test", &[]), Board::of(3, "x")).unwrap();
    let text = refused(&mut events).await;
    assert!(text.contains("publish t/1") && text.contains("not authorized") && text.contains("\"teams\""), "{text}");
    assert!(refused(&mut events).await.contains("publish t/2"));
    connection.all_changed();
    let again = tokio::time::timeout(Duration::from_millis(500), refused(&mut events)).await;
    assert!(again.is_err(), "said twice: {again:?}");
    let observer = Observer::connect_as(broker.address(), "t/#", Some(("teams", "right"))).await;
    observer.until_is("t/0", "x").await;
}

#[tokio::test]
async fn a_subscription_that_is_refused_is_named_and_the_connection_stays() {
    let port = fake::broker(|packet| match packet {
        Packet::Subscribe(subscribe) => {
            let return_codes = vec![
                SubscribeReasonCode::Success(rumqttc::v5::mqttbytes::QoS::AtLeastOnce),
                SubscribeReasonCode::NotAuthorized,
            ];
            vec![Packet::SubAck(SubAck { pkid: subscribe.pkid, return_codes, properties: None })]
        }
        Packet::Publish(publish) => vec![Packet::PubAck(PubAck::new(publish.pkid, None))],
        _ => vec![],
    })
    .await;
    let (_connection, mut events) =
        Connection::open(&settings_for(port), options("under-test", &["a/+", "b/#"]), Board::of(1, "x")).unwrap();
    let text = refused(&mut events).await;
    assert!(text.contains("subscribe to b/#") && text.contains("not authorized"), "{text}");
    connected(&mut events).await;
}

#[tokio::test]
async fn a_quota_and_acks_out_of_order_do_not_stop_the_others() {
    let held = Mutex::new(None::<u16>);
    let port = fake::broker(move |packet| {
        let Packet::Publish(publish) = packet else { return vec![] };
        let mut ack = PubAck::new(publish.pkid, None);
        if publish.topic == "t/5" {
            ack.reason = PubAckReason::QuotaExceeded;
        }
        if publish.topic == "t/state" {
            return vec![Packet::PubAck(ack)];
        }
        // Every ack waits for the next message and comes behind that one's.
        let late = held.lock().unwrap().replace(publish.pkid);
        match late {
            None => vec![],
            Some(late) => {
                *held.lock().unwrap() = None;
                vec![Packet::PubAck(ack), Packet::PubAck(PubAck::new(late, None))]
            }
        }
    })
    .await;
    let board = Board::of(2_000, "x");
    let (connection, mut events) = Connection::open(&settings_for(port), options("under-test", &[]), board).unwrap();
    assert!(refused(&mut events).await.contains("t/5: a quota"));
    tokio::time::timeout(PATIENCE, connection.close(PATIENCE)).await.unwrap();
}

#[tokio::test]
async fn a_message_beyond_the_brokers_limit_is_not_sent_at_all() {
    let Some(broker) = Broker::builder().line("max_packet_size 2000").start_mosquitto() else { return };
    let board = Board::of(2, "small");
    board.set(0, &"x".repeat(5_000));
    let (_connection, mut events) = open(&broker, Arc::clone(&board));
    let text = refused(&mut events).await;
    assert!(text.contains("publish t/0") && text.contains("max_packet_size"), "{text}");
    let observer = Observer::connect(broker.address(), "t/+").await;
    observer.until_is("t/1", "small").await;
}

#[tokio::test]
async fn what_is_no_mqtt_5_broker_is_told_apart_from_one() {
    // A CONNACK of MQTT 3.1.1: unacceptable protocol version; and a web server.
    for bytes in [&b"\x20\x02\x00\x01"[..], b"HTTP/1.1 400 Bad Request\r\n\r\n", b""] {
        let port = fake::answers(bytes).await;
        let (_connection, mut events) =
            Connection::open(&settings_for(port), options("under-test", &[]), Board::of(1, "x")).unwrap();
        let text = disconnected(&mut events).await;
        assert!(text.contains("MQTT 5") && text.contains(&port.to_string()), "{bytes:?}: {text}");
    }
}

#[tokio::test]
async fn a_host_that_does_not_exist_is_named() {
    let nowhere = settings::Mqtt { host: "no-such-host.invalid".into(), ..settings_for(1883) };
    let (_connection, mut events) = Connection::open(&nowhere, options("x", &[]), Board::of(1, "x")).unwrap();
    let text = disconnected(&mut events).await;
    assert!(text.contains("no-such-host.invalid:1883") && text.contains("mqtt.url"), "{text}");
}
