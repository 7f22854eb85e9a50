//! The two that are compared, started with the same work.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use crate::bare::{self, Orders};
use crate::process::Process;
use crate::program;
use crate::world::{Lamp, World};

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// This file's own loop.
    Bare,
    /// The program.
    Program,
}

/// Both, in the order in which they take turns.
pub const BOTH: [Side; 2] = [Side::Bare, Side::Program];

/// The work.
pub struct Work<'a> {
    /// Entra, Graph, the hub.
    pub world: &'a World,
    /// Whose presence is published.
    pub people: &'a [String],
    /// Between two polls.
    pub every: Duration,
    /// The broker's port.
    pub broker: u16,
    /// The lamp that follows the first person.
    pub lamp: Option<Lamp>,
}

impl Side {
    /// What its topics begin with.
    pub fn base(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Program => "program",
        }
    }

    /// Starts it. `folder` keeps its files and, for the program, its store from one start to the next.
    pub fn start(self, work: &Work<'_>, folder: &Path) -> anyhow::Result<Process> {
        let folder = folder.join(self.base());
        fs::create_dir_all(&folder)?;
        let command = match self {
            Self::Bare => bare_loop(work, &folder)?,
            Self::Program => command(program::path()?, work, &folder, "run")?,
        };
        Process::start(command, &folder.join("log"))
    }
}

/// The file of the program's configuration.
pub const CONFIGURATION: &str = "graph2mqtt.yaml";

/// One of the program's commands with its configuration in this folder.
pub fn command(program: &Path, work: &Work<'_>, folder: &Path, command: &str) -> anyhow::Result<Command> {
    let file = folder.join(CONFIGURATION);
    fs::write(&file, configuration(work)?)?;
    let mut program = Command::new(program);
    program.arg(command).arg("--config").arg(file).current_dir(folder);
    Ok(program)
}

fn bare_loop(work: &Work<'_>, folder: &Path) -> anyhow::Result<Command> {
    let world = work.world;
    let orders = Orders {
        token_url: format!("{}/{}/oauth2/v2.0/token", world.authority(), world.tenant()),
        client_id: world.client_id().to_owned(),
        client_secret: world.client_secret().to_owned(),
        presences_url: format!("{}/communications/getPresencesByUserId", world.graph()),
        people: work.people.to_vec(),
        every: work.every,
        broker: work.broker,
        base: Side::Bare.base().to_owned(),
        light: work.lamp.as_ref().map(|lamp| bare::Light { url: lamp.url.clone(), key: lamp.key.clone() }),
    };
    let file = folder.join("orders.json");
    fs::write(&file, serde_json::to_vec(&orders)?)?;
    let mut command = Command::new(std::env::current_exe().context("this file")?);
    command.arg("--bare").arg(file);
    Ok(command)
}

fn configuration(work: &Work<'_>) -> Result<String, std::fmt::Error> {
    let (world, mut yaml) = (work.world, String::new());
    writeln!(yaml, "mqtt: {{ url: 'mqtt://127.0.0.1:{}', base_topic: {} }}", work.broker, Side::Program.base())?;
    writeln!(yaml, "entra:")?;
    writeln!(yaml, "  authority: {}", world.authority())?;
    writeln!(yaml, "  tenant: {}", world.tenant())?;
    writeln!(yaml, "  client_id: {}", world.client_id())?;
    writeln!(yaml, "  client_secret: {}", world.client_secret())?;
    writeln!(yaml, "graph:")?;
    writeln!(yaml, "  endpoint: {}", world.graph())?;
    // The bare loop knows no quiet people: nobody is quiet for long enough here.
    writeln!(yaml, "  poll: {{ active: {0}ms, quiet: 30s }}", work.every.as_millis())?;
    writeln!(yaml, "web: {{ listen: '127.0.0.1:0' }}")?;
    writeln!(yaml, "accounts:")?;
    for (number, person) in work.people.iter().enumerate() {
        writeln!(yaml, "  p{number}: {{ user: {person}, via: app }}")?;
    }
    if let Some(lamp) = &work.lamp {
        writeln!(yaml, "hubs:\n  office: {{ host: '{}', id: {}, key: {} }}", lamp.host, lamp.hub_id, lamp.key)?;
        writeln!(yaml, "lights:\n  desk: {{ hub: office, target: 'light/{}', follow: p0 }}", lamp.name)?;
    }
    Ok(yaml)
}
