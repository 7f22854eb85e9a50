//! The client assertion: a JWT signed with the certificate's key.
//!
//! Source: Microsoft's "certificate credentials" of the identity platform: PS256 and x5t#S256.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::Purpose;
use super::certificate::Certificate;

/// Entra takes up to ten minutes; what is sent at once needs less.
const LIFE: SignedDuration = SignedDuration::from_mins(9);

/// An assertion for one request. The certificate is in force at `now`.
pub(super) fn sign(certificate: &Certificate, purpose: Purpose<'_>, now: Timestamp) -> SecretString {
    let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": URL_SAFE_NO_PAD.encode(certificate.thumbprint())});
    let claims = json!({
        "aud": purpose.token_endpoint,
        "iss": purpose.client_id,
        "sub": purpose.client_id,
        "jti": unique(),
        "nbf": now.as_second(),
        "exp": now.as_second() + LIFE.as_secs(),
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let signature = URL_SAFE_NO_PAD.encode(certificate.sign(signed.as_bytes()));
    format!("{signed}.{signature}").into()
}

/// An id that nobody has used before.
fn unique() -> String {
    let mut bytes = [0_u8; 16];
    SystemRandom::new().fill(&mut bytes).expect("the system gives randomness");
    URL_SAFE_NO_PAD.encode(bytes)
}
