//! `graph2mqtt accounts`: who is configured, who signed in; and to remove a sign-in.

use std::collections::BTreeMap;

use clap::Subcommand;
use serde::Serialize;

use super::{Failure, Global, parts};
use crate::entra::is_grant_of;
use crate::presence::AccountName;
use crate::settings::{Settings, User, Via};
use crate::store::Grant;

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
    /// Forget an account's sign-in
    Remove {
        /// The account's name
        account: String,
    },
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> Result<(), Failure> {
    let settings = parts::settings(global)?;
    match arguments.action {
        None => list(&settings, arguments.json).await,
        Some(Action::Remove { account }) => remove(&settings, &account, arguments.json).await,
    }
}

async fn list(settings: &Settings, json: bool) -> Result<(), Failure> {
    let grants = parts::store(settings).await?.grants().await.map_err(anyhow::Error::new)?;
    let rows = rows(settings, grants);
    if json {
        return parts::print(&serde_json::to_string_pretty(&rows).map_err(anyhow::Error::new)?);
    }
    if rows.is_empty() {
        return parts::print("No account is configured: add one under accounts: in the configuration.");
    }
    parts::print(&table(&rows))
}

async fn remove(settings: &Settings, account: &str, json: bool) -> Result<(), Failure> {
    let store = parts::store(settings).await?;
    let name: Option<AccountName> = account.parse().ok();
    let removed = match &name {
        Some(name) => store.remove_grant(name).await.map_err(anyhow::Error::new)?.is_some(),
        None => false,
    };
    if !removed {
        // Nothing is stored under that name: it may be one that needs no sign-in, or a slip.
        parts::account(settings, account)?;
    }
    if json {
        return parts::print(&serde_json::json!({"account": account, "removed": removed}).to_string());
    }
    parts::print(&match removed {
        true => format!("The sign-in of {account} is forgotten. A running bridge takes it up within 10 s."),
        false => format!("{account} has no sign-in to forget."),
    })
}

/// What is known of an account without asking Entra.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    account: String,
    user: String,
    tenant: String,
    /// `sign_in`, `app`, or the account through which it is read.
    via: String,
    state: &'static str,
    signed_in_as: Option<String>,
    object_id: Option<String>,
    last_refresh: Option<jiff::Timestamp>,
}

fn rows(settings: &Settings, grants: Vec<Grant>) -> Vec<Row> {
    let mut grants: BTreeMap<AccountName, Grant> =
        grants.into_iter().map(|grant| (grant.account.clone(), grant)).collect();
    let default_tenant = settings.entra.as_ref().map_or("", |entra| &entra.tenant);
    let configured = settings.accounts.iter().map(|(name, account)| {
        let grant = grants.remove(name);
        let user = match &account.user {
            User::Name(name) => name.to_string(),
            User::Id(id) => id.as_str(),
        };
        let (via, state) = match &account.via {
            Via::SignIn => ("sign_in".to_owned(), signed_in(&account.user, grant.as_ref())),
            Via::App => ("app".to_owned(), "needs no sign-in"),
            Via::Account(reader) => (reader.to_string(), "needs no sign-in"),
        };
        let tenant = account.tenant.as_deref().unwrap_or(default_tenant).to_owned();
        row(name, user, tenant, via, state, grant)
    });
    let configured: Vec<Row> = configured.collect();
    let left_over = grants.into_iter().map(|(name, grant)| {
        row(&name, grant.user.clone(), grant.tenant_id.as_str(), "sign_in".to_owned(), "not configured", Some(grant))
    });
    configured.into_iter().chain(left_over).collect()
}

fn signed_in(user: &User, grant: Option<&Grant>) -> &'static str {
    match grant {
        None => "needs sign-in",
        Some(grant) if is_grant_of(grant, user) => "signed in",
        Some(_) => "needs sign-in (another user's is stored)",
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
    Row {
        account: name.to_string(),
        user,
        tenant,
        via,
        state,
        signed_in_as: grant.as_ref().map(|grant| grant.username.clone()),
        object_id: grant.as_ref().map(|grant| grant.object_id.as_str()),
        last_refresh: grant.map(|grant| grant.refreshed_at),
    }
}

fn table(rows: &[Row]) -> String {
    let heads = ["ACCOUNT", "USER", "TENANT", "VIA", "STATE", "LAST REFRESH"].map(str::to_owned);
    let lines = rows.iter().map(|row| {
        let refreshed = row.last_refresh.map_or("-".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string());
        [row.account.clone(), row.user.clone(), row.tenant.clone(), row.via.clone(), row.state.to_owned(), refreshed]
    });
    let lines: Vec<[String; 6]> = lines.collect();
    let all = || [&heads].into_iter().chain(&lines);
    let widths: Vec<usize> =
        (0..heads.len()).map(|at| all().map(|line| line[at].chars().count()).max().unwrap_or(0)).collect();
    let text = all().map(|line| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    text.collect::<Vec<_>>().join("\n")
}
