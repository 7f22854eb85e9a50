//! Speed and memory of the release binary, as ratios to a bare loop of the same crates.
//!
//! `cargo bench` prints every row of the table, `cargo bench -- NAME` those whose name holds NAME
//! (`size`, `start`, `memory`, `way`, `lamp`, `sweep`, `crowd`, `discovery`, `refreshes`), `cargo bench -- --list`
//! the names. The program is built first, as a release and by itself; `cargo bench -- --program FILE` measures that
//! one.
//!
//! # How to read it
//! A row gives the figure of the bare loop, that of graph2mqtt, the ratio of the two, and the bar,
//! which is a ratio or an absolute figure. Where the row says so (a dead hub, 100,000 changes) the program is
//! compared with itself. The program is the real binary as users have it (`program` says why it is built apart),
//! started as a child with a configuration file; only the refreshes are those of the library that is linked with
//! this file. The bare loop is this file started again with `--bare`: reqwest, rumqttc,
//! serde_json and a current-thread tokio that do the least that can be called the same work. Both
//! talk to the same simulator of Entra, Graph and a hub (in this process, on a thread of its own) and to
//! the same stock Mosquitto (without one, the rows that need it say so and are left out). They
//! take turns, A B A B, and a figure is the median of its runs, so that a noisy machine hits both.
//!
//! The exit code is 0 unless something could not be run: a missed bar is for people to judge, because
//! a ratio of two wall clocks on a busy machine is no ground for failing a build.

mod bare;
mod broker;
mod crowd;
mod discovery;
mod lamps;
mod order;
mod process;
mod program;
mod refresh;
mod refresher;
mod side;
mod start;
mod table;
mod way;
mod world;

use std::path::Path;
use std::process::ExitCode;

use table::{Bar, Figure, Row, Unit};

/// What is measured together, and the rows that come of it.
struct Group {
    rows: &'static [&'static str],
    /// Whether they are of the program, or of the library in this file.
    of: Measured,
    measure: fn(&Path) -> anyhow::Result<Vec<Row>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measured {
    Program,
    Library,
}
use Measured::{Library, Program};

const GROUPS: &[Group] = &[
    Group { rows: &["binary size"], of: Program, measure: binary_size },
    Group { rows: start::ROWS, of: Program, measure: start::measure },
    Group { rows: way::ROWS, of: Program, measure: way::measure },
    Group { rows: lamps::ROWS, of: Program, measure: lamps::measure },
    Group { rows: crowd::ROWS, of: Program, measure: crowd::measure },
    Group { rows: discovery::ROWS, of: Program, measure: discovery::measure },
    Group { rows: refresh::ROWS, of: Library, measure: refresh::measure },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, orders] = arguments.as_slice()
        && flag == "--bare"
    {
        return ended(bare::run(orders.as_ref()));
    }
    if let [flag, messages, port] = arguments.as_slice()
        && flag == "--discovery"
    {
        return ended(discovery::send(messages.as_ref(), port));
    }
    if let [flag, errand] = arguments.as_slice()
        && flag == "--refresh"
    {
        return ended(refresher::run(errand.as_ref()));
    }
    // `cargo test --all-targets` starts benchmarks too, without this flag.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    if arguments.iter().any(|argument| argument == "--list") {
        GROUPS.iter().flat_map(|group| group.rows).for_each(|row| table::say(row));
        return ExitCode::SUCCESS;
    }
    if let Some(program) = arguments.iter().skip_while(|argument| *argument != "--record-order").nth(1) {
        return ended(order::record(program.as_ref()));
    }
    ended(run(&names(&arguments)).map(|rows| table::print(&rows)))
}

/// The rows that are asked for: what is no flag, and no flag's file.
fn names(arguments: &[String]) -> Vec<&str> {
    let is_file = |at: usize| at.checked_sub(1).is_some_and(|before| arguments[before] == program::FLAG);
    let words = arguments.iter().enumerate().filter(|(at, word)| !word.starts_with("--") && !is_file(*at));
    words.map(|(_, word)| word.as_str()).collect()
}

fn ended(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark could not run: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(wanted: &[&str]) -> anyhow::Result<Vec<Row>> {
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word));
    let folder = tempfile::tempdir()?;
    let groups: Vec<&Group> = GROUPS.iter().filter(|group| group.rows.iter().any(|row| is_wanted(row))).collect();
    if groups.iter().any(|group| group.of == Program) {
        eprintln!("measuring the program {}", program::path()?.display());
    }
    let mut rows = Vec::new();
    for group in groups {
        eprintln!("measuring {} …", group.rows.join(", "));
        let measured = (group.measure)(folder.path())?;
        if measured.is_empty() {
            eprintln!("left out: mosquitto is not installed");
        }
        rows.extend(measured.into_iter().filter(|row| is_wanted(row.name)));
    }
    Ok(rows)
}

fn binary_size(_folder: &Path) -> anyhow::Result<Vec<Row>> {
    let bytes = std::fs::metadata(program::path()?)?.len() as f64;
    let program = Figure::of(bytes);
    Ok(vec![Row { name: "binary size", unit: Unit::Bytes, bare: None, program, bar: Bar::AtMost(12e6) }])
}
