//! CLIP v1: older hubs, and bridges that imitate one. Read into, and commanded from, v2's terms.
//!
//! `GET /api/<key>/{lights,groups,scenes,config}` and `/scenes/<id>`; `PUT /api/<key>/lights/<n>/state` and `/groups/<n>/action`
//! with `on`, `bri` (1 to 254), `xy`, `ct`, `transitiontime` (tenths of a second), `alert`. Group 0 is the
//! whole home. A room, a zone and a group are one thing here, and keep the words that v2 has for them.

pub(super) mod answer;
mod poll;
mod resources;
mod scenes;

use serde_json::{Map, Value, json};

pub(super) use self::poll::Poll;
pub(super) use self::resources::{DIRECTORY, LIGHTS, directory, seen};
pub(super) use self::scenes::{scene_lamps, scene_path};
use super::v2::command::Put;
use super::v2::resources::{GROUPED_LIGHT, LIGHT};

/// Path and body of a command, `:key` standing for the application key.
pub(super) fn request(put: &Put) -> (String, Value) {
    match put.kind {
        LIGHT => (format!("/api/:key/lights/{}/state", put.id), body(&put.body)),
        GROUPED_LIGHT => (format!("/api/:key/groups/{}/action", put.id), body(&put.body)),
        _ => {
            let (group, scene) = put.id.split_once('/').unwrap_or(("0", &put.id));
            let mut body = json!({"scene": scene});
            if let Some(duration) = put.body.pointer("/recall/duration").and_then(Value::as_u64) {
                body["transitiontime"] = json!(duration / 100);
            }
            (format!("/api/:key/groups/{group}/action"), body)
        }
    }
}

/// A body of v2 in v1's words.
fn body(v2: &Value) -> Value {
    let mut body = Map::new();
    if let Some(on) = v2.pointer("/on/on") {
        body.insert("on".into(), on.clone());
    }
    if let Some(percent) = v2.pointer("/dimming/brightness").and_then(Value::as_f64) {
        body.insert("bri".into(), json!(((percent * 2.54).round() as u8).clamp(1, 254)));
    }
    if let Some(xy) = v2.pointer("/color/xy") {
        body.insert("xy".into(), json!([xy["x"], xy["y"]]));
    }
    if let Some(mirek) = v2.pointer("/color_temperature/mirek") {
        body.insert("ct".into(), mirek.clone());
    }
    if let Some(duration) = v2.pointer("/dynamics/duration").and_then(Value::as_u64) {
        body.insert("transitiontime".into(), json!(duration / 100));
    }
    if let Some(effect) = v2.pointer("/effects/effect") {
        body.insert("effect".into(), effect.clone());
    }
    if v2.get("alert").is_some() {
        body.insert("alert".into(), json!("lselect"));
    }
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_said_in_v1s_words() {
        let put = |kind, body| request(&Put { kind, id: "3".into(), body });
        let red = json!({"on": {"on": true}, "dimming": {"brightness": 80.0}, "dynamics": {"duration": 400},
            "color": {"xy": {"x": 0.6915, "y": 0.3083}}});
        let (path, body) = put(LIGHT, red);
        assert_eq!(path, "/api/:key/lights/3/state");
        assert_eq!(body, json!({"on": true, "bri": 203, "xy": [0.6915, 0.3083], "transitiontime": 4}));
        let (path, body) = put(GROUPED_LIGHT, json!({"on": {"on": false}}));
        assert_eq!((path.as_str(), body), ("/api/:key/groups/3/action", json!({"on": false})));
        assert_eq!(put(LIGHT, json!({"alert": {"action": "breathe"}})).1, json!({"alert": "lselect"}));
        assert_eq!(
            put(LIGHT, json!({"dimming": {"brightness": 0.1}, "color_temperature": {"mirek": 366}})).1,
            json!({"bri": 1, "ct": 366})
        );
        let scene =
            Put { kind: "scene", id: "2/abc".into(), body: json!({"recall": {"action": "active", "duration": 1000}}) };
        assert_eq!(
            request(&scene),
            ("/api/:key/groups/2/action".to_owned(), json!({"scene": "abc", "transitiontime": 10}))
        );
    }
}
