//! Signify's two roots, which sign the certificates of Hue hubs.
//!
//! Source: Signify's developer pages, "Using HTTPS" and "Hue bridge certificates". Held as what
//! counts of a root: its subject and its key.

use rustls::pki_types::{Der, TrustAnchor};

/// Subject (C=NL in PrintableString, O and CN in UTF8String) and P-256 key of a root.
struct Root {
    organization: &'static str,
    name: &'static str,
    key: [u8; 65],
}

const ROOTS: [Root; 2] = [
    // 2017-2038
    Root {
        organization: "Philips Hue",
        name: "root-bridge",
        key: point(
            "048cdc36b71d80a6539ff71f3a69376f11c2f5154eb9403c7388abc1a56f575d221c89b01e4222b17a0a6af04c5bafdbfa2c19d86e76b655c68ad06db68ce2a44e",
        ),
    },
    // 2025-2050; the Bridge Pro's intermediate leads here too
    Root {
        organization: "Signify Hue",
        name: "Hue Root CA 01",
        key: point(
            "0457ce3b48df480517190f648c40f3c81adc310dc8b7203992b13e732bdbd58df116d8bb2a501a77c50e9c0c741412e7ec766b9662309b54275f47cadcb3ccd779",
        ),
    },
];

/// Algorithm of a P-256 key, and the header of its bit string (RFC 5480).
const P256: [u8; 24] = [
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07, 0x03, 0x42, 0x00,
];

const PRINTABLE: u8 = 0x13;
const UTF8: u8 = 0x0c;

/// The roots as trust anchors.
pub(super) fn roots() -> [TrustAnchor<'static>; 2] {
    ROOTS.map(|root| TrustAnchor {
        subject: Der::from(root.subject()),
        subject_public_key_info: Der::from([&P256[..], &root.key].concat()),
        name_constraints: None,
    })
}

impl Root {
    /// The subject's parts, without the sequence around them.
    fn subject(&self) -> Vec<u8> {
        let parts = [(6, PRINTABLE, "NL"), (10, UTF8, self.organization), (3, UTF8, self.name)];
        parts.iter().flat_map(|(kind, form, text)| attribute(*kind, *form, text)).collect()
    }
}

/// A set of one attribute 2.5.4.`kind`.
fn attribute(kind: u8, form: u8, text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("the roots' names are short");
    let header = [0x31, length + 9, 0x30, length + 7, 0x06, 0x03, 0x55, 0x04, kind, form, length];
    [&header, text.as_bytes()].concat()
}

const fn point(hex: &str) -> [u8; 65] {
    let digits = hex.as_bytes();
    let mut bytes = [0; 65];
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] = nibble(digits[2 * at]) << 4 | nibble(digits[2 * at + 1]);
        at += 1;
    }
    bytes
}

const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => panic!("a hex digit"),
    }
}
