//! What Entra or Graph asks of an account's next sign-in beyond scopes: a claims request (OpenID Connect Core,
//! 5.5), such as for more factors. Microsoft's "Claims challenges, claims requests, and client capabilities".

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};

use crate::presence::AccountName;

/// The longest claims that are handed on, in bytes; Microsoft's have some hundred.
const LONGEST: usize = 4 << 10;

/// Whether a text is a claims request that can be handed on: a JSON object of a sane size.
pub fn is_claims_request(text: &str) -> bool {
    text.len() <= LONGEST && serde_json::from_str::<Map<String, Value>>(text).is_ok()
}

/// What was asked of whom, until they have signed in.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<HashMap<AccountName, Arc<str>>>);

impl Claims {
    /// The next sign-in of this account has to bring this; or nothing in particular.
    pub(super) fn ask(&self, account: &AccountName, claims: Option<&str>) {
        match claims {
            Some(claims) => self.all().insert(account.clone(), claims.into()),
            None => self.all().remove(account),
        };
    }

    pub(super) fn of(&self, account: &AccountName) -> Option<Arc<str>> {
        self.all().get(account).cloned()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<AccountName, Arc<str>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
