//! What every page looks like, and the headers that it comes with.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{self, HeaderValue};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::Shared;
use crate::entra::Trouble;
use crate::settings::Settings;
use crate::web::cookies::Visitor;
use crate::web::form::{Refused, TOKEN};

/// A page before it is framed.
pub(super) struct Page {
    status: StatusCode,
    title: String,
    /// Seconds until it is loaded again by itself.
    refresh: Option<u32>,
    body: Markup,
}

impl Page {
    pub(super) fn new(title: impl Into<String>, body: Markup) -> Self {
        Self { status: StatusCode::OK, title: title.into(), refresh: None, body }
    }

    pub(super) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(super) fn refresh(self, seconds: Option<u32>) -> Self {
        Self { refresh: seconds, ..self }
    }

    /// Something did not happen: what, and what to do.
    pub(super) fn refusal(status: StatusCode, title: &str, words: &str) -> Self {
        Self::new(title, html! { section.card.bad { p { (words) } } }).status(status)
    }

    pub(super) fn of_form(refused: Refused) -> Self {
        Self::refusal(refused.status(), "Nothing was changed", &refused.words())
    }
}

/// What a page may load and where its forms may lead. A form's answer may send on to Entra, and Entra at
/// once to an organisation's own sign-in, of which only the scheme is known: browsers hold a form's
/// redirects to `form-action` too.
pub(super) fn policy(settings: &Settings) -> HeaderValue {
    let entra = settings.entra.as_ref().map(|entra| entra.authority.origin().ascii_serialization());
    let elsewhere = match &entra {
        Some(origin) if origin.starts_with("https:") => format!(" {origin} https:"),
        Some(origin) => format!(" {origin}"),
        None => String::new(),
    };
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'{elsewhere}; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("origins are plain text")
}

impl Shared {
    /// The page as it goes out.
    pub(super) fn page(&self, page: Page) -> Response {
        let text = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    @if let Some(seconds) = page.refresh {
                        meta http-equiv="refresh" content=(seconds);
                    }
                    title { (page.title) " · graph2mqtt" }
                    link rel="icon" href=(self.link("/icon.svg"));
                    link rel="stylesheet" href=(self.link("/style.css"));
                }
                body {
                    header { img src=(self.link("/icon.svg")) alt=""; a href=(self.link("/")) { "graph2mqtt" } }
                    main { h1 { (page.title) } (page.body) }
                }
            }
        };
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            (header::CONTENT_SECURITY_POLICY, self.policy.clone()),
            // Under `no-referrer`, a browser would not say from which page a form of ours comes.
            (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        ];
        (page.status, headers, text.into_string()).into_response()
    }

    /// A page with forms: the browser gets the cookie to which they are bound.
    pub(super) fn page_for(&self, visitor: &Visitor, page: Page) -> Response {
        let mut response = self.page(page);
        if let Some(cookie) = self.cookies.greeting(visitor) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }

    /// What went wrong at Entra, above the button that begins anew.
    pub(super) fn trouble(&self, trouble: &Trouble) -> Markup {
        html! {
            p { (trouble.reason()) }
            @if let Trouble::Consent { url, .. } = trouble {
                p { a.button.second href=(url) rel="noreferrer" { "For administrators: consent at Microsoft" } }
            }
        }
    }

    /// A form with one button.
    pub(super) fn button(&self, visitor: &Visitor, path: &str, class: &str, label: &str) -> Markup {
        html! {
            form method="post" action=(self.link(path)) {
                input type="hidden" name=(TOKEN) value=(self.cookies.token(visitor));
                button class=(class) { (label) }
            }
        }
    }
}

pub(super) fn redirect(to: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}

pub(super) fn no_such_page() -> Page {
    Page::refusal(StatusCode::NOT_FOUND, "There is no such page", "Go back to the first page.")
}

pub(super) async fn elsewhere(State(shared): State<Arc<Shared>>) -> Response {
    shared.page(no_such_page())
}
