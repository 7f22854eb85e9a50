//! For people whom the configuration does not name: to become an account, and to be one no more. Both are
//! proven by signing in.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};

use super::frame::Page;
use super::{Entrance, Shared};
use crate::entra::Errand;
use crate::web::form::Own;

pub(super) fn routes<S: Clone + Send + Sync + 'static>(path: &str, entrance: Entrance) -> Router<S> {
    Router::new()
        .route(&format!("{path}/enrol"), get(enrol))
        .route(&format!("{path}/enrol/start"), post(start_enrol))
        .route(&format!("{path}/leave"), get(leave))
        .route(&format!("{path}/leave/start"), post(start_leave))
        .with_state(entrance)
}

async fn enrol(State(entrance): State<Entrance>, headers: HeaderMap) -> Response {
    let tenants = entrance.shared.settings.web.enrol.join(", ");
    let words = html! {
        p { "Sign in at Microsoft, and your presence in Teams is read from then on and published on this installation’s "
            "MQTT broker: whether you are available, busy, away or in a call." }
        p.soft { "For people of " (tenants) ". You can leave again at any time." }
    };
    offer(&entrance.shared, &headers, "Enrol", &words, "/enrol/start", "Sign in at Microsoft and enrol")
}

async fn leave(State(entrance): State<Entrance>, headers: HeaderMap) -> Response {
    let words = html! {
        p { "Sign in at Microsoft to show who you are. Then your presence is not read any more, your sign-in is "
            "forgotten here, and what was published of you is removed." }
    };
    offer(&entrance.shared, &headers, "Leave", &words, "/leave/start", "Sign in at Microsoft and leave")
}

async fn start_enrol(State(entrance): State<Entrance>, request: Request) -> Response {
    start(&entrance, request, "/enrol", Errand::Enrol).await
}

async fn start_leave(State(entrance): State<Entrance>, request: Request) -> Response {
    start(&entrance, request, "/leave", Errand::Leave).await
}

fn offer(shared: &Shared, headers: &HeaderMap, title: &str, words: &Markup, start: &str, label: &str) -> Response {
    let visitor = shared.cookies.visitor(headers);
    let body = html! {
        section.card {
            (words)
            @match shared.public_url().unusable() {
                None => (shared.button(&visitor, start, "first", label)),
                Some(reason) => p.soft { (reason) "." },
            }
        }
    };
    shared.page_for(&visitor, Page::new(title, body))
}

async fn start(entrance: &Entrance, request: Request, page: &str, errand: Errand) -> Response {
    let shared = &entrance.shared;
    match Own::read(request, &shared.cookies, &shared.public_url().origin()).await {
        Ok(own) => entrance.to_entra(&own, page, errand),
        Err(refused) => shared.page(Page::of_form(refused)),
    }
}
