//! What is known of the followed accounts, and what the location's members have acted upon. Pure.
//!
//! An account counts as known only while both its state and the bridge's say `online`. A presence with
//! a lower sequence than one already seen is an older one that came late, and is passed over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::rules::Status;
use crate::presence::{AccountName, Report, Sequence};

/// After the first connection: how long an account that says nothing is waited for.
const SETTLING: Duration = Duration::from_secs(2);
/// After a reconnection: how long what was said before counts without being said again. The bridge may
/// come back later than we do; a broker that lost everything and a bridge that is gone say nothing.
const UNCONFIRMED: Duration = Duration::from_secs(60);

/// `online` or `offline`, as last said on a state topic.
#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    online: Option<bool>,
    confirmed: bool,
}

#[derive(Debug, Default)]
struct Account {
    standing: Standing,
    status: Option<Status>,
    /// The highest sequence seen, even where the presence was cleared since.
    highest: Option<Sequence>,
}

/// What is known.
#[derive(Debug)]
pub(super) struct Knowledge {
    bridge: Standing,
    accounts: BTreeMap<AccountName, Account>,
    /// When accounts that said nothing count as unknown.
    settles_at: Option<Instant>,
    /// When what was not confirmed since the reconnection counts no more.
    expires_at: Option<Instant>,
    settled: bool,
}

/// Why a payload was not taken. It never quotes the payload, which may be a stranger's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Odd(String);

impl Knowledge {
    /// Of the followed accounts nothing is known yet.
    pub fn new(accounts: impl IntoIterator<Item = AccountName>) -> Self {
        let accounts = accounts.into_iter().map(|name| (name, Account::default())).collect();
        Self { bridge: Standing::default(), accounts, settles_at: None, expires_at: None, settled: false }
    }

    /// The broker answered: what it has retained is on its way.
    pub fn connected(&mut self, now: Instant) {
        self.settles_at = Some(now + SETTLING);
        self.expires_at = Some(now + UNCONFIRMED);
    }

    /// The connection is gone: nothing ends by time until it is back, and all is to be said again then.
    pub fn disconnected(&mut self) {
        self.bridge.confirmed = false;
        self.accounts.values_mut().for_each(|account| account.standing.confirmed = false);
        (self.settles_at, self.expires_at) = (None, None);
    }

    /// When [`Self::pass`] is due next.
    pub fn deadline(&self) -> Option<Instant> {
        [self.settles_at, self.expires_at].into_iter().flatten().min()
    }

    /// Time passes. Answers whether that ended something.
    pub fn pass(&mut self, now: Instant) -> bool {
        let mut ended = false;
        if self.settles_at.take_if(|at| *at <= now).is_some() {
            ended = !self.settled;
            self.settled = true;
        }
        if self.expires_at.take_if(|at| *at <= now).is_some() {
            ended = true;
            let standings = self.accounts.values_mut().map(|account| &mut account.standing);
            standings.chain([&mut self.bridge]).filter(|it| !it.confirmed).for_each(|it| it.online = None);
        }
        ended
    }

    /// The bridge's state topic.
    pub fn bridge_said(&mut self, payload: &[u8]) -> Result<(), Odd> {
        self.bridge = Standing::said(payload)?;
        Ok(())
    }

    /// An account's state topic.
    pub fn account_said(&mut self, account: &AccountName, payload: &[u8]) -> Result<(), Odd> {
        self.account(account)?.standing = Standing::said(payload)?;
        Ok(())
    }

    /// An account's presence topic. Answers with the presence when it is a newer one.
    pub fn presence(&mut self, account: &AccountName, payload: &[u8]) -> Result<Option<&Status>, Odd> {
        let known = self.account(account)?;
        if payload.is_empty() {
            known.status = None;
            return Ok(None);
        }
        let report = Report::from_json(payload).map_err(|error| Odd(error.to_string()))?;
        if report.account != *account {
            return Err(Odd("it is about another account than its topic says".into()));
        }
        if report.sequence > Sequence::CREDIBLE {
            return Err(Odd("its sequence is higher than any that a bridge gives".into()));
        }
        let news = match known.highest {
            Some(highest) if report.sequence < highest => false,
            Some(highest) if report.sequence == highest => known.status.is_none(),
            _ => true,
        };
        if !news {
            return Ok(None);
        }
        known.highest = Some(report.sequence);
        Ok(Some(known.status.insert(report.into())))
    }

    fn account(&mut self, account: &AccountName) -> Result<&mut Account, Odd> {
        self.accounts.get_mut(account).ok_or_else(|| Odd("nobody follows this account".into()))
    }

    /// The account's status, while it is known.
    pub fn known(&self, account: &AccountName) -> Option<&Status> {
        let account = self.accounts.get(account)?;
        let online = self.bridge.online == Some(true) && account.standing.online == Some(true);
        account.status.as_ref().filter(|_| online)
    }

    /// The newest sequence seen of an account.
    pub fn sequence(&self, account: &AccountName) -> Option<Sequence> {
        self.accounts.get(account)?.highest
    }

    /// Whether the bridge and the account both said what they are since the connection stands.
    pub fn is_confirmed(&self, account: &AccountName) -> bool {
        self.bridge.confirmed && self.accounts.get(account).is_some_and(|account| account.standing.confirmed)
    }

    /// Whether the account is known, or known to be unknown: not merely on its way.
    pub fn is_decided(&self, account: &AccountName) -> bool {
        let says_offline = |standing: Standing| standing.online == Some(false);
        let account_offline = self.accounts.get(account).is_some_and(|account| says_offline(account.standing));
        self.settled || self.known(account).is_some() || account_offline || says_offline(self.bridge)
    }
}

impl Standing {
    fn said(payload: &[u8]) -> Result<Self, Odd> {
        let online = match payload {
            b"online" => Some(true),
            b"offline" => Some(false),
            b"" => None,
            _ => return Err(Odd("online or offline was expected".into())),
        };
        Ok(Self { online, confirmed: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alex() -> AccountName {
        "alex".parse().unwrap()
    }

    fn report(activity: &str, sequence: u64) -> Vec<u8> {
        format!(
            r#"{{"account":"alex","availability":"Busy","activity":"{activity}","since":"2026-11-24T08:00:00Z","sequence":{sequence}}}"#
        )
        .into_bytes()
    }

    fn online() -> Knowledge {
        let mut knowledge = Knowledge::new([alex()]);
        knowledge.bridge_said(b"online").unwrap();
        knowledge.account_said(&alex(), b"online").unwrap();
        knowledge
    }

    fn activity(knowledge: &Knowledge) -> Option<String> {
        knowledge.known(&alex()).map(|status| status.activity.to_string())
    }

    #[test]
    fn an_account_is_known_only_while_it_and_the_bridge_are_online() {
        let mut knowledge = online();
        assert_eq!(activity(&knowledge), None);
        assert!(!knowledge.is_decided(&alex()), "its presence is on its way");
        knowledge.presence(&alex(), &report("InACall", 7)).unwrap();
        assert_eq!(activity(&knowledge).as_deref(), Some("InACall"));
        for silence in [&b"offline"[..], b""] {
            knowledge.bridge_said(silence).unwrap();
            assert_eq!(activity(&knowledge), None);
            knowledge.bridge_said(b"online").unwrap();
            knowledge.account_said(&alex(), silence).unwrap();
            assert_eq!(activity(&knowledge), None);
            knowledge.account_said(&alex(), b"online").unwrap();
            assert!(activity(&knowledge).is_some());
        }
    }

    #[test]
    fn an_older_presence_is_passed_over() {
        let mut knowledge = online();
        assert!(knowledge.presence(&alex(), &report("InACall", 7)).unwrap().is_some());
        for older in [3, 6, 7] {
            assert!(knowledge.presence(&alex(), &report("Busy", older)).unwrap().is_none());
        }
        assert_eq!(activity(&knowledge).as_deref(), Some("InACall"));
        knowledge.presence(&alex(), b"").unwrap();
        assert_eq!(activity(&knowledge), None, "cleared");
        assert!(knowledge.presence(&alex(), &report("Busy", 6)).unwrap().is_none());
        assert!(knowledge.presence(&alex(), &report("InACall", 7)).unwrap().is_some(), "the one that was cleared");
    }

    #[test]
    fn strangers_payloads_change_nothing() {
        let mut knowledge = online();
        knowledge.presence(&alex(), &report("InACall", 7)).unwrap();
        let too_large = report("Busy", 1 << 53);
        let (highest, incredible) = (report("Busy", (1 << 53) - 1), report("Busy", Sequence::CREDIBLE.get() + 1));
        let another = String::from_utf8(report("Busy", 9)).unwrap().replace("alex", "sam");
        for payload in
            [&b"garbage"[..], b"{}", b"\xff\x00", b"null", &too_large, &highest, &incredible, another.as_bytes()]
        {
            assert!(knowledge.presence(&alex(), payload).is_err());
            assert!(knowledge.bridge_said(payload).is_err());
            assert!(knowledge.account_said(&alex(), payload).is_err());
        }
        assert_eq!(activity(&knowledge).as_deref(), Some("InACall"));
        for newer in [8, Sequence::LEARNABLE.get() + 1] {
            assert!(knowledge.presence(&alex(), &report("Busy", newer)).unwrap().is_some(), "{newer}");
        }
        assert!(knowledge.presence(&"sam".parse().unwrap(), &report("Busy", 9)).is_err());
    }

    #[test]
    fn what_says_nothing_counts_as_unknown_after_a_while_and_offline_at_once() {
        let now = Instant::now();
        let mut knowledge = Knowledge::new([alex()]);
        knowledge.connected(now);
        assert!(!knowledge.is_decided(&alex()));
        assert!(knowledge.pass(knowledge.deadline().unwrap()));
        assert!(knowledge.is_decided(&alex()));
        let mut knowledge = Knowledge::new([alex()]);
        knowledge.bridge_said(b"offline").unwrap();
        assert!(knowledge.is_decided(&alex()));
    }

    #[test]
    fn what_nobody_says_again_after_a_reconnection_ends() {
        let mut now = Instant::now();
        let mut knowledge = online();
        knowledge.presence(&alex(), &report("InACall", 7)).unwrap();
        knowledge.disconnected();
        assert_eq!(knowledge.deadline(), None);
        knowledge.connected(now);
        knowledge.account_said(&alex(), b"online").unwrap();
        while let Some(at) = knowledge.deadline() {
            assert!(activity(&knowledge).is_some(), "the bridge may come back later than we do");
            now = at;
            knowledge.pass(now);
        }
        assert_eq!(activity(&knowledge), None, "the bridge did not come back");
        knowledge.bridge_said(b"online").unwrap();
        assert!(activity(&knowledge).is_some());
    }
}
