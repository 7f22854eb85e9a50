//! One element of `data`, taken apart as soon as it is read, so that a large hub costs little memory.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::super::super::ability::{Ability, Whites};
use super::super::super::color::{Gamut, Xy};
use super::super::beside::{Beside, NO_EFFECT};
use super::{GROUPED_LIGHT, LIGHT, Motions, Resource, Scene};
use crate::lights::Lamp;
use crate::settings::TargetKind;

/// The resource types that are read, and what they are as targets.
const KINDS: [(&str, TargetKind); 5] = [
    ("room", TargetKind::Room),
    ("zone", TargetKind::Zone),
    ("bridge_home", TargetKind::Home),
    (LIGHT, TargetKind::Light),
    (GROUPED_LIGHT, TargetKind::Group),
];

pub(super) enum Item {
    Resource(Resource),
    Scene(Scene),
    Hub(String),
    Other,
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self::of(&value).unwrap_or(Self::Other))
    }
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().map(str::to_owned)
}

impl Item {
    fn of(value: &Value) -> Option<Self> {
        let rtype = value.get("type")?.as_str()?;
        match rtype {
            "bridge" => return Some(Self::Hub(value.get("bridge_id")?.as_str()?.to_lowercase())),
            "scene" => {
                let (id, name) = (text(value, "/id")?, text(value, "/metadata/name")?);
                let place = text(value, "/group/rid")?;
                return Some(Self::Scene(Scene { id, name, place, lamps: lasting(value) }));
            }
            _ => {}
        }
        let (_, kind) = *KINDS.iter().find(|(word, _)| *word == rtype)?;
        let references = |key: &str| value.get(key).and_then(Value::as_array).into_iter().flatten();
        let rid = |reference: &Value| text(reference, "/rid");
        let mut related: Vec<String> = references("children").filter_map(rid).collect();
        if kind == TargetKind::Light {
            related.extend(value.get("owner").and_then(rid));
        }
        let is_group = |reference: &&Value| reference.get("rtype").and_then(Value::as_str) == Some(GROUPED_LIGHT);
        Some(Self::Resource(Resource {
            kind,
            id: text(value, "/id")?,
            name: text(value, "/metadata/name"),
            grouped_light: references("services").find(is_group).and_then(rid),
            related,
            ability: (kind == TargetKind::Light).then(|| ability(value)),
            motions: motions(value),
        }))
    }
}

/// What a scene makes of its lamps, as far as that stays: the lamps of a dynamic one change their colours by
/// themselves, but none goes on or off.
fn lasting(scene: &Value) -> Vec<Lamp> {
    let is_dynamic = scene.get("auto_dynamic") == Some(&Value::Bool(true));
    let actions = scene.get("actions").and_then(Value::as_array).into_iter().flatten().filter_map(action);
    match is_dynamic {
        true => actions.map(|lamp| Lamp { id: lamp.id, on: lamp.on, ..Lamp::default() }).collect(),
        false => actions.collect(),
    }
}

/// What an action makes of its lamp: under an effect the colour and the brightness are the lamp's own, and a
/// gradient has several colours.
fn action(action: &Value) -> Option<Lamp> {
    const EFFECTS: [&str; 2] = ["/effects/effect", "/effects_v2/action/effect"];
    let does = action.get("action")?;
    let is_effect = |at: &&str| does.pointer(at).and_then(Value::as_str).is_some_and(|effect| effect != NO_EFFECT);
    let moves = EFFECTS.iter().any(is_effect);
    let has_colors = does.pointer("/gradient/points/0").is_some();
    let mut lamp = told(action.pointer("/target/rid")?.as_str()?, does);
    lamp.brightness.take_if(|_| moves);
    if moves || has_colors {
        (lamp.xy, lamp.mirek) = (None, None);
    }
    lamp.on.is_some().then_some(lamp)
}

fn motions(value: &Value) -> Motions {
    let lists = |pointer: &str, word: &str| {
        value.pointer(pointer).and_then(Value::as_array).is_some_and(|words| words.iter().any(|it| it == word))
    };
    Motions { blinks: lists("/signaling/signal_values", "on_off"), breathes: lists("/alert/action_values", "breathe") }
}

fn ability(light: &Value) -> Ability {
    let has = |key: &str| light.get(key).is_some_and(Value::is_object);
    let bound =
        |end: &str| light.pointer(&format!("/color_temperature/mirek_schema/mirek_{end}imum")).and_then(Value::as_u64);
    let white = has("color_temperature").then(|| Whites::told(bound("min"), bound("max")));
    let gamut = has("color").then(|| gamut(light));
    Ability { dims: has("dimming") || white.is_some() || gamut.is_some(), white, gamut }
}

/// The lamp's own triangle, that of its letter, or C.
fn gamut(light: &Value) -> Gamut {
    let corner = |name: &str| point(light, &format!("/color/gamut/{name}"));
    let own = || Some(Gamut([corner("red")?, corner("green")?, corner("blue")?]));
    let lettered = || Gamut::by_letter(light.pointer("/color/gamut_type")?.as_str()?);
    own().or_else(lettered).unwrap_or(Gamut::C)
}

pub(in crate::lights::hue::v2) fn point(value: &Value, pointer: &str) -> Option<Xy> {
    let at = value.pointer(pointer)?;
    let (x, y) = (at.get("x")?.as_f64()?, at.get("y")?.as_f64()?);
    ((0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y)).then_some(Xy { x, y })
}

/// What a whole `light` resource tells of its lamp.
pub(in crate::lights::hue::v2) fn shown(light: &Value) -> Option<Lamp> {
    let lamp = seen(light)?;
    let beside = Beside::of(light).to_keep().filter(|_| lamp.on != Some(false));
    Some(Lamp { other: beside, ..lamp })
}

/// The device that a resource belongs to.
pub(in crate::lights::hue::v2) fn owner(resource: &Value) -> Option<&str> {
    resource.pointer("/owner/rid")?.as_str()
}

/// Of a `zigbee_connectivity`: the device, and whether it is in reach.
pub(in crate::lights::hue::v2) fn reach(connectivity: &Value) -> Option<(&str, bool)> {
    Some((owner(connectivity)?, connectivity.get("status")?.as_str()? == "connected"))
}

/// What a part of a `light` resource in an event tells of its lamp; of effects nothing, which are no colours.
pub(in crate::lights::hue::v2) fn seen(light: &Value) -> Option<Lamp> {
    Some(told(light.get("id")?.as_str()?, light))
}

fn told(id: &str, light: &Value) -> Lamp {
    let percent = light.pointer("/dimming/brightness").and_then(Value::as_f64).filter(|it| (0.0..=100.0).contains(it));
    let mirek = light.pointer("/color_temperature/mirek").and_then(Value::as_u64);
    Lamp {
        id: id.into(),
        on: light.pointer("/on/on").and_then(Value::as_bool),
        brightness: percent.map(|percent| (percent * 100.0).round() as u16),
        xy: point(light, "/color/xy").map(Xy::ten_thousandths),
        mirek: mirek.and_then(|mirek| u16::try_from(mirek).ok()),
        other: None,
    }
}
