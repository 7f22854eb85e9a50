//! How it stands with the application's own right in each tenant, for whoever lists the accounts that are read by it.

use std::collections::HashMap;

use super::{Standing, Store, StoreError};

impl Store {
    /// Notes how it stands with an application's own right in a tenant. Nothing is written where it stood so already, but
    /// for ids and times in the reason: the first ones stay.
    pub async fn mark_application(&self, client_id: &str, tenant: &str, standing: &Standing) -> Result<(), StoreError> {
        let known = self.applications(client_id).await?.remove(tenant).unwrap_or(Standing::Ok);
        if known.says_the_same(standing) {
            return Ok(());
        }
        let (word, reason, remedy, _) = standing.columns();
        let query = if *standing == Standing::Ok {
            sqlx::query("DELETE FROM applications WHERE client_id = $1 AND tenant = $2").bind(client_id).bind(tenant)
        } else {
            sqlx::query(
                "INSERT INTO applications (client_id, tenant, standing, reason, remedy) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (client_id, tenant) DO UPDATE
                 SET standing = excluded.standing, reason = excluded.reason, remedy = excluded.remedy",
            )
            .bind(client_id)
            .bind(tenant)
            .bind(word)
            .bind(reason)
            .bind(remedy)
        };
        query.execute(&mut *self.turn().await?).await.map_err(|error| self.explain(error))?;
        Ok(())
    }

    /// The tenants in which an application's own right was not well when it was last used, and how it stood.
    pub async fn applications(&self, client_id: &str) -> Result<HashMap<String, Standing>, StoreError> {
        let rows = sqlx::query("SELECT tenant, standing, reason, remedy FROM applications WHERE client_id = $1")
            .bind(client_id)
            .fetch_all(&mut *self.turn().await?)
            .await
            .map_err(|error| self.explain(error))?;
        rows.iter()
            .map(|row| {
                let word: String = self.column(row, 1)?;
                let standing = Standing::from_columns(&word, self.column(row, 2)?, self.column(row, 3)?, String::new());
                Ok((self.column(row, 0)?, standing))
            })
            .collect()
    }
}
