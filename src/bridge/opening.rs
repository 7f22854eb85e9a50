//! The start of a bridge, once it knows what the broker holds: first the accounts, then `online`.

use super::account::{Changes, Known, Moment};
use super::agenda::Index;
use super::board::Board;
use super::layout::Place;
use super::readback::ReadBack;
use super::running::{Bridge, Phase, SETTLE};

impl Bridge {
    /// What the broker holds is known, and the base topic is ours: from now on presences are published.
    pub(super) fn open(&mut self) {
        if !self.reserved {
            self.phase = Phase::Read;
            return;
        }
        let now = Moment::now();
        let orphans = self.found.as_mut().map(ReadBack::take_orphans).unwrap_or_default();
        let (count, words) = {
            let mut board = self.board.write();
            for account in &mut board.accounts {
                account.open(now.wall, &mut self.counter);
            }
            board.words = orphans.words;
            board.open = true;
            (board.accounts.len() as Index, board.words.len())
        };
        if orphans.cleared > 0 {
            tracing::info!("clearing {} retained topics of accounts that are not configured any more", orphans.cleared);
        }
        self.strangers = orphans.left;
        for account in orphans.enrolled {
            tracing::info!(%account, "enrolled with a store that is lost; its topics stay, offline: graph2mqtt discovery clear");
        }
        self.phase = Phase::Settling { until: now.instant.max(self.begun + SETTLE) };
        self.touch(Place::Info);
        for index in 0..count {
            self.apply(index, Changes { presence: true, state: true, sign_in: true });
        }
        for at in 0..words {
            self.touch(Place::Word(at));
        }
        self.settle_if_complete();
    }

    /// Every account was asked for: says `online`.
    pub(super) fn settle_if_complete(&mut self) {
        let complete = |board: &Board| board.write().accounts.iter().all(|account| account.known() != Known::NotYet);
        if matches!(self.phase, Phase::Settling { .. }) && complete(&self.board) {
            self.settle();
        }
    }

    pub(super) fn settle(&mut self) {
        let count = self.board.write().accounts.len() as Index;
        for index in 0..count {
            let changes = self.board.write().accounts[index as usize].settle();
            self.apply(index, changes);
        }
        self.board.write().online = true;
        self.phase = Phase::Running;
        self.touch(Place::State);
        self.touch_devices();
        self.write_health();
        self.found = None;
        tracing::info!(accounts = self.accounts(), online = self.online, "the bridge is online");
    }
}
