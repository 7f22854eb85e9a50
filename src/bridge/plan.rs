//! From the configuration to the accounts and the queues in which they stand.

use std::time::Duration;

use tokio::time::Instant;

use super::account::Account;
use super::agenda::{Agenda, QueueIndex, Way};
use crate::entra::Principal;
use crate::presence::ObjectId;
use crate::settings::{self, Settings, User, Via};

/// How much sooner than it is due an account goes along in a batch: a fifth of the active interval,
/// so that batches stay full and are at most five times as many as they need to be.
const COMPANY: u32 = 5;

/// The accounts in the order of their names, all of them due now.
pub(super) fn plan(settings: &Settings, now: Instant) -> (Vec<Account>, Agenda) {
    let mut agenda = Agenda::new(settings.graph.active / COMPANY);
    let accounts = settings.accounts.iter().map(|(name, account)| {
        let queue = queue(&mut agenda, settings, account);
        agenda.add(queue, now);
        Account::new(name.clone(), configured_id(account))
    });
    let accounts = accounts.collect();
    (accounts, agenda)
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

/// How old an answer may grow before the presence counts as unknown although no poll failed: two
/// minutes, longer where the quiet interval is, or where Graph's limit makes a round of all accounts longer.
pub(super) fn staleness(settings: &Settings) -> Duration {
    const AT_LEAST: Duration = Duration::from_secs(120);
    /// What one call of its own costs of Graph's limit: 30 s for 1,500 of them, and some.
    const TURN: Duration = Duration::from_millis(22);
    let own = settings.accounts.values().filter(|account| account.via == Via::SignIn).count();
    let round = TURN * u32::try_from(own).unwrap_or(u32::MAX);
    AT_LEAST.max(settings.graph.quiet.max(round) * 3)
}
