//! What is kept of hubs: the certificates that they are held to, the application keys that pairing brought, and
//! where they were found.

use secrecy::{ExposeSecret, SecretString};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Store, StoreError};

/// An application key, and the hub that gave it out.
#[derive(Debug, Clone)]
pub struct HubKey {
    /// The bridge id, in lower case.
    pub hub_id: String,
    /// The hub's name in the configuration; empty for one that was paired by its address.
    pub name: String,
    /// Where it was reached last: a host, perhaps with a port.
    pub host: String,
    /// When it was paired, in whole milliseconds.
    pub paired_at: jiff::Timestamp,
    /// The key.
    pub key: SecretString,
}

impl Store {
    /// The SHA-256 of the certificate that a hub (by bridge id) is held to.
    pub async fn hub_pin(&self, hub_id: &str) -> Result<Option<[u8; 32]>, StoreError> {
        let row = sqlx::query("SELECT sha256 FROM hub_pins WHERE hub_id = $1")
            .bind(hub_id)
            .fetch_optional(&mut *self.turn().await?)
            .await
            .map_err(|error| self.explain(error))?;
        let Some(row) = row else { return Ok(None) };
        let pin: Vec<u8> = row.try_get(0).map_err(|error| self.explain(error))?;
        let pin = pin.try_into().map_err(|_| self.unusable("a hub's pin has a wrong length; restore a backup"))?;
        Ok(Some(pin))
    }

    /// Keeps a hub's pin.
    pub async fn set_hub_pin(&self, hub_id: &str, pin: [u8; 32]) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO hub_pins (hub_id, sha256) VALUES ($1, $2)
             ON CONFLICT (hub_id) DO UPDATE SET sha256 = excluded.sha256",
        )
        .bind(hub_id)
        .bind(pin.to_vec())
        .execute(&mut *self.turn().await?)
        .await
        .map_err(|error| self.explain(error))?;
        Ok(())
    }

    /// The keys of every hub that was paired, and whose seal opens; by id.
    pub async fn hub_keys(&self) -> Result<Vec<HubKey>, StoreError> {
        let rows = sqlx::query("SELECT id, name, host, paired_at, application_key FROM hub_keys ORDER BY id")
            .fetch_all(&mut *self.turn().await?)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(rows.iter().filter_map(|row| self.hub_key(row)).collect())
    }

    /// Keeps a hub's key, in place of its old one.
    pub async fn put_hub_key(&self, hub: &HubKey) -> Result<(), StoreError> {
        let sealed = self.inner.key.seal(&hub.hub_id, hub.key.expose_secret().as_bytes());
        sqlx::query(
            "INSERT INTO hub_keys (id, name, host, paired_at, application_key) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, host = excluded.host,
             paired_at = excluded.paired_at, application_key = excluded.application_key",
        )
        .bind(&hub.hub_id)
        .bind(&hub.name)
        .bind(&hub.host)
        .bind(hub.paired_at.as_millisecond())
        .bind(sealed)
        .execute(&mut *self.turn().await?)
        .await
        .map_err(|error| self.explain(error))?;
        Ok(())
    }

    /// Remembers where a hub was found, that is not at the address of the configuration.
    pub async fn set_hub_host(&self, hub_id: &str, configured: &str, host: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE hub_keys SET host = $1 WHERE id = $2")
            .bind(host)
            .bind(hub_id)
            .execute(&mut *self.turn().await?)
            .await
            .map_err(|error| self.explain(error))?;
        sqlx::query(
            "INSERT INTO hub_hosts (hub_id, configured, host) VALUES ($1, $2, $3)
             ON CONFLICT (hub_id) DO UPDATE SET configured = excluded.configured, host = excluded.host",
        )
        .bind(hub_id)
        .bind(configured)
        .bind(host)
        .execute(&mut *self.turn().await?)
        .await
        .map_err(|error| self.explain(error))?;
        Ok(())
    }

    /// Where a hub was found last, while the configuration names this address.
    pub async fn hub_host(&self, hub_id: &str, configured: &str) -> Result<Option<String>, StoreError> {
        let row = sqlx::query("SELECT host FROM hub_hosts WHERE hub_id = $1 AND configured = $2")
            .bind(hub_id)
            .bind(configured)
            .fetch_optional(&mut *self.turn().await?)
            .await
            .map_err(|error| self.explain(error))?;
        row.map(|row| row.try_get(0).map_err(|error| self.explain(error))).transpose()
    }

    /// The hub is where the configuration says, or nowhere that is known.
    pub async fn forget_hub_host(&self, hub_id: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM hub_hosts WHERE hub_id = $1")
            .bind(hub_id)
            .execute(&mut *self.turn().await?)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(())
    }

    fn hub_key(&self, row: &AnyRow) -> Option<HubKey> {
        let hub_id: String = row.try_get(0).ok()?;
        let sealed: Vec<u8> = row.try_get(4).ok()?;
        let key = self.inner.key.open(&hub_id, &sealed)?;
        Some(HubKey {
            name: row.try_get(1).ok()?,
            host: row.try_get(2).ok()?,
            paired_at: jiff::Timestamp::from_millisecond(row.try_get(3).ok()?).ok()?,
            key: String::from_utf8(key).ok()?.into(),
            hub_id,
        })
    }
}
