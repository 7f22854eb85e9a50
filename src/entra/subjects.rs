//! On whose behalf Entra is asked: what troubles name, and where they send people.

use std::sync::{Mutex, PoisonError};

use oauth2::{ErrorResponse, RequestTokenError};
use secrecy::ExposeSecret;

use super::answers::Subject;
use super::application::{Application, Configured};
use super::browser::Errand;
use super::transport::{NoAnswer, Transport};
use super::{Remedy, Trouble};
use crate::presence::AccountName;
use crate::store::{Grant, Origin, StoreError, gist};

/// What follows a passing trouble where a person waits: nobody asks again for them.
const BEGIN_AGAIN: &str = "begin again";

/// What follows it in the background.
const BY_ITSELF: &str = "it is tried again";

/// Of what the credential lacks, to strangers.
const NOT_SET_UP: &str = "this installation cannot prove itself to Microsoft now: whoever runs it finds out why with \
                          graph2mqtt check";

/// What the log said last of that which keeps strangers out: they are not told, and somebody has to be.
#[derive(Default)]
pub(super) struct Complaints(Mutex<String>);

impl Complaints {
    /// Once until it is another one: people who are kept out try again.
    fn say(&self, trouble: &Trouble) {
        let gist = gist(trouble.reason());
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != gist {
            tracing::warn!(reason = %trouble, "people whom the configuration does not name cannot sign in");
            *last = gist;
        }
    }
}

impl Application {
    /// What keeps the application from proving itself, as this one is told it.
    pub(super) fn told(&self, subject: &Subject, own: Trouble) -> Trouble {
        if !subject.is_stranger {
            return own;
        }
        let (after, reason) = (own.wait(), NOT_SET_UP.to_owned());
        if let Trouble::Retry { .. } = own {
            tracing::debug!(trouble = %own, "somebody whom the configuration does not name could not sign in");
            return Trouble::Retry { after: Some(after).filter(|after| !after.is_zero()), reason };
        }
        self.complaints().say(&own);
        Trouble::Misconfigured { reason }
    }

    /// Of whoever waits for an answer in this tenant.
    pub(super) fn naming(&self, who: String, sign_in: String, tenant: &str) -> Subject {
        Subject {
            who,
            sign_in,
            consent_url: self.consent_url(tenant),
            then: BEGIN_AGAIN,
            secret: self.own().secret_place(),
            browser: None,
            may_take_approval: true,
            is_stranger: false,
        }
    }

    /// Of an account whose person signs in.
    pub(super) fn subject(&self, name: &AccountName) -> Subject {
        let tenant = self.account(name).map_or(self.home(), |account| self.tenant_of(account));
        let sign_in = format!("sign in again: {}", self.way_in().account(name));
        self.naming(format!("account {name}"), sign_in, tenant)
    }

    /// Of an account whose grant is used: it may have enrolled, and then signs in where it did.
    pub(super) fn subject_as(&self, name: &AccountName, party: &Configured) -> Subject {
        let subject = Subject { then: BY_ITSELF, ..self.subject(name) };
        // Entra remembers of a grant that it came by a code, and refuses its refreshes where a policy forbids codes.
        if self.account(name).is_ok() {
            return Subject { browser: self.way_in().browser(&Errand::Account(name.clone())), ..subject };
        }
        Subject {
            sign_in: format!("sign in again: {}", self.way_in().enrolment()),
            consent_url: self.consent_url(self.tenant_of(party)),
            browser: self.way_in().browser(&Errand::Enrol),
            ..subject
        }
    }

    /// Of the application's own right in a tenant.
    pub(super) fn itself(&self, tenant: &str) -> Subject {
        let subject = self.naming(format!("the application in {tenant}"), "check its registration".to_owned(), tenant);
        Subject { then: BY_ITSELF, ..subject }
    }

    /// Nobody has signed in to this account, or there is none.
    pub(super) fn not_signed_in(&self, name: &AccountName) -> Trouble {
        match self.account(name) {
            Ok(_) => {
                let way_in = self.way_in().account(name);
                Trouble::sign_in_at(format!("account {name}: nobody has signed in"), format!("sign in: {way_in}"))
            }
            Err(trouble) => trouble,
        }
    }

    /// What the store holds for an account is nothing that this program wrote.
    pub(super) fn unreadable(&self, grant: &Grant, party: &Configured) -> Trouble {
        let Subject { who, sign_in, .. } = self.subject_as(&grant.account, party);
        Trouble::sign_in_at(format!("{who}: what the store holds is not readable"), sign_in)
    }

    /// What the store holds for an account does not open. Under a new sign-in it does.
    pub(super) fn altered(&self, name: &AccountName, error: &StoreError) -> Trouble {
        let way_in = if self.account(name).is_ok() { self.way_in().account(name) } else { self.way_in().enrolment() };
        Trouble::sign_in_at(format!("account {name}: {error}"), format!("sign in again: {way_in}"))
    }

    /// Whoever enrolled is sent to the page where they did, unless their tenant may not enrol any more: nobody of it
    /// gets in there.
    pub(super) async fn mended(&self, grant: &Grant, trouble: Trouble) -> Trouble {
        let may_not = grant.origin == Origin::Enrolled
            && trouble.remedy().is_some()
            && self.admits(grant.tenant_id).await == Ok(false);
        if !may_not {
            return trouble;
        }
        trouble.mended_by(Remedy::shut_out(format!(
            "web.enrol.tenants does not let their tenant in any more: add it, or remove the account: graph2mqtt accounts \
             remove {}",
            grant.account
        )))
    }

    /// What a failed request comes to. `sent` are secrets that the request held, besides the application's.
    pub(super) fn trouble<E: ErrorResponse>(
        &self,
        subject: &Subject,
        transport: &Transport<'_>,
        sent: &[&str],
        error: RequestTokenError<NoAnswer, E>,
    ) -> Trouble {
        if let Some(trouble) = transport.own_trouble() {
            return self.told(subject, trouble).then(subject.then);
        }
        let after = transport.retry_after();
        let own = transport.shown();
        let secrets: Vec<&str> = sent.iter().copied().chain(own.iter().map(ExposeSecret::expose_secret)).collect();
        let refusal = transport.refusal().map(|refusal| refusal.without(&secrets));
        let retry = |what: String| {
            let details = refusal.as_ref().map(|refusal| refusal.details()).unwrap_or_default();
            Trouble::Retry { after, reason: format!("{}: Entra {what}; {}{details}", subject.who, subject.then) }
        };
        match error {
            RequestTokenError::Request(no_answer) => retry(no_answer.to_string()),
            // Neither the body nor the parser's error is shown: they may hold a token.
            _ => match &refusal {
                // Entra's words for it may name the identity or the certificate, and ours the place of the secret.
                Some(refusal) if refusal.is_of_client() => {
                    let whole = Subject { secret: self.own().secret_place(), ..subject.clone() };
                    self.told(subject, refusal.trouble(&whole, &[], after))
                }
                Some(refusal) => refusal.trouble(subject, &[], after),
                None => retry("answers with JSON that is not what was asked for".to_owned()),
            },
        }
    }
}
