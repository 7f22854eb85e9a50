//! An account as a specification: what an answer, a failure and a retained message make of it.

use super::*;
use crate::graph::Trouble;
use crate::presence::{Activity, Availability};

const ID: &str = "00000000-0000-4000-8000-000000000001";

fn at(second: i64) -> Moment {
    let wall = Timestamp::from_second(second).unwrap();
    Moment { instant: Instant::now() + Duration::from_secs(second.unsigned_abs()), wall }
}

fn reading(availability: Availability) -> Reading {
    let presence = Presence::new(availability, Activity::AVAILABLE);
    Reading { user_id: ID.parse().ok(), presence, number: None }
}

fn account() -> Account {
    Account::new("alex".parse().unwrap(), None)
}

fn published(availability: Availability, since: i64, sequence: u64) -> Report {
    let mut account = account();
    account.answered(&reading(availability), at(since), None);
    account.sequence = sequence.try_into().ok();
    account.report().unwrap()
}

const NOTHING: Changes = Changes { presence: false, state: false, sign_in: false };

#[test]
fn the_first_answer_says_everything_and_the_same_again_nothing() {
    let (mut account, mut counter) = (account(), Counter::default());
    let first = account.answered(&reading(Availability::BUSY), at(10), Some(&mut counter));
    assert_eq!(first, Changes { presence: true, state: true, sign_in: true });
    assert_eq!(account.answered(&reading(Availability::BUSY), at(15), Some(&mut counter)), NOTHING);
    assert_eq!(account.report().unwrap().since, at(10).wall);
}

#[test]
fn since_is_the_time_of_the_status_not_of_the_note() {
    let (mut account, mut counter) = (account(), Counter::default());
    account.answered(&reading(Availability::BUSY), at(10), Some(&mut counter));
    let mut noted = reading(Availability::BUSY);
    noted.presence.work_location = Some("office".into());
    assert!(account.answered(&noted, at(20), Some(&mut counter)).presence);
    let report = account.report().unwrap();
    assert_eq!((report.since, report.sequence.get()), (at(10).wall, 20_000));
}

#[test]
fn three_failures_make_a_presence_unknown_and_one_answer_known_again() {
    let (mut account, mut counter) = (account(), Counter::default());
    account.answered(&reading(Availability::BUSY), at(10), Some(&mut counter));
    let states = [(); 4].map(|()| account.failed(None, at(11)).state);
    assert_eq!((states, account.known()), ([false, false, true, false], Known::No));
    let again = account.answered(&reading(Availability::BUSY), at(20), Some(&mut counter));
    assert_eq!(again, Changes { state: true, ..NOTHING });
}

#[test]
fn a_failure_before_any_answer_makes_it_unknown_at_once() {
    assert!(account().failed(None, at(1)).state);
}

#[test]
fn a_lost_sign_in_makes_it_unknown_at_once_and_is_told_once() {
    let mut account = account();
    account.answered(&reading(Availability::BUSY), at(10), None);
    let lost = crate::entra::Trouble::SignIn { reason: "sign in again".into(), remedy: None };
    let obstacle = Obstacle::of(&Trouble::Token(lost)).unwrap();
    assert_eq!(account.failed(Some(&obstacle), at(11)), Changes { state: true, sign_in: true, presence: false });
    assert_eq!(account.failed(Some(&obstacle), at(12)), NOTHING);
    assert_eq!(account.sign_in().unwrap().since, at(11).wall);
    let healed = account.answered(&reading(Availability::BUSY), at(13), None);
    assert_eq!(healed, Changes { state: true, sign_in: true, presence: false });
}

#[test]
fn what_was_heard_too_long_ago_is_not_known_any_more() {
    let mut account = account();
    let heard = at(10);
    account.answered(&reading(Availability::BUSY), heard, None);
    let bound = Duration::from_secs(120);
    assert!(!account.aged(heard.instant + bound, bound).state);
    assert!(account.aged(heard.instant + bound * 2, bound).state);
    assert!(!account.aged(heard.instant + bound * 3, bound).state, "told once");
}

#[test]
fn since_and_sequence_carry_on_over_a_restart_whichever_is_heard_first() {
    let before = published(Availability::BUSY, 10, 500);
    let mut counter = Counter::default();
    let mut broker_first = account();
    broker_first.found(before.clone(), at(100), None);
    assert!(!broker_first.answered(&reading(Availability::BUSY), at(101), None).presence);
    let mut graph_first = account();
    graph_first.answered(&reading(Availability::BUSY), at(100), None);
    assert!(!graph_first.found(before.clone(), at(101), None).presence);
    for mut account in [broker_first, graph_first] {
        account.open(at(102).wall, &mut counter);
        assert_eq!(account.report().unwrap(), before);
    }
}

#[test]
fn a_change_over_a_restart_is_newer_than_what_the_broker_held() {
    let mut counter = Counter::default();
    let before = published(Availability::BUSY, 10, 900_000);
    counter.learn(before.sequence);
    let mut account = account();
    account.answered(&reading(Availability::AWAY), at(100), None);
    account.found(before.clone(), at(101), None);
    account.open(at(102).wall, &mut counter);
    let report = account.report().unwrap();
    assert!(report.sequence > before.sequence);
    assert_eq!(report.since, at(100).wall);
}

#[test]
fn what_comes_late_still_counts() {
    let mut counter = Counter::default();
    let mut account = account();
    account.answered(&reading(Availability::BUSY), at(100), Some(&mut counter));
    let late = published(Availability::BUSY, 10, 900_000);
    counter.learn(late.sequence);
    assert_eq!(account.found(late.clone(), at(101), Some(&mut counter)), NOTHING);
    assert_eq!(account.report().unwrap(), late);
    let other = published(Availability::AWAY, 10, 1_000_000);
    counter.learn(other.sequence);
    assert!(account.found(other, at(102), Some(&mut counter)).presence);
    assert!(account.report().unwrap().sequence.get() > 1_000_000);
}

#[test]
fn what_another_person_left_under_the_name_is_not_carried_on() {
    let mut counter = Counter::default();
    let mut account = Account::new("alex".parse().unwrap(), "00000000-0000-4000-8000-00000000000f".parse().ok());
    account.found(published(Availability::BUSY, 10, 500), at(100), None);
    assert_eq!(account.report(), None);
    let mut theirs = reading(Availability::BUSY);
    theirs.user_id = account.user_id();
    assert!(account.answered(&theirs, at(101), Some(&mut counter)).presence);
    assert_eq!(account.report().unwrap().since, at(101).wall);
}

#[test]
fn a_strangers_huge_sequence_is_not_carried_on() {
    let mut account = account();
    account.found(published(Availability::BUSY, 10, Sequence::MAX.get()), at(100), None);
    assert_eq!(account.report(), None);
}

#[test]
fn an_account_is_small() {
    assert!(size_of::<Account>() <= 320, "{}", size_of::<Account>());
}

#[test]
fn what_the_broker_held_carries_on_even_when_it_comes_after_the_first_look_was_published() {
    let mut counter = Counter::default();
    let mut account = account();
    account.answered(&reading(Availability::BUSY), at(100), None);
    account.open(at(101).wall, &mut counter);
    let published = account.report().unwrap();
    let before = published_by_the_forerunner(Availability::BUSY);
    assert!(account.found(before.clone(), at(103), Some(&mut counter)).presence);
    let report = account.report().unwrap();
    assert_eq!(report.since, before.since);
    assert!(report.sequence > published.sequence, "whoever saw the first one takes this one");
    assert_eq!(account.found(before, at(104), Some(&mut counter)), NOTHING, "once");
}

#[test]
fn what_comes_late_does_not_undo_a_change_that_this_process_saw() {
    let mut counter = Counter::default();
    let mut account = account();
    account.answered(&reading(Availability::AWAY), at(100), Some(&mut counter));
    account.answered(&reading(Availability::BUSY), at(105), Some(&mut counter));
    assert_eq!(account.found(published_by_the_forerunner(Availability::BUSY), at(106), Some(&mut counter)), NOTHING);
    assert_eq!(account.report().unwrap().since, at(105).wall);
}

#[test]
fn nothing_makes_an_account_that_is_gone_say_anything() {
    let mut account = Account::gone("alex".parse().unwrap());
    account.found(published(Availability::BUSY, 10, 500), at(100), Some(&mut Counter::default()));
    account.open(at(101).wall, &mut Counter::default());
    assert_eq!((account.settle(), account.aged(at(9_000).instant, Duration::ZERO)), (NOTHING, NOTHING));
    assert!(account.is_gone() && account.report().is_none());
}

/// A presence of long ago, with a sequence by the clock of then.
fn published_by_the_forerunner(availability: Availability) -> Report {
    published(availability, 10, 10_000)
}

#[test]
fn the_remedy_stays_apart_over_a_restart_whichever_is_heard_first() {
    let trouble = Trouble::Forbidden {
        reason: "403 (request-id 11d2-4711)".into(),
        remedy: Some(crate::entra::Remedy::new("sign in again: graph2mqtt login alex")),
        url: None,
    };
    let obstacle = Obstacle::of(&trouble).unwrap();
    let mut forerunner = account();
    forerunner.failed(Some(&obstacle), at(0));
    let found = || serde_json::from_slice(&forerunner.sign_in().unwrap().to_json()).unwrap();
    for found_first in [true, false] {
        let mut account = account();
        if found_first {
            account.found_sign_in(found());
        }
        assert_eq!(account.failed(Some(&obstacle), at(60)).sign_in, !found_first);
        if !found_first {
            account.found_sign_in(found());
        }
        account.failed(Some(&obstacle), at(120));
        let sign_in = account.sign_in().unwrap();
        assert_eq!(
            sign_in.remedy.as_deref().map(crate::entra::Remedy::as_str),
            Some("sign in again: graph2mqtt login alex")
        );
        assert_eq!(sign_in.reason.as_deref(), Some("403 (request-id 11d2-4711)"));
        assert_eq!(sign_in.since, at(0).wall);
    }
}
