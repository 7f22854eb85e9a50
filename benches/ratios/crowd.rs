//! Twenty thousand people: how soon all are published, what a sweep costs, what memory it takes.

use std::collections::HashSet;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::broker::{Broker, Seen, watch};
use crate::process::{Memory, Process};
use crate::side::{BOTH, Side, Work};
use crate::table::{Bar, Figure, Row, Unit};
use crate::world::World;

/// What comes of it.
pub const ROWS: &[&str] = &[
    "crowd: all 20,000 published",
    "sweep of 20,000, CPU",
    "memory, 20,000 accounts",
    "memory, 20,000 accounts, peak",
];
/// How many people there are.
const PEOPLE: usize = 20_000;
/// Shorter than the default of 5 s, so that there are enough sweeps; a sweep's cost does not depend on it.
const EVERY: Duration = Duration::from_secs(2);
/// How long sweeps are measured.
const SWEEPING: Duration = Duration::from_secs(14);
/// Every how many people one changes from one sweep to the next: 1 %.
const ONE_IN: usize = 100;
/// How often each side takes its turn.
const TURNS: usize = 2;
/// How long a side may take until all are published, and then until it has nothing more to send.
const PATIENCE: Duration = Duration::from_secs(90);
/// Nothing came for so long: all was sent.
const SILENCE: Duration = Duration::from_millis(2_500);

/// What one turn showed.
struct Turn {
    all_published: f64,
    sweep: f64,
    memory: Memory,
}

/// Runs both sides; without a Mosquitto there are no rows.
pub fn measure(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let world = World::start(PEOPLE)?;
    let mut turns: [Vec<Turn>; 2] = Default::default();
    for turn in 0..TURNS {
        for (side, results) in BOTH.into_iter().zip(&mut turns) {
            let folder = folder.join(format!("crowd-{turn}"));
            match one_turn(&world, side, &folder).with_context(|| format!("{side:?}, 20,000 people"))? {
                Some(result) => results.push(result),
                None => return Ok(Vec::new()),
            }
        }
    }
    Ok(rows(&turns))
}

fn rows(turns: &[Vec<Turn>; 2]) -> Vec<Row> {
    let row = |name, unit, bar, value: fn(&Turn) -> f64| {
        let [bare, program] = turns.each_ref().map(|turns| {
            let runs: Vec<f64> = turns.iter().map(value).collect();
            Figure::of_runs(&runs)
        });
        program.map(|program| Row { name, unit, bare, program, bar })
    };
    [
        row(ROWS[0], Unit::Seconds, Bar::AtMost(4.0), |turn| turn.all_published),
        row(ROWS[1], Unit::Seconds, Bar::Ratio(1.5), |turn| turn.sweep),
        row(ROWS[2], Unit::Bytes, Bar::AtMost(40e6), |turn| turn.memory.resident),
        row(ROWS[3], Unit::Bytes, Bar::None, |turn| turn.memory.peak),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn one_turn(world: &World, side: Side, folder: &Path) -> anyhow::Result<Option<Turn>> {
    std::fs::create_dir_all(folder)?;
    let Some(broker) = Broker::start(folder)? else {
        return Ok(None);
    };
    let seen = watch(broker.port, "#")?;
    let work = Work { world, people: world.people(), every: EVERY, broker: broker.port, lamp: None };
    let mut process = side.start(&work, folder)?;
    let all_published = until_all_published(&mut process, &seen, side)?;
    until_silent(&mut process, &seen)?;
    let sweep = sweeps(world, &process)?;
    process.check()?;
    let memory = process.memory()?;
    process.stop()?;
    Ok(Some(Turn { all_published: all_published.as_secs_f64(), sweep, memory }))
}

fn until_all_published(process: &mut Process, seen: &Receiver<Seen>, side: Side) -> anyhow::Result<Duration> {
    let prefix = format!("{}/account/", side.base());
    let deadline = process.started + PATIENCE;
    let mut published = HashSet::with_capacity(PEOPLE);
    while published.len() < PEOPLE {
        let message = match seen.recv_timeout(Duration::from_secs(1)) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {
                process.check()?;
                continue;
            }
            Err(_) => {
                let (so_far, said) = (published.len(), process.last_words());
                bail!("{so_far} of {PEOPLE} presences within {} s; {said}", PATIENCE.as_secs())
            }
        };
        let account = message.topic.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix("/presence"));
        if let Some(account) = account
            && published.insert(account.to_owned())
            && published.len() == PEOPLE
        {
            return Ok(message.at - process.started);
        }
    }
    bail!("nobody to publish")
}

fn until_silent(process: &mut Process, seen: &Receiver<Seen>) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while seen.recv_timeout(SILENCE).is_ok() {
        if Instant::now() > deadline {
            bail!("messages still come after {} s; {}", PATIENCE.as_secs(), process.last_words());
        }
    }
    process.check()
}

/// CPU seconds for each time that everybody was read, while one in a hundred changes in between.
fn sweeps(world: &World, process: &Process) -> anyhow::Result<f64> {
    let end = Instant::now() + SWEEPING;
    let (cpu, read) = (process.cpu()?, world.presences_read());
    let mut round = 0;
    while Instant::now() < end {
        for person in (round % ONE_IN..PEOPLE).step_by(ONE_IN) {
            world.toggle(person);
        }
        round += 1;
        thread::sleep(EVERY);
    }
    let (cpu, read) = (process.cpu()?.since(&cpu), world.presences_read() - read);
    let sweeps = read as f64 / PEOPLE as f64;
    if sweeps < 1.0 {
        bail!("only {read} presences were read in {} s", SWEEPING.as_secs());
    }
    Ok(cpu.as_secs_f64() / sweeps)
}
