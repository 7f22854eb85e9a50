//! From the configuration to the accounts and the queues in which they stand.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::account::Account;
use super::agenda::{Agenda, Index, QueueIndex, Way};
use super::board::Enrolled;
use super::crew::Crew;
use crate::entra::Principal;
use crate::presence::ObjectId;
use crate::settings::{self, Settings, User, Via};
use crate::store::{Holder, News, Origin};

/// How much sooner than it is due an account goes along in a batch: a fifth of the active interval,
/// so that batches stay full and are at most five times as many as they need to be.
const COMPANY: u32 = 5;

/// The accounts of the configuration and of the store, all of them due now; and those that departed, whose
/// topics are to be cleared.
pub(super) fn plan(settings: &Settings, roll: News, now: Instant) -> (Crew, Agenda) {
    let mut agenda = Agenda::new(settings.graph.active / COMPANY);
    let accounts = settings.accounts.iter().map(|(name, account)| {
        let queue = queue(&mut agenda, settings, account);
        agenda.add(queue, now);
        Account::new(name.clone(), configured_id(account))
    });
    let mut accounts: Vec<Account> = accounts.collect();
    let mut enrolled = BTreeMap::new();
    for Holder { account, tenant_id, object_id, username, .. } in roll.came {
        let queue = agenda.queue(&tenant_id.as_str(), Way::Own);
        agenda.add(queue, now);
        enrolled.insert(account.clone(), Enrolled { index: accounts.len() as Index, username: username.into() });
        accounts.push(Account::new(account, Some(object_id)));
    }
    for (account, _) in roll.gone.into_iter().filter(|(_, origin)| *origin == Origin::Enrolled) {
        agenda.add_nowhere();
        enrolled.insert(account.clone(), Enrolled { index: accounts.len() as Index, username: "".into() });
        accounts.push(Account::gone(account));
    }
    (Crew { accounts, enrolled }, agenda)
}

fn queue(agenda: &mut Agenda, settings: &Settings, account: &settings::Account) -> QueueIndex {
    let tenant = tenant(settings, account);
    let way = match (principal(tenant, account), &account.user) {
        (None, _) => Way::Own,
        (Some(principal), User::Id(_)) => Way::Batch(principal),
        (Some(principal), User::Name(_)) => Way::Lookup(principal),
    };
    agenda.queue(tenant, way)
}

/// By whose right the account is read; none for its own.
fn principal(tenant: &str, account: &settings::Account) -> Option<Principal> {
    match &account.via {
        Via::SignIn => None,
        Via::App => Some(Principal::Application(tenant.into())),
        Via::Account(other) => Some(Principal::Account(other.clone())),
    }
}

/// The unit of Graph's limit.
fn tenant<'a>(settings: &'a Settings, account: &'a settings::Account) -> &'a str {
    let own = account.tenant.as_deref();
    own.or(settings.entra.as_ref().map(|entra| entra.tenant.as_str())).unwrap_or_default()
}

fn configured_id(account: &settings::Account) -> Option<ObjectId> {
    match account.user {
        User::Id(id) => Some(id),
        User::Name(_) => None,
    }
}

/// How many accounts of the configuration are asked for one by one, and how many otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) own: u32,
    pub(super) others: u32,
}

impl Counts {
    pub(super) fn of(settings: &Settings) -> Self {
        let own = settings.accounts.values().filter(|account| account.via == Via::SignIn).count();
        Self { own: own as u32, others: (settings.accounts.len() - own) as u32 }
    }
}

/// The tenants that the configuration names by a domain.
pub(super) fn domains(settings: &Settings) -> Vec<Box<str>> {
    let named: BTreeSet<&str> = settings.accounts.values().map(|account| tenant(settings, account)).collect();
    let is_domain = |name: &&str| name.contains('.') && name.parse::<ObjectId>().is_err();
    named.into_iter().filter(is_domain).map(Box::from).collect()
}

/// How old an answer may grow before the presence counts as unknown although no poll failed: two
/// minutes, longer where the quiet interval is, or where Graph's limit makes a round of all accounts longer.
///
/// `own`: how many are asked for one by one.
pub(super) fn staleness(settings: &Settings, own: u32) -> Duration {
    const AT_LEAST: Duration = Duration::from_secs(120);
    /// What one call of its own costs of Graph's limit: 30 s for 1,500 of them, and some.
    const TURN: Duration = Duration::from_millis(22);
    let round = TURN * own;
    AT_LEAST.max(settings.graph.quiet.max(round) * 3)
}
