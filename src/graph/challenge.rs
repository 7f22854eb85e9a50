//! A claims challenge: what Graph asks of the next token when it refuses one (RFC 6750, and Microsoft's
//! "Claims challenges, claims requests, and client capabilities").

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

use crate::entra::is_claims_request;

const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// The claims (JSON) that an answer asks for, where it is such a challenge.
pub(super) fn claims(headers: &HeaderMap) -> Option<String> {
    let challenges = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    challenges.filter(|text| text.contains("insufficient_claims")).find_map(|text| decode(parameter(text, "claims")?))
}

/// A parameter of a challenge, such as `claims="…"`.
fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    challenge.match_indices(name).find_map(|(at, _)| {
        let alone = !challenge[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let rest = challenge[at + name.len()..].trim_start().strip_prefix('=').filter(|_| alone)?;
        rest.trim_start().strip_prefix('"')?.split('"').next()
    })
}

fn decode(text: &str) -> Option<String> {
    let engine = |alphabet| GeneralPurpose::new(alphabet, ANY_PADDING).decode(text).ok();
    let bytes = engine(&STANDARD).or_else(|| engine(&URL_SAFE))?;
    String::from_utf8(bytes).ok().filter(|claims| is_claims_request(claims))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(challenge: &str) -> Option<String> {
        claims(&[(WWW_AUTHENTICATE, challenge.parse().unwrap())].into_iter().collect())
    }

    #[test]
    fn the_claims_are_read_in_either_alphabet_with_and_without_padding() {
        let challenge = |claims: &str| {
            format!(r#"Bearer realm="", authorization_uri="https://x", error="insufficient_claims", claims="{claims}""#)
        };
        for (encoded, plain) in [
            ("eyJhIjoxfQ==", r#"{"a":1}"#),
            ("eyJhIjoxfQ", r#"{"a":1}"#),
            ("eyJhIjoiPz8_In0", r#"{"a":"???"}"#),
            ("eyJhIjoiPz8/In0=", r#"{"a":"???"}"#),
        ] {
            assert_eq!(read(&challenge(encoded)).as_deref(), Some(plain), "{encoded}");
        }
        for odd in ["", "!", "e30", "W10=", "bm8=", &"A".repeat(10_000)] {
            assert_eq!(read(&challenge(odd)).filter(|claims| claims != "{}"), None, "{odd}");
        }
    }

    #[test]
    fn another_challenge_asks_for_no_claims() {
        for other in [
            r#"Bearer error="invalid_token", claims="eyJhIjoxfQ==""#,
            r#"Bearer error="insufficient_claims""#,
            r#"Bearer error="insufficient_claims", xclaims="eyJhIjoxfQ==""#,
            "",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
        assert_eq!(claims(&HeaderMap::new()), None);
    }
}
