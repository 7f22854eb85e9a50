//! The pages: how it stands, every way to sign in, and to pair a hub. They need no script.
//!
//! # Layout
//! `frame` is what all of them look like (with `style.css`), `status` the first page, `sign_in` an
//! account's, `hub` a hub's, where it is paired, `enrol` for those whom the configuration does not name, `code` a
//! device code as both show it, `callback` where Entra sends a browser back to, `password` the lock in front of them.

mod callback;
mod code;
mod enrol;
mod frame;
mod hub;
mod password;
mod sign_in;
mod status;

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::{get, post};

use super::cookies::Cookies;
use super::health::Source;
use super::password::Password;
use crate::actuator::Pairings;
use crate::bridge::Monitor;
use crate::entra::SignIns;
use crate::settings::{PublicUrl, Settings};

/// What the pages show, and what they set going.
pub struct Pages {
    /// The configuration.
    pub settings: Arc<Settings>,
    /// Asked for each page; must not block.
    pub status: Source,
    /// Where the bridge runs; without it there are no pages to sign in.
    pub bridge: Option<Bridge>,
    /// Where the actuator runs; without it there are no pages of hubs.
    pub pairings: Option<Pairings>,
}

/// The bridge, as far as the pages need it.
#[derive(Clone)]
pub struct Bridge {
    /// The accounts.
    pub monitor: Monitor,
    /// The ways to sign in.
    pub sign_ins: SignIns,
}

/// What the handlers of one listener share.
struct Shared {
    settings: Arc<Settings>,
    status: Source,
    cookies: Cookies,
    password: Option<Password>,
    policy: header::HeaderValue,
}

impl Shared {
    fn public_url(&self) -> &PublicUrl {
        &self.settings.web.public_url
    }

    /// A page's path, in front of which a reverse proxy's may lie.
    fn link(&self, path: &str) -> String {
        format!("{}{path}", self.public_url().path())
    }

    /// The same, back.
    fn inner<'a>(&self, path: &'a str) -> &'a str {
        let rest = path.strip_prefix(self.public_url().path()).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        rest.map_or(path, |rest| if rest.is_empty() { "/" } else { rest })
    }
}

/// What the pages of signing in have besides.
#[derive(Clone)]
struct Entrance {
    shared: Arc<Shared>,
    bridge: Bridge,
}

/// What the pages of hubs have besides.
#[derive(Clone)]
struct Workshop {
    shared: Arc<Shared>,
    pairings: Pairings,
}

const LOCK: &[&str] = &["login"];
const SIGN_IN: &[&[&str]] =
    &[&["sign-in", "callback"], &["sign-in", "*", "start"], &["sign-in", "*", "device"], &["sign-in", "*", "cancel"]];
const ENROL: &[&[&str]] = &[&["enrol", "start"], &["enrol", "device"], &["enrol", "cancel"]];
const LEAVE: &[&[&str]] = &[&["leave", "start"], &["leave", "device"], &["leave", "cancel"]];
const PAIR: &[&str] = &["hub", "*", "pair"];
const STOP_PAIRING: &[&str] = &["hub", "*", "cancel"];

/// What may be posted to.
pub(super) fn posts(pages: &Pages) -> Vec<&'static [&'static str]> {
    let bridge = if pages.bridge.is_some() { SIGN_IN } else { &[] };
    let enrolment = if pages.bridge.is_some() { [ENROL, LEAVE] } else { [&[][..], &[]] }.concat();
    let hubs: &[&[&str]] = if pages.pairings.is_some() { &[PAIR, STOP_PAIRING] } else { &[] };
    let lock: &[&[&str]] = if pages.settings.web.password.is_some() { &[LOCK] } else { &[] };
    [bridge, &enrolment, hubs, lock].concat()
}

/// Every page, at the root and, for proxies that leave their path in front, under `path`.
pub(super) fn routes(pages: Pages, path: &str) -> Router {
    let Pages { settings, status, bridge, pairings } = pages;
    let public_url = &settings.web.public_url;
    let shared = Arc::new(Shared {
        status,
        cookies: Cookies::new(public_url.path(), public_url.is_https()),
        password: settings.web.password.as_ref().map(Password::new),
        policy: frame::policy(&settings),
        settings,
    });
    let mut router = at(path, &shared, &bridge, pairings.as_ref());
    if !path.is_empty() {
        router = router.merge(at("", &shared, &bridge, pairings.as_ref()));
    }
    router.fallback(frame::elsewhere).with_state(shared)
}

/// The pages under a path; what is locked sees the whole of it.
fn at(path: &str, shared: &Arc<Shared>, bridge: &Option<Bridge>, pairings: Option<&Pairings>) -> Router<Arc<Shared>> {
    let home = get(status::show);
    let mut pages = Router::new().route(&format!("{path}/"), home.clone());
    if !path.is_empty() {
        pages = pages.route(path, home);
    }
    let mut router = pages.with_state((shared.clone(), bridge.clone()));
    if let Some(bridge) = bridge {
        router = router.merge(entrance(path, Entrance { shared: shared.clone(), bridge: bridge.clone() }));
    }
    if let Some(pairings) = pairings {
        router = router.merge(hub::routes(path, Workshop { shared: shared.clone(), pairings: pairings.clone() }));
    }
    if shared.password.is_some() {
        router = router
            .layer(middleware::from_fn_with_state(shared.clone(), password::lock))
            .route(&format!("{path}/login"), post(password::enter));
    }
    if let Some(bridge) = bridge.clone() {
        // In front of the lock: signing in at one's own organisation is the proof.
        router = router.merge(enrol::routes(path, Entrance { shared: shared.clone(), bridge }));
    }
    router.route(&format!("{path}/style.css"), get(style)).route(&format!("{path}/icon.svg"), get(icon))
}

fn entrance(path: &str, entrance: Entrance) -> Router<Arc<Shared>> {
    Router::new()
        .route(&format!("{path}/sign-in/callback"), post(callback::posted).get(callback::arrived))
        .route(&format!("{path}/sign-in/{{account}}"), get(sign_in::show))
        .route(&format!("{path}/sign-in/{{account}}/start"), post(sign_in::start))
        .route(&format!("{path}/sign-in/{{account}}/device"), post(sign_in::device))
        .route(&format!("{path}/sign-in/{{account}}/cancel"), post(sign_in::cancel))
        .with_state(entrance)
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css"))
}

async fn icon() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "image/svg+xml")], include_str!("icon.svg"))
}
