//! Client assertions: what real Entra checks of them before it believes a client.
//!
//! Source: Microsoft's "certificate credentials" of the identity platform.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;
use x509_parser::parse_x509_certificate;

use super::errors::Fail;

/// The only type of an assertion (RFC 7523).
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How far a client's clock may be off, in seconds.
const SLACK: i64 = 300;

/// The longest life of an assertion, in seconds.
const LONGEST: i64 = 600;

/// A certificate that is registered with an application.
#[derive(Debug, Clone)]
pub(super) struct Registered {
    thumbprint: String,
    public_key: Vec<u8>,
    until: i64,
}

impl Registered {
    /// From the DER that an administrator uploads.
    pub(super) fn new(der: &[u8]) -> Self {
        let (_, certificate) = parse_x509_certificate(der).expect("a certificate");
        Self {
            thumbprint: URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, der)),
            public_key: certificate.public_key().subject_public_key.data.to_vec(),
            until: certificate.validity().not_after.timestamp(),
        }
    }
}

/// The ids of assertions that were used.
#[derive(Debug, Default)]
pub(super) struct Used(HashSet<String>);

/// An assertion's three parts, the first two read.
struct Jwt<'a> {
    header: Value,
    claims: Value,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Jwt<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let json = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        Some(Self {
            header: json(header)?,
            claims: json(claims)?,
            signed,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }
}

/// Checks an assertion for one of these endpoints, and uses it up.
pub(super) fn check(
    text: &str,
    client_id: &str,
    registered: &[Registered],
    endpoints: &[String],
    used: &mut Used,
) -> Result<(), Fail> {
    let jwt = Jwt::parse(text).ok_or_else(|| Fail::assertion("The client assertion is not a JWT."))?;
    let text_of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if text_of(&jwt.header["alg"]) != "PS256" || text_of(&jwt.header["typ"]) != "JWT" {
        return Err(Fail::assertion("The client assertion's algorithm is not supported."));
    }
    // Microsoft's own clients pad it, against the letter of RFC 7515.
    let thumbprint = text_of(&jwt.header["x5t#S256"]);
    let key = registered
        .iter()
        .find(|key| key.thumbprint == thumbprint.trim_end_matches('='))
        .ok_or_else(Fail::certificate_unknown)?;
    UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, &key.public_key)
        .verify(jwt.signed.as_bytes(), &jwt.signature)
        .map_err(|_| Fail::assertion("Client assertion failed signature validation."))?;
    let now = jiff::Timestamp::now().as_second();
    if key.until < now {
        return Err(Fail::assertion("The key used to sign the client assertion is expired."));
    }
    let is_client = |claim: &str| text_of(&jwt.claims[claim]).eq_ignore_ascii_case(client_id);
    if !is_client("iss") || !is_client("sub") {
        return Err(Fail::assertion("The client assertion's issuer or subject is not the application."));
    }
    let audience = text_of(&jwt.claims["aud"]);
    if !endpoints.contains(&audience) {
        return Err(Fail::assertion_audience());
    }
    let time = |claim: &str| jwt.claims[claim].as_f64().map(|seconds| seconds as i64);
    // Microsoft's own clients say iat alone, with fractions.
    let (Some(from), Some(until)) = (time("nbf").or(time("iat")), time("exp")) else {
        return Err(Fail::assertion_time());
    };
    if from > now + SLACK || until < now - SLACK || until - from > LONGEST {
        return Err(Fail::assertion_time());
    }
    let id = text_of(&jwt.claims["jti"]);
    if id.is_empty() || !used.0.insert(id) {
        return Err(Fail::assertion("The client assertion was used before."));
    }
    Ok(())
}
