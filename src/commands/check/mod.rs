//! `graph2mqtt check`: tries every configured system, a line each, with the remedy where one fails.

mod broker;
mod people;

use std::fmt;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::{Failure, Global, parts};
use crate::lights;
use crate::settings::Settings;

/// `check`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Prints one JSON object for each try
    #[arg(long)]
    json: bool,
}

/// What one try came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    /// What was tried, such as `graph alex`.
    subject: String,
    /// Whether it works.
    ok: bool,
    /// What was found; what is wrong, and the remedy.
    text: String,
}

impl Finding {
    fn new(subject: impl Into<String>, outcome: Result<String, String>) -> Self {
        let ok = outcome.is_ok();
        Self { subject: subject.into(), ok, text: outcome.unwrap_or_else(|wrong| wrong) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const GOOD: Style = AnsiColor::Green.on_default();
        const BAD: Style = AnsiColor::Red.on_default().bold();
        let (style, sign) = if self.ok { (GOOD, "ok  ") } else { (BAD, "FAIL") };
        write!(f, "{style}{sign}{style:#}  {:<18} {}", self.subject, self.text)
    }
}

/// Prints findings as they come, and remembers whether one was bad.
struct Report {
    json: bool,
    failed: bool,
}

impl Report {
    fn add(&mut self, finding: &Finding) -> Result<(), Failure> {
        self.failed |= !finding.ok;
        if self.json {
            parts::print(&serde_json::to_string(finding).expect("a finding is plain text"))
        } else {
            parts::print_styled(finding)
        }
    }
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> Result<(), Failure> {
    let settings = parts::settings(global)?;
    let mut report = Report { json: arguments.json, failed: false };
    report.add(&Finding::new("configuration", Ok(counted(&settings))))?;
    let store = parts::store(&settings).await;
    let opened = store.as_ref().map(|_| settings.store.url.clone()).map_err(ToString::to_string);
    report.add(&Finding::new("store", opened))?;
    for finding in broker::check(&settings).await {
        report.add(&finding)?;
    }
    match &store {
        Ok(store) => {
            if settings.has_people() {
                people::check(&settings, store, &mut report).await?;
            }
            for lights::Finding { subject, outcome } in lights::check(&settings, store).await {
                report.add(&Finding::new(subject, outcome))?;
            }
        }
        // Sign-ins, hubs' keys and pins are there.
        Err(_) => {
            let people = settings.has_people().then(|| "entra and graph".to_owned());
            let hubs = settings.hubs.keys().map(|hub| format!("hub {hub}"));
            let lights = settings.lights.keys().map(|light| format!("light {light}"));
            for subject in people.into_iter().chain(hubs).chain(lights) {
                report.add(&Finding::new(subject, Err("not tried: mend the store first".to_owned())))?;
            }
        }
    }
    if report.failed { Err(Failure::Reported) } else { Ok(()) }
}

fn counted(settings: &Settings) -> String {
    let (accounts, hubs, lights) = (settings.accounts.len(), settings.hubs.len(), settings.lights.len());
    format!("{accounts} accounts, {hubs} hubs, {lights} lights")
}
