use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SerialNumber,
};

use super::*;

const ID: &str = "001788fffe010203";

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.serial_number = Some(SerialNumber::from(vec![0x17, 0x88]));
    params
}

/// As older hubs make themselves.
pub(in super::super) fn self_signed(common_name: &str) -> CertificateDer<'static> {
    named(common_name).self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "a stand-in for Signify");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn signed_by(authority: &CertifiedIssuer<'static, KeyPair>, params: CertificateParams) -> CertificateDer<'static> {
    params.signed_by(&KeyPair::generate().unwrap(), authority).unwrap().der().clone()
}

fn now() -> UnixTime {
    UnixTime::now()
}

fn judged(known: &Known, leaf: &CertificateDer<'_>) -> Result<Taken, Refused> {
    judge("office", known, leaf, &[], &signify::roots(), now())
}

fn refusal(known: &Known, leaf: &CertificateDer<'_>) -> String {
    judged(known, leaf).unwrap_err().to_string()
}

fn vouched(leaf: &CertificateDer<'_>) -> Taken {
    Taken::Vouched { pin: fingerprint(leaf), id: ID.into() }
}

fn known_id() -> Known {
    Known { id: Some(ID.into()), first: true, ..Known::default() }
}

#[test]
fn a_chain_to_the_root_with_the_id_as_its_name_is_taken() {
    let authority = authority();
    let root = webpki::anchor_from_trusted_cert(authority.der()).unwrap();
    let leaf = signed_by(&authority, named(ID));
    let roots = [root];
    let judged = |known: &Known| judge("office", known, &leaf, &[], &roots, now());
    assert_eq!(judged(&known_id()), Ok(vouched(&leaf)));
    assert_eq!(judged(&Known::default()), Ok(vouched(&leaf)), "without an id the name must be one");
    let kept = Known { kept: Some([0; 32]), ..known_id() };
    assert_eq!(judged(&kept), Ok(vouched(&leaf)), "a hub that signed itself may get a certificate of Signify's");
    let another = Known { id: Some("001788fffe999999".into()), ..Known::default() };
    assert!(judged(&another).unwrap_err().to_string().contains("hubs.office.id is 001788fffe999999"));
    let configured = Known { configured: Some([7; 32]), ..known_id() };
    assert!(judged(&configured).is_err(), "a configured certificate is the only one");
}

#[test]
fn a_chain_for_another_use_or_of_another_root_vouches_for_nothing() {
    let authority = authority();
    let root = webpki::anchor_from_trusted_cert(authority.der()).unwrap();
    let mut for_clients = named(ID);
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = signed_by(&authority, for_clients);
    assert_ne!(judge("office", &known_id(), &leaf, &[], &[root], now()), Ok(vouched(&leaf)));
    let leaf = signed_by(&authority, named(ID));
    assert_ne!(judged(&known_id(), &leaf), Ok(vouched(&leaf)));
}

#[test]
fn at_first_contact_the_certificate_that_names_the_configured_id_is_taken_and_held_to() {
    let leaf = self_signed(&ID.to_uppercase());
    let pin = fingerprint(&leaf);
    assert_eq!(judged(&known_id(), &leaf), Ok(Taken::First(pin)));
    let kept = Known { kept: Some(pin), ..known_id() };
    assert_eq!(judged(&kept, &leaf), Ok(Taken::Pinned));
    let text = refusal(&kept, &self_signed(ID));
    assert!(text.contains("not the one known") && text.contains(&hex(&pin)), "{text}");
    assert!(text.contains("hubs.office.certificate_sha256"), "{text}");
}

#[test]
fn a_hub_that_was_paired_has_no_first_contact_any_more() {
    let paired = Known { first: false, ..known_id() };
    let refused = judged(&paired, &self_signed(ID)).unwrap_err();
    assert_eq!(refused.against, Against::Changed);
    assert!(refused.to_string().contains("graph2mqtt pair office"), "{refused}");
}

#[test]
fn a_hub_with_another_id_is_refused_with_both_ids() {
    let text = refusal(&known_id(), &self_signed("001788fffeabcdef"));
    assert!(text.contains("001788fffeabcdef") && text.contains("hubs.office.id is 001788fffe010203"), "{text}");
}

#[test]
fn without_id_and_pin_a_hub_that_signed_itself_is_refused_with_what_to_set() {
    let leaf = self_signed(ID);
    let text = refusal(&Known::default(), &leaf);
    assert!(text.contains("set hubs.office.id to 001788fffe010203 or hubs.office.certificate_sha256 to"), "{text}");
    assert!(text.contains(&hex(&fingerprint(&leaf))), "{text}");
    let text = refusal(&Known::default(), &self_signed("look-alike"));
    assert!(!text.contains("hubs.office.id"), "a name that is no id is not proposed: {text}");
}

#[test]
fn the_configured_certificate_is_taken_whatever_it_says() {
    let leaf = self_signed("look-alike");
    let known = Known { configured: Some(fingerprint(&leaf)), ..known_id() };
    assert_eq!(judged(&known, &leaf), Ok(Taken::Pinned));
    assert!(refusal(&known, &self_signed("look-alike")).contains("known is"));
}

#[test]
fn what_cannot_be_read_is_refused() {
    assert!(refusal(&known_id(), &b"no certificate".to_vec().into()).contains("hubs.office.host"));
}
