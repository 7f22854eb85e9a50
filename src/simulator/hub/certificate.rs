//! Certificates in the shape of real hubs': no subject alternative name, CN = the bridge id in lower
//! case, extended key usage serverAuth; signed by themselves as older hubs do, or by an intermediate
//! under a root as newer ones do.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SerialNumber, date_time_ymd,
};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// What a hub shows of itself in the TLS handshake.
pub struct Certificate {
    /// The hub's own first.
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
    root: Option<Root>,
}

/// The root under which a hub's certificate stands; the hub does not send it.
#[derive(Debug, Clone)]
pub struct Root {
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// Its subject public key info, DER.
    pub public_key: Vec<u8>,
}

impl Certificate {
    /// As older hubs show it: signed by itself. Every one has its own key.
    pub fn self_signed(bridge_id: &str) -> Self {
        let key = new_key();
        let leaf = leaf(bridge_id).self_signed(&key).expect("parameters that rcgen can encode");
        Self { chain: vec![leaf.der().clone()], key, root: None }
    }

    /// As newer hubs show it: under an intermediate, which is sent, and a root, which is not.
    pub fn chained(bridge_id: &str) -> Self {
        let (root_key, middle_key, key) = (new_key(), new_key(), new_key());
        let public_key = root_key.subject_public_key_info();
        let encodes = "parameters that rcgen can encode";
        let root = authority("Simulated Root CA 01");
        let root_der = root.self_signed(&root_key).expect(encodes).der().to_vec();
        let root = Issuer::new(root, root_key);
        let middle = authority("Simulated Device CA 01");
        let middle_der = middle.signed_by(&middle_key, &root).expect(encodes).der().clone();
        let middle = Issuer::new(middle, middle_key);
        let leaf = leaf(bridge_id).signed_by(&key, &middle).expect(encodes).der().clone();
        Self { chain: vec![leaf, middle_der], key, root: Some(Root { der: root_der, public_key }) }
    }

    /// The hub's own certificate, DER.
    pub fn der(&self) -> &[u8] {
        &self.chain[0]
    }

    /// The root, where there is one.
    pub fn root(&self) -> Option<&Root> {
        self.root.as_ref()
    }

    pub(super) fn tls(&self) -> ServerConfig {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), key)
            .expect("the key belongs to the certificate");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("ring makes P-256 keys")
}

fn leaf(bridge_id: &str) -> CertificateParams {
    let mut params = named("Philips Hue", &bridge_id.to_lowercase());
    params.is_ca = IsCa::NoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.serial_number = u64::from_str_radix(bridge_id, 16).ok().map(SerialNumber::from);
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = named("Signify Hue", name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn named(organisation: &str, name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "NL");
    params.distinguished_name.push(DnType::OrganizationName, organisation);
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2017, 1, 1);
    params.not_after = date_time_ymd(2038, 1, 19);
    params
}
