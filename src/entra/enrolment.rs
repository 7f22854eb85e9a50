//! People whom the configuration does not name sign in to become accounts, and again to be accounts no more.

use std::time::Duration;

use jiff::Timestamp;

use super::answers::Subject;
use super::application::Application;
use super::browser::{Browser, Came, Errand, SignedIn};
use super::cache::Cache;
use super::codes;
use super::identity::must_grant;
use super::issued::Issued;
use super::person::{self, Person};
use super::tenants::ANY;
use super::{Principal, Reads, Tokens, Trouble};
use crate::presence::{AccountName, ObjectId};
use crate::store::{Enrolment, Held, Origin};

/// How long a sign-in is held while it is found out whose it is.
const HELD: Duration = Duration::from_secs(600);

impl Tokens {
    /// Makes an account of whoever signed in, or renews it. What Entra gave is held under a transient key
    /// until it is known whose it is, and becomes the account's when the account is made.
    pub(super) async fn enrol(&self, came: &Came, browser: Option<Browser>) -> Result<SignedIn, Trouble> {
        let (issued, nonce, confidential) = (&came.issued, came.nonce.as_deref(), came.confidential);
        let now = Timestamp::now();
        let cache = Cache::first(issued, Reads::Itself.permissions(), now).ok_or_else(|| {
            Trouble::misconfigured("Entra gave no refresh token; allow offline_access to the application")
        })?;
        let held = self.caches().hold(&cache.write(), now, now + HELD).await?;
        match self.admitted(came, browser, now).await {
            Ok((person, None)) => self.make_account(held, person, confidential).await,
            Ok((person, Some(account))) => {
                let signed_in = self.known(account, person, issued, nonce, confidential).await;
                self.caches().release(held).await?;
                signed_in
            }
            Err(trouble) => {
                self.caches().release(held).await?;
                Err(trouble)
            }
        }
    }

    /// Whether there may be somebody who leaves: who enrolled, whoever may enrol now. Asked before a way to leave is
    /// shown or gone.
    pub(super) async fn may_leave(&self) -> Result<bool, Trouble> {
        *self.application().enrolled() = self.caches().enrolled_tenants().await?;
        Ok(self.application().leaving_tenant().is_some())
    }

    /// Removes the account of whoever signed in, where it enrolled.
    pub(super) async fn leave(&self, issued: &Issued, nonce: Option<&str>) -> Result<SignedIn, Trouble> {
        let person = self.application().identify(issued, nonce, Timestamp::now())?;
        let account = account_of(person.oid);
        let holder = self.caches().holder(&account).await?;
        if holder.is_none_or(|holder| holder.origin != Origin::Enrolled || holder.tenant_id != person.tid) {
            let reason = format!("{} has not enrolled here: there is nothing to leave", person.preferred_username);
            return Err(Trouble::sign_in(reason));
        }
        self.remove(&account).await?;
        Ok(SignedIn { username: person.preferred_username, object_id: person.oid, account, kept: false })
    }

    /// Who it is that may enrol, and the account that is theirs already by the configuration.
    async fn admitted(
        &self,
        came: &Came,
        browser: Option<Browser>,
        now: Timestamp,
    ) -> Result<(Person, Option<AccountName>), Trouble> {
        let application = self.application();
        let person = application.identify(&came.issued, came.nonce.as_deref(), now)?;
        application.must_admit(&person).await?;
        must_grant(&came.issued, Reads::Itself, application.newcomer())?;
        let account = match application.account_of(&person).await? {
            Some(account) => Some(account),
            // By another name than at their sign-in, perhaps.
            None => self.caches().configured_holder(person.oid).await?.map(|holder| holder.account),
        };
        let account = account.filter(|account| application.names(account));
        self.must_bring(&person, account.as_ref(), came, browser).await?;
        Ok((person, account))
    }

    /// What was asked of this person's next sign-in, it has to bring. Who it is, was not known when it began: the next one
    /// in this browser does.
    async fn must_bring(
        &self,
        person: &Person,
        account: Option<&AccountName>,
        came: &Came,
        browser: Option<Browser>,
    ) -> Result<(), Trouble> {
        let (enrolled, claims) = (account_of(person.oid), self.application().claims());
        let account = account.unwrap_or(&enrolled);
        self.recall_claims(account).await;
        // Whoever was sent with claims is not sent again: Entra may have asked for others since, and would in turn.
        let wanted = claims.of(account).filter(|_| came.brought.is_none());
        if let Some(browser) = browser {
            claims.ask(browser, wanted.as_deref());
        }
        if wanted.is_none() {
            return Ok(());
        }
        Err(Trouble::sign_in(format!(
            "{}: more proof is asked of you than this sign-in brought; sign in once more from here, and Microsoft asks for it",
            person.preferred_username
        )))
    }

    /// Whoever the configuration names is that account and no other. They are signed in, where what an
    /// enrolment asks for is all that the account needs.
    async fn known(
        &self,
        account: AccountName,
        person: Person,
        issued: &Issued,
        nonce: Option<&str>,
        confidential: bool,
    ) -> Result<SignedIn, Trouble> {
        let configured = self.application().account(&account).ok();
        let kept = configured.is_some_and(|configured| configured.reads == Reads::Itself && !configured.writes);
        if kept {
            self.keep(&account, issued, nonce, confidential).await?;
        }
        // From the time before the configuration named them.
        let enrolled = account_of(person.oid);
        if self.caches().holder(&enrolled).await?.is_some_and(|holder| holder.origin == Origin::Enrolled) {
            self.remove(&enrolled).await?;
        }
        Ok(SignedIn { username: person.preferred_username, object_id: person.oid, account, kept })
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
        let grant = self.caches().enrol(held, enrolment, now).await?;
        self.forget(&Principal::Account(grant.account.clone()));
        Ok((&grant).into())
    }
}

fn account_of(oid: ObjectId) -> AccountName {
    oid.as_str().parse().expect("an object id is a name")
}

impl Application {
    /// The tenant at which those who enrol sign in: theirs, where there is one alone, however many names it has.
    /// An application of one tenant is known nowhere else.
    pub(super) fn enrolment_tenant(&self) -> &str {
        let id = |name: &String| self.tenants().last(name);
        match self.enrolment() {
            [one] => one,
            [first, others @ ..] if id(first).is_some() && others.iter().all(|name| id(name) == id(first)) => first,
            _ => ANY,
        }
    }

    /// Finds out whether those who go on this errand are of one tenant, before it is asked where they sign in. Tenants
    /// of which Entra does not tell it count as several.
    pub(super) async fn find_tenant(&self, errand: &Errand) {
        let is_asked_there = match errand {
            Errand::Account(_) => false,
            Errand::Enrol => true,
            Errand::Leave => self.enrolled().is_empty(),
        };
        if !is_asked_there || self.enrolment().len() < 2 || self.tenants().failed_lately() {
            return;
        }
        let mut first = None;
        for name in self.enrolment() {
            let Ok(id) = self.tenant_id(name).await else { return self.tenants().failed() };
            if id != *first.get_or_insert(id) {
                return;
            }
        }
    }

    /// The tenant at which those who leave sign in: that of those who enrolled, who may be of one that nobody
    /// enrols from any more.
    pub(super) fn leaving_tenant(&self) -> Option<String> {
        match self.enrolled().as_slice() {
            [] if self.enrolment().is_empty() => None,
            [] => Some(self.enrolment_tenant().to_owned()),
            [one] => Some(one.as_str()),
            _ => Some(ANY.to_owned()),
        }
    }

    /// On whose behalf Entra is asked while nobody knows yet who it is. The page has its button.
    pub(super) fn newcomer(&self) -> Subject {
        let subject = self.naming("your sign-in".to_owned(), "try again".to_owned(), self.enrolment_tenant());
        Subject { secret: codes::SOME_SECRET.to_owned(), is_stranger: true, ..subject }
    }

    /// The account of the configuration that means this person of this tenant.
    async fn account_of(&self, person: &Person) -> Result<Option<AccountName>, Trouble> {
        for (account, user, tenant) in self.configured() {
            if !person::is_same(user, person.oid, &person.preferred_username) {
                continue;
            }
            let meant = self.tenant_meant(user, tenant).await?;
            if meant.is_none_or(|(id, _)| id == person.tid) {
                return Ok(Some(account.clone()));
            }
        }
        Ok(None)
    }

    /// Whether people of this tenant may enrol. Where none of those listed is it, and it cannot be found out which
    /// one of them is, that is the error.
    pub(super) async fn admits(&self, tid: ObjectId) -> Result<bool, Trouble> {
        if self.enrolment().iter().any(|tenant| tenant.parse() == Ok(tid)) {
            return Ok(true);
        }
        let mut failure = None;
        for tenant in self.enrolment() {
            match self.tenant_id(tenant).await {
                Ok(id) if id == tid => return Ok(true),
                Ok(_) => {}
                Err(trouble) => failure = failure.or(Some(trouble)),
            }
        }
        failure.map_or(Ok(false), Err)
    }

    /// Refuses whoever is of no tenant that may enrol.
    async fn must_admit(&self, person: &Person) -> Result<(), Trouble> {
        if self.admits(person.tid).await.map_err(|trouble| match trouble {
            Trouble::Misconfigured { reason } => {
                Trouble::Misconfigured { reason: format!("web.enrol.tenants: {reason}") }
            }
            passing => passing,
        })? {
            return Ok(());
        }
        Err(Trouble::sign_in(format!(
            "{} is of a tenant ({}) whose people may not add themselves here (web.enrol.tenants); sign in with another \
             account",
            person.preferred_username, person.tid
        )))
    }
}
