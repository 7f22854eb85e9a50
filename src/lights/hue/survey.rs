//! What a hub holds and each thing on it can, for people who choose a target.

use serde::Serialize;

use super::ability::Ability;
use super::hub::HueHub;
use super::v2::resources::{Directory, Motions, Resource, word};
use crate::lights::Trouble;
use crate::settings::TargetKind;

/// What a hub holds.
#[derive(Debug, Clone, Serialize)]
pub struct HubSurvey {
    /// Its name in the configuration, or its address.
    pub hub: String,
    /// The bridge id.
    pub id: Option<String>,
    /// What is wrong with it; then nothing is known of what it holds.
    pub error: Option<String>,
    /// Rooms, zones, and the whole home.
    pub places: Vec<Place>,
    /// Single lights.
    pub lights: Vec<Thing>,
}

/// A room, a zone, or the whole home.
#[derive(Debug, Clone, Serialize)]
pub struct Place {
    /// Itself.
    #[serde(flatten)]
    pub thing: Thing,
    /// The names of its lights.
    pub lights: Vec<String>,
    /// The names of its scenes.
    pub scenes: Vec<String>,
}

/// Something that a light of the configuration can have as its target.
#[derive(Debug, Clone, Serialize)]
pub struct Thing {
    /// `room`, `zone`, `light` or `home`.
    pub kind: &'static str,
    /// Its name on the hub.
    pub name: Option<String>,
    /// Its id on the hub.
    pub id: String,
    /// What to write as `target`.
    pub target: String,
    /// `color`, `white`, `brightness`, `on`, and the effects `breathe` and `blink`.
    pub can: Vec<&'static str>,
}

/// Asks a hub what it holds.
pub async fn survey(hub: &HueHub) -> HubSurvey {
    match hub.reach().await {
        Ok((_, directory)) => of(hub, &directory),
        Err(trouble) => failed(hub, &trouble),
    }
}

fn failed(hub: &HueHub, trouble: &Trouble) -> HubSurvey {
    let (hub, error) = (hub.name().to_owned(), Some(trouble.to_string()));
    HubSurvey { hub, id: None, error, places: Vec::new(), lights: Vec::new() }
}

fn of(hub: &HueHub, directory: &Directory) -> HubSurvey {
    let mut places = Vec::new();
    let mut lights = Vec::new();
    for resource in &directory.resources {
        match resource.kind {
            TargetKind::Group => {}
            TargetKind::Light => lights.push(thing(directory, resource)),
            TargetKind::Room | TargetKind::Zone | TargetKind::Home => places.push(place(directory, resource)),
        }
    }
    places.sort_by_key(|place: &Place| (place.thing.kind == "home", place.thing.kind, place.thing.name.clone()));
    lights.sort_by_key(|light| light.name.clone());
    HubSurvey { hub: hub.name().to_owned(), id: directory.hub_id.clone(), error: None, places, lights }
}

fn place(directory: &Directory, resource: &Resource) -> Place {
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    let name = |lamp: &Resource| lamp.name.clone().unwrap_or_else(|| lamp.id.clone());
    let scenes = directory.scenes.iter().filter(|scene| scene.place == resource.id).map(|scene| scene.name.clone());
    Place {
        thing: thing(directory, resource),
        lights: sorted(directory.lamps_in(resource).map(name).collect()),
        scenes: sorted(scenes.collect()),
    }
}

fn thing(directory: &Directory, resource: &Resource) -> Thing {
    let kind = word(resource.kind);
    let same = |other: &&Resource| other.kind == resource.kind && other.name == resource.name;
    let unique = directory.resources.iter().filter(same).count() == 1;
    let target = match (&resource.name, resource.kind) {
        (_, TargetKind::Home) => "home".to_owned(),
        (Some(name), _) if unique => format!("{kind}/{name}"),
        _ => format!("{kind}/{}", resource.id),
    };
    let endpoint = directory.endpoint(resource).ok();
    let can = endpoint.map(|endpoint| abilities(&endpoint.ability, endpoint.motions)).unwrap_or_default();
    Thing { kind, name: resource.name.clone(), id: resource.id.clone(), target, can }
}

fn abilities(ability: &Ability, motions: Motions) -> Vec<&'static str> {
    let all = [
        ("color", ability.gamut.is_some()),
        ("white", ability.white.is_some()),
        ("brightness", ability.dims),
        ("on", true),
        ("breathe", motions.breathes || motions.blinks),
        ("blink", motions.blinks || motions.breathes),
    ];
    all.into_iter().filter(|(_, can)| *can).map(|(word, _)| word).collect()
}
