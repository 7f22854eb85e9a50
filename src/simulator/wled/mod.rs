//! A WLED strip: its JSON API over http.

mod device;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{self, ConnectInfo, Request};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use self::device::Device;
use super::fallible::fallible;
use super::fault::Faults;
use super::server::{Conn, Server};

/// How long after the command a preset is read from the flash and shown.
const LOADING: Duration = Duration::from_millis(150);

/// A strip. Cheap to clone; the listener ends with the last clone.
#[derive(Clone)]
pub struct Wled {
    shared: Arc<Shared>,
    server: Arc<Server>,
}

fallible!(Wled);

struct Shared {
    device: Mutex<Device>,
    commands: Mutex<Vec<(Instant, Value)>>,
    readings: AtomicUsize,
    listings: AtomicUsize,
    faults: Faults,
}

impl Shared {
    fn device(&self) -> MutexGuard<'_, Device> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commands(&self) -> MutexGuard<'_, Vec<(Instant, Value)>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a command over; a preset of it is loaded later.
fn obey(shared: &Arc<Shared>, command: &Value) {
    if shared.device().obey(command) {
        let shared = shared.clone();
        tokio::spawn(async move {
            tokio::time::sleep(LOADING).await;
            shared.device().turn();
        });
    }
}

impl Wled {
    /// A strip of two segments, `0` and `Sign`, off, whose own switches are on as they are from the factory; with presets
    /// `Relax` (saved with its brightness), `Work` (without) and `Party` (a playlist). On a free port of 127.0.0.1.
    pub async fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared {
            device: Mutex::new(Device::new()),
            commands: Mutex::default(),
            readings: AtomicUsize::default(),
            listings: AtomicUsize::default(),
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
        self.shared.device().state.clone()
    }

    /// What the lamps of each segment do: `dark`, `#ff0000`, `#ff0000 breathing`, `palette 11 breathing`.
    pub fn drawn(&self) -> Vec<String> {
        self.shared.device().drawn()
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

    /// How often its presets were listed.
    pub fn listings(&self) -> usize {
        self.shared.listings.load(Ordering::Relaxed)
    }

    /// Somebody changes it by an app; `part` is what a command would hold.
    pub fn hand(&self, part: &Value) {
        obey(&self.shared, part);
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
    Json(shared.device().state.clone())
}

async fn presets_of(extract::State(shared): extract::State<Arc<Shared>>) -> Json<Value> {
    shared.listings.fetch_add(1, Ordering::Relaxed);
    Json(shared.device().presets.clone())
}

async fn write(extract::State(shared): extract::State<Arc<Shared>>, Json(part): Json<Value>) -> Json<Value> {
    shared.commands().push((Instant::now(), part.clone()));
    obey(&shared, &part);
    Json(json!({"success": true}))
}
