//! What the token endpoint answers, and what of it goes on.

use std::fmt;
use std::time::Duration;

use oauth2::basic::BasicTokenType;
use oauth2::{AccessToken, RefreshToken, Scope, TokenResponse, helpers};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// How long a token is taken for good where Entra does not say.
const LIFE_UNSAID: Duration = Duration::from_secs(300);

/// The longest life of a token that is believed; the longest that Entra gives is 28 hours.
const LONGEST_LIFE: Duration = Duration::from_secs(48 * 3600);

/// The token endpoint's answer: OAuth's fields (RFC 6749, section 5.1) and OpenID Connect's. The crate's own type
/// for both takes each answer apart twice, and hands its tokens out as copies.
#[derive(Serialize, Deserialize)]
pub(super) struct Answer {
    access_token: AccessToken,
    #[serde(deserialize_with = "helpers::deserialize_untagged_enum_case_insensitive")]
    token_type: BasicTokenType,
    expires_in: Option<u64>,
    refresh_token: Option<RefreshToken>,
    #[serde(
        default,
        deserialize_with = "helpers::deserialize_space_delimited_vec",
        serialize_with = "helpers::serialize_space_delimited_vec"
    )]
    scope: Option<Vec<Scope>>,
    id_token: Option<String>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

impl TokenResponse for Answer {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &self.token_type
    }

    fn expires_in(&self) -> Option<Duration> {
        self.expires_in.map(Duration::from_secs)
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        self.scope.as_ref()
    }
}

/// What Entra issued.
#[derive(Debug)]
pub(super) struct Issued {
    pub access: SecretString,
    pub refresh: Option<SecretString>,
    pub life: Duration,
    /// The permissions granted, where Entra names them.
    pub granted: Option<Vec<String>>,
    pub id_token: Option<SecretString>,
}

#[cfg(test)]
impl Issued {
    pub(super) fn new(access: &str, refresh: Option<&str>, life: Duration) -> Self {
        Self { access: access.into(), refresh: refresh.map(Into::into), life, granted: None, id_token: None }
    }
}

impl Issued {
    /// What is issued to the application itself, or to what stands in its place.
    pub(super) fn of_application(access: SecretString, life: Option<Duration>) -> Self {
        let life = life.unwrap_or(LIFE_UNSAID).min(LONGEST_LIFE);
        Self { access, refresh: None, life, granted: None, id_token: None }
    }
}

impl From<Answer> for Issued {
    fn from(answer: Answer) -> Self {
        let life = answer.expires_in().unwrap_or(LIFE_UNSAID).min(LONGEST_LIFE);
        let Answer { access_token, refresh_token, scope, id_token, .. } = answer;
        Self {
            access: access_token.into_secret().into(),
            refresh: refresh_token.map(|token| token.into_secret().into()),
            life,
            granted: scope.map(|scopes| scopes.iter().map(|scope| scope.to_string()).collect()),
            id_token: id_token.map(Into::into),
        }
    }
}
