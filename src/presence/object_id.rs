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

impl ObjectId {
    /// The id as text, in lower case with hyphens.
    pub fn as_str(&self) -> String {
        self.to_string()
    }

    fn encode<'a>(&self, text: &'a mut [u8; LENGTH]) -> &'a str {
        let mut digits = (0..32).map(|at| b"0123456789abcdef"[(self.0 >> (124 - 4 * at)) as usize & 15]);
        for (at, place) in text.iter_mut().enumerate() {
            *place = if HYPHENS.contains(&at) { b'-' } else { digits.next().unwrap_or(b'0') };
        }
        str::from_utf8(text).expect("hex digits and hyphens are ASCII")
    }
}

impl FromStr for ObjectId {
    type Err = InvalidObjectId;

    fn from_str(text: &str) -> Result<Self, InvalidObjectId> {
        if text.len() != LENGTH {
            return Err(InvalidObjectId);
        }
        let mut id = 0;
        for (at, byte) in text.bytes().enumerate() {
            match (HYPHENS.contains(&at), char::from(byte).to_digit(16)) {
                (true, _) if byte == b'-' => {}
                (false, Some(digit)) => id = id << 4 | u128::from(digit),
                _ => return Err(InvalidObjectId),
            }
        }
        Ok(Self(id))
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
        for bad in ["", "0123abcd", "0123abcd-0000-4000-8000-00000000000g", "0123abcd00000-4000-8000-00000000000f"] {
            assert!(bad.parse::<ObjectId>().is_err(), "{bad:?} was taken");
        }
    }
}
