//! The hub's certificate: the shape of a real one's.

use graph2mqtt::simulator::{Certificate, Hub};
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::parse_x509_certificate;

fn chain(hub: &Hub) -> Vec<CertificateDer<'static>> {
    use std::net::TcpStream;
    use std::sync::Arc;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = rustls::ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    let mut tls = rustls::ClientConnection::new(Arc::new(config), "hub.invalid".try_into().unwrap()).unwrap();
    let mut tcp = TcpStream::connect(hub.address()).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut tcp).unwrap();
    }
    tls.peer_certificates().unwrap().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_hub_signs_itself_and_names_no_host() {
    let hub = Hub::plan().bridge_id("001788FFFE0A0B0C").start().await.unwrap();
    let shown = chain(&hub);
    assert_eq!((shown.len(), shown[0].to_vec()), (1, hub.certificate()));
    assert_eq!(hub.certificate_sha256().len(), 64);
    let (_, leaf) = parse_x509_certificate(&shown[0]).unwrap();
    assert_eq!(leaf.subject().iter_common_name().next().unwrap().as_str().unwrap(), "001788fffe0a0b0c");
    assert_eq!(leaf.subject(), leaf.issuer());
    assert!(leaf.subject_alternative_name().unwrap().is_none());
    assert!(leaf.extended_key_usage().unwrap().unwrap().value.server_auth);
    let pin = hub.certificate_sha256();
    hub.present(Certificate::self_signed("001788fffe0a0b0c"));
    assert_ne!(hub.certificate_sha256(), pin);
    assert_eq!(chain(&hub)[0].to_vec(), hub.certificate());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_hub_stands_under_a_root_that_it_does_not_send() {
    let hub = Hub::plan().chained().start().await.unwrap();
    let shown = chain(&hub);
    let root = hub.root().unwrap();
    let root_der = CertificateDer::from(root.der.as_slice());
    assert_eq!(parse_x509_certificate(&root.der).unwrap().1.public_key().raw, root.public_key);
    let anchor = anchor_from_trusted_cert(&root_der).unwrap();
    let verify = |middle: &[CertificateDer<'_>]| {
        let leaf = EndEntityCert::try_from(&shown[0]).unwrap();
        let usage = KeyUsage::server_auth();
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            std::slice::from_ref(&anchor),
            middle,
            UnixTime::now(),
            usage,
            None,
            None,
        )
        .map(|_| ())
    };
    assert_eq!(shown.len(), 2);
    assert_eq!(verify(&shown[1..]), Ok(()));
    assert!(verify(&[]).is_err());
}

#[derive(Debug)]
struct Anyone;

impl rustls::client::danger::ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
