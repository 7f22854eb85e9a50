//! What a hub answers to, who may ask, and how many at once.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{self, ConnectInfo, Path, Request as HttpRequest};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::pairing::register;
use super::put::put;
use super::stream::events;
use super::{Request, Shared, State, v1};
use crate::simulator::fault::What;
use crate::simulator::server::Conn;

const EVENTS: &str = "/eventstream/clip/v2";
/// Types of resources that a hub knows, whether it has some or not.
const TYPES: &[&str] = &[
    "bridge",
    "bridge_home",
    "button",
    "device",
    "device_power",
    "grouped_light",
    "light",
    "motion",
    "room",
    "scene",
    "zigbee_connectivity",
    "zone",
];

/// `has_v2`: whether it speaks CLIP v2 beside v1.
pub(super) fn routes(shared: &Arc<Shared>, has_v2: bool) -> Router {
    let v2 = Router::new()
        .route("/clip/v2/resource", get(all))
        .route("/clip/v2/resource/{kind}", get(of_kind))
        .route("/clip/v2/resource/{kind}/{id}", get(one).put(put))
        .route(EVENTS, get(events))
        .route_layer(from_fn_with_state(shared.clone(), known_key));
    Router::new()
        .route("/api", post(register))
        .route("/api/config", get(config))
        .route("/api/0/config", get(config))
        .merge(v1::routes())
        .merge(if has_v2 { v2 } else { Router::new() })
        .fallback(|| async { refuse(StatusCode::NOT_FOUND, "Not Found") })
        .layer(from_fn_with_state(shared.clone(), watch))
        .with_state(shared.clone())
}

/// An answer of CLIP v2 that holds nothing but an error.
pub(super) fn refuse(status: StatusCode, description: &str) -> Response {
    (status, Json(json!({"data": [], "errors": [{"description": description}]}))).into_response()
}

/// One request that is being answered.
struct Turn<'a>(&'a Shared);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state().at_once -= 1;
    }
}

impl Shared {
    fn turn(&self) -> Option<Turn<'_>> {
        let mut state = self.state();
        let free = state.at_once < state.limits.at_once;
        free.then(|| {
            state.at_once += 1;
            Turn(self)
        })
    }
}

/// Logs the request, lets a fault happen where one is due, and refuses what is too much at once.
async fn watch(
    extract::State(shared): extract::State<Arc<Shared>>,
    ConnectInfo(conn): ConnectInfo<Conn>,
    request: HttpRequest,
    next: Next,
) -> Response {
    let at = Instant::now();
    let (method, path) = (request.method().as_str().to_owned(), request.uri().path().to_owned());
    let log = |status| shared.requests.add(Request { at, route: format!("{method} {path}"), status });
    let turn = shared.turn();
    if turn.is_none() && path != EVENTS {
        log(Some(StatusCode::TOO_MANY_REQUESTS.as_u16()));
        return refuse(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests");
    }
    let response = match shared.faults.take(&method, &path) {
        None => next.run(request).await,
        Some(what @ (What::Hang | What::Cut | What::Lost)) => {
            log(None);
            return what.happen(request, next, &conn).await;
        }
        Some(what) => what.happen(request, next, &conn).await,
    };
    drop(turn);
    log(Some(response.status().as_u16()));
    response
}

/// A key that the hub does not know gets status 403 and nothing else.
async fn known_key(extract::State(shared): extract::State<Arc<Shared>>, request: HttpRequest, next: Next) -> Response {
    let key = request.headers().get("hue-application-key").and_then(|key| key.to_str().ok());
    let known = key.is_some_and(|key| shared.state().keys.contains(key));
    if known { next.run(request).await } else { StatusCode::FORBIDDEN.into_response() }
}

async fn config(extract::State(shared): extract::State<Arc<Shared>>) -> Json<Value> {
    Json(config_of(&shared.state()))
}

/// What a hub tells of itself to anybody.
pub(super) fn config_of(state: &State) -> Value {
    let mac = state.bridge_id.replace("fffe", "").into_bytes();
    let mac: Vec<_> = mac.chunks(2).map(String::from_utf8_lossy).collect();
    json!({
        "name": state.name,
        "datastoreversion": state.model.datastore,
        "swversion": state.model.software,
        "apiversion": state.model.api,
        "mac": mac.join(":"),
        "bridgeid": state.bridge_id.to_uppercase(),
        "factorynew": false,
        "replacesbridgeid": null,
        "modelid": state.model.id,
        "starterkitid": "",
    })
}

fn found(data: Vec<Value>) -> Response {
    Json(json!({"errors": [], "data": data})).into_response()
}

async fn all(extract::State(shared): extract::State<Arc<Shared>>) -> Response {
    found(shared.state().resources())
}

async fn of_kind(extract::State(shared): extract::State<Arc<Shared>>, Path(kind): Path<String>) -> Response {
    if !TYPES.contains(&kind.as_str()) {
        return refuse(StatusCode::NOT_FOUND, "Not Found");
    }
    let mut resources = shared.state().resources();
    resources.retain(|resource| resource["type"] == kind.as_str());
    found(resources)
}

async fn one(
    extract::State(shared): extract::State<Arc<Shared>>,
    Path((kind, id)): Path<(String, String)>,
) -> Response {
    let mut resources = shared.state().resources();
    resources.retain(|resource| resource["type"] == kind.as_str() && resource["id"] == id.as_str());
    if resources.is_empty() { refuse(StatusCode::NOT_FOUND, "Not Found") } else { found(resources) }
}
