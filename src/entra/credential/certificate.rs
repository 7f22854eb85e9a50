//! A certificate and its key: read from PEM or PFX, and held against each other.
//!
//! What is wrong is told as a predicate that continues the file's name.

use jiff::Timestamp;
use p12_keystore::{Pkcs12Archive, error::Error as PfxError};
use ring::rand::SystemRandom;
use ring::signature::{KeyPair, RSA_PSS_SHA256, RsaKeyPair};
use rustls::pki_types::pem::{PemObject, SectionKind};
use x509_parser::certificate::X509Certificate;
use x509_parser::parse_x509_certificate;

const MAKE_ONE: &str = "make one: openssl req -x509 -newkey rsa:3072 -nodes -days 365 -subj /CN=graph2mqtt -keyout entra.key -out \
     entra.crt && cat entra.key entra.crt > entra.pem";

const EXPORT_AGAIN: &str = "export it again with AES: openssl pkcs12 -export -keypbe AES-256-CBC -certpbe AES-256-CBC";

/// A certificate whose key is at hand.
pub(in crate::entra) struct Certificate {
    key: RsaKeyPair,
    /// SHA-256 of the DER.
    thumbprint: [u8; 32],
    from: Timestamp,
    until: Timestamp,
}

/// What a file holds, in any order.
#[derive(Default)]
struct Contents {
    certificates: Vec<Vec<u8>>,
    keys: Vec<Key>,
}

enum Key {
    Pkcs8(Vec<u8>),
    Pkcs1(Vec<u8>),
    /// SEC 1: an elliptic curve's.
    Sec1,
}

impl Certificate {
    /// Reads PEM (`-----BEGIN …`), or PFX otherwise.
    pub(super) fn read(bytes: &[u8], password: Option<&str>) -> Result<Self, String> {
        let is_pem = bytes.windows(11).any(|window| window == b"-----BEGIN ");
        let contents = if is_pem { Contents::of_pem(bytes)? } else { Contents::of_pfx(bytes, password)? };
        contents.pair()
    }

    /// An error outside of the certificate's time.
    pub(super) fn in_force(&self, now: Timestamp) -> Result<(), String> {
        if now > self.until {
            return Err(format!(
                "its certificate has expired, at {}; renew it, and upload the new one to the application in Entra \
                 under Certificates & secrets",
                self.until
            ));
        }
        if now < self.from {
            return Err(format!("its certificate is good from {} on; is this machine's clock right?", self.from));
        }
        Ok(())
    }

    pub(super) fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    /// By RSASSA-PSS with SHA-256, which JWT calls PS256.
    pub(super) fn sign(&self, text: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PSS_SHA256, &SystemRandom::new(), text, &mut signature)
            .expect("the system gives randomness, and the signature is as long as the modulus");
        signature
    }
}

impl Contents {
    fn of_pem(bytes: &[u8]) -> Result<Self, String> {
        if bytes.windows(9).any(|window| window == b"ENCRYPTED") {
            return Err("its key is encrypted; decrypt it (openssl pkey -in entra.pem), or use a PFX with \
                        entra.certificate_password_file"
                .to_owned());
        }
        let mut contents = Self::default();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes) {
            match section.map_err(|error| format!("is not readable as PEM: {error}"))? {
                (SectionKind::Certificate, der) => contents.certificates.push(der),
                (SectionKind::PrivateKey, der) => contents.keys.push(Key::Pkcs8(der)),
                (SectionKind::RsaPrivateKey, der) => contents.keys.push(Key::Pkcs1(der)),
                (SectionKind::EcPrivateKey, _) => contents.keys.push(Key::Sec1),
                _ => {}
            }
        }
        Ok(contents)
    }

    fn of_pfx(bytes: &[u8], password: Option<&str>) -> Result<Self, String> {
        if parse_x509_certificate(bytes).is_ok() {
            return Err(no_key());
        }
        let archive = Pkcs12Archive::from_pkcs12(bytes, password.unwrap_or_default());
        let archive = archive.map_err(|error| pfx_trouble(&error, password.is_some()))?;
        Ok(Self {
            certificates: archive.certs.iter().map(|bag| bag.cert.as_der().to_vec()).collect(),
            keys: archive.keys.iter().map(|bag| Key::Pkcs8(bag.key.as_der().to_vec())).collect(),
        })
    }

    /// The key, and the certificate that belongs to it; of several the one that is good for longest.
    fn pair(self) -> Result<Certificate, String> {
        if self.keys.is_empty() {
            return Err(no_key());
        }
        if self.certificates.is_empty() {
            return Err("holds a key, but no certificate; put both into the one file".to_owned());
        }
        let key = self.keys.iter().map(Key::open).reduce(Result::or).expect("there is a key")?;
        let mut fitting = Vec::new();
        for der in &self.certificates {
            let (_, certificate) =
                parse_x509_certificate(der).map_err(|error| format!("holds a certificate that is none: {error}"))?;
            if certificate.public_key().subject_public_key.data == key.public_key().as_ref() {
                fitting.push((time(&certificate)?, der));
            }
        }
        let found = fitting.into_iter().max_by_key(|((_, until), _)| *until);
        let ((from, until), der) = found
            .ok_or("its key does not belong to its certificate; put the pair that was made together into the file")?;
        let digest = ring::digest::digest(&ring::digest::SHA256, der);
        let thumbprint = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
        Ok(Certificate { key, thumbprint, from, until })
    }
}

impl Key {
    fn open(&self) -> Result<RsaKeyPair, String> {
        let opened = match self {
            Self::Pkcs8(der) => RsaKeyPair::from_pkcs8(der),
            Self::Pkcs1(der) => RsaKeyPair::from_der(der),
            Self::Sec1 => return Err(not_rsa()),
        };
        opened.map_err(|rejected| match rejected.to_string().as_str() {
            "WrongAlgorithm" => not_rsa(),
            "TooSmall" => format!("its RSA key is shorter than 2048 bits; {MAKE_ONE}"),
            "TooLarge" => format!("its RSA key is longer than 4096 bits; {MAKE_ONE}"),
            other => format!("its key is not usable ({other}); {MAKE_ONE}"),
        })
    }
}

fn time(certificate: &X509Certificate<'_>) -> Result<(Timestamp, Timestamp), String> {
    let at = |seconds| Timestamp::from_second(seconds).map_err(|_| "its certificate's time makes no sense".to_owned());
    let validity = certificate.validity();
    Ok((at(validity.not_before.timestamp())?, at(validity.not_after.timestamp())?))
}

fn no_key() -> String {
    "holds no private key; put certificate and key into the one file".to_owned()
}

fn not_rsa() -> String {
    format!("its key is not RSA (an elliptic curve's, most likely), and Entra takes RSA alone; {MAKE_ONE}")
}

/// The words for what went wrong with a PFX.
fn pfx_trouble(error: &PfxError, has_password: bool) -> String {
    match error {
        PfxError::MacError(_) | PfxError::UnpadError | PfxError::Pkcs5Error(_) if has_password => {
            "its password is another than entra.certificate_password".to_owned()
        }
        PfxError::MacError(_) | PfxError::UnpadError | PfxError::Pkcs5Error(_) => {
            "needs a password: set entra.certificate_password_file".to_owned()
        }
        PfxError::UnsupportedEncryptionScheme | PfxError::UnsupportedMacAlgorithm | PfxError::InvalidParameters => {
            format!("is encrypted in an old or odd way that is not read here ({error}); {EXPORT_AGAIN}")
        }
        _ => format!("is neither PEM nor a PFX that is readable ({error})"),
    }
}

#[cfg(feature = "demo")]
#[cfg(test)]
mod tests;
