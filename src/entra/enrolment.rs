//! People whom the configuration does not name sign in to become accounts, and again to be accounts no more.

use std::time::Duration;

use jiff::Timestamp;

use super::answers::Subject;
use super::application::{Application, Issued};
use super::browser::SignedIn;
use super::cache::Cache;
use super::identity::must_grant;
use super::person::Person;
use super::{Principal, Reads, Tokens, Trouble};
use crate::presence::{AccountName, ObjectId};
use crate::store::{Enrolment, Held, Origin};

/// How long a sign-in is held while it is found out whose it is.
const HELD: Duration = Duration::from_secs(600);

impl Tokens {
    /// Makes an account of whoever signed in, or renews it. What Entra gave is held under a transient key
    /// until it is known whose it is, and becomes the account's when the account is made.
    pub(super) async fn enrol(&self, issued: &Issued, nonce: &str, confidential: bool) -> Result<SignedIn, Trouble> {
        let now = Timestamp::now();
        let cache = Cache::new(issued, None, Reads::Itself.permissions(), now).ok_or_else(|| {
            Trouble::misconfigured("Entra gave no refresh token; allow offline_access to the application")
        })?;
        let held = self.store().hold(&cache.write(), now, now + HELD).await?;
        match self.admitted(issued, nonce, now).await {
            Ok(person) => self.make_account(held, person, confidential).await,
            Err(trouble) => {
                self.store().release(held).await?;
                Err(trouble)
            }
        }
    }

    /// Removes the account of whoever signed in, where it enrolled.
    pub(super) async fn leave(&self, issued: &Issued, nonce: &str) -> Result<SignedIn, Trouble> {
        let person = self.application().identify(issued, Some(nonce), Timestamp::now())?;
        let account = account_of(person.oid);
        let holder = self.store().holder(&account).await?;
        if holder.is_none_or(|holder| holder.origin != Origin::Enrolled || holder.tenant_id != person.tid) {
            let reason = format!("{} has not enrolled here: there is nothing to leave", person.preferred_username);
            return Err(Trouble::SignIn { reason });
        }
        self.store().remove_grant(&account).await?;
        self.forget(&Principal::Account(account));
        Ok(SignedIn { username: person.preferred_username, object_id: person.oid })
    }

    async fn admitted(&self, issued: &Issued, nonce: &str, now: Timestamp) -> Result<Person, Trouble> {
        let application = self.application();
        let person = application.identify(issued, Some(nonce), now)?;
        application.must_admit(&person).await?;
        must_grant(issued, Reads::Itself, application.newcomer("enrol"))?;
        Ok(person)
    }

    async fn make_account(&self, held: Held, person: Person, confidential: bool) -> Result<SignedIn, Trouble> {
        let now = Timestamp::now();
        let enrolment = Enrolment {
            tenant_id: person.tid,
            object_id: person.oid,
            username: person.preferred_username,
            confidential,
            granted_at: now,
        };
        let grant = self.store().enrol(held, enrolment, now).await?;
        self.forget(&Principal::Account(grant.account));
        Ok(SignedIn { username: grant.username, object_id: grant.object_id })
    }
}

fn account_of(oid: ObjectId) -> AccountName {
    oid.as_str().parse().expect("an object id is a name")
}

impl Application {
    /// The tenant at which those who enrol sign in: theirs, where there is one alone.
    pub(super) fn enrolment_tenant(&self) -> &str {
        match self.enrolment() {
            [one] => one,
            _ => "organizations",
        }
    }

    /// On whose behalf Entra is asked while nobody knows yet who it is; `page` is where they are.
    pub(super) fn newcomer(&self, page: &str) -> Subject {
        Subject {
            who: "your sign-in".to_owned(),
            sign_in: format!("sign in again on this bridge's page /{page}"),
            consent_url: self.consent_url(self.enrolment_tenant()),
        }
    }

    /// Refuses whoever is of no tenant that may enrol.
    async fn must_admit(&self, person: &Person) -> Result<(), Trouble> {
        // Entra itself lets nobody else in at the page of one tenant.
        if self.enrolment().len() == 1 && self.enrolment()[0].parse::<ObjectId>().is_err() {
            return Ok(());
        }
        for tenant in self.enrolment() {
            let id = self.tenant_id(tenant).await.map_err(|trouble| match trouble {
                Trouble::Misconfigured { reason } => {
                    Trouble::Misconfigured { reason: format!("web.enrol.tenants: {reason}") }
                }
                passing => passing,
            })?;
            if id == person.tid {
                return Ok(());
            }
        }
        Err(Trouble::SignIn {
            reason: format!(
                "{} is of a tenant ({}) whose people may not add themselves here (web.enrol.tenants); sign in with \
                 another account",
                person.preferred_username, person.tid
            ),
        })
    }
}
