//! CLIP v1: `/api/<key>/…`, with status 200 whatever happens.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{self, Path};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::command::obey;
use super::lamp::{GroupKind, Lamp, NO_EFFECT};
use super::routes::config_of;
use super::{Change, Command, Shared, State};

/// The only effect of CLIP v1: all colours, one after another.
const COLOR_LOOP: &str = "colorloop";

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/{key}", get(whole))
        .route("/api/{key}/{kind}", get(section))
        .route("/api/{key}/scenes/{id}", get(scene))
        .route("/api/{key}/scenes/{id}/lightstates/{number}", put(lightstate))
        .route("/api/{key}/lights/{number}/state", put(light))
        .route("/api/{key}/groups/{number}/action", put(group))
}

fn error(kind: u64, address: &str, description: &str) -> Value {
    json!({"error": {"type": kind, "address": address, "description": description}})
}

fn unauthorized() -> Response {
    Json(json!([error(1, "/", "unauthorized user")])).into_response()
}

async fn whole(extract::State(shared): extract::State<Arc<Shared>>, Path(key): Path<String>) -> Response {
    let state = shared.state();
    if !state.keys.contains(&key) {
        return unauthorized();
    }
    let sections = ["lights", "groups", "scenes", "config"];
    let whole: Map<String, Value> =
        sections.iter().filter_map(|kind| Some(((*kind).to_owned(), state.v1_section(kind)?))).collect();
    Json(whole).into_response()
}

async fn section(
    extract::State(shared): extract::State<Arc<Shared>>,
    Path((key, kind)): Path<(String, String)>,
) -> Response {
    let state = shared.state();
    if !state.keys.contains(&key) {
        return unauthorized();
    }
    match state.v1_section(&kind) {
        Some(section) => Json(section).into_response(),
        None => {
            let address = format!("/{kind}");
            Json(json!([error(3, &address, &format!("resource, {address}, not available"))])).into_response()
        }
    }
}

/// One scene: of one alone it is told what it makes of its lamps.
async fn scene(
    extract::State(shared): extract::State<Arc<Shared>>,
    Path((key, id)): Path<(String, String)>,
) -> Response {
    let state = shared.state();
    if !state.keys.contains(&key) {
        return unauthorized();
    }
    let Some(scene) = state.scenes.iter().find(|scene| scene.short == id) else { return no_scene(&id) };
    let mut whole = state.v1_scene(scene);
    let lightstate = |(lamp, action): &(usize, Value)| (state.lamps[*lamp].number.to_string(), v1_lightstate(action));
    whole["lightstates"] = scene.actions.iter().map(lightstate).collect();
    Json(whole).into_response()
}

fn no_scene(id: &str) -> Response {
    Json(json!([error(3, &format!("/scenes/{id}"), &format!("resource, /scenes/{id}, not available"))])).into_response()
}

/// An app changes what a scene makes of a lamp.
async fn lightstate(
    extract::State(shared): extract::State<Arc<Shared>>,
    Path((key, id, number)): Path<(String, String, String)>,
    body: Bytes,
) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut state = shared.state();
    if !state.keys.contains(&key) {
        return unauthorized();
    }
    let lamp = state.lamps.iter().position(|lamp| lamp.number.to_string() == number);
    let scene = state.scenes.iter_mut().find(|scene| scene.short == id);
    let of_lamp = |scene: &mut super::scene::Scene| {
        let at = scene.actions.iter().position(|(at, _)| Some(*at) == lamp)?;
        scene.actions[at].1 =
            members(&body).into_iter().filter_map(|(_, member)| member.ok()).fold(json!({}), |mut action, member| {
                action.as_object_mut().expect("an action is an object").extend(super::lamp::members(member));
                action
            });
        Some(())
    };
    match scene.and_then(of_lamp) {
        Some(()) => {
            let address = format!("/scenes/{id}/lightstates/{number}");
            let changed = |(name, value): (&String, &Value)| json!({"success": {format!("{address}/{name}"): value}});
            Json(body.as_object().into_iter().flatten().map(changed).collect::<Value>()).into_response()
        }
        None => no_scene(&id),
    }
}

impl State {
    fn v1_section(&self, kind: &str) -> Option<Value> {
        match kind {
            "lights" => Some(self.lamps.iter().map(|lamp| (lamp.number.to_string(), v1_light(lamp))).collect()),
            "groups" => {
                let named = self.groups.iter().filter(|group| group.kind != GroupKind::Home);
                Some(named.map(|group| (group.number.to_string(), self.v1_group(group))).collect())
            }
            "scenes" => Some(self.scenes.iter().map(|scene| (scene.short.clone(), self.v1_scene(scene))).collect()),
            "config" => Some(config_of(self)),
            _ => None,
        }
    }

    fn v1_group(&self, group: &super::lamp::Group) -> Value {
        let kind = if group.kind == GroupKind::Room { "Room" } else { "Zone" };
        let lights: Vec<String> = group.lamps.iter().map(|lamp| self.lamps[*lamp].number.to_string()).collect();
        let on = |lamp: &usize| self.lamps[*lamp].state.on;
        let (any, all) = (group.lamps.iter().any(on), group.lamps.iter().all(on));
        json!({"name": group.name, "type": kind, "class": "Office", "lights": lights, "state": {"any_on": any, "all_on": all}})
    }

    fn v1_scene(&self, scene: &super::scene::Scene) -> Value {
        let group = &self.groups[scene.group];
        let lights: Vec<String> = group.lamps.iter().map(|lamp| self.lamps[*lamp].number.to_string()).collect();
        json!({
            "name": scene.name,
            "type": "GroupScene",
            "group": group.number.to_string(),
            "lights": lights,
            "owner": "5e3c1f6b-0000-4000-8000-0017880abcde",
            "recycle": false,
            "locked": false,
            "appdata": {"version": 1, "data": ""},
            "picture": "",
            "lastupdated": "2026-11-24T08:00:00",
            "version": 2,
        })
    }
}

/// What a scene makes of a lamp, in v1's words.
fn v1_lightstate(action: &Value) -> Value {
    let mut state = Map::new();
    let mut tell = |name: &str, value: Option<Value>| drop(value.map(|value| state.insert(name.to_owned(), value)));
    tell("on", action.pointer("/on/on").cloned());
    tell("bri", action.pointer("/dimming/brightness").and_then(Value::as_f64).map(|percent| json!(bri(percent))));
    tell("xy", action.pointer("/color/xy").map(|xy| json!([xy["x"], xy["y"]])));
    tell("ct", action.pointer("/color_temperature/mirek").cloned());
    Value::Object(state)
}

fn bri(percent: f64) -> u64 {
    (percent * 2.54).round().clamp(1.0, 254.0) as u64
}

fn v1_light(lamp: &Lamp) -> Value {
    let state = &lamp.state;
    let mut shown = json!({"on": state.on, "alert": "none", "reachable": lamp.reachable, "mode": "homeautomation"});
    if lamp.kind.takes("dimming") {
        shown["bri"] = json!(bri(state.brightness));
    }
    if lamp.kind.takes("color_temperature") {
        shown["ct"] = json!(state.mirek.unwrap_or(366));
        shown["colormode"] = json!(if state.mirek.is_some() { "ct" } else { "xy" });
    }
    let mut control = json!({});
    if let Some(gamut) = lamp.kind.gamut() {
        let (x, y) = state.xy.unwrap_or((0.4573, 0.41));
        shown["xy"] = json!([x, y]);
        shown["effect"] = json!(if state.effect == COLOR_LOOP { COLOR_LOOP } else { "none" });
        control["colorgamuttype"] = gamut.letter().into();
        control["colorgamut"] = gamut.corners().iter().map(|(x, y)| json!([x, y])).collect();
    }
    if lamp.kind.takes("color_temperature") {
        let (coldest, warmest) = lamp.kind.whites();
        control["ct"] = json!({"min": coldest, "max": warmest});
    }
    json!({"name": lamp.name, "state": shown, "capabilities": {"control": control}, "uniqueid": lamp.light})
}

/// A command of v1 in v2's terms, member by member: its name, and its body; or the error of a wrong value.
fn members(body: &Value) -> Vec<(String, Result<Value, u64>)> {
    let member = |(name, value): (&String, &Value)| {
        let number = |least: f64, most: f64| value.as_f64().filter(|it| (least..=most).contains(it)).ok_or(7_u64);
        let v2 = match name.as_str() {
            "on" => value.as_bool().map(|on| json!({"on": {"on": on}})).ok_or(7),
            "bri" => number(0.0, 254.0).map(|bri| json!({"dimming": {"brightness": bri.max(1.0) / 2.54}})),
            "ct" => number(153.0, 500.0).map(|mirek| json!({"color_temperature": {"mirek": mirek}})),
            "xy" => match (value[0].as_f64(), value[1].as_f64()) {
                (Some(x), Some(y)) => Ok(json!({"color": {"xy": {"x": x, "y": y}}})),
                _ => Err(7),
            },
            "transitiontime" => number(0.0, 65_535.0).map(|tenths| json!({"dynamics": {"duration": tenths * 100.0}})),
            "effect" => match value.as_str() {
                Some("none") => Ok(json!({"effects": {"effect": NO_EFFECT}})),
                Some(COLOR_LOOP) => Ok(json!({"effects": {"effect": COLOR_LOOP}})),
                _ => Err(7),
            },
            "alert" => match value.as_str() {
                Some("none" | "select" | "lselect") => Ok(json!({"alert": {"action": "breathe"}})),
                _ => Err(7),
            },
            _ => Err(6),
        };
        (name.clone(), v2)
    };
    body.as_object().into_iter().flatten().map(member).collect()
}

async fn light(
    extract::State(shared): extract::State<Arc<Shared>>,
    Path((key, number)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let lamp = |state: &State| state.lamps.iter().position(|lamp| lamp.number.to_string() == number);
    obeyed(&shared, &key, &format!("/lights/{number}/state"), &body, |state| {
        lamp(state).map(|lamp| (state.lamps[lamp].name.clone(), vec![lamp], false))
    })
}

async fn group(
    extract::State(shared): extract::State<Arc<Shared>>,
    Path((key, number)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    obeyed(&shared, &key, &format!("/groups/{number}/action"), &body, |state| {
        let wanted = |group: &&super::lamp::Group| match group.kind {
            GroupKind::Home => number == "0",
            _ => group.number.to_string() == number,
        };
        state.groups.iter().find(wanted).map(|group| (group.name.clone(), group.lamps.clone(), true))
    })
}

fn obeyed(
    shared: &Shared,
    key: &str,
    address: &str,
    body: &[u8],
    find: impl FnOnce(&State) -> Option<(String, Vec<usize>, bool)>,
) -> Response {
    let at = Instant::now();
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let (answers, command, changes) = {
        let mut state = shared.state();
        if !state.keys.contains(key) {
            return unauthorized();
        }
        let Some((target, lamps, is_group)) = find(&state) else {
            return Json(json!([error(3, address, &format!("resource, {address}, not available"))])).into_response();
        };
        let too_fast = if is_group { state.group_too_fast(at) } else { state.light_too_fast(at) };
        let (answers, changed) = match too_fast {
            true => (vec![error(901, address, "Internal error, 503")], Vec::new()),
            false => state.v1_command(address, &lamps, &body, is_group),
        };
        if !changed.is_empty() {
            let frame = state.update(&changed);
            shared.send(frame);
        }
        let changes: Vec<Change> = changed.into_iter().map(|lamp| state.change(lamp, at)).collect();
        let status = if too_fast { 503 } else { 200 };
        (answers, Command { at, target, group: is_group, body, status }, changes)
    };
    shared.commands.add(command);
    changes.into_iter().for_each(|change| shared.changes.add(change));
    Json(answers).into_response()
}

impl State {
    /// Obeys member by member. Answers with what is said to each, and the lamps that changed.
    fn v1_command(&mut self, address: &str, lamps: &[usize], body: &Value, is_group: bool) -> (Vec<Value>, Vec<usize>) {
        if let Some(short) = body.get("scene").and_then(Value::as_str) {
            return match self.scenes.iter().position(|scene| scene.short == short) {
                Some(scene) => (vec![json!({"success": {format!("{address}/scene"): short}})], self.recall(scene)),
                None => {
                    (vec![error(7, &format!("{address}/scene"), "invalid value, for parameter, scene")], Vec::new())
                }
            };
        }
        let mut answers = Vec::new();
        let mut v2 = Map::new();
        for (name, member) in members(body) {
            let address = format!("{address}/{name}");
            let able = |member: &Value| {
                let attribute = member.as_object().and_then(|it| it.keys().next()).map_or("", String::as_str);
                is_group || lamps.iter().any(|lamp| self.lamps[*lamp].kind.takes(attribute))
            };
            let off =
                !is_group && name != "on" && body.get("on") != Some(&json!(true)) && !self.lamps[lamps[0]].state.on;
            match member {
                Err(7) => {
                    let text = format!("invalid value, {}, for parameter, {name}", body[&name]);
                    answers.push(error(7, &address, &text));
                }
                Err(kind) => answers.push(error(kind, &address, &format!("parameter, {name}, not available"))),
                Ok(member) if !able(&member) => {
                    answers.push(error(6, &address, &format!("parameter, {name}, not available")));
                }
                Ok(_) if off => {
                    let text = format!("parameter, {name}, is not modifiable. Device is set to off.");
                    answers.push(error(201, &address, &text));
                }
                Ok(member) => {
                    answers.push(json!({"success": {address: body[&name]}}));
                    v2.extend(super::lamp::members(member));
                }
            }
        }
        let v2 = Value::Object(v2);
        let changed = lamps.iter().copied().filter(|lamp| obey(&mut self.lamps[*lamp], &v2).changed).collect();
        (answers, changed)
    }
}
