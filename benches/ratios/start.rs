//! One account: from the start to the first retained presence, and the memory it takes.

use std::path::Path;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::broker::{Broker, Seen, watch};
use crate::process::{Memory, Process};
use crate::side::{BOTH, Side, Work};
use crate::table::{Bar, Figure, Row, Unit};
use crate::world::World;

/// What comes of it.
pub const ROWS: &[&str] = &["start to first presence", "memory, one account", "memory, one account, peak"];
/// The default interval of an active account.
const EVERY: Duration = Duration::from_secs(5);
/// Starts of each side that count. One more goes before: it makes the store.
const STARTS: usize = 12;
/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// After so long, memory is what it will be: start-up is over, and one more poll was made.
const SETTLED: Duration = Duration::from_secs(6);

/// Runs both sides; without a Mosquitto there are no rows.
pub fn measure(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let world = World::start(1)?;
    let Some(broker) = Broker::start(folder)? else {
        return Ok(Vec::new());
    };
    let seen = watch(broker.port, "+/account/+/presence")?;
    let work = Work { world: &world, people: world.people(), every: EVERY, broker: broker.port, lamp: None };
    let mut starts: [Vec<f64>; 2] = Default::default();
    for turn in 0..=STARTS {
        // One that neither has published yet.
        let availability = world.toggle(0);
        for (side, results) in BOTH.into_iter().zip(&mut starts) {
            let (process, took) =
                first_presence(&work, side, folder, &seen, availability).with_context(|| format!("{side:?}"))?;
            process.stop()?;
            if turn > 0 {
                results.push(took.as_secs_f64());
            }
        }
    }
    let [bare, program] = settled(&work, folder, &seen)?;
    let figures = starts.each_ref().map(|runs| Figure::of_runs(runs));
    let [bare_start, Some(program_start)] = figures else {
        return Ok(Vec::new());
    };
    let memory = |name, bar, value: fn(Memory) -> f64| Row {
        name,
        unit: Unit::Bytes,
        bare: Some(Figure::of(value(bare))),
        program: Figure::of(value(program)),
        bar,
    };
    Ok(vec![
        Row { name: ROWS[0], unit: Unit::Seconds, bare: bare_start, program: program_start, bar: Bar::AtMost(0.05) },
        memory(ROWS[1], Bar::AtMost(10e6), |memory| memory.resident),
        memory(ROWS[2], Bar::None, |memory| memory.peak),
    ])
}

/// Starts a side, and waits for this availability from it.
fn first_presence(
    work: &Work<'_>,
    side: Side,
    folder: &Path,
    seen: &Receiver<Seen>,
    availability: &str,
) -> anyhow::Result<(Process, Duration)> {
    // What the one before left.
    while seen.try_recv().is_ok() {}
    let mut process = side.start(work, folder)?;
    let wanted = format!("\"{availability}\"");
    let deadline = process.started + PATIENCE;
    while Instant::now() < deadline {
        let Ok(message) = seen.recv_timeout(Duration::from_millis(200)) else {
            process.check()?;
            continue;
        };
        // A presence from before the start does not count.
        if message.topic.starts_with(side.base()) && String::from_utf8_lossy(&message.payload).contains(&wanted) {
            let took = message.at - process.started;
            return Ok((process, took));
        }
    }
    bail!("no presence within {} s of the start; {}", PATIENCE.as_secs(), process.last_words())
}

fn settled(work: &Work<'_>, folder: &Path, seen: &Receiver<Seen>) -> anyhow::Result<[Memory; 2]> {
    let availability = work.world.toggle(0);
    let [bare, program] = BOTH.map(|side| first_presence(work, side, folder, seen, availability));
    let ((bare, _), (program, _)) = (bare?, program?);
    thread::sleep(SETTLED);
    Ok([bare.memory()?, program.memory()?])
}
