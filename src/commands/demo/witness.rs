//! Watches the demo from outside the program: as one more client of the broker, and by what the
//! simulated Graph answered and the simulated hub was told.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::day::PEOPLE;
use super::view::{self, Travelled};
use crate::mqtt::Received;
use crate::presence::Report;
use crate::settings::{Light, Settings};
use crate::simulator::{Cloud, Hub};

/// A change that reached the broker, and not its lamp yet.
struct OnTheWay {
    report: Report,
    topic: String,
    /// When Graph's answer with it left.
    told: Instant,
}

/// What the witness needs of a light's topic.
#[derive(Deserialize)]
struct LightTopic {
    wanted: Part,
    shown: Option<Part>,
    inputs: BTreeMap<String, u64>,
}

#[derive(Deserialize, PartialEq)]
struct Part {
    color: String,
}

/// Who saw what.
pub(super) struct Witness<'a> {
    began: Instant,
    cloud: &'a Cloud,
    hub: &'a Hub,
    settings: &'a Settings,
    on_the_way: Vec<OnTheWay>,
    /// The newest that the broker carried of each account.
    newest: BTreeMap<String, u64>,
    /// Changes that the broker carried.
    published: usize,
    /// From Graph's answer to the lamp's command.
    pub ways: Vec<Duration>,
}

impl<'a> Witness<'a> {
    pub(super) fn new(began: Instant, cloud: &'a Cloud, hub: &'a Hub, settings: &'a Settings) -> Self {
        Self {
            began,
            cloud,
            hub,
            settings,
            on_the_way: Vec::new(),
            newest: BTreeMap::new(),
            published: 0,
            ways: Vec::new(),
        }
    }

    /// The topics watched.
    pub(super) fn filters(&self) -> [String; 2] {
        let base = &self.settings.mqtt.base_topic;
        [format!("{base}/account/+/presence"), format!("{base}/actuator/+/light/+")]
    }

    /// Changes that Graph told.
    pub(super) fn changes(&self) -> usize {
        self.cloud.told()
    }

    /// Changes that Graph told and that have not reached the broker, or not their lamp.
    pub(super) fn on_the_way(&self) -> usize {
        self.changes().saturating_sub(self.published) + self.on_the_way.len()
    }

    /// Commands that the hub took.
    pub(super) fn commands(&self) -> usize {
        self.hub.commands().count(|command| command.status == 200)
    }

    /// A message of the broker; answers with the changes that have arrived by it.
    pub(super) fn saw(&mut self, message: Received) -> Vec<Travelled> {
        if message.topic.ends_with("/presence") {
            self.saw_presence(message);
            return Vec::new();
        }
        let name = message.topic.rsplit('/').next().unwrap_or_default();
        let light = self.settings.lights.iter().find(|(light, _)| light.as_str() == name);
        match (light, serde_json::from_slice::<LightTopic>(&message.payload)) {
            (Some((_, light)), Ok(state)) => self.saw_light(light, &state),
            _ => Vec::new(),
        }
    }

    fn saw_presence(&mut self, message: Received) {
        let Ok(report) = Report::from_json(&message.payload) else { return };
        let account = report.account.as_str();
        // The broker gives what it retains once more after a reconnection.
        let before = self.newest.insert(account.to_owned(), report.sequence.get());
        if before.is_some_and(|before| before >= report.sequence.get()) {
            return;
        }
        let person = PEOPLE.iter().find(|person| person.account == account);
        if let Some(told) = person.and_then(|person| self.cloud.first_told(person.user)) {
            self.published += 1;
            self.on_the_way.push(OnTheWay { report, topic: message.topic, told });
        }
    }

    fn saw_light(&mut self, light: &Light, state: &LightTopic) -> Vec<Travelled> {
        if state.shown.as_ref() != Some(&state.wanted) {
            return Vec::new();
        }
        let arrived = |change: &OnTheWay| {
            let account = &change.report.account;
            light.follow.contains(account)
                && state.inputs.get(account.as_str()).is_some_and(|input| *input >= change.report.sequence.get())
        };
        let (arrived, rest) = std::mem::take(&mut self.on_the_way).into_iter().partition(arrived);
        self.on_the_way = rest;
        let arrived: Vec<OnTheWay> = arrived;
        arrived.into_iter().map(|change| self.travelled(change, light, &state.wanted.color)).collect()
    }

    fn travelled(&mut self, change: OnTheWay, light: &Light, color: &str) -> Travelled {
        let lamp = light.target.name.clone();
        let commands = self.hub.commands().all();
        let command = commands.iter().find(|command| command.target == lamp && command.at >= change.told);
        let took = command.map(|command| command.at - change.told);
        self.ways.extend(took);
        Travelled {
            at: self.began.elapsed(),
            who: change.report.account.to_string(),
            status: view::status(change.report.availability.as_str(), change.report.activity.as_str()),
            topic: change.topic,
            lamp,
            color: rgb(color),
            took,
        }
    }
}

/// What a light's topic says in `color`, as sRGB; none when it is off.
fn rgb(color: &str) -> Option<[u8; 3]> {
    let number = u32::from_str_radix(color.strip_prefix('#')?, 16).ok()?;
    let [_, red, green, blue] = number.to_be_bytes();
    Some([red, green, blue])
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::stage::Stage;
    use super::*;
    use crate::commands::parts;
    use crate::entra::{Principal, Tokens};
    use crate::graph::Client;
    use crate::store::Store;

    /// A topic and what stands there when Alex's first presence was published, and when its lamp shows it.
    pub const PRESENCE: (&str, &str) = (
        "graph2mqtt/account/alex/presence",
        r#"{"account":"alex","availability":"Offline","activity":"Offline","since":"2026-11-24T08:00:00Z","sequence":7}"#,
    );
    pub const LIGHT: (&str, &str) = (
        "graph2mqtt/actuator/home/light/desk",
        r#"{"wanted":{"color":"off"},"shown":{"color":"off"},"inputs":{"alex":7}}"#,
    );

    pub fn message(topic: &str, payload: &str) -> Received {
        let payload = payload.to_owned().into();
        Received { topic: topic.to_owned(), payload, retained: false, given: false, reply: None }
    }

    /// Graph tells somebody of Alex's presence.
    pub async fn graph_tells(stage: &Stage) {
        let store = Store::open(&stage.settings.store.url, &stage.settings.store.key_file).await.unwrap();
        let http = parts::http(&stage.settings).unwrap();
        let tokens = Tokens::new(&stage.settings, http.clone(), store).unwrap();
        let graph = Client::new(&stage.settings.graph, http, tokens);
        let tenant = &stage.settings.entra.as_ref().unwrap().tenant;
        let application = Principal::Application(tenant.as_str().into());
        graph.presences(&application, tenant, &[PEOPLE[0].id.parse().unwrap()]).await.unwrap();
    }

    #[tokio::test]
    async fn what_graph_told_counts_as_lost_until_it_is_published_and_its_lamp_shows_it() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let stage = Stage::build("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let mut witness = Witness::new(Instant::now(), &stage.cloud, &stage.hub, &stage.settings);
        for _ in 0..2 {
            graph_tells(&stage).await;
            assert_eq!((witness.changes(), witness.on_the_way()), (1, 1), "told, once, and not published");
        }
        for _ in 0..2 {
            witness.saw(message(PRESENCE.0, PRESENCE.1));
            assert_eq!((witness.changes(), witness.on_the_way()), (1, 1), "published, once, and not shown");
        }
        assert_eq!(witness.saw(message(LIGHT.0, LIGHT.1)).len(), 1);
        assert_eq!((witness.changes(), witness.on_the_way()), (1, 0));
    }
}
