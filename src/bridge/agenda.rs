//! Who is asked for when, and with whom together. Pure: time is passed in.
//!
//! Each account stands in one queue, ordered by when it is due; the queues of a tenant meet only at
//! Graph's limit. While an account is asked for it stands in none, so it is never asked for twice at
//! once, and however late the agenda is looked at, each account is due once, not once for each missed turn.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
    /// By this principal's right too, but each by itself: whoever makes Graph refuse a whole batch.
    Apart(Principal),
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
            Self::Batch(_) | Self::Apart(_) | Self::Lookup(_) => 4,
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
    /// Until when accounts that are due go along in the round that is under way, or was last.
    round: Option<Instant>,
}

/// A poll to be made now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Poll {
    pub(super) queue: QueueIndex,
    pub(super) accounts: Vec<Index>,
    /// Whether a round begins with it. Batches that are due soon go along with the first, one behind the
    /// other: twenty thousand accounts wake the machine once, not thirty times.
    pub(super) leads: bool,
}

/// When an account is due, and in which queue.
#[derive(Debug, Clone, Copy)]
struct Entry {
    queue: QueueIndex,
    /// None while it is asked for. Entries of the queue that say another time are void.
    due: Option<Instant>,
    /// Whether it is asked for.
    asked: bool,
}

/// How far behind a round somebody is who is not to go along in it: the least there is.
const BEHIND: Duration = Duration::from_nanos(1);

/// The queue of accounts that nobody asks for any more.
const NOWHERE: QueueIndex = QueueIndex::MAX;

/// All queues.
#[derive(Debug)]
pub(super) struct Agenda {
    queues: Vec<Queue>,
    accounts: Vec<Entry>,
    /// Accounts that are asked for and are to be asked for once more at once: an answer on its way may be old.
    again: BTreeSet<Index>,
    /// Accounts that failed, and before when nobody's wish hastens them.
    held: BTreeMap<Index, Instant>,
    /// Accounts that are due within this time go along in a batch.
    company: Duration,
}

impl Agenda {
    /// An agenda for accounts that are added in the order of their indices.
    pub(super) fn new(company: Duration) -> Self {
        Self { queues: Vec::new(), accounts: Vec::new(), again: BTreeSet::new(), held: BTreeMap::new(), company }
    }

    /// The queue of a tenant for one way of asking; made when it is new.
    pub(super) fn queue(&mut self, tenant: &str, way: Way) -> QueueIndex {
        let found = self.queues.iter().position(|queue| queue.way == way && *queue.tenant == *tenant);
        let at = found.unwrap_or_else(|| {
            self.queues.push(Queue { tenant: tenant.into(), way, due: BTreeMap::new(), in_flight: 0, round: None });
            self.queues.len() - 1
        });
        at as QueueIndex
    }

    /// Adds the next account.
    pub(super) fn add(&mut self, queue: QueueIndex, due: Instant) {
        let index = self.accounts.len() as Index;
        self.accounts.push(Entry { queue, due: None, asked: false });
        self.schedule(index, due);
    }

    /// Adds the next account, which nobody asks for.
    pub(super) fn add_nowhere(&mut self) {
        self.accounts.push(Entry { queue: NOWHERE, due: None, asked: false });
    }

    /// Nobody asks for an account any more. What is under way ends by itself.
    pub(super) fn remove(&mut self, account: Index) {
        let entry = &mut self.accounts[account as usize];
        (entry.queue, entry.due) = (NOWHERE, None);
        self.again.remove(&account);
        self.held.remove(&account);
    }

    /// A removed account, or another one in its place, is asked for from now on.
    pub(super) fn restore(&mut self, account: Index, queue: QueueIndex, now: Instant) {
        self.move_to(account, queue);
        if self.is_asked(account) {
            self.again.insert(account);
        } else {
            self.schedule(account, now);
        }
    }

    /// Whether a poll for the account is under way.
    pub(super) fn is_asked(&self, account: Index) -> bool {
        self.accounts[account as usize].asked
    }

    /// The tenant and the way of a queue.
    pub(super) fn way(&self, queue: QueueIndex) -> (&str, &Way) {
        let queue = &self.queues[queue as usize];
        (&queue.tenant, &queue.way)
    }

    /// The tenant and the way of an account's queue, where it stands in one.
    pub(super) fn way_of(&self, account: Index) -> Option<(&str, &Way)> {
        let queue = self.accounts.get(account as usize)?.queue;
        self.queues.get(queue as usize).map(|queue| (&*queue.tenant, &queue.way))
    }

    /// An account is due at this time, and not before. One that was removed stays so.
    pub(super) fn schedule(&mut self, account: Index, due: Instant) {
        self.schedule_all(&[account], due);
    }

    /// After a poll that failed: as [`Self::schedule`], but not in the round that is under way.
    pub(super) fn retry(&mut self, account: Index, due: Instant) {
        let queue = self.queues.get(self.accounts[account as usize].queue as usize);
        let round = queue.filter(|queue| queue.goes_along(due)).and_then(|queue| queue.round);
        self.schedule(account, round.map_or(due, |round| round + BEHIND));
    }

    /// These accounts, nearly all of them of one queue, are due at this time, and not before.
    pub(super) fn schedule_all(&mut self, accounts: &[Index], due: Instant) {
        let mut rest = accounts;
        while let Some((first, _)) = rest.split_first() {
            let at = self.accounts[*first as usize].queue;
            let beside = rest.iter().take_while(|account| self.accounts[**account as usize].queue == at).count();
            let (together, behind) = rest.split_at(beside);
            rest = behind;
            let Some(queue) = self.queues.get_mut(at as usize) else { continue };
            queue.due.entry(due).or_default().extend(together);
            for account in together {
                self.accounts[*account as usize].due = Some(due);
            }
        }
    }

    /// An account stands in another queue from now on.
    pub(super) fn move_to(&mut self, account: Index, queue: QueueIndex) {
        let entry = &mut self.accounts[account as usize];
        (entry.queue, entry.due) = (queue, None);
    }

    /// An account is asked for as soon as possible; where that is under way, once more behind it.
    pub(super) fn hasten(&mut self, account: Index, now: Instant) {
        let entry = self.accounts[account as usize];
        let soonest = self.soonest(account, now);
        if entry.asked && entry.queue != NOWHERE {
            self.again.insert(account);
        } else if entry.due.is_some_and(|due| due > soonest) {
            self.schedule(account, soonest);
        }
    }

    /// Nobody's wish makes that an account is asked for before this time, until it was asked for again.
    pub(super) fn hold(&mut self, account: Index, until: Instant) {
        self.held.insert(account, until);
    }

    fn soonest(&self, account: Index, now: Instant) -> Instant {
        self.held.get(&account).map_or(now, |until| now.max(*until))
    }

    /// Some accounts of a poll that has ended are asked for at once, by themselves.
    pub(super) fn part(&mut self, poll: &Poll, accounts: &[Index]) -> Poll {
        self.queues[poll.queue as usize].in_flight += 1;
        for account in accounts {
            self.accounts[*account as usize].asked = true;
        }
        Poll { queue: poll.queue, accounts: accounts.to_vec(), leads: false }
    }

    /// A poll has ended; its accounts are scheduled again by the caller, and by [`Self::resume`].
    pub(super) fn ended(&mut self, poll: &Poll) {
        self.queues[poll.queue as usize].in_flight -= 1;
        for account in &poll.accounts {
            self.accounts[*account as usize].asked = false;
        }
        if !self.held.is_empty() {
            for account in &poll.accounts {
                self.held.remove(account);
            }
        }
    }

    /// What came of a poll was taken: those who were to be asked for once more are due now.
    pub(super) fn resume(&mut self, poll: &Poll, now: Instant) {
        if self.again.is_empty() {
            return;
        }
        for account in &poll.accounts {
            if self.again.remove(account) {
                self.schedule(*account, self.soonest(*account, now));
            }
        }
    }

    /// The next poll that is due, if there is one. Whoever was due first comes first.
    pub(super) fn next(&mut self, now: Instant) -> Option<Poll> {
        let queues = 0..self.queues.len();
        let first = queues.filter_map(|at| {
            let due = self.first_due(at)?;
            (due <= now || self.queues[at].goes_along(due)).then_some((due, at))
        });
        let (due, at) = first.min()?;
        let accounts = self.take(at, now + self.company);
        let queue = &mut self.queues[at];
        queue.in_flight += 1;
        let leads = !queue.goes_along(due);
        if leads {
            queue.round = Some(now + self.company);
        }
        Some(Poll { queue: at as QueueIndex, accounts, leads })
    }

    /// Takes those of a queue who are due until then, as many as one call asks for.
    fn take(&mut self, at: usize, horizon: Instant) -> Vec<Index> {
        let Queue { due, way, .. } = &mut self.queues[at];
        let mut taken = Vec::new();
        while let Some(mut first) = due.first_entry().filter(|first| *first.key() <= horizon) {
            let (due, waiting) = (*first.key(), first.get_mut());
            let is_void = |entry: &Entry| entry.due != Some(due) || entry.queue as usize != at;
            while taken.len() < way.size() {
                let Some(account) = waiting.pop_front() else { break };
                let entry = &mut self.accounts[account as usize];
                if !is_void(entry) {
                    (entry.due, entry.asked) = (None, true);
                    taken.push(account);
                }
            }
            if !waiting.is_empty() {
                break;
            }
            first.remove();
        }
        taken
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
    /// Whether somebody who is due then goes along in the round. Single ones keep their own times.
    fn goes_along(&self, due: Instant) -> bool {
        self.way.size() > 1 && self.round.is_some_and(|until| due <= until)
    }

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
mod tests;
