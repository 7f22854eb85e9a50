//! `graph2mqtt accounts`: who is configured, who signed in; and to remove a sign-in.

use std::collections::{BTreeMap, HashMap, HashSet};

use clap::Subcommand;
use serde::Serialize;

use super::{Failure, Global, parts};
use crate::entra::{Caches, WayIn, is_grant_of};
use crate::presence::AccountName;
use crate::settings::{Settings, User, Via};
use crate::store::{Grant, Holder, Origin, Standing, Store};

/// `accounts`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Forget an account's sign-in; one that enrolled is removed
    Remove {
        /// The account's name; of one that enrolled, its object id
        account: String,
        /// Do not ask whether it is meant
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> Result<(), Failure> {
    let settings = parts::settings(global)?;
    match arguments.action {
        None => list(&settings, arguments.json).await,
        Some(Action::Remove { account, yes }) => remove(&settings, &account, yes, arguments.json).await,
    }
}

async fn list(settings: &Settings, json: bool) -> Result<(), Failure> {
    let store = parts::store(settings).await?;
    let grants = store.grants().await.map_err(anyhow::Error::new)?;
    let client_id = settings.entra.as_ref().map_or("", |entra| &entra.client_id);
    let applications = store.applications(client_id).await.map_err(anyhow::Error::new)?;
    let mut rows = rows(settings, grants, &applications);
    mark_altered(&mut rows, store.altered().await.map_err(anyhow::Error::new)?, &WayIn::of(settings));
    lean_on_readers(&mut rows, settings);
    if json {
        return parts::print(&serde_json::to_string_pretty(&rows).map_err(anyhow::Error::new)?);
    }
    if rows.is_empty() {
        return parts::print("No account is configured: add one under accounts: in the configuration.");
    }
    parts::print(&table(&rows))
}

async fn remove(settings: &Settings, account: &str, yes: bool, json: bool) -> Result<(), Failure> {
    let store = parts::store(settings).await?;
    let name: Option<AccountName> = account.parse().ok();
    let holder = match &name {
        Some(name) => store.holder(name).await.map_err(anyhow::Error::new)?,
        None => None,
    };
    let Some(holder) = holder else {
        // Nothing is stored under that name: it may be one that needs no sign-in, or a slip.
        if !settings.accounts.contains_key(account) {
            return Err(unknown(settings, &store, account).await);
        }
        return removed(account, None, json);
    };
    if !yes && !parts::confirmed(&question(&holder))? {
        return parts::print("Nothing was changed.");
    }
    let origin = store.remove(&holder.account).await.map_err(anyhow::Error::new)?;
    removed(account, origin, json)
}

/// The name of nobody; the nearest one may have been meant.
async fn unknown(settings: &Settings, store: &Store, account: &str) -> Failure {
    let enrolled = store.roll().await.map(|roll| roll.came).unwrap_or_default();
    let configured = settings.accounts.keys().map(AccountName::as_str);
    let names = configured.chain(enrolled.iter().map(|holder| holder.account.as_str()));
    let hint = parts::nearest(account, names).map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default();
    Failure::Usage(format!(
        "{account}: no such account in the configuration, and nobody enrolled under that name{hint}"
    ))
}

fn question(holder: &Holder) -> String {
    let Holder { account, username, .. } = holder;
    match holder.origin {
        Origin::Configured => format!("Forget the sign-in of {account} ({username})?"),
        Origin::Enrolled => format!("Remove {account} ({username}), with all that it has at the broker?"),
    }
}

fn removed(account: &str, origin: Option<Origin>, json: bool) -> Result<(), Failure> {
    if json {
        return parts::print(&serde_json::json!({"account": account, "removed": origin.is_some()}).to_string());
    }
    parts::print(&match origin {
        None => format!("{account} has no sign-in to forget."),
        Some(Origin::Configured) => {
            format!("The sign-in of {account} is forgotten. A running bridge takes it up within 10 s.")
        }
        Some(Origin::Enrolled) => format!(
            "{account} is removed. A running bridge clears its topics within 10 s; where none runs, the next start does."
        ),
    })
}

/// All is well, as far as is known.
const SIGNED_IN: &str = "signed in";
const NO_SIGN_IN: &str = "needs no sign-in";

/// What is known of an account without asking Entra.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    account: String,
    user: String,
    tenant: String,
    /// `configured` or `enrolled`
    origin: &'static str,
    /// `sign_in`, `app`, or the account through which it is read.
    via: String,
    state: &'static str,
    /// Why it is not well, as Entra said it last.
    reason: Option<String>,
    signed_in_as: Option<String>,
    object_id: Option<String>,
    last_refresh: Option<jiff::Timestamp>,
}

fn rows(settings: &Settings, grants: Vec<Grant>, applications: &HashMap<String, Standing>) -> Vec<Row> {
    let mut grants: BTreeMap<AccountName, Grant> =
        grants.into_iter().map(|grant| (grant.account.clone(), grant)).collect();
    let default_tenant = settings.entra.as_ref().map_or("", |entra| &entra.tenant);
    let configured = settings.accounts.iter().map(|(name, account)| {
        let grant = grants.remove(name);
        let user = match &account.user {
            User::Name(name) => name.to_string(),
            User::Id(id) => id.as_str(),
        };
        let tenant = account.tenant.as_deref().unwrap_or(default_tenant).to_owned();
        match &account.via {
            Via::SignIn => {
                let state = signed_in(&account.user, grant.as_ref());
                row(name, user, tenant, "sign_in".to_owned(), state, grant)
            }
            Via::App => {
                let reason = applications.get(&tenant).and_then(Standing::words);
                // Nobody's sign-in mends it, whatever it is.
                let state = if reason.is_some() { "blocked" } else { NO_SIGN_IN };
                Row { reason, ..row(name, user, tenant, "app".to_owned(), state, grant) }
            }
            Via::Account(reader) => {
                Row { reason: None, ..row(name, user, tenant, reader.to_string(), NO_SIGN_IN, grant) }
            }
        }
    });
    let configured: Vec<Row> = configured.collect();
    let others = grants.into_iter().map(|(name, grant)| {
        let (user, state) = match grant.origin {
            Origin::Configured => (grant.user.clone(), "not configured"),
            Origin::Enrolled => (grant.username.clone(), standing(&grant)),
        };
        row(&name, user, grant.tenant_id.as_str(), "sign_in".to_owned(), state, Some(grant))
    });
    configured.into_iter().chain(others).collect()
}

/// Who is read by another's right is as well as that one's sign-in.
fn lean_on_readers(rows: &mut [Row], settings: &Settings) {
    let readers: HashMap<String, (&'static str, Option<String>)> = rows
        .iter()
        .filter(|row| row.via == "sign_in" && row.state != SIGNED_IN)
        .map(|row| (row.account.clone(), (row.state, row.reason.clone())))
        .collect();
    for row in rows {
        let via = settings.accounts.get(row.account.as_str()).map(|account| &account.via);
        let Some(Via::Account(reader)) = via else { continue };
        let Some((state, reason)) = readers.get(reader.as_str()) else { continue };
        row.state = state;
        let unsaid = || format!("account {reader}: {state}; whoever is read by its right waits for that");
        row.reason = Some(reason.clone().unwrap_or_else(unsaid));
    }
}

/// Those whose sign-in is there, but does not open.
fn mark_altered(rows: &mut Vec<Row>, altered: Vec<Holder>, way_in: &WayIn) {
    for holder in altered {
        let remedy = match holder.origin {
            Origin::Configured => way_in.account(&holder.account),
            Origin::Enrolled => way_in.enrolment(),
        };
        let name = holder.account.as_str();
        let at = rows.iter().position(|row| row.account == name).unwrap_or_else(|| {
            let (tenant, via) = (holder.tenant_id.as_str(), "sign_in".to_owned());
            rows.push(row(&holder.account, holder.username.clone(), tenant, via, "needs sign-in", None));
            rows.len() - 1
        });
        let row = &mut rows[at];
        row.origin = holder.origin.word();
        row.state = "needs sign-in";
        row.reason = Some(format!(
            "account {name}: what is stored does not open: it was altered, or sealed with another key; sign in again: \
             {remedy}"
        ));
        row.signed_in_as = Some(holder.username);
        row.object_id = Some(holder.object_id.as_str());
    }
}

fn signed_in(user: &User, grant: Option<&Grant>) -> &'static str {
    match grant {
        None => "needs sign-in",
        Some(grant) if is_grant_of(grant, user) => standing(grant),
        Some(_) => "needs sign-in (another user's is stored)",
    }
}

/// What Entra said of a grant last: whether it is good is known at its next refresh.
fn standing(grant: &Grant) -> &'static str {
    match grant.standing {
        Standing::Ok => SIGNED_IN,
        Standing::Needed { .. } => "needs sign-in",
        Standing::Blocked { .. } => "blocked",
    }
}

fn row(
    name: &AccountName,
    user: String,
    tenant: String,
    via: String,
    state: &'static str,
    grant: Option<Grant>,
) -> Row {
    let origin = grant.as_ref().map_or(Origin::Configured, |grant| grant.origin);
    let reason = grant.as_ref().and_then(|grant| grant.standing.words());
    Row {
        account: name.to_string(),
        user,
        tenant,
        origin: origin.word(),
        via,
        state,
        reason,
        signed_in_as: grant.as_ref().map(|grant| grant.username.clone()),
        object_id: grant.as_ref().map(|grant| grant.object_id.as_str()),
        last_refresh: grant.map(|grant| grant.refreshed_at),
    }
}

fn table(rows: &[Row]) -> String {
    let heads = ["ACCOUNT", "USER", "TENANT", "ORIGIN", "VIA", "STATE", "LAST REFRESH"].map(str::to_owned);
    let lines = rows.iter().map(|row| {
        let refreshed = row.last_refresh.map_or("-".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string());
        let (origin, state) = (row.origin.to_owned(), row.state.to_owned());
        [row.account.clone(), row.user.clone(), row.tenant.clone(), origin, row.via.clone(), state, refreshed]
    });
    let lines: Vec<[String; 7]> = lines.collect();
    let all = || [&heads].into_iter().chain(&lines);
    let widths: Vec<usize> =
        (0..heads.len()).map(|at| all().map(|line| line[at].chars().count()).max().unwrap_or(0)).collect();
    let text = all().map(|line| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    // Each names whom it is about, and stands once: a thousand accounts may be read by one right.
    let mut told = HashSet::new();
    let reasons = rows.iter().filter_map(|row| row.reason.clone()).filter(|reason| told.insert(reason.clone()));
    text.chain(reasons).collect::<Vec<_>>().join("\n")
}
