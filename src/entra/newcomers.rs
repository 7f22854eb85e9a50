//! Device codes for people whom the configuration does not name: to enrol, and to leave. Each belongs to the
//! browser that asked for it, and is shown to no other. Anybody may ask, so there are few: from one place, and in all.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::browser::{Browser, Came, Errand, SignedIn};
use super::device::Offer;
use super::redemption::Asking;
use super::{Progress, Prompt, SignIns, Tokens, Trouble, device};

/// Codes that may be out at one time: each is a question to Entra every few seconds.
const MOST: usize = 32;

/// How many may be asked for from one place within the life of one, those apart that brought somebody in.
const MOST_FROM_ONE: usize = 8;

/// How long a person may take, however many codes it takes.
const LIFE: Duration = Duration::from_secs(900);

/// Codes have been seen to die before their time: so many are shown, one after the other.
const CODES: u32 = 3;

/// How long a browser is told how its code ended.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The most that are known at one time, those that ended included.
const MOST_REMEMBERED: usize = 256;

/// The codes of browsers.
#[derive(Default)]
pub(super) struct Newcomers(Mutex<Codes>);

#[derive(Default)]
struct Codes {
    /// The oldest first.
    all: VecDeque<Code>,
    begun: u64,
}

struct Code {
    number: u64,
    errand: Errand,
    browser: Browser,
    from: IpAddr,
    begun: Instant,
    ended: Option<Instant>,
    progress: Progress,
    task: AbortHandle,
}

impl SignIns {
    /// Starts a device code for whoever has this browser, or goes on with the one that it has for this errand.
    /// It goes on in a task of its own until it succeeds, fails, is given up, or a quarter of an hour is over.
    ///
    /// `from` is the address from which the browser asks. Refused with a time ([`Trouble::Retry`]): a ninth from
    /// one place within a quarter of an hour, and a 33rd at a time.
    pub fn ask_for_code(&self, errand: Errand, browser: Browser, from: IpAddr) -> Result<(), Trouble> {
        self.tokens().application().asking(&errand)?;
        let (from, now) = (place(from), Instant::now());
        let mut codes = self.tokens().newcomers().codes();
        codes.forget(now);
        if codes.last(&errand, browser).is_some_and(|code| code.ended.is_none()) {
            return Ok(());
        }
        codes.admit(from, now)?;
        // A browser has one at a time.
        codes.end(|code| code.browser == browser, &Progress::Cancelled);
        codes.begun += 1;
        let number = codes.begun;
        // The task waits for the lock before its first step: its entry is there by then.
        let task = tokio::spawn(by_device(self.tokens().clone(), errand.clone(), browser, number)).abort_handle();
        let progress = Progress::Starting;
        codes.all.push_back(Code { number, errand, browser, from, begun: now, ended: None, progress, task });
        Ok(())
    }

    /// How far the code of this browser is, or how it ended within the last ten minutes.
    pub fn code_of(&self, errand: &Errand, browser: Browser) -> Option<Progress> {
        let codes = self.tokens().newcomers().codes();
        let code = codes.last(errand, browser)?;
        let is_fresh = code.ended.is_none_or(|ended| ended.elapsed() < REMEMBERED);
        is_fresh.then(|| code.progress.clone())
    }

    /// Ends the code of this browser. It leads nowhere from then on.
    pub fn give_code_up(&self, errand: &Errand, browser: Browser) {
        let is_it = |code: &Code| code.browser == browser && code.errand == *errand;
        self.tokens().newcomers().codes().end(is_it, &Progress::Cancelled);
    }
}

impl Tokens {
    pub(super) fn newcomers(&self) -> &Newcomers {
        &self.registry().newcomers
    }
}

impl Newcomers {
    /// Who has this browser came in by another way: the code, if one is out, is not needed any more, and how one ended
    /// before counts no more.
    pub(super) fn succeeded(&self, errand: &Errand, browser: Browser, signed_in: &SignedIn) {
        let is_it = |code: &Code| code.browser == browser && code.errand == *errand;
        let mut codes = self.codes();
        codes.all.retain(|code| code.ended.is_none() || !is_it(code));
        codes.end(is_it, &Progress::SignedIn(signed_in.clone()));
    }

    fn waits(&self, number: u64, prompt: &Prompt) {
        let mut codes = self.codes();
        if let Some(code) = codes.all.iter_mut().find(|code| code.number == number && code.ended.is_none()) {
            let until = (Instant::now() + prompt.expires_in).min(code.begun + LIFE);
            code.progress = Progress::Waiting { prompt: prompt.clone(), until };
        }
    }

    fn codes(&self) -> MutexGuard<'_, Codes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Codes {
    /// Forgets those of which nobody is told any more, and which count no more.
    fn forget(&mut self, now: Instant) {
        let counts = |code: &Code| now.duration_since(code.begun) < LIFE;
        self.all.retain(|code| code.ended.is_none_or(|ended| counts(code) || now.duration_since(ended) < REMEMBERED));
        if self.all.len() >= MOST_REMEMBERED
            && let Some(oldest) = self.all.iter().position(|code| code.ended.is_some())
        {
            self.all.remove(oldest);
        }
    }

    fn last(&self, errand: &Errand, browser: Browser) -> Option<&Code> {
        self.all.iter().rev().find(|code| code.browser == browser && code.errand == *errand)
    }

    /// Refuses one more where there are too many.
    fn admit(&self, from: IpAddr, now: Instant) -> Result<(), Trouble> {
        let left = |code: &Code| LIFE.saturating_sub(now.duration_since(code.begun));
        let refusal = |oldest: Option<&Code>, what: String| {
            let after = oldest.map_or(LIFE, left);
            let minutes = after.as_secs().div_ceil(60);
            Err(Trouble::Retry { after: Some(after), reason: format!("{what}; try again in {minutes} min") })
        };
        let came_to_nothing = |code: &&Code| !matches!(code.progress, Progress::SignedIn(_)) && !left(code).is_zero();
        let mut from_there = self.all.iter().filter(|code| code.from == from).filter(came_to_nothing);
        let oldest = from_there.next();
        if from_there.count() + 1 >= MOST_FROM_ONE {
            return refusal(oldest, format!("{MOST_FROM_ONE} codes were asked for from where you are, and not used"));
        }
        let mut out = self.all.iter().filter(|code| code.ended.is_none());
        let oldest = out.next();
        if out.count() + 1 >= MOST {
            return refusal(oldest, format!("{MOST} people are signing in by a code at this moment"));
        }
        Ok(())
    }

    fn end(&mut self, is_it: impl Fn(&Code) -> bool, progress: &Progress) {
        for code in self.all.iter_mut().filter(|code| code.ended.is_none() && is_it(code)) {
            code.task.abort();
            code.ended = Some(Instant::now());
            code.progress = progress.clone();
        }
    }
}

/// The way of one code.
async fn by_device(tokens: Tokens, errand: Errand, browser: Browser, number: u64) {
    let end = Instant::now() + LIFE;
    let outcome = loop {
        let came = match ask(&tokens, &errand, browser, number, end).await {
            Ok(came) => came,
            Err(trouble) => break Err(trouble),
        };
        let outcome = tokens.conclude(&errand, Some(browser), &came).await;
        let asks_for = |asking: Asking| asking.claims.filter(|claims| came.brought.as_ref() != Some(claims));
        let more = tokens.application().asking_in(&errand, Some(browser)).ok().and_then(asks_for);
        if outcome.is_ok() || more.is_none() {
            break outcome;
        }
        tracing::debug!(?errand, "it is known now of whom more proof is asked; asking for a new device code with it");
    };
    let progress = match outcome {
        Ok(signed_in) => Progress::SignedIn(signed_in),
        Err(trouble) => {
            tracing::debug!(?errand, %trouble, "a newcomer's device code ended without success");
            Progress::Failed(trouble)
        }
    };
    tokens.newcomers().codes().end(|code| code.number == number, &progress);
}

/// Codes, until one is used.
async fn ask(tokens: &Tokens, errand: &Errand, browser: Browser, number: u64, end: Instant) -> Result<Came, Trouble> {
    let offer = Offer { codes: CODES, until: Some(end) };
    let show = |prompt: &Prompt| tokens.newcomers().waits(number, prompt);
    device::sign_in(tokens.application(), errand, Some(browser), offer, show).await
}

/// What counts as one place: an IPv4 address, and the network of an IPv6 one, which is what one household has.
pub fn place(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn the_addresses_of_one_household_are_one_place() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ] {
            assert_eq!(place(one.parse().unwrap()) == place(other.parse().unwrap()), same, "{one} {other}");
        }
    }
}
