//! What a sign-in brought becomes the account's grant, if it was the right person's.

use super::cache::Cache;
use super::issued::Issued;
use super::{Principal, Tokens, Trouble};
use crate::presence::AccountName;
use crate::store::{Grant, Origin, Standing};

impl Tokens {
    /// Keeps what a sign-in of the right person brought, from now on in use. `nonce` is what the id token
    /// has to repeat; `confidential`, as which kind of client the application got it.
    pub(super) async fn keep(
        &self,
        account: &AccountName,
        issued: &Issued,
        nonce: Option<&str>,
        confidential: bool,
    ) -> Result<Grant, Trouble> {
        let grant = self.grant(account, issued, nonce, confidential).await?;
        let grant = self.caches().put(grant).await?;
        self.forget(&Principal::Account(account.clone()));
        self.registry().succeeded(&grant);
        Ok(grant)
    }

    /// Forgets the sign-in of an account, and answers how that came to be, where there was one.
    pub async fn remove(&self, account: &AccountName) -> Result<Option<Origin>, Trouble> {
        let origin = self.caches().remove(account).await?;
        self.forget(&Principal::Account(account.clone()));
        Ok(origin)
    }

    async fn grant(
        &self,
        account: &AccountName,
        issued: &Issued,
        nonce: Option<&str>,
        confidential: bool,
    ) -> Result<Grant, Trouble> {
        let (application, now) = (self.application(), self.now());
        let person = application.person(account, issued, nonce, now).await?;
        let permissions = application.permissions(account, issued)?;
        let cache = Cache::first(issued, &permissions, now).ok_or_else(|| {
            Trouble::misconfigured(format!(
                "account {account}: Entra gave no refresh token; allow offline_access to the application"
            ))
        })?;
        Ok(Grant {
            id: String::new(),
            account: account.clone(),
            origin: Origin::Configured,
            tenant_id: person.tid,
            object_id: person.oid,
            username: person.preferred_username,
            user: application.user_text(account)?,
            confidential,
            version: 0,
            refreshed_at: now,
            standing: Standing::Ok,
            cache: cache.write(),
        })
    }
}
