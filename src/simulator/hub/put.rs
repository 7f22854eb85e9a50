//! Commands to lights and groups.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{self, Path};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::command::{Complaint, Obeyed, check, obey};
use super::routes::refuse;
use super::{Change, Command, Shared, State};

/// Whom a command is for.
enum Target {
    Light(usize),
    Group(usize),
    Scene(usize),
}

pub(super) async fn put(
    extract::State(shared): extract::State<Arc<Shared>>,
    Path((kind, id)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let at = Instant::now();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (command, changes, response) = {
        let mut state = shared.state();
        let Some(target) = state.target(&kind, &id) else { return refuse(StatusCode::NOT_FOUND, "Not Found") };
        let (changed, response) = state.answer(&target, &kind, &id, &body, at);
        if !changed.is_empty() {
            let frame = state.update(&changed);
            shared.send(frame);
        }
        let changes: Vec<Change> = changed.into_iter().map(|index| state.change(index, at)).collect();
        (state.command(&target, at, body, response.status().as_u16()), changes, response)
    };
    shared.commands.add(command);
    changes.into_iter().for_each(|change| shared.changes.add(change));
    response
}

impl State {
    fn target(&self, kind: &str, id: &str) -> Option<Target> {
        match kind {
            "light" => self.lamps.iter().position(|lamp| lamp.light == id).map(Target::Light),
            "grouped_light" => self.groups.iter().position(|group| group.grouped == id).map(Target::Group),
            "scene" => self.scenes.iter().position(|scene| scene.id == id).map(Target::Scene),
            _ => None,
        }
    }

    fn command(&self, target: &Target, at: Instant, body: Value, status: u16) -> Command {
        let (name, group) = match target {
            Target::Light(index) => (&self.lamps[*index].name, false),
            Target::Group(index) => (&self.groups[*index].name, true),
            Target::Scene(index) => (&self.scenes[*index].name, true),
        };
        Command { at, target: name.clone(), group, body, status }
    }

    /// The answer, and the lamps that changed.
    fn answer(&mut self, target: &Target, kind: &str, id: &str, body: &Value, at: Instant) -> (Vec<usize>, Response) {
        if let Target::Scene(scene) = target {
            return self.recall_by(*scene, body, at);
        }
        if self.too_fast(target, at) {
            return (Vec::new(), refuse(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests"));
        }
        if let Err(complaint) = check(body) {
            return (Vec::new(), refuse(StatusCode::BAD_REQUEST, &complaint));
        }
        let lamps = match target {
            Target::Light(index) => vec![*index],
            Target::Group(index) => self.groups[*index].lamps.clone(),
            Target::Scene(_) => Vec::new(),
        };
        let obeyed: Vec<Obeyed> = lamps.iter().map(|index| obey(&mut self.lamps[*index], body)).collect();
        let changed = lamps.into_iter().zip(&obeyed).filter(|(_, obeyed)| obeyed.changed).map(|(index, _)| index);
        let errors: Vec<_> = obeyed.iter().flat_map(|obeyed| &obeyed.complaints).map(Complaint::to_json).collect();
        let any = obeyed.iter().any(|obeyed| obeyed.any);
        let status = match (any, errors.is_empty()) {
            (_, true) => StatusCode::OK,
            (true, false) => StatusCode::MULTI_STATUS,
            (false, false) => StatusCode::BAD_REQUEST,
        };
        let data = if any || errors.is_empty() { json!([{"rid": id, "rtype": kind}]) } else { json!([]) };
        (changed.collect(), (status, Json(json!({"data": data, "errors": errors}))).into_response())
    }

    /// Counts a command against the limits of its kind.
    fn too_fast(&mut self, target: &Target, at: Instant) -> bool {
        match target {
            Target::Light(_) => self.light_too_fast(at),
            Target::Group(_) | Target::Scene(_) => self.group_too_fast(at),
        }
    }

    pub(super) fn light_too_fast(&mut self, at: Instant) -> bool {
        let recent = |then: &Instant| at.duration_since(*then) < Duration::from_secs(1);
        self.light_commands.retain(recent);
        let fits = self.light_commands.len() < self.limits.light_commands;
        if fits {
            self.light_commands.push_back(at);
        }
        !fits
    }

    pub(super) fn group_too_fast(&mut self, at: Instant) -> bool {
        let soon = self.group_command.is_some_and(|last| at.duration_since(last) < self.limits.group_gap);
        if !soon {
            self.group_command = Some(at);
        }
        soon
    }
}
