//! Access tokens and id tokens.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// What an access token lets its bearer do.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub holder: Holder,
    pub application: usize,
    pub tenant: usize,
    /// Delegated scopes, or an application's roles.
    pub scopes: Arc<[String]>,
    pub expires: Instant,
    /// Whether the token was asked for with claims.
    pub claims: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    Person(usize),
    Application,
}

impl Access {
    /// Whether one of these permissions was granted.
    pub(super) fn may(&self, permissions: &[&str]) -> bool {
        self.scopes.iter().any(|scope| permissions.contains(&scope.as_str()))
    }
}

/// The access tokens that are out. Those whose time is long over are forgotten now and then.
#[derive(Default)]
pub(super) struct AccessTokens {
    out: HashMap<String, Access>,
    sweep_at: usize,
}

impl AccessTokens {
    pub(super) fn get(&self, token: &str) -> Option<&Access> {
        self.out.get(token)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        self.out.keys()
    }

    pub(super) fn add(&mut self, token: String, access: Access) {
        if self.out.len() >= self.sweep_at {
            let now = Instant::now();
            self.out.retain(|_, access| access.expires > now);
            self.sweep_at = (self.out.len() * 2).max(1024);
        }
        self.out.insert(token, access);
    }

    /// Ends the tokens of these holders now.
    pub(super) fn expire(&mut self, whose: impl Fn(&Access) -> bool) {
        let now = Instant::now();
        self.out.values_mut().filter(|access| whose(access)).for_each(|access| access.expires = now);
    }
}

/// A text that nobody guesses, of so many characters.
pub(super) fn opaque(prefix: &str, length: usize) -> String {
    let random = std::iter::repeat_with(fastrand::alphanumeric).take(length.saturating_sub(prefix.len()));
    prefix.chars().chain(random).collect()
}

/// An id token in the shape of a JWT. Its signature is none: it comes straight from the token
/// endpoint, where nobody needs to check one.
pub(super) fn id_token(claims: &Value) -> String {
    let header = json!({"typ": "JWT", "alg": "RS256", "kid": "simulator"});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(&header), part(claims), URL_SAFE_NO_PAD.encode([0; 256]))
}
