//! The tokens of every principal: handed out, refreshed in time, and durable before they are used.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::application::{Application, Issued};
use super::browser::Journeys;
use super::cache::Cache;
use super::caches::Caches;
use super::sign_ins::{Registry, SignIns};
use super::slot::{Look, Slot, Start, due_after};
use super::writers::Writers;
use super::{Trouble, WayIn, person, scopes};
use crate::presence::AccountName;
use crate::settings::Settings;
use crate::store::{Grant, News, Origin, Store, StoreError};

/// How often a refresh is begun anew because another process changed the grant meanwhile.
const ATTEMPTS: u32 = 4;

/// By whose right Graph is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A person who signed in under this account's name.
    Account(AccountName),
    /// The application itself, in this tenant (domain or id).
    Application(Box<str>),
}

/// An access token, and which one it is, so that a refused one is replaced only once.
#[derive(Debug, Clone)]
pub struct AccessToken {
    /// For the Authorization header.
    pub secret: SecretString,
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

/// How a refresh failed, and whether Entra was asked for it.
struct Failed {
    trouble: Trouble,
    asked_entra: bool,
}

impl From<Trouble> for Failed {
    fn from(trouble: Trouble) -> Self {
        Self { trouble, asked_entra: false }
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Trouble::from(error).into()
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
                self.inner.sign_ins.cancel(&holder.account);
            }
        }
        for (account, origin) in &news.gone {
            let principal = Principal::Account(account.clone());
            if let Some(slot) = slots.get(&principal) {
                slot.follow(None);
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

    /// The device codes that are out.
    pub fn sign_ins(&self) -> SignIns {
        SignIns::new(self.clone())
    }

    pub(super) fn application(&self) -> &Application {
        &self.inner.application
    }

    pub(super) fn store(&self) -> &Store {
        &self.inner.store
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
                let token = AccessToken { secret, generation };
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

    async fn own_token(
        &self,
        tenant: &str,
        claims: Option<&str>,
    ) -> Result<(SecretString, Duration, Duration), Failed> {
        let issued = self.application.own_token(tenant, claims).await;
        let issued = issued.map_err(|trouble| Failed { trouble, asked_entra: true })?;
        tracing::debug!(tenant, life = ?issued.life, "the application has a new token");
        Ok((issued.access, issued.life, due_after(issued.life, fastrand::f64())))
    }

    /// From the store where another process or an earlier start left a good one, from Entra otherwise.
    async fn account_token(
        &self,
        account: &AccountName,
        slot: &Slot,
        start: &Start,
    ) -> Result<(SecretString, Duration, Duration), Failed> {
        for _ in 0..ATTEMPTS {
            let row = match self.caches.read(account).await {
                Err(error @ StoreError::Altered { .. }) => {
                    return Err(self.application.altered(account, &error).into());
                }
                read => read?,
            };
            slot.uses_row(start, row.as_ref().map(|grant| grant.id.clone()));
            let Some(grant) = row else { return Err(self.application.not_signed_in(account).into()) };
            let party = self.application.party(&grant)?;
            person::must_fit(&grant, &party.user, self.application.way_in())?;
            let cache = Cache::read(&grant.cache).ok_or_else(|| self.application.unreadable(&grant, &party))?;
            // Only what was granted is asked for again: an older sign-in goes on without the right to write.
            let writes = party.writes && cache.writes();
            let permissions: Vec<&str> =
                party.reads.permissions().iter().copied().chain(writes.then_some(scopes::WRITE)).collect();
            self.writers.note(account, writes);
            if let Some((token, left)) = cache.still_good(&permissions, start.replacing.as_ref(), (self.clock)()) {
                return Ok((token, left, due_after(left, fastrand::f64())));
            }
            let claims = start.claims.as_deref().or(grant.standing.claims());
            match self.application.refresh(&grant, &party, writes, cache.refresh_token(), claims).await {
                Ok((issued, confidential)) => {
                    let grant = Grant { confidential, ..grant };
                    if let Some(fresh) = self.save(grant, &cache, issued, &permissions).await {
                        return Ok(fresh);
                    }
                }
                Err(trouble) if !self.was_changed(&grant).await => {
                    self.note(&grant, &trouble).await;
                    return Err(Failed { trouble, asked_entra: true });
                }
                Err(_) => {}
            }
        }
        Err(Trouble::later(format!("account {account}: other processes keep changing its grant; it is tried again"))
            .into())
    }

    /// Makes what was issued durable. `None`: another process was first, and what it got is to be used.
    async fn save(
        &self,
        grant: Grant,
        old: &Cache,
        issued: Issued,
        permissions: &[&str],
    ) -> Option<(SecretString, Duration, Duration)> {
        let now = (self.clock)();
        let cache = Cache::new(&issued, Some(old.refresh_token()), permissions, now)?;
        let row = Grant { cache: cache.write(), refreshed_at: now, ..grant };
        let account = &row.account;
        match self.caches.save(&row).await {
            Err(StoreError::Conflict) => return None,
            // The old refresh token stays on disk, and Entra does not revoke it: the presence goes on.
            Err(error) => tracing::warn!(%account, reason = %error, "a new token could not be kept"),
            Ok(_) => tracing::debug!(%account, life = ?issued.life, "the account has a new token"),
        }
        let due = due_after(issued.life, fastrand::f64());
        Some((issued.access, issued.life, due))
    }

    /// Lets whoever lists the accounts know what Entra says of a grant. What passes by itself is not noted.
    async fn note(&self, grant: &Grant, trouble: &Trouble) {
        let claims = self.application.claims().of(&grant.account);
        let Some(standing) = trouble.standing(claims.as_deref()) else { return };
        if let Err(error) = self.caches.mark(&grant.id, &standing).await {
            tracing::debug!(account = %grant.account, %error, "how it stands with the grant could not be noted");
        }
    }

    /// Whether another process refreshed, replaced or removed the grant since it was read.
    async fn was_changed(&self, grant: &Grant) -> bool {
        let now = self.caches.read(&grant.account).await;
        now.is_ok_and(|now| now.is_none_or(|now| (now.id, now.version) != (grant.id.clone(), grant.version)))
    }
}
