//! The little that is read of a hub's certificate: whom it names, and its key.
//!
//! Old hubs' serial numbers and dates are odd, so they are stepped over without being looked at.

use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use x509_parser::asn1_rs::{Any, Class, FromBer};
use x509_parser::prelude::{FromDer, X509Name};

/// A hub's own certificate.
pub(super) struct Leaf {
    /// The subject's common name in lower case: the bridge id, on real hubs.
    pub common_name: Option<String>,
    /// The key that the hub must prove to hold.
    pub key: SubjectPublicKeyInfoDer<'static>,
}

/// Where things stand in a certificate after its version: serial number, signature, issuer,
/// validity, subject, key (RFC 5280, section 4.1).
const SUBJECT: usize = 4;
const KEY: usize = 5;

impl Leaf {
    /// Reads a certificate; none when it is not one.
    pub fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, _, certificate) = element(certificate)?;
        let (_, _, body) = element(certificate.data)?;
        let fields = fields(body.data);
        let common_name = X509Name::from_der(fields.get(SUBJECT)?).ok().and_then(|(_, name)| {
            let text = name.iter_common_name().next()?.as_str().ok()?.to_lowercase();
            Some(text.chars().filter(|c| !c.is_control()).take(64).collect())
        });
        Some(Self { common_name, key: fields.get(KEY)?.to_vec().into() })
    }
}

/// The elements in order, each with its header, without the version.
fn fields(mut input: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let (true, Some((whole, rest, any))) = (found.len() <= KEY, element(input)) {
        if any.header.class() == Class::Universal {
            found.push(whole);
        }
        input = rest;
    }
    found
}

/// The first element with its header, what follows it, and the element.
fn element(input: &[u8]) -> Option<(&[u8], &[u8], Any<'_>)> {
    let (rest, any) = Any::from_ber(input).ok()?;
    Some((&input[..input.len() - rest.len()], rest, any))
}

#[cfg(all(test, feature = "demo"))]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_names_its_hub_in_lower_case() {
        let certificate = super::super::certificate::tests::self_signed("001788FFFE010203");
        let leaf = Leaf::read(&certificate).unwrap();
        assert_eq!(leaf.common_name.as_deref(), Some("001788fffe010203"));
        assert!(leaf.key.starts_with(&[0x30]), "a whole element");
    }

    #[test]
    fn odd_serial_numbers_and_dates_are_stepped_over() {
        let certificate = super::super::certificate::tests::self_signed("001788fffe010203");
        let mut odd = certificate.to_vec();
        let date = odd
            .windows(2)
            .position(|at| at[0] == 0x17 && at[1] == 13)
            .or(odd.windows(2).position(|at| at[0] == 0x18 && at[1] == 15));
        odd[date.unwrap() + 2..][..4].copy_from_slice(b"????");
        assert_eq!(Leaf::read(&odd.into()).unwrap().common_name.as_deref(), Some("001788fffe010203"));
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        for bytes in [&b""[..], b"\x30", b"\x30\x03\x30\x01\x00", b"hello, this is no certificate"] {
            assert!(Leaf::read(&bytes.to_vec().into()).is_none());
        }
        let certificate = super::super::certificate::tests::self_signed("x");
        for length in 0..certificate.len() {
            let _ = Leaf::read(&certificate[..length].to_vec().into());
        }
    }
}
