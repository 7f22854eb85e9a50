//! The bare loop: the program's crates doing the least that can be called the same work.
//!
//! A token, polls of up to 650 people, a comparison with what was seen last, a retained message for each
//! change; and, where there is a hub, a subscription whose messages become a PUT there. No settings, no
//! store, no discovery, no limits, no care for errors: the first one ends it.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::Client;
use rumqttc::NetworkOptions;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};

/// What getPresencesByUserId takes at once.
const BATCH: usize = 650;

/// What the loop is to do; handed over as a JSON file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Orders {
    /// Entra's token endpoint.
    pub token_url: String,
    /// The application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// getPresencesByUserId.
    pub presences_url: String,
    /// Whose presence.
    pub people: Vec<String>,
    /// Between two polls of everybody.
    pub every: Duration,
    /// The broker on 127.0.0.1.
    pub broker: u16,
    /// What stands before `/account/<id>/presence`.
    pub base: String,
    /// The light, where there is one.
    pub light: Option<Light>,
}

/// A light of a hub.
#[derive(Debug, Serialize, Deserialize)]
pub struct Light {
    /// What is PUT.
    pub url: String,
    /// hue-application-key.
    pub key: String,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    value: Vec<Presence<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Presence<'a> {
    id: &'a str,
    availability: &'a str,
    activity: &'a str,
}

#[derive(Serialize)]
struct Ids<'a> {
    ids: &'a [String],
}

type Known = HashMap<Box<str>, (Box<str>, Box<str>)>;

/// Runs until it is killed.
pub fn run(orders: &Path) -> anyhow::Result<()> {
    let orders: Orders = serde_json::from_slice(&std::fs::read(orders)?)?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work(orders))
}

async fn work(orders: Orders) -> anyhow::Result<()> {
    let (publisher, events) = connect("bare-publisher", orders.broker);
    tokio::spawn(drive(events));
    if let Some(light) = &orders.light {
        let (subscriber, events) = connect("bare-subscriber", orders.broker);
        subscriber.subscribe(format!("{}/account/+/presence", orders.base), QoS::AtLeastOnce).await?;
        tokio::spawn(show(events, subscriber, hub(light)?, light.url.clone()));
    }
    poll(&orders, &publisher).await
}

async fn poll(orders: &Orders, publisher: &AsyncClient) -> anyhow::Result<()> {
    let http = Client::builder().build()?;
    let token = token(&http, orders).await?;
    let mut known = Known::new();
    let mut due = interval(orders.every);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        for ids in orders.people.chunks(BATCH) {
            let request = http.post(&orders.presences_url).bearer_auth(&token).json(&Ids { ids });
            let body = request.send().await?.error_for_status()?.bytes().await?;
            let answer: Answer<'_> = serde_json::from_slice(&body)?;
            for presence in &answer.value {
                if changed(&mut known, presence) {
                    let topic = format!("{}/account/{}/presence", orders.base, presence.id);
                    publisher.publish(topic, QoS::AtLeastOnce, true, serde_json::to_vec(presence)?).await?;
                }
            }
        }
    }
}

async fn token(http: &Client, orders: &Orders) -> anyhow::Result<String> {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &orders.client_id),
        ("client_secret", &orders.client_secret),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    let body = http.post(&orders.token_url).form(&form).send().await?.error_for_status()?.bytes().await?;
    Ok(serde_json::from_slice::<Token>(&body)?.access_token)
}

fn changed(known: &mut Known, presence: &Presence<'_>) -> bool {
    match known.get_mut(presence.id) {
        Some((availability, activity)) => {
            let differs = **availability != *presence.availability || **activity != *presence.activity;
            if differs {
                (*availability, *activity) = (presence.availability.into(), presence.activity.into());
            }
            differs
        }
        None => {
            known.insert(presence.id.into(), (presence.availability.into(), presence.activity.into()));
            true
        }
    }
}

/// A connection as both loops have it.
pub fn connect(client_id: &str, port: u16) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(client_id, "127.0.0.1", port);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    options.set_outgoing_inflight_upper_limit(200).set_network_options(network);
    AsyncClient::new(options, 64)
}

/// Lets it do its work; its end is the process's.
pub async fn drive(mut events: EventLoop) {
    while events.poll().await.is_ok() {}
    std::process::exit(1);
}

fn hub(light: &Light) -> anyhow::Result<Client> {
    let key = light.key.parse().context("the hub's key")?;
    let headers = [("hue-application-key".parse()?, key)].into_iter().collect();
    // What the check of a certificate costs, it costs once a connection.
    Ok(Client::builder().default_headers(headers).tls_danger_accept_invalid_certs(true).build()?)
}

async fn show(mut events: EventLoop, _subscriber: AsyncClient, hub: Client, url: String) -> anyhow::Result<()> {
    loop {
        let Event::Incoming(Packet::Publish(publish)) = events.poll().await? else {
            continue;
        };
        let presence: Presence<'_> = serde_json::from_slice(&publish.payload)?;
        let xy = if presence.availability == "Available" { [0.41, 0.51] } else { [0.64, 0.33] };
        let body = serde_json::json!({
            "on": {"on": true}, "dimming": {"brightness": 100.0}, "color": {"xy": {"x": xy[0], "y": xy[1]}},
        });
        let status = hub.put(&url).json(&body).send().await?.status();
        if !status.is_success() {
            bail!("the hub answered {status}");
        }
    }
}
