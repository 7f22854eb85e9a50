//! Records which functions a run uses, for the linker: build.rs puts them side by side, and what lies
//! between them today is not resident tomorrow.
//!
//! It needs valgrind, and a release with the names of its functions:
//!
//! ```sh
//! cargo rustc --release --bin graph2mqtt -- -C strip=none
//! cp target/release/graph2mqtt /tmp/named
//! cargo bench -- --record-order /tmp/named
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, bail};

use crate::broker::Broker;
use crate::process::Process;
use crate::side::{self, Work};
use crate::table;
use crate::way;
use crate::world::World;

/// What build.rs reads.
const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/build/order.txt");
/// How the list begins.
const HEAD: &str = "\
# The functions that a bridge with an account and a lamp runs, and one whose Entra is away, as the linker's patterns; see build.rs.\n\
# Recorded by `cargo bench -- --record-order`; see benches/ratios/order.rs.\n";
/// What the linker's script and a reader can bear; longer names are those of nested futures.
const LONGEST: usize = 160;
/// Polls and commands come often enough that each path is seen.
const EVERY: Duration = Duration::from_secs(1);
/// Changes that travel to the lamp.
const CHANGES: usize = 4;
/// Fewer are not a run of this program: its symbols are missing.
const FEWEST: usize = 500;

/// What the program meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entra {
    /// Presences, which travel to a lamp.
    Answers,
    /// An address by https, for which names and the machine's trust store are read, and where nobody is.
    IsAway,
}

/// Where nobody is.
const NOWHERE: &str = "https://localhost:1";
/// How the log says so.
const AWAY: &str = "presence unknown";
/// How long that may take, under valgrind.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the named program, and writes the list.
pub fn record(program: &Path) -> anyhow::Result<()> {
    let program = program.canonicalize().with_context(|| format!("{}", program.display()))?;
    let folder = tempfile::tempdir()?;
    let mut ran = BTreeSet::new();
    for entra in [Entra::Answers, Entra::IsAway] {
        let folder = folder.path().join(format!("{entra:?}"));
        fs::create_dir_all(&folder)?;
        let profile = run(&program, &folder, entra)?;
        ran.extend(executed(&profile, &program.to_string_lossy()));
    }
    let patterns: BTreeSet<String> = ran.iter().flat_map(|name| patterns(name)).collect();
    if patterns.len() < FEWEST {
        bail!("only {} functions of {} have names: build it with `-C strip=none`", patterns.len(), program.display());
    }
    let lines = patterns.iter().fold(HEAD.to_owned(), |list, pattern| list + pattern + "\n");
    fs::write(LIST, lines).context(LIST)?;
    table::say(&format!("{} patterns in {LIST}", patterns.len()));
    Ok(())
}

/// Valgrind's record of one run.
fn run(program: &Path, folder: &Path, entra: Entra) -> anyhow::Result<String> {
    let world = World::with_lamps(1)?;
    let broker = Broker::start(folder)?.context("mosquitto is not installed")?;
    let lamp = Some(world.lamp(0)?);
    let work = Work { world: &world, people: world.people(), every: EVERY, broker: broker.port, lamp };
    let configured = side::command(program, &work, folder, "run")?;
    let (profile, configuration) = (folder.join("profile"), folder.join(side::CONFIGURATION));
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--demangle=no"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program)
        .args(configured.get_args())
        .current_dir(folder);
    if entra == Entra::IsAway {
        let yaml = fs::read_to_string(&configuration)?;
        fs::write(&configuration, yaml.replace(&world.authority(), NOWHERE))?;
    }
    let mut process = Process::start(valgrind, &folder.join("log"))?;
    match entra {
        Entra::Answers => (0..CHANGES).try_for_each(|_| way::one_change(&world, &mut process, 0).map(drop))?,
        Entra::IsAway => until_said(&mut process, AWAY)?,
    }
    process.stop()?;
    fs::read_to_string(&profile).context("valgrind's record")
}

fn until_said(process: &mut Process, words: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !process.last_words().contains(words) {
        process.check()?;
        if Instant::now() > deadline {
            bail!("it did not say {words:?}; {}", process.last_words());
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// What valgrind writes for an object that it is not sure of: the program's own, as often as not.
const UNSURE: &str = "???";

/// The functions of the program that ran. The record names a file or a function in full once, and by a
/// number afterwards: <https://valgrind.org/docs/manual/cl-format.html>.
fn executed(profile: &str, program: &str) -> BTreeSet<String> {
    let mut objects = BTreeMap::new();
    let mut names = BTreeMap::new();
    let (mut ran, mut object) = (BTreeSet::new(), String::new());
    for line in profile.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        match key {
            "ob" => object = resolved(&mut objects, value),
            "cob" => drop(resolved(&mut objects, value)),
            "cfn" => drop(resolved(&mut names, value)),
            "fn" => {
                let name = resolved(&mut names, value);
                if object == program || object == UNSURE {
                    ran.insert(name);
                }
            }
            _ => {}
        }
    }
    ran
}

/// `(12) name` is remembered, `(12)` is looked up.
fn resolved(known: &mut BTreeMap<String, String>, value: &str) -> String {
    match value.split_once(' ') {
        Some((number, name)) => {
            known.insert(number.to_owned(), name.to_owned());
            name.to_owned()
        }
        None => known.get(value).cloned().unwrap_or_default(),
    }
}

/// What finds a function again in the next build, without what changes from one to the next: the hash at
/// the end of an old-style name, that of a crate in a new-style one, a C compiler's suffix.
fn patterns(name: &str) -> Vec<String> {
    // valgrind counts recursion behind an apostrophe.
    let name = until(name, '\'');
    if name.starts_with("0x") || name.contains(['(', ' ']) {
        return Vec::new();
    }
    if let Some((path, _)) = name.starts_with("_ZN").then(|| name.rsplit_once("17h")).flatten() {
        return vec![shortened(path, "17h*")];
    }
    // Copies are numbered behind a dot.
    let plain = until(name, '.');
    if name.starts_with("_R") {
        return vec![shortened(&without_hashes(plain), "*")];
    }
    vec![plain.to_owned(), format!("{plain}.*")]
}

fn until(name: &str, end: char) -> &str {
    name.split(end).next().unwrap_or(name)
}

fn shortened(name: &str, end: &str) -> String {
    match name.get(..LONGEST) {
        Some(start) => format!("{start}*"),
        None => format!("{name}{end}"),
    }
}

/// `Cs` and a number to the base of 62 and `_` stands before the name of each crate:
/// <https://doc.rust-lang.org/rustc/symbol-mangling/v0.html>.
fn without_hashes(name: &str) -> String {
    let mut parts = name.split("Cs");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |done, part| match part.split_once('_') {
        Some((hash, rest)) if hash.len() > 8 => format!("{done}Cs*_{rest}"),
        _ => format!("{done}Cs{part}"),
    })
}
