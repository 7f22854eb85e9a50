//! Stores of other versions.

use std::fs;

use secrecy::ExposeSecret;
use sqlx::AnyPool;

use super::Home;
use crate::store::error::explain_migration;
use crate::store::{Origin, Standing, key};

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', TRUE, $1, 0)",
    )
    .bind(vec![0_u8; 48])
    .execute(&mut *store.turn().await.unwrap())
    .await
    .unwrap();
    store.close().await;
    let text = home.refusal().await;
    assert!(text.contains("a newer graph2mqtt wrote it (schema 9999"), "{text}");
}

#[tokio::test]
async fn a_store_of_the_version_before_is_brought_up_to_date_and_nothing_in_it_is_lost() {
    let home = Home::new();
    fs::create_dir_all(home.db().parent().unwrap()).unwrap();
    key::Key::make(&home.key()).unwrap();
    fs::write(home.key(), "ab".repeat(32)).unwrap();
    fs::write(home.db(), "").unwrap();
    sqlx::any::install_default_drivers();
    let old = AnyPool::connect(&format!("sqlite://{}", home.db().display())).await.unwrap();
    sqlx::raw_sql(include_str!("version_0_1_0.sql")).execute(&old).await.unwrap();
    old.close().await;

    for _ in 0..2 {
        let store = home.open().await.unwrap();
        assert_eq!(store.instance(), ("3c152e9e6ed95682413a2c312ea5e4b0", false));
        for (name, confidential) in [("alex", false), ("kim", true)] {
            let grant = store.grant(&name.parse().unwrap()).await.unwrap().unwrap();
            assert_eq!(grant.cache.expose_secret(), format!("the refresh token of {name}"));
            assert_eq!((grant.origin, &grant.standing, grant.version), (Origin::Configured, &Standing::Ok, 3));
            assert_eq!((grant.confidential, grant.refreshed_at.as_millisecond()), (confidential, 1_790_000_000_123));
        }
        assert_eq!(store.hub_pin("001788fffe010203").await.unwrap(), Some([7; 32]));
        let roll = store.roll().await.unwrap();
        assert_eq!((roll.revision, roll.came.len(), roll.gone.len()), (2, 0, 0));
        assert!(store.applications("any").await.unwrap().is_empty());
    }
    let reserved = home.open().await.unwrap().reserve_sequences(1.try_into().unwrap(), 1).await.unwrap();
    assert_eq!(reserved.get(), 1_790_000_000_000);
}

/// What the version before makes of our store: its list of migrations ends before ours.
#[tokio::test]
async fn the_version_before_refuses_our_store() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    let mut before = sqlx::migrate!("src/store/migrations");
    let ours = before.migrations.to_mut().pop().unwrap().version;
    let error = before.run(&mut *store.turn().await.unwrap()).await.unwrap_err();
    let text = explain_migration(&store.inner.place, error).to_string();
    assert!(text.contains(&format!("a newer graph2mqtt wrote it (schema {ours}")), "{text}");
}
