//! Who is asked for when, and with whom together. Pure: time is passed in.
//!
//! Each account stands in one queue, ordered by when it is due; the queues of a tenant meet only at
//! Graph's limit. While an account is asked for it stands in none, so it is never asked for twice at
//! once, and however late the agenda is looked at, each account is due once, not once for each missed turn.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::entra::Principal;
use crate::graph::BATCH;

/// The place of an account in the bridge's list.
pub(super) type Index = u32;

/// The place of a queue in the agenda.
pub(super) type QueueIndex = u32;

/// How a queue's accounts are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Way {
    /// Each by itself, as itself.
    Own,
    /// Together, by this principal's right.
    Batch(Principal),
    /// Not yet: first its user's id has to be looked up, by this principal's right.
    Lookup(Principal),
}

impl Way {
    /// How many accounts one call asks for.
    fn size(&self) -> usize {
        if matches!(self, Self::Batch(_)) { BATCH } else { 1 }
    }

    /// How many calls are under way at once. Batches are few, since each answer is large; single ones
    /// so many that a Graph that answers none of them is noticed for every account within minutes.
    fn most_in_flight(&self) -> u32 {
        match self {
            Self::Own => 256,
            Self::Batch(_) | Self::Lookup(_) => 4,
        }
    }
}

/// One queue.
#[derive(Debug)]
struct Queue {
    tenant: Box<str>,
    way: Way,
    /// Who is due when. Those of a batch share a few times, so that twenty thousand accounts are a few lists.
    due: BTreeMap<Instant, VecDeque<Index>>,
    in_flight: u32,
}

/// A poll to be made now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Poll {
    pub(super) queue: QueueIndex,
    pub(super) accounts: Vec<Index>,
}

/// When an account is due, and in which queue.
#[derive(Debug, Clone, Copy)]
struct Entry {
    queue: QueueIndex,
    /// None while it is asked for. Entries of the queue that say another time are void.
    due: Option<Instant>,
}

/// All queues.
#[derive(Debug)]
pub(super) struct Agenda {
    queues: Vec<Queue>,
    accounts: Vec<Entry>,
    /// Accounts that are due within this time go along in a batch.
    company: Duration,
}

impl Agenda {
    /// An agenda for accounts that are added in the order of their indices.
    pub(super) fn new(company: Duration) -> Self {
        Self { queues: Vec::new(), accounts: Vec::new(), company }
    }

    /// The queue of a tenant for one way of asking; made when it is new.
    pub(super) fn queue(&mut self, tenant: &str, way: Way) -> QueueIndex {
        let found = self.queues.iter().position(|queue| queue.way == way && *queue.tenant == *tenant);
        let at = found.unwrap_or_else(|| {
            self.queues.push(Queue { tenant: tenant.into(), way, due: BTreeMap::new(), in_flight: 0 });
            self.queues.len() - 1
        });
        at as QueueIndex
    }

    /// Adds the next account.
    pub(super) fn add(&mut self, queue: QueueIndex, due: Instant) {
        let index = self.accounts.len() as Index;
        self.accounts.push(Entry { queue, due: None });
        self.schedule(index, due);
    }

    /// The tenant and the way of a queue.
    pub(super) fn way(&self, queue: QueueIndex) -> (&str, &Way) {
        let queue = &self.queues[queue as usize];
        (&queue.tenant, &queue.way)
    }

    /// An account is due at this time, and not before.
    pub(super) fn schedule(&mut self, account: Index, due: Instant) {
        let entry = &mut self.accounts[account as usize];
        entry.due = Some(due);
        self.queues[entry.queue as usize].due.entry(due).or_default().push_back(account);
    }

    /// An account stands in another queue from now on.
    pub(super) fn move_to(&mut self, account: Index, queue: QueueIndex) {
        self.accounts[account as usize] = Entry { queue, due: None };
    }

    /// An account is asked for as soon as possible, unless that is under way.
    pub(super) fn hasten(&mut self, account: Index, now: Instant) {
        if self.accounts[account as usize].due.is_some_and(|due| due > now) {
            self.schedule(account, now);
        }
    }

    /// A poll has ended; its accounts are scheduled again by the caller.
    pub(super) fn ended(&mut self, queue: QueueIndex) {
        self.queues[queue as usize].in_flight -= 1;
    }

    /// The next poll that is due, if there is one. Whoever was due first comes first.
    pub(super) fn next(&mut self, now: Instant) -> Option<Poll> {
        let queue = (0..self.queues.len())
            .filter_map(|at| Some((self.first_due(at)?, at)))
            .min()
            .filter(|(due, _)| *due <= now)
            .map(|(_, at)| at)?;
        let horizon = now + self.company;
        let size = self.queues[queue].way.size();
        let mut accounts = Vec::new();
        while accounts.len() < size && self.first_due(queue).is_some_and(|due| due <= horizon) {
            let account = self.queues[queue].pop().expect("the first was just looked at");
            self.accounts[account as usize].due = None;
            accounts.push(account);
        }
        self.queues[queue].in_flight += 1;
        Some(Poll { queue: queue as QueueIndex, accounts })
    }

    /// When [`Self::next`] has something to say, unless a poll ends before.
    pub(super) fn wake(&mut self) -> Option<Instant> {
        (0..self.queues.len()).filter_map(|at| self.first_due(at)).min()
    }

    /// When the first of a queue is due; none while the queue has enough polls under way.
    fn first_due(&mut self, at: usize) -> Option<Instant> {
        let queue = &mut self.queues[at];
        if queue.in_flight >= queue.way.most_in_flight() {
            return None;
        }
        while let Some((due, account)) = queue.first() {
            let entry = self.accounts[account as usize];
            if entry.due == Some(due) && entry.queue as usize == at {
                return Some(due);
            }
            queue.pop();
        }
        None
    }
}

impl Queue {
    /// The next entry, void or not.
    fn first(&self) -> Option<(Instant, Index)> {
        let (due, accounts) = self.due.first_key_value()?;
        Some((*due, *accounts.front()?))
    }

    fn pop(&mut self) -> Option<Index> {
        let mut first = self.due.first_entry()?;
        let account = first.get_mut().pop_front();
        if first.get().is_empty() {
            first.remove();
        }
        account
    }
}

#[cfg(test)]
mod tests {
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
        agenda.ended(poll.queue);
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
            agenda.ended(poll.queue);
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
        agenda.ended(polls[0].queue);
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
        agenda.ended(poll.queue);
        let queue = agenda.queue("contoso.com", Way::Batch(principal));
        agenda.move_to(0, queue);
        agenda.schedule(0, now);
        assert_eq!(agenda.next(now), Some(Poll { queue, accounts: vec![0] }));
    }

    #[test]
    fn who_signed_in_just_now_does_not_wait_for_the_next_turn() {
        let now = Instant::now();
        let mut agenda = agenda(Way::Own, 1, now);
        agenda.schedule(0, now + seconds(300));
        agenda.hasten(0, now + seconds(1));
        let poll = agenda.next(now + seconds(1)).unwrap();
        agenda.ended(poll.queue);
        agenda.schedule(0, now + seconds(400));
        assert_eq!(agenda.next(now + seconds(300)), None, "the old turn is void");
    }
}
