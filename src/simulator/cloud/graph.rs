//! Graph v1.0: presence of oneself, of one, of up to 650; and who has a name.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::calls::Asked;
use super::errors::CLAIMS;
use super::tokens::{Access, Holder};
use super::{Shared, World};
use crate::presence::ObjectId;
use crate::simulator::guid::guid;

/// The most ids that getPresencesByUserId takes.
const BATCH: usize = 650;
const METADATA: &str = "https://graph.microsoft.com/v1.0/$metadata";
const OWN: &[&str] = &["Presence.Read", "Presence.ReadWrite", "Presence.Read.All", "Presence.ReadWrite.All"];
const WRITE: &[&str] = &["Presence.ReadWrite", "Presence.ReadWrite.All"];
const ALL: &[&str] = &["Presence.Read.All", "Presence.ReadWrite.All"];
const PEOPLE: &[&str] = &["User.ReadBasic.All", "User.Read.All"];

/// One of Graph's errors.
struct Fail {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Name and value.
    header: Option<(&'static str, String)>,
}

impl Fail {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), header: None }
    }

    fn token(message: &str) -> Self {
        let challenge = format!(
            "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", client_id=\"00000003-0000-0000-c000-000000000000\", error=\"invalid_token\", error_description=\"{message}\""
        );
        Self {
            header: Some(("www-authenticate", challenge)),
            ..Self::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", message)
        }
    }

    fn claims() -> Self {
        let claims = STANDARD.encode(CLAIMS);
        let challenge = format!(
            "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", client_id=\"00000003-0000-0000-c000-000000000000\", error=\"insufficient_claims\", claims=\"{claims}\""
        );
        let message = "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp";
        Self { header: Some(("www-authenticate", challenge)), ..Self::token(message) }
    }

    fn forbidden() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Forbidden",
            "The caller does not have the permission that this operation needs.",
        )
    }

    fn denied() -> Self {
        let message = "Insufficient privileges to complete the operation.";
        Self::new(StatusCode::FORBIDDEN, "Authorization_RequestDenied", message)
    }

    fn throttled(seconds: u64) -> Self {
        Self {
            header: Some(("retry-after", seconds.to_string())),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", "Too many requests. Try again later.")
        }
    }
}

impl IntoResponse for Fail {
    fn into_response(self) -> Response {
        let request_id = guid();
        let date = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S").to_string();
        let inner = json!({"date": date, "request-id": request_id, "client-request-id": request_id});
        let body = json!({"error": {"code": self.code, "message": self.message, "innerError": inner}});
        let mut response = (self.status, [("request-id", request_id)], Json(body)).into_response();
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value.parse().expect("ASCII"));
        }
        response
    }
}

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1.0/me/presence", get(mine))
        .route("/v1.0/users/{user}/presence", get(of_one))
        .route("/v1.0/users/{user}/presence/{action}", post(write))
        .route("/v1.0/communications/getPresencesByUserId", post(of_many))
        .route("/v1.0/users/{user}", get(user))
}

pub(super) async fn no_such_route() -> Response {
    Fail::new(StatusCode::BAD_REQUEST, "BadRequest", "Resource not found for the segment.").into_response()
}

/// Lets `answer` speak to whoever the token belongs to.
fn answer(
    shared: &Shared,
    headers: &HeaderMap,
    size: usize,
    answer: impl FnOnce(&mut World, &Access) -> Result<Response, Fail>,
) -> Response {
    let mut world = shared.world();
    let access = match world.bearer(headers) {
        Ok(access) => access,
        Err(fail) => return fail.into_response(),
    };
    let mut response = answer(&mut world, &access).unwrap_or_else(IntoResponse::into_response);
    let principal = match access.holder {
        Holder::Person(person) => world.directory.people[person].upn.clone(),
        Holder::Application => world.directory.applications[access.application].client_id.clone(),
    };
    response.extensions_mut().insert(Asked { principal, size });
    response
}

async fn mine(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    answer(&shared, &headers, 1, |world, access| {
        world.count(access)?;
        let Holder::Person(person) = access.holder else {
            let message = "/me request is only valid with delegated authentication flow.";
            return Err(Fail::new(StatusCode::BAD_REQUEST, "BadRequest", message));
        };
        if access.may(OWN) { Ok(world.presence(person)) } else { Err(Fail::forbidden()) }
    })
}

async fn of_one(State(shared): State<Arc<Shared>>, Path(user): Path<String>, headers: HeaderMap) -> Response {
    answer(&shared, &headers, 1, |world, access| {
        world.count(access)?;
        let id: ObjectId =
            user.parse().map_err(|_| Fail::new(StatusCode::BAD_REQUEST, "BadRequest", "The user id is not a GUID."))?;
        let person = world.directory.person_by_id(id);
        let own = person.is_some_and(|person| access.holder == Holder::Person(person));
        let may = access.may(ALL) || own && access.may(OWN);
        if !may {
            return Err(Fail::forbidden());
        }
        let known = person.filter(|person| world.directory.people[*person].tenant == access.tenant);
        known
            .map(|person| world.presence(person))
            .ok_or_else(|| Fail::new(StatusCode::NOT_FOUND, "NotFound", "User not found."))
    })
}

async fn write(
    State(shared): State<Arc<Shared>>,
    Path((user, action)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(&shared, &headers, 1, |world, access| {
        world.count(access)?;
        let own = world.directory.person(&user).filter(|person| access.holder == Holder::Person(*person));
        let person = own.filter(|_| access.may(WRITE)).ok_or_else(Fail::forbidden)?;
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let written = world.directory.people[person].write(&action, &body);
        written.map_err(|wrong| Fail::new(StatusCode::BAD_REQUEST, "InvalidArgument", wrong))?;
        Ok(StatusCode::OK.into_response())
    })
}

#[derive(Deserialize)]
struct Ids<'a> {
    #[serde(borrow)]
    ids: Vec<&'a str>,
}

async fn of_many(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let ids: Option<Ids> = serde_json::from_slice(&body).ok();
    let size = ids.as_ref().map_or(0, |ids| ids.ids.len());
    answer(&shared, &headers, size, |world, access| {
        world.count(access)?;
        if !access.may(ALL) {
            return Err(Fail::forbidden());
        }
        let bad = |message: &str| Fail::new(StatusCode::BAD_REQUEST, "BadRequest", message);
        let Ids { ids } =
            ids.ok_or_else(|| bad("Unable to read JSON request payload: an object with ids is expected."))?;
        if let Some((culprit, status)) = world.rules.refused
            && ids.iter().any(|id| id.parse() == Ok(culprit))
        {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            return Err(Fail::new(status, "BadRequest", "The request is invalid."));
        }
        match ids.len() {
            0 => Err(bad("The collection of ids is empty.")),
            1..=BATCH => Ok(world.presences(access.tenant, &ids)),
            _ => Err(bad("The collection of ids exceeds the maximum of 650.")),
        }
    })
}

async fn user(State(shared): State<Arc<Shared>>, Path(user): Path<String>, headers: HeaderMap) -> Response {
    answer(&shared, &headers, 1, |world, access| {
        let person = world.directory.person(&user);
        let own = person.is_some_and(|person| access.holder == Holder::Person(person));
        let may = access.may(PEOPLE) || own && access.may(&["User.Read"]);
        if !may {
            return Err(Fail::denied());
        }
        let known = person.map(|person| &world.directory.people[person]).filter(|one| one.tenant == access.tenant);
        let person = known.ok_or_else(|| {
            let message = format!(
                "Resource '{user}' does not exist or one of its queried reference-property objects are not present."
            );
            Fail::new(StatusCode::NOT_FOUND, "Request_ResourceNotFound", message)
        })?;
        Ok(Json(json!({
            "@odata.context": format!("{METADATA}#users/$entity"),
            "id": person.id.as_str(),
            "displayName": person.name,
            "userPrincipalName": &*person.upn,
        }))
        .into_response())
    })
}

impl World {
    fn bearer(&self, headers: &HeaderMap) -> Result<Access, Fail> {
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = value.and_then(|value| value.strip_prefix("Bearer "));
        let token = token.ok_or_else(|| Fail::token("Access token is empty."))?;
        let access = self
            .grants
            .access
            .get(token)
            .ok_or_else(|| Fail::token("IDX14100: JWT is not well formed, there are no dots (.)."))?;
        if access.expires <= Instant::now() {
            return Err(Fail::token("Lifetime validation failed, the token is expired."));
        }
        match access.holder {
            Holder::Person(person) if self.directory.people[person].challenged && !access.claims => Err(Fail::claims()),
            _ => Ok(access.clone()),
        }
    }

    /// Counts a presence request, refused ones included.
    fn count(&mut self, access: &Access) -> Result<(), Fail> {
        let (limit, window) = (self.rules.limit, self.rules.window);
        let counted = self.limits.count(access.application, access.tenant, limit, window, Instant::now());
        counted.map_err(Fail::throttled)
    }

    fn presence(&mut self, person: usize) -> Response {
        let (person, now) = (&mut self.directory.people[person], Instant::now());
        person.pass(now);
        let body = person.told.tell(now, &mut self.told);
        let Some(members) = body.strip_prefix(b"{").filter(|members| *members != b"}") else {
            return json_bytes(body.to_vec());
        };
        let context = format!("{{\"@odata.context\":\"{METADATA}#users('{}')/presence/$entity\",", person.id.as_str());
        json_bytes([context.as_bytes(), members].concat())
    }

    /// The presences of those ids that are known in the tenant; the others are left out.
    fn presences(&mut self, tenant: usize, ids: &[&str]) -> Response {
        let now = Instant::now();
        let mut body = Vec::with_capacity(256 * (ids.len() + 1));
        body.extend_from_slice(
            format!("{{\"@odata.context\":\"{METADATA}#Collection(microsoft.graph.presence)\",\"value\":[").as_bytes(),
        );
        let mut first = true;
        for id in ids {
            let Some(known) = id.parse().ok().and_then(|id| self.directory.person_by_id(id)) else { continue };
            let person = &mut self.directory.people[known];
            if person.tenant != tenant {
                continue;
            }
            person.pass(now);
            if !std::mem::take(&mut first) {
                body.push(b',');
            }
            body.extend_from_slice(person.told.tell(now, &mut self.told));
        }
        body.extend_from_slice(b"]}");
        json_bytes(body)
    }
}

fn json_bytes(body: Vec<u8>) -> Response {
    let kind = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}
