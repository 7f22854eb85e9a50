//! A WLED strip: its JSON API over http.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::extract::{self, ConnectInfo, Request};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::fallible::fallible;
use super::fault::Faults;
use super::server::{Conn, Server};

/// A strip. Cheap to clone; the listener ends with the last clone.
#[derive(Clone)]
pub struct Wled {
    shared: Arc<Shared>,
    server: Arc<Server>,
}

fallible!(Wled);

struct Shared {
    state: Mutex<Value>,
    presets: Value,
    commands: Mutex<Vec<(Instant, Value)>>,
    readings: AtomicUsize,
    faults: Faults,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, Value> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commands(&self) -> MutexGuard<'_, Vec<(Instant, Value)>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wled {
    /// A strip of two segments, `0` and `Sign`, off, with a preset `Relax`; on a free port of 127.0.0.1.
    pub async fn start() -> io::Result<Self> {
        let segment = |id: u64, name: &str| {
            json!({"id": id, "n": name, "start": 10 * id, "stop": 10 * id + 10, "on": true, "bri": 255,
                "col": [[255, 160, 0], [0, 0, 0], [0, 0, 0]], "fx": 0, "sx": 128, "ix": 128, "pal": 0, "frz": false})
        };
        let state =
            json!({"on": false, "bri": 128, "transition": 7, "ps": -1, "seg": [segment(0, ""), segment(1, "Sign")]});
        let presets = json!({"0": {}, "4": {"n": "Relax", "on": true, "bri": 50}});
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            presets,
            commands: Mutex::default(),
            readings: AtomicUsize::default(),
            faults: Faults::default(),
        });
        let routes = Router::new()
            .route("/json/state", get(read).post(write))
            .route("/presets.json", get(presets_of))
            .layer(from_fn_with_state(shared.clone(), watch))
            .with_state(shared.clone());
        let server = Arc::new(Server::start(routes, None).await?);
        Ok(Self { shared, server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What it shows, as its API tells it.
    pub fn state(&self) -> Value {
        self.shared.state().clone()
    }

    /// Every command, as it came.
    pub fn commands(&self) -> Vec<Value> {
        self.shared.commands().iter().map(|(_, command)| command.clone()).collect()
    }

    /// When each of them came.
    pub fn commanded(&self) -> Vec<Instant> {
        self.shared.commands().iter().map(|(at, _)| *at).collect()
    }

    /// How often its state was read.
    pub fn readings(&self) -> usize {
        self.shared.readings.load(Ordering::Relaxed)
    }

    /// Somebody changes it by an app; `part` is what a command would hold.
    pub fn hand(&self, part: &Value) {
        change(&mut self.shared.state(), part);
    }
}

async fn watch(
    extract::State(shared): extract::State<Arc<Shared>>,
    ConnectInfo(conn): ConnectInfo<Conn>,
    request: Request,
    next: Next,
) -> Response {
    match shared.faults.take(request.method().as_str(), request.uri().path()) {
        Some(what) => what.happen(request, next, &conn).await,
        None => next.run(request).await,
    }
}

async fn read(extract::State(shared): extract::State<Arc<Shared>>) -> Json<Value> {
    shared.readings.fetch_add(1, Ordering::Relaxed);
    Json(shared.state().clone())
}

async fn presets_of(extract::State(shared): extract::State<Arc<Shared>>) -> Json<Value> {
    Json(shared.presets.clone())
}

async fn write(extract::State(shared): extract::State<Arc<Shared>>, Json(part): Json<Value>) -> Json<Value> {
    shared.commands().push((Instant::now(), part.clone()));
    change(&mut shared.state(), &part);
    Json(json!({"success": true}))
}

/// Takes a part over: members of the strip, and of segments by their ids. `tt` holds for this command alone.
fn change(state: &mut Value, part: &Value) {
    for (name, value) in
        part.as_object().into_iter().flatten().filter(|(name, _)| !["seg", "tt"].contains(&name.as_str()))
    {
        state[name] = value.clone();
    }
    for segment in part.get("seg").and_then(Value::as_array).into_iter().flatten() {
        let known = state["seg"].as_array_mut().into_iter().flatten().find(|known| known["id"] == segment["id"]);
        let Some(known) = known else { continue };
        for (name, value) in segment.as_object().into_iter().flatten() {
            known[name] = value.clone();
        }
    }
}
