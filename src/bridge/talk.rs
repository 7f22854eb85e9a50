//! What the log is told of accounts: each trouble once, with its remedy, and thousands of them in one line.

use crate::presence::AccountName;

/// How many lines of a kind are written between two sums.
const LINES: u32 = 5;

/// Keeps the log short when one cause meets many accounts.
#[derive(Debug, Default)]
pub(super) struct Talk {
    kinds: [Kind; 3],
}

#[derive(Debug, Default)]
struct Kind {
    said: u32,
    last: Option<String>,
}

/// What there is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// The presence cannot be known.
    Unknown,
    /// Somebody has to act.
    SignIn,
    /// It is known again.
    Known,
}

const KINDS: [News; 3] = [News::Unknown, News::SignIn, News::Known];

impl Talk {
    /// Says it of one account, or counts it.
    pub(super) fn say(&mut self, news: News, account: &AccountName, what: &str) {
        let kind = &mut self.kinds[news as usize];
        kind.said += 1;
        if kind.said > LINES {
            kind.last = Some(what.to_owned());
            return;
        }
        match news {
            News::Unknown => tracing::warn!(%account, "presence unknown: {what}"),
            News::SignIn => tracing::warn!(%account, "sign-in: {what}"),
            News::Known => tracing::info!(%account, "presence known again"),
        }
    }

    /// Sums up what was only counted. Called every few seconds.
    pub(super) fn sum_up(&mut self) {
        for (news, kind) in KINDS.into_iter().zip(&mut self.kinds) {
            let Kind { said, last } = std::mem::take(kind);
            let (Some(last), more) = (last, said.saturating_sub(LINES)) else { continue };
            match news {
                News::Unknown => tracing::warn!("presence unknown for {more} more accounts; the last one: {last}"),
                News::SignIn => tracing::warn!("sign-in: {more} more accounts; the last one: {last}"),
                News::Known => tracing::info!("presence known again for {more} more accounts"),
            }
        }
    }
}
