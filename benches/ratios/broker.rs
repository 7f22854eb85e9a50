//! A stock Mosquitto, and a subscriber that says when something was seen there.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, bail};
use rumqttc::NetworkOptions;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, RetainForwardRule};
use rumqttc::v5::{Client, Event, MqttOptions};

use crate::process::Process;

/// Where distributions put it; `/usr/sbin` is not on everybody's path.
const PROGRAMS: [&str; 3] = ["mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];

/// A Mosquitto of our own on a free port, with nothing set but that port.
pub struct Broker {
    _process: Process,
    /// On 127.0.0.1.
    pub port: u16,
}

impl Broker {
    /// `None` where no Mosquitto is installed.
    pub fn start(folder: &Path) -> anyhow::Result<Option<Self>> {
        let Some(program) = PROGRAMS.into_iter().find(|program| Command::new(program).arg("-h").output().is_ok())
        else {
            return Ok(None);
        };
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let configuration = folder.join("mosquitto.conf");
        fs::write(&configuration, format!("listener {port} 127.0.0.1\nallow_anonymous true\n"))?;
        let mut command = Command::new(program);
        command.arg("-c").arg(&configuration);
        let mut process = Process::start(command, &folder.join("mosquitto.log"))?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            process.check()?;
            if Instant::now() > deadline {
                bail!("mosquitto does not listen on port {port}");
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Some(Self { _process: process, port }))
    }
}

/// Publishes as a bridge does.
pub struct Publisher(Client);

impl Publisher {
    /// Its connection ends with the broker.
    pub fn connect(port: u16) -> anyhow::Result<Self> {
        let mut options = MqttOptions::new("ratios-publisher", "127.0.0.1", port);
        options.set_outgoing_inflight_upper_limit(100);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        let (client, mut connection) = Client::new(options, 10);
        thread::spawn(move || while matches!(connection.recv(), Ok(Ok(_))) {});
        Ok(Self(client))
    }

    /// At least once.
    pub fn publish(&self, topic: &str, payload: &str, retain: bool) -> anyhow::Result<()> {
        self.0.publish(topic, QoS::AtLeastOnce, retain, payload.to_owned()).context("the publisher")
    }
}

/// A message, and when it came.
pub struct Seen {
    /// When it was read from the socket.
    pub at: Instant,
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// Subscribes on a thread of its own, to new messages only. It ends with the broker.
pub fn watch(port: u16, filter: &str) -> anyhow::Result<Receiver<Seen>> {
    let mut options = MqttOptions::new("ratios-watcher", "127.0.0.1", port);
    options.set_outgoing_inflight_upper_limit(10);
    let (client, mut connection) = Client::new(options, 10);
    let mut wanted = Filter::new(filter, QoS::AtMostOnce);
    wanted.retain_forward_rule = RetainForwardRule::Never;
    client.subscribe_many([wanted]).context("the watcher")?;
    let (sender, seen) = channel();
    let (subscribed, ready) = channel();
    thread::spawn(move || {
        let _client = client;
        for event in connection.iter() {
            match event {
                Ok(Event::Incoming(Packet::SubAck(_))) => drop(subscribed.send(())),
                Ok(Event::Incoming(Packet::Publish(publish))) => {
                    let topic = String::from_utf8_lossy(&publish.topic).into_owned();
                    let message = Seen { at: Instant::now(), topic, payload: publish.payload.to_vec() };
                    if sender.send(message).is_err() {
                        return;
                    }
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    });
    ready.recv_timeout(Duration::from_secs(10)).context("the watcher could not subscribe")?;
    Ok(seen)
}
