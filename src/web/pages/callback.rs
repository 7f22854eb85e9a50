//! Where Entra sends a browser back to.
//!
//! First the browser brings Entra's post, across sites and so without our cookie. It is answered by a
//! redirect to here, which carries the cookie, and in its URL nothing but a handle.

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::{Markup, html};

use super::frame::{Page, redirect};
use super::status::{label, signs_in};
use super::{Entrance, Shared, password};
use crate::entra::{Arrival, Browser, Consented, Errand, Posted, SignedIn, Trouble, Unexpected};
use crate::presence::AccountName;
use crate::web::form::{self, ENTRAS, Refused};

/// How long a page waits for Entra, before it says so and looks again.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(serde::Deserialize)]
pub(super) struct Came {
    #[serde(default)]
    back: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    admin_consent: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Came {
    /// Of a sign-in of which nothing is known here. No page where administrators consent was opened with a state.
    fn is_stale(&self) -> bool {
        !self.state.is_empty() && self.admin_consent.is_empty()
    }

    /// From Entra's page where administrators consent, as far as anybody can tell.
    fn consented(&self) -> Option<Consented> {
        Consented::from_fields(&self.admin_consent, &self.error, &self.error_description)
    }
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
    received(&entrance, posted)
}

fn received(entrance: &Entrance, posted: Posted) -> Response {
    match entrance.bridge.sign_ins.receive(posted) {
        Ok(handle) => redirect(&entrance.shared.link(&format!("/sign-in/callback?back={handle}"))),
        Err(unexpected) => entrance.shared.page(stale(unexpected)),
    }
}

/// The browser is here, with its cookie. It may also bring what it was to post: Entra sends some errors in the URL.
pub(super) async fn arrived(
    State(entrance): State<Entrance>,
    RawQuery(query): RawQuery,
    came: Result<Query<Came>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let posted = query.and_then(|query| Posted::from_form(query.as_bytes()));
    if let Some(posted) = posted.filter(|posted| entrance.bridge.sign_ins.awaits(posted)) {
        return received(&entrance, posted);
    }
    let came = came.ok().map(|Query(came)| came);
    let Some(Came { back, .. }) = came.as_ref().filter(|came| !came.back.is_empty()) else {
        if came.as_ref().is_some_and(Came::is_stale) {
            return entrance.shared.page(stale(Unexpected::Unknown));
        }
        if let Some(consented) = came.and_then(|came| came.consented()) {
            return entrance.shared.page(after_consent(&entrance.shared, &consented));
        }
        // An account may have this name. Its page is behind the lock as every account's is.
        if let Some(page) = password::asked_for(&entrance.shared, &headers, "/sign-in/callback") {
            return page;
        }
        return match entrance.account("callback") {
            Ok(account) => entrance.account_page(&account, &headers),
            Err(page) => entrance.shared.page(page),
        };
    };
    let visitor = entrance.shared.cookies.visitor(&headers);
    match entrance.bridge.sign_ins.arrive(back, Browser::of(&visitor.id), PATIENCE).await {
        Err(unexpected) => entrance.shared.page(stale(unexpected)),
        Ok(Arrival { errand, outcome }) => entrance.shared.page(came_back(&entrance, &errand, outcome.as_ref())),
    }
}

/// What an errand is called, and where it is begun again.
fn about(shared: &Shared, errand: &Errand) -> (String, String) {
    match errand {
        Errand::Account(account) => (label(shared, account).to_owned(), format!("/sign-in/{account}")),
        Errand::Enrol => ("Enrolment".to_owned(), "/enrol".to_owned()),
        Errand::Leave => ("Leaving".to_owned(), "/leave".to_owned()),
    }
}

fn came_back(entrance: &Entrance, errand: &Errand, outcome: Option<&Result<SignedIn, Trouble>>) -> Page {
    let (name, again) = about(&entrance.shared, errand);
    match outcome {
        None => {
            let words = html! { section.card { p { "Microsoft is asked to confirm the sign-in …" } } };
            Page::new(name, words).refresh(Some(1))
        }
        Some(Ok(signed_in)) => {
            let (title, status, body) = done(&entrance.shared, errand, signed_in);
            Page::new(title, body).status(status)
        }
        Some(Err(trouble)) => failed(&entrance.shared, errand, &name, &again, trouble),
    }
}

/// What somebody signed in for is done: a title, and what to say.
pub(super) fn done(shared: &Shared, errand: &Errand, signed_in: &SignedIn) -> (&'static str, StatusCode, Markup) {
    let SignedIn { username, account, kept, .. } = signed_in;
    if *errand == Errand::Enrol && shared.settings.accounts.contains_key(account) {
        return known(shared, account, username, *kept);
    }
    let (title, then) = match errand {
        Errand::Account(_) => ("Signed in", "The presence is read from now on; nothing else is to be done."),
        Errand::Enrol => ("You have enrolled", "Your presence is read from now on, until you leave."),
        Errand::Leave => ("You have left", "Your presence is not read any more, and what was published is removed."),
    };
    let body = html! {
        section.card.good {
            @match errand {
                Errand::Account(name) => p { strong { (label(shared, name)) } " is signed in as " strong { (username) } "." },
                Errand::Enrol => p { strong { (username) } " is an account now." },
                Errand::Leave => p { strong { (username) } " is no account any more." },
            }
            p.soft { (then) " You can close this page." }
        }
        @match errand {
            Errand::Account(_) => p { a.button.second href=(shared.link("/")) { "How it stands" } },
            Errand::Enrol => p { a.button.second href=(shared.link("/leave")) { "Leave" } },
            Errand::Leave => {},
        }
    };
    (title, StatusCode::OK, body)
}

/// Whoever wanted to enrol has an account by the configuration.
fn known(shared: &Shared, account: &AccountName, username: &str, kept: bool) -> (&'static str, StatusCode, Markup) {
    let own_page = signs_in(shared, account);
    let body = html! {
        section.card.good[kept].warn[!kept] {
            p { strong { (username) } " is the account " strong { (label(shared, account)) } " here already." }
            @if kept {
                p.soft { "It is signed in, and the presence is read from now on. You can close this page." }
            } @else if own_page {
                p.soft { "It needs more than an enrolment asks for: sign in on its own page." }
            } @else {
                p.soft { "It is read by somebody else’s right (accounts." (account) ".via): nothing is to be done." }
            }
        }
        @if own_page && !kept {
            p { a.button href=(shared.link(&format!("/sign-in/{account}"))) { "Sign " (label(shared, account)) " in" } }
        }
    };
    if kept {
        return ("Signed in", StatusCode::OK, body);
    }
    ("You have an account already", StatusCode::CONFLICT, body)
}

fn failed(shared: &Shared, errand: &Errand, name: &str, again: &str, trouble: &Trouble) -> Page {
    let status = match trouble {
        Trouble::Retry { .. } => StatusCode::BAD_GATEWAY,
        Trouble::Misconfigured { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        Trouble::SignIn { .. } | Trouble::Consent { .. } | Trouble::Blocked { .. } => StatusCode::FORBIDDEN,
    };
    let title = match errand {
        Errand::Account(_) => format!("{name} is not signed in"),
        Errand::Enrol | Errand::Leave => "That did not work".to_owned(),
    };
    let body = html! {
        section.card.bad { (shared.trouble(trouble)) }
        p { a.button href=(shared.link(again)) { "Try again" } }
    };
    Page::new(title, body).status(status)
}

/// Entra sends an administrator here who has consented, or would not: nobody whom this program knows, so nothing is
/// believed of it and nothing is changed.
fn after_consent(shared: &Shared, consented: &Consented) -> Page {
    let enrols = !shared.settings.web.enrol.is_empty();
    let (title, status, words) = match consented {
        Consented::Given => (
            "Consent was given",
            StatusCode::OK,
            html! {
                section.card.good {
                    p { "Microsoft sends word that an administrator has consented for the organisation." }
                    p.soft {
                        "Nothing changes by that alone: next, whoever was to sign in does so" @if enrols { ", or enrols" }
                        ", which shows whether everything is granted. What needs no sign-in is tried again by itself. "
                        "You can close this page."
                    }
                }
            },
        ),
        Consented::Refused(words) => (
            "Consent was not given",
            StatusCode::FORBIDDEN,
            html! {
                section.card.bad {
                    p { "Microsoft sends an error instead of a consent: " (words) }
                    p.soft { "Nothing was changed. The consent page can be opened again by whoever may consent." }
                }
            },
        ),
    };
    let body = html! {
        (words)
        p { a.button.second href=(shared.link("/")) { "How it stands" } }
        @if enrols { p { a.button.second href=(shared.link("/enrol")) { "Enrol" } } }
    };
    Page::new(title, body).status(status)
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
