//! Whom the lights follow, and what every light is to show by now: the rules once more, as the design has them.

use std::collections::BTreeMap;
use std::time::Instant;

/// Availability, activity and colour, the busiest first. A lamp of gamut C can show all of the colours, and nobody
/// takes them for one another.
pub const STATUSES: [(&str, &str, &str); 11] = [
    ("DoNotDisturb", "Presenting", "xy:0.5,0.4"),
    ("Busy", "InACall", "xy:0.3,0.3"),
    ("DoNotDisturb", "DoNotDisturb", "xy:0.38,0.16"),
    ("Busy", "InAMeeting", "xy:0.4,0.5"),
    ("Busy", "Busy", "xy:0.6915,0.3083"),
    ("Available", "Available", "xy:0.17,0.7"),
    ("BeRightBack", "BeRightBack", "xy:0.3,0.5"),
    ("Away", "Away", "xy:0.1532,0.0475"),
    ("Offline", "OutOfOffice", "xy:0.2,0.3"),
    ("Offline", "OffWork", "xy:0.25,0.2"),
    ("Offline", "Offline", "xy:0.5,0.25"),
];

pub type Point = (f64, f64);

/// How a light chooses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Show {
    Busiest,
    Latest,
    First,
}

/// A light of the configuration.
pub struct Light {
    pub name: &'static str,
    pub lamp: &'static str,
    pub follow: &'static [&'static str],
    pub show: Show,
}

pub const LIGHTS: [Light; 4] = [
    Light { name: "desk", lamp: "Desk", follow: &["alex"], show: Show::Busiest },
    Light { name: "wall", lamp: "Wall", follow: &["alex", "sam"], show: Show::Busiest },
    Light { name: "shelf", lamp: "Shelf", follow: &["alex", "sam"], show: Show::Latest },
    Light { name: "door", lamp: "Door", follow: &["sam", "alex"], show: Show::First },
];

/// A person, as the bridge knows them.
#[derive(Clone, Copy)]
pub struct Person {
    pub sequence: u64,
    pub online: bool,
}

/// The people, and since when each light is to show which status.
pub struct People {
    pub all: BTreeMap<&'static str, Person>,
    newest: u64,
    history: Vec<Vec<(Instant, usize)>>,
}

/// Which status a presence is of: not the one of any of the ten before.
pub fn status(sequence: u64) -> usize {
    (sequence * 4 % STATUSES.len() as u64) as usize
}

pub fn point(status: usize) -> Point {
    let (x, y) = STATUSES[status].2.strip_prefix("xy:").and_then(|point| point.split_once(',')).unwrap();
    (x.parse().unwrap(), y.parse().unwrap())
}

pub fn is_near(one: Point, other: Point) -> bool {
    (one.0 - other.0).abs() < 0.02 && (one.1 - other.1).abs() < 0.02
}

impl People {
    pub fn new(first: u64) -> Self {
        let mut people = Self { all: BTreeMap::new(), newest: first, history: vec![Vec::new(); LIGHTS.len()] };
        for name in ["alex", "sam"] {
            people.newest += 1;
            people.all.insert(name, Person { sequence: people.newest, online: true });
        }
        people.note();
        people
    }

    /// The next presence of a person.
    pub fn changes(&mut self, name: &'static str) {
        self.newest += 1;
        self.all.get_mut(name).unwrap().sequence = self.newest;
        self.note();
    }

    pub fn goes(&mut self, name: &'static str, online: bool) {
        self.all.get_mut(name).unwrap().online = online;
        self.note();
    }

    fn note(&mut self) {
        for (light, history) in LIGHTS.iter().zip(&mut self.history) {
            let wanted = wanted(light, &self.all);
            if history.last().is_none_or(|(_, status)| *status != wanted) {
                history.push((Instant::now(), wanted));
            }
        }
    }

    /// How many looks the lights together were to show so far.
    pub fn looks(&self) -> usize {
        self.history.iter().map(Vec::len).sum()
    }

    /// The status that a light is to show.
    pub fn wanted(&self, light: &Light) -> usize {
        wanted(light, &self.all)
    }

    /// Which of all that a light was to show a colour shows, the newest that it can be by then.
    pub fn which(&self, light: usize, seen: Point, at: Instant) -> Option<usize> {
        let known = self.history[light].iter().take_while(|(since, _)| *since <= at);
        known.enumerate().filter(|(_, (_, status))| is_near(point(*status), seen)).map(|(which, _)| which).last()
    }
}

/// As README and the design say it, without the code under test.
fn wanted(light: &Light, all: &BTreeMap<&'static str, Person>) -> usize {
    let known: Vec<u64> = light
        .follow
        .iter()
        .map(|name| all[name])
        .filter(|person| person.online)
        .map(|person| person.sequence)
        .collect();
    match light.show {
        Show::First => status(known[0]),
        Show::Latest => status(*known.iter().max().unwrap()),
        Show::Busiest => known.iter().map(|sequence| status(*sequence)).min().unwrap(),
    }
}
