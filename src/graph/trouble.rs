//! What went wrong with Graph, by what to do next.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use super::challenge;
use super::lenient::{Maybe, Text};
use super::text::plain;
use crate::entra::{self, OwnRight, Principal, Remedy, WayIn};

/// The longest piece of Graph's own words repeated, in characters.
const LONGEST_QUOTE: usize = 300;

/// What went wrong with Graph, by what to do next. Texts are for people and hold no secret.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Trouble {
    /// Try again by itself, not before this time where Graph said so (429, 503, 5xx, no connection, odd answer).
    #[error("{reason}")]
    Retry {
        /// From Retry-After.
        after: Option<Duration>,
        /// For people, with Graph's request-id.
        reason: String,
    },
    /// Entra gave no token.
    #[error(transparent)]
    Token(#[from] entra::Trouble),
    /// Graph refuses this principal (403, or 401 twice): the right is missing.
    #[error("{reason}{}{}", if remedy.is_some() { "; " } else { "" }, remedy.as_ref().map_or("", Remedy::as_str))]
    Forbidden {
        /// For people: which permission is missing and who grants it.
        reason: String,
        /// Where somebody signs in when it is granted.
        remedy: Option<Remedy>,
        /// Where an administrator consents, where that is all there is to do.
        url: Option<String>,
    },
    /// Graph takes the question about these people as it stands for wrong (400, 404, 413): one of them may
    /// be the cause, or how many they are.
    #[error("{reason}")]
    Refused {
        /// For people.
        reason: String,
    },
    /// There is no such user (404).
    #[error("{reason}")]
    NoSuchUser {
        /// For people.
        reason: String,
    },
}

impl Trouble {
    /// One that goes by itself.
    pub(super) fn passing(reason: String) -> Self {
        Self::Retry { after: None, reason }
    }
}

/// What was asked, for the words of a trouble and its remedy.
#[derive(Clone, Copy)]
pub(super) enum Question<'a> {
    /// One's own presence.
    Mine,
    /// Other people's presences.
    Presences,
    /// The id of this user.
    UserId(&'a str),
    /// To show something else of oneself: the action.
    Write(&'a str),
}

impl Question<'_> {
    fn asked(self) -> String {
        match self {
            Self::Mine => "the own presence (/me/presence)".into(),
            Self::Presences => "presences (getPresencesByUserId)".into(),
            Self::Write(action) => format!("the own presence ({action})"),
            Self::UserId(name) => format!("the id of user {name:?} (/users)"),
        }
    }

    /// The permission that Graph wants, and who grants it; where somebody signs in then, or an administrator consents.
    fn grant(self, who: &Principal, tokens: &Asked<'_>) -> (String, Option<Remedy>, Option<String>) {
        let permission = match self {
            Self::Mine => "Presence.Read",
            Self::Presences => "Presence.Read.All",
            Self::UserId(_) => "User.ReadBasic.All",
            Self::Write(_) => "Presence.ReadWrite",
        };
        match (who, tokens.own) {
            (Principal::Application(_), OwnRight::Identity) => {
                let words = format!(
                    "assign the application permission {permission} to the managed identity by its Object (principal) ID, \
                     with README's az rest command (appRoleAssignments); where that is done, Azure keeps the identity's \
                     older token for up to a day"
                );
                (words, None, None)
            }
            (Principal::Application(_), OwnRight::Application { consent_url }) => {
                let words = format!(
                    "grant the application permission {permission} to the application in Entra, and let an administrator \
                     consent at {consent_url}"
                );
                (words, None, Some(consent_url.clone()))
            }
            (Principal::Account(account), _) => (
                format!("grant the delegated permission {permission} to the application in Entra"),
                Some(Remedy::new(format!("then sign in again: {}", tokens.way_in.account(account)))),
                None,
            ),
        }
    }

    fn not_found(self, who: &Principal) -> String {
        match (self, who) {
            (Self::UserId(_), _) => {
                "there is no such user in this tenant: correct `user` of the account, or its `tenant`".into()
            }
            (_, Principal::Account(account)) => {
                format!("{account} has no presence: the person needs a licence for Teams in this tenant")
            }
            _ => "there is nothing at graph.endpoint: correct it".into(),
        }
    }
}

/// What the words of a trouble need to know of whoever asked.
pub(super) struct Asked<'a> {
    pub(super) way_in: &'a WayIn,
    pub(super) own: &'a OwnRight,
}

/// The head of an answer that is not a success, and what of its body was read.
pub(super) struct Refusal<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

impl Refusal<'_> {
    /// The trouble that this is. 401 and 429 are dealt with before; they come here when that did not help.
    pub(super) fn trouble(
        &self,
        question: Question<'_>,
        who: &Principal,
        tokens: &Asked<'_>,
        after: Option<Duration>,
    ) -> Trouble {
        let said = format!("Graph answered {} to {}{}", self.status.as_u16(), question.asked(), self.quote());
        let forbidden = |why: &str| {
            let (grant, remedy, url) = question.grant(who, tokens);
            Trouble::Forbidden { reason: format!("{said}; {why}{grant}"), remedy, url }
        };
        match self.status {
            StatusCode::UNAUTHORIZED if challenge::claims(self.headers).is_some() => forbidden(
                "the organisation asks for another proof (a claims challenge), and a new token did not bring it: ",
            ),
            StatusCode::UNAUTHORIZED => forbidden("a new token was refused too: "),
            StatusCode::FORBIDDEN => forbidden(""),
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::PAYLOAD_TOO_LARGE
                if matches!(question, Question::Presences) =>
            {
                let remedy = "is `user` of the account the object id of somebody of this tenant who has Teams, and is \
                              graph.endpoint right?";
                Trouble::Refused { reason: format!("{said}; {remedy}") }
            }
            StatusCode::NOT_FOUND => Trouble::NoSuchUser { reason: format!("{said}; {}", question.not_found(who)) },
            status if status.is_redirection() => {
                Trouble::passing(format!("{said}; a redirect is not followed: correct graph.endpoint, or the proxy"))
            }
            _ => Trouble::Retry { after, reason: said },
        }
    }

    /// Graph's own words, and the request-id by which an administrator finds the call.
    fn quote(&self) -> String {
        let error = serde_json::from_slice::<Maybe<Body<'_>>>(self.body).ok().and_then(|body| body.0?.error.0);
        let header = self.headers.get("request-id").and_then(|value| value.to_str().ok()).map(Into::into);
        let (mut words, mut id) = (Vec::new(), header);
        if let Some(error) = error {
            words.extend([error.code.0, error.message.0].into_iter().flatten());
            id = error.inner_error.0.and_then(|inner| inner.request_id.0).or(id);
        }
        let said = plain(&words.join(", "), false, LONGEST_QUOTE).map_or_else(String::new, |said| format!(": {said}"));
        let id = id.and_then(|id| plain(&id, false, 64));
        said + &id.map_or_else(String::new, |id| format!(" (request-id {id})"))
    }
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Body<'a> {
    #[serde(default)]
    error: Maybe<Error<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Error<'a> {
    #[serde(default)]
    code: Text<'a>,
    #[serde(default)]
    message: Text<'a>,
    #[serde(default)]
    inner_error: Maybe<InnerError<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", bound(deserialize = "'de: 'a"))]
struct InnerError<'a> {
    #[serde(default)]
    request_id: Text<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way_in() -> WayIn {
        WayIn::of(&crate::settings::from_yaml("", std::path::Path::new("/")).unwrap())
    }

    fn own() -> OwnRight {
        OwnRight::Application { consent_url: "https://login.example/contoso.com/adminconsent".to_owned() }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_trouble_names_the_permission_and_graphs_request_id() {
        let alex = Principal::Account("alex".parse().unwrap());
        let app = Principal::Application("contoso.com".into());
        let body = br#"{"error":{"code":"Forbidden","message":"no","innerError":{"request-id":"4711","date":"x"}}}"#;
        let cases = [
            (403, Question::Mine, &alex, &["Presence.Read ", "delegated", "graph2mqtt login alex", "4711"][..]),
            (
                403,
                Question::Presences,
                &app,
                &["Presence.Read.All", "application permission", "contoso.com/adminconsent"],
            ),
            (403, Question::UserId("sam@contoso.com"), &app, &["User.ReadBasic.All", "sam@contoso.com"]),
            (404, Question::UserId("sam@contoso.com"), &app, &["no such user"]),
            (404, Question::Mine, &alex, &["licence"]),
            (404, Question::Presences, &alex, &["404", "object id", "graph.endpoint"]),
            (400, Question::Presences, &app, &["400", "object id", "graph.endpoint"]),
            (401, Question::Mine, &alex, &["new token was refused", "4711"]),
            (302, Question::Mine, &alex, &["graph.endpoint"]),
            (500, Question::Mine, &alex, &["500", "Forbidden, no"]),
        ];
        for (status, question, who, expected) in cases {
            let refusal = Refusal { status: StatusCode::from_u16(status).unwrap(), headers: &headers(&[]), body };
            let text = refusal.trouble(question, who, &Asked { way_in: &way_in(), own: &own() }, None).to_string();
            for words in expected {
                assert!(text.contains(words), "{status}: {words:?} is not in {text:?}");
            }
        }
    }

    #[test]
    fn a_body_that_is_not_graphs_is_not_quoted() {
        let body = b"<html><h1>gateway</h1>";
        let headers = headers(&[("request-id", "4712")]);
        let refusal = Refusal { status: StatusCode::BAD_GATEWAY, headers: &headers, body };
        let asked = Asked { way_in: &way_in(), own: &own() };
        let text = refusal.trouble(Question::Presences, &Principal::Application("t".into()), &asked, None).to_string();
        assert_eq!(text, "Graph answered 502 to presences (getPresencesByUserId) (request-id 4712)");
    }
}
