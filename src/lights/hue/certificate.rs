//! Whether the machine that answers is the hub that was meant, judged by its certificate.
//!
//! A hub's certificate holds no alternative name, so the usual check of names always fails. It is
//! taken when it chains to one of Signify's roots and its common name is the bridge id; otherwise
//! (older hubs sign themselves) when its SHA-256 is the one known. Where nothing is known yet, and
//! the configuration brings the key, the certificate that names the id is taken once and held to.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ring::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use webpki::{EndEntityCert, KeyUsage, RawPublicKeyEntity};

use super::leaf::Leaf;
use super::signify;

/// SHA-256 of a leaf certificate.
pub(super) type Pin = [u8; 32];

/// What is known of a hub before it is reached.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// `hubs.<name>.id`
    pub id: Option<String>,
    /// `hubs.<name>.certificate_sha256`: this certificate and no other.
    pub configured: Option<Pin>,
    /// The certificate that the store keeps for the id.
    pub kept: Option<Pin>,
    /// The configuration brings the key: where no certificate is known yet, the first one that names the id is
    /// taken. A hub that was paired has shown its certificate then.
    pub first: bool,
    /// Somebody stands at the hub and presses its button: whatever it shows is taken, unless the configuration
    /// says which certificate it is.
    pub any: bool,
}

/// Why a certificate is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Taken {
    /// Signify vouches for the id. To be kept too: from then on no hub that signed itself is taken for it.
    Vouched {
        pin: Pin,
        /// The bridge id, where the certificate is not held to one.
        id: Box<str>,
    },
    /// It is the one known.
    Pinned,
    /// It names the configured id, and nothing was known: to be kept.
    First(Pin),
}

/// What speaks against a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Against {
    /// It is another hub's, no hub's, or of a hub that nothing is known of.
    Another,
    /// It is not the one that was known.
    Changed,
}

/// Why a certificate is refused: the text is for people, with the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub against: Against,
    text: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Refused {
    fn new(against: Against, text: String) -> Self {
        Self { against, text }
    }

    fn unreadable(hub: &str) -> Self {
        let text = format!("its certificate cannot be read, so this is no Hue hub: correct hubs.{hub}.host");
        Self::new(Against::Another, text)
    }

    fn unknown(hub: &str, seen: &Seen) -> Self {
        let by_id = match &seen.name {
            Some(name) if is_hub_id(name) => format!("hubs.{hub}.id to {name} or "),
            _ => String::new(),
        };
        let text = format!(
            "Signify did not sign its certificate, and the configuration does not say which hub is meant; \
             this one calls itself {seen}. If it is yours, pair it (graph2mqtt pair {hub}), or set {by_id}hubs.{hub}.certificate_sha256 to {}",
            hex(&seen.pin)
        );
        Self::new(Against::Another, text)
    }

    fn unkept(hub: &str, seen: &Seen) -> Self {
        let text = format!(
            "Signify did not sign its certificate, as it did or as http hid when the hub was paired (it calls itself \
             {seen}). Somebody may stand between, or the hub was reset or replaced. Only if you know why, pair it again \
             (graph2mqtt pair {hub}), or set hubs.{hub}.certificate_sha256 to {}",
            hex(&seen.pin)
        );
        Self::new(Against::Changed, text)
    }

    fn another(hub: &str, id: &str, seen: &Seen) -> Self {
        let text = format!(
            "another hub answers there: it calls itself {seen}, and hubs.{hub}.id is {id}, or as that it was \
             paired. Correct hubs.{hub}.host or hubs.{hub}.id; where the hub was replaced, pair the new one: graph2mqtt pair \
             {hub}; if it is yours and does not tell its id, set hubs.{hub}.certificate_sha256 to {}",
            hex(&seen.pin)
        );
        Self::new(Against::Another, text)
    }

    fn changed(hub: &str, before: &Pin, seen: &Seen) -> Self {
        let text = format!(
            "its certificate is not the one known: it shows {} (calling itself {seen}), known is {}. Somebody may \
             stand between, or the hub was reset or replaced. Only if you know why, pair it again (graph2mqtt pair \
             {hub}), or set hubs.{hub}.certificate_sha256 to the new one",
            hex(&seen.pin),
            hex(before)
        );
        Self::new(Against::Changed, text)
    }
}

/// What a certificate says of itself.
struct Seen {
    name: Option<String>,
    pin: Pin,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name:?}"),
            None => f.write_str("nothing"),
        }
    }
}

/// Judges a chain of certificates. `now` is the clock's time, for Signify's signatures alone.
fn judge(
    hub: &str,
    known: &Known,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &[TrustAnchor<'_>],
    now: UnixTime,
) -> Result<Taken, Refused> {
    let Leaf { common_name: name, .. } = Leaf::read(leaf).ok_or_else(|| Refused::unreadable(hub))?;
    let seen = Seen { name, pin: fingerprint(leaf) };
    if let Some(configured) = &known.configured {
        return if *configured == seen.pin { Ok(Taken::Pinned) } else { Err(Refused::changed(hub, configured, &seen)) };
    }
    let name = seen.name.as_deref().unwrap_or_default();
    if known.any {
        let vouched = is_hub_id(name) && is_vouched(leaf, intermediates, roots, now);
        let (pin, id) = (seen.pin, name.into());
        return Ok(if vouched { Taken::Vouched { pin, id } } else { Taken::First(pin) });
    }
    let names_the_hub = known.id.as_deref().map_or_else(|| is_hub_id(name), |id| id.eq_ignore_ascii_case(name));
    if names_the_hub && is_vouched(leaf, intermediates, roots, now) {
        return Ok(Taken::Vouched { pin: seen.pin, id: name.into() });
    }
    match (&known.kept, &known.id) {
        (Some(kept), _) if *kept == seen.pin => Ok(Taken::Pinned),
        (_, Some(id)) if !names_the_hub => Err(Refused::another(hub, id, &seen)),
        (Some(kept), _) => Err(Refused::changed(hub, kept, &seen)),
        (None, Some(_)) if known.first => Ok(Taken::First(seen.pin)),
        (None, Some(_)) => Err(Refused::unkept(hub, &seen)),
        (None, None) => Err(Refused::unknown(hub, &seen)),
    }
}

fn is_vouched(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &[TrustAnchor<'_>],
    now: UnixTime,
) -> bool {
    let algorithms = algorithms().all;
    EndEntityCert::try_from(leaf).is_ok_and(|leaf| {
        leaf.verify_for_usage(algorithms, roots, intermediates, now, KeyUsage::server_auth(), None, None).is_ok()
    })
}

/// Whether a text is a bridge id: 16 hex digits.
pub(in crate::lights) fn is_hub_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn fingerprint(certificate: &[u8]) -> Pin {
    digest(&SHA256, certificate).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    rustls::crypto::ring::default_provider().signature_verification_algorithms
}

/// Holds a TLS client to one hub.
#[derive(Debug)]
pub(super) struct Verifier {
    hub: String,
    known: Mutex<Known>,
    last: Mutex<Option<Result<Taken, Refused>>>,
    contact: Mutex<Contact>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// How the last request went, as far as the hub was reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Contact {
    /// It answered, whatever it said; or was not asked yet.
    #[default]
    Answered,
    /// Nobody answered.
    Unanswered,
    /// Its certificate was refused.
    Refused(Against),
}

impl Verifier {
    /// `hub` is the name in the configuration, for texts.
    pub fn new(hub: &str, known: Known) -> Arc<Self> {
        let (hub, known, last) = (hub.to_owned(), Mutex::new(known), Mutex::new(None));
        Arc::new(Self { hub, known, last, contact: Mutex::default(), algorithms: algorithms() })
    }

    /// How the last request went.
    pub fn contact(&self) -> Contact {
        *self.contact.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request went so.
    pub fn went(&self, contact: Contact) {
        *self.contact.lock().unwrap_or_else(PoisonError::into_inner) = contact;
    }

    /// How the last certificate was judged; forgotten by asking.
    pub fn take_last(&self) -> Option<Result<Taken, Refused>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// From now on this certificate and no other, unless Signify vouches for the id.
    pub fn keep(&self, pin: Pin) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        (known.kept, known.first, known.any) = (Some(pin), false, false);
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let judged = judge(&self.hub, &known, end_entity, intermediates, &signify::roots(), now);
        let taken = judged.is_ok();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(judged);
        if taken {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let leaf = Leaf::read(certificate).ok_or(CertificateError::BadEncoding)?;
        let key = RawPublicKeyEntity::try_from(&leaf.key).map_err(|_| CertificateError::BadEncoding)?;
        let candidates = self.algorithms.mapping.iter().filter(|(scheme, _)| *scheme == signed.scheme);
        let proven = candidates
            .flat_map(|(_, algorithms)| algorithms.iter())
            .any(|algorithm| key.verify_signature(*algorithm, message, signed.signature()).is_ok());
        if proven { Ok(HandshakeSignatureValid::assertion()) } else { Err(CertificateError::BadSignature.into()) }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let leaf = Leaf::read(certificate).ok_or(CertificateError::BadEncoding)?;
        verify_tls13_signature_with_raw_key(message, &leaf.key, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
#[cfg(feature = "demo")]
pub(super) mod tests;
