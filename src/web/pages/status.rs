//! The first page: how the roles of this process stand, and what somebody has to do.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};

use super::frame::Page;
use super::{Bridge, Shared, hub};
use crate::actuator::{HubState, LightState};
use crate::bridge::{AccountView, Listing, Obstacle};
use crate::presence::AccountName;
use crate::settings::Via;
use crate::web::status::Verdict;

/// Accounts on one page; the rest is found by name.
const SHOWN: usize = 100;
/// Seconds until the page is loaded again.
const REFRESH: u32 = 10;

#[derive(serde::Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    find: String,
}

pub(super) async fn show(
    State((shared, bridge)): State<(Arc<Shared>, Option<Bridge>)>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let find = wanted.map(|Query(wanted)| wanted.find.trim().to_lowercase()).unwrap_or_default();
    let status = (shared.status)();
    let health = status.health();
    let (class, words) = match health.status {
        Verdict::Ok => ("good", "Everything works."),
        Verdict::Degraded => ("warn", "It works, but not for everybody and everything."),
        Verdict::Failing => ("bad", "It does not work."),
    };
    let body = html! {
        section class={ "card " (class) } {
            p { (words) }
            @for problem in &health.problems { p.soft { (problem) } }
        }
        @if let Some(bridge) = &bridge {
            (accounts(&shared, &bridge.monitor.accounts(|name, username| fits(&shared, name, username, &find), SHOWN), &find))
        }
        @if let Some(actuator) = &status.actuator {
            (lights(&shared, &actuator.lights, &actuator.hubs))
            @if !actuator.hubs.is_empty() { (hubs(&shared, &actuator.hubs)) }
        }
        p.soft { "graph2mqtt " (health.version) ", " (health.roles.join(" and ")) }
    };
    shared.page(Page::new("Presence", body).refresh(find.is_empty().then_some(REFRESH)))
}

fn fits(shared: &Shared, name: &AccountName, username: Option<&str>, find: &str) -> bool {
    let read = username.unwrap_or_else(|| label(shared, name));
    find.is_empty() || name.as_str().contains(find) || read.to_lowercase().contains(find)
}

/// What people call an account.
pub(super) fn label<'a>(shared: &'a Shared, name: &'a AccountName) -> &'a str {
    shared.settings.accounts.get(name).and_then(|account| account.name.as_deref()).unwrap_or(name.as_str())
}

fn accounts(shared: &Shared, listing: &Listing, find: &str) -> Markup {
    let shown = listing.accounts.len();
    let many = listing.total > SHOWN || !find.is_empty();
    html! {
        section.card {
            h2 { "Accounts" }
            @if many {
                form method="get" action=(shared.link("/")) {
                    input type="search" name="find" value=(find) placeholder="Find an account" aria-label="Find an account";
                }
            }
            @if listing.accounts.is_empty() { p.soft { "None." } }
            ul.rows { @for account in &listing.accounts { (row(shared, account)) } }
            @if listing.total > shown { p.soft { (shown) " of " (listing.total) " are shown." } }
        }
    }
}

fn row(shared: &Shared, account: &AccountView) -> Markup {
    let AccountView { name, enrolled, known, status, heard, obstacle } = account;
    let label = enrolled.as_deref().unwrap_or_else(|| label(shared, name));
    let dot = match known {
        Some(true) => "dot on",
        Some(false) => "dot off",
        None => "dot",
    };
    let signs_in = signs_in(shared, name);
    let path = format!("/sign-in/{name}");
    html! {
        li {
            div.row {
                span class=(dot) {}
                span.name {
                    @if signs_in { a href=(shared.link(&path)) { (label) } } @else { (label) }
                }
                @match (known, status) {
                    (Some(true), Some((availability, activity))) => span.state { (availability) ", " (activity) },
                    (Some(_), _) => span.state.wrong { "not known" },
                    (None, _) => span.state { "asked for now" },
                }
            }
            @if let Some(obstacle) = obstacle { (in_the_way(shared, account, obstacle)) }
            p.reason.soft {
                @match heard {
                    Some(heard) => { "Graph answered " (ago(*heard)) },
                    None => "Graph has not answered yet",
                }
            }
        }
    }
}

/// What stands in an account's way, and the button that mends it.
fn in_the_way(shared: &Shared, account: &AccountView, obstacle: &Obstacle) -> Markup {
    let signer = signer(shared, &account.name);
    let remedy = obstacle.remedy.as_ref();
    let mends = obstacle.needs_sign_in || remedy.is_some();
    // Before Entra is asked anew, the list alone is known.
    let shut_out = shared.settings.web.enrol.is_empty() || remedy.is_some_and(|remedy| remedy.is_shut_out());
    html! {
        div.reason {
            @if let Some(reason) = &obstacle.reason { p { (reason) } }
            @if let Some(url) = &obstacle.url {
                p { a href=(url) rel="noreferrer" { "Consent at Microsoft" } }
            }
            @if mends && account.enrolled.is_some() && shut_out {
                p {
                    "Their tenant is not on the list of those who may enrol any more (web.enrol.tenants): they cannot sign in "
                    "again, but can still leave. Or add the tenant again, or remove the account."
                }
                p { a href=(shared.link("/leave")) { "Leave" } }
            } @else if mends && account.enrolled.is_some() {
                p { a href=(shared.link("/enrol")) { "Enrol again" } }
            } @else if let Some(signer) = signer.filter(|_| mends) {
                p { a.button href=(shared.link(&format!("/sign-in/{signer}"))) { "Sign " (label(shared, signer)) " in" } }
            }
        }
    }
}

/// Who signs in so that an account can be read: its own person, or the one by whose right it is read.
fn signer<'a>(shared: &'a Shared, name: &'a AccountName) -> Option<&'a AccountName> {
    match &shared.settings.accounts.get(name)?.via {
        Via::SignIn => Some(name),
        Via::Account(reader) => Some(reader),
        Via::App => None,
    }
}

/// Whether an account has a page of its own.
pub(super) fn signs_in(shared: &Shared, name: &AccountName) -> bool {
    shared.settings.accounts.get(name).is_some_and(|account| account.via == Via::SignIn)
}

fn lights(shared: &Shared, lights: &[LightState], hubs: &[HubState]) -> Markup {
    html! {
        section.card {
            h2 { "Lights" }
            ul.rows {
                @for light in lights {
                    li {
                        div.row {
                            span class={ "dot " (if light.reachable { "on" } else { "off" }) } {}
                            span.name { (light.name) }
                            @if light.reachable { span.state { (light.commands) " commands" } }
                            @else { span.state.wrong { "cannot be reached" } }
                        }
                        @if let Some(error) = &light.error { (trouble(shared, light, error, hubs)) }
                    }
                }
            }
        }
    }
}

/// What is wrong with a light; where its hub's page has the remedy, the way there instead of the command.
fn trouble(shared: &Shared, light: &LightState, error: &str, hubs: &[HubState]) -> Markup {
    let hangs_on = shared.settings.lights.get(&light.name).filter(|it| it.wled.is_none()).map(|it| &it.hub);
    let hub = hubs.iter().find(|hub| Some(&hub.name) == hangs_on);
    html! {
        @if let Some((hub, remedied)) = hub.and_then(|hub| Some((hub, hub::remedied(hub)?))) {
            p.reason { "Its hub " a href=(shared.link(&format!("/hub/{}", hub.name))) { (hub.name) } " " (remedied) "." }
        } @else {
            p.reason { (error) }
        }
    }
}

fn hubs(shared: &Shared, hubs: &[HubState]) -> Markup {
    html! {
        section.card {
            h2 { "Hubs" }
            ul.rows {
                @for hub in hubs {
                    @let (words, is_well) = hub::words(hub);
                    @let path = shared.link(&format!("/hub/{}", hub.name));
                    li {
                        div.row {
                            span class={ "dot" (match is_well { Some(true) => " on", Some(false) => " off", None => "" }) } {}
                            span.name { a href=(path) { (hub.name) } }
                            span class={ "state" (if is_well == Some(false) { " wrong" } else { "" }) } { (words) }
                        }
                        @if let Some(reason) = hub::reason(hub) { p.reason { (reason) } }
                        @if hub.standing.condition.wants_pairing() {
                            p.reason { a.button href=(path) { "Pair " (hub.name) } }
                        }
                    }
                }
            }
        }
    }
}

fn ago(time: Duration) -> String {
    match time.as_secs() {
        0..=1 => "just now".to_owned(),
        seconds @ 2..=119 => format!("{seconds} s ago"),
        seconds @ 120..=7_199 => format!("{} min ago", seconds / 60),
        seconds => format!("{} h ago", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entra::Remedy;
    use crate::web::cookies::Cookies;
    use crate::web::status::Status;

    fn shared(web: &str) -> Shared {
        let yaml = format!(
            "entra: {{ tenant: contoso.com, client_id: 00000000-0000-4000-8000-0000000000c1 }}\n\
             accounts: {{ alex: {{ user: alex@contoso.com }} }}\nweb: {{ {web} }}\n"
        );
        Shared {
            settings: Arc::new(crate::settings::from_yaml(&yaml, std::path::Path::new("/")).unwrap()),
            status: Arc::new(|| Status { bridge: None, actuator: None }),
            cookies: Cookies::new("", false),
            password: None,
            policy: axum::http::HeaderValue::from_static(""),
        }
    }

    #[test]
    fn what_a_sign_in_mends_has_its_button_also_where_it_is_blocked_in_another_way() {
        const ID: &str = "22222222-0000-4000-8000-000000000002";
        let open = "enrol: { tenants: [contoso.com] }";
        for (web, name, remedy, link) in [
            ("", "alex", Some("a policy may let the browser's way in"), Some("href=\"/sign-in/alex\"")),
            ("", "alex", None, None),
            (open, ID, Some("a policy may let the browser's way in"), Some("href=\"/enrol\"")),
            (open, ID, None, None),
            ("", ID, Some("a policy may let the browser's way in"), Some("href=\"/leave\"")),
        ] {
            let account = AccountView {
                name: name.parse().unwrap(),
                enrolled: (name == ID).then(|| "kim@contoso.com".into()),
                known: Some(false),
                status: None,
                heard: None,
                obstacle: None,
            };
            let (reason, remedy) =
                (Some("a policy blocks it".into()), remedy.map(|words| Arc::new(Remedy::new(words))));
            let obstacle =
                Obstacle { needs_sign_in: false, reason, remedy, url: None, since: jiff::Timestamp::UNIX_EPOCH };
            let shown = in_the_way(&shared(web), &account, &obstacle).into_string();
            assert!(shown.contains("a policy blocks it"), "{shown}");
            match link {
                Some(link) => assert!(shown.contains(link), "{name}: {shown}"),
                None => assert!(!shown.contains("href"), "{name}: {shown}"),
            }
        }
    }
}
