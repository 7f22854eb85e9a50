//! Entra's errors, as data, and in the shape in which Entra sends them.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::directory::{Application, Refusal};
use crate::simulator::guid::guid;

/// One of Entra's errors.
#[derive(Debug, Clone)]
pub(super) struct Fail {
    status: u16,
    error: &'static str,
    code: u32,
    text: String,
    suberror: Option<&'static str>,
    claims: Option<&'static str>,
}

/// What a client must bring to get past a policy that asks for more.
pub(super) const CLAIMS: &str =
    r#"{"access_token":{"capolids":{"essential":true,"values":["5d1b4b8e-0000-4000-8000-000000000001"]}}}"#;

/// Whether a request's claims are those.
pub(super) fn brings_claims(claims: Option<&str>) -> bool {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    claims.and_then(read).is_some_and(|brought| Some(brought) == read(CLAIMS))
}

impl Fail {
    const fn new(status: u16, error: &'static str, code: u32, text: String) -> Self {
        Self { status, error, code, text, suberror: None, claims: None }
    }

    /// A refusal of what the request itself says, status 400.
    pub(super) fn bad(error: &'static str, code: u32, text: impl Into<String>) -> Self {
        Self::new(400, error, code, text.into())
    }

    fn client(code: u32, text: &str) -> Self {
        Self::new(401, "invalid_client", code, text.to_owned())
    }

    fn grant(code: u32, suberror: &'static str, text: &str) -> Self {
        Self { suberror: Some(suberror), ..Self::bad("invalid_grant", code, text) }
    }

    pub(super) fn missing(parameter: &str) -> Self {
        let text = format!("The request body must contain the following parameter: '{parameter}'.");
        Self::bad("invalid_request", 900_144, text)
    }

    pub(super) fn unknown_tenant(name: &str) -> Self {
        let text = format!(
            "Tenant '{name}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant."
        );
        Self::bad("invalid_request", 90_002, text)
    }

    pub(super) fn unknown_application(client_id: &str, tenant: &str) -> Self {
        let text = format!(
            "Application with identifier '{client_id}' was not found in the directory '{tenant}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant."
        );
        Self::bad("unauthorized_client", 700_016, text)
    }

    pub(super) fn one_tenant_only(client_id: &str) -> Self {
        let text = format!(
            "Application '{client_id}' is not configured as a multi-tenant application. Usage of the /common endpoint is not supported for such apps created after '10/15/2018'. Use a tenant-specific endpoint or configure the application to be multi-tenant."
        );
        Self::bad("invalid_request", 50_194, text)
    }

    pub(super) fn another_cloud(tenant: &str, cloud: &str) -> Self {
        let text = format!("Tenant '{tenant}' request being redirected to the National Cloud '{cloud}'.");
        Self::bad("invalid_request", 90_038, text)
    }

    pub(super) fn tenant_needed() -> Self {
        let text =
            "No tenant-identifying information found in either the request or implied by any provided credentials.";
        Self::bad("invalid_request", 50_059, text)
    }

    pub(super) fn secret_wrong(client_id: &str) -> Self {
        let text = format!(
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client_id}'."
        );
        Self::client(7_000_215, &text)
    }

    pub(super) fn secret_expired(client_id: &str) -> Self {
        let text = format!("The provided client secret keys for app '{client_id}' are expired.");
        Self::client(7_000_222, &text)
    }

    pub(super) fn secret_needed() -> Self {
        Self::client(
            7_000_218,
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        )
    }

    pub(super) fn secret_unwanted() -> Self {
        Self::client(700_025, "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.")
    }

    pub(super) fn certificate_unknown() -> Self {
        Self::client(
            700_027,
            "The certificate with identifier used to sign the client assertion is not registered on application.",
        )
    }

    pub(super) fn assertion(text: &str) -> Self {
        Self::client(700_027, text)
    }

    pub(super) fn federation() -> Self {
        Self::client(
            700_213,
            "No matching federated identity record found for presented assertion subject. Check your federated identity credential Subject, Audience and Issuer against the presented assertion.",
        )
    }

    pub(super) fn assertion_time() -> Self {
        Self::client(700_024, "Client assertion is not within its valid time range.")
    }

    pub(super) fn assertion_audience() -> Self {
        Self::client(700_023, "Client assertion audience claim does not match Realm issuer.")
    }

    pub(super) fn unknown_scope(scope: &str) -> Self {
        let text = format!(
            "The application asked for scope '{scope}' that doesn't exist on the resource '00000003-0000-0000-c000-000000000000'. Contact the app vendor."
        );
        Self::bad("invalid_scope", 650_053, text)
    }

    pub(super) fn default_scope_needed(scope: &str) -> Self {
        let text = format!(
            "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."
        );
        Self::bad("invalid_scope", 1_002_012, text)
    }

    pub(super) fn consent_needed(client_id: &str) -> Self {
        let text = format!(
            "The user or administrator has not consented to use the application with ID '{client_id}'. Send an interactive authorization request for this user and resource."
        );
        Self::grant(65_001, "consent_required", &text)
    }

    pub(super) fn pending() -> Self {
        Self::bad(
            "authorization_pending",
            70_016,
            "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
        )
    }

    pub(super) fn slow_down() -> Self {
        Self::bad("slow_down", 70_016, "OAuth 2.0 device flow error. The client polls too often. Slow down.")
    }

    pub(super) fn loop_detected() -> Self {
        let text = "The server terminated an operation because it encountered a client request loop. Please contact your app vendor.";
        Self::bad("invalid_grant", 50_196, text)
    }

    pub(super) fn declined() -> Self {
        Self::bad(
            "authorization_declined",
            70_017,
            "OAuth 2.0 device flow error. The end user declined the authorization request.",
        )
    }

    pub(super) fn code_expired() -> Self {
        let text =
            "The provided value for the input parameter 'device_code' is not valid. This device code has expired.";
        Self::bad("expired_token", 70_020, text)
    }

    pub(super) fn code_unknown() -> Self {
        let text =
            "The provided value for the input parameter 'device_code' is not valid. Device codes supplied are invalid.";
        Self::bad("bad_verification_code", 70_018, text)
    }

    pub(super) fn code_of_another_tenant() -> Self {
        Self::bad(
            "invalid_grant",
            700_005,
            "Provided Authorization Code is intended to use against other tenant, thus rejected. OAuth2 Authorization Code must be \
             redeemed against same tenant it was acquired for (/common or /{tenant-ID} as appropriate)",
        )
    }

    pub(super) fn code_redeemed() -> Self {
        Self::bad(
            "invalid_grant",
            54_005,
            "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.",
        )
    }

    pub(super) fn authorization_expired() -> Self {
        Self::bad(
            "invalid_grant",
            70_008,
            "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource.",
        )
    }

    pub(super) fn verifier_wrong() -> Self {
        Self::bad(
            "invalid_grant",
            501_481,
            "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
        )
    }

    pub(super) fn redirect_differs(shown: &str, asked: &str) -> Self {
        let text = format!(
            "The reply address '{shown}' does not match the reply address '{asked}' provided when requesting Authorization code."
        );
        Self::client(500_112, &text)
    }

    pub(super) fn redirect_unknown(uri: &str, application: &Application) -> Self {
        let text = format!(
            "The redirect URI '{uri}' specified in the request does not match the redirect URIs configured for the application '{}'. Make sure the redirect URI sent in the request matches one added to your application in the Azure portal.",
            application.client_id
        );
        Self::bad("invalid_request", 50_011, text)
    }

    pub(super) fn no_reply_address() -> Self {
        Self::bad("invalid_request", 500_113, "No reply address is registered for the application.")
    }

    pub(super) fn single_page() -> Self {
        Self::bad(
            "invalid_request",
            9_002_327,
            "Tokens issued for the 'Single-Page Application' client-type may only be redeemed via cross-origin requests.",
        )
    }

    pub(super) fn response_type(shown: &str) -> Self {
        let text = format!("response_type '{shown}' is not supported for the application.");
        Self::bad("unsupported_response_type", 700_051, text)
    }

    pub(super) fn challenge() -> Self {
        Self::bad("invalid_request", 501_491, "Invalid Code_Challenge parameter: its size or its method.")
    }

    pub(super) fn login_required() -> Self {
        Self::bad("login_required", 50_058, "Session information is not sufficient for single-sign-on.")
    }

    pub(super) fn consent_declined() -> Self {
        Self::bad("access_denied", 65_004, "User declined to consent to access the app.")
    }

    pub(super) fn no_such_person(name: &str) -> Self {
        Self::bad(
            "invalid_grant",
            50_034,
            format!(
                "The user account {name} does not exist in the directory. To sign into this application, the account must be added to the directory."
            ),
        )
    }

    pub(super) fn other_tenant(name: &str, domain: &str) -> Self {
        let text = format!(
            "User account '{name}' from identity provider '{domain}' does not exist in tenant and cannot access the application in that tenant. The account needs to be added as an external user in the tenant first."
        );
        Self::bad("invalid_grant", 50_020, text)
    }

    pub(super) fn grant_unknown() -> Self {
        Self::bad("invalid_grant", 70_000, "Provided grant is invalid or malformed.")
    }

    pub(super) fn grant_revoked() -> Self {
        Self::grant(
            50_173,
            "bad_token",
            "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or reset their password.",
        )
    }

    pub(super) fn grant_expired() -> Self {
        Self::grant(700_082, "bad_token", "The refresh token has expired due to inactivity.")
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Policy => Self {
                claims: Some(CLAIMS),
                ..Self::grant(
                    53_003,
                    "message_only",
                    "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
                )
            },
            Refusal::MoreFactors => Self {
                error: "interaction_required",
                claims: Some(CLAIMS),
                ..Self::grant(
                    50_076,
                    "basic_action",
                    "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access '00000003-0000-0000-c000-000000000000'.",
                )
            },
            Refusal::Claims => Self {
                error: "interaction_required",
                claims: Some(CLAIMS),
                ..Self::grant(
                    50_076,
                    "basic_action",
                    "The authentication context that the access policy asks for was not satisfied.",
                )
            },
            Refusal::PasswordExpired => Self::grant(50_055, "user_password_expired", "The password is expired."),
            Refusal::SignInFrequency => Self::grant(
                70_043,
                "bad_token",
                "The refresh token has expired or is invalid due to sign-in frequency checks by conditional access.",
            ),
            Refusal::Disabled => Self::bad("invalid_grant", 50_057, "The user account is disabled."),
            Refusal::Transient => Self::new(
                503,
                "temporarily_unavailable",
                90_033,
                "A transient error has occurred. Please try again.".to_owned(),
            ),
        }
    }

    /// `error` and `error_description` as they go back to a redirect URI.
    pub(super) fn for_redirect(&self) -> (&'static str, String) {
        let body = self.body();
        (self.error, body["error_description"].as_str().unwrap_or_default().to_owned())
    }

    fn body(&self) -> Value {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let (trace, correlation) = (guid(), guid());
        let Self { error, code, text, .. } = self;
        let description =
            format!("AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}");
        let mut body = json!({
            "error": error,
            "error_description": description,
            "error_codes": [code],
            "timestamp": now,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        });
        let optional = [("suberror", self.suberror), ("claims", self.claims)];
        let members = body.as_object_mut().expect("made above");
        members.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))));
        body
    }
}

impl IntoResponse for Fail {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).expect("a status of the table above");
        (status, [(header::CACHE_CONTROL, "no-store, no-cache")], Json(self.body())).into_response()
    }
}
