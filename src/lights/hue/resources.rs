//! What a hub holds: rooms, zones and lights, read leniently, and the search for a target in them.
//!
//! `GET /clip/v2/resource` answers `{"errors": […], "data": [{"id", "type", …}]}`. Members can be
//! absent, null or new; what is odd is passed over, resource by resource.

use std::fmt::Write;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::color::{Gamut, Xy};
use crate::settings::{Target, TargetKind};

/// What a lamp can, or the most that a lamp of a group can.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Ability {
    /// A plug: on and off.
    Switch,
    /// White of one kind.
    Dim,
    /// White, cold to warm, in mirek.
    Temperature { coldest: u16, warmest: u16 },
    /// Colours.
    Color(Gamut),
}

/// Something that a command can be sent to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Endpoint {
    /// `light` or `grouped_light`.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// What it can.
    pub ability: Ability,
}

impl Endpoint {
    /// Whether many lamps obey at once.
    pub fn is_group(&self) -> bool {
        self.kind == GROUPED_LIGHT
    }
}

const LIGHT: &str = "light";
const GROUPED_LIGHT: &str = "grouped_light";

/// The resource types that are read, and what they are as targets. `bridge_home` is the whole house.
const KINDS: [(&str, TargetKind); 5] = [
    ("room", TargetKind::Room),
    ("zone", TargetKind::Zone),
    ("bridge_home", TargetKind::Zone),
    (LIGHT, TargetKind::Light),
    (GROUPED_LIGHT, TargetKind::Group),
];

/// A resource, with what is used of it.
#[derive(Debug)]
struct Resource {
    kind: TargetKind,
    id: String,
    name: Option<String>,
    /// Of a room or zone: its grouped_light.
    grouped_light: Option<String>,
    /// Of a room or zone: devices and lights in it. Of a light: the device that it belongs to.
    related: Vec<String>,
    /// Of a light.
    ability: Option<Ability>,
}

/// All that a hub holds of interest here.
#[derive(Debug, Default)]
pub(super) struct Directory {
    resources: Vec<Resource>,
    /// The id that the hub says it has.
    pub hub_id: Option<String>,
}

/// Why a target is not found, with what there is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotFound(String);

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
        let by_id =
            self.resources.iter().filter(of_kind).find(|resource| resource.id.eq_ignore_ascii_case(&target.name));
        if let Some(resource) = by_id {
            return self.endpoint(resource);
        }
        let named = |resource: &&Resource| resource.name.as_ref().is_some_and(|name| name.to_lowercase() == wanted);
        let found: Vec<&Resource> = self.resources.iter().filter(of_kind).filter(named).collect();
        match found[..] {
            [one] => self.endpoint(one),
            [] => Err(NotFound(format!("the hub has no {}; it has {}", described(target), self.listed()))),
            _ => Err(NotFound(format!(
                "{} is more than one thing on the hub: write {} as the target",
                described(target),
                choices(&found)
            ))),
        }
    }

    fn endpoint(&self, resource: &Resource) -> Result<Endpoint, NotFound> {
        match resource.kind {
            TargetKind::Light => {
                let ability = resource.ability.unwrap_or(Ability::Color(Gamut::C));
                Ok(Endpoint { kind: LIGHT, id: resource.id.clone(), ability })
            }
            TargetKind::Group => {
                let owner = self.resources.iter().find(|owner| owner.grouped_light.as_ref() == Some(&resource.id));
                let ability = owner.map_or(Ability::Color(Gamut::C), |owner| self.ability_of(owner));
                Ok(Endpoint { kind: GROUPED_LIGHT, id: resource.id.clone(), ability })
            }
            TargetKind::Room | TargetKind::Zone => {
                let id = resource.grouped_light.clone().ok_or_else(|| {
                    let name = resource.name.as_deref().unwrap_or(&resource.id);
                    NotFound(format!("{name:?} has no lights on the hub: add lights to it in the Hue app"))
                })?;
                Ok(Endpoint { kind: GROUPED_LIGHT, id, ability: self.ability_of(resource) })
            }
        }
    }

    /// The most that a lamp of a group can; where lamps have several gamuts, each clamps the widest by itself.
    fn ability_of(&self, group: &Resource) -> Ability {
        let lamps = self.resources.iter().filter(|resource| {
            resource.kind == TargetKind::Light
                && (group.related.contains(&resource.id)
                    || resource.related.iter().any(|it| group.related.contains(it)))
        });
        let best = lamps.filter_map(|lamp| lamp.ability).reduce(|best, ability| match (best, ability) {
            (Ability::Color(one), Ability::Color(other)) if one != other => Ability::Color(Gamut::C),
            (best, ability) if rank(ability) > rank(best) => ability,
            (best, _) => best,
        });
        best.unwrap_or(Ability::Color(Gamut::C))
    }

    /// What a target can name, for people.
    fn listed(&self) -> String {
        let named: Vec<&Resource> = self.resources.iter().filter(|resource| resource.name.is_some()).collect();
        if named.is_empty() { "no rooms, zones or lights".into() } else { choices(&named) }
    }
}

const fn rank(ability: Ability) -> u8 {
    match ability {
        Ability::Switch => 0,
        Ability::Dim => 1,
        Ability::Temperature { .. } => 2,
        Ability::Color(_) => 3,
    }
}

const fn word(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Room => "room",
        TargetKind::Zone => "zone",
        TargetKind::Light => "light",
        TargetKind::Group => "group",
    }
}

fn described(target: &Target) -> String {
    target.kind.map_or_else(
        || format!("room, zone or light {:?}", target.name),
        |kind| format!("{} {:?}", word(kind), target.name),
    )
}

/// `room/Office, light/Desk`; names that two things of a kind share by their ids.
fn choices(resources: &[&Resource]) -> String {
    const MOST: usize = 40;
    let mut text = String::new();
    for (at, resource) in resources.iter().take(MOST).enumerate() {
        let twin = |other: &&&Resource| other.kind == resource.kind && other.name == resource.name;
        let unique = resources.iter().filter(twin).count() == 1;
        let name = resource.name.as_deref().filter(|_| unique).unwrap_or(&resource.id);
        let _ = write!(text, "{}{}/{name}", if at == 0 { "" } else { ", " }, word(resource.kind));
    }
    if resources.len() > MOST {
        let _ = write!(text, " and {} more", resources.len() - MOST);
    }
    text
}

/// One element of `data`, taken apart as soon as it is read, so that a large hub costs little memory.
enum Item {
    Resource(Resource),
    Hub(String),
    Other,
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self::of(&value).unwrap_or(Self::Other))
    }
}

impl Item {
    fn of(value: &Value) -> Option<Self> {
        let rtype = value.get("type")?.as_str()?;
        if rtype == "bridge" {
            return Some(Self::Hub(value.get("bridge_id")?.as_str()?.to_lowercase()));
        }
        let (_, kind) = *KINDS.iter().find(|(word, _)| *word == rtype)?;
        let references = |key: &str| value.get(key).and_then(Value::as_array).into_iter().flatten();
        let rid = |reference: &Value| Some(reference.get("rid")?.as_str()?.to_owned());
        let mut related: Vec<String> = references("children").filter_map(rid).collect();
        if kind == TargetKind::Light {
            related.extend(value.get("owner").and_then(rid));
        }
        let is_group = |reference: &&Value| reference.get("rtype").and_then(Value::as_str) == Some(GROUPED_LIGHT);
        Some(Self::Resource(Resource {
            kind,
            id: value.get("id")?.as_str()?.to_owned(),
            name: value.pointer("/metadata/name").and_then(Value::as_str).map(str::to_owned),
            grouped_light: references("services").find(is_group).and_then(rid),
            related,
            ability: (kind == TargetKind::Light).then(|| ability(value)),
        }))
    }
}

fn ability(light: &Value) -> Ability {
    let has = |key: &str| light.get(key).is_some_and(Value::is_object);
    if has("color") {
        return Ability::Color(gamut(light));
    }
    if has("color_temperature") {
        let bound = |end: &str, usual: u16| {
            let path = format!("/color_temperature/mirek_schema/mirek_{end}imum");
            light.pointer(&path).and_then(Value::as_u64).and_then(|mirek| u16::try_from(mirek).ok()).unwrap_or(usual)
        };
        return Ability::Temperature { coldest: bound("min", 153), warmest: bound("max", 454) };
    }
    if has("dimming") { Ability::Dim } else { Ability::Switch }
}

/// The lamp's own triangle, that of its letter, or C.
fn gamut(light: &Value) -> Gamut {
    let corner = |name: &str| {
        let at = light.pointer(&format!("/color/gamut/{name}"))?;
        let (x, y) = (at.get("x")?.as_f64()?, at.get("y")?.as_f64()?);
        ((0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y)).then_some(Xy { x, y })
    };
    let own = || Some(Gamut([corner("red")?, corner("green")?, corner("blue")?]));
    let lettered = || Gamut::by_letter(light.pointer("/color/gamut_type")?.as_str()?);
    own().or_else(lettered).unwrap_or(Gamut::C)
}

#[cfg(test)]
mod tests;
