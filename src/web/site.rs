//! What one listener serves: health and metrics, the pages, or both.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;

use super::guard::{Guard, guard};
use super::health::{self, Source};
use super::hosts::Hosts;
use super::pages::{self, Pages};
use super::status::Status;

/// What one listener serves, and under which names.
pub struct Site {
    router: Router,
    guard: Guard,
}

impl Site {
    /// Health and metrics alone. `status` is asked at every request and must not block.
    pub fn health(hosts: Hosts, status: impl Fn() -> Status + Send + Sync + 'static) -> Self {
        let status: Source = Arc::new(status);
        let router =
            health::routes(status).fallback(async || (StatusCode::NOT_FOUND, "There are /healthz and /metrics.\n"));
        Self { router, guard: Guard { hosts, path: String::new(), posts: Vec::new() } }
    }

    /// The pages; with health and metrics, unless those have a listener of their own.
    pub fn pages(pages: Pages) -> Self {
        let settings = pages.settings.web.clone();
        let names: Vec<String> =
            settings.hosts.iter().cloned().chain([settings.public_url.host().to_owned()]).collect();
        let hosts = Hosts::new(settings.listen, &names);
        let path = settings.public_url.path().to_owned();
        let posts = pages::posts(&pages);
        let health = settings.metrics_listen.is_none().then(|| health::routes(pages.status.clone()));
        let inner = pages::routes(pages, &path);
        let inner = health.into_iter().fold(inner, Router::merge);
        Self { router: inner, guard: Guard { hosts, path, posts } }
    }

    pub(super) fn into_router(self) -> Router {
        self.router.layer(middleware::from_fn_with_state(Arc::new(self.guard), guard))
    }
}
