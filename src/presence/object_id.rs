//! The ids that Entra gives to people.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A user's object id in Entra: a GUID, kept in lower case.
///
/// Sixteen bytes, not thirty-six characters: there can be tens of thousands of them, each asked
/// for and answered every few seconds, so it is read and written without an allocation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(u128);

/// The length of a GUID's text.
const LENGTH: usize = 36;

/// Where the hyphens of a GUID stand.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// Where each byte's two digits begin.
const BYTES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// What each byte is worth as a hex digit of either case; what is none is worth [`NONE`].
const WORTH: [u8; 256] = {
    let mut worth = [NONE; 256];
    let mut value = 0;
    while value < 16 {
        worth[DIGITS[value] as usize] = value as u8;
        worth[DIGITS[value].to_ascii_uppercase() as usize] = value as u8;
        value += 1;
    }
    worth
};

/// More than any digit is worth.
const NONE: u8 = 16;

impl ObjectId {
    /// The id as text, in lower case with hyphens.
    pub fn as_str(&self) -> String {
        self.to_string()
    }

    /// Appends the id as text, without an allocation of its own.
    pub fn write_to(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(&self.ascii());
    }

    fn ascii(&self) -> [u8; LENGTH] {
        let mut text = [b'-'; LENGTH];
        for (byte, at) in self.0.to_be_bytes().into_iter().zip(BYTES) {
            text[at] = DIGITS[usize::from(byte >> 4)];
            text[at + 1] = DIGITS[usize::from(byte & 15)];
        }
        text
    }

    fn encode<'a>(&self, text: &'a mut [u8; LENGTH]) -> &'a str {
        *text = self.ascii();
        str::from_utf8(text).expect("hex digits and hyphens are ASCII")
    }
}

impl FromStr for ObjectId {
    type Err = InvalidObjectId;

    fn from_str(text: &str) -> Result<Self, InvalidObjectId> {
        let text: &[u8; LENGTH] = text.as_bytes().try_into().map_err(|_| InvalidObjectId)?;
        if HYPHENS.iter().any(|at| text[*at] != b'-') {
            return Err(InvalidObjectId);
        }
        let mut id = [0; 16];
        let mut strange = 0;
        for (byte, at) in id.iter_mut().zip(BYTES) {
            let (high, low) = (WORTH[usize::from(text[at])], WORTH[usize::from(text[at + 1])]);
            strange |= high | low;
            *byte = high << 4 | low & 15;
        }
        if strange >= NONE { Err(InvalidObjectId) } else { Ok(Self(u128::from_be_bytes(id))) }
    }
}

/// Why a text is not an [`ObjectId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an object id: expected a GUID such as 00000000-0000-0000-0000-000000000000")]
pub struct InvalidObjectId;

impl TryFrom<String> for ObjectId {
    type Error = InvalidObjectId;

    fn try_from(text: String) -> Result<Self, InvalidObjectId> {
        text.parse()
    }
}

impl From<ObjectId> for String {
    fn from(id: ObjectId) -> Self {
        id.as_str()
    }
}

impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.encode(&mut [0; LENGTH]))
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encode(&mut [0; LENGTH]))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_id_is_a_guid_in_any_case_and_is_written_in_lower_case() {
        let id: ObjectId = "0123ABCD-0000-4000-8000-00000000000F".parse().unwrap();
        assert_eq!(id.to_string(), "0123abcd-0000-4000-8000-00000000000f");
        for bad in [
            "",
            "0123abcd",
            "0123abcd-0000-4000-8000-00000000000g",
            "0123abcd00000-4000-8000-00000000000f",
            "0123abcd00004000800000000000000f",
            "{0123abcd-0000-4000-8000-00000000000f}",
            "0123abcd-0000-4000-8000-0000000000é",
        ] {
            assert!(bad.parse::<ObjectId>().is_err(), "{bad:?} was taken");
        }
    }
}
