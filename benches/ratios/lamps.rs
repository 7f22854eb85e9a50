//! The actuator alone: from a change at the broker to the PUT at the hub, with a dead hub beside, over many changes.
//!
//! The changes are published here, as a bridge does. In the last two rows the program is compared with itself.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, bail};
use graph2mqtt::simulator::{Fault, Hub, What};

use crate::broker::{Broker, Publisher};
use crate::process::Process;
use crate::program;
use crate::side::{BOTH, Side, Work};
use crate::table::{Bar, Figure, Row, Unit, percentile};
use crate::world::World;

/// What comes of it.
pub const ROWS: &[&str] = &[
    "way from the broker to the lamp, p50",
    "way from the broker to the lamp, p99",
    "40 lights on 4 hubs, a fifth hub dead",
    "memory, 100,000 changes at a lamp",
];

/// Changes that count for each side.
const CHANGES: usize = 150;
/// The first ones open connections: they do not count.
const WARM_UP: usize = 5;
/// Longer than a lamp's limit of one command in 100 ms, so that no change waits for the one before.
const APART: Duration = Duration::from_millis(160);

const HUBS: usize = 5;
const LAMPS: usize = 10;
/// How often the fifth hub lives and is dead, in turns, and changes in each.
const TURNS: usize = 3;
const ROUNDS: usize = 6;

/// Changes until memory counts as what it is, and until it is looked at again.
const FIRST: usize = 2_000;
const MANY: usize = 100_000;
/// Fewer than a stock broker queues for a client, and how long a client has for them.
const AT_ONCE: usize = 200;
const PAUSE: Duration = Duration::from_millis(50);

const PATIENCE: Duration = Duration::from_secs(30);

/// Without a Mosquitto there are no rows.
pub fn measure(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let folder = folder.join("lamps");
    fs::create_dir_all(&folder)?;
    let Some(broker) = Broker::start(&folder)? else {
        return Ok(Vec::new());
    };
    let publisher = Publisher::connect(broker.port)?;
    let world = World::with_lamps(BOTH.len())?;
    let lamp = world.lamp(0)?;
    let work =
        Work { world: &world, people: &[], every: Duration::from_secs(3600), broker: broker.port, lamp: Some(lamp) };
    let mut bare = Side::Bare.start(&work, &folder)?;
    let mut program = actuator(&folder.join("one"), broker.port, world.hubs().get(1..).context("two hubs")?)?;
    let mut feed = Feed::new(&publisher)?;
    let ways = [(Side::Bare, 0), (Side::Program, 1)].map(|(side, hub)| (side, &world.hubs()[hub]));
    let [bare_ways, program_ways] = one_by_one(&mut feed, ways, [&mut bare, &mut program])?;
    bare.stop()?;
    let memory = many(&mut feed, &world.hubs()[1], &mut program)?;
    program.stop()?;
    let live_and_dead = beside_a_dead_hub(&mut feed, &folder, broker.port)?;
    let row = |name, bar, share| Row {
        name,
        unit: Unit::Seconds,
        bare: Some(Figure::of(percentile(&bare_ways, share))),
        program: Figure::of(percentile(&program_ways, share)),
        bar,
    };
    let [live, dead] = live_and_dead.map(|runs| Figure::of_runs(&runs));
    let (first, last) = memory;
    Ok(vec![
        row(ROWS[0], Bar::Ratio(1.5), 0.5),
        row(ROWS[1], Bar::None, 0.99),
        Row { name: ROWS[2], unit: Unit::Seconds, bare: live, program: dead.context("rounds")?, bar: Bar::Ratio(1.2) },
        Row {
            name: ROWS[3],
            unit: Unit::Bytes,
            bare: Some(Figure::of(first)),
            program: Figure::of(last),
            bar: Bar::Ratio(1.05),
        },
    ])
}

/// What a bridge publishes of a person, for both sides.
struct Feed<'a> {
    publisher: &'a Publisher,
    sequence: u64,
    /// What each side's person shows.
    busy: [bool; 2],
}

impl<'a> Feed<'a> {
    fn new(publisher: &'a Publisher) -> anyhow::Result<Self> {
        let base = Side::Program.base();
        publisher.publish(&format!("{base}/bridge/state"), "online", true)?;
        publisher.publish(&format!("{base}/account/p0/state"), "online", true)?;
        Ok(Self { publisher, sequence: 1_000_000, busy: [false; 2] })
    }

    /// The next change; answers with when it was published.
    fn change(&mut self, side: Side) -> anyhow::Result<Instant> {
        self.sequence += 1;
        let number = self.sequence;
        let is_busy = &mut self.busy[usize::from(side == Side::Program)];
        *is_busy = !*is_busy;
        let (availability, activity) = if *is_busy { ("Busy", "InACall") } else { ("Available", "Available") };
        let payload = format!(
            r#"{{"account":"p0","id":"p0","availability":"{availability}","activity":"{activity}","since":"2026-11-24T08:00:00Z","sequence":{number}}}"#
        );
        let at = Instant::now();
        self.publisher.publish(&format!("{}/account/p0/presence", side.base()), &payload, true)?;
        Ok(at)
    }
}

/// An actuator with every lamp of these hubs but the last of each: else one command to the room would do for all.
fn actuator(folder: &Path, broker: u16, hubs: &[Hub]) -> anyhow::Result<Process> {
    fs::create_dir_all(folder)?;
    let mut yaml = format!("mqtt: {{ url: 'mqtt://127.0.0.1:{broker}', base_topic: {} }}\n", Side::Program.base());
    yaml.push_str("web: { listen: '127.0.0.1:0' }\nhubs:\n");
    for (number, hub) in hubs.iter().enumerate() {
        let (host, id, key) = (hub.address(), hub.bridge_id(), hub.key());
        writeln!(yaml, "  h{number}: {{ host: '{host}', id: '{id}', key: {key} }}")?;
    }
    yaml.push_str("lights:\n");
    for (number, hub) in hubs.iter().enumerate() {
        for lamp in World::lamps_of(hub) {
            let name = format!("h{number}_{}", lamp.to_lowercase());
            writeln!(yaml, "  {name}: {{ hub: h{number}, target: 'light/{lamp}', follow: p0 }}")?;
        }
    }
    let file = folder.join("graph2mqtt.yaml");
    fs::write(&file, yaml)?;
    let mut command = Command::new(program::path()?);
    command.arg("actuator").arg("--config").arg(file).current_dir(folder);
    Process::start(command, &folder.join("log"))
}

/// The ways of single changes to either side's lamp in turns, the shortest first.
fn one_by_one(
    feed: &mut Feed<'_>,
    sides: [(Side, &Hub); 2],
    processes: [&mut Process; 2],
) -> anyhow::Result<[Vec<f64>; 2]> {
    let mut ways = [Vec::with_capacity(CHANGES), Vec::with_capacity(CHANGES)];
    for change in 0..WARM_UP + CHANGES {
        for (turn, (side, hub)) in sides.into_iter().enumerate() {
            hub.commands().clear();
            let at = feed.change(side)?;
            let put = until(processes[turn], || hub.commands().all().first().map(|command| command.at))
                .with_context(|| format!("{side:?}"))?;
            if change >= WARM_UP {
                ways[turn].push((put - at).as_secs_f64());
            }
        }
        thread::sleep(APART);
    }
    ways.iter_mut().for_each(|ways| ways.sort_by(f64::total_cmp));
    Ok(ways)
}

/// Resident memory after the first changes and after many.
fn many(feed: &mut Feed<'_>, hub: &Hub, program: &mut Process) -> anyhow::Result<(f64, f64)> {
    hub.keep(false);
    let mut resident = [0.0; 2];
    for (changes, resident) in [FIRST, MANY].into_iter().zip(&mut resident) {
        for number in 0..changes {
            feed.change(Side::Program)?;
            if number % AT_ONCE == 0 {
                thread::sleep(PAUSE);
                program.check()?;
            }
        }
        thread::sleep(Duration::from_secs(2));
        *resident = program.memory()?.resident;
    }
    let [first, last] = resident;
    Ok((first, last))
}

/// How long a change takes to reach all lamps of the first four hubs, while the fifth lives and while it is dead.
fn beside_a_dead_hub(feed: &mut Feed<'_>, folder: &Path, broker: u16) -> anyhow::Result<[Vec<f64>; 2]> {
    let world = World::with_hubs(HUBS, LAMPS)?;
    let mut program = actuator(&folder.join("five"), broker, world.hubs())?;
    let (fifth, four) = world.hubs().split_last().context("five hubs")?;
    // The lamps' first look.
    round(feed, world.hubs(), &mut program)?;
    let mut ways = [Vec::new(), Vec::new()];
    for turn in 0..2 * TURNS {
        let is_dead = turn % 2 == 1;
        if is_dead {
            fifth.fault(Fault::new("", What::Hang));
            fifth.disconnect();
        } else {
            fifth.clear_faults();
            fifth.disconnect();
        }
        for _ in 0..ROUNDS {
            ways[usize::from(is_dead)].push(round(feed, four, &mut program)?.as_secs_f64());
        }
    }
    program.stop()?;
    Ok(ways)
}

/// One change, until all lamps of these hubs were commanded, and a while longer.
fn round(feed: &mut Feed<'_>, hubs: &[Hub], program: &mut Process) -> anyhow::Result<Duration> {
    hubs.iter().for_each(|hub| hub.commands().clear());
    let at = feed.change(Side::Program)?;
    let mut last = at;
    for hub in hubs {
        let put = until(program, || hub.commands().all().get(LAMPS - 1).map(|command| command.at))?;
        last = last.max(put);
    }
    thread::sleep(Duration::from_millis(400));
    Ok(last - at)
}

/// Waits for what the simulator saw.
fn until<T>(process: &mut Process, seen: impl Fn() -> Option<T>) -> anyhow::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = seen() {
            return Ok(seen);
        }
        if Instant::now() > deadline {
            bail!("no change at the lamp within {} s; {}", PATIENCE.as_secs(), process.last_words());
        }
        process.check()?;
        thread::sleep(Duration::from_millis(5));
    }
}
