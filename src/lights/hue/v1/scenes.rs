//! What scenes make of their lamps, which CLIP v1 tells where it is asked for one scene.
//!
//! `GET /api/<key>/scenes/<id>` answers `{"name", "type", "group", "lights", "version": 2, "lightstates": {"<light>":
//! {"on", "bri", "xy", "ct", "hue", "sat", "effect"}}}`, of a colour in one of its three ways. Scenes of version 1 have no
//! `lightstates`, and imitations can leave them out. Source: Signify's page "Scenes API".

use serde_json::{Map, Value};

use super::super::ability::Ability;
use super::super::color::Xy;
use super::super::v2::beside::Beside;
use super::super::v2::resources::{Directory, Resource};
use super::resources::{COLOR_LOOP, brightness, point};
use crate::lights::Lamp;
use crate::settings::TargetKind;

/// Where a scene is told, by the id that it has among what the hub holds.
pub(in crate::lights::hue) fn scene_path(id: &str) -> String {
    format!("/api/:key/scenes/{}", id.split_once('/').map_or(id, |(_, scene)| scene))
}

/// What an answer says that a scene makes of its lamps: what they can, and the nearest that they can. None where it is no
/// scene.
pub(in crate::lights::hue) fn scene_lamps(answer: &[u8], directory: &Directory) -> Option<Vec<Lamp>> {
    let scene: Map<String, Value> = serde_json::from_slice(answer).ok()?;
    let lamp = |(number, state): (&String, &Value)| {
        let is_it = |light: &&Resource| light.kind == TargetKind::Light && light.id == *number;
        lamp(number, state, directory.resources.iter().find(is_it)?.ability?)
    };
    let states = scene.get("lightstates").and_then(Value::as_object);
    Some(states.into_iter().flatten().filter_map(lamp).collect())
}

fn lamp(number: &str, state: &Value, ability: Ability) -> Option<Lamp> {
    let on = state.get("on")?.as_bool()?;
    let xy = ability.gamut.and_then(|gamut| Some(gamut.clamp(point(state.get("xy")?)?)));
    let mirek = || {
        let mirek = u16::try_from(state.get("ct")?.as_u64()?).ok()?;
        Some(ability.white?.nearest(mirek))
    };
    let loops = state.get("effect").and_then(Value::as_str) == Some(COLOR_LOOP);
    Some(Lamp {
        id: number.into(),
        on: Some(on),
        brightness: brightness(state).filter(|_| ability.dims),
        xy: xy.map(Xy::ten_thousandths),
        mirek: if xy.is_some() { None } else { mirek() },
        other: loops.then(|| Beside::effect(COLOR_LOOP).to_keep()).flatten(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::resources::directory;
    use super::*;

    fn made(lightstates: &Value) -> Vec<Lamp> {
        let control = json!({"control": {"colorgamuttype": "C", "ct": {"min": 153, "max": 500}}});
        let lights = json!({
            "1": {"name": "Desk", "state": {"on": true, "bri": 254, "xy": [0.3, 0.4], "ct": 300}, "capabilities": control},
            "2": {"name": "Shelf", "state": {"on": false, "bri": 127, "ct": 400}, "capabilities": control},
            "7": {"name": "Plug", "state": {"on": true}},
        });
        let answers = [lights, json!({}), json!({}), json!({})].map(|it| it.to_string().into_bytes());
        let scene = json!({"name": "Relax", "group": "1", "version": 2, "lightstates": lightstates});
        scene_lamps(scene.to_string().as_bytes(), &directory(&answers).unwrap()).unwrap()
    }

    #[test]
    fn each_lamp_has_what_it_can_of_its_state() {
        let all = json!({"on": true, "bri": 127, "xy": [0.8, 0.2], "ct": 600, "hue": 7, "sat": 9});
        let lamps = made(&json!({"1": all, "2": all, "7": all, "8": all, "9": null}));
        let [desk, shelf, plug] = &lamps[..] else { panic!("{lamps:?}") };
        assert_eq!((desk.brightness, desk.xy, desk.mirek), (Some(5000), Some((6915, 3083)), None), "its red corner");
        assert_eq!((shelf.brightness, shelf.xy, shelf.mirek), (Some(5000), None, Some(500)), "its warmest");
        assert_eq!((plug.on, plug.brightness, plug.xy, plug.mirek), (Some(true), None, None, None));
        let lamps = made(&json!({"1": {"on": true, "effect": "colorloop"}, "2": {"bri": 7}}));
        assert!(lamps.len() == 1 && Beside::kept(&lamps[0]).moves(), "{lamps:?}");
    }

    #[test]
    fn what_tells_nothing_of_lamps_is_no_hand_against_them() {
        let empty = Directory::default();
        assert_eq!(scene_lamps(br#"{"name": "Old", "version": 1}"#, &empty), Some(Vec::new()));
        for odd in [&b""[..], b"[]", br#"[{"error": {"type": 3}}]"#, b"<html>"] {
            assert_eq!(scene_lamps(odd, &empty), None);
        }
        assert_eq!(scene_path("1/abc"), "/api/:key/scenes/abc");
    }
}
