//! Which tenant a name means: people write domains, tokens and rows hold ids.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::application::Application;
use super::{Tokens, Trouble};
use crate::presence::ObjectId;
use crate::settings::User;

/// Whoever's tenant it is, in Entra's words.
pub(super) const ANY: &str = "organizations";

/// How long a domain's tenant is taken for known. A domain moves rarely, and not within a day.
const KNOWN: Duration = Duration::from_secs(24 * 3600);

/// How long nobody is asked again for the sake of whoever comes by, after Entra did not tell a tenant.
const UNTOLD: Duration = Duration::from_secs(60);

/// Entra's host in each cloud, as it stands in an issuer, and what `entra.cloud` is then.
const HOSTS: [(&str, &str); 3] = [
    ("login.microsoftonline.com", "global"),
    ("login.microsoftonline.us", "us_government (or us_government_dod)"),
    ("login.partner.microsoftonline.cn", "china"),
];

/// The ids of domains that were asked for: those in the configuration.
#[derive(Debug, Default)]
pub(super) struct TenantIds {
    known: Mutex<HashMap<String, (ObjectId, Instant)>>,
    failed: Mutex<Option<Instant>>,
}

impl TenantIds {
    fn get(&self, domain: &str) -> Option<ObjectId> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(domain).filter(|(_, asked)| asked.elapsed() < KNOWN).map(|(id, _)| *id)
    }

    /// As it was known last, however long ago; an id is its own.
    pub(super) fn last(&self, tenant: &str) -> Option<ObjectId> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        tenant.parse().ok().or_else(|| known.get(tenant).map(|(id, _)| *id))
    }

    /// Entra did not tell one.
    pub(super) fn failed(&self) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether it is too soon to ask for the sake of whoever comes by.
    pub(super) fn failed_lately(&self) -> bool {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_some_and(|failed| failed.elapsed() < UNTOLD)
    }

    fn put(&self, domain: &str, id: ObjectId) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(domain.to_owned(), (id, Instant::now()));
    }
}

/// The part of Entra's public description of a tenant that names it.
#[derive(Deserialize)]
struct Described {
    issuer: Url,
}

impl Tokens {
    /// The id of a tenant. For an id nobody is asked, for a domain Entra is, once a day: its public
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
        if let Some(id) = self.tenants().get(tenant) {
            return Ok(id);
        }
        let id = self.asked_for(tenant).await?;
        self.tenants().put(tenant, id);
        Ok(id)
    }

    /// The tenant in which a configured person is at home, and the name by which it is configured: theirs, or the
    /// domain of their user name. None where nothing says it; an object id is nobody else's.
    pub(super) async fn tenant_meant<'a>(
        &self,
        user: &'a User,
        tenant: &'a str,
    ) -> Result<Option<(ObjectId, &'a str)>, Trouble> {
        let name = match user {
            _ if tenant != ANY => Some(tenant),
            User::Name(name) => name.rsplit_once('@').map(|(_, domain)| domain),
            User::Id(_) => None,
        };
        let Some(name) = name else { return Ok(None) };
        Ok(Some((self.tenant_id(name).await?, name)))
    }

    async fn asked_for(&self, tenant: &str) -> Result<ObjectId, Trouble> {
        let transport = self.transport(tenant, false);
        let url = self.at(tenant, &["v2.0", ".well-known", "openid-configuration"]);
        let later = |what: &dyn std::fmt::Display| Trouble::later(format!("tenant {tenant}: Entra {what}"));
        let body = transport.get(&url).await.map_err(|no_answer| later(&no_answer))?;
        if let Some(refusal) = transport.refusal() {
            let subject = self.naming(format!("tenant {tenant}"), "correct its name".to_owned(), tenant);
            return Err(refusal.trouble(&subject, &[], transport.retry_after()));
        }
        let described: Option<Described> = serde_json::from_slice(&body).ok();
        if let Some(cloud) = described.as_ref().and_then(|described| another_cloud(&described.issuer, self.authority()))
        {
            return Err(Trouble::misconfigured(format!(
                "tenant {tenant} is of another cloud: set entra.cloud to {cloud}"
            )));
        }
        let id = described.and_then(|described| described.issuer.path_segments()?.find_map(|part| part.parse().ok()));
        id.ok_or_else(|| later(&"describes it without an id; is it one tenant's domain?"))
    }
}

/// The cloud in which an issuer is, where it is another than that of the authority that was asked. What stands in front of
/// Entra may be of any.
fn another_cloud(issuer: &Url, authority: &Url) -> Option<&'static str> {
    let cloud = |url: &Url| HOSTS.iter().find(|(host, _)| url.host_str() == Some(host)).map(|(_, named)| *named);
    let (asked, named) = (cloud(authority)?, cloud(issuer)?);
    (named != asked).then_some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_tells_of_another_cloud_than_the_one_asked_where_both_hosts_are_entras() {
        for (issuer, authority, expected) in [
            ("login.microsoftonline.com", "login.microsoftonline.com", None),
            ("login.microsoftonline.us", "login.microsoftonline.us", None),
            ("proxy.example.net", "login.partner.microsoftonline.cn", None),
            ("login.microsoftonline.us", "proxy.example.net", None),
            ("login.microsoftonline.com", "login.microsoftonline.us", Some("global")),
            ("login.partner.microsoftonline.cn", "login.microsoftonline.com", Some("china")),
        ] {
            let url = |host| format!("https://{host}/00000000-0000-4000-8000-000000000001/v2.0").parse().unwrap();
            assert_eq!(another_cloud(&url(issuer), &url(authority)), expected, "{issuer} {authority}");
        }
    }
}
