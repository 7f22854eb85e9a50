//! Accounts that come and go while the bridge runs: those that enrolled stand in the store, and the
//! store tells every few seconds who came and who went.
//!
//! An account that is gone keeps its place, from which its topics are cleared, until that has surely
//! reached the broker. So whatever happens meanwhile, one topic is never written from two places.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::account::{Account, Changes};
use super::agenda::{Index, Way};
use super::board::Enrolled;
use super::layout::Place;
use super::monitor::Counter as Count;
use super::running::{Bridge, Phase};
use super::{info, jobs, plan};
use crate::entra::Trouble;
use crate::mqtt::Wanted;
use crate::presence::{AccountName, ObjectId};
use crate::settings::{Settings, Via};
use crate::store::{Holder, News, Origin};

/// How long a connection has to stand after a departure, until what clears its topics has surely been
/// acknowledged: changes are sent before everything else.
const SURE: Duration = Duration::from_secs(60);

/// The accounts with which a bridge starts.
pub(super) struct Crew {
    /// Those of the configuration in the order of their names, then those of the store.
    pub(super) accounts: Vec<Account>,
    pub(super) enrolled: BTreeMap<AccountName, Enrolled>,
}

impl Crew {
    /// Where those stand that are gone.
    pub(super) fn gone(&self) -> impl Iterator<Item = Index> {
        let places = self.accounts.iter().enumerate();
        places.filter(|(_, account)| account.is_gone()).map(|(index, _)| index as Index)
    }
}

/// Who left, and whose place can be taken.
#[derive(Debug, Default)]
pub(super) struct Places {
    departing: VecDeque<(Instant, Index)>,
    free: Vec<Index>,
    /// Since when the connection stands.
    connected: Option<Instant>,
}

impl Places {
    /// The connection was made, or lost.
    pub(super) fn connected(&mut self, since: Option<Instant>) {
        self.connected = since;
    }

    /// An account left its place, whose topics are to be cleared.
    pub(super) fn departs(&mut self, index: Index, now: Instant) {
        self.departing.push_back((now, index));
    }

    /// It came back.
    fn returns(&mut self, index: Index) {
        self.departing.retain(|(_, place)| *place != index);
    }

    /// The next account whose topics are surely cleared. Told once: its place is free then.
    fn cleared(&mut self, now: Instant) -> Option<Index> {
        let (at, index) = *self.departing.front()?;
        let quiet = now.checked_duration_since(self.connected?.max(at))?;
        if quiet < SURE {
            return None;
        }
        self.departing.pop_front();
        self.free.push(index);
        Some(index)
    }

    /// A free place about which nothing is under way.
    fn take(&mut self, is_busy: impl Fn(Index) -> bool) -> Option<Index> {
        let at = self.free.iter().rposition(|index| !is_busy(*index))?;
        Some(self.free.swap_remove(at))
    }
}

/// The accounts by whose right others are read.
pub(super) fn readers(settings: &Settings) -> BTreeSet<AccountName> {
    let other = |via: &Via| if let Via::Account(other) = via { Some(other.clone()) } else { None };
    settings.accounts.values().filter_map(|account| other(&account.via)).collect()
}

impl Bridge {
    /// The store's grants changed, by whichever process.
    pub(super) fn on_news(&mut self, news: News) {
        self.revision = news.revision;
        let now = Instant::now();
        let mut done = Vec::new();
        for holder in news.came {
            match holder.origin {
                Origin::Configured => self.on_grant_changed(&holder.account, now),
                Origin::Enrolled => self.comes(holder, now),
            }
        }
        for (account, origin) in news.gone {
            match origin {
                Origin::Configured => {
                    self.on_grant_changed(&account, now);
                    done.push(account);
                }
                Origin::Enrolled => self.goes(&account, now),
            }
        }
        self.forget_departed(done);
        self.crew_changed();
        self.look_tenants_up();
    }

    /// A configured account was signed in, or its grant removed: it and all whom it reads for are asked
    /// for at once.
    pub(super) fn on_grant_changed(&mut self, name: &AccountName, now: Instant) {
        let configured = self.settings.accounts.get(name);
        if configured.is_some_and(|account| account.via == Via::SignIn)
            && let Some(index) = self.board.write().index(name)
        {
            self.agenda.hasten(index, now);
        }
        if self.readers.contains(name) {
            for (index, account) in self.settings.accounts.values().enumerate() {
                if matches!(&account.via, Via::Account(other) if other == name) {
                    self.agenda.hasten(index as Index, now);
                }
            }
        }
    }

    /// Somebody enrolled, or signed in again.
    fn comes(&mut self, holder: Holder, now: Instant) {
        let Holder { account: name, tenant_id, object_id, username, .. } = holder;
        let place = {
            let board = self.board.write();
            board.index(&name).map(|index| (index, board.accounts[index as usize].is_gone()))
        };
        if let Some((index, false)) = place {
            return self.agenda.hasten(index, now);
        }
        let index = match place {
            Some((index, _)) => {
                self.places.returns(index);
                index
            }
            None => self.places.take(|index| self.agenda.is_asked(index)).unwrap_or_else(|| self.next_place()),
        };
        tracing::info!(account = %name, user = %username, "enrolled");
        let queue = self.agenda.queue(&tenant_id.as_str(), Way::Own);
        if self.board.seat(index, Account::new(name, Some(object_id)), username.into()) {
            self.renumbered();
        }
        self.enrolled += 1;
        self.agenda.restore(index, queue, now);
        if matches!(self.phase, Phase::Running) {
            self.touch(Place::Device(index));
        }
    }

    fn next_place(&mut self) -> Index {
        self.agenda.add_nowhere();
        self.board.write().accounts.len() as Index
    }

    /// Every slot stands for something else: what waits to be sent is not to be told apart any more.
    fn renumbered(&mut self) {
        if let Some(found) = &mut self.found {
            found.renumbered(self.board.slots());
        }
        self.disturbed.clear();
        self.connection.all_changed();
    }

    /// An account that enrolled is there no more: nobody asks for it, and its topics are cleared.
    fn goes(&mut self, name: &AccountName, now: Instant) {
        let index = self.board.write().index(name);
        let Some(index) = index else { return };
        let left = self.update(index, |account, _| {
            *account = Account::gone(account.name.clone());
            Changes { presence: true, state: true, sign_in: true }
        });
        if left == Changes::default() {
            return;
        }
        tracing::info!(account = %name, "removed; its topics are cleared");
        self.enrolled -= 1;
        self.agenda.remove(index);
        self.places.departs(index, now);
        if matches!(self.phase, Phase::Running) {
            self.touch(Place::Device(index));
        }
    }

    /// Accounts that enrolled stand in tenants by id, those of the configuration in tenants as they are
    /// named there: both share the tenant's limit, so the ids of these names are asked for. (All of
    /// `organizations` keep one limit together.)
    pub(super) fn look_tenants_up(&mut self) {
        if self.enrolled == 0 {
            return;
        }
        for name in std::mem::take(&mut self.tenants) {
            self.jobs.push(jobs::tenant(self.tokens.clone(), name));
        }
    }

    pub(super) fn on_tenant(&mut self, name: Box<str>, id: Result<ObjectId, Trouble>) {
        match id {
            Ok(id) => self.graph.same_tenant(&name, &id.as_str()),
            Err(trouble) => {
                tracing::debug!("{trouble}");
                self.tenants.push(name);
            }
        }
    }

    /// What depends on how many accounts there are; and `bridge/info`, whatever changed in it.
    pub(super) fn crew_changed(&mut self) {
        self.staleness = plan::staleness(&self.settings, self.configured.own + self.enrolled);
        let count = self.accounts();
        self.monitor.set(Count::Accounts, u64::from(count));
        let level = self.control.log.as_ref().map(|log| log.level());
        let info = info::info(&self.settings, &self.instance, count, level);
        let changed = std::mem::replace(&mut self.board.write().info, info.clone()) != info;
        if changed && self.is_open() {
            self.touch(Place::Info);
        }
    }

    /// How many accounts there are.
    pub(super) fn accounts(&self) -> u32 {
        self.configured.own + self.configured.others + self.enrolled
    }

    /// Departures whose topics are cleared need not be remembered any more.
    pub(super) fn clear_places(&mut self, now: Instant) {
        let mut done = Vec::new();
        while let Some(index) = self.is_open().then(|| self.places.cleared(now)).flatten() {
            done.push(self.board.write().accounts[index as usize].name.clone());
        }
        self.forget_departed(done);
    }

    fn forget_departed(&mut self, accounts: Vec<AccountName>) {
        if !accounts.is_empty() {
            self.jobs.push(jobs::forget_departed(self.store.clone(), accounts));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_when_the_connection_stood_for_a_while_since_its_account_left() {
        let (mut places, start) = (Places::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        places.departs(7, at(0));
        places.departs(8, at(50));
        assert_eq!(places.cleared(at(1_000)), None, "there is no connection");
        places.connected(Some(at(1_000)));
        assert_eq!(places.cleared(at(1_059)), None);
        places.connected(Some(at(1_020)));
        assert_eq!(places.cleared(at(1_079)), None, "it was made anew meanwhile");
        assert_eq!([1_080; 3].map(|now| places.cleared(at(now))), [Some(7), Some(8), None]);
        assert_eq!(places.take(|index| index == 8), Some(7), "an answer for the other is still awaited");
        assert_eq!([places.take(|_| false), places.take(|_| false)], [Some(8), None]);
    }

    #[test]
    fn who_comes_back_keeps_the_place() {
        let (mut places, start) = (Places::default(), Instant::now());
        places.connected(Some(start));
        places.departs(7, start);
        places.returns(7);
        assert_eq!(places.cleared(start + SURE), None);
    }
}
