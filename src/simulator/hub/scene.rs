//! Scenes: what the lamps of a room or zone show together.

use std::time::Instant;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::State;
use super::command::obey;
use super::routes::refuse;

pub(super) struct Scene {
    pub id: String,
    /// By CLIP v1.
    pub short: String,
    pub name: String,
    /// Index of its room or zone.
    pub group: usize,
    /// Indices of lamps, and what each is sent.
    pub actions: Vec<(usize, Value)>,
    /// Whether its colours move.
    pub dynamic: bool,
}

/// The actions of a scene as hubs list them: one for each lamp of the room or zone, which says whether it is on.
pub(super) fn of_all(lamps: &[usize], named: Vec<(usize, Value)>) -> Vec<(usize, Value)> {
    let dark: Vec<_> = lamps.iter().filter(|lamp| named.iter().all(|(named, _)| named != *lamp)).copied().collect();
    let lit = named.into_iter().map(|(lamp, mut action)| {
        let action_members = action.as_object_mut().expect("an action is an object");
        action_members.entry("on").or_insert_with(|| json!({"on": true}));
        (lamp, action)
    });
    lit.chain(dark.into_iter().map(|lamp| (lamp, json!({"on": {"on": false}})))).collect()
}

impl State {
    pub(super) fn scene_resource(&self, scene: &Scene) -> Value {
        let group = &self.groups[scene.group];
        let action = |(lamp, action): &(usize, Value)| json!({"target": {"rid": self.lamps[*lamp].light, "rtype": "light"}, "action": action});
        json!({
            "id": scene.id,
            "id_v1": format!("/scenes/{}", scene.short),
            "type": "scene",
            "metadata": {"name": scene.name},
            "group": {"rid": group.id, "rtype": group.kind.name()},
            "actions": scene.actions.iter().map(action).collect::<Vec<_>>(),
            "palette": {"color": [], "dimming": [], "color_temperature": [], "effects": []},
            "speed": 0.5,
            "auto_dynamic": scene.dynamic,
            "status": {"active": "inactive"},
        })
    }

    /// Lets the lamps show a scene. Answers with those that changed.
    pub(super) fn recall(&mut self, scene: usize) -> Vec<usize> {
        let actions = self.scenes[scene].actions.clone();
        let changed = actions.into_iter().filter(|(lamp, action)| obey(&mut self.lamps[*lamp], action).changed);
        changed.map(|(lamp, _)| lamp).collect()
    }

    /// `PUT /clip/v2/resource/scene/<id>`: the lamps that changed, and the answer.
    pub(super) fn recall_by(&mut self, scene: usize, body: &Value, at: Instant) -> (Vec<usize>, Response) {
        if self.group_too_fast(at) {
            return (Vec::new(), refuse(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests"));
        }
        let known = ["active", "dynamic_palette", "static"];
        if !body.pointer("/recall/action").and_then(Value::as_str).is_some_and(|action| known.contains(&action)) {
            return (Vec::new(), refuse(StatusCode::BAD_REQUEST, "attribute (.recall.action) is missing"));
        }
        let changed = self.recall(scene);
        let data = json!([{"rid": self.scenes[scene].id, "rtype": "scene"}]);
        (changed, Json(json!({"data": data, "errors": []})).into_response())
    }
}
