//! What Entra or Graph asks of somebody's next sign-in beyond scopes: a claims request (OpenID Connect Core,
//! 5.5), such as for more factors. Microsoft's "Claims challenges, claims requests, and client capabilities".

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::browser::{Browser, Errand};
use crate::presence::AccountName;

/// The longest claims that are handed on, in bytes; Microsoft's have some hundred.
const LONGEST: usize = 4 << 10;

/// Whether a text is a claims request that can be handed on: a JSON object of a sane size.
pub fn is_claims_request(text: &str) -> bool {
    text.len() <= LONGEST && serde_json::from_str::<Map<String, Value>>(text).is_ok()
}

/// How many browsers are remembered, and how long: each of them has brought somebody's sign-in at Entra.
const MOST_BROWSERS: usize = 256;
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Whose next sign-in has to bring something.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose<'a> {
    Account(&'a AccountName),
    /// Of somebody who enrols: who they are, is known when they have signed in.
    Browser(Browser),
}

impl<'a> Whose<'a> {
    pub(super) fn of(errand: &'a Errand, browser: Option<Browser>) -> Option<Self> {
        match errand {
            Errand::Account(account) => Some(Self::Account(account)),
            Errand::Enrol => browser.map(Self::Browser),
            Errand::Leave => None,
        }
    }
}

impl<'a> From<&'a AccountName> for Whose<'a> {
    fn from(account: &'a AccountName) -> Self {
        Self::Account(account)
    }
}

impl From<Browser> for Whose<'_> {
    fn from(browser: Browser) -> Self {
        Self::Browser(browser)
    }
}

/// What was asked of whom, until they have signed in.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<Asked>);

#[derive(Debug, Default)]
struct Asked {
    accounts: HashMap<AccountName, Arc<str>>,
    /// The oldest first.
    browsers: VecDeque<(Browser, Instant, Arc<str>)>,
}

impl Claims {
    /// The next sign-in has to bring this; or nothing in particular.
    pub(super) fn ask<'a>(&self, whose: impl Into<Whose<'a>>, claims: Option<&str>) {
        let mut asked = self.asked();
        match (whose.into(), claims) {
            (Whose::Account(account), Some(claims)) => drop(asked.accounts.insert(account.clone(), claims.into())),
            (Whose::Account(account), None) => drop(asked.accounts.remove(account)),
            (Whose::Browser(browser), claims) => {
                asked.browsers.retain(|(other, since, _)| *other != browser && since.elapsed() < REMEMBERED);
                if claims.is_some() && asked.browsers.len() >= MOST_BROWSERS {
                    asked.browsers.pop_front();
                }
                asked.browsers.extend(claims.map(|claims| (browser, Instant::now(), claims.into())));
            }
        }
    }

    pub(super) fn of<'a>(&self, whose: impl Into<Whose<'a>>) -> Option<Arc<str>> {
        let asked = self.asked();
        match whose.into() {
            Whose::Account(account) => asked.accounts.get(account).cloned(),
            Whose::Browser(browser) => {
                let is_it =
                    |(other, since, _): &&(Browser, Instant, _)| *other == browser && since.elapsed() < REMEMBERED;
                asked.browsers.iter().find(is_it).map(|(.., claims)| claims.clone())
            }
        }
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn of_many_browsers_the_oldest_is_forgotten_and_each_after_an_hour() {
        let claims = Claims::default();
        let browser = |number: usize| Browser::of(&number.to_string());
        for number in 0..=MOST_BROWSERS {
            claims.ask(browser(number), Some("{}"));
        }
        assert_eq!((claims.of(browser(0)), claims.of(browser(1)).as_deref()), (None, Some("{}")));
        claims.ask(browser(1), None);
        assert_eq!(claims.of(browser(1)), None);
        tokio::time::advance(REMEMBERED).await;
        assert_eq!(claims.of(browser(2)), None);
    }
}
