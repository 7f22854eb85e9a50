//! Certificates as they come out of openssl, Windows and Key Vault.

use rcgen::{CertificateParams, KeyPair as Pair, PKCS_RSA_SHA256, date_time_ymd};
use ring::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};

use super::*;

const KEY: &str = include_str!("../../../../tests/entra/keys/rsa.key");
const KEY_PKCS1: &str = include_str!("../../../../tests/entra/keys/rsa-pkcs1.key");
const OTHER_KEY: &str = include_str!("../../../../tests/entra/keys/other.key");
const ENCRYPTED_KEY: &str = include_str!("../../../../tests/entra/keys/encrypted.key");
const CERTIFICATE: &str = include_str!("../../../../tests/entra/keys/rsa.crt");
const PASSWORD: &str = "swordfish";

macro_rules! pfx {
    ($name:literal) => {
        include_bytes!(concat!("../../../../tests/entra/keys/", $name, ".pfx")).as_slice()
    };
}

/// A certificate for a key, good in these years.
fn certificate(key: &str, from: i32, until: i32) -> String {
    let key = Pair::from_pem_and_sign_algo(key, &PKCS_RSA_SHA256).unwrap();
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
    params.self_signed(&key).unwrap().pem()
}

fn now() -> Timestamp {
    "2026-11-24T08:00:00Z".parse().unwrap()
}

fn wrong(bytes: impl AsRef<[u8]>, password: Option<&str>) -> String {
    Certificate::read(bytes.as_ref(), password).err().expect("it should not be taken")
}

#[test]
fn certificate_and_key_stand_in_any_order_and_either_form() {
    let expected = Certificate::read([CERTIFICATE, KEY].concat().as_bytes(), None).unwrap().thumbprint;
    let other = certificate(OTHER_KEY, 2020, 2040);
    for pem in [
        [KEY, CERTIFICATE],
        [CERTIFICATE, KEY_PKCS1],
        [&format!("Bag Attributes\n  friendlyName: x\n{KEY}"), &CERTIFICATE.replace('\n', "\r\n")],
        [KEY, &[&other, CERTIFICATE].concat()],
        [&["# mine\n", KEY].concat(), CERTIFICATE],
    ] {
        let read = Certificate::read(pem.concat().as_bytes(), None).unwrap();
        assert_eq!(read.thumbprint, expected);
    }
}

#[test]
fn a_pfx_is_read_as_openssl_windows_and_key_vault_write_it() {
    let expected = Certificate::read([CERTIFICATE, KEY].concat().as_bytes(), None).unwrap().thumbprint;
    for (name, bytes, password) in [
        ("aes", pfx!("aes"), Some(PASSWORD)),
        ("triple DES", pfx!("tdes"), Some(PASSWORD)),
        ("RC2", pfx!("rc2"), Some(PASSWORD)),
        ("without a password", pfx!("vault"), None),
    ] {
        let read = Certificate::read(bytes, password).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
        assert_eq!(read.thumbprint, expected, "{name}");
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_the_remedy() {
    let both = [CERTIFICATE, KEY].concat();
    let elliptic = Pair::generate().unwrap().serialize_pem();
    for (text, password, words) in [
        (CERTIFICATE.to_owned(), None, "holds no private key"),
        (KEY.to_owned(), None, "no certificate"),
        ([CERTIFICATE, OTHER_KEY].concat(), None, "does not belong to its certificate"),
        ([CERTIFICATE, &elliptic].concat(), None, "not RSA"),
        ([CERTIFICATE, ENCRYPTED_KEY].concat(), None, "is encrypted; decrypt it"),
        (both.replace("MII", "M!!"), None, "PEM"),
        (String::new(), None, "neither PEM nor a PFX"),
        ("nonsense".to_owned(), None, "neither PEM nor a PFX"),
    ] {
        let found = wrong(&text, password);
        assert!(found.contains(words), "{words:?} is not in {found:?}");
    }
    let der = rustls::pki_types::CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    for (bytes, password, words) in [
        (pfx!("aes"), Some("another"), "another than entra.certificate_password"),
        (pfx!("tdes"), Some(""), "another than entra.certificate_password"),
        (pfx!("aes"), None, "set entra.certificate_password_file"),
        (pfx!("rc4"), Some(PASSWORD), "export it again with AES"),
        (&pfx!("aes")[..200], Some(PASSWORD), "neither PEM nor a PFX"),
        (&der, None, "holds no private key"),
    ] {
        let found = wrong(bytes, password);
        assert!(found.contains(words) && !found.contains(PASSWORD), "{words:?} is not in {found:?}");
    }
}

#[test]
fn a_certificate_out_of_its_time_says_since_when() {
    let expired = Certificate::read([KEY, &certificate(KEY, 2020, 2024)].concat().as_bytes(), None).unwrap();
    let told = expired.in_force(now()).unwrap_err();
    assert!(told.contains("has expired, at 2024-01-01T00:00:00Z") && told.contains("Certificates & secrets"), "{told}");
    let early = Certificate::read([KEY, &certificate(KEY, 2030, 2040)].concat().as_bytes(), None).unwrap();
    assert!(early.in_force(now()).unwrap_err().contains("clock"));
}

#[test]
fn of_several_certificates_the_one_that_is_good_for_longest_counts() {
    let (old, new) = (certificate(KEY, 2020, 2024), certificate(KEY, 2020, 2030));
    for pem in [[KEY, &old, &new], [&new, &old, KEY]] {
        assert_eq!(Certificate::read(pem.concat().as_bytes(), None).unwrap().in_force(now()), Ok(()));
    }
}

#[test]
fn what_it_signs_is_verified_by_its_certificate() {
    let read = Certificate::read([CERTIFICATE, KEY].concat().as_bytes(), None).unwrap();
    let key = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, read.key.public_key().as_ref());
    key.verify(b"text", &read.sign(b"text")).unwrap();
}
