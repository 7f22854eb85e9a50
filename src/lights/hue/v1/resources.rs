//! What a hub holds by CLIP v1, in v2's terms. Numbers of lights and groups are their ids.

use serde_json::{Map, Value};

use super::super::ability::{Ability, Whites};
use super::super::color::{Gamut, Xy};
use super::super::v2::beside::Beside;
use super::super::v2::resources::{Directory, Motions, Resource, Scene};
use crate::lights::Lamp;
use crate::settings::TargetKind;

pub(in crate::lights::hue) const LIGHTS: &str = "/api/:key/lights";
/// What is asked to know what the hub holds.
pub(in crate::lights::hue) const DIRECTORY: [&str; 4] =
    [LIGHTS, "/api/:key/groups", "/api/:key/scenes", "/api/:key/config"];
/// The group of all lights.
const ALL: &str = "0";
/// The only effect.
pub(super) const COLOR_LOOP: &str = "colorloop";

/// What the answers to [`DIRECTORY`] say; none when lights or groups are no hub's. Imitations leave scenes out.
pub(in crate::lights::hue) fn directory(answers: &[Vec<u8>]) -> Option<Directory> {
    let object = |at: usize| -> Option<Map<String, Value>> { serde_json::from_slice(answers.get(at)?).ok() };
    let (lights, groups) = (object(0)?, object(1)?);
    let mut directory = Directory::default();
    directory.resources.extend(lights.iter().map(|(number, light)| self::light(number, light)));
    for (number, group) in &groups {
        directory.resources.extend(self::group(number, group, TargetKind::Zone));
    }
    directory.resources.extend(self::group(ALL, &Value::Null, TargetKind::Home));
    directory.scenes = object(2).unwrap_or_default().iter().filter_map(|(id, it)| scene(id, it)).collect();
    let config = object(3).unwrap_or_default();
    directory.hub_id = config.get("bridgeid").and_then(Value::as_str).map(str::to_lowercase);
    Some(directory)
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

fn light(number: &str, light: &Value) -> Resource {
    Resource {
        kind: TargetKind::Light,
        id: number.to_owned(),
        name: text(light, "name"),
        grouped_light: None,
        related: Vec::new(),
        ability: Some(ability(light)),
        motions: Motions { blinks: false, breathes: light.pointer("/state/alert").is_some() },
    }
}

/// A group as a place, and as where its commands go.
fn group(number: &str, group: &Value, kind: TargetKind) -> [Resource; 2] {
    let kind = if text(group, "type").as_deref() == Some("Room") { TargetKind::Room } else { kind };
    let lights = group.get("lights").and_then(Value::as_array).into_iter().flatten();
    let place = Resource {
        kind,
        id: number.to_owned(),
        name: text(group, "name"),
        grouped_light: Some(number.to_owned()),
        related: lights.filter_map(|number| number.as_str().map(str::to_owned)).collect(),
        ability: None,
        motions: Motions::default(),
    };
    let motions = Motions { blinks: false, breathes: true };
    let end = Resource {
        kind: TargetKind::Group,
        id: number.to_owned(),
        name: None,
        grouped_light: None,
        related: Vec::new(),
        ability: None,
        motions,
    };
    [place, end]
}

/// What it makes of its lamps is told only where scenes are asked for one by one.
fn scene(id: &str, scene: &Value) -> Option<Scene> {
    let place = text(scene, "group")?;
    Some(Scene { id: format!("{place}/{id}"), name: text(scene, "name")?, place, lamps: Vec::new() })
}

fn ability(light: &Value) -> Ability {
    let has = |key: &str| light.pointer("/state").and_then(|state| state.get(key)).is_some();
    let bound = |end: &str| light.pointer(&format!("/capabilities/control/ct/{end}")).and_then(Value::as_u64);
    let white = has("ct").then(|| Whites::told(bound("min"), bound("max")));
    let gamut = has("xy").then(|| gamut(light));
    Ability { dims: has("bri"), white, gamut }
}

/// The lamp's own triangle, that of its letter, or C.
fn gamut(light: &Value) -> Gamut {
    let corner = |at: usize| point(light.pointer(&format!("/capabilities/control/colorgamut/{at}"))?);
    let own = || Some(Gamut([corner(0)?, corner(1)?, corner(2)?]));
    let lettered = || Gamut::by_letter(light.pointer("/capabilities/control/colorgamuttype")?.as_str()?);
    own().or_else(lettered).unwrap_or(Gamut::C)
}

pub(super) fn point(value: &Value) -> Option<Xy> {
    let (x, y) = (value.get(0)?.as_f64()?, value.get(1)?.as_f64()?);
    ((0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y)).then_some(Xy { x, y })
}

/// Of a lamp's state, in hundredths of a percent.
pub(super) fn brightness(state: &Value) -> Option<u16> {
    let bri = state.get("bri").and_then(Value::as_f64)?;
    Some((bri.clamp(0.0, 254.0) / 254.0 * 10_000.0).round() as u16)
}

/// Whether it goes through all colours.
fn loops(state: &Value) -> bool {
    state.get("on") != Some(&Value::Bool(false)) && text(state, "effect").as_deref() == Some(COLOR_LOOP)
}

/// What the answer to [`LIGHTS`] tells of every lamp.
pub(in crate::lights::hue) fn seen(answer: &[u8]) -> Option<Vec<Lamp>> {
    let lights: Map<String, Value> = serde_json::from_slice(answer).ok()?;
    let lamp = |(number, light): (&String, &Value)| {
        let state = light.get("state")?;
        let mode = state.get("colormode").and_then(Value::as_str).unwrap_or_default();
        let is_lost = state.get("reachable") == Some(&Value::Bool(false));
        let ct = state.get("ct").and_then(Value::as_u64).filter(|_| mode == "ct" || state.get("xy").is_none());
        let lamp = Lamp {
            id: number.as_str().into(),
            on: state.get("on").and_then(Value::as_bool),
            brightness: brightness(state),
            xy: state.get("xy").filter(|_| mode != "ct").and_then(point).map(Xy::ten_thousandths),
            mirek: ct.and_then(|ct| u16::try_from(ct).ok()),
            other: loops(state).then(|| Beside::effect(COLOR_LOOP).to_keep()).flatten(),
        };
        Some(if is_lost { lamp.lost() } else { lamp })
    };
    Some(lights.iter().filter_map(lamp).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::Target;

    fn answers() -> Vec<Vec<u8>> {
        let lights = json!({
            "1": {"name": "Desk", "state": {"on": true, "bri": 254, "xy": [0.3, 0.4], "ct": 300, "colormode": "xy", "alert": "none", "reachable": true},
                  "capabilities": {"control": {"colorgamuttype": "B", "ct": {"min": 153, "max": 500}}}},
            "2": {"name": "Shelf", "state": {"on": false, "bri": 127, "ct": 400, "colormode": "ct", "reachable": false}},
            "7": {"name": "Plug", "state": {"on": true}},
            "8": null,
        });
        let groups = json!({"1": {"name": "Office", "type": "Room", "lights": ["1", "2"]}, "2": {"name": "Reading", "type": "LightGroup", "lights": ["7"]}});
        let scenes = json!({"abc": {"name": "Relax", "group": "1"}, "old": {"name": "Old"}});
        let config = json!({"bridgeid": "001788FFFE102030"});
        [lights, groups, scenes, config].iter().map(|it| it.to_string().into_bytes()).collect()
    }

    fn target(kind: Option<TargetKind>, name: &str) -> Target {
        Target { kind, name: name.into() }
    }

    #[test]
    fn rooms_groups_lights_and_the_home_are_found() {
        let directory = directory(&answers()).unwrap();
        assert_eq!(directory.hub_id.as_deref(), Some("001788fffe102030"));
        let office = directory.find(&target(None, "office")).unwrap();
        assert_eq!((office.kind, office.id.as_str(), office.lamps.len()), ("grouped_light", "1", 2));
        assert!(office.motions.breathes && office.ability.gamut == Some(Gamut::B));
        assert_eq!(
            directory.find(&target(None, "Reading")).unwrap().lamps[0].ability,
            Ability { dims: false, white: None, gamut: None }
        );
        assert_eq!(directory.find(&target(Some(TargetKind::Light), "2")).unwrap().kind, "light");
        assert!(directory.find(&target(None, "1")).is_err(), "a bare number could be a light or a group");
        let home = directory.find(&target(None, "home")).unwrap();
        assert_eq!((home.id.as_str(), home.lamps.len()), ("0", 4));
        assert_eq!(directory.scene("relax", office.place.as_deref()).unwrap().id, "1/abc");
    }

    #[test]
    fn what_lamps_show_is_read() {
        let lamps = seen(&answers()[0]).unwrap();
        assert_eq!((lamps[0].brightness, lamps[0].xy, lamps[0].mirek), (Some(10_000), Some((3000, 4000)), None));
        assert_eq!((lamps[1].on, lamps[1].mirek, lamps[1].other.is_some()), (Some(false), Some(400), true));
    }

    #[test]
    fn what_is_not_a_hubs_answer_is_none() {
        let odd = |text: &str| vec![text.as_bytes().to_vec(); 4];
        for text in ["", "[]", "<html>", "7"] {
            assert!(directory(&odd(text)).is_none());
        }
        assert!(directory(&odd("{}")).is_some());
    }
}
