//! The requests by which a token comes without a person: the refresh of a grant, and the application's own token.

use std::time::Duration;

use oauth2::Scope;
use serde::Deserialize;
use serde::de::IgnoredAny;
use url::form_urlencoded;

use super::Trouble;
use super::answers::Subject;
use super::application::{Application, Configured, Issued};
use super::credential::Own;
use super::transport::Transport;
use crate::presence::AccountName;
use crate::store::Grant;

/// The answer to a refresh, as far as it is needed.
#[derive(Deserialize)]
struct Refreshed {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: Option<u64>,
    /// What lacks it is no answer of a token endpoint (RFC 6749, 5.1).
    #[serde(rename = "token_type")]
    _token_type: IgnoredAny,
}

impl From<Refreshed> for Issued {
    fn from(Refreshed { access_token, refresh_token, expires_in, .. }: Refreshed) -> Self {
        let issued = Self::of_application(access_token.into(), expires_in.map(Duration::from_secs));
        Self { refresh: refresh_token.map(Into::into), ..issued }
    }
}

impl Application {
    /// A new access token for a grant's refresh token, with the claims that Graph asked for. `writes`: also with the
    /// right to set the presence.
    pub(super) async fn refresh(
        &self,
        grant: &Grant,
        party: &Configured,
        writes: bool,
        token: &str,
        claims: Option<&str>,
    ) -> Result<Issued, Trouble> {
        if grant.confidential && !self.is_confidential() {
            let subject = self.subject_as(&grant.account, party);
            return Err(Trouble::sign_in(format!(
                "{}: it signed in with the application's credential, which is not configured any more; \
                 set entra.client_secret or what else it was, or {}",
                subject.who, subject.sign_in
            )));
        }
        let tenant = self.tenant_of(party);
        let transport = self.transport(tenant, grant.confidential).claiming(claims);
        let form = form_urlencoded::Serializer::new(String::with_capacity(token.len() + 256))
            .append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", token)
            .append_pair("scope", &self.scopes_for(party.reads, writes).join(" "))
            .append_pair("client_id", self.client_id())
            .finish();
        let answer = transport.ask::<Refreshed>(&self.token_endpoint(tenant), form).await;
        answer.map(Issued::from).map_err(|error| {
            let trouble = self.trouble(&self.subject_as(&grant.account, party), &transport, &[token], error);
            self.remember_claims(&grant.account, &trouble, &transport, claims);
            trouble
        })
    }

    /// Where a person has to sign in again, that sign-in brings what was asked for: Entra's own words for it
    /// where it has some, what Graph asked for otherwise.
    pub(super) fn remember_claims(
        &self,
        account: &AccountName,
        trouble: &Trouble,
        transport: &Transport<'_>,
        asked: Option<&str>,
    ) {
        if let Trouble::SignIn { .. } = trouble {
            let entras = transport.refusal().and_then(|refusal| refusal.claims);
            self.claims().ask(account, entras.as_deref().or(asked));
        }
    }

    /// An access token of the application itself in a tenant.
    pub(super) async fn own_token(&self, tenant: &str, claims: Option<&str>) -> Result<Issued, Trouble> {
        if let Own::Identity(identity) = self.own() {
            return identity.token(self.resource().identifier()).await;
        }
        if !self.is_confidential() {
            return Err(Trouble::misconfigured(
                "accounts with via: app need the application's credential: set entra.client_secret or another",
            ));
        }
        let subject = Subject {
            who: format!("the application in {tenant}"),
            sign_in: "check its registration".to_owned(),
            consent_url: self.consent_url(tenant),
        };
        let transport = self.transport(tenant, true).claiming(claims);
        let answer = self
            .client(tenant)
            .exchange_client_credentials()
            .add_scope(Scope::new(self.resource().default_scope()))
            .request_async(&transport)
            .await;
        answer.map(Issued::from).map_err(|error| self.trouble(&subject, &transport, &[], error))
    }
}
