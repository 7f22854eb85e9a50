//! Requests about accounts.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Finished, Outcome, done};
use crate::bridge::agenda::Index;
use crate::bridge::pace::FRESH;
use crate::bridge::running::Bridge;
use crate::entra::Progress;
use crate::mqtt::{Arguments, quoted};
use crate::presence::AccountName;

/// How long a request waits for Entra's code.
const CODE: Duration = Duration::from_secs(20);

/// `poll`: asks Graph for one account, or for all of them, before their turn.
pub(super) fn poll(bridge: &mut Bridge, arguments: &Arguments) -> Result<Outcome, String> {
    let now = Instant::now();
    if let Some(name) = arguments.text("account")? {
        let index = known(bridge, name)?;
        hasten(bridge, index, now);
        return done(json!({ "account": name }));
    }
    let count = bridge.board.write().accounts.len();
    for index in 0..count as Index {
        hasten(bridge, index, now);
    }
    done(json!({ "accounts": count }))
}

fn hasten(bridge: &mut Bridge, index: Index, now: Instant) {
    let answered = bridge.board.write().accounts[index as usize].last_answer();
    if answered.is_none_or(|answered| now.duration_since(answered) >= FRESH) {
        bridge.agenda.hasten(index, now);
    }
}

/// `account/login`: starts a sign-in by device code, or joins the one under way. The answer brings the
/// code; it also stands on the account's sign_in topic until it ends.
pub(super) fn login(bridge: &mut Bridge, arguments: &Arguments) -> Result<Outcome, String> {
    let account = account(bridge, arguments)?;
    let mut progress = bridge.tokens.sign_ins().start(&account).map_err(|trouble| trouble.to_string())?;
    Ok(Outcome::Later(Box::pin(async move {
        let first_step = progress.wait_for(|progress| !matches!(progress, Progress::Starting));
        let outcome = match tokio::time::timeout(CODE, first_step).await {
            Ok(Ok(step)) => told(&account, &step),
            _ => Err("Entra gives no code so far; the account's sign_in topic shows it when it comes".into()),
        };
        Finished::Answer(outcome)
    })))
}

fn told(account: &AccountName, progress: &Progress) -> Result<Value, String> {
    match progress {
        Progress::Waiting { prompt, .. } => Ok(json!({
            "account": account,
            "url": prompt.url,
            "code": prompt.user_code,
            "expires_in_seconds": prompt.expires_in.as_secs(),
        })),
        Progress::SignedIn(by) => Ok(json!({ "account": account, "signed_in_as": by.username })),
        Progress::Failed(trouble) => Err(trouble.to_string()),
        Progress::Starting | Progress::Cancelled => Err("the sign-in was cancelled".into()),
    }
}

/// `account/cancel_login`: ends a sign-in that is under way.
pub(super) fn cancel_login(bridge: &mut Bridge, arguments: &Arguments) -> Result<Outcome, String> {
    let account = account(bridge, arguments)?;
    match bridge.tokens.sign_ins().cancel(&account) {
        true => done(json!({ "account": account })),
        false => Err(format!("no sign-in of {account} is under way")),
    }
}

/// `account/remove`: forgets the sign-in; who enrolled is removed with all topics.
pub(super) fn remove(bridge: &mut Bridge, arguments: &Arguments) -> Result<Outcome, String> {
    let account = account(bridge, arguments)?;
    bridge.tokens.sign_ins().cancel(&account);
    let tokens = bridge.tokens.clone();
    Ok(Outcome::Later(Box::pin(async move {
        Finished::Answer(match tokens.remove(&account).await {
            Ok(Some(_)) => Ok(json!({ "account": account })),
            Ok(None) => Err(format!("{account} has no sign-in to forget")),
            Err(error) => Err(error.to_string()),
        })
    })))
}

/// The account that a request is about.
pub(super) fn account(bridge: &Bridge, arguments: &Arguments) -> Result<AccountName, String> {
    let index = known(bridge, arguments.required("account")?)?;
    Ok(bridge.board.write().accounts[index as usize].name.clone())
}

/// The place of an account, where there is one of this name.
pub(super) fn known(bridge: &Bridge, name: &str) -> Result<Index, String> {
    let parsed: Option<AccountName> = name.parse().ok();
    let index = parsed.and_then(|name| bridge.board.write().index(&name));
    index.ok_or_else(|| format!("{} is no account of this bridge", quoted(name)))
}
