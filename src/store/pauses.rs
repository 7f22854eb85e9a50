//! Lights that somebody paused, so that they stay so over a restart.

use super::{Store, StoreError, whole};
use crate::presence::Name;

impl Store {
    /// Each light of a location that was ever paused: its name, the pause's version, and whether it is paused.
    pub async fn pauses(&self, location: &Name) -> Result<Vec<(Name, u64, bool)>, StoreError> {
        let rows = sqlx::query("SELECT light, version, paused FROM pauses WHERE location = $1")
            .bind(location.as_str())
            .fetch_all(&mut *self.turn().await?)
            .await
            .map_err(|error| self.explain(error))?;
        rows.iter()
            .map(|row| {
                let version = u64::try_from(self.column::<i64>(row, 1)?).unwrap_or_default();
                Ok((self.name(row, 0)?, version, self.column::<i64>(row, 2)? != 0))
            })
            .collect()
    }

    /// Keeps a pause, unless a newer version is there.
    pub async fn set_pause(&self, location: &Name, light: &Name, version: u64, paused: bool) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO pauses (location, light, version, paused) VALUES ($1, $2, $3, $4)
             ON CONFLICT (location, light) DO UPDATE SET version = excluded.version, paused = excluded.paused
             WHERE excluded.version > pauses.version",
        )
        .bind(location.as_str())
        .bind(light.as_str())
        .bind(whole(version))
        .bind(i64::from(paused))
        .execute(&mut *self.turn().await?)
        .await
        .map_err(|error| self.explain(error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_pause_of_each_light_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("store.db").display());
        let key = folder.path().join("store.key");
        let open = async || Store::open(&url, &key).await.unwrap();
        let name = |name: &str| name.parse::<Name>().unwrap();
        let store = open().await;
        let (home, desk, hall) = (name("home"), name("desk"), name("hall"));
        store.set_pause(&home, &desk, 7, true).await.unwrap();
        store.set_pause(&home, &hall, 5, true).await.unwrap();
        store.set_pause(&home, &hall, 6, false).await.unwrap();
        store.set_pause(&home, &desk, 3, false).await.unwrap();
        store.set_pause(&name("cabin"), &desk, 9, false).await.unwrap();
        drop(store);
        let mut kept = open().await.pauses(&home).await.unwrap();
        kept.sort();
        assert_eq!(kept, [(desk, 7, true), (hall, 6, false)]);
    }
}
