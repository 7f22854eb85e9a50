//! Accounts that come and go: held sign-ins, and what another process learns of them.

use std::fs;

use jiff::{Timestamp, ToSpan};
use secrecy::{ExposeSecret, SecretString};

use super::{Home, grant};
use crate::presence::{AccountName, ObjectId};
use crate::store::{Enrolment, Grant, Held, Origin, Store, StoreError};

const KIM: &str = "33333333-0000-4000-8000-000000000003";
const SAM: &str = "44444444-0000-4000-8000-000000000004";

fn now() -> Timestamp {
    Timestamp::from_millisecond(1_790_000_000_000).unwrap()
}

fn person(id: &str) -> Enrolment {
    Enrolment {
        tenant_id: "11111111-0000-4000-8000-000000000001".parse().unwrap(),
        object_id: id.parse().unwrap(),
        username: "kim@fabrikam.com".into(),
        confidential: true,
        granted_at: now(),
    }
}

async fn hold(store: &Store, cache: &str) -> Held {
    store.hold(&SecretString::from(cache), now(), now() + 10.minutes()).await.unwrap()
}

async fn enrol(store: &Store, id: &str, cache: &str) -> Grant {
    let held = hold(store, cache).await;
    store.enrol(held, person(id), now()).await.unwrap()
}

async fn held_rows(store: &Store) -> i64 {
    sqlx::query_scalar("SELECT COUNT(*) FROM held").fetch_one(&mut *store.turn().await.unwrap()).await.unwrap()
}

fn names<'a>(names: impl IntoIterator<Item = &'a AccountName>) -> Vec<String> {
    names.into_iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn the_transient_key_of_a_sign_in_becomes_the_id_of_the_account_that_it_makes() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    let held = hold(&store, "the refresh token of kim").await;
    let made = store.enrol(held.clone(), person(KIM), now()).await.unwrap();
    assert_eq!((format!("{held:?}"), held_rows(&store).await), (format!("Held({:?})", made.id), 0));

    let read = home.open().await.unwrap().grant(&KIM.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(read.cache.expose_secret(), "the refresh token of kim");
    assert_eq!((&read.id, read.origin, read.version), (&made.id, Origin::Enrolled, 1));
    assert_eq!((read.user.as_str(), read.object_id), (KIM, KIM.parse::<ObjectId>().unwrap()));
    assert!(read.confidential && read.username == "kim@fabrikam.com" && read.refreshed_at == now());
    let again = store.enrol(held, person(SAM), now()).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "nobody is handed what another signed in with");
    assert!(store.grant(&SAM.parse().unwrap()).await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_held_is_sealed_and_ends_with_its_time_or_when_it_is_released() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    let late = hold(&store, "the-refresh-token-in-clear").await;
    for entry in fs::read_dir(home.db().parent().unwrap()).unwrap() {
        let content = fs::read(entry.unwrap().path()).unwrap();
        assert!(!content.windows(26).any(|part| part == b"the-refresh-token-in-clear"));
    }
    let after = now() + 10.minutes();
    assert!(matches!(store.enrol(late, person(KIM), after).await, Err(StoreError::Conflict)));
    assert_eq!(held_rows(&store).await, 1, "a refused enrolment changes nothing");
    let unwanted = store.hold(&SecretString::from("x"), after, after + 10.minutes()).await.unwrap();
    assert_eq!(held_rows(&store).await, 1, "the next sign-in removed what had expired");
    store.release(unwanted).await.unwrap();
    assert_eq!(held_rows(&store).await, 0);

    hold(&store, "left behind").await;
    assert_eq!(held_rows(&home.open().await.unwrap()).await, 0, "the next start removed what had expired");
}

#[tokio::test]
async fn a_held_sign_in_moved_to_anothers_key_makes_no_account() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    let (kim, sam) = (hold(&store, "of kim").await, hold(&store, "of sam").await);
    sqlx::query("UPDATE held SET cache = (SELECT cache FROM held AS other WHERE other.id <> held.id)")
        .execute(&mut *store.turn().await.unwrap())
        .await
        .unwrap();
    let made = [store.enrol(kim, person(KIM), now()).await, store.enrol(sam, person(SAM), now()).await];
    let refused = made.iter().filter(|made| made.as_ref().is_err_and(|error| error.to_string().contains("altered")));
    assert!(refused.count() >= 1, "{made:?}");
    for grant in store.grants().await.unwrap() {
        let own = if grant.account.as_str() == KIM { "of kim" } else { "of sam" };
        assert_eq!(grant.cache.expose_secret(), own);
    }
}

#[tokio::test]
async fn another_process_sees_who_came_and_went_but_not_that_they_were_refreshed() {
    let home = Home::new();
    let (ours, theirs) = (home.open().await.unwrap(), home.open().await.unwrap());
    let start = theirs.roll().await.unwrap();
    let alex = ours.put_grant(grant("alex", "1")).await.unwrap();
    let kim = enrol(&ours, KIM, "1").await;
    let came = theirs.news(start.revision).await.unwrap();
    assert_eq!(came.came.iter().map(|holder| &holder.id).collect::<Vec<_>>(), [&alex.id, &kim.id]);
    assert_eq!((came.came[1].origin, came.came[1].tenant_id), (Origin::Enrolled, kim.tenant_id));
    ours.refresh_grant(&alex).await.unwrap();
    assert_eq!(
        theirs.news(came.revision).await.unwrap(),
        crate::store::News { revision: came.revision, ..Default::default() }
    );

    ours.remove_grant(&alex.account).await.unwrap();
    assert_eq!(ours.remove_grant(&kim.account).await.unwrap(), Some(Origin::Enrolled));
    assert_eq!(ours.remove_grant(&kim.account).await.unwrap(), None);
    let went = theirs.news(came.revision).await.unwrap();
    assert_eq!(went.came, []);
    assert_eq!(went.gone, [(alex.account.clone(), Origin::Configured), (kim.account.clone(), Origin::Enrolled)]);

    let back = enrol(&ours, KIM, "2").await;
    let news = theirs.news(went.revision).await.unwrap();
    assert_eq!((&news.came[0].id, news.gone.len()), (&back.id, 0));
    let all = theirs.news(start.revision).await.unwrap();
    assert_eq!((all.came.len(), names(all.gone.iter().map(|(name, _)| name))), (1, vec!["alex".to_owned()]));
}

#[tokio::test]
async fn a_start_learns_who_enrolled_and_who_departed_until_that_is_dealt_with() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    store.put_grant(grant("alex", "1")).await.unwrap();
    enrol(&store, KIM, "1").await;
    enrol(&store, SAM, "1").await;
    store.remove_grant(&SAM.parse().unwrap()).await.unwrap();
    let roll = home.open().await.unwrap().roll().await.unwrap();
    assert_eq!(names(roll.came.iter().map(|holder| &holder.account)), [KIM]);
    assert_eq!(roll.gone, [(SAM.parse().unwrap(), Origin::Enrolled)]);
    store.forget_departed(&[SAM.parse().unwrap(), KIM.parse().unwrap()]).await.unwrap();
    let roll = store.roll().await.unwrap();
    assert_eq!((roll.came.len(), roll.gone.len()), (1, 0), "who is there did not depart");
}

#[tokio::test]
async fn two_who_enrol_at_once_in_two_processes_both_become_accounts_and_are_seen() {
    let home = Home::new();
    let (ours, theirs) = (home.open().await.unwrap(), home.open().await.unwrap());
    let start = ours.roll().await.unwrap().revision;
    tokio::join!(enrol(&ours, KIM, "of kim"), enrol(&theirs, SAM, "of sam"));
    assert_eq!(ours.news(start).await.unwrap().came.len(), 2);
    for (id, cache) in [(KIM, "of kim"), (SAM, "of sam")] {
        let read = ours.grant(&id.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(read.cache.expose_secret(), cache);
    }
}
