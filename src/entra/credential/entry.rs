//! By which identity a key vault is reached: a federated token where Kubernetes gives one, the machine's
//! managed identity otherwise.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::{Host, Url};

use super::identity::{Identity, OF_A_VAULT};
use super::{ASSERTION_TYPE, federated};
use crate::entra::Trouble;
use crate::entra::answers::{Refusal, Subject};
use crate::entra::http::{self, Unread, causes};
use crate::settings::{Azure, Cloud, Entra};

const PATIENCE: Duration = Duration::from_secs(20);
const LARGEST: usize = 64 << 10;

/// Who asks the vault, and for which resource the token is.
pub(super) struct Entry {
    who: Who,
    resource: &'static str,
}

enum Who {
    Machine(Identity),
    /// Kubernetes' workload identity, as its webhook sets it in the environment.
    Workload {
        file: PathBuf,
        client_id: String,
        token_endpoint: Url,
    },
}

#[derive(Deserialize)]
struct Token {
    access_token: SecretString,
}

impl Entry {
    pub(super) fn new(azure: &Azure, entra: &Entra) -> Result<Self, Trouble> {
        let resource = match entra.cloud {
            Cloud::Global => "https://vault.azure.net",
            Cloud::UsGovernment | Cloud::UsGovernmentDod => "https://vault.usgovcloudapi.net",
            Cloud::China => "https://vault.azure.cn",
        };
        let variables =
            ["AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_ID", "AZURE_TENANT_ID"].map(|name| azure.get(name));
        let who = match variables {
            [Some(file), Some(client_id), Some(tenant)] => Who::Workload {
                file: file.into(),
                client_id: client_id.to_owned(),
                token_endpoint: token_endpoint(azure, entra, tenant)?,
            },
            [_, client_id, _] => Who::Machine(Identity::new(azure, client_id, &OF_A_VAULT)?),
        };
        Ok(Self { who, resource })
    }

    pub(super) async fn token(&self, http: &reqwest::Client) -> Result<SecretString, Trouble> {
        match &self.who {
            Who::Machine(identity) => identity.token(self.resource).await.map(|issued| issued.access),
            Who::Workload { file, client_id, token_endpoint } => {
                let assertion = federated::read("AZURE_FEDERATED_TOKEN_FILE", file)?;
                let scope = format!("{}/.default", self.resource);
                let form = [
                    ("grant_type", "client_credentials"),
                    ("client_id", client_id),
                    ("scope", &scope),
                    ("client_assertion_type", ASSERTION_TYPE),
                    ("client_assertion", assertion.expose_secret()),
                ];
                let request = http.post(token_endpoint.clone()).form(&form).timeout(PATIENCE);
                exchange(request, &assertion).await
            }
        }
    }
}

async fn exchange(request: reqwest::RequestBuilder, assertion: &SecretString) -> Result<SecretString, Trouble> {
    let who = "the workload's identity (AZURE_CLIENT_ID)";
    let later = |error: reqwest::Error| {
        Trouble::later(format!("{who}: Entra does not answer: {}", causes(&error.without_url())))
    };
    let response = request.send().await.map_err(later)?;
    let status = response.status().as_u16();
    let body = http::body(response, LARGEST).await.map_err(|unread| match unread {
        Unread::Broken(error) => later(error),
        Unread::TooLarge => Trouble::later(format!("{who}: Entra sends more than a token")),
    })?;
    if let (200, Ok(token)) = (status, serde_json::from_slice::<Token>(&body)) {
        return Ok(token.access_token);
    }
    let subject = Subject {
        who: who.to_owned(),
        sign_in: "check the identity's federated credential".to_owned(),
        consent_url: String::new(),
        then: "",
        secret: String::new(),
        browser: None,
        may_take_approval: false,
        is_stranger: false,
    };
    let refusal = Refusal::read(&body);
    Err(refusal.map_or_else(
        || Trouble::later(format!("{who}: Entra's answer holds no token")),
        |refusal| refusal.trouble(&subject, &[assertion.expose_secret()], None),
    ))
}

/// Entra's, or the one that the environment names: by https, or on this machine.
fn token_endpoint(azure: &Azure, entra: &Entra, tenant: &str) -> Result<Url, Trouble> {
    let wrong = || Trouble::misconfigured("AZURE_AUTHORITY_HOST: not an https URL");
    let mut url = match azure.get("AZURE_AUTHORITY_HOST") {
        Some(text) => Url::parse(text).map_err(|_| wrong())?,
        None => entra.authority.clone(),
    };
    let is_here = match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && is_here) {
        return Err(wrong());
    }
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend([tenant, "oauth2", "v2.0", "token"]);
    }
    Ok(url)
}
