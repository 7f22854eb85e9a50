//! What the log is told of accounts: each trouble once, with its remedy, and thousands of them in one line.

use super::agenda::Index;
use super::monitor::{Change, Counter as Count};
use super::running::{Bridge, Phase};
use crate::presence::AccountName;

/// How many lines of a kind are written between two sums.
const LINES: u32 = 5;

/// How many presences are told one by one between two sums. A household never has as many; of an
/// organisation's hundreds each second, a log would hold nothing else.
const PRESENCES: u32 = 20;

/// Keeps the log short when one cause meets many accounts.
#[derive(Debug, Default)]
pub(super) struct Talk {
    kinds: [Kind; 3],
    presences: u32,
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

    /// Counts a presence. Answers whether it is told by itself.
    pub(super) fn presence(&mut self) -> bool {
        self.presences += 1;
        self.presences <= PRESENCES
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
        let more = std::mem::take(&mut self.presences).saturating_sub(PRESENCES);
        if more > 0 {
            tracing::info!("presence changed {more} more times; the level debug tells of each");
        }
    }
}

impl Bridge {
    /// Tells those who watch of a presence that is on its way.
    pub(super) fn announce(&mut self, index: Index) {
        // Before it is online, it is thousands at once.
        let told = matches!(self.phase, Phase::Running) && self.talk.presence();
        let board = self.board.write();
        let account = &board.accounts[index as usize];
        let (Some(presence), Some(sequence)) = (account.presence(), account.sequence()) else { return };
        self.monitor.count(Count::Published);
        let (availability, activity) = (&presence.availability, &presence.activity);
        if told {
            self.untold.push(index);
        } else {
            tracing::debug!(account = %account.name, %availability, %activity, "presence");
        }
        if let (true, Some(answered)) = (self.monitor.watched(), account.last_answer()) {
            self.monitor.changed(Change {
                account: account.name.clone(),
                availability: availability.clone(),
                activity: activity.clone(),
                sequence,
                answered: answered.into_std(),
            });
        }
    }

    /// The lines of the log that waited for the presences to be sent.
    pub(super) fn tell_presences(&mut self) {
        let board = self.board.write();
        for index in self.untold.drain(..) {
            let account = &board.accounts[index as usize];
            let Some(presence) = account.presence() else { continue };
            let (availability, activity) = (&presence.availability, &presence.activity);
            tracing::info!(account = %account.name, %availability, %activity, "presence");
        }
    }

    pub(super) fn tell_of(&mut self, news: News, index: Index, what: &str) {
        let board = self.board.clone();
        self.talk.say(news, &board.write().accounts[index as usize].name, what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_organisations_presences_each_round_tells_a_few_and_counts_the_rest() {
        let mut talk = Talk::default();
        for _ in 0..2 {
            let told = (0..500).filter(|_| talk.presence()).count();
            assert_eq!(told, 20);
            talk.sum_up();
        }
    }
}
