//! What Azure hands to processes on its own machines: managed identities by the endpoints of its three kinds
//! of hosts, tokens of other identity providers, and a key vault.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::errors::Fail;
use super::grants::RESOURCES;
use super::tokens::{Access, Holder, opaque};
use super::{Shared, World};

/// The key vaults of the clouds, as resources.
const VAULTS: &[&str] = &["https://vault.azure.net", "https://vault.usgovcloudapi.net", "https://vault.azure.cn"];

/// The audience of a federated credential begins so in every cloud.
const EXCHANGE: &str = "api://AzureADTokenExchange";

/// How long what is handed out here is good; really 24 hours for managed identities.
const LIFE: Duration = Duration::from_secs(86_400);

/// So long before its end a token is not handed out again.
const NEARLY_OVER: Duration = Duration::from_secs(300);

/// Identities and what they may reach, besides Graph.
pub(super) struct Identities {
    /// Applications that are this machine's identities, and whether it is the system-assigned one.
    assigned: Vec<(usize, bool)>,
    /// What was handed out to an identity for a resource, and until when it is good: it is handed out again.
    cached: HashMap<(usize, String), (String, Instant)>,
    /// Tokens that an application may show as its own proof.
    federated: HashMap<String, Federated>,
    vault_tokens: HashMap<String, usize>,
    readers: HashSet<usize>,
    secrets: HashMap<String, String>,
    /// The versions of its API that the vault knows, the newest last.
    versions: Vec<&'static str>,
    /// What App Service puts into the environment.
    header: String,
    /// The file that Azure Arc's agent names, and its content.
    arc: Option<(String, String)>,
}

struct Federated {
    subject: String,
    audience: String,
    until: Instant,
}

impl Default for Identities {
    fn default() -> Self {
        Self {
            assigned: Vec::new(),
            cached: HashMap::new(),
            federated: HashMap::new(),
            vault_tokens: HashMap::new(),
            readers: HashSet::new(),
            secrets: HashMap::new(),
            versions: vec!["7.4", "2025-07-01"],
            header: opaque("", 32),
            arc: None,
        }
    }
}

impl Identities {
    pub(super) fn assign(&mut self, application: usize, system: bool) {
        self.assigned.push((application, system));
    }

    pub(super) fn header(&self) -> &str {
        &self.header
    }

    pub(super) fn set_arc(&mut self, file: &str, content: &str) {
        self.arc = Some((file.to_owned(), content.to_owned()));
    }

    pub(super) fn let_read(&mut self, application: usize) {
        self.readers.insert(application);
    }

    pub(super) fn knows(&mut self, versions: &[&'static str]) {
        self.versions = versions.to_vec();
    }

    pub(super) fn put(&mut self, name: &str, value: &str) {
        self.secrets.insert(name.to_owned(), value.to_owned());
    }

    /// A token about a subject, in the shape of a JWT.
    pub(super) fn vouch(&mut self, subject: &str, audience: &str) -> String {
        let claims = json!({"iss": "https://issuer.example", "sub": subject, "aud": audience});
        let token = format!("eyJhbGciOiJSUzI1NiJ9.{}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()), opaque("", 64));
        let until = Instant::now() + LIFE;
        let vouched = Federated { subject: subject.to_owned(), audience: audience.to_owned(), until };
        self.federated.insert(token.clone(), vouched);
        token
    }

    /// Whether such a token proves an application that trusts these subjects; none for another kind of assertion.
    pub(super) fn proves(&self, token: &str, trusted: &[String]) -> Option<Result<(), Fail>> {
        let known = self.federated.get(token)?;
        if known.until <= Instant::now() {
            return Some(Err(Fail::assertion_time()));
        }
        let fits = known.audience.starts_with(EXCHANGE);
        Some(if fits && trusted.contains(&known.subject) { Ok(()) } else { Err(Fail::federation()) })
    }

    pub(super) fn vault_token(&mut self, application: usize) -> String {
        let token = opaque("eyJ0", 900);
        self.vault_tokens.insert(token.clone(), application);
        token
    }

    /// What managed identities were handed out was handed out so much earlier.
    pub(super) fn age(&mut self, by: Duration) {
        for (token, until) in self.cached.values_mut() {
            *until -= by;
            if let Some(federated) = self.federated.get_mut(token) {
                federated.until -= by;
            }
        }
    }

    /// What nobody may read anywhere.
    pub(super) fn confidential(&self) -> impl Iterator<Item = &String> {
        self.federated.keys().chain(self.vault_tokens.keys()).chain(self.secrets.values())
    }
}

pub(super) fn is_vault(scope: &str) -> bool {
    VAULTS.iter().any(|vault| scope.strip_prefix(vault) == Some("/.default"))
}

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/metadata/identity/oauth2/token", get(virtual_machine))
        .route("/msi/token", get(app_service))
        .route("/arc/token", get(arc))
        .route("/secrets/{name}", get(secret))
}

type Asked = Query<HashMap<String, String>>;

async fn virtual_machine(State(shared): State<Arc<Shared>>, headers: HeaderMap, Query(asked): Asked) -> Response {
    let forwarded = headers.contains_key("x-forwarded-for");
    if forwarded || headers.get("metadata").is_none_or(|value| value != "true") || !is(&asked, "2018-02-01") {
        return refusal(StatusCode::BAD_REQUEST, "Required metadata header not specified, or a wrong api-version");
    }
    hand_out(&shared, &asked)
}

async fn app_service(State(shared): State<Arc<Shared>>, headers: HeaderMap, Query(asked): Asked) -> Response {
    let right = shared.world().identities.header.clone();
    if headers.get("x-identity-header").is_none_or(|value| *value != *right) || !is(&asked, "2019-08-01") {
        return refusal(StatusCode::UNAUTHORIZED, "the identity header is wrong");
    }
    hand_out(&shared, &asked)
}

async fn arc(State(shared): State<Arc<Shared>>, headers: HeaderMap, Query(asked): Asked) -> Response {
    let Some((file, content)) = shared.world().identities.arc.clone() else {
        return refusal(StatusCode::NOT_FOUND, "no agent runs here");
    };
    if headers.get("metadata").is_none_or(|value| value != "true") || !is(&asked, "2019-11-01") {
        return refusal(StatusCode::BAD_REQUEST, "Required metadata header not specified, or a wrong api-version");
    }
    match headers.get(header::AUTHORIZATION) {
        None => (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, format!("Basic realm={file}"))]).into_response(),
        Some(shown) if *shown == *format!("Basic {content}") => hand_out(&shared, &asked),
        Some(_) => refusal(StatusCode::UNAUTHORIZED, "the key is wrong"),
    }
}

fn is(asked: &HashMap<String, String>, version: &str) -> bool {
    asked.get("api-version").is_some_and(|asked| asked == version)
}

/// A token for the resource. Numbers are texts, as all three services write them, and `expires_in` counts from when the
/// token was issued.
fn hand_out(shared: &Shared, asked: &HashMap<String, String>) -> Response {
    let mut world = shared.world();
    let wanted = asked.get("client_id");
    let fits = |(application, system): &&(usize, bool)| match wanted {
        None => *system,
        Some(id) => world.directory.applications[*application].client_id.eq_ignore_ascii_case(id),
    };
    let Some(application) = world.identities.assigned.iter().find(fits).map(|(application, _)| *application) else {
        return refusal(StatusCode::BAD_REQUEST, "Identity not found");
    };
    let resource = asked.get("resource").map_or("", |resource| resource.trim_end_matches('/'));
    let Some((token, until)) = world.identity_token(application, resource) else {
        return refusal(StatusCode::BAD_REQUEST, "The resource principal was not found in the tenant");
    };
    let left = until.saturating_duration_since(Instant::now()).as_secs_f64().round() as i64;
    let until = jiff::Timestamp::now().as_second() + left;
    let answer = json!({
        "access_token": token, "expires_in": LIFE.as_secs().to_string(), "expires_on": until.to_string(),
        "resource": resource, "token_type": "Bearer",
    });
    Json(answer).into_response()
}

impl World {
    /// A token of an identity for a resource: the one that was handed out last, until shortly before its end.
    fn identity_token(&mut self, application: usize, resource: &str) -> Option<(String, Instant)> {
        let key = (application, resource.to_owned());
        let now = Instant::now();
        if let Some(cached) = self.identities.cached.get(&key).filter(|(_, until)| *until > now + NEARLY_OVER) {
            return Some(cached.clone());
        }
        let token = match resource {
            _ if RESOURCES.iter().any(|graph| graph.trim_end_matches('/') == resource) => self.graph_token(application),
            _ if VAULTS.contains(&resource) => self.identities.vault_token(application),
            _ if resource.starts_with(EXCHANGE) => {
                let subject = self.directory.applications[application].client_id.to_string();
                self.identities.vouch(&subject, resource)
            }
            _ => return None,
        };
        self.identities.cached.insert(key, (token.clone(), now + LIFE));
        Some((token, now + LIFE))
    }

    fn graph_token(&mut self, application: usize) -> String {
        let home = self.directory.applications[application].home.clone();
        let tenant = self.directory.tenant(&home).expect("its home was there when it was registered");
        let roles = self.directory.consent(application, tenant).map(|consent| consent.roles.iter().cloned().collect());
        let token = opaque("eyJ0", self.rules.token_length);
        let access = Access {
            holder: Holder::Application,
            application,
            tenant,
            scopes: roles.unwrap_or_default(),
            expires: Instant::now() + LIFE,
            claims: false,
        };
        self.grants.access.add(token.clone(), access);
        token
    }
}

fn refusal(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({"error": "invalid_request", "error_description": text}))).into_response()
}

async fn secret(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Query(asked): Asked,
) -> Response {
    let world = shared.world();
    let identities = &world.identities;
    let told = |status: StatusCode, code: &str, message: &str| {
        (status, Json(json!({"error": {"code": code, "message": message}}))).into_response()
    };
    let fail = |status: StatusCode, code: &str| told(status, code, "The vault says no.");
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let Some(reader) = bearer.and_then(|token| identities.vault_tokens.get(token)) else {
        return fail(StatusCode::UNAUTHORIZED, "Unauthorized");
    };
    let version = asked.get("api-version").map_or("", String::as_str);
    if !identities.versions.contains(&version) {
        let latest = identities.versions.last().unwrap_or(&"");
        let message = format!(
            "The specified version ({version}) is not recognized. Consider using the latest supported version ({latest})."
        );
        return told(StatusCode::BAD_REQUEST, "BadParameter", &message);
    }
    if !identities.readers.contains(reader) {
        return fail(StatusCode::FORBIDDEN, "Forbidden");
    }
    match identities.secrets.get(&name) {
        Some(value) => Json(json!({"value": value, "id": name, "attributes": {"enabled": true}})).into_response(),
        None => fail(StatusCode::NOT_FOUND, "SecretNotFound"),
    }
}
