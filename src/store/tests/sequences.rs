//! What belongs to the installation: sequences that only grow, hubs' pins.

use super::{Home, sequence};
use crate::presence::Sequence;

#[tokio::test]
async fn reserved_sequences_only_grow_over_restarts_and_a_clock_set_back() {
    let home = Home::new();
    let clock = 1_790_000_000_000;
    let first = home.open().await.unwrap().reserve_sequences(sequence(clock), 1000).await.unwrap();
    assert_eq!(first.get(), clock);
    let store = home.open().await.unwrap();
    let set_back = store.reserve_sequences(sequence(5), 1000).await.unwrap();
    assert_eq!(set_back.get(), clock + 1000);
    let forward = store.reserve_sequences(sequence(clock + 50_000), 1).await.unwrap();
    assert_eq!(forward.get(), clock + 50_000);
}

#[tokio::test]
async fn neither_a_mad_clock_nor_a_stranger_uses_the_sequences_up() {
    let store = Home::new();
    let store = store.open().await.unwrap();
    let first = store.reserve_sequences(Sequence::MAX, 10).await.unwrap();
    assert_eq!(first, Sequence::LEARNABLE);
    let next = store.reserve_sequences(Sequence::MAX, 10).await.unwrap();
    assert_eq!(next.get(), Sequence::LEARNABLE.get() + 10);
}

#[tokio::test]
async fn when_no_sequence_is_left_it_says_so() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    let almost = i64::try_from(Sequence::MAX.get()).unwrap() - 5;
    sqlx::query("UPDATE installation SET sequence_ceiling = $1")
        .bind(almost)
        .execute(&mut *store.turn().await.unwrap())
        .await
        .unwrap();
    assert_eq!(store.reserve_sequences(sequence(0), 5).await.unwrap().get(), Sequence::MAX.get() - 5);
    let error = store.reserve_sequences(sequence(0), 1).await.unwrap_err().to_string();
    assert!(error.contains("used up"), "{error}");
}

#[tokio::test]
async fn two_processes_never_reserve_the_same_sequence() {
    let home = Home::new();
    let (ours, theirs) = (home.open().await.unwrap(), home.open().await.unwrap());
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let (a, b) = tokio::join!(ours.reserve_sequences(sequence(7), 3), theirs.reserve_sequences(sequence(7), 3));
        for first in [a.unwrap(), b.unwrap()] {
            assert!((1..=3).all(|offset| seen.insert(first.get() + offset)), "{first} was given twice");
        }
    }
}

#[tokio::test]
async fn a_hubs_pin_is_kept_and_can_change() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    assert_eq!(store.hub_pin("001788fffe010203").await.unwrap(), None);
    for pin in [[1; 32], [2; 32]] {
        store.set_hub_pin("001788fffe010203", pin).await.unwrap();
        assert_eq!(home.open().await.unwrap().hub_pin("001788fffe010203").await.unwrap(), Some(pin));
    }
}
