//! The log of calls, and the faults, around every request.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use super::Shared;
use crate::simulator::fault::What;
use crate::simulator::server::Conn;

/// One request to Entra or Graph.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it came.
    pub at: Instant,
    /// When its answer was ready; when it came, for one that is never answered.
    pub answered: Instant,
    /// What was asked.
    pub route: Route,
    /// The person's user principal name, or the application's client id, where it was recognised.
    pub principal: Option<Arc<str>>,
    /// How many ids a batch held; 1 for one person's presence.
    pub size: usize,
    /// The answer's status; none where the answer never comes.
    pub status: Option<u16>,
}

/// What was asked of Entra or Graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// `GET /<tenant>/oauth2/v2.0/authorize`
    Authorize,
    /// `POST /<tenant>/oauth2/v2.0/devicecode`
    DeviceCode,
    /// `POST /<tenant>/oauth2/v2.0/token`
    Token,
    /// `GET /<tenant>/v2.0/.well-known/openid-configuration`
    Tenant,
    /// `GET /v1.0/me/presence`
    MyPresence,
    /// `GET /v1.0/users/{id}/presence`
    UserPresence,
    /// `POST /v1.0/communications/getPresencesByUserId`
    Presences,
    /// `GET /v1.0/users/{name}`
    User,
    /// A managed identity's endpoint.
    Identity,
    /// `GET /secrets/{name}`
    Vault,
    /// `POST /v1.0/users/{id}/presence/{action}`
    Write,
    /// Anything else.
    Other,
}

impl Route {
    /// The routes that count against Graph's limit of presence requests.
    pub const PRESENCE: [Self; 3] = [Self::MyPresence, Self::UserPresence, Self::Presences];

    fn of(method: &Method, path: &str) -> Self {
        let post = method == Method::POST;
        match path {
            "/v1.0/me/presence" if !post => Self::MyPresence,
            "/v1.0/communications/getPresencesByUserId" if post => Self::Presences,
            _ if path.starts_with("/v1.0/users/") && path.ends_with("/presence") => Self::UserPresence,
            _ if post && path.starts_with("/v1.0/users/") && path.contains("/presence/") => Self::Write,
            _ if path.starts_with("/v1.0/users/") => Self::User,
            _ if path.ends_with("/oauth2/v2.0/authorize") => Self::Authorize,
            _ if post && path.ends_with("/oauth2/v2.0/token") => Self::Token,
            _ if post && path.ends_with("/oauth2/v2.0/devicecode") => Self::DeviceCode,
            _ if path.ends_with("/.well-known/openid-configuration") => Self::Tenant,
            "/metadata/identity/oauth2/token" | "/msi/token" | "/arc/token" => Self::Identity,
            _ if path.starts_with("/secrets/") => Self::Vault,
            _ => Self::Other,
        }
    }
}

/// What an answer tells the log about its request.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub principal: Arc<str>,
    pub size: usize,
}

/// Logs the request, and lets a fault happen where one is due.
pub(super) async fn watch(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(conn): ConnectInfo<Conn>,
    request: Request,
    next: Next,
) -> Response {
    let at = Instant::now();
    let route = Route::of(request.method(), request.uri().path());
    let fault = shared.faults.take(request.method().as_str(), request.uri().path());
    let unanswered = Call { at, answered: at, route, principal: None, size: 1, status: None };
    let response = match fault {
        None => next.run(request).await,
        Some(what @ (What::Hang | What::Cut | What::Lost)) => {
            shared.calls.add(unanswered);
            return what.happen(request, next, &conn).await;
        }
        Some(what) => what.happen(request, next, &conn).await,
    };
    let asked = response.extensions().get::<Asked>();
    shared.calls.add(Call {
        answered: Instant::now(),
        principal: asked.map(|asked| asked.principal.clone()),
        size: asked.map_or(1, |asked| asked.size),
        status: Some(response.status().as_u16()),
        ..unanswered
    });
    response
}
