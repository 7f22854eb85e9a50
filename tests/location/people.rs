//! Whom the lights follow, and what every light is to show by now: the rules once more, as the design has them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

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

/// How far a clock that tells the time of day may go from one that tells how long it was.
const CLOCKS: Duration = Duration::from_millis(50);

/// What a light is to show: the colour of a status, or nothing: it is off.
pub type Look = Option<usize>;

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
    /// Whether it is off outside of hours.
    pub has_hours: bool,
}

const LIGHT: Light = Light { name: "", lamp: "", follow: &[], show: Show::Busiest, has_hours: false };

pub const LIGHTS: [Light; 5] = [
    Light { name: "desk", lamp: "Desk", follow: &["alex"], ..LIGHT },
    Light { name: "wall", lamp: "Wall", follow: &["alex", "sam"], ..LIGHT },
    Light { name: "shelf", lamp: "Shelf", follow: &["alex", "sam"], show: Show::Latest, ..LIGHT },
    Light { name: "door", lamp: "Door", follow: &["sam", "alex"], show: Show::First, ..LIGHT },
    Light { name: "night", lamp: "Night", follow: &["alex", "sam"], has_hours: true, ..LIGHT },
];

/// The hours of the lights that have any: they begin and end while faults happen.
#[derive(Clone, Copy)]
pub struct Hours {
    from: i64,
    begin: Instant,
    end: Instant,
}

impl Hours {
    /// A minute of the clock: the one that is so many minutes ahead, and twenty seconds at least.
    pub fn ahead(minutes: i64) -> Self {
        let (now, instant) = (jiff::Timestamp::now(), Instant::now());
        let from = (now.as_second() + 20) / 60 + minutes;
        let begin = jiff::Timestamp::from_second(from * 60).unwrap();
        let begin = instant + Duration::try_from(begin.duration_since(now)).unwrap();
        Self { from, begin, end: begin + Duration::from_secs(60) }
    }

    pub fn have_begun(self) -> bool {
        self.begin < Instant::now()
    }

    /// As in the configuration.
    pub fn written(self) -> String {
        let time = |minute: i64| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
        let (from, to) = (time(self.from), time(self.from + 1));
        format!("{{ from: \"{from}\", to: \"{to}\", time_zone: UTC, outside: off }}")
    }
}

/// A person, as the bridge knows them.
#[derive(Clone, Copy)]
pub struct Person {
    pub sequence: u64,
    pub online: bool,
}

/// The people, and since when each light is to show what.
pub struct People {
    pub all: BTreeMap<&'static str, Person>,
    pub hours: Hours,
    newest: u64,
    history: Vec<Vec<(Instant, Look)>>,
}

/// Which status a presence is of: not the one of any of the ten before.
pub fn status(sequence: u64) -> usize {
    (sequence * 4 % STATUSES.len() as u64) as usize
}

fn point(status: usize) -> Point {
    let (x, y) = STATUSES[status].2.strip_prefix("xy:").and_then(|point| point.split_once(',')).unwrap();
    (x.parse().unwrap(), y.parse().unwrap())
}

/// Whether a light that has this colour, or is off, shows what it is to show.
pub fn is_shown(look: Look, seen: Option<Point>) -> bool {
    let is_near = |one: Point, other: Point| (one.0 - other.0).abs() < 0.02 && (one.1 - other.1).abs() < 0.02;
    match (look, seen) {
        (Some(status), Some(seen)) => is_near(point(status), seen),
        (look, seen) => look.is_none() && seen.is_none(),
    }
}

impl People {
    pub fn new(first: u64, hours: Hours) -> Self {
        let history = vec![Vec::new(); LIGHTS.len()];
        let mut people = Self { all: BTreeMap::new(), hours, newest: first, history };
        for name in ["alex", "sam"] {
            people.newest += 1;
            people.all.insert(name, Person { sequence: people.newest, online: true });
        }
        people.note();
        people
    }

    /// The next presence of a person.
    pub fn changes(&mut self, name: &'static str) {
        self.note();
        self.newest += 1;
        self.all.get_mut(name).unwrap().sequence = self.newest;
        self.note_at(Instant::now());
    }

    pub fn goes(&mut self, name: &'static str, online: bool) {
        self.note();
        self.all.get_mut(name).unwrap().online = online;
        self.note_at(Instant::now());
    }

    /// What is to be shown by now, and was to be since the hours began or ended.
    pub fn note(&mut self) {
        let now = Instant::now();
        let all = [self.hours.begin, self.hours.end, now];
        all.into_iter().filter(|at| *at <= now).for_each(|at| self.note_at(at));
    }

    fn note_at(&mut self, at: Instant) {
        for (light, history) in LIGHTS.iter().zip(&mut self.history) {
            let wanted = wanted(light, &self.all, self.hours, at);
            if history.last().is_none_or(|(since, look)| *since < at && *look != wanted) {
                history.push((at, wanted));
            }
        }
    }

    /// How many looks the lights together were to show so far.
    pub fn looks(&mut self) -> usize {
        self.note();
        self.history.iter().map(Vec::len).sum()
    }

    /// What a light is to show by now.
    pub fn wanted(&self, light: &Light) -> Look {
        self.wanted_at(light, Instant::now())
    }

    /// What it is or was to show then, where nobody has changed since.
    pub fn wanted_at(&self, light: &Light, at: Instant) -> Look {
        wanted(light, &self.all, self.hours, at)
    }

    /// Which of all that a light was to show is seen, the newest that it can be by then.
    pub fn which(&self, light: usize, seen: Option<Point>, at: Instant) -> Option<usize> {
        let known = self.history[light].iter().take_while(|(since, _)| *since <= at + CLOCKS);
        known.enumerate().filter(|(_, (_, look))| is_shown(*look, seen)).map(|(which, _)| which).last()
    }
}

/// As README and the design say it, without the code under test.
fn wanted(light: &Light, all: &BTreeMap<&'static str, Person>, hours: Hours, at: Instant) -> Look {
    if light.has_hours && !(hours.begin..hours.end).contains(&at) {
        return None;
    }
    let known: Vec<u64> = light
        .follow
        .iter()
        .map(|name| all[name])
        .filter(|person| person.online)
        .map(|person| person.sequence)
        .collect();
    match light.show {
        Show::First => known.first().copied().map(status),
        Show::Latest => known.iter().max().copied().map(status),
        Show::Busiest => known.iter().map(|sequence| status(*sequence)).min(),
    }
}
