//! From Graph's answer to the PUT at the hub, by way of the broker.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::broker::Broker;
use crate::process::{Memory, Process};
use crate::side::{BOTH, Side, Work};
use crate::table::{Bar, Figure, Row, Unit, percentile};
use crate::world::World;

/// What comes of it.
pub const ROWS: &[&str] =
    &["way from Graph to the lamp, p50", "way from Graph to the lamp, p99", "memory, one account and a lamp"];
/// The shortest interval there is: one change a second can be seen.
const EVERY: Duration = Duration::from_secs(1);
/// Changes that count for each side.
const CHANGES: usize = 40;
/// The first ones open connections: they do not count.
const WARM_UP: usize = 3;
/// How long a change may take to reach the lamp, the wait for the poll included.
const PATIENCE: Duration = Duration::from_secs(15);

/// Runs both sides at once, each with a person and a lamp of its own: they rest nearly all the time,
/// and meet the same noise. Without a Mosquitto there are no rows.
pub fn measure(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let world = World::with_lamps(BOTH.len())?;
    let Some(broker) = Broker::start(folder)? else {
        return Ok(Vec::new());
    };
    let measured = thread::scope(|scope| {
        let runs = BOTH.map(|side| {
            scope.spawn({
                let (world, broker) = (&world, broker.port);
                move || changes(world, broker, side, folder).with_context(|| format!("{side:?}"))
            })
        });
        runs.map(|run| run.join().unwrap_or_else(|_| bail!("a panic")))
    });
    let [bare, program] = measured;
    let ((bare, bare_memory), (program, program_memory)) = (bare?, program?);
    let row = |name, bar, share| Row {
        name,
        unit: Unit::Seconds,
        bare: Some(Figure::of(percentile(&bare, share))),
        program: Figure::of(percentile(&program, share)),
        bar,
    };
    Ok(vec![
        row(ROWS[0], Bar::Ratio(1.5), 0.5),
        row(ROWS[1], Bar::None, 0.99),
        Row {
            name: ROWS[2],
            unit: Unit::Bytes,
            bare: Some(Figure::of(bare_memory.resident)),
            program: Figure::of(program_memory.resident),
            bar: Bar::AtMost(10e6),
        },
    ])
}

/// The ways of some changes, the shortest first, and the memory at their end.
fn changes(world: &World, broker: u16, side: Side, folder: &Path) -> anyhow::Result<(Vec<f64>, Memory)> {
    let person = BOTH.iter().position(|other| *other == side).unwrap_or_default();
    let people = &world.people()[person..=person];
    let work = Work { world, people, every: EVERY, broker, lamp: Some(world.lamp(person)?) };
    let mut process = side.start(&work, folder)?;
    let mut ways = Vec::with_capacity(CHANGES);
    for change in 0..WARM_UP + CHANGES {
        let way = one_change(world, &mut process, person)?;
        if change >= WARM_UP {
            ways.push(way.as_secs_f64());
        }
    }
    ways.sort_by(f64::total_cmp);
    let memory = process.memory()?;
    process.stop()?;
    Ok((ways, memory))
}

/// Changes what a person shows, and waits until the lamp was told.
pub fn one_change(world: &World, process: &mut Process, person: usize) -> anyhow::Result<Duration> {
    let before = world.last_put(person);
    world.toggle(person);
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let (Some(told), Some(put)) = (world.first_told(person), world.last_put(person))
            && Some(put) != before
            && put > told
        {
            return Ok(put - told);
        }
        if Instant::now() > deadline {
            bail!("no change at the lamp within {} s; {}", PATIENCE.as_secs(), process.last_words());
        }
        process.check()?;
        thread::sleep(Duration::from_millis(10));
    }
}
