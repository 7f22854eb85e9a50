//! `GET /healthz` and `GET /metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::metrics;
use super::status::{Status, Verdict};

/// Where the status comes from: asked at every request; it must not block.
pub type Source = Arc<dyn Fn() -> Status + Send + Sync>;

pub(super) fn routes(status: Source) -> Router {
    Router::new().route("/healthz", get(healthz)).route("/metrics", get(metrics)).with_state(status)
}

async fn healthz(State(status): State<Source>) -> Response {
    let health = status().health();
    let code = match health.status {
        Verdict::Ok | Verdict::Degraded => StatusCode::OK,
        Verdict::Failing => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(health)).into_response()
}

async fn metrics(State(status): State<Source>) -> Response {
    ([(header::CONTENT_TYPE, metrics::MEDIA_TYPE)], metrics::render(&status())).into_response()
}
