//! Forms that are posted here: small, of the one content type, and, but for Entra's, from our own pages.

use std::borrow::Cow;
use std::collections::HashMap;

use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use url::form_urlencoded;

use super::cookies::{Cookies, Visitor};
use super::guard::host;

/// The most that one of our own forms holds.
const OURS: usize = 4 * 1024;
/// The most that Entra posts: a code has some 1,500 characters.
pub(super) const ENTRAS: usize = 16 * 1024;

/// The field that proves that a form is ours.
pub(super) const TOKEN: &str = "token";

/// Why a form is not taken. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    TooLarge,
    NotAForm,
    /// Cut, or not one of the forms that are sent here.
    Unreadable,
    /// Another site's page sent it.
    ForeignOrigin,
    /// Too old, or of a browser that keeps no cookies.
    NotOurs,
    /// By plain http, while the pages' address is this one with https: browsers keep no cookies of ours there.
    WithoutTls(String),
}

impl Refused {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotAForm => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unreadable => StatusCode::BAD_REQUEST,
            Self::ForeignOrigin | Self::NotOurs | Self::WithoutTls(_) => StatusCode::FORBIDDEN,
        }
    }

    /// What happened, and what to do.
    pub(super) fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::TooLarge => "What was sent is far larger than any form here. Go back and try again.",
            Self::NotAForm => "What was sent is not a form. Use the pages here.",
            Self::Unreadable => "What was sent is incomplete. Go back and try again.",
            Self::ForeignOrigin => {
                "Another site sent this form. If this page lies behind a reverse proxy, set web.public_url to the address \
                 that you see in the browser."
            }
            Self::NotOurs => {
                "This form is too old, or your browser keeps no cookies for this page. Allow cookies here, open the page \
                 again, and repeat."
            }
            Self::WithoutTls(origin) => {
                return Cow::Owned(format!(
                    "Forms work at {origin} alone (web.public_url): by plain http, no cookie of these pages is kept. Open \
                     the page there."
                ));
            }
        })
    }
}

/// A form of our own pages, proven to be one.
pub(super) struct Own {
    pub visitor: Visitor,
    /// The origin of the page that sent it, where the browser says so.
    pub origin: Option<String>,
    fields: HashMap<String, String>,
}

impl Own {
    /// Reads it, and looks where it comes from. `origin` is the pages' own, as browsers reach them.
    pub(super) async fn read(request: Request, cookies: &Cookies, origin: &str) -> Result<Self, Refused> {
        let sender = sender(&request);
        if sender.as_deref().is_some_and(|sender| sender != origin && !is_asked_under(&request, sender)) {
            return Err(Refused::ForeignOrigin);
        }
        let visitor = cookies.visitor(request.headers());
        let body = body(request, OURS).await?;
        let fields: HashMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
        if !cookies.is_ours(&visitor, fields.get(TOKEN).map_or("", String::as_str)) {
            let is_plain = origin.starts_with("https:") && sender.as_deref().is_some_and(|it| it.starts_with("http:"));
            return Err(if is_plain { Refused::WithoutTls(origin.to_owned()) } else { Refused::NotOurs });
        }
        Ok(Self { visitor, origin: sender, fields })
    }

    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// A form's bytes.
pub(super) async fn body(request: Request, most: usize) -> Result<Bytes, Refused> {
    if !is_form(request.headers()) {
        return Err(Refused::NotAForm);
    }
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > most) {
        return Err(Refused::TooLarge);
    }
    let read = to_bytes(request.into_body(), most).await;
    // An error is the limit, or a browser that went away: nobody reads that answer.
    read.map_err(|_| Refused::TooLarge)
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// The Origin header. `null` says nothing: the form's token has to do.
fn sender(request: &Request) -> Option<String> {
    let origin = request.headers().get(header::ORIGIN)?.to_str().unwrap_or("unreadable");
    (origin != "null").then(|| origin.to_owned())
}

/// Whether a page of ours sent it, under the name by which we are asked (which is one of ours).
fn is_asked_under(request: &Request, origin: &str) -> bool {
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_some() && authority == host(request.uri(), request.headers())
}
