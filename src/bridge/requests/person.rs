//! Requests by which a person shows something else: the preferred presence, the status message.
//!
//! What Graph shows afterwards is asked, and that is what is published and answered.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Finished, Outcome, accounts};
use crate::bridge::account::Moment;
use crate::bridge::agenda::Way;
use crate::bridge::running::Bridge;
use crate::entra::Principal;
use crate::graph::{Client, Trouble};
use crate::mqtt::{Arguments, quoted};
use crate::presence::{AccountName, Availability, ObjectId, PREFERRED, Preferred, Reading};

/// What clears a preferred presence.
const AUTOMATIC: &str = "Automatic";

/// The longest status message that Teams takes, in characters.
const LONGEST_MESSAGE: usize = 280;

/// For how long something may be set.
const BOUNDS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(30 * 24 * 3600));

/// How long Graph keeps a preferred presence where nothing else is said: a day for these, a week for others.
const DAY: Duration = Duration::from_secs(24 * 3600);
const FOR_A_DAY: &[Availability] = &[Availability::BUSY, Availability::DO_NOT_DISTURB];

/// What Graph shows since it was told something.
pub(in crate::bridge) struct Written {
    account: AccountName,
    /// What was set; none where that was a status message.
    preferred: Option<Option<Preferred>>,
    outcome: Result<(Reading, Moment), Trouble>,
}

/// Whose presence is set, and by which right.
struct Writer {
    graph: Client,
    who: Principal,
    tenant: Box<str>,
    user: ObjectId,
}

/// `account/set_presence`: one of the pairs that Graph takes, or `Automatic` to clear it.
pub(super) fn set_presence(bridge: &mut Bridge, arguments: &Arguments) -> Result<Outcome, String> {
    let (account, writer) = writer(bridge, arguments)?;
    let wanted = arguments.required("availability")?;
    let lasts = expires_in(arguments)?;
    if wanted.eq_ignore_ascii_case(AUTOMATIC) {
        return Ok(Outcome::Later(Box::pin(async move {
            let told = writer.graph.clear_preferred(&writer.who, &writer.tenant, writer.user).await;
            finished(account, Some(None), told, &writer).await
        })));
    }
    let pair = PREFERRED.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, pair)| pair);
    let fits = |activity: &str| pair.is_some_and(|pair| pair.1.as_str().eq_ignore_ascii_case(activity));
    let pair = pair.filter(|_| arguments.text("activity").ok().flatten().is_none_or(fits)).ok_or_else(|| {
        let pairs: Vec<String> = PREFERRED.iter().map(|(name, pair)| format!("{name} with {}", pair.1)).collect();
        format!("Graph does not take {}; it takes {}; {AUTOMATIC} clears it", quoted(wanted), pairs.join(", "))
    })?;
    let usual = if FOR_A_DAY.contains(&pair.0) { DAY } else { DAY * 7 };
    let lasts = lasts.unwrap_or(usual);
    let expires = after(lasts);
    let preferred = Preferred { availability: pair.0.clone(), expires };
    Ok(Outcome::Later(Box::pin(async move {
        let told = writer.graph.set_preferred(&writer.who, &writer.tenant, writer.user, pair, lasts).await;
        finished(account, Some(Some(preferred)), told, &writer).await
    })))
}

/// `account/set_status_message`: an empty one clears it.
pub(super) fn set_status_message(bridge: &mut Bridge, arguments: &Arguments) -> Result<Outcome, String> {
    let (account, writer) = writer(bridge, arguments)?;
    let message = arguments.required("message")?.to_owned();
    if message.chars().count() > LONGEST_MESSAGE {
        return Err(format!("message is longer than the {LONGEST_MESSAGE} characters that Teams takes"));
    }
    let expires = expires_in(arguments)?.map(after);
    Ok(Outcome::Later(Box::pin(async move {
        let told = writer.graph.set_status_message(&writer.who, &writer.tenant, writer.user, &message, expires).await;
        finished(account, None, told, &writer).await
    })))
}

async fn finished(
    account: AccountName,
    preferred: Option<Option<Preferred>>,
    told: Result<(), Trouble>,
    writer: &Writer,
) -> Finished {
    let outcome = match told {
        Ok(()) => writer.graph.mine(&writer.who, &writer.tenant).await.map(|reading| (reading, Moment::now())),
        Err(trouble) => Err(trouble),
    };
    Finished::Written(Box::new(Written { account, preferred, outcome }))
}

impl Bridge {
    /// Takes what Graph shows now; the answer tells it.
    pub(super) fn on_written(&mut self, written: Written) -> Result<Value, String> {
        let Written { account, preferred, outcome } = written;
        let (reading, at) = outcome.map_err(|trouble| trouble.to_string())?;
        let index = self.board.write().index(&account).ok_or("the account was removed meanwhile")?;
        let shown = reading.presence.clone();
        let wanted = preferred.clone().flatten();
        self.update(index, |account, counter| {
            if let Some(preferred) = preferred {
                account.prefers(preferred);
            }
            account.answered(&reading, at, counter)
        });
        let applied = wanted.as_ref().is_none_or(|wanted| wanted.availability == shown.availability);
        let mut data = json!({
            "account": account,
            "availability": shown.availability,
            "activity": shown.activity,
            "status_message": shown.status_message,
        });
        if let Some(preferred) = wanted {
            data["expires"] = json!(preferred.expires);
            // Graph shows it as soon as Teams runs somewhere.
            data["shown"] = json!(applied);
        }
        Ok(data)
    }
}

/// Who writes; or why nobody can.
fn writer(bridge: &Bridge, arguments: &Arguments) -> Result<(AccountName, Writer), String> {
    let account = accounts::account(bridge, arguments)?;
    if !bridge.settings.graph.write {
        return Err("setting presences is switched off; graph.write: true switches it on".into());
    }
    let index = accounts::known(bridge, account.as_str())?;
    let (tenant, way) = bridge.agenda.way_of(index).ok_or_else(|| format!("{account} is not asked for any more"))?;
    if *way != Way::Own {
        return Err(format!("{account} does not sign in itself, and nobody else can set its presence"));
    }
    bridge.tokens.must_write(&account)?;
    let user = bridge.board.write().accounts[index as usize].user_id();
    let user = user.ok_or_else(|| format!("{account} was not answered for yet; try again in some seconds"))?;
    let who = Principal::Account(account.clone());
    Ok((account, Writer { graph: bridge.graph.clone(), who, tenant: tenant.into(), user }))
}

fn expires_in(arguments: &Arguments) -> Result<Option<Duration>, String> {
    let Some(text) = arguments.text("expires_in")? else { return Ok(None) };
    let read: Option<SignedDuration> = text.parse().ok();
    let lasts = read.and_then(|read| Duration::try_from(read).ok());
    let fits = lasts.filter(|lasts| (BOUNDS.0..=BOUNDS.1).contains(lasts));
    fits.map(Some).ok_or_else(|| format!("expires_in is {}; write 30m, 8h or the like, 720h at most", quoted(text)))
}

fn after(lasts: Duration) -> Timestamp {
    Timestamp::now().checked_add(lasts).unwrap_or(Timestamp::MAX)
}
