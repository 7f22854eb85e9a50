//! The requests by which a token comes without a person: the refresh of a grant, and the application's own token.

use oauth2::{RefreshToken, Scope};

use super::Trouble;
use super::answers::Subject;
use super::application::{Application, Configured, Issued};
use super::credential::Own;
use super::transport::Transport;
use crate::presence::AccountName;
use crate::store::Grant;

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
            let reason = format!(
                "{}: it signed in with the application's credential, which is not configured any more; set \
                 entra.client_secret or what else it was",
                subject.who
            );
            return Err(Trouble::sign_in_at(reason, format!("or {}", subject.sign_in)));
        }
        let tenant = self.tenant_of(party);
        let transport = self.transport(tenant, grant.confidential).claiming(claims);
        let answer = self
            .client(tenant)
            .exchange_refresh_token(&RefreshToken::new(token.to_owned()))
            .add_scopes(self.scopes_for(party.reads, writes).into_iter().map(Scope::new))
            .request_async(&transport)
            .await;
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
