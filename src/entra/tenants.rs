//! Which tenant a name means: people write domains, tokens and rows hold ids.

use serde::Deserialize;
use url::Url;

use super::answers::Subject;
use super::application::Application;
use super::{Tokens, Trouble};
use crate::presence::ObjectId;

/// The part of Entra's public description of a tenant that names it.
#[derive(Deserialize)]
struct Described {
    issuer: Url,
}

impl Tokens {
    /// The id of a tenant. For an id nobody is asked, for a domain Entra is, each time: its public
    /// description of the tenant (OpenID Connect Discovery) holds the id. `organizations` has none.
    pub async fn tenant_id(&self, tenant: &str) -> Result<ObjectId, Trouble> {
        self.application().tenant_id(tenant).await
    }
}

impl Application {
    /// As [`Tokens::tenant_id`].
    pub(super) async fn tenant_id(&self, tenant: &str) -> Result<ObjectId, Trouble> {
        if let Ok(id) = tenant.parse() {
            return Ok(id);
        }
        let transport = self.transport(tenant, false);
        let url = self.at(tenant, &["v2.0", ".well-known", "openid-configuration"]);
        let later = |what: &dyn std::fmt::Display| Trouble::later(format!("tenant {tenant}: Entra {what}"));
        let body = transport.get(&url).await.map_err(|no_answer| later(&no_answer))?;
        if let Some(refusal) = transport.refusal() {
            let subject = Subject {
                who: format!("tenant {tenant}"),
                sign_in: "correct its name".to_owned(),
                consent_url: self.consent_url(tenant),
            };
            return Err(refusal.trouble(&subject, &[], transport.retry_after()));
        }
        let described: Option<Described> = serde_json::from_slice(&body).ok();
        let id = described.and_then(|described| described.issuer.path_segments()?.find_map(|part| part.parse().ok()));
        id.ok_or_else(|| later(&"describes it without an id; is it one tenant's domain?"))
    }
}
