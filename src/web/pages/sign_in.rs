//! An account's page: who is to sign in, how it stands, and the ways in.

use std::net::IpAddr;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use maud::{Markup, html};

use super::frame::{Page, redirect};
use super::status::{label, signs_in};
use super::{Entrance, Shared, code};
use crate::entra::{Browser, Errand, Progress, Trouble};
use crate::presence::AccountName;
use crate::settings::User;
use crate::web::cookies::Visitor;
use crate::web::form::Own;
use crate::web::source;

pub(super) async fn show(State(entrance): State<Entrance>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    match entrance.account(&name) {
        Ok(account) => entrance.account_page(&account, &headers),
        Err(page) => entrance.shared.page(page),
    }
}

/// Sends the browser to Entra.
pub(super) async fn start(State(entrance): State<Entrance>, Path(name): Path<String>, request: Request) -> Response {
    let from = source::of(&request, entrance.shared.public_url());
    let (account, own) = match entrance.asked(&name, request).await {
        Ok(asked) => asked,
        Err(page) => return entrance.shared.page(page),
    };
    entrance.to_entra(&own, from, &format!("/sign-in/{account}"), Errand::Account(account)).await
}

/// Gets a device code, or joins whoever has one.
pub(super) async fn device(State(entrance): State<Entrance>, Path(name): Path<String>, request: Request) -> Response {
    let (account, _) = match entrance.asked(&name, request).await {
        Ok(asked) => asked,
        Err(page) => return entrance.shared.page(page),
    };
    match entrance.bridge.sign_ins.start(&account) {
        Ok(_) => redirect(&entrance.shared.link(&format!("/sign-in/{account}"))),
        Err(trouble) => {
            let page = format!("/sign-in/{account}");
            entrance.shared.page(failed(&entrance.shared, &trouble, &page))
        }
    }
}

/// Ends a device code.
pub(super) async fn cancel(State(entrance): State<Entrance>, Path(name): Path<String>, request: Request) -> Response {
    let (account, _) = match entrance.asked(&name, request).await {
        Ok(asked) => asked,
        Err(page) => return entrance.shared.page(page),
    };
    entrance.bridge.sign_ins.cancel(&account);
    redirect(&entrance.shared.link(&format!("/sign-in/{account}")))
}

impl Entrance {
    /// Sends the browser that pressed a button on `page` to Entra, where it can come back from there.
    pub(super) async fn to_entra(&self, own: &Own, from: IpAddr, page: &str, errand: Errand) -> Response {
        let shared = &self.shared;
        let public_url = shared.public_url();
        if let Some(reason) = public_url.unusable() {
            return shared.page(Page::refusal(StatusCode::CONFLICT, "Not this way", &reason));
        }
        if own.origin.as_ref().is_some_and(|origin| *origin != public_url.origin()) {
            return shared.page(elsewhere(shared, page));
        }
        let browser = Browser::of(&own.visitor.id);
        match self.bridge.sign_ins.send(errand, browser, from, &public_url.redirect_uri()).await {
            Ok(url) => redirect(url.as_str()),
            Err(trouble) => refused(shared, &trouble, page),
        }
    }

    /// A form of an account's page.
    async fn asked(&self, name: &str, request: Request) -> Result<(AccountName, Own), Page> {
        let own = Own::read(request, &self.shared.cookies, &self.shared.public_url().origin()).await;
        let own = own.map_err(Page::of_form)?;
        Ok((self.account(name)?, own))
    }

    /// An account that has a page.
    pub(super) fn account(&self, name: &str) -> Result<AccountName, Page> {
        let account: Option<AccountName> = name.parse().ok();
        let Some(account) = account.filter(|account| self.shared.settings.accounts.contains_key(account)) else {
            let words = "There is no account of that name in the configuration (accounts).";
            return Err(Page::refusal(StatusCode::NOT_FOUND, "No such account", words));
        };
        if !signs_in(&self.shared, &account) {
            let words =
                format!("{account} is read by somebody else's right (accounts.{account}.via): it needs no sign-in.");
            return Err(Page::refusal(StatusCode::NOT_FOUND, "No sign-in needed", &words));
        }
        Ok(account)
    }

    pub(super) fn account_page(&self, account: &AccountName, headers: &HeaderMap) -> Response {
        let shared = &self.shared;
        let visitor = shared.cookies.visitor(headers);
        let progress = self.bridge.sign_ins.progress(account);
        let refresh = progress.as_ref().is_some_and(|progress| !progress.has_ended()).then_some(code::LOOK);
        let body = html! {
            (self.standing(account))
            @if let Some(progress) = &progress { (shown(shared, &visitor, account, progress)) }
            (self.ways(account, &visitor, refresh.is_some()))
        };
        let title = format!("Sign {} in", label(shared, account));
        shared.page_for(&visitor, Page::new(title, body).refresh(refresh))
    }

    /// Who it is, and whether the sign-in holds.
    fn standing(&self, account: &AccountName) -> Markup {
        let view = self.bridge.monitor.account(account);
        let obstacle = view.as_ref().and_then(|view| view.obstacle.as_ref());
        let works = view.as_ref().is_some_and(|view| view.known == Some(true) && view.obstacle.is_none());
        let user = self.shared.settings.accounts.get(account).map(|account| match &account.user {
            User::Name(name) => name.to_string(),
            User::Id(id) => id.to_string(),
        });
        html! {
            section class={ "card" (if works { " good" } else if obstacle.is_some() { " warn" } else { "" }) } {
                @if works { p { "Signed in, and the presence is read." } }
                @if let Some(reason) = obstacle.and_then(|obstacle| obstacle.reason.as_ref()) {
                    p { (reason) }
                }
                @if let Some(user) = user { p.soft { "Only " strong { (user) } " can sign in here." } }
            }
        }
    }

    fn ways(&self, account: &AccountName, visitor: &Visitor, code_is_out: bool) -> Markup {
        let shared = &self.shared;
        let path = |action: &str| format!("/sign-in/{account}/{action}");
        html! {
            section.card {
                h2 { "In this browser" }
                @match shared.public_url().unusable() {
                    None => {
                        (shared.button(visitor, &path("start"), "first", "Sign in at Microsoft"))
                        p.soft { "You go to Microsoft’s page and come back to " (shared.public_url().origin()) "." }
                    }
                    Some(reason) => p.soft { (reason) "." },
                }
            }
            @if !code_is_out {
                (code::offer(shared, visitor, &path("device")))
            }
        }
    }
}

/// How far a device code is, or how it ended.
fn shown(shared: &Shared, visitor: &Visitor, account: &AccountName, progress: &Progress) -> Markup {
    match progress {
        Progress::Starting => code::starting(),
        Progress::Waiting { prompt, until } => {
            let cancel = format!("/sign-in/{account}/cancel");
            code::waiting(shared, visitor, prompt, *until, "then a new one follows.", &cancel)
        }
        Progress::SignedIn(by) => html! {
            section.card.good { p { "Signed in as " strong { (by.username) } "." } }
        },
        Progress::Failed(trouble) => html! { section.card.bad { (shared.trouble(trouble)) } },
        Progress::Cancelled => code::cancelled(),
    }
}

/// The page was opened under a name to which Entra does not send back.
fn elsewhere(shared: &Shared, page: &str) -> Page {
    let public_url = shared.public_url();
    let here = public_url.page(page);
    let body = html! {
        section.card.warn {
            p { "Microsoft sends browsers back to " strong { (public_url.origin()) } " alone. Open the page there:" }
            p { a.button href=(here) { (here) } }
            @if public_url.is_local() {
                p.soft {
                    "That is only on the machine on which graph2mqtt runs. From elsewhere, use a code, or set "
                    "web.public_url to an address with https."
                }
            }
        }
    };
    Page::new("Not from here", body).status(StatusCode::CONFLICT)
}

/// What could not even begin; where there are too many at once, when to come again.
pub(super) fn refused(shared: &Shared, trouble: &Trouble, page: &str) -> Response {
    let said = failed(shared, trouble, page);
    let Trouble::Retry { after: Some(after), .. } = trouble else { return shared.page(said) };
    let mut response = shared.page(said.status(StatusCode::TOO_MANY_REQUESTS));
    response.headers_mut().insert(header::RETRY_AFTER, (after.as_secs() + 1).into());
    response
}

pub(super) fn failed(shared: &Shared, trouble: &Trouble, page: &str) -> Page {
    let body = html! {
        section.card.bad { (shared.trouble(trouble)) }
        p { a.button href=(shared.link(page)) { "Try again" } }
    };
    Page::new("That did not work", body).status(StatusCode::CONFLICT)
}
