//! Who signed in, by what Entra issued, and whether it granted what is needed.

use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::answers::Subject;
use super::application::Application;
use super::issued::Issued;
use super::person::Person;
use super::scopes;
use super::{Reads, Trouble};
use crate::presence::AccountName;

impl Application {
    /// The permissions that came with a sign-in: those needed, and to write where it was asked for and granted.
    pub(super) fn permissions(&self, name: &AccountName, issued: &Issued) -> Result<Vec<&'static str>, Trouble> {
        let configured = self.account(name)?;
        let granted = issued.granted.as_deref().is_none_or(|granted| {
            let granted: Vec<&str> = granted.iter().map(String::as_str).collect();
            scopes::missing(&[scopes::WRITE], &granted).is_empty()
        });
        let writes = (configured.writes && granted).then_some(scopes::WRITE);
        Ok(configured.reads.permissions().iter().copied().chain(writes).collect())
    }

    /// Who signed in: by an id token for this application, and for this sign-in where a nonce was sent.
    pub(super) fn identify(&self, issued: &Issued, nonce: Option<&str>, now: Timestamp) -> Result<Person, Trouble> {
        let id_token = issued.id_token.as_ref().map_or("", ExposeSecret::expose_secret);
        let person = Person::read(id_token, self.authority(), self.client_id(), now)?;
        person.must_answer(nonce)?;
        Ok(person)
    }

    /// Who signed in to an account: the person configured, with what is needed, or a refusal.
    pub(super) async fn person(
        &self,
        name: &AccountName,
        issued: &Issued,
        nonce: Option<&str>,
        now: Timestamp,
    ) -> Result<Person, Trouble> {
        let configured = self.account(name)?;
        let person = self.identify(issued, nonce, now)?;
        if let Some((id, tenant)) = self.tenant_meant(&configured.user, self.tenant_of(configured)).await? {
            person.must_be_of(name, id, tenant)?;
        }
        person.must_be(name, &configured.user)?;
        must_grant(issued, configured.reads, self.subject(name))?;
        Ok(person)
    }
}

/// Refuses a grant that lacks what is needed, where Entra says what it granted.
pub(super) fn must_grant(issued: &Issued, reads: Reads, subject: Subject) -> Result<(), Trouble> {
    let granted: Option<Vec<&str>> = issued.granted.as_ref().map(|all| all.iter().map(String::as_str).collect());
    let lacking = granted.map(|granted| scopes::missing(reads.permissions(), &granted)).unwrap_or_default();
    if lacking.is_empty() {
        return Ok(());
    }
    let Subject { who, consent_url: url, .. } = subject;
    let names = lacking.join(" and ");
    let reason = format!("{who}: {names} was not granted; an administrator can consent at {url}");
    Err(Trouble::Consent { url, reason, remedy: None })
}
