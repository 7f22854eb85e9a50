//! A hub's page: how it stands, and pairing it by its link button, counted down without a script.

use std::borrow::Cow;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use tokio::time::Instant;

use super::frame::{Page, redirect};
use super::{Shared, Workshop};
use crate::actuator::{Condition, HubState, Progress};
use crate::web::cookies::Visitor;
use crate::web::form::Own;

/// Seconds between two looks while the button is waited for.
const TICK: u32 = 1;
/// Seconds between two looks otherwise.
const LOOK: u32 = 10;

pub(super) fn routes<S: Clone + Send + Sync + 'static>(path: &str, workshop: Workshop) -> Router<S> {
    Router::new()
        .route(&format!("{path}/hub/{{hub}}"), get(show))
        .route(&format!("{path}/hub/{{hub}}/pair"), post(pair))
        .route(&format!("{path}/hub/{{hub}}/cancel"), post(cancel))
        .with_state(workshop)
}

async fn show(State(workshop): State<Workshop>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    let shared = &workshop.shared;
    let Some(hub) = workshop.pairings.hub(&name) else { return shared.page(no_such_hub()) };
    let visitor = shared.cookies.visitor(&headers);
    let progress = workshop.pairings.progress(&name);
    let is_under_way = progress.is_under_way();
    let body = html! {
        (standing(&hub))
        (how_far(shared, &visitor, &hub, &progress))
        @if !is_under_way { (way(shared, &visitor, &hub)) }
    };
    let refresh = if is_under_way { TICK } else { LOOK };
    shared.page_for(&visitor, Page::new(format!("Hub {name}"), body).refresh(Some(refresh)))
}

/// Begins to pair it, or joins whoever did. Who presses the button here has seen whether its certificate changed.
async fn pair(State(workshop): State<Workshop>, Path(name): Path<String>, request: Request) -> Response {
    asked(&workshop, &name, request, |workshop| workshop.pairings.start(&name, true).is_some()).await
}

async fn cancel(State(workshop): State<Workshop>, Path(name): Path<String>, request: Request) -> Response {
    asked(&workshop, &name, request, |workshop| {
        workshop.pairings.cancel(&name);
        workshop.pairings.hub(&name).is_some()
    })
    .await
}

/// Does what a form of a hub's page asks, and shows the page again; `does` answers whether there is such a hub.
async fn asked(workshop: &Workshop, name: &str, request: Request, does: impl Fn(&Workshop) -> bool) -> Response {
    let shared = &workshop.shared;
    match Own::read(request, &shared.cookies, &shared.public_url().origin()).await {
        Err(refused) => shared.page(Page::of_form(refused)),
        Ok(_) if does(workshop) => redirect(&shared.link(&format!("/hub/{name}"))),
        Ok(_) => shared.page(no_such_hub()),
    }
}

fn no_such_hub() -> Page {
    let words = "There is no hub of that name in the configuration (hubs).";
    Page::refusal(StatusCode::NOT_FOUND, "No such hub", words)
}

/// How a hub stands, in a few words; and whether that is as it should be, where it is known.
pub(super) fn words(hub: &HubState) -> (&'static str, Option<bool>) {
    match hub.standing.condition {
        Condition::NotAsked if hub.lights == 0 => ("no light hangs on it", None),
        Condition::NotAsked => ("asked for now", None),
        Condition::Well => ("paired", Some(true)),
        Condition::NoKey => ("not paired", Some(false)),
        Condition::KeyRefused => ("key refused", Some(false)),
        Condition::CertificateChanged => ("certificate changed", Some(false)),
        Condition::AnotherHub => ("another hub answers", Some(false)),
        Condition::Unreachable => ("unreachable", Some(false)),
        Condition::Odd => ("cannot be used now", Some(false)),
    }
}

/// What is wrong with it; without the command where the page has the button.
pub(super) fn reason(hub: &HubState) -> Option<Cow<'_, str>> {
    match hub.standing.condition {
        Condition::NoKey => Some("Nobody has paired it yet.".into()),
        Condition::KeyRefused => Some(
            "It does not know the application key any more: the key was removed in the Hue app, or the hub was reset."
                .into(),
        ),
        Condition::CertificateChanged => Some(
            "It shows another certificate than the one known: somebody may stand between, or the hub was reset or \
             replaced. Pair it again only if you know why."
                .into(),
        ),
        Condition::AnotherHub => Some(
            format!(
                "What answers at its address is another hub, no hub, or one that nothing is known of yet. If it is \
                 yours, pair it on this hub's page. If not, somebody who can change the configuration corrects \
                 hubs.{0}.host, or hubs.{0}.id.",
                hub.name
            )
            .into(),
        ),
        _ => hub.standing.reason.as_deref().map(Cow::from),
    }
}

/// What a light's trouble comes down to where the page of its hub has the remedy.
pub(super) fn remedied(hub: &HubState) -> Option<&'static str> {
    match hub.standing.condition {
        Condition::AnotherHub => Some("is not what answers at its address"),
        condition => condition.wants_pairing().then_some("is to be paired"),
    }
}

fn standing(hub: &HubState) -> Markup {
    let (words, is_well) = words(hub);
    let class = match is_well {
        Some(true) => "card good",
        Some(false) => "card warn",
        None => "card",
    };
    html! {
        section class=(class) {
            p { "It stands so: " strong { (words) } "." }
            @if let Some(reason) = reason(hub) { p.soft { (reason) } }
        }
    }
}

/// How far its pairing is, or how it ended.
fn how_far(shared: &Shared, visitor: &Visitor, hub: &HubState, progress: &Progress) -> Markup {
    match progress {
        Progress::Idle => html! {},
        Progress::Starting => html! { section.card { p { "The hub is looked for …" } } },
        Progress::Press { until, changed } => {
            let seconds = until.saturating_duration_since(Instant::now()).as_millis().div_ceil(1000);
            html! {
                section.card {
                    h2 { "Press the button on the hub" }
                    p.code { (seconds) " s" }
                    p { "It is the round link button on top. This page notices when it was pressed." }
                    @if let Some((before, now)) = changed {
                        p { strong { "Its certificate is another one than before. " }
                            "Press the button only if you know why, such as after a reset." }
                        p.soft { "Before: " (before) }
                        p.soft { "Now: " (now) }
                    }
                    (shared.button(visitor, &format!("/hub/{}/cancel", hub.name), "second", "Cancel"))
                }
            }
        }
        Progress::Paired { id, name } => html! {
            section.card.good {
                p { "Paired with " strong { (name.as_deref().unwrap_or("hub")) } " (" (id) "). Its application key is kept in "
                    "the store, sealed, and used from now on." }
            }
        },
        Progress::Failed(not_paired) => html! { section.card.bad { p { (not_paired) } } },
        Progress::Cancelled => html! { section.card { p { "Pairing was cancelled." } } },
    }
}

fn way(shared: &Shared, visitor: &Visitor, hub: &HubState) -> Markup {
    let wanted = hub.standing.condition.wants_pairing() || hub.lights == 0;
    let (class, label) = if wanted { ("first", "Pair it") } else { ("second", "Pair it again") };
    html! {
        section.card {
            (shared.button(visitor, &format!("/hub/{}/pair", hub.name), class, label))
            p.soft { "Then you have a minute to press the button on the hub." }
        }
    }
}
