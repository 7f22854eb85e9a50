//! What a plain HTTP client sees of the simulated Entra, Graph and hub: the documented answers, limits and errors.
#![cfg(feature = "demo")]
#![cfg(test)]

mod assertion;
mod certificate;
mod consent;
mod entra;
mod graph;
mod hub;

use graph2mqtt::simulator::{Application, Cloud};
use reqwest::{Client, Response};
use serde_json::Value;

const TENANT: &str = "contoso.com";
const PUBLIC: &str = "11111111-0000-4000-8000-000000000001";
const SECRET: &str = "11111111-0000-4000-8000-000000000002";
const ALEX: &str = "alex@contoso.com";
const SCOPE: &str = "openid profile offline_access Presence.Read";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A tenant, a public and a confidential application, and three people.
async fn world() -> Cloud {
    let cloud = Cloud::start().await.unwrap();
    cloud.add_tenant(TENANT);
    cloud.add_application(Application::public(PUBLIC, TENANT).delegated(&["Presence.Read", "User.Read"]));
    cloud.add_application(
        Application::confidential(SECRET, TENANT, "s3cret+/=")
            .expired_secret("old")
            .delegated(&["Presence.Read", "Presence.Read.All"])
            .roles(&["Presence.Read.All"]),
    );
    for name in ["Alex", "Blair", "Casey"] {
        cloud.add_person(&format!("{}@contoso.com", name.to_lowercase()), name);
    }
    cloud.adjust(|rules| rules.interval = std::time::Duration::ZERO);
    cloud
}

fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

/// Status and JSON body.
async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null))
}

async fn post(url: String, form: &[(&str, &str)]) -> (u16, Value) {
    read(client().post(url).form(form).send().await.unwrap()).await
}

async fn token(cloud: &Cloud, tenant: &str, form: &[(&str, &str)]) -> (u16, Value) {
    post(format!("{}/{tenant}/oauth2/v2.0/token", cloud.authority()), form).await
}

/// `error` and the AADSTS number of an answer.
fn error(body: &Value) -> (&str, u64) {
    let code = body["error_codes"][0].as_u64().unwrap_or_default();
    let description = body["error_description"].as_str().unwrap_or_default();
    assert!(description.starts_with(&format!("AADSTS{code}: ")), "{body}");
    for part in ["trace_id", "correlation_id", "timestamp"] {
        assert!(description.contains(body[part].as_str().unwrap()), "{part} of {body}");
    }
    (body["error"].as_str().unwrap_or_default(), code)
}
