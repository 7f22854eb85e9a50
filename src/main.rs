//! The program's entry: TLS provider, tracing, the command line, exit codes.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use graph2mqtt::commands::{Cli, Failure, Log, LogFormat};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn start(cli: Cli) -> Result<(), Failure> {
    let (level, format) = cli.logging();
    let log = log_to_stderr(level, format)?;
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| Failure::Runtime(anyhow::anyhow!("another TLS provider is installed already")))?;
    // One thread is enough for a program that waits for sockets, and is resident in less memory.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Runtime(anyhow::Error::new(error).context("the runtime cannot start")))?;
    runtime.block_on(cli.run(log))
}

/// Logs go to stderr, so that what a command prints can be piped.
fn log_to_stderr(level: &str, format: LogFormat) -> Result<Log, Failure> {
    let (filter, log) = Log::new(level)?;
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => registry.with(layer.with_ansi(std::io::stderr().is_terminal())).init(),
        LogFormat::Json => registry.with(layer.json()).init(),
    }
    Ok(log)
}
