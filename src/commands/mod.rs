//! The command line: one file a subcommand, each wires the rooms together and nothing more.

mod accounts;
mod actuator;
mod bridge;
mod check;
mod clear;
mod config;
#[cfg(feature = "demo")]
mod demo;
mod discovery;
mod failure;
mod health;
mod hubs;
mod lights;
mod log;
mod login;
mod pair;
mod parts;
mod restart;
mod roles;
mod run;
mod store;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::{EnumValueParser, OsStringValueParser, PossibleValue, TypedValueParser};
use clap::{Arg, Args, Error, Parser, Subcommand, ValueEnum};

pub use failure::Failure;
pub use log::Log;

/// Microsoft Teams presence from Graph to MQTT, Home Assistant and Philips Hue.
#[derive(Debug, Parser)]
#[command(name = "graph2mqtt", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every subcommand takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The configuration file [default: graph2mqtt.yaml in the working folder, if it is there]
    #[arg(long, global = true, value_name = "FILE", env = "GRAPH2MQTT_CONFIG", value_parser = file())]
    config: Option<PathBuf>,
    /// How much is logged: error, warn, info, debug, trace, or a filter such as info,graph2mqtt::mqtt=debug
    /// [default: info for what runs on, warn for commands that print a result]
    #[arg(long, global = true, value_name = "LEVEL", env = "GRAPH2MQTT_LOG")]
    pub(crate) log: Option<String>,
    /// How log lines look
    #[arg(long, global = true, value_name = "FORMAT", env = "GRAPH2MQTT_LOG_FORMAT", default_value = "text",
        value_parser = Formats)]
    pub(crate) log_format: LogFormat,
    /// Sets one key of the configuration, above every other source, such as mqtt.url=mqtt://broker
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// `--log-format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// An empty variable counts as not set, as those of the configuration do.
fn file() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// The same for `--log-format`.
#[derive(Clone)]
struct Formats;

impl TypedValueParser for Formats {
    type Value = LogFormat;

    fn parse_ref(&self, command: &clap::Command, argument: Option<&Arg>, value: &OsStr) -> Result<LogFormat, Error> {
        let value = if value.is_empty() { OsStr::new("text") } else { value };
        EnumValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(LogFormat::value_variants().iter().filter_map(ValueEnum::to_possible_value)))
    }
}

impl Global {
    /// The configuration file that was named.
    pub(crate) fn config(&self) -> Option<PathBuf> {
        self.config.clone().filter(|file| !file.as_os_str().is_empty())
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the bridge where there are accounts, the actuator where there are lights, both where both
    Run,
    /// Run the bridge: Graph to MQTT
    Bridge,
    /// Run the actuator: MQTT to lights
    Actuator,
    /// Show the whole chain with simulated people, hub and broker
    #[cfg(feature = "demo")]
    Demo(demo::Arguments),
    /// Try every configured system and say what is missing
    Check(check::Arguments),
    /// Sign an account in by device code
    Login(login::Arguments),
    /// List the accounts and their sign-in, or remove one
    Accounts(accounts::Arguments),
    /// List the hubs on the network and whether they are paired
    Hubs(hubs::Arguments),
    /// Pair a hub: press its link button, and its application key is kept
    Pair(pair::Arguments),
    /// List rooms, zones, lights and scenes of the hubs, and the configured lights; or test a light
    Lights(lights::Arguments),
    /// Seal the store anew with a new key
    Store(store::Arguments),
    /// Print Home Assistant's discovery messages, or clear them
    Discovery(discovery::Arguments),
    /// Show the effective configuration, or its JSON Schema
    Config(config::Arguments),
    /// Ask a running process whether it is well
    Health(health::Arguments),
}

impl Cli {
    /// How much is logged, and how.
    pub fn logging(&self) -> (&str, LogFormat) {
        let usual = match self.command {
            // What rumqttc warns of is said by the connection in its own words.
            Command::Run | Command::Bridge | Command::Actuator => "info,rumqttc=error",
            // What fails is a line of its own there.
            Command::Check(_) => "off",
            _ => "warn",
        };
        let asked = self.global.log.as_deref().filter(|filter| !filter.is_empty());
        (asked.unwrap_or(usual), self.global.log_format)
    }

    /// Runs the one command that was asked for. What runs on may be told to log otherwise.
    pub async fn run(self, log: Log) -> Result<(), Failure> {
        let (global, log) = (self.global, Arc::new(log));
        match self.command {
            Command::Run => run::run(&global, log).await,
            Command::Bridge => bridge::run(&global, log).await,
            Command::Actuator => actuator::run(&global, log).await,
            #[cfg(feature = "demo")]
            Command::Demo(arguments) => demo::run(arguments).await,
            Command::Check(arguments) => check::run(&global, arguments).await,
            Command::Login(arguments) => login::run(&global, arguments).await,
            Command::Accounts(arguments) => accounts::run(&global, arguments).await,
            Command::Hubs(arguments) => hubs::run(&global, arguments).await,
            Command::Pair(arguments) => pair::run(&global, arguments).await,
            Command::Lights(arguments) => lights::run(&global, arguments).await,
            Command::Store(arguments) => store::run(&global, arguments).await,
            Command::Discovery(arguments) => discovery::run(&global, arguments).await,
            Command::Config(arguments) => config::run(&global, arguments),
            Command::Health(arguments) => health::run(&global, arguments).await,
        }
    }
}
