//! The device codes of configured accounts that are out: one for each, whoever asked for it.
//!
//! `login`, the page and MQTT requests start them here, so that two who ask for the same account see
//! the same code, and a code ends when its account was signed in by another way.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::browser::{Errand, SignedIn};
use super::device::Offer;
use super::newcomers::Newcomers;
use super::{Prompt, Tokens, Trouble, device};
use crate::presence::AccountName;
use crate::store::Grant;

/// So many codes are offered, one after the other, before nobody is expected to come any more: some hours.
const OFFER: Offer = Offer { codes: 12, until: None };

/// Codes that may be out at one time: each is a question to Entra every few seconds.
const MOST: usize = 32;

/// One at which nobody has looked for so long, the life of a code, is given up where somebody else needs its place.
const UNSEEN: Duration = Duration::from_secs(900);

/// How long it is remembered how one ended, for those who look in late.
const REMEMBERED: Duration = Duration::from_secs(600);

/// How many steps a slow watcher may fall behind.
const BEHIND: usize = 16;

/// How far a sign-in by device code has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Entra is asked for a code.
    Starting,
    /// A person is to enter this code. A code that expires is followed by a new one.
    Waiting {
        /// Where to go, and what to enter there.
        prompt: Prompt,
        /// When the code expires.
        until: Instant,
    },
    /// Signed in; perhaps by another way meanwhile.
    SignedIn(SignedIn),
    /// It ended without a sign-in.
    Failed(Trouble),
    /// Somebody cancelled it, or another process signed the account in.
    Cancelled,
}

impl Progress {
    /// Whether nothing follows any more.
    pub fn has_ended(&self) -> bool {
        !matches!(self, Self::Starting | Self::Waiting { .. })
    }
}

/// A sign-in came a step further.
#[derive(Debug, Clone)]
pub struct Step {
    /// Whose sign-in.
    pub account: AccountName,
    /// How far it is now.
    pub progress: Progress,
}

/// The device codes that are out, from [`Tokens::sign_ins`]. Cheap to clone; all clones see the same.
#[derive(Debug, Clone)]
pub struct SignIns {
    tokens: Tokens,
}

/// What the clones share.
pub(super) struct Registry {
    out: Mutex<HashMap<AccountName, Entry>>,
    steps: broadcast::Sender<Step>,
    /// Those of people who are no account yet.
    pub newcomers: Newcomers,
}

struct Entry {
    progress: watch::Sender<Progress>,
    task: AbortHandle,
    /// When somebody last asked for it, or how far it is.
    seen: Instant,
    /// When it ended.
    ended: Option<Instant>,
}

impl Entry {
    /// For how long nobody has looked; none where somebody waits for it, or it has ended.
    fn unseen(&self, now: Instant) -> Option<Duration> {
        let is_left = self.ended.is_none() && self.progress.receiver_count() == 0;
        is_left.then(|| now.duration_since(self.seen))
    }
}

impl SignIns {
    pub(super) fn new(tokens: Tokens) -> Self {
        Self { tokens }
    }

    /// Starts a sign-in by device code, or joins the one that is under way. It goes on in a task of its
    /// own until it succeeds, fails, is cancelled, or nobody used its codes for three hours, or looked at
    /// them for a quarter of one while others wait for a place.
    ///
    /// Refused: an account that does not sign in itself ([`Trouble::Misconfigured`]), and one more than 32 at a time
    /// ([`Trouble::Retry`]), where somebody has looked at each of those within a quarter of an hour.
    pub fn start(&self, account: &AccountName) -> Result<watch::Receiver<Progress>, Trouble> {
        self.begin(account).map(|(progress, _)| progress)
    }

    /// As [`Self::start`]; and whether it was under way already.
    pub(super) fn begin(&self, account: &AccountName) -> Result<(watch::Receiver<Progress>, bool), Trouble> {
        self.tokens.application().account(account)?;
        let registry = self.registry();
        let mut out = registry.out();
        let now = Instant::now();
        out.retain(|_, entry| entry.ended.is_none_or(|ended| now.duration_since(ended) < REMEMBERED));
        if let Some(entry) = out.get_mut(account).filter(|entry| entry.ended.is_none()) {
            entry.seen = now;
            return Ok((entry.progress.subscribe(), true));
        }
        if out.values().filter(|entry| entry.ended.is_none()).count() >= MOST {
            self.make_room(&mut out, account, now)?;
        }
        let (progress, receiver) = watch::channel(Progress::Starting);
        // The task waits for the lock before its first step: its entry is there by then.
        let task = tokio::spawn(by_device(self.tokens.clone(), account.clone())).abort_handle();
        out.insert(account.clone(), Entry { progress, task, seen: now, ended: None });
        registry.tell(account, Progress::Starting);
        Ok((receiver, false))
    }

    /// Gives up the code at which nobody has looked for longest, where that is long enough.
    fn make_room(
        &self,
        out: &mut HashMap<AccountName, Entry>,
        account: &AccountName,
        now: Instant,
    ) -> Result<(), Trouble> {
        let idle = out.iter().filter_map(|(name, entry)| Some((entry.unseen(now)?, name.clone())));
        match idle.max_by_key(|(unseen, _)| *unseen) {
            Some((unseen, left)) if unseen >= UNSEEN => {
                let unused = device::unused(self.tokens.application().subject(&left));
                self.registry().end_in(out, &left, Progress::Failed(unused));
                Ok(())
            }
            longest => {
                let after = UNSEEN.saturating_sub(longest.map_or(Duration::ZERO, |(unseen, _)| unseen));
                let minutes = after.as_secs().div_ceil(60);
                let reason = format!(
                    "account {account}: {MOST} people are signing in by code at this moment; try again in {minutes} min"
                );
                Err(Trouble::Retry { after: Some(after), reason })
            }
        }
    }

    /// How far an account's sign-in is, or how it ended within the last ten minutes.
    pub fn progress(&self, account: &AccountName) -> Option<Progress> {
        let mut out = self.registry().out();
        let entry = out.get_mut(account)?;
        entry.seen = Instant::now();
        let is_fresh = entry.ended.is_none_or(|ended| ended.elapsed() < REMEMBERED);
        is_fresh.then(|| entry.progress.borrow().clone())
    }

    /// Ends an account's sign-in; answers whether one was under way. Its code leads nowhere from then on.
    pub fn cancel(&self, account: &AccountName) -> bool {
        self.registry().cancel(account)
    }

    /// Every step of every sign-in from now on. Whoever falls behind asks [`Self::progress`].
    pub fn steps(&self) -> broadcast::Receiver<Step> {
        self.registry().steps.subscribe()
    }

    /// Whether anybody may leave ([`Errand::Leave`]): where people may enrol, or did. Asked before each such way.
    pub async fn may_leave(&self) -> Result<bool, Trouble> {
        self.tokens.may_leave().await
    }

    pub(super) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    fn registry(&self) -> &Registry {
        self.tokens.registry()
    }
}

impl Tokens {
    /// Signs a person in to an account by device code ([`SignIns::start`]), and waits for it. `show` is
    /// called with each code: a new one comes when one expires. Dropping the future cancels, and changes
    /// nothing.
    ///
    /// Refuses another person than `accounts.<account>.user`.
    pub async fn sign_in(&self, account: &AccountName, mut show: impl FnMut(&Prompt)) -> Result<Grant, Trouble> {
        let (mut progress, was_under_way) = self.sign_ins().begin(account)?;
        let _guard = CancelOnDrop { registry: self.registry(), account, ours: !was_under_way };
        loop {
            let now = progress.borrow_and_update().clone();
            match now {
                Progress::Starting => {}
                Progress::Waiting { prompt, .. } => show(&prompt),
                Progress::SignedIn(_) => {
                    return self.caches().read(account).await?.ok_or_else(|| self.application().not_signed_in(account));
                }
                Progress::Failed(trouble) => return Err(trouble),
                Progress::Cancelled => return Err(Trouble::sign_in(format!("account {account}: cancelled"))),
            }
            if progress.changed().await.is_err() {
                return Err(Trouble::later(format!("account {account}: the sign-in was ended; start it again")));
            }
        }
    }
}

/// Ends a sign-in that nobody waits for any more.
struct CancelOnDrop<'a> {
    registry: &'a Registry,
    account: &'a AccountName,
    ours: bool,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if self.ours {
            self.registry.cancel(self.account);
        }
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self { out: Mutex::default(), steps: broadcast::channel(BEHIND).0, newcomers: Newcomers::default() }
    }
}

impl Registry {
    /// An account was signed in, by whatever way: its code, if one is out, is not needed any more, and how one ended
    /// before counts no more.
    pub(super) fn succeeded(&self, grant: &Grant) {
        if !self.end(&grant.account, Progress::SignedIn(grant.into())) {
            self.forget(&grant.account);
        }
    }

    /// The same, by another process.
    pub(super) fn succeeded_elsewhere(&self, account: &AccountName) {
        if !self.cancel(account) {
            self.forget(account);
        }
    }

    /// Forgets how an account's code ended.
    fn forget(&self, account: &AccountName) {
        let mut out = self.out();
        if out.get(account).is_some_and(|entry| entry.ended.is_some()) {
            out.remove(account);
        }
    }

    /// A sign-in in the browser came to nothing. While a code is out, that is what there is to tell.
    pub(super) fn failed(&self, account: &AccountName, trouble: Trouble) {
        let is_out = self.out().get(account).is_some_and(|entry| entry.ended.is_none());
        if !is_out {
            self.tell(account, Progress::Failed(trouble));
        }
    }

    /// Nobody waits for it any more.
    pub(super) fn cancel(&self, account: &AccountName) -> bool {
        self.end(account, Progress::Cancelled)
    }

    /// Ends what is under way. The task may be the caller: it goes on to its next pause.
    fn end(&self, account: &AccountName, progress: Progress) -> bool {
        self.end_in(&mut self.out(), account, progress)
    }

    fn end_in(&self, out: &mut HashMap<AccountName, Entry>, account: &AccountName, progress: Progress) -> bool {
        let Some(entry) = out.get_mut(account).filter(|entry| entry.ended.is_none()) else { return false };
        entry.task.abort();
        entry.ended = Some(Instant::now());
        entry.progress.send_replace(progress.clone());
        self.tell(account, progress);
        true
    }

    fn waits(&self, account: &AccountName, prompt: &Prompt) {
        let progress = Progress::Waiting { prompt: prompt.clone(), until: Instant::now() + prompt.expires_in };
        let mut out = self.out();
        if let Some(entry) = out.get_mut(account).filter(|entry| entry.ended.is_none()) {
            entry.progress.send_replace(progress.clone());
            self.tell(account, progress);
        }
    }

    fn tell(&self, account: &AccountName, progress: Progress) {
        // Nobody has to watch.
        let _ = self.steps.send(Step { account: account.clone(), progress });
    }

    fn out(&self) -> MutexGuard<'_, HashMap<AccountName, Entry>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tokens {
    /// What another process was asked to bring, or this one before its start.
    pub(super) async fn recall_claims(&self, account: &AccountName) {
        let claims = self.application().claims();
        if claims.of(account).is_none()
            && let Ok(Some(grant)) = self.caches().read(account).await
        {
            claims.ask(account, grant.standing.claims());
        }
    }
}

/// The way of one sign-in. It ends itself in the registry, whichever way it goes.
async fn by_device(tokens: Tokens, account: AccountName) {
    tokens.recall_claims(&account).await;
    let show = |prompt: &Prompt| tokens.registry().waits(&account, prompt);
    let errand = Errand::Account(account.clone());
    let came = device::sign_in(tokens.application(), &errand, None, OFFER, show).await;
    let kept = match came {
        Ok(came) => tokens.conclude(&errand, None, &came).await,
        Err(trouble) => Err(trouble),
    };
    if let Err(trouble) = kept {
        tracing::debug!(%account, %trouble, "a sign-in by device code ended without success");
        tokens.registry().end(&account, Progress::Failed(trouble));
    }
}
