//! The tokens of every principal: handed out, refreshed in time, and durable before they are used. `fresh` gets new ones.

mod fresh;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use self::fresh::Failed;
use super::application::Application;
use super::browser::Journeys;
use super::caches::Caches;
use super::credential::Own;
use super::sign_ins::{Registry, SignIns};
use super::slot::{Look, Slot};
use super::writers::Writers;
use super::{Trouble, WayIn};
use crate::presence::AccountName;
use crate::settings::Settings;
use crate::store::{News, Origin, Store};

/// By whose right Graph is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A person who signed in under this account's name.
    Account(AccountName),
    /// The application itself, in this tenant (domain or id).
    Application(Box<str>),
}

/// By whose right accounts with `via: app` are read, and who can widen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnRight {
    /// The application's, to which an administrator of the tenant consents here.
    Application {
        /// The admin consent page.
        consent_url: String,
    },
    /// A managed identity's, to which nobody can consent.
    Identity,
}

/// An access token, and which one it is, so that a refused one is replaced only once.
#[derive(Debug, Clone)]
pub struct AccessToken {
    /// For the Authorization header. It is handed out at each poll, and never copied.
    pub secret: Arc<SecretString>,
    /// Another one for each token that was handed out.
    pub generation: u64,
}

/// The tokens of every principal. Cheap to clone; one refresh at a time for each principal.
#[derive(Clone)]
pub struct Tokens {
    inner: Arc<Inner>,
}

struct Inner {
    application: Application,
    store: Store,
    /// Usually the store again.
    caches: Arc<dyn Caches>,
    slots: Mutex<HashMap<Principal, Arc<Slot>>>,
    generations: AtomicU64,
    sign_ins: Registry,
    journeys: Journeys,
    /// Accounts that may set their presence.
    writers: Writers,
    clock: fn() -> Timestamp,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

impl Tokens {
    /// `http` has its redirects off. Without an `entra` section: [`Trouble::Misconfigured`].
    pub fn new(settings: &Settings, http: reqwest::Client, store: Store) -> Result<Self, Trouble> {
        let caches = Arc::new(store.clone());
        Self::over(settings, http, store, caches)
    }

    /// With another storage of the token caches.
    pub fn over(
        settings: &Settings,
        http: reqwest::Client,
        store: Store,
        caches: Arc<dyn Caches>,
    ) -> Result<Self, Trouble> {
        Self::with_clock(settings, http, store, caches, Timestamp::now)
    }

    /// With another wall clock, by which stored tokens are judged.
    pub(super) fn with_clock(
        settings: &Settings,
        http: reqwest::Client,
        store: Store,
        caches: Arc<dyn Caches>,
        clock: fn() -> Timestamp,
    ) -> Result<Self, Trouble> {
        let inner = Inner {
            application: Application::new(settings, http, clock)?,
            store,
            caches,
            slots: Mutex::default(),
            generations: AtomicU64::new(1),
            sign_ins: Registry::default(),
            journeys: Journeys::default(),
            writers: Writers::default(),
            clock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A token that is good for now: from memory, from the store, or refreshed well before expiry.
    ///
    /// While a token is good, nobody waits: a refresh that is due happens behind it, and one that
    /// fails for a while goes unnoticed until the token ends.
    pub async fn access(&self, who: &Principal) -> Result<AccessToken, Trouble> {
        let slot = self.slot(who);
        match slot.look(Instant::now()) {
            Look::Good(token) => return Ok(token),
            Look::Failed(trouble) => return Err(trouble),
            Look::Due(token) => {
                if let Ok(flight) = slot.flight.clone().try_lock_owned() {
                    tokio::spawn(self.inner.clone().refresh(who.clone(), slot, flight));
                }
                return Ok(token);
            }
            Look::Needed => {}
        }
        let flight = slot.flight.clone().lock_owned().await;
        match slot.look(Instant::now()) {
            Look::Good(token) | Look::Due(token) => Ok(token),
            Look::Failed(trouble) => Err(trouble),
            // In a task of its own: what Entra answers is kept even if the caller is gone by then.
            Look::Needed => tokio::spawn(self.inner.clone().refresh(who.clone(), slot, flight))
                .await
                .unwrap_or_else(|_| Err(Trouble::later("the refresh was ended; it is tried again"))),
        }
    }

    /// What changed in the store's grants since a revision, by whichever process; what is in memory of
    /// those is forgotten. Asked every few seconds.
    pub async fn reload(&self, since: i64) -> Result<News, Trouble> {
        let news = self.inner.store.news(since).await?;
        let mut slots = self.inner.slots();
        for holder in &news.came {
            let slot = slots.get(&Principal::Account(holder.account.clone()));
            if slot.is_some_and(|slot| slot.follow(Some(&holder.id))) {
                self.application().claims().ask(&holder.account, None);
                self.inner.sign_ins.succeeded_elsewhere(&holder.account);
            }
        }
        for (account, origin) in &news.gone {
            let principal = Principal::Account(account.clone());
            if let Some(slot) = slots.get(&principal) {
                slot.follow(None);
                self.application().claims().ask(account, None);
            }
            if *origin == Origin::Enrolled {
                slots.remove(&principal);
            }
        }
        Ok(news)
    }

    /// Graph answered 401 to this token: get another one, unless that already happened. `claims` is
    /// what Graph's challenge asks of the next one (JSON), where it asks for something.
    pub async fn renew(
        &self,
        who: &Principal,
        refused: &AccessToken,
        claims: Option<&str>,
    ) -> Result<AccessToken, Trouble> {
        if let Err(after) = self.slot(who).refuse(refused, claims, Instant::now()) {
            let reason = match claims {
                None => {
                    "Graph refuses a token that Entra has just given; do graph.endpoint and entra.authority belong to \
                     one cloud?"
                }
                Some(_) => {
                    "Graph asks for more proof (a claims challenge) though Entra has just brought it; an administrator \
                     finds the policy in the sign-in logs"
                }
            };
            return Err(Trouble::Retry { after: Some(after), reason: reason.to_owned() });
        }
        self.access(who).await
    }

    /// Hears the time that an answer of Microsoft's carries, and says so when this machine's clock is off.
    pub fn hear_time(&self, headers: &reqwest::header::HeaderMap) {
        self.inner.application.watch().hear(headers.get(reqwest::header::DATE));
    }

    /// How this machine's clock is off, in words, as far as answers have shown it.
    pub fn clock_complaint(&self) -> Option<String> {
        self.inner.application.watch().complaint()
    }

    /// Whether an account's grant lets it set its own presence, as far as this process has used it.
    pub fn may_write(&self, account: &AccountName) -> bool {
        self.inner.writers.contains(account)
    }

    /// The same where it has to; or what it lacks.
    pub fn must_write(&self, account: &AccountName) -> Result<(), String> {
        if self.may_write(account) {
            return Ok(());
        }
        Err(format!(
            "{account} has not granted Presence.ReadWrite; add it to the application in Entra, and sign in again: {}",
            self.way_in().account(account)
        ))
    }

    /// The device codes that are out.
    pub fn sign_ins(&self) -> SignIns {
        SignIns::new(self.clone())
    }

    pub(super) fn application(&self) -> &Application {
        &self.inner.application
    }

    pub(super) fn caches(&self) -> &dyn Caches {
        &*self.inner.caches
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.inner.sign_ins
    }

    pub(super) fn journeys(&self) -> &Journeys {
        &self.inner.journeys
    }

    /// The wall clock.
    pub(super) fn now(&self) -> Timestamp {
        (self.inner.clock)()
    }

    /// Forgets what is in memory: the store knows better.
    pub(super) fn forget(&self, who: &Principal) {
        self.slot(who).forget();
        if let Principal::Account(account) = who {
            self.application().claims().ask(account, None);
        }
    }

    /// Where people are told to sign in.
    pub fn way_in(&self) -> &WayIn {
        self.application().way_in()
    }

    /// By whose right accounts with `via: app` of this tenant are read.
    pub fn own_right(&self, tenant: &str) -> OwnRight {
        let application = self.application();
        match application.own() {
            Own::Identity(_) => OwnRight::Identity,
            Own::Application(_) => OwnRight::Application { consent_url: application.consent_url(tenant) },
        }
    }

    fn slot(&self, who: &Principal) -> Arc<Slot> {
        let mut slots = self.inner.slots();
        if let Some(slot) = slots.get(who) {
            return slot.clone();
        }
        slots.entry(who.clone()).or_default().clone()
    }
}

impl Inner {
    fn slots(&self) -> MutexGuard<'_, HashMap<Principal, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gets a token into the slot, and says which. Whoever calls holds the slot's flight.
    async fn refresh(
        self: Arc<Self>,
        who: Principal,
        slot: Arc<Slot>,
        _flight: OwnedMutexGuard<()>,
    ) -> Result<AccessToken, Trouble> {
        let start = slot.start();
        let fresh = match &who {
            Principal::Account(account) => self.account_token(account, &slot, &start).await,
            Principal::Application(tenant) => self.own_token(tenant, start.claims.as_deref()).await,
        };
        let now = Instant::now();
        match fresh {
            Ok((secret, left, due)) => {
                let generation = self.generations.fetch_add(1, Ordering::Relaxed);
                let token = AccessToken { secret: Arc::new(secret), generation };
                slot.succeed(&start, token.clone(), left, due, now);
                Ok(token)
            }
            Err(Failed { trouble, asked_entra }) => {
                tracing::debug!(?who, %trouble, "no new token");
                slot.fail(&start, &trouble, asked_entra, fastrand::f64(), now);
                Err(trouble)
            }
        }
    }
}
