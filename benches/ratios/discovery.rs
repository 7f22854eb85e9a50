//! Twenty thousand accounts' devices for Home Assistant: how long their publishing takes at a start, against a loop
//! that holds the very same messages in memory and has nothing to do but send them.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use tokio::runtime::Builder;

use crate::bare::{connect, drive};
use crate::broker::{Broker, Seen, watch};
use crate::process::Process;
use crate::program;
use crate::side::{BOTH, Side, Work, command};
use crate::table::{Bar, Figure, Row, Unit};
use crate::world::World;

/// What comes of it.
pub const ROWS: &[&str] = &["discovery of 20,000, published at start", "discovery of 20,000, CPU"];
/// How many people there are.
const PEOPLE: usize = 20_000;
/// Everybody is asked for once, and hardly again meanwhile.
const EVERY: Duration = Duration::from_secs(30);
/// How often each side takes its turn.
const TURNS: usize = 3;
/// How long a side may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What one turn showed: seconds from the first message to the last, CPU seconds between the two, and bytes.
struct Turn {
    wall: f64,
    cpu: f64,
    bytes: usize,
}

/// Runs both sides; without a Mosquitto there are no rows.
pub fn measure(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let world = World::start(PEOPLE)?;
    let mut turns: [Vec<Turn>; 2] = Default::default();
    for turn in 0..TURNS {
        for (side, results) in BOTH.into_iter().zip(&mut turns) {
            let folder = folder.join(format!("discovery-{turn}"));
            match one_turn(&world, side, &folder).with_context(|| format!("{side:?}, 20,000 devices"))? {
                Some(result) => results.push(result),
                None => return Ok(Vec::new()),
            }
        }
    }
    let bytes: Vec<usize> = turns.iter().flatten().map(|turn| turn.bytes).collect();
    if bytes.windows(2).any(|pair| pair[0] != pair[1]) {
        bail!("the two did not publish the same: {bytes:?} bytes");
    }
    let row = |name, bar, value: fn(&Turn) -> f64| {
        let [bare, program] = turns.each_ref().map(|turns| {
            let runs: Vec<f64> = turns.iter().map(value).collect();
            Figure::of_runs(&runs)
        });
        program.map(|program| Row { name, unit: Unit::Seconds, bare, program, bar })
    };
    let rows = [row(ROWS[0], Bar::Ratio(1.3), |turn| turn.wall), row(ROWS[1], Bar::None, |turn| turn.cpu)];
    Ok(rows.into_iter().flatten().collect())
}

fn one_turn(world: &World, side: Side, folder: &Path) -> anyhow::Result<Option<Turn>> {
    fs::create_dir_all(folder)?;
    let Some(broker) = Broker::start(folder)? else {
        return Ok(None);
    };
    let seen = watch(broker.port, "homeassistant/device/#")?;
    let work = Work { world, people: world.people(), every: EVERY, broker: broker.port, lamp: None };
    let mut process = match side {
        Side::Program => side.start(&work, folder)?,
        Side::Bare => Process::start(bare_loop(&work, folder)?, &folder.join("bare.log"))?,
    };
    let turn = until_published(&mut process, &seen)?;
    process.stop()?;
    Ok(Some(turn))
}

/// A loop that sends what the program says it publishes with the same configuration.
fn bare_loop(work: &Work<'_>, folder: &Path) -> anyhow::Result<Command> {
    let file = folder.join("messages");
    let mut command = command(program::path()?, work, folder, "discovery")?;
    let status = command.stdout(File::create(&file)?).status().context("graph2mqtt discovery")?;
    if !status.success() {
        bail!("graph2mqtt discovery: {status}");
    }
    let mut command = Command::new(std::env::current_exe().context("this file")?);
    command.arg("--discovery").arg(file).arg(work.broker.to_string());
    Ok(command)
}

/// The bare loop: reads its messages, sends them, and waits for its end.
pub fn send(messages: &Path, port: &str) -> anyhow::Result<()> {
    let messages = Bytes::from(fs::read(messages)?);
    let port = port.parse().context("the broker's port")?;
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (publisher, events) = connect("bare-discovery", port);
        tokio::spawn(drive(events));
        for line in messages.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let space = line.iter().position(|byte| *byte == b' ').context("a line of topic and payload")?;
            let (topic, payload) = (str::from_utf8(&line[..space])?, messages.slice_ref(&line[space + 1..]));
            publisher.publish(topic, QoS::AtLeastOnce, true, payload).await?;
        }
        std::future::pending().await
    })
}

fn until_published(process: &mut Process, seen: &Receiver<Seen>) -> anyhow::Result<Turn> {
    let deadline = Instant::now() + PATIENCE;
    let (mut count, mut bytes, mut begun) = (0, 0, None);
    // The bridge's own device is one more.
    while count <= PEOPLE {
        let Ok(message) = seen.recv_timeout(Duration::from_secs(1)) else {
            process.check()?;
            if Instant::now() > deadline {
                bail!("{count} devices within {} s; {}", PATIENCE.as_secs(), process.last_words());
            }
            continue;
        };
        if begun.is_none() {
            begun = Some((message.at, process.cpu()?));
        }
        count += 1;
        bytes += message.payload.len();
        if let Some((first, cpu)) = begun.as_ref().filter(|_| count > PEOPLE) {
            let cpu = process.cpu()?.since(cpu);
            return Ok(Turn { wall: (message.at - *first).as_secs_f64(), cpu: cpu.as_secs_f64(), bytes });
        }
    }
    bail!("nobody to publish")
}
