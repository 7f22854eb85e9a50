//! The parts that several commands wire: settings, the HTTP client, the store, what is printed.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Failure, Global};
use crate::presence::AccountName;
use crate::settings::{self, Account, Settings, Sources};
use crate::store::Store;

/// How long a connection to Entra or Graph may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// How long any request to them may take; callers set shorter times where they can.
const ANSWER: Duration = Duration::from_secs(30);
/// How alike two names are, at least, for one to be offered instead of the other.
const ALIKE: f64 = 0.7;

/// The configuration from every source, or all of its mistakes.
pub(super) fn settings(global: &Global) -> Result<Settings, Failure> {
    let sources =
        Sources { file: global.config(), environment: std::env::vars_os().collect(), set: global.set.clone() };
    settings::load(sources).map(|loaded| loaded.settings).map_err(|mistakes| Failure::Usage(mistakes.to_string()))
}

/// The one client for Entra and Graph: redirects off, time limited, through the environment's proxy.
///
/// The system's authorities are read only where something is reached by https: reading them takes
/// some 20 ms and a megabyte.
pub(super) fn http(settings: &Settings) -> Result<reqwest::Client, Failure> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("graph2mqtt/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .timeout(ANSWER)
        .tcp_nodelay(true);
    let authority = settings.entra.as_ref().map(|entra| &entra.authority);
    let tls = authority.into_iter().chain([&settings.graph.endpoint]).any(|url| url.scheme() == "https");
    // Plain http is taken on a loopback address alone, where no proxy could reach what is meant.
    builder = if tls {
        builder.tls_certs_merge(company_authorities(settings)?)
    } else {
        builder.tls_certs_only([]).no_proxy()
    };
    let client = builder.build().context(
        "the HTTPS client cannot be made; does the system have CA certificates (on Debian the package ca-certificates)?",
    )?;
    Ok(client)
}

fn company_authorities(settings: &Settings) -> Result<Vec<reqwest::Certificate>, Failure> {
    let Some(path) = &settings.graph.ca_file else { return Ok(Vec::new()) };
    let wrong = |what: &str| Failure::Usage(format!("graph.ca_file: {}: {what}", path.display()));
    let pem = std::fs::read(path).map_err(|error| wrong(&error.to_string()))?;
    let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| wrong(&error.to_string()))?;
    if certificates.is_empty() { Err(wrong("holds no certificate in PEM")) } else { Ok(certificates) }
}

/// The store, opened.
pub(super) async fn store(settings: &Settings) -> Result<Store, Failure> {
    let store = Store::open(&settings.store.url, &settings.store.key_file).await;
    store.map_err(|error| Failure::Runtime(error.into()))
}

/// A configured account; for an unknown one, the nearest name.
pub(super) fn account<'a>(settings: &'a Settings, name: &str) -> Result<(&'a AccountName, &'a Account), Failure> {
    settings.accounts.get_key_value(name).ok_or_else(|| {
        let nearest = nearest(name, settings.accounts.keys().map(AccountName::as_str));
        let hint = nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default();
        Failure::Usage(format!("{name}: no such account in the configuration{hint}"))
    })
}

/// The most similar of these names, if one is similar.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// Whether a person at a terminal means it. Where nobody can be asked, what was typed is meant.
pub(super) fn confirmed(question: &str) -> Result<bool, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(true);
    }
    let mut terminal = std::io::stderr().lock();
    write!(terminal, "{question} [y/N] ").and_then(|()| terminal.flush()).context("stderr cannot be written")?;
    let mut answer = String::new();
    stdin.lock().take(64).read_line(&mut answer).context("stdin cannot be read")?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Prints a result to stdout. Logs go to stderr.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("stdout cannot be written")?;
    Ok(())
}

/// Cancels at SIGINT (Ctrl-C) or SIGTERM. At a second one the process ends at once.
pub(super) fn cancel_at_signal(shutdown: &CancellationToken) -> Result<(), Failure> {
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be listened to")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be listened to")?;
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        for last in [false, true] {
            let code = tokio::select! {
                _ = interrupt.recv() => 128 + SignalKind::interrupt().as_raw_value(),
                _ = terminate.recv() => 128 + SignalKind::terminate().as_raw_value(),
            };
            if last {
                std::process::exit(code);
            }
            tracing::info!("stopping");
            shutdown.cancel();
        }
    });
    Ok(())
}

/// Prints a line with colours to stdout; they are taken out where it is no terminal or NO_COLOR is set.
pub(super) fn print_styled(text: impl std::fmt::Display) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("stdout cannot be written")?;
    Ok(())
}
