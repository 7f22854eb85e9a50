//! Where Entra sends a browser back to.
//!
//! First the browser brings Entra's post, across sites and so without our cookie. It is answered by a
//! redirect to here, which carries the cookie, and in its URL nothing but a handle.

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::html;

use super::Entrance;
use super::frame::{self, Page, redirect};
use super::status::label;
use crate::entra::{Arrival, Browser, Posted, SignedIn, Trouble, Unexpected};
use crate::presence::AccountName;
use crate::web::form::{self, ENTRAS, Refused};

/// How long a page waits for Entra, before it says so and looks again.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(serde::Deserialize)]
pub(super) struct Came {
    #[serde(default)]
    back: String,
}

/// Takes what Entra lets the browser post. It comes from another site by its nature: the state is the proof.
pub(super) async fn posted(State(entrance): State<Entrance>, request: Request) -> Response {
    let body = match form::body(request, ENTRAS).await {
        Ok(body) => body,
        Err(refused) => return entrance.shared.page(Page::of_form(refused)),
    };
    let Some(posted) = Posted::from_form(&body) else {
        return entrance.shared.page(Page::of_form(Refused::Unreadable));
    };
    match entrance.bridge.sign_ins.receive(posted) {
        Ok(handle) => redirect(&entrance.shared.link(&format!("/sign-in/callback?back={handle}"))),
        Err(unexpected) => entrance.shared.page(stale(unexpected)),
    }
}

/// The browser is here, with its cookie.
pub(super) async fn arrived(
    State(entrance): State<Entrance>,
    came: Result<Query<Came>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let Some(Query(Came { back })) = came.ok().filter(|Query(came)| !came.back.is_empty()) else {
        // An account may have this name.
        return match entrance.account("callback") {
            Ok(account) => entrance.account_page(&account, &headers),
            Err(page) => entrance.shared.page(page),
        };
    };
    let visitor = entrance.shared.cookies.visitor(&headers);
    match entrance.bridge.sign_ins.arrive(&back, Browser::of(&visitor.id), PATIENCE).await {
        Err(unexpected) => entrance.shared.page(stale(unexpected)),
        Ok(Arrival { account, outcome: None }) => {
            let words = html! { section.card { p { "Microsoft is asked to confirm the sign-in …" } } };
            let title = format!("Signing {} in", label(&entrance.shared, &account));
            entrance.shared.page(Page::new(title, words).refresh(Some(1)))
        }
        Ok(Arrival { account, outcome: Some(Ok(signed_in)) }) => {
            entrance.shared.page(done(&entrance, &account, &signed_in))
        }
        Ok(Arrival { account, outcome: Some(Err(trouble)) }) => {
            entrance.shared.page(failed(&entrance, &account, &trouble))
        }
    }
}

fn done(entrance: &Entrance, account: &AccountName, signed_in: &SignedIn) -> Page {
    let shared = &entrance.shared;
    let body = html! {
        section.card.good {
            p { strong { (label(shared, account)) } " is signed in as " strong { (signed_in.username) } "." }
            p.soft { "The presence is read from now on; nothing else is to be done. You can close this page." }
        }
        p { a.button.second href=(shared.link("/")) { "How it stands" } }
    };
    Page::new("Signed in", body)
}

fn failed(entrance: &Entrance, account: &AccountName, trouble: &Trouble) -> Page {
    let shared = &entrance.shared;
    let status = match trouble {
        Trouble::Retry { .. } => StatusCode::BAD_GATEWAY,
        Trouble::Misconfigured { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        Trouble::SignIn { .. } | Trouble::Consent { .. } | Trouble::Blocked { .. } => StatusCode::FORBIDDEN,
    };
    let body = html! {
        section.card.bad { (frame::trouble(trouble)) }
        p { a.button href=(shared.link(&format!("/sign-in/{account}"))) { "Try again" } }
    };
    Page::new(format!("{} is not signed in", label(shared, account)), body).status(status)
}

fn stale(unexpected: Unexpected) -> Page {
    let (status, remedy) = match unexpected {
        Unexpected::Unknown => (StatusCode::BAD_REQUEST, "Begin again on the account’s page."),
        Unexpected::AnotherBrowser => {
            (StatusCode::FORBIDDEN, "Begin again in this browser, with cookies allowed for this page.")
        }
    };
    let words = format!("Nothing was changed: {unexpected}. {remedy}");
    Page::refusal(status, "Begin again", &words)
}
