//! TLS with a private authority and client certificates, against Mosquitto.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};

use super::*;
use crate::support::broker::Tls;

/// A company's own authority, with its files.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { issuer, folder: folder.join(name) };
        fs::create_dir(&authority.folder).unwrap();
        fs::write(authority.file("ca.pem"), authority.issuer.pem()).unwrap();
        authority
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A certificate for 127.0.0.1 or a client, and its key.
    fn issue(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = (self.file(&format!("{name}.pem")), self.file(&format!("{name}.key")));
        fs::write(&files.0, certificate.pem()).unwrap();
        fs::write(&files.1, key.serialize_pem()).unwrap();
        files
    }
}

#[tokio::test]
async fn the_brokers_certificate_and_ours_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (Authority::new(folder.path(), "ours"), Authority::new(folder.path(), "other"));
    let (certificate, key) = ours.issue("broker");
    let tls = Tls { certificate, key, client_authority: Some(ours.file("ca.pem")) };
    let Some(broker) = Broker::builder().tls(tls).start_mosquitto() else { return };
    let (client, client_key) = ours.issue("client");
    let good = settings::Mqtt {
        tls: true,
        ca_file: Some(ours.file("ca.pem")),
        client_certificate_file: Some(client),
        client_key_file: Some(client_key),
        ..settings(&broker)
    };
    let attempt =
        |settings: settings::Mqtt| Connection::open(&settings, options("under-test", &[]), Board::of(1, "x")).unwrap();

    let (_connection, mut events) = attempt(good.clone());
    connected(&mut events).await;

    let (_connection, mut events) = attempt(settings::Mqtt { ca_file: Some(other.file("ca.pem")), ..good.clone() });
    let text = disconnected(&mut events).await;
    assert!(text.contains("not issued by mqtt.ca_file") && text.contains("other"), "{text}");

    let (_connection, mut events) = attempt(settings::Mqtt { ca_file: None, ..good.clone() });
    let text = disconnected(&mut events).await;
    assert!(text.contains("the system's certificate authorities"), "{text}");

    let nameless = settings::Mqtt { client_certificate_file: None, client_key_file: None, ..good.clone() };
    let (_connection, mut events) = attempt(nameless);
    let text = disconnected(&mut events).await;
    assert!(text.contains("client_certificate"), "{text}");

    let (_connection, mut events) = attempt(settings::Mqtt { tls: false, ..good });
    let text = disconnected(&mut events).await;
    assert!(text.contains("mqtts://"), "{text}");
}

#[tokio::test]
async fn a_port_without_tls_is_told_apart_from_a_bad_certificate() {
    let broker = Broker::start();
    let tls = settings::Mqtt { tls: true, ..settings(&broker) };
    let (_connection, mut events) = Connection::open(&tls, options("under-test", &[]), Board::of(1, "x")).unwrap();
    let text = disconnected(&mut events).await;
    assert!(text.contains("TLS"), "{text}");
}

/// As `openssl x509 -req` makes them without a word about extensions, and Mosquitto's manual with it.
#[tokio::test]
async fn a_version_1_certificate_of_ours_is_the_brokers_to_judge_and_one_of_the_broker_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let (certificate, key) = ours.issue("broker");
    let file = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mqtt/version1").join(name);
    let tls = Tls { certificate, key, client_authority: Some(file("ca.pem")) };
    let Some(broker) = Broker::builder().tls(tls).start_mosquitto() else { return };
    let shown = settings::Mqtt {
        tls: true,
        ca_file: Some(ours.file("ca.pem")),
        client_certificate_file: Some(file("client.pem")),
        client_key_file: Some(file("client.key")),
        ..settings(&broker)
    };
    let (_connection, mut events) = Connection::open(&shown, options("under-test", &[]), Board::of(1, "x")).unwrap();
    connected(&mut events).await;

    let tls = Tls { certificate: file("client.pem"), key: file("client.key"), client_authority: None };
    let Some(broker) = Broker::builder().tls(tls).start_mosquitto() else { return };
    let trusting = settings::Mqtt { tls: true, ca_file: Some(file("ca.pem")), ..settings(&broker) };
    let (_connection, mut events) = Connection::open(&trusting, options("under-test", &[]), Board::of(1, "x")).unwrap();
    let text = disconnected(&mut events).await;
    assert!(text.contains("version 1") && text.contains("subjectAltName"), "{text}");
}

#[test]
fn a_key_that_does_not_fit_the_certificate_is_found_before_connecting() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let ((certificate, _), (_, key)) = (ours.issue("one"), ours.issue("two"));
    let mismatched = settings::Mqtt {
        tls: true,
        ca_file: Some(ours.file("ca.pem")),
        client_certificate_file: Some(certificate),
        client_key_file: Some(key),
        ..settings_for(1)
    };
    let unusable = Connection::open(&mismatched, options("x", &[]), Board::of(0, "")).err().unwrap().to_string();
    assert!(unusable.contains("do not fit") && unusable.contains("two.key"), "{unusable}");
}
