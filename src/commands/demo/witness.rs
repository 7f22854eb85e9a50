//! Watches the demo from outside the program: as one more client of the broker, and by what the
//! simulated Graph answered and the simulated hub was told.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::day::PEOPLE;
use super::view::Travelled;
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
    /// Changes that Graph told and the broker carried.
    pub changes: usize,
    /// From Graph's answer to the lamp's command.
    pub ways: Vec<Duration>,
}

impl<'a> Witness<'a> {
    pub(super) fn new(began: Instant, cloud: &'a Cloud, hub: &'a Hub, settings: &'a Settings) -> Self {
        Self { began, cloud, hub, settings, on_the_way: Vec::new(), changes: 0, ways: Vec::new() }
    }

    /// The topics watched.
    pub(super) fn filters(&self) -> [String; 2] {
        let base = &self.settings.mqtt.base_topic;
        [format!("{base}/account/+/presence"), format!("{base}/actuator/+/light/+")]
    }

    /// Changes that have not reached their lamp.
    pub(super) fn on_the_way(&self) -> usize {
        self.on_the_way.len()
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
        let person = PEOPLE.iter().find(|person| person.account == report.account.as_str());
        if let Some(told) = person.and_then(|person| self.cloud.first_told(person.user)) {
            self.changes += 1;
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
            status: format!("{} · {}", change.report.availability, change.report.activity),
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
