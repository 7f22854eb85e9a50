//! The requests by which a token comes without a person: the refresh of a grant, and the application's own token.

use oauth2::basic::BasicErrorResponse;
use oauth2::{RefreshToken, RequestTokenError, Scope};

use super::Trouble;
use super::answers::{Refusal, Subject};
use super::application::{Application, Configured};
use super::claims::Whose;
use super::credential::Own;
use super::issued::Issued;
use super::transport::{NoAnswer, Transport};
use crate::store::Grant;

impl Application {
    /// A new access token for a grant's refresh token, with the claims that Graph asked for; and whether Entra took
    /// the application for a confidential client. `writes`: also with the right to set the presence.
    pub(super) async fn refresh(
        &self,
        grant: &Grant,
        party: &Configured,
        writes: bool,
        token: &str,
        claims: Option<&str>,
    ) -> Result<(Issued, bool), Trouble> {
        let subject = || self.subject_as(&grant.account, party);
        if grant.confidential && !self.is_confidential() {
            let Subject { who, sign_in, .. } = subject();
            let reason = format!(
                "{who}: it signed in with the application's credential, which is not configured under entra any more: \
                 set it again"
            );
            let trouble = Trouble::sign_in_at(reason, format!("or {sign_in}"));
            return Err(self.mended(grant, trouble).await);
        }
        let tenant = self.tenant_of(party);
        let scopes = self.scopes_for(party.reads, writes);
        let mut confidential = grant.confidential;
        loop {
            let transport = self.transport(tenant, confidential).claiming(claims);
            let answer = self
                .client(&transport)
                .exchange_refresh_token(&RefreshToken::new(token.to_owned()))
                .add_scopes(scopes.iter().cloned().map(Scope::new))
                .request_async(&transport)
                .await;
            match answer {
                Ok(answer) => return Ok((answer.into(), confidential)),
                Err(_) if confidential == grant.confidential && self.is_the_other_kind(confidential, &transport) => {
                    confidential = !confidential;
                }
                Err(error) => {
                    let trouble = match transport.refusal().filter(Refusal::is_of_kind) {
                        Some(refusal) => changed(&subject(), &refusal.without(&[token])),
                        None => self.trouble(&subject(), &transport, &[token], error),
                    };
                    self.remember_claims(Whose::Account(&grant.account), &trouble, &transport, claims);
                    return Err(self.mended(grant, trouble).await);
                }
            }
        }
    }

    /// Where a person has to sign in again, that sign-in brings what was asked for: Entra's own words for it
    /// where it has some, what Graph asked for otherwise.
    pub(super) fn remember_claims(
        &self,
        whose: Whose<'_>,
        trouble: &Trouble,
        transport: &Transport<'_>,
        asked: Option<&str>,
    ) {
        if let Trouble::SignIn { .. } = trouble {
            let entras = transport.refusal().and_then(|refusal| refusal.claims);
            self.claims().ask(whose, entras.as_deref().or(asked));
        }
    }

    /// An access token of the application itself in a tenant.
    pub(super) async fn own_token(&self, tenant: &str, claims: Option<&str>) -> Result<Issued, Trouble> {
        if let Own::Identity(identity) = self.own() {
            let issued = identity.token(self.resource().identifier()).await;
            return issued.map_err(|trouble| trouble.then(self.itself(tenant).then));
        }
        if !self.is_confidential() {
            return Err(Trouble::misconfigured(
                "accounts with via: app need the application's credential: set entra.client_secret or another",
            ));
        }
        let subject = self.itself(tenant);
        let transport = self.transport(tenant, true).claiming(claims);
        let issued = self.own_token_by(&transport).await;
        issued.map_err(|error| self.trouble(&subject, &transport, &[], error))
    }

    /// The same by this transport, with what the request comes to where it fails.
    pub(super) async fn own_token_by(
        &self,
        transport: &Transport<'_>,
    ) -> Result<Issued, RequestTokenError<NoAnswer, BasicErrorResponse>> {
        let answer = self
            .client(transport)
            .exchange_client_credentials()
            .add_scope(Scope::new(self.resource().default_scope()))
            .request_async(transport)
            .await;
        answer.map(Issued::from)
    }
}

/// The registration does not fit to the grant any more. What has to be mended there, a sign-in tells: as what kind of
/// client it comes is decided then.
fn changed(subject: &Subject, refusal: &Refusal) -> Trouble {
    let reason = format!(
        "{}: Entra takes the application for another kind of client than at the sign-in, as after a change of \
         \"Allow public client flows\"{}",
        subject.who,
        refusal.details()
    );
    Trouble::sign_in_at(reason, subject.sign_in.as_str())
}
