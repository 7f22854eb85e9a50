//! Which accounts may set their own presence: known from the grants that this process has used.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::presence::AccountName;

/// Accounts with the right to write.
#[derive(Debug, Default)]
pub(super) struct Writers(Mutex<HashSet<AccountName>>);

impl Writers {
    pub(super) fn note(&self, account: &AccountName, writes: bool) {
        let mut writers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if writes {
            writers.insert(account.clone());
        } else {
            writers.remove(account);
        }
    }

    pub(super) fn contains(&self, account: &AccountName) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(account)
    }
}
