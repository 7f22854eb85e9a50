//! Accounts as people on the page see them: read from the running bridge, a few at a time.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::account::{Account, Known};
use super::board::State;
use super::monitor::Monitor;
use super::sign_in::Standing;
use crate::entra::Remedy;
use crate::presence::{AccountName, Activity, Availability};

/// An account at one moment.
#[derive(Debug, Clone)]
pub struct AccountView {
    /// Its name.
    pub name: AccountName,
    /// The name that the person signed in with, where the account is not configured but enrolled.
    pub enrolled: Option<Box<str>>,
    /// Whether its presence is known; none before it was asked for.
    pub known: Option<bool>,
    /// What it was last; none where nothing was ever heard.
    pub status: Option<(Availability, Activity)>,
    /// How long ago Graph last answered this process.
    pub heard: Option<Duration>,
    /// What stands in the way of its sign-in, and the remedy; none where nothing does.
    pub obstacle: Option<Obstacle>,
}

/// What stands in the way.
#[derive(Debug, Clone)]
pub struct Obstacle {
    /// Whether signing in or consenting mends it; otherwise an administrator has to do something.
    pub needs_sign_in: bool,
    /// What is wrong.
    pub reason: Option<Arc<str>>,
    /// Where somebody signs in so that it is mended, in words.
    pub remedy: Option<Arc<Remedy>>,
    /// Where it can be mended, when that is a page.
    pub url: Option<Arc<str>>,
    /// Since when this is so.
    pub since: Timestamp,
}

/// Some of the accounts.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Those that need somebody first, then those that are not known, then the rest; each by name.
    pub accounts: Vec<AccountView>,
    /// How many there are that fit.
    pub total: usize,
}

impl Monitor {
    /// One account; none where it is not the bridge's, or the bridge has not started.
    pub fn account(&self, name: &AccountName) -> Option<AccountView> {
        let board = self.board()?;
        let state = board.write();
        let index = state.index(name)?;
        let account = state.accounts.get(index as usize).filter(|account| !account.is_gone())?;
        Some(view(&state, account))
    }

    /// The accounts that fit by their name, or by the one that somebody enrolled with; at most so many.
    pub fn accounts(&self, fits: impl Fn(&AccountName, Option<&str>) -> bool, most: usize) -> Listing {
        let Some(board) = self.board() else { return Listing::default() };
        let state = board.write();
        let name_of = |name: &AccountName| state.enrolled.get(name).map(|enrolled| &*enrolled.username);
        let is_there = |account: &&Account| !account.is_gone() && fits(&account.name, name_of(&account.name));
        let fitting = || state.accounts.iter().filter(is_there);
        let ranked = (0..=2).flat_map(|rank| fitting().filter(move |account| self::rank(account) == rank));
        Listing { accounts: ranked.take(most).map(|account| view(&state, account)).collect(), total: fitting().count() }
    }
}

/// How much it needs somebody: 0 most.
fn rank(account: &Account) -> u8 {
    match (account.sign_in(), account.known()) {
        (Some(sign_in), _) if sign_in.state != Standing::Ok => 0,
        (_, Known::Yes) => 2,
        _ => 1,
    }
}

fn view(state: &State, account: &Account) -> AccountView {
    let obstacle = account.sign_in().filter(|sign_in| sign_in.state != Standing::Ok).map(|sign_in| Obstacle {
        needs_sign_in: sign_in.state != Standing::Blocked,
        reason: sign_in.reason.clone(),
        remedy: sign_in.remedy.clone(),
        url: sign_in.url.clone(),
        since: sign_in.since,
    });
    AccountView {
        name: account.name.clone(),
        enrolled: state.enrolled.get(&account.name).map(|enrolled| enrolled.username.clone()),
        known: match account.known() {
            Known::NotYet => None,
            Known::Yes => Some(true),
            Known::No | Known::Gone => Some(false),
        },
        status: account.presence().map(|presence| (presence.availability.clone(), presence.activity.clone())),
        heard: account.last_answer().map(|answered| answered.elapsed()),
        obstacle,
    }
}
