//! Device codes: where they are given out, the page where a person types one, and what becomes of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, Query, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::calls::Asked;
use super::directory::{Realm, Refusal};
use super::entra::{Form, client};
use super::errors::{Fail, brings_claims};
use super::grants::{By, Scopes, Wanted};
use super::html::{escape, show};
use super::tokens::opaque;
use super::{Shared, World};

/// So many polls that came too early are a loop (AADSTS50196).
const LOOP: u32 = 20;
/// The characters of a user code.
const USER_CODE: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// The codes that are out.
#[derive(Default)]
pub(super) struct Devices(Vec<Device>);

struct Device {
    code: String,
    user_code: String,
    application: usize,
    realm: Realm,
    scopes: Scopes,
    /// Whether the code was asked for with the claims of a challenge.
    claims: bool,
    expires: Instant,
    /// Grows whenever the client polls too early (RFC 8628, 3.5).
    interval: Duration,
    step: Duration,
    polled: Option<Instant>,
    hurried: u32,
    state: Progress,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Pending,
    Approved { person: usize },
    Declined,
    Redeemed,
}

/// Why a code cannot be approved or declined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Nobody waits with this code.
    #[error("that code does not work: check the code and try again")]
    NoSuchCode,
    /// The application is not open to this person's tenant (AADSTS50020).
    #[error("{0} does not exist in the tenant of this application")]
    OtherTenant(String),
}

impl Devices {
    /// The device codes; those are between Entra and the client, unlike the user codes.
    pub(super) fn codes(&self) -> impl Iterator<Item = &String> {
        self.0.iter().map(|device| &device.code)
    }

    /// What a person who was shown these codes sees, the oldest first.
    pub(super) fn pending(&self) -> Vec<String> {
        let now = Instant::now();
        let waiting = self.0.iter().filter(|device| device.state == Progress::Pending && device.expires > now);
        waiting.map(|device| device.user_code.clone()).collect()
    }

    fn waiting(&mut self, user_code: &str) -> Result<&mut Device, CodeError> {
        let typed = user_code.trim().replace('-', "").to_uppercase();
        let now = Instant::now();
        let mut waiting = self.0.iter_mut().filter(|device| device.state == Progress::Pending && device.expires > now);
        waiting.find(|device| device.user_code == typed).ok_or(CodeError::NoSuchCode)
    }

    pub(super) fn decline(&mut self, user_code: &str) -> Result<(), CodeError> {
        self.waiting(user_code)?.state = Progress::Declined;
        Ok(())
    }

    /// Lets the time of all codes be over.
    pub(super) fn expire(&mut self) {
        let now = Instant::now();
        self.0.iter_mut().for_each(|device| device.expires = now);
    }
}

impl World {
    pub(super) fn approve(&mut self, user_code: &str, person: usize) -> Result<(), CodeError> {
        let device = self.grants.devices.waiting(user_code)?;
        let tenant = self.directory.people[person].tenant;
        if device.realm != Realm::Any && device.realm != Realm::One(tenant) {
            return Err(CodeError::OtherTenant(self.directory.people[person].upn.to_string()));
        }
        device.state = Progress::Approved { person };
        let claims = device.claims;
        self.directory.people[person].signs_in(claims);
        Ok(())
    }

    /// The token endpoint's answer to a poll.
    pub(super) fn redeem(&mut self, base: &str, tenant: &str, form: &Form, application: usize) -> Result<Value, Fail> {
        let code = form.need("device_code")?;
        let mut devices = self.grants.devices.0.iter_mut();
        let device = devices
            .find(|device| device.code == code && device.application == application)
            .ok_or_else(Fail::code_unknown)?;
        let person = device.poll(Instant::now())?;
        let (scopes, realm, claims) = (device.scopes.clone(), device.realm, device.claims);
        let public = self.directory.applications[application].public;
        self.comes_as(public, base, tenant, form, application)?;
        if self.bars_codes(person) {
            return Err(Fail::refused(Refusal::Policy));
        }
        debug_assert!(realm == Realm::Any || realm == Realm::One(self.directory.people[person].tenant));
        let answer = self.sign_in(base, person, application, By::Device, Wanted { scopes, nonce: None, claims })?;
        let redeemed = self.grants.devices.0.iter_mut().find(|device| device.code == code);
        redeemed.expect("found above").state = Progress::Redeemed;
        Ok(answer)
    }
}

impl Device {
    /// Who approved the code, or why there is no token yet.
    fn poll(&mut self, now: Instant) -> Result<usize, Fail> {
        if self.hurried >= LOOP {
            return Err(Fail::loop_detected());
        }
        // A tenth is for the network's jitter.
        let early = self.polled.is_some_and(|last| now.duration_since(last) < self.interval.mul_f64(0.9));
        self.polled = Some(now);
        match self.state {
            Progress::Redeemed => Err(Fail::code_redeemed()),
            _ if self.expires <= now => Err(Fail::code_expired()),
            _ if early => {
                self.hurried += 1;
                self.interval += self.step;
                Err(Fail::slow_down())
            }
            Progress::Pending => Err(Fail::pending()),
            Progress::Declined => Err(Fail::declined()),
            Progress::Approved { person } => Ok(person),
        }
    }
}

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/{tenant}/oauth2/v2.0/devicecode", post(device_code))
        .route("/devicelogin", get(page).post(typed))
}

async fn device_code(State(shared): State<Arc<Shared>>, Path(tenant): Path<String>, form: Form) -> Response {
    let mut world = shared.world();
    match world.device_code(shared.base(), &tenant, &form) {
        Ok((answer, client_id)) => {
            let mut response = Json(answer).into_response();
            response.extensions_mut().insert(Asked { principal: client_id, size: 1 });
            response
        }
        Err(fail) => fail.into_response(),
    }
}

impl World {
    fn device_code(&mut self, base: &str, tenant: &str, form: &Form) -> Result<(Value, Arc<str>), Fail> {
        let (realm, application) = client(&self.directory, tenant, form)?;
        let scopes = Scopes::parse(form.need("scope")?)?;
        let code = opaque("", 180);
        let user_code: String = (0..9).map(|_| char::from(USER_CODE[fastrand::usize(..USER_CODE.len())])).collect();
        let page = format!("{base}/devicelogin");
        let message = format!(
            "To sign in, use a web browser to open the page {page} and enter the code {user_code} to authenticate."
        );
        let answer = json!({
            "user_code": user_code,
            "device_code": code,
            "verification_uri": page,
            "expires_in": self.rules.device_code.as_secs(),
            "interval": self.rules.interval.as_secs(),
            "message": message,
        });
        let now = Instant::now();
        let Devices(devices) = &mut self.grants.devices;
        devices.retain(|device| device.expires + Duration::from_secs(600) > now);
        devices.push(Device {
            code,
            user_code,
            application,
            realm,
            scopes,
            claims: brings_claims(form.get("claims")),
            expires: now + self.rules.device_code,
            interval: self.rules.interval,
            step: self.rules.interval,
            polled: None,
            hurried: 0,
            state: Progress::Pending,
        });
        Ok((answer, self.directory.applications[application].client_id.clone()))
    }
}

#[derive(serde::Deserialize)]
struct Typed {
    #[serde(default)]
    code: String,
}

/// Where a person types the code and says who they are.
async fn page(State(shared): State<Arc<Shared>>, Query(typed): Query<Typed>) -> Html<String> {
    let world = shared.world();
    let people = world.directory.people.iter().take(100);
    let options: String = people
        .map(|person| format!("<option value=\"{}\">{}</option>", escape(&person.upn), escape(&person.name)))
        .collect();
    let code = escape(&typed.code);
    show(&format!(
        "<p>Enter the code that your device shows.</p><form method=\"post\">\
         <p><label>Code <input name=\"code\" value=\"{code}\" autofocus required></label></p>\
         <p><label>Sign in as <select name=\"user\">{options}</select></label></p>\
         <p><button name=\"answer\" value=\"approve\">Continue</button> \
         <button name=\"answer\" value=\"decline\">Cancel</button></p></form>"
    ))
}

async fn typed(State(shared): State<Arc<Shared>>, form: Form) -> Html<String> {
    let mut world = shared.world();
    let code = form.get("code").unwrap_or_default();
    let person = form.get("user").and_then(|user| world.directory.person(user));
    let done = match (form.get("answer"), person) {
        (Some("decline"), _) => world.grants.devices.decline(code).map(|()| "You declined."),
        (_, Some(person)) => world.approve(code, person).map(|()| "You have signed in. You may close this window."),
        (_, None) => Ok("There is no such person."),
    };
    show(&format!("<p>{}</p>", done.map_or_else(|error| escape(&error.to_string()), str::to_owned)))
}
