//! What a browser holds of us: who it is, that it knew the password, and that a form was ours.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac::{self, HMAC_SHA256};
use ring::rand::{SecureRandom, SystemRandom};

/// The cookie that tells one browser from another.
const BROWSER: &str = "graph2mqtt_browser";
/// The cookie of a browser that gave the password.
const SESSION: &str = "graph2mqtt_session";
/// How long a password counts.
const SESSION_LIFE: Duration = Duration::from_secs(12 * 3600);
/// 256 bits in base64url.
const LENGTH: usize = 43;

/// Makes and checks cookies and form tokens. Nothing is kept: each is proven by a key of this process,
/// so that a restart ends them all.
pub(super) struct Cookies {
    key: hmac::Key,
    /// Path and flags, behind every cookie's value.
    attributes: String,
}

/// A browser that asks.
pub(super) struct Visitor {
    /// Its cookie's value.
    pub id: String,
    is_new: bool,
}

impl Cookies {
    /// `path` is what the pages lie under, without a slash at its end; `secure`, whether it is https.
    pub(super) fn new(path: &str, secure: bool) -> Self {
        let mut key = [0; 32];
        fill(&mut key);
        let secure = if secure { "; Secure" } else { "" };
        let path = if path.is_empty() { "/" } else { path };
        let attributes = format!("; Path={path}; HttpOnly; SameSite=Lax{secure}");
        Self { key: hmac::Key::new(HMAC_SHA256, &key), attributes }
    }

    /// Who asks; a browser without our cookie gets one.
    pub(super) fn visitor(&self, headers: &HeaderMap) -> Visitor {
        match returning(headers) {
            Some(id) => Visitor { id, is_new: false },
            None => {
                let mut bytes = [0; 32];
                fill(&mut bytes);
                Visitor { id: URL_SAFE_NO_PAD.encode(bytes), is_new: true }
            }
        }
    }

    /// The header that gives a new visitor its cookie.
    pub(super) fn greeting(&self, visitor: &Visitor) -> Option<HeaderValue> {
        visitor.is_new.then(|| self.set(BROWSER, &visitor.id))
    }

    /// What our forms carry, so that no other site can post them: bound to the browser.
    pub(super) fn token(&self, visitor: &Visitor) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, format!("form {}", visitor.id).as_bytes()))
    }

    /// Whether a form is one of ours, and came by the browser to which it was shown.
    pub(super) fn is_ours(&self, visitor: &Visitor, token: &str) -> bool {
        self.proves(&format!("form {}", visitor.id), token)
    }

    /// The header that lets a browser in for some hours.
    pub(super) fn session(&self) -> HeaderValue {
        let until = seconds(SystemTime::now() + SESSION_LIFE);
        let proof = URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, format!("session {until}").as_bytes()));
        self.set(SESSION, &format!("{until}.{proof}"))
    }

    /// Whether the browser gave the password.
    pub(super) fn is_in(&self, headers: &HeaderMap) -> bool {
        cookies(headers, SESSION).any(|value| {
            let Some((until, proof)) = value.split_once('.') else { return false };
            let lasts = until.parse::<u64>().is_ok_and(|until| until > seconds(SystemTime::now()));
            lasts && self.proves(&format!("session {until}"), proof)
        })
    }

    /// In constant time.
    fn proves(&self, what: &str, proof: &str) -> bool {
        let proof = URL_SAFE_NO_PAD.decode(proof).unwrap_or_default();
        hmac::verify(&self.key, what.as_bytes(), &proof).is_ok()
    }

    fn set(&self, name: &str, value: &str) -> HeaderValue {
        HeaderValue::from_str(&format!("{name}={value}{}", self.attributes)).expect("base64url, digits and a path")
    }
}

/// The value of our cookie, where it is one that we could have given.
fn returning(headers: &HeaderMap) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut values = cookies(headers, BROWSER);
    values.find(|value| value.len() == LENGTH && value.chars().all(plain)).map(str::to_owned)
}

fn cookies<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(move |(key, _)| *key == name).map(|(_, value)| value)
}

fn fill(bytes: &mut [u8]) {
    SystemRandom::new().fill(bytes).expect("the system gives randomness");
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, cookie.parse().unwrap())])
    }

    fn value(header: &HeaderValue) -> String {
        header.to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    #[test]
    fn a_browser_is_known_by_its_cookie_again() {
        let cookies = Cookies::new("/presence", true);
        let first = cookies.visitor(&HeaderMap::new());
        let greeting = cookies.greeting(&first).unwrap();
        let flags = greeting.to_str().unwrap();
        assert!(flags.ends_with("; Path=/presence; HttpOnly; SameSite=Lax; Secure"), "{flags}");
        let again = cookies.visitor(&with(&format!("a=b; {}; c=d", value(&greeting))));
        assert!(again.id == first.id && cookies.greeting(&again).is_none());
        assert!(cookies.is_ours(&again, &cookies.token(&first)));
    }

    #[test]
    fn a_form_of_another_browser_or_another_process_is_not_ours() {
        let cookies = Cookies::new("", false);
        let (one, other) = (cookies.visitor(&HeaderMap::new()), cookies.visitor(&HeaderMap::new()));
        assert!(!cookies.is_ours(&one, &cookies.token(&other)));
        assert!(!cookies.is_ours(&one, &Cookies::new("", false).token(&one)));
        for token in ["", "x", "AAAA", &"A".repeat(43)] {
            assert!(!cookies.is_ours(&one, token));
        }
    }

    #[test]
    fn odd_cookies_are_strangers() {
        let cookies = Cookies::new("", false);
        for cookie in ["graph2mqtt_browser=", "graph2mqtt_browser=short", "graph2mqtt_browser", "=;;=", "x"] {
            assert!(cookies.greeting(&cookies.visitor(&with(cookie))).is_some(), "{cookie}");
        }
        let quoted = format!("graph2mqtt_browser={}", "\"".repeat(43));
        assert!(cookies.greeting(&cookies.visitor(&with(&quoted))).is_some());
    }

    #[test]
    fn a_session_is_proven_and_ends() {
        let cookies = Cookies::new("", false);
        let session = value(&cookies.session());
        assert!(cookies.is_in(&with(&session)));
        assert!(!Cookies::new("", false).is_in(&with(&session)), "a restart ends it");
        let past = seconds(SystemTime::now()) - 1;
        let proof = session.split_once('.').unwrap().1;
        for forged in
            [format!("{past}.{proof}"), format!("99999999999.{proof}"), "1".into(), "x.y".into(), String::new()]
        {
            assert!(!cookies.is_in(&with(&format!("{SESSION}={forged}"))), "{forged}");
        }
    }
}
