//! What a hub holds: rooms, zones, lights and scenes, read leniently, and the search for a target in them.
//!
//! `GET /clip/v2/resource` answers `{"errors": […], "data": [{"id", "type", …}]}`. Members can be
//! absent, null or new; what is odd is passed over, resource by resource.

mod items;

use std::fmt::Write;

use serde::Deserialize;

use self::items::Item;
pub(super) use self::items::{owner, point, reach, seen, shown};
use super::super::ability::Ability;
use crate::lights::Lamp;
use crate::settings::{Target, TargetKind};

pub(in crate::lights::hue) const LIGHT: &str = "light";
pub(in crate::lights::hue) const GROUPED_LIGHT: &str = "grouped_light";

/// Something that a command can be sent to.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::lights::hue) struct Endpoint {
    /// `light` or `grouped_light`.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// The most that it can.
    pub ability: Ability,
    pub motions: Motions,
    /// The room or zone that it is; scenes belong to these.
    pub place: Option<String>,
    /// The lamps in it; itself, where it is one.
    pub lamps: Vec<LampOf>,
}

/// A lamp of a target.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::lights::hue) struct LampOf {
    pub id: String,
    /// The device that it is a part of.
    pub device: Option<String>,
    pub ability: Ability,
}

/// Which effects something takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::lights::hue) struct Motions {
    /// The signal `on_off`.
    pub blinks: bool,
    /// The alert `breathe`.
    pub breathes: bool,
}

impl Endpoint {
    /// Whether many lamps obey at once.
    pub fn is_group(&self) -> bool {
        self.kind == GROUPED_LIGHT
    }
}

/// A resource, with what is used of it.
#[derive(Debug, Clone)]
pub(in crate::lights::hue) struct Resource {
    pub kind: TargetKind,
    pub id: String,
    pub name: Option<String>,
    /// Of a room, zone or home: where its commands go.
    pub grouped_light: Option<String>,
    /// Of a room, zone or home: the devices, lights and rooms in it. Of a light: the device that it belongs to.
    pub related: Vec<String>,
    /// Of a light.
    pub ability: Option<Ability>,
    /// Of a light or grouped_light.
    pub motions: Motions,
}

/// A scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lights::hue) struct Scene {
    pub id: String,
    pub name: String,
    /// The room or zone that it belongs to.
    pub place: String,
    /// What it makes of its lamps, as far as that is told and stays: of a dynamic scene which of them are on.
    pub lamps: Vec<Lamp>,
}

/// All that a hub holds of interest here.
#[derive(Debug, Clone, Default)]
pub(in crate::lights::hue) struct Directory {
    pub resources: Vec<Resource>,
    pub scenes: Vec<Scene>,
    /// The id that the hub says it has.
    pub hub_id: Option<String>,
}

/// Why a target is not found, with what there is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(in crate::lights::hue) struct NotFound(String);

/// The target that is the whole home, where nothing else has this name.
const HOME: &str = "home";

impl Directory {
    /// Reads the answer; none when it is no JSON of a hub.
    pub fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Body {
            data: Vec<Item>,
        }
        let Body { data } = serde_json::from_slice(body).ok()?;
        let mut directory = Self::default();
        for item in data {
            match item {
                Item::Resource(resource) => directory.resources.push(resource),
                Item::Scene(scene) => directory.scenes.push(scene),
                Item::Hub(id) => directory.hub_id = Some(id),
                Item::Other => {}
            }
        }
        Some(directory)
    }

    /// Finds where commands for a target go.
    pub fn find(&self, target: &Target) -> Result<Endpoint, NotFound> {
        let wanted = target.name.to_lowercase();
        let of_kind = |resource: &&Resource| target.kind.is_none_or(|kind| kind == resource.kind);
        if target.kind == Some(TargetKind::Home) {
            return self.home().unwrap_or_else(|| Err(NotFound("the hub tells of no whole home".into())));
        }
        // By CLIP v1 ids are numbers, and those of lights and groups the same: they need their kind.
        let is_id = target.kind.is_some() || !target.name.bytes().all(|byte| byte.is_ascii_digit());
        let by_id = self
            .resources
            .iter()
            .filter(of_kind)
            .find(|resource| is_id && resource.id.eq_ignore_ascii_case(&target.name));
        if let Some(resource) = by_id {
            return self.endpoint(resource);
        }
        let named = |resource: &&Resource| resource.name.as_ref().is_some_and(|name| name.to_lowercase() == wanted);
        let found: Vec<&Resource> = self.resources.iter().filter(of_kind).filter(named).collect();
        match found[..] {
            [one] => self.endpoint(one),
            [] => match self.home().filter(|_| target.kind.is_none() && wanted == HOME) {
                Some(home) => home,
                None => Err(NotFound(format!("the hub has no {}; it has {}", described(target), self.listed()))),
            },
            _ => Err(NotFound(format!(
                "{} is more than one thing on the hub: write {} as the target",
                described(target),
                choices(&found)
            ))),
        }
    }

    fn home(&self) -> Option<Result<Endpoint, NotFound>> {
        self.resources.iter().find(|resource| resource.kind == TargetKind::Home).map(|home| self.endpoint(home))
    }

    pub fn endpoint(&self, resource: &Resource) -> Result<Endpoint, NotFound> {
        if resource.kind == TargetKind::Light {
            let lamp = lamp_of(resource);
            let (id, ability, motions) = (resource.id.clone(), lamp.ability, resource.motions);
            return Ok(Endpoint { kind: LIGHT, id, ability, motions, place: None, lamps: vec![lamp] });
        }
        let (id, owner) = if resource.kind == TargetKind::Group {
            let owner = self.resources.iter().find(|owner| owner.grouped_light.as_ref() == Some(&resource.id));
            (Some(resource.id.clone()), owner)
        } else {
            (resource.grouped_light.clone(), Some(resource))
        };
        let id = id.ok_or_else(|| {
            let name = resource.name.as_deref().unwrap_or(&resource.id);
            NotFound(format!("{name:?} has no lights on the hub: add lights to it in the Hue app"))
        })?;
        let lamps: Vec<LampOf> = owner.map(|owner| self.lamps_in(owner).map(lamp_of).collect()).unwrap_or_default();
        let ability = lamps.iter().map(|lamp| lamp.ability).reduce(Ability::or).unwrap_or(Ability::UNKNOWN);
        let group = self.resources.iter().find(|group| group.kind == TargetKind::Group && group.id == id);
        let motions = group.map(|group| group.motions).unwrap_or_default();
        let place = owner.map(|owner| owner.id.clone());
        Ok(Endpoint { kind: GROUPED_LIGHT, id, ability, motions, place, lamps })
    }

    /// The lamps in a room, zone or home.
    pub fn lamps_in<'a>(&'a self, group: &'a Resource) -> impl Iterator<Item = &'a Resource> {
        let whole = group.kind == TargetKind::Home;
        self.resources.iter().filter(move |resource| {
            resource.kind == TargetKind::Light
                && (whole
                    || group.related.contains(&resource.id)
                    || resource.related.iter().any(|it| group.related.contains(it)))
        })
    }

    /// What a lamp is called.
    pub fn name_of<'a>(&'a self, lamp: &'a str) -> &'a str {
        let found = self.resources.iter().find(|resource| resource.kind == TargetKind::Light && resource.id == lamp);
        found.and_then(|found| found.name.as_deref()).unwrap_or(lamp)
    }

    /// Finds a scene of a room or zone, by name or id.
    pub fn scene(&self, name: &str, place: Option<&str>) -> Result<&Scene, NotFound> {
        let Some(place) = place else {
            return Err(NotFound(format!(
                "scene {name:?} cannot be shown: scenes belong to rooms and zones, and the target is none"
            )));
        };
        let here = || self.scenes.iter().filter(|scene| scene.place == place);
        let wanted = name.to_lowercase();
        let found = here()
            .find(|scene| scene.id.eq_ignore_ascii_case(name))
            .or_else(|| here().find(|scene| scene.name.to_lowercase() == wanted));
        found.ok_or_else(|| {
            let mut names: Vec<&str> = here().map(|scene| scene.name.as_str()).take(MOST_LISTED).collect();
            names.sort_unstable();
            let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            NotFound(format!("the target has no scene {name:?}; it has {has}"))
        })
    }

    /// What a target can name, for people.
    fn listed(&self) -> String {
        let named: Vec<&Resource> = self.resources.iter().filter(|resource| resource.name.is_some()).collect();
        if named.is_empty() { "no rooms, zones or lights".into() } else { choices(&named) }
    }
}

fn lamp_of(light: &Resource) -> LampOf {
    let (id, device) = (light.id.clone(), light.related.first().cloned());
    LampOf { id, device, ability: light.ability.unwrap_or(Ability::UNKNOWN) }
}

pub(in crate::lights::hue) const fn word(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Room => "room",
        TargetKind::Zone => "zone",
        TargetKind::Light => "light",
        TargetKind::Group => "group",
        TargetKind::Home => "home",
    }
}

fn described(target: &Target) -> String {
    target.kind.map_or_else(
        || format!("room, zone or light {:?}", target.name),
        |kind| format!("{} {:?}", word(kind), target.name),
    )
}

const MOST_LISTED: usize = 40;

/// `room/Office, light/Desk`; names that two things of a kind share by their ids.
fn choices(resources: &[&Resource]) -> String {
    let mut text = String::new();
    for (at, resource) in resources.iter().take(MOST_LISTED).enumerate() {
        let twin = |other: &&&Resource| other.kind == resource.kind && other.name == resource.name;
        let unique = resources.iter().filter(twin).count() == 1;
        let name = resource.name.as_deref().filter(|_| unique).unwrap_or(&resource.id);
        let _ = write!(text, "{}{}/{name}", if at == 0 { "" } else { ", " }, word(resource.kind));
    }
    if resources.len() > MOST_LISTED {
        let _ = write!(text, " and {} more", resources.len() - MOST_LISTED);
    }
    text
}

#[cfg(test)]
mod tests;
