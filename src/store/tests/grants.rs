//! Accounts' rows: sealed, whole, and never overwritten by who was late.

use std::fs;

use secrecy::ExposeSecret;

use super::{Home, grant};
use crate::store::{Grant, Origin, Standing, StoreError};

#[tokio::test]
async fn a_grant_comes_back_as_it_was_written_after_a_restart() {
    let home = Home::new();
    let written = home.open().await.unwrap().put_grant(grant("alex", "the refresh token")).await.unwrap();
    let store = home.open().await.unwrap();
    let read = store.grant(&written.account).await.unwrap().unwrap();
    assert_eq!(read.cache.expose_secret(), "the refresh token");
    assert_eq!(
        (&read.id, read.tenant_id, read.object_id, &read.username, &read.user, read.confidential, read.version),
        (&written.id, written.tenant_id, written.object_id, &written.username, &written.user, false, 1)
    );
    assert_eq!(read.refreshed_at, written.refreshed_at);
    assert!(store.grant(&"kim".parse().unwrap()).await.unwrap().is_none());
}

#[tokio::test]
async fn no_file_holds_the_cache_in_clear() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    store.put_grant(grant("alex", "the-refresh-token-in-clear")).await.unwrap();
    for entry in fs::read_dir(home.db().parent().unwrap()).unwrap() {
        let content = fs::read(entry.unwrap().path()).unwrap();
        assert!(!content.windows(26).any(|part| part == b"the-refresh-token-in-clear"));
    }
}

#[tokio::test]
async fn a_cache_moved_to_another_row_does_not_open() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    for name in ["alex", "kim"] {
        store.put_grant(grant(name, &format!("token of {name}"))).await.unwrap();
    }
    sqlx::query("UPDATE accounts SET cache = (SELECT cache FROM accounts WHERE name = 'kim') WHERE name = 'alex'")
        .execute(&store.inner.pool)
        .await
        .unwrap();
    let error = store.grant(&"alex".parse().unwrap()).await.unwrap_err().to_string();
    assert!(error.contains("account alex was altered"), "{error}");
    let open: Vec<_> = store.grants().await.unwrap().into_iter().map(|grant| grant.account.to_string()).collect();
    assert_eq!(open, ["kim"]);
}

#[tokio::test]
async fn of_two_who_refresh_one_version_one_wins_and_the_other_is_told() {
    let home = Home::new();
    let (ours, theirs) = (home.open().await.unwrap(), home.open().await.unwrap());
    let read = ours.put_grant(grant("alex", "1")).await.unwrap();
    let [a, b] = ["2a", "2b"].map(|cache| Grant { cache: cache.into(), ..read.clone() });
    let (first, second) = tokio::join!(ours.refresh_grant(&a), theirs.refresh_grant(&b));
    let won = match (&first, &second) {
        (Ok(2), Err(StoreError::Conflict)) => "2a",
        (Err(StoreError::Conflict), Ok(2)) => "2b",
        other => panic!("{other:?}"),
    };
    let now = theirs.grant(&read.account).await.unwrap().unwrap();
    assert_eq!((now.cache.expose_secret(), now.version), (won, 2));
}

#[tokio::test]
async fn a_new_sign_in_or_a_removal_wins_over_a_refresh_of_the_old_grant() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    let old = store.put_grant(grant("alex", "old")).await.unwrap();
    let new = store.put_grant(grant("alex", "new")).await.unwrap();
    assert_ne!(old.id, new.id);
    assert!(matches!(store.refresh_grant(&old).await, Err(StoreError::Conflict)));
    assert_eq!(store.grant(&old.account).await.unwrap().unwrap().cache.expose_secret(), "new");
    assert_eq!(store.remove_grant(&old.account).await.unwrap(), Some(Origin::Configured));
    assert!(matches!(store.refresh_grant(&new).await, Err(StoreError::Conflict)));
    assert_eq!(store.remove_grant(&old.account).await.unwrap(), None);
}

#[tokio::test]
async fn how_it_stands_with_a_grant_is_told_until_it_is_refreshed_and_hinders_no_refresh() {
    let home = Home::new();
    let (ours, theirs) = (home.open().await.unwrap(), home.open().await.unwrap());
    let alex = ours.put_grant(grant("alex", "1")).await.unwrap();
    let standing = async || theirs.grant(&alex.account).await.unwrap().unwrap().standing;
    for told in [Standing::Needed("revoked".into()), Standing::Blocked("policy".into()), Standing::Ok] {
        ours.mark(&alex.id, &told).await.unwrap();
        assert_eq!(standing().await, told);
    }
    ours.mark(&alex.id, &Standing::Needed("expired".into())).await.unwrap();
    ours.refresh_grant(&alex).await.expect("the version is still the one that was read");
    assert_eq!(standing().await, Standing::Ok);
    let again = ours.put_grant(grant("alex", "2")).await.unwrap();
    ours.mark(&alex.id, &Standing::Needed("of the grant before".into())).await.unwrap();
    assert_eq!((again.standing, standing().await), (Standing::Ok, Standing::Ok));
}
