//! Speed and memory of the release binary, as ratios to a bare loop of the same crates.
//!
//! `cargo bench` prints every row of the table, `cargo bench -- NAME` those whose name holds NAME
//! (`size`, `start`, `memory`, `way`, `sweep`, `crowd`), `cargo bench -- --list` the names.
//!
//! # How to read it
//! A row gives the figure of the bare loop, that of graph2mqtt, the ratio of the two, and the bar,
//! which is a ratio or an absolute figure. The program is the real binary, started as a child with a
//! configuration file; the bare loop is this file started again with `--bare`: reqwest, rumqttc,
//! serde_json and a current-thread tokio that do the least that can be called the same work. Both
//! talk to the same simulator of Entra, Graph and a hub (in this process, on a thread of its own) and to
//! the same stock Mosquitto (without one, the rows that need it say so and are left out). They
//! take turns, A B A B, and a figure is the median of its runs, so that a noisy machine hits both.
//!
//! The exit code is 0 unless something could not be run: a missed bar is for people to judge, because
//! a ratio of two wall clocks on a busy machine is no ground for failing a build.

#![expect(dead_code, reason = "the rows that need the simulator come with it")]

mod bare;
mod broker;
mod process;
mod table;

use std::process::ExitCode;

use table::{Bar, Figure, Row, Unit};

/// What a row is called on the command line and in the table.
const ROWS: &[&str] = &["binary size"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, orders] = arguments.as_slice()
        && flag == "--bare"
    {
        return ended(bare::run(orders.as_ref()));
    }
    // `cargo test --all-targets` starts benchmarks too, without this flag.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    if arguments.iter().any(|argument| argument == "--list") {
        table::say(&ROWS.join("\n"));
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&str> = arguments.iter().map(String::as_str).filter(|word| !word.starts_with("--")).collect();
    ended(run(&wanted).map(|rows| table::print(&rows)))
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
    let mut rows = Vec::new();
    if is_wanted("binary size") {
        rows.push(binary_size()?);
    }
    Ok(rows)
}

fn binary_size() -> anyhow::Result<Row> {
    let bytes = std::fs::metadata(env!("CARGO_BIN_EXE_graph2mqtt"))?.len();
    Ok(Row {
        name: "binary size",
        unit: Unit::Bytes,
        bare: None,
        program: Figure::of(bytes as f64),
        bar: Bar::AtMost(12e6),
    })
}
