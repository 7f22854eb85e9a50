//! A location with three actuators, as processes of their own, on a real Mosquitto: whatever is killed, frozen
//! or restarted, the light ends at the newest presence and never goes back for longer than a command.
#![cfg(test)]
#![cfg(feature = "demo")]

mod support;

use std::time::{Duration, Instant};

use graph2mqtt::simulator::{Command, Gamut, Hub, Kind};
use nix::sys::signal::Signal;
use support::{Broker, Home, Observer, Program};

const MEMBERS: usize = 3;
const CHANGES: u64 = 500;
const FIRST: u64 = 1_000_000;
const PATIENCE: Duration = Duration::from_secs(60);
/// Statuses and their colours, which a lamp of gamut C can all show and nobody takes for one another.
const STATUSES: [(&str, &str); 11] = [
    ("Available", "xy:0.17,0.7"),
    ("Busy", "xy:0.6915,0.3083"),
    ("Away", "xy:0.1532,0.0475"),
    ("DoNotDisturb", "xy:0.38,0.16"),
    ("InACall", "xy:0.3,0.3"),
    ("InAMeeting", "xy:0.4,0.5"),
    ("Presenting", "xy:0.5,0.4"),
    ("BeRightBack", "xy:0.3,0.5"),
    ("OutOfOffice", "xy:0.2,0.3"),
    ("OffWork", "xy:0.25,0.2"),
    ("Offline", "xy:0.5,0.25"),
];

struct Location {
    hub: Hub,
    broker: Broker,
    bridge: Observer,
    homes: Vec<Home>,
    members: Vec<Option<Program>>,
    newest: u64,
    /// When each change was published.
    published: Vec<Instant>,
}

/// Which status a change brings: not the one of any of the ten before.
fn status(change: u64) -> usize {
    (change % STATUSES.len() as u64) as usize
}

fn point(status: usize) -> (f64, f64) {
    let (x, y) = STATUSES[status].1.strip_prefix("xy:").and_then(|point| point.split_once(',')).unwrap();
    (x.parse().unwrap(), y.parse().unwrap())
}

fn is_near(one: (f64, f64), other: (f64, f64)) -> bool {
    (one.0 - other.0).abs() < 0.02 && (one.1 - other.1).abs() < 0.02
}

impl Location {
    async fn start(broker: Broker) -> Self {
        let hub = Hub::plan().room("Office", &[("Desk", Kind::Color(Gamut::C))]).start().await.unwrap();
        let colors: Vec<String> = STATUSES.iter().map(|(status, point)| format!("{status}: \"{point}\"")).collect();
        let colors = colors.join(", ");
        let yaml = format!(
            "mqtt: {{ url: \"{}\" }}\nweb: {{ listen: \"127.0.0.1:0\" }}\n\
             hubs: {{ office: {{ host: \"{}\", id: \"{}\", key: \"{}\" }} }}\n\
             lights: {{ desk: {{ hub: office, target: light/Desk, follow: alex }} }}\n\
             colors: {{ {colors} }}\n",
            broker.url(),
            hub.address(),
            hub.bridge_id(),
            hub.key()
        );
        let homes: Vec<Home> = (0..MEMBERS).map(|_| Home::new(&yaml)).collect();
        let members = homes.iter().map(|home| Some(home.start(&["actuator"]))).collect();
        let bridge = Observer::connect(broker.address(), "graph2mqtt/actuator/#").await;
        let location = Self { hub, broker, bridge, homes, members, newest: FIRST, published: Vec::new() };
        location.online().await;
        location
    }

    async fn online(&self) {
        self.bridge.publish("graph2mqtt/bridge/state", "online", true).await;
        self.bridge.publish("graph2mqtt/account/alex/state", "online", true).await;
    }

    async fn change(&mut self) {
        self.newest += 1;
        self.published.push(Instant::now());
        self.present().await;
    }

    async fn present(&self) {
        let (sequence, (activity, _)) = (self.newest, STATUSES[status(self.newest)]);
        let since = jiff::Timestamp::from_second(sequence as i64).unwrap();
        let payload = format!(
            r#"{{"account":"alex","availability":"Available","activity":"{activity}","since":"{since}","sequence":{sequence}}}"#
        );
        self.bridge.publish("graph2mqtt/account/alex/presence", payload, true).await;
    }

    fn signal(&self, member: usize, signal: Signal) {
        if let Some(member) = &self.members[member] {
            member.signal(signal);
        }
    }

    fn kill(&mut self, member: usize) {
        if let Some(mut member) = self.members[member].take() {
            member.kill();
        }
    }

    fn begin(&mut self, member: usize) {
        if self.members[member].is_none() {
            self.members[member] = Some(self.homes[member].start(&["actuator"]));
        }
    }

    async fn restart_broker(&mut self) {
        self.broker.kill();
        self.broker.restart();
        self.bridge = Observer::connect(self.broker.address(), "graph2mqtt/actuator/#").await;
        self.online().await;
        self.present().await;
    }

    async fn ends_right(&self, why: &str) {
        let wanted = point(status(self.newest));
        let such = |lamp: &graph2mqtt::simulator::LampState| lamp.on && lamp.xy.is_some_and(|xy| is_near(xy, wanted));
        if let Err(late) = self.hub.wait_for("Desk", PATIENCE, such).await {
            panic!("{why}: the lamp shows {:?}, not {wanted:?}: {late:?}", self.hub.lamp("Desk"));
        }
    }

    /// The hub's record: which change each command shows, the newest that it can be.
    fn shown(&self) -> Vec<u64> {
        let change = |command: &Command| {
            let xy = |axis: &str| command.body["color"]["xy"][axis].as_f64();
            let (seen, known) = ((xy("x")?, xy("y")?), self.published.iter().filter(|at| **at <= command.at).count());
            (1..=known as u64).rev().find(|change| is_near(point(status(FIRST + change)), seen))
        };
        self.commands().iter().filter(|command| command.status == 200).filter_map(change).collect()
    }

    fn commands(&self) -> Vec<Command> {
        self.hub.commands().all()
    }
}

#[tokio::test]
async fn three_actuators_over_500_changes_with_kills_freezes_and_broker_restarts() {
    let Some(broker) = Broker::builder().start_mosquitto() else { return };
    let mut location = Location::start(broker).await;
    location.change().await;
    location.ends_right("at the start").await;
    for change in 1..CHANGES {
        location.change().await;
        let member = (change / 10) as usize % MEMBERS;
        match change % 50 {
            9 => location.kill(member),
            12 | 38 => location.begin((change / 10) as usize % MEMBERS),
            19 => location.signal(member, Signal::SIGSTOP),
            24 => (0..MEMBERS).for_each(|member| location.signal(member, Signal::SIGCONT)),
            29 => location.restart_broker().await,
            35 => location.kill(member),
            49 => {
                (0..MEMBERS).for_each(|member| location.begin(member));
                location.ends_right(&format!("after change {change}")).await;
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    location.ends_right("at the end").await;
    // Nobody sets it back later: all that is on its way, the grace times included, passes.
    tokio::time::sleep(Duration::from_secs(4)).await;
    location.ends_right("long after").await;
    let (mut newest, mut older) = (0, 0);
    for change in location.shown() {
        older = if change < newest { older + 1 } else { 0 };
        newest = newest.max(change);
        assert!(older <= MEMBERS, "set back for longer than a command of each: {:?}", location.shown());
    }
    eprintln!("{} commands for {CHANGES} changes", location.commands().len());
    for member in location.members.iter_mut().flatten() {
        assert!(!member.said().contains("panicked"), "{}", member.said());
    }
}

#[tokio::test]
async fn changes_that_come_apart_cost_one_command_each() {
    let Some(broker) = Broker::builder().start_mosquitto() else { return };
    let mut location = Location::start(broker).await;
    location.change().await;
    location.ends_right("at the start").await;
    // Every member's first look, and the first report, are through.
    tokio::time::sleep(Duration::from_secs(4)).await;
    location.hub.commands().clear();
    for _ in 0..6 {
        location.change().await;
        location.ends_right("one after the other").await;
        tokio::time::sleep(Duration::from_millis(2_500)).await;
    }
    let commands = location.commands();
    assert_eq!(commands.len(), 6, "{commands:#?}");
}
