//! Graph's side of a running bridge: polls that are due are sent, and what they bring is taken.

use std::time::Duration;

use tokio::time::Instant;

use super::account::{Account, Changes, Known, Moment};
use super::agenda::{Index, Poll, Way};
use super::jobs::{self, Outcome, Question, Sent};
use super::monitor::Counter as Count;
use super::pace::{Beat, FRESH, SILENT};
use super::running::Bridge;
use super::sequence::Counter;
use super::sign_in::{Obstacle, Standing};
use super::talk::News;
use crate::entra::{self, Principal};
use crate::graph::Trouble;
use crate::presence::{ObjectId, Reading};
use crate::settings::User;

/// How many batches are halved in one of the bridge's rounds, which are five seconds: enough to find two
/// culprits among 650 people, and few beside Graph's limit when it is the endpoint that is wrong.
const HALVINGS: u8 = 20;

impl Bridge {
    /// Sends every poll that is due.
    pub(super) fn launch(&mut self) {
        let now = Instant::now();
        while let Some(poll) = self.agenda.next(now) {
            let beat = self.beat(&poll);
            self.send(Sent { beat, poll, begun: now });
        }
    }

    fn send(&mut self, sent: Sent) {
        let accounts = &sent.poll.accounts;
        let (tenant, way) = self.agenda.way(sent.poll.queue);
        let tenant = tenant.into();
        let board = self.board.write();
        let account = |index: &Index| &board.accounts[*index as usize];
        let ids = accounts.iter().filter_map(|index| account(index).user_id()).collect();
        let first = account(&accounts[0]);
        let user = self.settings.accounts.get(&first.name).and_then(|settings| match &settings.user {
            User::Name(name) => Some(&**name),
            User::Id(_) => None,
        });
        let question = Question::of(way, &first.name, ids, user);
        drop(board);
        self.jobs.push(jobs::poll(self.graph.clone(), self.store.clone(), tenant, sent, question));
    }

    /// The intervals after a poll: the same for all polls of a round, so that it stays together.
    fn beat(&mut self, poll: &Poll) -> Beat {
        if poll.leads {
            self.beats.insert(poll.queue, self.pace.beat(&mut self.rng));
        }
        self.beats[&poll.queue]
    }

    pub(super) fn on_poll(&mut self, sent: &Sent, at: Moment, outcome: Outcome) {
        let poll = &sent.poll;
        self.agenda.ended(poll);
        self.monitor.count(Count::Polls);
        self.monitor.set(Count::Throttled, self.graph.calls().throttled);
        match outcome {
            Outcome::Readings(Ok(readings)) => self.on_readings(sent, at, readings),
            Outcome::Id(Ok(id)) => self.on_id(poll, at, id),
            Outcome::Readings(Err(Trouble::Refused { .. })) if poll.accounts.len() > 1 && self.halved < HALVINGS => {
                return self.halve(sent, at);
            }
            Outcome::Readings(Err(Trouble::Refused { reason })) if poll.accounts.len() == 1 => {
                self.monitor.count(Count::Failures);
                self.move_to(poll, Way::Apart);
                self.on_unread(&poll.accounts, at, &reason);
            }
            Outcome::Readings(Err(trouble)) | Outcome::Id(Err(trouble)) => {
                self.monitor.count(Count::Failures);
                self.on_trouble(&poll.accounts, at, &trouble);
            }
        }
        self.agenda.resume(poll, at.instant);
        self.settle_if_complete();
    }

    /// Graph refuses this batch, whoever of it is the cause: each half is asked for by itself, until the
    /// culprit stands alone.
    fn halve(&mut self, sent: &Sent, at: Moment) {
        self.halved += 1;
        let accounts = &sent.poll.accounts;
        let (one, other) = accounts.split_at(accounts.len() / 2);
        for half in [one, other] {
            let poll = self.agenda.part(&sent.poll, half);
            self.send(Sent { poll, beat: sent.beat, begun: at.instant });
        }
    }

    /// The accounts of a poll by somebody's right are asked for in another way from now on.
    fn move_to(&mut self, poll: &Poll, way: fn(Principal) -> Way) {
        let (tenant, Way::Batch(by) | Way::Apart(by) | Way::Lookup(by)) = self.agenda.way(poll.queue) else { return };
        let (tenant, way) = (tenant.to_owned(), way(by.clone()));
        let queue = self.agenda.queue(&tenant, way);
        for &index in &poll.accounts {
            self.agenda.move_to(index, queue);
        }
    }

    fn on_readings(&mut self, sent: &Sent, at: Moment, readings: Vec<Reading>) {
        let Sent { poll, beat, begun } = sent;
        let active = self.pace.active;
        if let Way::Apart(_) = self.agenda.way(poll.queue).1 {
            self.move_to(poll, Way::Batch);
        }
        let own = *self.agenda.way(poll.queue).1 == Way::Own;
        let open = self.is_open();
        let mut readings = Readings::new(readings);
        let (mut turns, mut left_out, mut dues) = (Vec::new(), Vec::new(), Dues::default());
        let board = self.board.clone();
        let mut state = board.write();
        for &index in &poll.accounts {
            let account = &mut state.accounts[index as usize];
            if account.is_gone() {
                continue;
            }
            let reading = if own { readings.only() } else { readings.of(account.user_id()) };
            let Some(reading) = reading else {
                left_out.push(index);
                continue;
            };
            let counter = open.then_some(&mut self.counter);
            turns.extend(Turn::of(index, account, |account| account.answered(reading, at, counter)));
            let until_next = |presence| beat.until_next(presence, account.changed_lately(at.instant));
            dues.add(index, (*begun + account.presence().map_or(active, until_next)).max(at.instant));
        }
        drop(state);
        for (due, accounts) in dues.0 {
            self.agenda.schedule_all(&accounts, due);
        }
        for turn in turns {
            self.follow(turn);
        }
        if own {
            poll.accounts.iter().for_each(|index| self.note_writer(*index));
        }
        if !left_out.is_empty() {
            let reason =
                "Graph's answer leaves this user out: the object id is of another tenant, or the user has no presence";
            self.on_unread(&left_out, at, reason);
        }
    }

    /// Graph tells nothing of these people. When that is so for some polls it is taken as lasting, and as
    /// something for a person to mend.
    fn on_unread(&mut self, accounts: &[Index], at: Moment, reason: &str) {
        let board = self.board.write();
        let lasts = |index: &Index| board.accounts[*index as usize].failures() + 1 >= SILENT;
        let (lasting, passing): (Vec<_>, Vec<_>) = accounts.iter().copied().partition(lasts);
        drop(board);
        self.on_trouble(&passing, at, &Trouble::Retry { after: None, reason: reason.to_owned() });
        self.on_trouble(&lasting, at, &Trouble::NoSuchUser { reason: reason.to_owned() });
    }

    fn on_id(&mut self, poll: &Poll, at: Moment, id: ObjectId) {
        self.move_to(poll, Way::Batch);
        for &index in &poll.accounts {
            self.board.write().accounts[index as usize].identified(id);
            self.agenda.schedule(index, at.instant);
        }
    }

    fn on_trouble(&mut self, accounts: &[Index], at: Moment, trouble: &Trouble) {
        let Some(&first) = accounts.first() else { return };
        let obstacle = Obstacle::of(trouble);
        let reason = trouble.to_string();
        self.pulse.failed(&reason, at.wall);
        let failures = self.board.write().accounts[first as usize].failures().saturating_add(1);
        let wait = self.wait_after(trouble, obstacle.is_some(), failures);
        // Whoever asks for a poll has often just mended the cause: our own back-off gives way, Graph's word does not.
        let hold = at.instant + pause(trouble).unwrap_or(FRESH);
        for &index in accounts {
            let changes = self.update(index, |account, _| account.failed(obstacle.as_ref(), at));
            match (&obstacle, changes) {
                (Some(_), Changes { sign_in: true, .. }) => self.tell_of(News::SignIn, index, &reason),
                (None, Changes { state: true, .. }) => self.tell_of(News::Unknown, index, &reason),
                _ => {}
            }
            self.agenda.retry(index, at.instant + wait);
            self.agenda.hold(index, hold);
        }
        tracing::debug!(accounts = accounts.len(), failures, ?wait, "a poll failed: {reason}");
    }

    /// What Graph or Entra asked for, and a little more, so that not all come at once; else our own back-off.
    fn wait_after(&mut self, trouble: &Trouble, obstacle: bool, failures: u8) -> Duration {
        match pause(trouble) {
            Some(pause) => pause + self.pace.active.mul_f64(self.rng.f64() / 2.0),
            None if obstacle => self.pace.after_obstacle(failures, &mut self.rng),
            None => self.pace.after_failure(failures, &mut self.rng),
        }
    }

    /// Changes an account, and does what follows from the change.
    pub(super) fn update(
        &mut self,
        index: Index,
        change: impl FnOnce(&mut Account, Option<&mut Counter>) -> Changes,
    ) -> Changes {
        let open = self.is_open();
        let mut board = self.board.write();
        let account = &mut board.accounts[index as usize];
        if account.is_gone() {
            return Changes::default();
        }
        let turn = Turn::of(index, account, |account| change(account, open.then_some(&mut self.counter)));
        drop(board);
        turn.map_or_else(Changes::default, |turn| self.follow(turn))
    }

    fn follow(&mut self, Turn { index, known, needed, changes }: Turn) -> Changes {
        self.count(known, needed);
        if known == (Known::No, Known::Yes) {
            self.tell_of(News::Known, index, "");
        }
        if self.is_open() {
            self.apply(index, changes);
        }
        changes
    }
}

/// For how long Graph or Entra asked not to be asked.
fn pause(trouble: &Trouble) -> Option<Duration> {
    match trouble {
        Trouble::Retry { after, .. } | Trouble::Token(entra::Trouble::Retry { after, .. }) => *after,
        _ => None,
    }
}

/// What became of an account, before and after.
struct Turn {
    index: Index,
    known: (Known, Known),
    needed: (bool, bool),
    changes: Changes,
}

impl Turn {
    /// None where nothing follows from it: so it is for nearly everybody of a batch.
    fn of(index: Index, account: &mut Account, change: impl FnOnce(&mut Account) -> Changes) -> Option<Self> {
        let seen = |account: &Account| {
            let needed = account.sign_in().is_some_and(|sign_in| sign_in.state != Standing::Ok);
            (account.known(), needed)
        };
        let (known, needed) = seen(account);
        let changes = change(account);
        let (known_now, needed_now) = seen(account);
        let is_news = changes != Changes::default() || (known, needed) != (known_now, needed_now);
        is_news.then_some(Self { index, known: (known, known_now), needed: (needed, needed_now), changes })
    }
}

/// Who is due when: the accounts of a batch share one time or two.
#[derive(Default)]
struct Dues(Vec<(Instant, Vec<Index>)>);

impl Dues {
    fn add(&mut self, index: Index, due: Instant) {
        match self.0.iter_mut().find(|(at, _)| *at == due) {
            Some((_, accounts)) => accounts.push(index),
            None => self.0.push((due, vec![index])),
        }
    }
}

/// What Graph answered about several people.
struct Readings {
    list: Vec<Reading>,
    /// Where the next one is, while they come in the order of the question.
    next: usize,
    sorted: bool,
}

impl Readings {
    fn new(list: Vec<Reading>) -> Self {
        Self { list, next: 0, sorted: false }
    }

    /// The one that was asked for alone.
    fn only(&self) -> Option<&Reading> {
        self.list.last()
    }

    /// A user's. Graph does not promise to keep the order of the question: where it does not, the list is sorted.
    fn of(&mut self, user_id: Option<ObjectId>) -> Option<&Reading> {
        let user_id = Some(user_id?);
        let is_next = self.list.get(self.next).is_some_and(|reading| reading.user_id == user_id);
        if is_next && !self.sorted {
            self.next += 1;
            return self.list.get(self.next - 1);
        }
        if !self.sorted {
            self.list.sort_unstable_by_key(|reading| reading.user_id);
            self.sorted = true;
        }
        let at = self.list.binary_search_by_key(&user_id, |reading| reading.user_id).ok()?;
        self.list.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::{Activity, Availability, Presence};

    #[test]
    fn each_account_gets_its_own_reading_in_whatever_order_they_come() {
        let ids: Vec<ObjectId> =
            (1..=4).map(|n| format!("00000000-0000-4000-8000-00000000000{n}").parse().unwrap()).collect();
        let presence = Presence::new(Availability::BUSY, Activity::BUSY);
        let reading = |id: &ObjectId| Reading { user_id: Some(*id), presence: presence.clone(), number: None };
        for answered in [[0, 1, 2], [2, 1, 0], [0, 2, 1]] {
            let mut readings = Readings::new(answered.iter().map(|at| reading(&ids[*at])).collect());
            let mut found = |id| readings.of(id).and_then(|reading| reading.user_id);
            let asked = [Some(ids[0]), Some(ids[1]), Some(ids[1]), Some(ids[3]), None, Some(ids[2])];
            let expected = [Some(ids[0]), Some(ids[1]), Some(ids[1]), None, None, Some(ids[2])];
            assert_eq!(asked.map(&mut found), expected, "answered in the order {answered:?}");
        }
    }
}
