//! Who signed in, by the id token, and whether that is the person whom the configuration names.
//!
//! The id token's signature is not checked: it came from the token endpoint itself (OpenID Connect Core, 3.1.3.7).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;
use url::Url;

use super::{Trouble, WayIn};
use crate::presence::{AccountName, ObjectId};
use crate::settings::User;
use crate::store::Grant;

/// The tenant of personal Microsoft accounts, which have no Teams presence in Graph.
const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// How far the clock may be off.
const CLOCK_SLACK: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

/// What an id token says.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Person {
    pub oid: ObjectId,
    pub tid: ObjectId,
    #[serde(default)]
    pub preferred_username: String,
    aud: String,
    nonce: Option<String>,
    iss: String,
    exp: i64,
}

impl Person {
    /// Reads and checks the id token: issued by `authority` for this application, now.
    pub(super) fn read(token: &str, authority: &Url, client_id: &str, now: Timestamp) -> Result<Self, Trouble> {
        let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok());
        let person: Option<Self> = payload.and_then(|payload| serde_json::from_slice(&payload).ok());
        let person = person.ok_or_else(|| Trouble::later("Entra's id token is not readable; try again"))?;
        let issuer = format!("{}/{}/v2.0", authority.as_str().trim_end_matches('/'), person.tid);
        if person.aud != client_id {
            return Err(Trouble::misconfigured("Entra's id token is meant for another application"));
        }
        if person.iss != issuer {
            return Err(Trouble::misconfigured(format!(
                "Entra's id token comes from another issuer than {issuer}; check entra.authority and entra.cloud"
            )));
        }
        if Timestamp::from_second(person.exp)
            .is_ok_and(|end| end.saturating_add(CLOCK_SLACK).is_ok_and(|end| end < now))
        {
            return Err(Trouble::later("Entra's id token has expired already: is this machine's clock right?"));
        }
        if person.tid.as_str() == PERSONAL {
            return Err(Trouble::sign_in(
                "a personal Microsoft account has no presence in Teams; sign in with a work or school account",
            ));
        }
        Ok(person)
    }

    /// Whether the id token answers the question that this browser was sent with, where one was.
    pub(super) fn must_answer(&self, nonce: Option<&str>) -> Result<(), Trouble> {
        if nonce.is_none() || self.nonce.as_deref() == nonce {
            return Ok(());
        }
        Err(Trouble::sign_in("Entra's id token answers another sign-in than the one begun here; start again"))
    }

    /// Refuses a sign-in to another tenant than the one meant: its id, and its name as it is configured.
    pub(super) fn must_be_of(&self, account: &AccountName, id: ObjectId, name: &str) -> Result<(), Trouble> {
        if id == self.tid {
            return Ok(());
        }
        Err(Trouble::sign_in(format!(
            "account {account}: {} signed in to the tenant {}, but {name} is configured; sign in there",
            self.preferred_username, self.tid
        )))
    }

    /// Refuses another person than the one configured for the account.
    pub(super) fn must_be(&self, account: &AccountName, user: &User) -> Result<(), Trouble> {
        if is_same(user, self.oid, &self.preferred_username) {
            return Ok(());
        }
        let (name, wanted) = (&self.preferred_username, text(user));
        Err(Trouble::sign_in(format!(
            "account {account}: {name} (object id {}) signed in, but accounts.{account}.user is {wanted}; sign in as \
             {wanted}, in a private window if the browser takes the other account by itself. If both are the same \
             person, set accounts.{account}.user to the object id",
            self.oid
        )))
    }
}

/// Whether a grant is of the user who is configured now: by how they were configured then, or by who
/// signed in.
pub fn is_grant_of(grant: &Grant, user: &User) -> bool {
    let is_as_written = matches!(user, User::Name(name) if **name == *grant.user);
    is_as_written
        || grant.user.to_lowercase() == text(user).to_lowercase()
        || is_same(user, grant.object_id, &grant.username)
}

/// Refuses the grant of another user than the one configured now under the account's name.
pub(super) fn must_fit(grant: &Grant, user: &User, way_in: &WayIn) -> Result<(), Trouble> {
    if is_grant_of(grant, user) {
        return Ok(());
    }
    let (account, wanted) = (&grant.account, text(user));
    Err(Trouble::sign_in_at(
        format!("account {account}: {} signed in, but accounts.{account}.user is {wanted} now", grant.username),
        format!("that person signs in: {}", way_in.account(account)),
    ))
}

/// Whether the configuration means this person: by object id, or by a name that counts without case.
pub(super) fn is_same(user: &User, oid: ObjectId, name: &str) -> bool {
    match user {
        User::Id(id) => *id == oid,
        User::Name(wanted) => wanted.to_lowercase() == name.to_lowercase(),
    }
}

/// A user as the configuration names them.
pub(super) fn text(user: &User) -> String {
    match user {
        User::Id(id) => id.as_str(),
        User::Name(name) => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "22222222-0000-4000-8000-000000000002";
    const TENANT: &str = "11111111-0000-4000-8000-000000000001";

    fn read(change: impl FnOnce(&mut Value)) -> Result<Person, Trouble> {
        let mut claims = json!({
            "aud": "client", "iss": format!("https://login.example/{TENANT}/v2.0"), "exp": 1_790_000_000,
            "oid": ID, "tid": TENANT, "preferred_username": "Alex@contoso.com",
        });
        change(&mut claims);
        let token = format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let now = Timestamp::from_second(1_790_000_000 - 3600).unwrap();
        Person::read(&token, &Url::parse("https://login.example").unwrap(), "client", now)
    }

    fn name(name: &str) -> User {
        User::Name(name.into())
    }

    #[test]
    fn an_id_token_is_for_this_application_from_this_authority_and_for_now() {
        assert_eq!(read(|_| ()).unwrap().oid.as_str(), ID);
        type Change = fn(&mut Value);
        let wrong: [(Change, &str); 8] = [
            (|claims| claims["aud"] = "other".into(), "another application"),
            (|claims| claims["iss"] = "https://login.example/other/v2.0".into(), "another issuer"),
            (|claims| claims["iss"] = format!("https://evil.example/{TENANT}/v2.0").into(), "another issuer"),
            (|claims| claims["exp"] = (1_790_000_000 - 8000).into(), "clock"),
            (|claims| claims["oid"] = "alex".into(), "not readable"),
            (|claims| claims["tid"] = Value::Null, "not readable"),
            (|claims| *claims = json!([]), "not readable"),
            (
                |claims| {
                    claims["tid"] = PERSONAL.into();
                    claims["iss"] = format!("https://login.example/{PERSONAL}/v2.0").into();
                },
                "personal Microsoft account",
            ),
        ];
        for (change, words) in wrong {
            let reason = read(change).unwrap_err().to_string();
            assert!(reason.contains(words), "{words}: {reason}");
        }
        for far in [Timestamp::MAX.as_second(), i64::MAX] {
            assert!(read(|claims| claims["exp"] = far.into()).is_ok(), "{far}");
        }
        for token in ["", "a", "a.b", "a.!!!.c", "..", "a.e30.c"] {
            let found =
                Person::read(token, &Url::parse("https://login.example").unwrap(), "client", Timestamp::UNIX_EPOCH);
            assert!(found.is_err(), "{token}");
        }
    }

    #[test]
    fn each_cloud_is_an_issuer_of_its_own() {
        for cloud in ["global", "us_government", "us_government_dod", "china"] {
            let yaml = format!("entra: {{ cloud: {cloud}, tenant: contoso.com, client_id: {ID} }}");
            let settings = crate::settings::from_yaml(&yaml, std::path::Path::new("/")).unwrap();
            let authority = settings.entra.unwrap().authority;
            let host = authority.host_str().unwrap().to_owned();
            let by = |host: &str| {
                let claims = json!({
                    "aud": "client", "iss": format!("https://{host}/{TENANT}/v2.0"), "exp": 1_790_000_000, "oid": ID,
                    "tid": TENANT,
                });
                let token = format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string()));
                Person::read(&token, &authority, "client", Timestamp::UNIX_EPOCH)
            };
            assert!(by(&host).is_ok(), "{cloud}");
            for other in ["login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn"] {
                assert_eq!(by(other).is_ok(), other == host, "{cloud}: {other}");
            }
        }
    }

    #[test]
    fn only_the_configured_person_signs_in_by_name_without_case_or_by_id() {
        let (account, person) = ("alex".parse().unwrap(), read(|_| ()).unwrap());
        for user in [name("alex@contoso.com"), name("ALEX@CONTOSO.COM"), User::Id(ID.parse().unwrap())] {
            assert_eq!(person.must_be(&account, &user), Ok(()));
        }
        for user in [name("kim@contoso.com"), name(""), User::Id(TENANT.parse().unwrap())] {
            let reason = person.must_be(&account, &user).unwrap_err().to_string();
            assert!(reason.contains("Alex@contoso.com") && reason.contains("accounts.alex.user"), "{reason}");
        }
    }
}
