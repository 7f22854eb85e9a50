//! Entra's token endpoint, and what its endpoints have in common: the form, the tenant, the client.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::calls::Asked;
use super::directory::{Directory, Realm};
use super::errors::{Fail, brings_claims};
use super::grants::{RESOURCES, Scopes};
use super::tokens::{Access, Holder, opaque};
use super::{Shared, World, assertion, identity};

/// The most that Entra reads of a form.
const LARGEST: usize = 64 << 10;

/// The fields of a request's form, its basic credentials among them.
#[derive(serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Form(HashMap<String, String>);

impl<S: Sync> FromRequest<S> for Form {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        let basic = request.headers().get(header::AUTHORIZATION).and_then(|value| credentials(value.to_str().ok()?));
        let body = to_bytes(request.into_body(), LARGEST).await.unwrap_or_default();
        let mut fields: HashMap<_, _> = form_urlencoded::parse(&body).into_owned().collect();
        fields.extend(basic.into_iter().flatten());
        Ok(Self(fields))
    }
}

/// The client's id and secret from `Authorization: Basic`, each URL-encoded (RFC 6749, 2.3.1).
fn credentials(value: &str) -> Option<[(String, String); 2]> {
    let plain = String::from_utf8(STANDARD.decode(value.strip_prefix("Basic ")?).ok()?).ok()?;
    let (id, secret) = plain.split_once(':')?;
    let decode = |text: &str| form_urlencoded::parse(text.as_bytes()).next().map(|(text, _)| text.into_owned());
    Some([("client_id".to_owned(), decode(id)?), ("client_secret".to_owned(), decode(secret)?)])
}

impl Form {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether it brings a secret or an assertion.
    pub(super) fn shows_proof(&self) -> bool {
        self.get("client_secret").is_some() || self.get("client_assertion").is_some()
    }

    pub(super) fn need(&self, name: &str) -> Result<&str, Fail> {
        self.get(name).ok_or_else(|| Fail::missing(name))
    }
}

/// The tenant and the application of a request.
pub(super) fn client(directory: &Directory, tenant: &str, form: &Form) -> Result<(Realm, usize), Fail> {
    let realm = directory.realm(tenant).ok_or_else(|| Fail::unknown_tenant(tenant))?;
    if let Realm::One(one) = realm
        && let Some((_, cloud)) = directory.tenants[one].elsewhere
    {
        return Err(Fail::another_cloud(tenant, cloud));
    }
    let client_id = form.need("client_id")?;
    let unknown = || Fail::unknown_application(client_id, tenant);
    let index = directory.application(client_id).ok_or_else(unknown)?;
    let application = &directory.applications[index];
    match realm {
        Realm::Any if !application.multi_tenant => Err(Fail::one_tenant_only(client_id)),
        Realm::One(one) if !application.multi_tenant && directory.tenant(&application.home) != Some(one) => {
            Err(unknown())
        }
        _ => Ok((realm, index)),
    }
}

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/{tenant}/oauth2/v2.0/token", post(token))
        .route("/{tenant}/v2.0/.well-known/openid-configuration", get(openid_configuration))
}

async fn token(State(shared): State<Arc<Shared>>, Path(tenant): Path<String>, form: Form) -> Response {
    let answer = shared.world().token(shared.base(), &tenant, &form);
    let mut response = match answer {
        Ok(answer) => ([(header::CACHE_CONTROL, "no-store, no-cache")], Json(answer)).into_response(),
        Err(fail) => fail.into_response(),
    };
    if let Some(client_id) = form.get("client_id") {
        response.extensions_mut().insert(Asked { principal: client_id.into(), size: 1 });
    }
    response
}

impl World {
    /// Nothing is shown by a public client, a proof by a confidential one. Which of the two counts is not for the
    /// client to choose, and told before the proof is looked at.
    pub(super) fn comes_as(
        &mut self,
        public: bool,
        base: &str,
        tenant: &str,
        form: &Form,
        index: usize,
    ) -> Result<(), Fail> {
        match (public, form.shows_proof()) {
            (true, true) => Err(Fail::secret_unwanted()),
            (true, false) => Ok(()),
            (false, false) => Err(Fail::secret_needed()),
            (false, true) => self.credential(base, tenant, form, index),
        }
    }

    /// Whether what the client shows proves it.
    fn credential(&mut self, base: &str, tenant: &str, form: &Form, index: usize) -> Result<(), Fail> {
        let application = &self.directory.applications[index];
        let id = &*application.client_id;
        if let Some(assertion) = form.get("client_assertion") {
            if form.need("client_assertion_type")? != assertion::TYPE {
                return Err(Fail::assertion("The client assertion's type is not supported."));
            }
            if let Some(proven) = self.identities.proves(assertion, &application.trusted) {
                return proven;
            }
            let realms = self.directory.tenant(tenant).map(|one| &self.directory.tenants[one]);
            let names = realms.into_iter().flat_map(|tenant| [&*tenant.id, &*tenant.domain]).chain([tenant]);
            let endpoints: Vec<String> = names.map(|name| format!("{base}/{name}/oauth2/v2.0/token")).collect();
            let registered = &application.certificates;
            return assertion::check(assertion, id, registered, &endpoints, &mut self.used_assertions);
        }
        let has = |secrets: &[String], shown: &str| secrets.iter().any(|secret| secret == shown);
        match form.get("client_secret") {
            None => Err(Fail::secret_needed()),
            Some(shown) if has(&application.secrets, shown) => Ok(()),
            Some(shown) if has(&application.expired_secrets, shown) => Err(Fail::secret_expired(id)),
            Some(_) if application.public && application.secrets.is_empty() => Err(Fail::secret_unwanted()),
            Some(_) => Err(Fail::secret_wrong(id)),
        }
    }

    fn token(&mut self, base: &str, tenant: &str, form: &Form) -> Result<Value, Fail> {
        let (realm, index) = client(&self.directory, tenant, form)?;
        match form.need("grant_type")? {
            "urn:ietf:params:oauth:grant-type:device_code" => self.redeem(base, tenant, form, index),
            "authorization_code" => self.redeem_code(base, tenant, form, index),
            "refresh_token" => {
                let token = form.need("refresh_token")?;
                let public = self.grants.is_public(token, index, &self.directory)?;
                self.comes_as(public, base, tenant, form, index)?;
                let scopes = form.get("scope").map(Scopes::parse).transpose()?;
                self.refresh(base, token, scopes, brings_claims(form.get("claims")))
            }
            "client_credentials" => {
                let Realm::One(one) = realm else { return Err(Fail::tenant_needed()) };
                self.credential(base, tenant, form, index)?;
                self.client_credentials(one, form, index)
            }
            other => {
                let text = format!("The app requested an unsupported grant type '{other}'.");
                Err(Fail::bad("unsupported_grant_type", 70_003, text))
            }
        }
    }

    fn client_credentials(&mut self, tenant: usize, form: &Form, index: usize) -> Result<Value, Fail> {
        let scope = form.need("scope")?;
        if identity::is_vault(scope) {
            let token = self.identities.vault_token(index);
            return Ok(json!({"token_type": "Bearer", "expires_in": 3_599, "access_token": token}));
        }
        if !RESOURCES.iter().any(|resource| scope.strip_prefix(resource) == Some(".default")) {
            return Err(Fail::default_scope_needed(scope));
        }
        let roles = self.directory.consent(index, tenant).map(|consent| consent.roles.iter().cloned().collect());
        let token = opaque("eyJ0", self.rules.token_length);
        let access = Access {
            holder: Holder::Application,
            application: index,
            tenant,
            scopes: roles.unwrap_or_default(),
            expires: std::time::Instant::now() + self.rules.access_token,
            claims: brings_claims(form.get("claims")),
        };
        self.grants.access.add(token.clone(), access);
        let seconds = self.rules.access_token.as_secs();
        Ok(json!({"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}))
    }
}

async fn openid_configuration(State(shared): State<Arc<Shared>>, Path(tenant): Path<String>) -> Response {
    let world = shared.world();
    let base = shared.base();
    let issuer = match world.directory.realm(&tenant) {
        None => return Fail::unknown_tenant(&tenant).into_response(),
        Some(Realm::Any) => format!("{base}/{{tenantid}}/v2.0"),
        Some(Realm::One(index)) => {
            let tenant = &world.directory.tenants[index];
            let base = tenant.elsewhere.map_or(base.to_owned(), |(host, _)| format!("https://{host}"));
            format!("{base}/{}/v2.0", tenant.id)
        }
    };
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{base}/{tenant}/oauth2/v2.0/token"),
        "device_authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/devicecode"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }))
    .into_response()
}
