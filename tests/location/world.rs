//! A location with three actuators, as processes of their own, on a real Mosquitto: their broker, their hub, and
//! who plays the bridge.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use graph2mqtt::simulator::{Command, Gamut, Hub, Kind, LampState};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::people::{Hours, LIGHTS, Light, Look, People, Point, STATUSES, Show, is_shown, status};
use crate::support::{Broker, Home, Observer, Program};

pub const MEMBERS: usize = 3;
const FIRST: u64 = 1_000_000;
const PATIENCE: Duration = Duration::from_secs(30);
const ROOM: &str = "graph2mqtt/actuator/home";

pub struct Location {
    pub hub: Hub,
    pub broker: Broker,
    pub bridge: Observer,
    pub people: People,
    /// What was done and when, to be told when something is wrong.
    pub told: String,
    pub chance: fastrand::Rng,
    pub changes: usize,
    homes: Vec<Home>,
    members: Vec<Option<Program>>,
    /// The lights that are paused: since when, and what they show.
    paused: BTreeMap<&'static str, (Instant, Look)>,
}

fn configuration(broker: &Broker, hub: &Hub, hours: Hours) -> String {
    let colors: Vec<String> = STATUSES.iter().map(|(_, status, point)| format!("{status}: \"{point}\"")).collect();
    let light = |Light { name, lamp, follow, show, has_hours }: &Light| {
        let show = match show {
            Show::Busiest => "busiest",
            Show::Latest => "latest",
            Show::First => "first",
        };
        let hours = if *has_hours { format!(", hours: {}", hours.written()) } else { String::new() };
        let follow = follow.join(", ");
        format!("  {name}: {{ hub: office, target: light/{lamp}, follow: [{follow}], show: {show}{hours} }}\n")
    };
    format!(
        "mqtt: {{ url: \"{}\" }}\nweb: {{ listen: \"127.0.0.1:0\" }}\n\
         hubs: {{ office: {{ host: \"{}\", id: \"{}\", key: \"{}\" }} }}\n\
         lights:\n{}colors: {{ {} }}\n",
        broker.url(),
        hub.address(),
        hub.bridge_id(),
        hub.key(),
        LIGHTS.iter().map(light).collect::<String>(),
        colors.join(", "),
    )
}

/// Its members.
impl Location {
    pub async fn start(broker: Broker, seed: u64, hours: Hours) -> Self {
        // One lamp more than lights: a command to the whole room would be another thing to look at.
        let lamps: Vec<(&str, Kind)> =
            LIGHTS.iter().map(|light| light.lamp).chain(["Spare"]).map(|lamp| (lamp, Kind::Color(Gamut::C))).collect();
        let hub = Hub::plan().room("Office", &lamps).start().await.unwrap();
        let (people, chance) = (People::new(FIRST, hours), fastrand::Rng::with_seed(seed));
        let yaml = configuration(&broker, &hub, hours);
        let homes: Vec<Home> = (0..MEMBERS).map(|_| Home::new(&yaml)).collect();
        let members = homes.iter().map(|home| Some(home.start(&["actuator"]))).collect();
        let bridge = Observer::connect(broker.address(), &format!("{ROOM}/#")).await;
        let (told, paused) = (format!("seed {seed}"), BTreeMap::new());
        let location = Self { hub, broker, bridge, people, told, chance, changes: 0, homes, members, paused };
        location.bridge_is_back().await;
        location.ends_right().await;
        location
    }

    /// For whoever looks at a failure.
    pub fn tell(&mut self, what: &str) {
        self.told.push_str(&format!("; at change {}: {what}", self.changes));
    }

    pub fn signal(&self, member: usize, signal: Signal) {
        if let Some(member) = &self.members[member] {
            member.signal(signal);
        }
    }

    pub fn kill(&mut self, member: usize) {
        if let Some(mut member) = self.members[member].take() {
            member.kill();
        }
    }

    pub fn begin(&mut self, member: usize) {
        if self.members[member].is_none() {
            self.members[member] = Some(self.homes[member].start(&["actuator"]));
        }
    }

    /// Any of them.
    pub fn any(&mut self) -> usize {
        self.chance.usize(0..MEMBERS)
    }

    pub fn nobody_panicked(&self) {
        for member in self.members.iter().flatten() {
            assert!(!member.said().contains("panicked"), "{}: {}", self.told, member.said());
        }
    }
}

/// What the bridge and people do.
impl Location {
    /// Whoever was away says all that it knows.
    pub async fn bridge_is_back(&self) {
        self.bridge.publish("graph2mqtt/bridge/state", "online", true).await;
        for (name, person) in &self.people.all {
            self.state(name).await;
            self.present(name, person.sequence).await;
        }
    }

    async fn state(&self, name: &str) {
        let state = if self.people.all[name].online { "online" } else { "offline" };
        self.bridge.publish(&format!("graph2mqtt/account/{name}/state"), state, true).await;
    }

    pub async fn present(&self, name: &str, sequence: u64) {
        let (availability, activity, _) = STATUSES[status(sequence)];
        let since = jiff::Timestamp::from_second(sequence as i64).unwrap();
        let payload = format!(
            r#"{{"account":"{name}","availability":"{availability}","activity":"{activity}","since":"{since}","sequence":{sequence}}}"#
        );
        self.bridge.publish(&format!("graph2mqtt/account/{name}/presence"), payload, true).await;
    }

    /// Presences change while nobody hears of it.
    pub fn change_unheard(&mut self, times: usize) {
        for _ in 0..times {
            self.somebody_changes();
        }
    }

    fn somebody_changes(&mut self) -> &'static str {
        self.changes += 1;
        let name = if self.chance.bool() { "alex" } else { "sam" };
        self.people.changes(name);
        name
    }

    pub async fn change(&mut self) {
        let name = self.somebody_changes();
        self.present(name, self.people.all[name].sequence).await;
    }

    pub async fn change_often(&mut self, times: usize) {
        for _ in 0..times {
            self.change().await;
            tokio::time::sleep(Duration::from_millis(self.chance.u64(2..20))).await;
        }
    }

    /// Sam's presence cannot be known any more, or can again.
    pub async fn sam_goes(&mut self, online: bool) {
        self.people.goes("sam", online);
        self.state("sam").await;
    }

    pub async fn pause(&mut self, light: &Light, paused: bool) {
        if paused {
            self.paused.insert(light.name, (Instant::now(), self.people.wanted(light)));
        } else {
            self.paused.remove(light.name);
        }
        let set = format!("{ROOM}/light/{}/set", light.name);
        self.bridge.publish(&set, format!(r#"{{"paused":{paused}}}"#), false).await;
    }

    pub async fn restart_broker(&mut self) {
        self.broker.kill();
        self.broker.restart();
        self.bridge = Observer::connect(self.broker.address(), &format!("{ROOM}/#")).await;
    }
}

/// What is to be seen.
impl Location {
    /// Nothing changes any more, and every light comes to the newest presences of all whom it follows; its topic
    /// says so, with everybody's newest news and pauses. None that is paused was told
    /// anything else than it shows.
    pub async fn ends_right(&self) {
        for light in LIGHTS.iter().filter(|light| !self.paused.contains_key(light.name)) {
            // Its hours may begin or end while it is waited for.
            let such = |lamp: &LampState| is_shown(self.people.wanted(light), lamp.xy.filter(|_| lamp.on));
            if let Err(late) = self.hub.wait_for(light.lamp, PATIENCE, such).await {
                let (shown, wanted) = (self.hub.lamp(light.lamp), self.people.wanted(light));
                panic!("{} shows {shown:?}, not {wanted:?}: {late:?}\n{}", light.name, self.told);
            }
        }
        for light in &LIGHTS {
            self.topic_says(light, |topic| self.is_newest(light, topic)).await;
        }
        for (light, command, seen) in self.commands() {
            // What it shows already may have been on its way.
            let paused = self.paused.get(LIGHTS[light].name);
            let is_left_alone = paused.is_none_or(|(since, look)| command.at < *since || is_shown(*look, seen));
            assert!(is_left_alone, "{} is paused, and was sent {command:?}\n{}", LIGHTS[light].name, self.told);
        }
    }

    /// The topics say what is newest, whatever the lamps show.
    pub async fn is_known(&self) {
        for light in &LIGHTS {
            self.topic_says(light, |topic| self.knows(light, topic)).await;
        }
    }

    async fn topic_says(&self, light: &Light, such: impl Fn(&Value) -> bool) {
        let topic = format!("{ROOM}/light/{}", light.name);
        let people: Vec<_> = self.people.all.iter().map(|(name, person)| (name, person.sequence)).collect();
        let what = format!("{topic} does not know {people:?}, {:?} paused; {}", self.paused.keys(), self.told);
        let newest = |seen: &[crate::support::observer::Seen]| {
            let newest = seen.iter().rev().find(|seen| seen.topic == topic)?;
            such(&serde_json::from_str(&newest.payload).ok()?).then_some(())
        };
        self.bridge.wait(&what, newest).await;
    }

    fn knows(&self, light: &Light, topic: &Value) -> bool {
        let inputs = light.follow.iter().all(|name| topic["inputs"][*name] == self.people.all[name].sequence);
        inputs && topic["paused"]["value"] == self.paused.contains_key(light.name)
    }

    fn is_newest(&self, light: &Light, topic: &Value) -> bool {
        let is_paused = self.paused.contains_key(light.name);
        self.knows(light, topic) && (is_paused || (topic["shown"].is_object() && topic["shown"] == topic["wanted"]))
    }

    /// For a while no lamp is told anything but what it is to show.
    pub async fn stays_right(&self, long: Duration) {
        let since = Instant::now();
        tokio::time::sleep(long).await;
        for (light, command, seen) in self.commands().into_iter().filter(|(_, command, _)| command.at >= since) {
            let it = &LIGHTS[light];
            let is_right = is_shown(self.people.wanted_at(it, command.at), seen);
            assert!(is_right, "{} was to stay as it is, and was sent {command:?}\n{}", it.name, self.told);
        }
    }

    /// The hub's record: which light, and which colour; none where it was switched off.
    fn commands(&self) -> Vec<(usize, Command, Option<Point>)> {
        let seen = |command: &Command| {
            let xy = |axis: &str| command.body["color"]["xy"][axis].as_f64();
            let is_off = command.body["on"]["on"] == false;
            if is_off { Some(None) } else { Some(Some((xy("x")?, xy("y")?))) }
        };
        let all = self.hub.commands().all().into_iter().filter(|command| command.status == 200);
        all.filter_map(|command| {
            let light = LIGHTS.iter().position(|light| light.lamp == command.target)?;
            let seen = seen(&command)?;
            Some((light, command, seen))
        })
        .collect()
    }

    /// How often in a row, and for how long, each light was set back to something older than it had shown.
    pub fn set_back(&mut self) -> Vec<(usize, Duration)> {
        self.people.note();
        let mut worst = vec![(0, Duration::ZERO); LIGHTS.len()];
        let mut state = vec![(0, 0, None::<Instant>); LIGHTS.len()];
        for (light, command, seen) in self.commands() {
            let which = self.people.which(light, seen, command.at);
            let which = which.unwrap_or_else(|| panic!("nobody wanted {command:?}; {}", self.told));
            let (newest, older, since) = &mut state[light];
            if which < *newest {
                *older += 1;
                since.get_or_insert(command.at);
            } else {
                let long = since.take().map_or(Duration::ZERO, |since| command.at - since);
                (*newest, *older) = (which, 0);
                worst[light].1 = worst[light].1.max(long);
            }
            worst[light].0 = worst[light].0.max(*older);
        }
        worst
    }
}
