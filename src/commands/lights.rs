//! `graph2mqtt lights`: what the hubs hold and can, and the configured lights; and a test flash of one.

use anyhow::anyhow;
use clap::Subcommand;

use super::{Failure, Global, parts};
use crate::lights::hue::{HubSurvey, Thing};
use crate::lights::{self, Survey};
use crate::presence::Name;
use crate::settings::Settings;

/// `lights`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Flash a configured light for some seconds
    Test {
        /// The light's name in the configuration
        light: String,
    },
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> Result<(), Failure> {
    let settings = parts::settings(global)?;
    match arguments.action {
        None => list(&settings, arguments.json).await,
        Some(Action::Test { light }) => test(&settings, &light, arguments.json).await,
    }
}

async fn list(settings: &Settings, json: bool) -> Result<(), Failure> {
    let store = parts::store(settings).await?;
    let survey = lights::survey(settings, &store).await.map_err(anyhow::Error::new)?;
    let is_well =
        survey.hubs.iter().all(|hub| hub.error.is_none()) && survey.lights.iter().all(|it| it.error.is_none());
    match json {
        true => parts::print(&serde_json::to_string_pretty(&survey).map_err(anyhow::Error::new)?)?,
        false => parts::print(&text(&survey))?,
    }
    if is_well { Ok(()) } else { Err(Failure::Reported) }
}

async fn test(settings: &Settings, light: &str, json: bool) -> Result<(), Failure> {
    let known = settings.lights.keys().map(Name::as_str);
    if !settings.lights.contains_key(light) {
        let nearest = parts::nearest(light, known).map(|nearest| format!("; did you mean {nearest}?"));
        return Err(Failure::Usage(format!(
            "{light}: no such light in the configuration{}",
            nearest.unwrap_or_default()
        )));
    }
    let store = parts::store(settings).await?;
    let hubs = lights::hubs(settings, &store);
    let found = hubs.iter().flat_map(|hub| &hub.lights).find(|(name, _)| name.as_str() == light);
    let (_, it) = found.expect("every configured light hangs on a configured hub");
    let obeyed = it.flash().await.map_err(|trouble| Failure::Runtime(anyhow!("{trouble}")))?;
    if obeyed.unreachable {
        return Err(Failure::Runtime(anyhow!(
            "{light}: the hub took the command, but a lamp of it is out of reach: has it power?"
        )));
    }
    match json {
        true => parts::print(&serde_json::json!({"light": light, "flashed": true}).to_string()),
        false => parts::print(&format!("{light} flashes for some seconds, and shows then what it showed before.")),
    }
}

fn text(survey: &Survey) -> String {
    let mut lines: Vec<String> = survey.hubs.iter().flat_map(of_hub).collect();
    if survey.hubs.is_empty() {
        lines.push("No hub is configured or paired: graph2mqtt hubs".into());
    }
    if !survey.lights.is_empty() {
        lines.push("\nConfigured lights".into());
    }
    for light in &survey.lights {
        let state = light.error.as_deref().unwrap_or("ok");
        lines.push(format!(
            "  {:<16} {} on {}, follows {}: {state}",
            light.light,
            light.target,
            light.hub,
            light.follow.join(", ")
        ));
    }
    lines.join("\n")
}

fn of_hub(hub: &HubSurvey) -> Vec<String> {
    let id = hub.id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
    let mut lines = vec![format!("Hub {}{id}", hub.hub)];
    lines.extend(hub.error.iter().map(|error| format!("  {error}")));
    for place in &hub.places {
        lines.push(of_thing(&place.thing));
        let inside = [("lights", &place.lights), ("scenes", &place.scenes)];
        let named = inside.iter().filter(|(_, names)| !names.is_empty());
        lines.extend(named.map(|(word, names)| format!("      {word}: {}", names.join(", "))));
    }
    lines.extend(hub.lights.iter().map(of_thing));
    lines
}

fn of_thing(thing: &Thing) -> String {
    format!("  target: {:<24} {}", thing.target, thing.can.join(", "))
}
