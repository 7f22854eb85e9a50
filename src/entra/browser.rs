//! Signing in with a browser: it is sent to Entra, comes back with a code, and the code is redeemed here.
//!
//! Entra lets the browser post its answer to us (`response_mode=form_post`), so that no code ever stands
//! in a URL. That post comes from another site and brings no cookie of ours: it is kept under a random
//! handle, and the browser comes once more, to a URL with that handle, with its cookie.

use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::time::Instant;
use url::Url;

use super::answers::Refusal;
use super::claims::Whose;
use super::issued::Issued;
use super::newcomers::place;
use super::posted::Posted;
use super::redemption::{Asking, Authorization};
use super::{SignIns, Tokens, Trouble};
use crate::presence::{AccountName, ObjectId};
use crate::store::Grant;

/// How long a person may take, from the start to the last page.
const LIFE: Duration = Duration::from_secs(600);

/// Browsers that are under way at one time. Each costs a few hundred bytes, and nothing at Entra.
const MOST: usize = 1024;

/// How long somebody who pressed a button waits until it is known that all is there: what is not known by then is no
/// reason to stay. The server's exchanges end soon after.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many of them may have left from one place without having come back: nobody needs to be known for that.
const MOST_FROM_ONE: usize = 64;

/// Which browser it is, by a secret that it alone holds: a cookie's value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Browser([u8; 32]);

impl Browser {
    /// Of this cookie.
    pub fn of(cookie: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, cookie.as_bytes()).as_ref());
        Self(hash)
    }
}

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Browser")
    }
}

/// What somebody signs in for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errand {
    /// The person of this configured account signs in.
    Account(AccountName),
    /// Whoever signs in becomes an account, where `web.enrol.tenants` has their tenant.
    Enrol,
    /// Whoever signs in is an account no more, where they enrolled.
    Leave,
}

/// A browser came with something that nobody waits for. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unexpected {
    /// Forged, used already, or older than ten minutes.
    #[error("this sign-in was used already, is older than ten minutes, or was never begun here")]
    Unknown,
    /// Another browser began it.
    #[error("another browser began this sign-in, or this one keeps no cookies")]
    AnotherBrowser,
}

/// Who signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The name with which the person signed in.
    pub username: String,
    /// Who it is.
    pub object_id: ObjectId,
    /// The account that is theirs.
    pub account: AccountName,
    /// Whether it is signed in by this. Not where they left, nor where the configuration has an account for
    /// them that does not sign in, or needs more than an enrolment asks for.
    pub kept: bool,
}

/// How a browser's sign-in stands.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// For what.
    pub errand: Errand,
    /// How it ended; none while Entra is asked.
    pub outcome: Option<Result<SignedIn, Trouble>>,
}

/// The browsers that are under way.
#[derive(Default)]
pub(super) struct Journeys(Mutex<VecDeque<Journey>>);

struct Journey {
    errand: Errand,
    browser: Browser,
    /// The place from which it was sent.
    from: IpAddr,
    begun: Instant,
    stage: Stage,
}

enum Stage {
    /// At Entra, with this state.
    Away { state: String, ticket: Ticket },
    /// What Entra posted is here, but not yet the browser with its cookie.
    Back { handle: String, ticket: Ticket, posted: Posted },
    /// The code is redeemed, or was.
    Arrived { handle: String, outcome: watch::Receiver<Option<Result<SignedIn, Trouble>>> },
}

/// What proves that a code was meant for us.
struct Ticket {
    /// At which tenant's page, as it was named in the URL: at no other is the code taken.
    tenant: String,
    redirect_uri: Url,
    verifier: SecretString,
    nonce: String,
    /// With which claims the browser was sent.
    brought: Option<Arc<str>>,
}

/// What a sign-in brought.
pub(super) struct Came {
    pub issued: Issued,
    /// What the id token has to repeat, where a browser was sent.
    pub nonce: Option<String>,
    /// As which kind of client the application got it.
    pub confidential: bool,
    /// The claims that it was asked for with.
    pub brought: Option<Arc<str>>,
}

impl SignIns {
    /// Begins a sign-in in this browser: the URL at Entra that it is sent to. It comes back to
    /// `redirect_uri` within ten minutes, or never.
    ///
    /// `from` is the address from which the browser asks. Refused with a time ([`Trouble::Retry`]): a 65th that is
    /// under way from one place, and a 1,025th in all.
    pub async fn send(
        &self,
        errand: Errand,
        browser: Browser,
        from: IpAddr,
        redirect_uri: &Url,
    ) -> Result<Url, Trouble> {
        let from = place(from);
        drop(self.journeys().admit(from)?);
        let asking = self.tokens().hinted(&errand, self.ready(&errand, browser).await?).await;
        let application = self.tokens().application();
        let (state, nonce, verifier) = (random(), random(), random());
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        let authorization = Authorization { redirect_uri, state: &state, nonce: &nonce, challenge: &challenge };
        let url = application.authorization_url(&asking, &authorization, None);
        let (redirect_uri, tenant, brought) = (redirect_uri.clone(), asking.tenant, asking.claims);
        let ticket = Ticket { tenant, redirect_uri, verifier: verifier.into(), nonce, brought };
        let stage = Stage::Away { state, ticket };
        self.journeys().add(Journey { errand, browser, from, begun: Instant::now(), stage })?;
        Ok(url)
    }

    /// What to ask for, once all is there that it takes, or it takes too long to find that out.
    async fn ready(&self, errand: &Errand, browser: Browser) -> Result<Asking, Trouble> {
        let (tokens, on) = (self.tokens().clone(), errand.clone());
        // In a task of its own: what it finds is there for the next who comes, if nobody waits for it any more.
        let asked = tokio::spawn(async move { tokens.application().ready(&on, Some(browser)).await });
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(asking)) => asking,
            _ => self.tokens().application().asking_in(errand, Some(browser)),
        }
    }

    /// Whether a browser that brings this was sent by us and is awaited.
    pub fn awaits(&self, posted: &Posted) -> bool {
        let Some(state) = posted.state.as_deref() else { return false };
        self.journeys().lock().iter().any(|journey| journey.stage.is_away_with(state))
    }

    /// Takes what Entra let a browser post: the handle with which that browser is to come again.
    /// Each state is taken once.
    pub fn receive(&self, posted: Posted) -> Result<String, Unexpected> {
        let state = posted.state.as_deref().ok_or(Unexpected::Unknown)?;
        let mut journeys = self.journeys().lock();
        let at = journeys.iter().position(|journey| journey.stage.is_away_with(state)).ok_or(Unexpected::Unknown)?;
        let journey = journeys.remove(at).expect("found above");
        let Stage::Away { ticket, .. } = journey.stage else { unreachable!("found above") };
        let handle = random();
        let stage = Stage::Back { handle: handle.clone(), ticket, posted };
        journeys.push_back(Journey { stage, ..journey });
        Ok(handle)
    }

    /// The browser is here with its handle: the code is redeemed, once. Waits up to `patience` for the end.
    pub async fn arrive(&self, handle: &str, browser: Browser, patience: Duration) -> Result<Arrival, Unexpected> {
        let (errand, mut outcome) = self.redemption(handle, browser)?;
        let _ = tokio::time::timeout(patience, outcome.wait_for(Option::is_some)).await;
        let outcome = outcome.borrow().clone();
        Ok(Arrival { errand, outcome })
    }

    #[expect(clippy::type_complexity, reason = "the channel's content is said by Arrival")]
    fn redemption(
        &self,
        handle: &str,
        browser: Browser,
    ) -> Result<(Errand, watch::Receiver<Option<Result<SignedIn, Trouble>>>), Unexpected> {
        let mut journeys = self.journeys().lock();
        let at = journeys.iter().position(|journey| journey.stage.has(handle)).ok_or(Unexpected::Unknown)?;
        if journeys[at].browser != browser {
            return Err(Unexpected::AnotherBrowser);
        }
        let journey = journeys.remove(at).expect("found above");
        let outcome = match journey.stage {
            Stage::Arrived { outcome, .. } => outcome,
            Stage::Back { ticket, posted, .. } => {
                let (tell, outcome) = watch::channel(None);
                let (tokens, errand) = (self.tokens().clone(), journey.errand.clone());
                // In a task of its own: what Entra answers is kept even if the browser is gone by then.
                tokio::spawn(async move {
                    let outcome = redeem(&tokens, &errand, browser, ticket, posted).await;
                    if let Ok(signed_in) = &outcome {
                        tokens.newcomers().succeeded(&errand, browser, signed_in);
                    }
                    tell.send_replace(Some(outcome))
                });
                outcome
            }
            Stage::Away { .. } => unreachable!("it has no handle"),
        };
        let errand = journey.errand.clone();
        let stage = Stage::Arrived { handle: handle.to_owned(), outcome: outcome.clone() };
        journeys.push_back(Journey { stage, ..journey });
        Ok((errand, outcome))
    }

    fn journeys(&self) -> &Journeys {
        self.tokens().journeys()
    }
}

async fn redeem(
    tokens: &Tokens,
    errand: &Errand,
    browser: Browser,
    ticket: Ticket,
    posted: Posted,
) -> Result<SignedIn, Trouble> {
    let application = tokens.application();
    let Ticket { tenant, redirect_uri, verifier, nonce, brought } = ticket;
    let mut asking = application.asking(errand)?;
    (asking.tenant, asking.claims) = (tenant, brought.clone());
    let Some(code) = posted.code.filter(|_| posted.error.is_none()) else {
        let error = posted.error.unwrap_or_else(|| "no_code".to_owned());
        let description = posted.error_description.unwrap_or_default();
        let refusal = Refusal::posted(&error, &description, posted.error_subcode.as_deref());
        return Err(refusal.trouble(&asking.subject, &[], None));
    };
    let whose = Whose::of(errand, Some(browser));
    let redeemed = application.redeem(whose, &asking, &code.into(), &verifier, &redirect_uri).await;
    if let (Err(trouble), Errand::Account(account)) = (&redeemed, errand) {
        // From Entra itself. What a browser brings may be anybody's words, and is told there alone.
        tokens.registry().failed(account, trouble.clone());
    }
    let (issued, confidential) = redeemed?;
    tokens.conclude(errand, Some(browser), &Came { issued, nonce: Some(nonce), confidential, brought }).await
}

impl Tokens {
    /// Does what somebody signed in for. `browser` is that of somebody whom the configuration does not name.
    pub(super) async fn conclude(
        &self,
        errand: &Errand,
        browser: Option<Browser>,
        came: &Came,
    ) -> Result<SignedIn, Trouble> {
        let Came { issued, nonce, confidential, .. } = came;
        match errand {
            Errand::Account(account) => {
                let kept = self.keep(account, issued, nonce.as_deref(), *confidential).await;
                kept.map(|grant| (&grant).into())
            }
            Errand::Enrol => self.enrol(came, browser).await,
            Errand::Leave => self.leave(issued, nonce.as_deref()).await,
        }
    }
}

impl From<&Grant> for SignedIn {
    fn from(grant: &Grant) -> Self {
        Self {
            username: grant.username.clone(),
            object_id: grant.object_id,
            account: grant.account.clone(),
            kept: true,
        }
    }
}

impl Journeys {
    fn add(&self, journey: Journey) -> Result<(), Trouble> {
        let mut journeys = self.admit(journey.from)?;
        if journeys.len() >= MOST {
            // Of one that has arrived, its last page alone is lost.
            let arrived = journeys.iter().position(|journey| !journey.is_under_way()).expect("there is room");
            journeys.remove(arrived);
        }
        journeys.push_back(journey);
        Ok(())
    }

    /// Refuses one more from this place where there are too many.
    fn admit(&self, from: IpAddr) -> Result<MutexGuard<'_, VecDeque<Journey>>, Trouble> {
        let journeys = self.lock();
        let under_way = || journeys.iter().filter(|journey| journey.is_under_way());
        if under_way().filter(|other| other.from == from).count() >= MOST_FROM_ONE {
            return Err(too_many(&journeys, "from where you are"));
        }
        if under_way().count() >= MOST {
            return Err(too_many(&journeys, "here"));
        }
        Ok(journeys)
    }

    /// Those whose time is not over.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Journey>> {
        let mut journeys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        journeys.retain(|journey| journey.begun.elapsed() < LIFE);
        journeys
    }
}

impl Journey {
    fn is_under_way(&self) -> bool {
        !matches!(self.stage, Stage::Arrived { .. })
    }
}

impl Stage {
    fn is_away_with(&self, shown: &str) -> bool {
        matches!(self, Self::Away { state, .. } if state == shown)
    }

    fn has(&self, shown: &str) -> bool {
        match self {
            Self::Away { .. } => false,
            Self::Back { handle, .. } | Self::Arrived { handle, .. } => handle == shown,
        }
    }
}

/// One has to come back, or its time to be over, before another leaves.
fn too_many(journeys: &VecDeque<Journey>, place: &str) -> Trouble {
    let oldest = journeys.front().map_or(Duration::ZERO, |journey| journey.begun.elapsed());
    let after = LIFE.saturating_sub(oldest);
    let minutes = after.as_secs().div_ceil(60);
    let reason = format!("too many sign-ins were begun {place} and not finished; try again in {minutes} min");
    Trouble::Retry { after: Some(after), reason }
}

/// 256 random bits, to be written in a URL.
fn random() -> String {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).expect("the system gives randomness");
    URL_SAFE_NO_PAD.encode(bytes)
}
