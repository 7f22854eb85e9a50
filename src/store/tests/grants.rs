//! Accounts' rows: sealed, whole, and never overwritten by who was late.

use std::fs;

use futures_util::future::join_all;
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
        .execute(&mut *store.turn().await.unwrap())
        .await
        .unwrap();
    let error = store.grant(&"alex".parse().unwrap()).await.unwrap_err().to_string();
    assert!(error.contains("account alex does not open"), "{error}");
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
    let needed = |reason: &str, claims: Option<&str>| Standing::Needed {
        reason: reason.to_owned(),
        remedy: claims.map(|_| "sign in again: graph2mqtt login alex".to_owned()),
        claims: claims.map(str::to_owned),
    };
    let blocked =
        |remedy: Option<&str>| Standing::Blocked { reason: "policy".to_owned(), remedy: remedy.map(str::to_owned) };
    let claims = r#"{"access_token":{}}"#;
    let both = [needed("revoked", None), needed("revoked", Some(claims))];
    for told in both.into_iter().chain([blocked(None), blocked(Some("elsewhere")), Standing::Ok]) {
        ours.mark(&alex.id, &told).await.unwrap();
        assert_eq!(standing().await, told);
    }
    ours.mark(&alex.id, &needed("expired", Some(claims))).await.unwrap();
    ours.refresh_grant(&alex).await.expect("the version is still the one that was read");
    assert_eq!(standing().await, Standing::Ok);
    let again = ours.put_grant(grant("alex", "2")).await.unwrap();
    ours.mark(&alex.id, &needed("of the grant before", None)).await.unwrap();
    assert_eq!((again.standing, standing().await), (Standing::Ok, Standing::Ok));
}

#[tokio::test]
async fn refreshes_that_come_close_together_share_commits_and_each_is_told_of_its_own() {
    const PEOPLE: usize = 100;
    let home = Home::new();
    let (ours, theirs) = (home.open().await.unwrap(), home.open().await.unwrap());
    let mut all = Vec::new();
    for number in 0..PEOPLE {
        all.push(ours.put_grant(grant(&format!("p{number}"), "old")).await.unwrap());
    }
    // One is refreshed by another process meanwhile, one is gone.
    theirs.refresh_grant(&all[3]).await.unwrap();
    theirs.remove_grant(&all[7].account).await.unwrap();
    let fresh: Vec<Grant> =
        all.iter().map(|old| Grant { cache: format!("new of {}", old.account).into(), ..old.clone() }).collect();
    let before = commits(&home);
    let saved = join_all(fresh.iter().map(|grant| ours.refresh_grant(grant))).await;
    assert!(commits(&home) - before < 10, "{} commits", commits(&home) - before);
    for (number, saved) in saved.iter().enumerate() {
        match number {
            3 | 7 => assert!(matches!(saved, Err(StoreError::Conflict)), "{number}: {saved:?}"),
            _ => assert!(matches!(saved, Ok(2)), "{number}: {saved:?}"),
        }
    }
    let read = join_all(all.iter().chain(&all).map(|old| theirs.grant(&old.account))).await;
    for (number, read) in read.into_iter().enumerate() {
        let read = read.unwrap();
        match number % PEOPLE {
            3 => assert_eq!(read.unwrap().cache.expose_secret(), "old"),
            7 => assert!(read.is_none()),
            number => {
                let read = read.unwrap();
                assert_eq!((read.cache.expose_secret(), read.version), (&*format!("new of p{number}"), 2));
            }
        }
    }
}

#[tokio::test]
async fn of_two_saves_of_one_version_that_share_a_commit_one_is_told_that_it_lost() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    let read = store.put_grant(grant("alex", "1")).await.unwrap();
    let all: Vec<Grant> = (0..8).map(|number| Grant { cache: number.to_string().into(), ..read.clone() }).collect();
    let saved = join_all(all.iter().map(|grant| store.refresh_grant(grant))).await;
    assert_eq!(saved.iter().filter(|saved| saved.is_ok()).count(), 1, "{saved:?}");
    let won = saved.iter().position(Result::is_ok).unwrap();
    assert_eq!(store.grant(&read.account).await.unwrap().unwrap().cache.expose_secret(), won.to_string());
}

/// How many transactions stand in the write-ahead log: each ends in a frame that says how large the file is
/// then (<https://www.sqlite.org/fileformat2.html#walformat>).
fn commits(home: &Home) -> usize {
    let log = fs::read(home.db().with_extension("db-wal")).unwrap();
    log[32..].chunks(24 + 4096).filter(|frame| frame[4..8] != [0; 4]).count()
}
