//! For people whom the configuration does not name: to become an account, and to be one no more. Both are
//! proven by signing in, in this browser or by a code on another device.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};

use super::frame::{Page, no_such_page, redirect};
use super::sign_in::{failed, refused};
use super::{Entrance, Shared, callback, code};
use crate::entra::{Browser, Errand, Progress};
use crate::web::cookies::Visitor;
use crate::web::form::Own;
use crate::web::source;

/// One of the two pages.
struct Door {
    errand: Errand,
    path: &'static str,
    title: &'static str,
    /// On the button that leads to Entra.
    button: &'static str,
    words: fn(&Shared) -> Markup,
}

const ENROL: Door = Door {
    errand: Errand::Enrol,
    path: "/enrol",
    title: "Enrol",
    button: "Sign in at Microsoft and enrol",
    words: |shared| {
        html! {
            p { "Sign in at Microsoft, and your presence in Teams is read from then on and published on this "
                "installation’s MQTT broker: whether you are available, busy, away or in a call." }
            p.soft { "For people of " (shared.settings.web.enrol.join(", ")) ". You can leave again at any time." }
        }
    },
};

const LEAVE: Door = Door {
    errand: Errand::Leave,
    path: "/leave",
    title: "Leave",
    button: "Sign in at Microsoft and leave",
    words: |_| {
        html! {
            p { "Sign in at Microsoft to show who you are. Then your presence is not read any more, your sign-in is "
                "forgotten here, and what was published of you is removed." }
        }
    },
};

pub(super) fn routes<S: Clone + Send + Sync + 'static>(path: &str, entrance: Entrance) -> Router<S> {
    [&ENROL, &LEAVE].into_iter().fold(Router::new(), |router, door| router.merge(at(path, door))).with_state(entrance)
}

fn at(path: &str, door: &'static Door) -> Router<Entrance> {
    let at = |action: &str| format!("{path}{}{action}", door.path);
    Router::new()
        .route(
            &at(""),
            get(move |State(entrance): State<Entrance>, headers: HeaderMap| async move {
                entrance.door(door, &headers).await
            }),
        )
        .route(
            &at("/start"),
            post(move |State(entrance): State<Entrance>, request: Request| async move {
                entrance.start(door, request).await
            }),
        )
        .route(
            &at("/device"),
            post(move |State(entrance): State<Entrance>, request: Request| async move {
                entrance.device(door, request).await
            }),
        )
        .route(
            &at("/cancel"),
            post(move |State(entrance): State<Entrance>, request: Request| async move {
                entrance.cancel(door, request).await
            }),
        )
}

impl Entrance {
    /// Whether anybody may go through: enrol where tenants are named, leave where people may enrol or did. Whoever is
    /// on their way sees its end.
    async fn opens(&self, door: &Door, headers: &HeaderMap) -> Result<(), Page> {
        let browser = Browser::of(&self.shared.cookies.visitor(headers).id);
        let opens = match door.errand {
            Errand::Leave if self.bridge.sign_ins.code_of(&door.errand, browser).is_some() => Ok(true),
            Errand::Leave => self.bridge.sign_ins.may_leave().await,
            _ => Ok(!self.shared.settings.web.enrol.is_empty()),
        };
        match opens {
            Ok(true) => Ok(()),
            Ok(false) => Err(no_such_page()),
            Err(trouble) => Err(failed(&self.shared, &trouble, door.path)),
        }
    }

    async fn door(&self, door: &Door, headers: &HeaderMap) -> Response {
        let shared = &self.shared;
        if let Err(page) = self.opens(door, headers).await {
            return shared.page(page);
        }
        let visitor = shared.cookies.visitor(headers);
        let progress = self.bridge.sign_ins.code_of(&door.errand, Browser::of(&visitor.id));
        let is_out = progress.as_ref().is_some_and(|progress| !progress.has_ended());
        let body = html! {
            @if let Some(progress) = &progress { (shown(shared, &visitor, door, progress)) }
            section.card {
                ((door.words)(shared))
                @match shared.public_url().unusable() {
                    None => (shared.button(&visitor, &format!("{}/start", door.path), "first", door.button)),
                    Some(reason) => p.soft { (reason) "." },
                }
            }
            @if !is_out { (code::offer(shared, &visitor, &format!("{}/device", door.path))) }
        };
        shared.page_for(&visitor, Page::new(door.title, body).refresh(is_out.then_some(code::LOOK)))
    }

    async fn start(&self, door: &Door, request: Request) -> Response {
        let from = source::of(&request, self.shared.public_url());
        match self.own(door, request).await {
            Ok(own) => self.to_entra(&own, from, door.path, door.errand.clone()).await,
            Err(page) => self.shared.page(page),
        }
    }

    /// Gets this browser a code, or leads back to the one that it has.
    async fn device(&self, door: &Door, request: Request) -> Response {
        let shared = &self.shared;
        let from = source::of(&request, shared.public_url());
        let own = match self.own(door, request).await {
            Ok(own) => own,
            Err(page) => return shared.page(page),
        };
        match self.bridge.sign_ins.ask_for_code(door.errand.clone(), Browser::of(&own.visitor.id), from) {
            Ok(()) => redirect(&shared.link(door.path)),
            Err(trouble) => refused(shared, &trouble, door.path),
        }
    }

    async fn cancel(&self, door: &Door, request: Request) -> Response {
        let own = match self.own(door, request).await {
            Ok(own) => own,
            Err(page) => return self.shared.page(page),
        };
        self.bridge.sign_ins.give_code_up(&door.errand, Browser::of(&own.visitor.id));
        redirect(&self.shared.link(door.path))
    }

    async fn own(&self, door: &Door, request: Request) -> Result<Own, Page> {
        self.opens(door, request.headers()).await?;
        let own = Own::read(request, &self.shared.cookies, &self.shared.public_url().origin()).await;
        own.map_err(Page::of_form)
    }
}

/// How far this browser's code is, or how it ended.
fn shown(shared: &Shared, visitor: &Visitor, door: &Door, progress: &Progress) -> Markup {
    match progress {
        Progress::Starting => code::starting(),
        Progress::Waiting { prompt, until } => {
            let cancel = format!("{}/cancel", door.path);
            code::waiting(shared, visitor, prompt, *until, "then ask for a new one.", &cancel)
        }
        Progress::SignedIn(signed_in) => callback::done(shared, &door.errand, signed_in).2,
        Progress::Failed(trouble) => html! { section.card.bad { (shared.trouble(trouble)) } },
        Progress::Cancelled => code::cancelled(),
    }
}
