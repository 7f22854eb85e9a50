//! Where a new token comes from: the store, where another process left a good one, or Entra; and what is noted of it.

use std::time::Duration;

use secrecy::SecretString;

use super::Inner;
use crate::entra::cache::Cache;
use crate::entra::issued::Issued;
use crate::entra::slot::{Slot, Start, due_after};
use crate::entra::{Trouble, person, scopes};
use crate::presence::AccountName;
use crate::store::{Grant, Standing, StoreError};

/// How often a refresh is begun anew because another process changed the grant meanwhile.
const ATTEMPTS: u32 = 4;

/// A token, how long it is good, and when it is due.
type Fresh = (SecretString, Duration, Duration);

/// How a refresh failed, and whether Entra was asked for it.
pub(super) struct Failed {
    pub trouble: Trouble,
    pub asked_entra: bool,
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

impl Inner {
    /// From Entra, for the application itself. How it stands is noted: nobody's row tells it.
    pub(super) async fn own_token(&self, tenant: &str, claims: Option<&str>) -> Result<Fresh, Failed> {
        let issued = self.application.own_token(tenant, claims).await;
        let standing = issued.as_ref().map_or_else(|trouble| trouble.standing(None), |_| Some(Standing::Ok));
        if let Some(standing) = standing {
            self.note_application(tenant, &standing).await;
        }
        let issued = issued.map_err(|trouble| Failed { trouble, asked_entra: true })?;
        tracing::debug!(tenant, life = ?issued.life, "the application has a new token");
        Ok((issued.access, issued.life, due_after(issued.life, fastrand::f64())))
    }

    /// From the store where another process or an earlier start left a good one, from Entra otherwise.
    pub(super) async fn account_token(
        &self,
        account: &AccountName,
        slot: &Slot,
        start: &Start,
    ) -> Result<Fresh, Failed> {
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
            if let Some((token, left)) = cache.still_good(&permissions, start.replacing.as_deref(), (self.clock)()) {
                return Ok((token, left, due_after(left, fastrand::f64())));
            }
            let claims = start.claims.as_deref().or(grant.standing.claims());
            match self.application.refresh(&grant, &party, writes, cache.refresh_token(), claims).await {
                Ok((issued, confidential)) => {
                    let now = (self.clock)();
                    let cache = Cache::next(&issued, cache.refresh_token(), &permissions, now).write();
                    let row = Grant { cache, refreshed_at: now, confidential, ..grant };
                    if let Some(fresh) = self.save(&row, issued).await {
                        // What was asked before is asked no more.
                        self.application.claims().ask(account, None);
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
    async fn save(&self, row: &Grant, issued: Issued) -> Option<Fresh> {
        let account = &row.account;
        match self.caches.save(row).await {
            Err(StoreError::Conflict) => return None,
            // The old refresh token stays on disk, and Entra does not revoke it: the presence goes on.
            Err(error) => tracing::warn!(%account, reason = %error, "a new token could not be kept"),
            Ok(_) => tracing::debug!(%account, life = ?issued.life, "the account has a new token"),
        }
        let due = due_after(issued.life, fastrand::f64());
        Some((issued.access, issued.life, due))
    }

    /// Lets whoever lists the accounts know what Entra says of a grant. What passes by itself is not noted, nor what is
    /// known already but for the ids of the request.
    async fn note(&self, grant: &Grant, trouble: &Trouble) {
        let claims = self.application.claims().of(&grant.account);
        let standing = trouble.standing(claims.as_deref());
        let Some(standing) = standing.filter(|standing| !standing.says_the_same(&grant.standing)) else { return };
        if let Err(error) = self.caches.mark(&grant.id, &standing).await {
            tracing::debug!(account = %grant.account, %error, "how it stands with the grant could not be noted");
        }
    }

    /// The same of the application's own right in a tenant.
    async fn note_application(&self, tenant: &str, standing: &Standing) {
        if let Err(error) = self.store.mark_application(self.application.client_id(), tenant, standing).await {
            tracing::debug!(tenant, %error, "how it stands with the application could not be noted");
        }
    }

    /// Whether another process refreshed, replaced or removed the grant since it was read.
    async fn was_changed(&self, grant: &Grant) -> bool {
        let now = self.caches.read(&grant.account).await;
        now.is_ok_and(|now| now.is_none_or(|now| (now.id, now.version) != (grant.id.clone(), grant.version)))
    }
}
