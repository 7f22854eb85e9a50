//! Entra and Graph on one plain-http listener, faithful to what Microsoft documents.
//!
//! A [`Cloud`] knows tenants, applications and people. Whoever asks it over HTTP gets the answers,
//! limits and errors of the real ones; whoever holds the handle changes the world: presences,
//! approvals, revocations, faults. Source of the facts: Microsoft's identity platform and Graph v1.0
//! documentation.

mod assertion;
mod authorize;
mod calls;
mod consent;
mod control;
mod device;
mod directory;
mod entra;
mod errors;
mod grants;
mod graph;
mod html;
mod identity;
mod limit;
mod preferred;
mod presence;
mod tokens;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;

pub use calls::{Call, Route};
pub use device::CodeError;
pub use directory::{Application, Platform, Refusal};
pub use presence::Shown;

use super::fallible::fallible;
use super::fault::Faults;
use super::log::Log;
use super::server::Server;
use directory::Directory;
use grants::Grants;
use limit::Limits;

use crate::presence::ObjectId;

/// Times and sizes, to be changed by [`Cloud::adjust`].
#[derive(Debug, Clone)]
pub struct Rules {
    /// How long an access token is good; really 60 to 90 minutes.
    pub access_token: Duration,
    /// How long a refresh token is good; really 90 days.
    pub refresh_token: Duration,
    /// How long a device code is good; really 15 minutes.
    pub device_code: Duration,
    /// The shortest time between two polls with a device code; really 5 s. Whole seconds reach the client.
    pub interval: Duration,
    /// Whether a used refresh token is refused from then on; really not.
    pub revoke_used: bool,
    /// How many characters a token has; really 1 to 2 thousand.
    pub token_length: usize,
    /// Presence requests in [`Rules::window`] for each application and tenant; really 1,500.
    pub limit: usize,
    /// Really 30 s.
    pub window: Duration,
    /// A fault: a batch that asks for this person is refused as a whole with this status.
    pub refused: Option<(ObjectId, u16)>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            access_token: Duration::from_secs(3_900),
            refresh_token: Duration::from_secs(90 * 86_400),
            device_code: Duration::from_secs(900),
            interval: Duration::from_secs(5),
            revoke_used: false,
            token_length: 1_200,
            limit: 1_500,
            window: Duration::from_secs(30),
            refused: None,
        }
    }
}

/// Entra and Graph. Cheap to clone; the listener ends with the last clone.
#[derive(Clone)]
pub struct Cloud {
    shared: Arc<Shared>,
    server: Arc<Server>,
}

fallible!(Cloud);

/// What the handle and the requests share.
struct Shared {
    world: Mutex<World>,
    calls: Log<Call>,
    faults: Faults,
    /// The URL at which the listener is reached; set once it listens.
    base: OnceLock<String>,
}

#[derive(Default)]
struct World {
    rules: Rules,
    directory: Directory,
    grants: Grants,
    limits: Limits,
    /// How many presences were told, each counted once.
    told: usize,
    used_assertions: assertion::Used,
    identities: identity::Identities,
}

impl Shared {
    fn base(&self) -> &str {
        self.base.get().map_or("", String::as_str)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cloud {
    /// Starts on a free port of 127.0.0.1, empty.
    pub async fn start() -> io::Result<Self> {
        Self::start_as(None).await
    }

    /// The same, behind something that makes it known as this URL.
    pub async fn start_behind(url: &str) -> io::Result<Self> {
        Self::start_as(Some(url.to_owned())).await
    }

    async fn start_as(url: Option<String>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            world: Mutex::default(),
            calls: Log::new(),
            faults: Faults::default(),
            base: OnceLock::new(),
        });
        let app = Router::new()
            .merge(authorize::routes())
            .merge(consent::routes())
            .merge(entra::routes())
            .merge(device::routes())
            .merge(graph::routes())
            .merge(identity::routes())
            .fallback(graph::no_such_route)
            .layer(from_fn_with_state(shared.clone(), calls::watch))
            .with_state(shared.clone());
        let server = Server::start(app, None).await?;
        shared.base.get_or_init(|| url.unwrap_or_else(|| format!("http://{}", server.address())));
        Ok(Self { server: Arc::new(server), shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The URL in front of `/<tenant>/oauth2/v2.0/…`.
    pub fn authority(&self) -> String {
        self.shared.base().to_owned()
    }

    /// Graph's endpoint, version included.
    pub fn graph(&self) -> String {
        format!("{}/v1.0", self.shared.base())
    }

    /// Every request that was answered, or is not going to be.
    pub fn calls(&self) -> &Log<Call> {
        &self.shared.calls
    }

    /// Changes times and sizes. Tokens and codes that are out keep theirs.
    pub fn adjust(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.shared.world().rules);
    }
}
