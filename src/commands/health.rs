//! `graph2mqtt health`: asks the running process by `web.listen` (or `web.metrics_listen`); for people, health checks and scripts.

use std::time::Duration;

use anyhow::Context;

use super::{Failure, Global, parts};
use crate::web::{self, Health, Verdict};

/// Below the time-out of the image's health check.
const LIMIT: Duration = Duration::from_secs(3);

/// `health`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print the whole report as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> Result<(), Failure> {
    let settings = parts::settings(global)?;
    let health = web::ask(settings.web.health_listen(), LIMIT).await.map_err(anyhow::Error::new)?;
    let text = if arguments.json { json(&health)? } else { line(&health) };
    parts::print(&text)?;
    match health.status {
        Verdict::Ok | Verdict::Degraded => Ok(()),
        Verdict::Failing => Err(Failure::Reported),
    }
}

fn json(health: &Health) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(health).context("the health report")?)
}

fn line(health: &Health) -> String {
    let verdict = match health.status {
        Verdict::Ok => "ok",
        Verdict::Degraded => "degraded",
        Verdict::Failing => "failing",
    };
    let mut text = format!("{verdict}: {}", health.roles.join(" and "));
    if health.accounts > 0 {
        text += &format!(", {} of {} accounts known", health.accounts_online, health.accounts);
    }
    if health.lights > 0 {
        text += &format!(", {} of {} lights reachable", health.lights_reachable, health.lights);
    }
    for problem in &health.problems {
        text += &format!("; {problem}");
    }
    text
}
