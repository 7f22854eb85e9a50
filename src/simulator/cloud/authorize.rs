//! Entra in a browser: who are you, do you allow this, and back to the application with a code.

use std::time::{Duration, Instant};

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use url::Url;

use super::directory::{Platform, Realm, Refusal};
use super::entra::{Form, client};
use super::errors::{Fail, brings_claims};
use super::grants::{By, Scopes, Wanted};
use super::html::{escape, hidden, show};
use super::tokens::opaque;
use super::{Shared, World};

/// How long a code is good.
const CODE: Duration = Duration::from_secs(600);

/// What of a request goes along through the pages.
const CARRIED: &[&str] = &[
    "client_id",
    "response_type",
    "redirect_uri",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "login_hint",
    "claims",
];

/// The codes that are out.
#[derive(Default)]
pub(super) struct Codes(Vec<Code>);

struct Code {
    code: String,
    /// Where its page was.
    realm: Realm,
    application: usize,
    person: usize,
    platform: Platform,
    redirect_uri: String,
    challenge: Option<String>,
    nonce: Option<String>,
    claims: bool,
    scopes: Scopes,
    expires: Instant,
    redeemed: bool,
}

impl Codes {
    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        self.0.iter().map(|code| &code.code)
    }

    pub(super) fn expire(&mut self) {
        let now = Instant::now();
        self.0.iter_mut().for_each(|code| code.expires = now);
    }
}

/// A request that is in order so far: its errors from here on go back to the application.
struct Request<'a> {
    form: &'a Form,
    realm: Realm,
    application: usize,
    platform: Platform,
    redirect_uri: &'a str,
}

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/{tenant}/oauth2/v2.0/authorize", get(asked).post(asked_by_post))
        .route("/{tenant}/login", post(answered))
}

async fn asked(State(shared): State<Arc<Shared>>, Path(tenant): Path<String>, Query(form): Query<Form>) -> Response {
    shared.world().asked(&tenant, &form)
}

async fn asked_by_post(State(shared): State<Arc<Shared>>, Path(tenant): Path<String>, form: Form) -> Response {
    shared.world().asked(&tenant, &form)
}

async fn answered(State(shared): State<Arc<Shared>>, Path(tenant): Path<String>, form: Form) -> Response {
    shared.world().answered(&tenant, &form)
}

impl World {
    /// The page that asks who it is.
    fn asked(&self, tenant: &str, form: &Form) -> Response {
        let request = match self.request(tenant, form) {
            Ok(request) => request,
            Err(fail) => return page_of(&fail),
        };
        if let Err(fail) = in_order(form) {
            return request.back(&fail);
        }
        if form.get("prompt") == Some("none") {
            return request.back(&Fail::login_required());
        }
        let hint = form.get("login_hint").unwrap_or_default();
        let people = self.directory.people.iter().take(100);
        let options: String = people
            .map(|person| {
                let selected = if person.upn.eq_ignore_ascii_case(hint) { " selected" } else { "" };
                format!("<option value=\"{}\"{selected}>{}</option>", escape(&person.upn), escape(&person.name))
            })
            .collect();
        show(&format!(
            "<p>{} asks you to sign in.</p><form method=\"post\" action=\"/{}/login\">{}\
             <p><label>Sign in as <select name=\"user\">{options}</select></label></p>\
             <p><button name=\"answer\" value=\"sign_in\">Sign in</button> \
             <button name=\"answer\" value=\"cancel\">Cancel</button></p></form>",
            escape(&self.directory.applications[request.application].client_id),
            escape(tenant),
            carried(form),
        ))
        .into_response()
    }

    /// What the person did on one of the pages.
    fn answered(&mut self, tenant: &str, form: &Form) -> Response {
        let request = match self.request(tenant, form) {
            Ok(request) => request,
            Err(fail) => return page_of(&fail),
        };
        let scopes = match in_order(form) {
            Ok(scopes) => scopes,
            Err(fail) => return request.back(&fail),
        };
        match form.get("answer") {
            Some("cancel") => return request.turned_back(),
            Some("decline") => return request.back(&Fail::consent_declined()),
            _ => {}
        }
        let user = form.get("user").unwrap_or_default();
        let Some(person) = self.directory.person(user) else { return page_of(&Fail::no_such_person(user)) };
        if let Some(fail) = self.turned_away(&request, person) {
            return page_of(&fail);
        }
        let tenant_of_person = self.directory.people[person].tenant;
        let missing = scopes.missing(self.directory.consent(request.application, tenant_of_person));
        if !missing.is_empty() && form.get("answer") == Some("consent") && !missing.iter().any(|name| for_admins(name))
        {
            let consent = self.directory.consent_mut(request.application, tenant_of_person);
            consent.delegated.extend(missing);
        } else if !missing.is_empty() {
            return consent_page(tenant, form, user, &missing);
        }
        self.give_code(&request, person, scopes)
    }

    /// What Entra tells the person itself: the application hears nothing of it.
    fn turned_away(&mut self, request: &Request<'_>, person: usize) -> Option<Fail> {
        let person = &mut self.directory.people[person];
        let tenant = &self.directory.tenants[person.tenant];
        if !matches!(request.realm, Realm::Any) && request.realm != Realm::One(person.tenant) {
            return Some(Fail::other_tenant(&person.upn, &tenant.domain));
        }
        match person.refusal {
            Some(refusal @ (Refusal::Policy | Refusal::Disabled | Refusal::Transient)) => Some(Fail::refused(refusal)),
            Some(Refusal::Claims) => {
                person.signs_in(brings_claims(request.form.get("claims")));
                None
            }
            // The person proves more, or sets a new password, on these very pages.
            Some(Refusal::MoreFactors | Refusal::PasswordExpired | Refusal::SignInFrequency) | None => {
                person.refusal = None;
                None
            }
        }
    }

    fn give_code(&mut self, request: &Request<'_>, person: usize, scopes: Scopes) -> Response {
        let code = opaque("1.AX", 900);
        let now = Instant::now();
        let Codes(codes) = &mut self.grants.codes;
        codes.retain(|code| code.expires + CODE > now);
        codes.push(Code {
            code: code.clone(),
            realm: request.realm,
            application: request.application,
            person,
            platform: request.platform,
            redirect_uri: request.redirect_uri.to_owned(),
            challenge: request.form.get("code_challenge").map(str::to_owned),
            nonce: request.form.get("nonce").map(str::to_owned),
            claims: brings_claims(request.form.get("claims")),
            scopes,
            expires: now + CODE,
            redeemed: false,
        });
        request.send_back(&[("code", &code), ("session_state", &super::super::guid::guid())])
    }

    /// The tenant, the application, and where to go back to: whatever is wrong there is told to the person alone.
    fn request<'a>(&self, tenant: &str, form: &'a Form) -> Result<Request<'a>, Fail> {
        let (realm, application) = client(&self.directory, tenant, form)?;
        let redirect_uri = form.need("redirect_uri")?;
        let registered = &self.directory.applications[application];
        let platform =
            registered.platform_of(redirect_uri).ok_or_else(|| Fail::redirect_unknown(redirect_uri, registered))?;
        Ok(Request { form, realm, application, platform, redirect_uri })
    }

    /// The token endpoint's answer to a code.
    pub(super) fn redeem_code(
        &mut self,
        base: &str,
        tenant: &str,
        form: &Form,
        application: usize,
    ) -> Result<Value, Fail> {
        let shown = form.need("code")?;
        let redirect_uri = form.need("redirect_uri")?;
        let is_it = |code: &Code| code.code == shown && code.application == application;
        let at = self.grants.codes.0.iter().position(is_it).ok_or_else(Fail::grant_unknown)?;
        let public = self.grants.codes.0[at].platform.is_public()?;
        self.comes_as(public, base, tenant, form, application)?;
        let code = &mut self.grants.codes.0[at];
        match () {
            () if code.redirect_uri != redirect_uri => {
                return Err(Fail::redirect_differs(redirect_uri, &code.redirect_uri));
            }
            () if self.directory.realm(tenant) != Some(code.realm) => return Err(Fail::code_of_another_tenant()),
            () if code.redeemed => return Err(Fail::code_redeemed()),
            () if code.expires <= Instant::now() => return Err(Fail::authorization_expired()),
            () if !is_verified(code.challenge.as_deref(), form.get("code_verifier")) => {
                return Err(Fail::verifier_wrong());
            }
            () => code.redeemed = true,
        }
        let (person, scopes, nonce, claims) = (code.person, code.scopes.clone(), code.nonce.clone(), code.claims);
        self.sign_in(base, person, application, By::Code { public }, Wanted { scopes, nonce: nonce.as_deref(), claims })
    }
}

impl Platform {
    /// Which kind of client a redirect URI makes of the application.
    fn is_public(self) -> Result<bool, Fail> {
        match self {
            Self::SinglePage => Err(Fail::single_page()),
            Self::Desktop => Ok(true),
            Self::Web => Ok(false),
        }
    }
}

impl Request<'_> {
    fn back(&self, fail: &Fail) -> Response {
        let (error, description) = fail.for_redirect();
        self.send_back(&[("error", error), ("error_description", &description)])
    }

    /// Who turns back on a page that offers nothing else is told of by a subcode alone: neither number nor description.
    fn turned_back(&self) -> Response {
        self.send_back(&[("error", "access_denied"), ("error_subcode", "cancel")])
    }

    /// Back to the application, in the way that it asked for.
    fn send_back(&self, answer: &[(&str, &str)]) -> Response {
        let state = self.form.get("state").map(|state| ("state", state));
        let fields = answer.iter().copied().chain(state);
        if self.form.get("response_mode") == Some("form_post") {
            let inputs: String = fields.map(|(name, value)| hidden(name, value)).collect();
            return Html(format!(
                "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><title>Working…</title>\
                 <body><form method=\"post\" name=\"hiddenform\" action=\"{}\">{inputs}\
                 <noscript><p>Script is disabled. Click Submit to continue.</p></noscript>\
                 <button>Submit</button></form><script>document.forms[0].submit()</script></body></html>",
                escape(self.redirect_uri)
            ))
            .into_response();
        }
        let Ok(mut url) = Url::parse(self.redirect_uri) else { return StatusCode::BAD_REQUEST.into_response() };
        url.query_pairs_mut().extend_pairs(fields);
        (StatusCode::FOUND, [("location", String::from(url))]).into_response()
    }
}

/// What of a request is told to the application where it is wrong.
fn in_order(form: &Form) -> Result<Scopes, Fail> {
    if form.get("response_type") != Some("code") {
        return Err(Fail::response_type(form.get("response_type").unwrap_or_default()));
    }
    let challenge = form.get("code_challenge");
    let method = form.get("code_challenge_method").unwrap_or("plain");
    if challenge.is_some_and(|challenge| !(43..=128).contains(&challenge.len())) || !["S256", "plain"].contains(&method)
    {
        return Err(Fail::challenge());
    }
    Scopes::parse(form.need("scope")?)
}

/// Proof of possession (RFC 7636). Only S256 is taken, though Entra takes `plain` too: nobody here uses it.
fn is_verified(challenge: Option<&str>, verifier: Option<&str>) -> bool {
    match (challenge, verifier) {
        (None, None) => true,
        (Some(challenge), Some(verifier)) => {
            let digest = ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes());
            (43..=128).contains(&verifier.len()) && URL_SAFE_NO_PAD.encode(digest) == challenge
        }
        _ => false,
    }
}

/// Permissions for which a person's own consent is not enough.
fn for_admins(permission: &str) -> bool {
    permission.ends_with(".All") && permission != "User.ReadBasic.All"
}

fn consent_page(tenant: &str, form: &Form, user: &str, missing: &[String]) -> Response {
    let wanted: String = missing.iter().map(|name| format!("<li>{}</li>", escape(name))).collect();
    let (title, buttons) = match missing.iter().any(|name| for_admins(name)) {
        true => (
            "Need admin approval",
            "<button name=\"answer\" value=\"cancel\">Return to the application without granting consent</button>",
        ),
        false => (
            "Permissions requested",
            "<button name=\"answer\" value=\"consent\">Accept</button> \
             <button name=\"answer\" value=\"decline\">Cancel</button>",
        ),
    };
    show(&format!(
        "<h2>{title}</h2><ul>{wanted}</ul><form method=\"post\" action=\"/{}/login\">{}{}\
         <p>{buttons}</p></form>",
        escape(tenant),
        carried(form),
        hidden("user", user),
    ))
    .into_response()
}

fn carried(form: &Form) -> String {
    CARRIED.iter().filter_map(|name| Some(hidden(name, form.get(name)?))).collect()
}

pub(super) fn page_of(fail: &Fail) -> Response {
    let (_, description) = fail.for_redirect();
    let page = show(&format!("<p>Sorry, but we’re having trouble signing you in.</p><p>{}</p>", escape(&description)));
    (StatusCode::BAD_REQUEST, page).into_response()
}
