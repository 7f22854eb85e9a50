//! Who is asked for when: one account at a time, nobody forgotten, nobody twice.

use super::*;

const COMPANY: Duration = Duration::from_secs(1);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An agenda with `count` accounts in one queue, all due at `now`.
fn agenda(way: Way, count: u32, now: Instant) -> Agenda {
    let mut agenda = Agenda::new(COMPANY);
    let queue = agenda.queue("contoso.com", way);
    (0..count).for_each(|_| agenda.add(queue, now));
    agenda
}

fn batch() -> Way {
    Way::Batch(Principal::Application("contoso.com".into()))
}

#[test]
fn an_account_is_asked_for_once_at_a_time_however_often_it_would_be_due() {
    let now = Instant::now();
    let mut agenda = agenda(Way::Own, 1, now);
    let later = now + seconds(3_600);
    let poll = agenda.next(later).unwrap();
    assert_eq!((agenda.next(later), agenda.wake()), (None, None));
    agenda.hasten(0, later);
    assert_eq!(agenda.next(later), None, "a poll is under way");
    agenda.ended(&poll);
    agenda.schedule(0, later + seconds(5));
    assert_eq!(agenda.next(later), None, "an hour asleep is one turn missed, not seven hundred");
    assert_eq!(agenda.wake(), Some(later + seconds(5)));
    assert_eq!(agenda.next(later + seconds(5)).unwrap().accounts, [0]);
}

#[test]
fn whoever_was_due_first_comes_first() {
    let now = Instant::now();
    let mut agenda = agenda(Way::Own, 3, now);
    for (account, due) in [(0, 3), (1, 1), (2, 2)] {
        agenda.schedule(account, now + seconds(due));
    }
    let order: Vec<_> = (0..3).map(|_| agenda.next(now + seconds(9)).unwrap().accounts[0]).collect();
    assert_eq!(order, [1, 2, 0]);
}

#[test]
fn a_batch_takes_who_is_due_and_who_is_due_soon_and_leaves_the_quiet_ones() {
    let now = Instant::now();
    let mut agenda = agenda(batch(), 1_000, now);
    let first = agenda.next(now).unwrap();
    let second = agenda.next(now).unwrap();
    assert_eq!((first.accounts.len(), second.accounts.len()), (650, 350));
    for poll in [first, second] {
        agenda.ended(&poll);
        for account in poll.accounts {
            let wait = if account < 10 { 5_000 + u64::from(account) * 50 } else { 30_000 };
            agenda.schedule(account, now + Duration::from_millis(wait));
        }
    }
    assert_eq!(agenda.next(now + seconds(4)), None);
    let mut active = agenda.next(now + seconds(5)).unwrap().accounts;
    active.sort_unstable();
    assert_eq!(active, (0..10).collect::<Vec<_>>());
}

#[test]
fn only_a_few_batches_are_under_way_at_once() {
    let now = Instant::now();
    let mut agenda = agenda(batch(), 20_000, now);
    let polls: Vec<_> = std::iter::from_fn(|| agenda.next(now)).collect();
    assert_eq!(polls.len(), 4);
    assert_eq!(agenda.wake(), None, "nothing is to be done until one of them ends");
    agenda.ended(&polls[0]);
    assert!(agenda.next(now).is_some());
}

#[test]
fn one_tenant_that_hangs_does_not_hold_up_another() {
    let now = Instant::now();
    let mut agenda = agenda(Way::Own, 400, now);
    let other = agenda.queue("fabrikam.com", Way::Own);
    agenda.add(other, now + seconds(1));
    while agenda.next(now).is_some() {}
    assert_eq!(agenda.next(now + seconds(1)).map(|poll| poll.accounts), Some(vec![400]));
}

#[test]
fn an_account_whose_id_was_found_joins_the_batch() {
    let now = Instant::now();
    let principal = Principal::Application("contoso.com".into());
    let mut agenda = agenda(Way::Lookup(principal.clone()), 1, now);
    let poll = agenda.next(now).unwrap();
    agenda.ended(&poll);
    let queue = agenda.queue("contoso.com", Way::Batch(principal));
    agenda.move_to(0, queue);
    agenda.schedule(0, now);
    assert_eq!(agenda.next(now), Some(Poll { queue, accounts: vec![0], leads: true }));
}

#[test]
fn who_signed_in_just_now_does_not_wait_for_the_next_turn() {
    let now = Instant::now();
    let mut agenda = agenda(Way::Own, 1, now);
    agenda.schedule(0, now + seconds(300));
    agenda.hasten(0, now + seconds(1));
    let poll = agenda.next(now + seconds(1)).unwrap();
    agenda.ended(&poll);
    agenda.schedule(0, now + seconds(400));
    assert_eq!(agenda.next(now + seconds(300)), None, "the old turn is void");
}

#[test]
fn who_is_to_be_asked_for_once_more_is_so_behind_the_poll_that_is_under_way() {
    let now = Instant::now();
    let mut agenda = agenda(Way::Own, 1, now);
    let poll = agenda.next(now).unwrap();
    agenda.hasten(0, now);
    assert_eq!(agenda.next(now), None, "never twice at once");
    agenda.ended(&poll);
    agenda.schedule(0, now + seconds(30));
    agenda.resume(&poll, now + seconds(1));
    let again = agenda.next(now + seconds(1)).unwrap();
    agenda.ended(&again);
    agenda.schedule(0, now + seconds(31));
    agenda.resume(&again, now + seconds(2));
    assert_eq!(agenda.next(now + seconds(30)), None, "once more is once");
}

#[test]
fn who_is_held_is_hastened_to_the_end_of_that_time_and_no_further() {
    let now = Instant::now();
    let mut agenda = agenda(Way::Own, 1, now);
    let poll = agenda.next(now).unwrap();
    agenda.hasten(0, now);
    agenda.ended(&poll);
    agenda.schedule(0, now + seconds(300));
    agenda.hold(0, now + seconds(40));
    agenda.resume(&poll, now);
    agenda.hasten(0, now + seconds(1));
    assert_eq!(agenda.next(now + seconds(39)), None);
    let again = agenda.next(now + seconds(40)).unwrap();
    agenda.ended(&again);
    agenda.schedule(0, now + seconds(300));
    agenda.hasten(0, now + seconds(41));
    assert!(agenda.next(now + seconds(41)).is_some(), "it was asked for since");
}

#[test]
fn a_removed_account_is_not_asked_for_and_takes_nobodys_turn() {
    let now = Instant::now();
    let mut agenda = agenda(Way::Own, 3, now);
    let first = agenda.next(now).unwrap();
    agenda.remove(0);
    agenda.remove(1);
    agenda.hasten(0, now);
    agenda.ended(&first);
    agenda.schedule(0, now + seconds(5));
    agenda.resume(&first, now);
    assert_eq!(agenda.next(now + seconds(9)).map(|poll| poll.accounts), Some(vec![2]));
    assert_eq!((agenda.next(now + seconds(9)), agenda.wake()), (None, None));
}

#[test]
fn who_comes_back_during_a_poll_is_asked_for_behind_it_and_in_the_new_queue() {
    let now = Instant::now();
    let mut agenda = agenda(Way::Own, 1, now);
    let old = agenda.next(now).unwrap();
    agenda.remove(0);
    let queue = agenda.queue("fabrikam.com", Way::Own);
    agenda.restore(0, queue, now);
    assert!(agenda.is_asked(0) && agenda.next(now).is_none());
    agenda.ended(&old);
    agenda.schedule(0, now + seconds(5));
    agenda.resume(&old, now);
    assert_eq!(agenda.next(now), Some(Poll { queue, accounts: vec![0], leads: true }));
}

#[test]
fn accounts_that_were_answered_together_are_due_together_each_where_it_stands_by_now() {
    let now = Instant::now();
    let mut agenda = agenda(batch(), 5, now);
    let poll = agenda.next(now).unwrap();
    agenda.remove(1);
    let queue = agenda.queue("fabrikam.com", batch());
    agenda.move_to(3, queue);
    agenda.ended(&poll);
    agenda.schedule_all(&poll.accounts, now + seconds(5));
    assert_eq!(agenda.next(now + seconds(4)), None);
    let due: Vec<_> = std::iter::from_fn(|| agenda.next(now + seconds(5))).map(|poll| poll.accounts).collect();
    assert_eq!(due, [vec![0, 2, 4], vec![3]]);
}

#[test]
fn batches_that_are_due_soon_go_along_with_the_first_and_singles_do_not() {
    let now = Instant::now();
    for (way, together) in [(batch(), 3), (Way::Own, 1)] {
        let mut agenda = agenda(way, 1_951, now + seconds(60));
        (0..1_950).for_each(|account| agenda.schedule(account, now + Duration::from_millis(account.into()) / 3));
        let polls: Vec<_> = std::iter::from_fn(|| agenda.next(now)).collect();
        assert_eq!(polls.iter().map(|poll| poll.leads).collect::<Vec<_>>(), [true, false, false][..together]);
        polls.iter().for_each(|poll| agenda.ended(poll));
        let next = agenda.next(now + seconds(60)).unwrap();
        assert!(next.leads, "that is another round");
    }
}

#[test]
fn who_failed_does_not_go_along_in_the_round_that_is_under_way() {
    let now = Instant::now();
    let mut agenda = agenda(batch(), 1, now);
    let poll = agenda.next(now).unwrap();
    agenda.ended(&poll);
    agenda.retry(0, now + COMPANY / 4);
    assert_eq!(agenda.next(now + COMPANY / 8), None, "Graph named a time");
    assert_eq!(agenda.next(now + COMPANY * 2).map(|poll| (poll.accounts, poll.leads)), Some((vec![0], true)));
}
