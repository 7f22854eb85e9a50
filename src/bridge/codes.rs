//! Sign-ins by device code, as they come along: the code stands on the account's sign_in topic while it
//! can be used, and ends by itself.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::layout::Place;
use super::running::Bridge;
use super::sign_in::{Obstacle, Standing};
use super::topics::Leaf;
use crate::entra::{Progress, Step};
use crate::graph;
use crate::presence::AccountName;

/// A code that waits to be used. Shown until then; it is of use only to the person configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Code {
    url: Arc<str>,
    code: Arc<str>,
    expires: Timestamp,
    since: Timestamp,
}

impl Code {
    /// The payload of the sign_in topic meanwhile.
    pub(super) fn to_json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Payload<'a> {
            state: Standing,
            reason: &'static str,
            url: &'a str,
            code: &'a str,
            expires: Timestamp,
            since: Timestamp,
        }
        let reason = "open the address and enter the code";
        let payload = Payload {
            state: Standing::Pending,
            reason,
            url: &self.url,
            code: &self.code,
            expires: self.expires,
            since: self.since,
        };
        serde_json::to_vec(&payload).expect("text and times are JSON")
    }
}

impl Bridge {
    /// A sign-in came a step further.
    pub(super) fn on_step(&mut self, step: Result<Step, RecvError>) {
        match step {
            Ok(step) => self.on_progress(&step.account, &step.progress),
            Err(RecvError::Lagged(_)) => {
                let shown: Vec<AccountName> = self.board.write().codes.keys().cloned().collect();
                for account in shown {
                    let progress = self.tokens.sign_ins().progress(&account).unwrap_or(Progress::Cancelled);
                    self.on_progress(&account, &progress);
                }
            }
            Err(RecvError::Closed) => {}
        }
    }

    fn on_progress(&mut self, account: &AccountName, progress: &Progress) {
        match progress {
            Progress::Starting => {}
            Progress::Waiting { prompt, until } => {
                let now = Timestamp::now();
                let left = until.saturating_duration_since(Instant::now());
                let expires = now.checked_add(left).unwrap_or(now);
                let (url, code) = (prompt.url.as_str().into(), prompt.user_code.as_str().into());
                self.board.write().codes.insert(account.clone(), Code { url, code, expires, since: now });
                self.touch_sign_in(account);
            }
            ended => {
                self.board.write().codes.remove(account);
                if let Progress::Failed(trouble) = ended {
                    self.sign_in_failed(account, trouble.clone().into());
                }
                self.touch_sign_in(account);
                if let Progress::SignedIn(_) = ended {
                    self.on_grant_changed(account, Instant::now());
                }
            }
        }
    }

    /// Why a sign-in came to nothing is worth more than why it was needed.
    fn sign_in_failed(&mut self, account: &AccountName, trouble: graph::Trouble) {
        let (Some(obstacle), Some(index)) = (Obstacle::of(&trouble), self.board.write().index(account)) else { return };
        let now = Timestamp::now();
        self.update(index, |account, _| account.sign_in_failed(&obstacle, now));
    }

    fn touch_sign_in(&mut self, account: &AccountName) {
        let index = self.board.write().index(account);
        if let Some(index) = index {
            self.touch(Place::Account(index, Leaf::SignIn));
        }
    }
}
