//! The lock in front of the pages.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use maud::html;
use tokio::time::Instant;

use super::Shared;
use super::frame::{Page, redirect};
use crate::web::cookies::Visitor;
use crate::web::form::{Own, TOKEN};
use crate::web::password::Try;
use crate::web::source;

/// Lets pass who gave the password. Where Entra sends a browser back, the browser's cookie is the proof.
pub(super) async fn lock(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let uri = request.uri();
    let reads = request.method() != Method::POST;
    let path = shared.inner(uri.path());
    let from_entra = path == "/sign-in/callback" && (uri.query().is_some() || !reads);
    if from_entra {
        return next.run(request).await;
    }
    match asked_for(&shared, request.headers(), if reads { path } else { "/" }) {
        None => next.run(request).await,
        Some(page) => page,
    }
}

/// The page that asks for the password, and leads on to `to`, where there is one and this browser has not given it.
pub(super) fn asked_for(shared: &Shared, headers: &HeaderMap, to: &str) -> Option<Response> {
    if shared.password.is_none() || shared.cookies.is_in(headers) {
        return None;
    }
    let visitor = shared.cookies.visitor(headers);
    Some(shared.page_for(&visitor, form(shared, &visitor, to, None).status(StatusCode::UNAUTHORIZED)))
}

/// Takes the password.
pub(super) async fn enter(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let from = source::of(&request, shared.public_url());
    let own = match Own::read(request, &shared.cookies, &shared.public_url().origin()).await {
        Ok(own) => own,
        Err(refused) => return shared.page(Page::of_form(refused)),
    };
    let Some(password) = &shared.password else { return redirect(&shared.link("/")) };
    let to = own.field("to");
    let again = |status: StatusCode, words: &str| form(&shared, &own.visitor, to, Some(words)).status(status);
    match password.try_one(own.field("password"), from, Instant::now()) {
        Try::Right => {
            let mut response = redirect(&shared.link(inside(to)));
            response.headers_mut().append(header::SET_COOKIE, shared.cookies.session());
            response
        }
        Try::Wrong => {
            tracing::info!("a wrong password was entered on the page");
            shared.page(again(StatusCode::FORBIDDEN, "That is not the password (web.password of the configuration)."))
        }
        Try::Wait(wait) => {
            let seconds = wait.as_secs() + 1;
            let words = format!("Too many wrong passwords were entered. Wait {seconds} s and try again.");
            let mut response = shared.page(again(StatusCode::TOO_MANY_REQUESTS, &words));
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            response
        }
    }
}

/// A page of ours, whatever the form says.
fn inside(to: &str) -> &str {
    let is_path = to.starts_with('/') && !to.starts_with("//") && to.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    if is_path { to } else { "/" }
}

fn form(shared: &Shared, visitor: &Visitor, to: &str, words: Option<&str>) -> Page {
    let body = html! {
        @if let Some(words) = words {
            section.card.bad { p { (words) } }
        }
        section.card {
            form method="post" action=(shared.link("/login")) {
                input type="hidden" name=(TOKEN) value=(shared.cookies.token(visitor));
                input type="hidden" name="to" value=(inside(to));
                label {
                    "Password"
                    input type="password" name="password" autocomplete="current-password" autofocus required;
                }
                button { "Open" }
            }
        }
    };
    Page::new("Password", body)
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn nobody_is_led_elsewhere_after_the_password() {
        assert_eq!(inside("/sign-in/alex"), "/sign-in/alex");
        for to in ["", "https://evil.example", "//evil.example", "/\\evil.example", "/a\r\nb", "/ö", "javascript:x"] {
            assert_eq!(inside(to), "/", "{to}");
        }
    }
}
