//! What the bridge waits for while it goes on: polls, reservations, a look at the store's grants.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::time::Instant;

use super::account::Moment;
use super::agenda::{Poll, Way};
use super::pace::Beat;
use super::requests::Finished;
use crate::entra::{self, Principal, Tokens};
use crate::graph::{self, Client};
use crate::mqtt::Ticket;
use crate::presence::{AccountName, ObjectId, Reading, Sequence};
use crate::store::{News, Store, StoreError};

/// A job in the air.
pub(super) type Job = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What a job brought.
pub(super) enum Done {
    Poll { sent: Sent, at: Moment, outcome: Outcome },
    Reserved(Result<Sequence, StoreError>),
    Reloaded(Result<News, entra::Trouble>),
    Forgotten(Result<(), StoreError>),
    Tenant { name: Box<str>, id: Result<ObjectId, entra::Trouble> },
    Asked { ticket: Ticket, finished: Finished },
}

/// A poll that was sent.
pub(super) struct Sent {
    pub(super) poll: Poll,
    /// The intervals after it.
    pub(super) beat: Beat,
    pub(super) begun: Instant,
}

/// What a poll brought.
pub(super) enum Outcome {
    Readings(Result<Vec<Reading>, graph::Trouble>),
    Id(Result<ObjectId, graph::Trouble>),
}

/// What a poll asks.
pub(super) enum Question {
    Mine { account: AccountName, id_known: bool },
    Batch { principal: Principal, ids: Vec<ObjectId> },
    Id { principal: Principal, user: Box<str> },
}

/// A poll to be sent.
pub(super) fn poll(graph: Client, store: Store, tenant: Arc<str>, sent: Sent, question: Question) -> Job {
    Box::pin(async move {
        let outcome = ask(&graph, &store, &tenant, question).await;
        Done::Poll { sent, at: Moment::now(), outcome }
    })
}

async fn ask(graph: &Client, store: &Store, tenant: &str, question: Question) -> Outcome {
    match question {
        Question::Mine { account, id_known } => {
            let principal = Principal::Account(account);
            let mut reading = graph.mine(&principal, tenant).await;
            if let (Ok(reading @ Reading { user_id: None, .. }), false, Principal::Account(account)) =
                (&mut reading, id_known, &principal)
            {
                // Graph may leave the id out; the sign-in told it.
                reading.user_id = store.grant(account).await.ok().flatten().map(|grant| grant.object_id);
            }
            Outcome::Readings(reading.map(|reading| vec![reading]))
        }
        Question::Batch { principal, ids } => Outcome::Readings(graph.presences(&principal, tenant, &ids).await),
        Question::Id { principal, user } => Outcome::Id(graph.user_id(&principal, tenant, &user).await),
    }
}

/// Reserves sequences.
pub(super) fn reserve(store: Store, above: Sequence) -> Job {
    Box::pin(async move { Done::Reserved(store.reserve_sequences(above, super::sequence::RESERVED).await) })
}

/// What followed from these departures is done.
pub(super) fn forget_departed(store: Store, accounts: Vec<AccountName>) -> Job {
    Box::pin(async move { Done::Forgotten(store.forget_departed(&accounts).await) })
}

/// Asks which tenant a domain means.
pub(super) fn tenant(tokens: Tokens, name: Box<str>) -> Job {
    Box::pin(async move { Done::Tenant { id: tokens.tenant_id(&name).await, name } })
}

/// Looks whether another process changed a grant.
pub(super) fn reload(tokens: Tokens, since: i64) -> Job {
    Box::pin(async move { Done::Reloaded(tokens.reload(since).await) })
}

impl Question {
    /// What a queue's way asks. `user` is the name to look up.
    pub(super) fn of(way: &Way, account: &AccountName, ids: Vec<ObjectId>, user: Option<&str>) -> Self {
        match way {
            Way::Own => Self::Mine { account: account.clone(), id_known: !ids.is_empty() },
            Way::Batch(principal) | Way::Apart(principal) => Self::Batch { principal: principal.clone(), ids },
            Way::Lookup(principal) => Self::Id { principal: principal.clone(), user: user.unwrap_or_default().into() },
        }
    }
}
