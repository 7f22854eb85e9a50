//! A stand-in for Home Assistant that behaves as the facts about it say: it drops a device with an unknown key or an
//! illegal id, subscribes to states some time after discovery, ignores values outside `options`, is unavailable while the broker
//! or anything in a component's availability is, and says at its birth that it is there. Templates are rendered.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use minijinja::{Environment, context};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectProperties, Packet};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use serde_json::Value;
use tokio::task::JoinHandle;

/// How long it takes from a discovery message to the subscription to the state.
const LATE: Duration = Duration::from_millis(150);
/// How long it takes to try a broker again that is gone.
const AGAIN: Duration = Duration::from_millis(100);
/// How long a test waits for what has to come within seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// What every version since 2024.12 takes at the root; with another key the whole device is dropped.
const ROOT: &[&str] = &[
    "device",
    "origin",
    "components",
    "availability",
    "availability_topic",
    "availability_mode",
    "availability_template",
    "payload_available",
    "payload_not_available",
    "state_topic",
    "command_topic",
    "qos",
    "encoding",
];
/// The same of `device` and of `origin`.
const DEVICE: &[&str] = &[
    "identifiers",
    "connections",
    "name",
    "manufacturer",
    "model",
    "model_id",
    "hw_version",
    "sw_version",
    "serial_number",
    "suggested_area",
    "via_device",
    "configuration_url",
];
const ORIGIN: &[&str] = &["name", "sw_version", "support_url"];
/// The longest state that is kept, in characters.
const LONGEST: usize = 255;

/// What Home Assistant remembers of an entity over its own restarts: the recorder's history.
pub type History = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

pub struct HomeAssistant {
    world: Arc<Mutex<World>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct World {
    connected: bool,
    entities: BTreeMap<(String, String), Entity>,
    /// The newest payload of each topic that is subscribed to.
    heard: BTreeMap<String, String>,
    subscribed: BTreeSet<String>,
    to_subscribe: BTreeMap<String, Instant>,
    dropped: Vec<String>,
    history: History,
}

struct Entity {
    config: Value,
    availability: Vec<String>,
    all: bool,
    state: Option<String>,
    attributes: Value,
}

impl Drop for HomeAssistant {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl HomeAssistant {
    /// Starts, with the history of its forerunner.
    pub fn start(broker: SocketAddr, history: &History) -> Self {
        let world = Arc::new(Mutex::new(World { history: history.clone(), ..World::default() }));
        let task = tokio::spawn(live(broker, world.clone()));
        Self { world, task }
    }

    /// Waits until an entity shows this.
    pub async fn until(&self, entity: &str, state: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.shown(entity);
            if shown.as_deref() == Some(state) {
                return;
            }
            assert!(Instant::now() < deadline, "{entity} is {shown:?}, not {state}; dropped: {:?}", self.dropped());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What an entity shows; none where there is none of that id.
    pub fn shown(&self, id: &str) -> Option<String> {
        let world = self.world.lock().unwrap();
        world.entities.values().find(|entity| entity.id() == id).map(|entity| world.shown(entity))
    }

    /// An entity's attributes.
    pub fn attributes(&self, id: &str) -> Value {
        let world = self.world.lock().unwrap();
        let found = world.entities.values().find(|entity| entity.id() == id);
        found.map(|entity| entity.attributes.clone()).unwrap_or_default()
    }

    pub fn entities(&self) -> Vec<String> {
        self.world.lock().unwrap().entities.values().map(Entity::id).collect()
    }

    /// Device messages that were dropped, with the reason.
    pub fn dropped(&self) -> Vec<String> {
        self.world.lock().unwrap().dropped.clone()
    }
}

impl Entity {
    fn id(&self) -> String {
        self.config["default_entity_id"].as_str().unwrap_or_default().to_owned()
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.config[key].as_str()
    }

    /// Takes what its attributes are made of. The error says why they are none.
    fn describe(&mut self, payload: &str) -> Result<(), String> {
        let text = match self.text("json_attributes_template") {
            None => payload.to_owned(),
            Some(template) => render(template, payload),
        };
        let read: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}: {text}", self.id()))?;
        self.attributes = Some(read).filter(Value::is_object).ok_or(format!("{}: no object: {text}", self.id()))?;
        Ok(())
    }

    /// Takes a state as the platform would.
    fn take(&mut self, payload: &str) {
        let state = match self.text("value_template") {
            None => payload.to_owned(),
            Some(template) => render(template, payload),
        };
        if state == "None" {
            self.state = None;
            return;
        }
        let listed = self.config["options"].as_array();
        let is_listed = listed.is_none_or(|options| options.iter().any(|option| option == state.as_str()));
        if !is_listed || state.chars().count() > LONGEST {
            return;
        }
        self.state = match self.text("platform") {
            Some(platform @ ("binary_sensor" | "switch")) => {
                let keys = if platform == "switch" { ["state_on", "state_off"] } else { ["payload_on", "payload_off"] };
                let [on, off] = [(keys[0], "ON"), (keys[1], "OFF")].map(|(key, usual)| self.text(key).unwrap_or(usual));
                match state.as_str() {
                    state if state == on => Some("on".into()),
                    state if state == off => Some("off".into()),
                    _ => return,
                }
            }
            Some("sensor") if self.text("device_class") == Some("timestamp") => {
                state.parse::<jiff::Timestamp>().ok().map(|_| state)
            }
            _ => Some(state),
        };
    }
}

impl World {
    fn shown(&self, entity: &Entity) -> String {
        let online = |topic: &String| self.heard.get(topic).is_some_and(|payload| payload == "online");
        let available = match entity.all {
            true => entity.availability.iter().all(online),
            false => entity.availability.iter().any(online) || entity.availability.is_empty(),
        };
        if !self.connected || !available {
            return "unavailable".into();
        }
        match (&entity.state, entity.text("platform")) {
            (Some(state), _) => state.clone(),
            (None, Some("button")) => "pressable".into(),
            (None, _) => "unknown".into(),
        }
    }

    /// Writes down what changed.
    fn record(&self) {
        let mut history = self.history.lock().unwrap();
        for entity in self.entities.values() {
            let (id, shown) = (entity.id(), self.shown(entity));
            let states = history.entry(id).or_default();
            if states.last() != Some(&shown) {
                states.push(shown);
            }
        }
    }

    fn discovered(&mut self, id: &str, payload: &str) {
        if !id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
            return self.dropped.push(format!("{id}: an illegal topic"));
        }
        if payload.is_empty() {
            let gone: Vec<_> = self.entities.keys().filter(|(device, _)| device == id).cloned().collect();
            return gone.iter().for_each(|place| self.removed(place));
        }
        match read(payload) {
            Err(why) => self.dropped.push(format!("{id}: {why}")),
            Ok(root) => {
                for (key, component) in root["components"].as_object().unwrap() {
                    self.component(id, key, component, &root);
                }
            }
        }
    }

    /// An entity leaves: the registry forgets it, with what people set there.
    fn removed(&mut self, place: &(String, String)) {
        if let Some(entity) = self.entities.remove(place) {
            self.history.lock().unwrap().entry(entity.id()).or_default().push("removed".to_owned());
        }
    }

    fn component(&mut self, device: &str, key: &str, component: &Value, root: &Value) {
        let place = (device.to_owned(), key.to_owned());
        if component.as_object().is_some_and(|members| members.len() == 1 && members.contains_key("platform")) {
            return self.removed(&place);
        }
        if component["platform"].as_str().is_none() || component["unique_id"].as_str().is_none() {
            self.dropped.push(format!("{device}: component {key}"));
            return;
        }
        let source = if component["availability"].is_array() { component } else { root };
        let topics = source["availability"].as_array().into_iter().flatten();
        let availability: Vec<String> = topics.filter_map(|entry| entry["topic"].as_str()).map(str::to_owned).collect();
        let all = availability.len() < 2 || source["availability_mode"] == "all";
        let topics = ["state_topic", "json_attributes_topic"].into_iter().filter_map(|key| component[key].as_str());
        let wanted = availability.iter().cloned().chain(topics.map(str::to_owned));
        for topic in wanted.filter(|topic| !self.subscribed.contains(topic)).collect::<Vec<_>>() {
            self.to_subscribe.entry(topic).or_insert_with(|| Instant::now() + LATE);
        }
        let known = self.entities.remove(&place);
        let (state, attributes) = known.map(|known| (known.state, known.attributes)).unwrap_or_default();
        let mut entity = Entity { config: component.clone(), availability, all, state, attributes };
        // What another entity is subscribed to already is replayed to a newcomer.
        if let Some(payload) = entity.text("state_topic").and_then(|topic| self.heard.get(topic)).cloned() {
            entity.take(&payload);
        }
        if let Some(payload) = entity.text("json_attributes_topic").and_then(|topic| self.heard.get(topic)).cloned() {
            self.dropped.extend(entity.describe(&payload).err());
        }
        self.entities.insert(place, entity);
    }

    fn heard(&mut self, topic: String, payload: String) {
        for entity in self.entities.values_mut().filter(|_| !payload.is_empty()) {
            if entity.text("state_topic") == Some(topic.as_str()) {
                entity.take(&payload);
            }
            if entity.text("json_attributes_topic") == Some(topic.as_str()) {
                self.dropped.extend(entity.describe(&payload).err());
            }
        }
        self.heard.insert(topic, payload);
    }
}

fn read(payload: &str) -> Result<Value, String> {
    let root: Value = serde_json::from_str(payload).map_err(|error| error.to_string())?;
    let members = root.as_object().ok_or("no object")?;
    let empty = serde_json::Map::new();
    let inner = |key: &str| root[key].as_object().unwrap_or(&empty);
    for (place, allowed) in [(members, ROOT), (inner("device"), DEVICE), (inner("origin"), ORIGIN)] {
        if let Some(unknown) = place.keys().find(|key| !allowed.contains(&key.as_str())) {
            return Err(format!("unknown key {unknown}"));
        }
    }
    if root["origin"]["name"].as_str().is_none() || !root["device"].is_object() || !root["components"].is_object() {
        return Err("device, origin with a name, or components are missing".into());
    }
    Ok(root)
}

fn render(template: &str, payload: &str) -> String {
    let mut environment = Environment::new();
    environment.add_template("value", template).unwrap_or_else(|error| panic!("{template}: {error}"));
    let json: Value = serde_json::from_str(payload).unwrap_or_default();
    let rendered = environment.get_template("value").unwrap().render(context! { value => payload, value_json => json });
    // Home Assistant logs the error, and keeps the old state; here it is one of ours.
    rendered.unwrap_or_else(|error| panic!("{template} with {payload}: {error}")).trim().to_owned()
}

async fn live(broker: SocketAddr, world: Arc<Mutex<World>>) {
    let mut options =
        MqttOptions::new(format!("home-assistant-{}", fastrand::u64(..)), broker.ip().to_string(), broker.port());
    options.set_connect_properties(ConnectProperties { max_packet_size: Some(4 << 20), ..ConnectProperties::new() });
    options.set_outgoing_inflight_upper_limit(100);
    let (client, mut eventloop) = AsyncClient::new(options, 1000);
    loop {
        tokio::select! {
            event = next(&mut eventloop) => on_event(event, &client, &world).await,
            () = tokio::time::sleep(Duration::from_millis(30)) => subscribe_late(&client, &world),
        }
        world.lock().unwrap().record();
    }
}

async fn next(eventloop: &mut EventLoop) -> Option<Event> {
    match eventloop.poll().await {
        Ok(event) => Some(event),
        Err(_) => {
            tokio::time::sleep(AGAIN).await;
            None
        }
    }
}

async fn on_event(event: Option<Event>, client: &AsyncClient, world: &Arc<Mutex<World>>) {
    match event {
        None => world.lock().unwrap().connected = false,
        Some(Event::Incoming(Packet::ConnAck(_))) => {
            let topics: Vec<String> = {
                let mut world = world.lock().unwrap();
                world.connected = true;
                world.subscribed.iter().cloned().collect()
            };
            let _ = client.try_subscribe("homeassistant/device/+/config", QoS::AtMostOnce);
            topics.into_iter().for_each(|topic| drop(client.try_subscribe(topic, QoS::AtMostOnce)));
            let _ = client.try_publish("homeassistant/status", QoS::AtMostOnce, false, "online");
        }
        Some(Event::Incoming(Packet::Publish(publish))) => {
            let topic = String::from_utf8_lossy(&publish.topic).into_owned();
            let payload = String::from_utf8_lossy(&publish.payload).into_owned();
            let mut world = world.lock().unwrap();
            let device = topic.strip_prefix("homeassistant/device/").and_then(|rest| rest.strip_suffix("/config"));
            match device {
                Some(id) => world.discovered(id, &payload),
                None => world.heard(topic, payload),
            }
        }
        Some(_) => {}
    }
}

fn subscribe_late(client: &AsyncClient, world: &Arc<Mutex<World>>) {
    let mut world = world.lock().unwrap();
    let now = Instant::now();
    let due: Vec<String> =
        world.to_subscribe.iter().filter(|(_, at)| **at <= now).map(|(topic, _)| topic.clone()).collect();
    for topic in due {
        if world.connected && client.try_subscribe(topic.clone(), QoS::AtMostOnce).is_ok() {
            world.to_subscribe.remove(&topic);
            world.subscribed.insert(topic);
        }
    }
}
