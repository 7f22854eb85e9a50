//! Names that users give to things, and the ids that Entra gives to people.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest name taken, in characters: names become part of topics and of Home Assistant's ids.
const LONGEST: usize = 64;

/// The name of an account, a hub, a light or a location: `[a-z0-9_]+`, at most 64 characters.
///
/// An account that enrolled itself is named by its object id, which adds `-` to the characters.
/// Cheap to clone: topics, states and log lines share one text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

/// An account's name: its identity in topics and in Home Assistant, for ever.
pub type AccountName = Name;

/// Why a text is not a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a name: use 1 to 64 of the characters a-z, 0-9 and _")]
pub struct InvalidName(String);

impl Name {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let configured = !text.is_empty() && text.len() <= LONGEST && text.chars().all(plain);
        if configured || ObjectId::from_str(text).is_ok_and(|id| id.as_str() == text) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName(text.chars().take(LONGEST).collect()))
        }
    }
}

impl TryFrom<String> for Name {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.as_str().to_owned()
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// A user's object id in Entra: a GUID, kept in lower case.
///
/// Sixteen bytes, not thirty-six characters: there can be tens of thousands of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectId(u128);

/// Where the hyphens of a GUID stand.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

impl ObjectId {
    /// The id as text, in lower case with hyphens.
    pub fn as_str(&self) -> String {
        let hex = format!("{:032x}", self.0);
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }
}

impl FromStr for ObjectId {
    type Err = InvalidObjectId;

    fn from_str(text: &str) -> Result<Self, InvalidObjectId> {
        let shaped = text.len() == 36
            && text
                .bytes()
                .enumerate()
                .all(|(at, byte)| if HYPHENS.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() });
        if !shaped {
            return Err(InvalidObjectId);
        }
        u128::from_str_radix(&text.replace('-', ""), 16).map(Self).map_err(|_| InvalidObjectId)
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

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_str())
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_letters_digits_and_underscores() {
        for good in ["alex", "a", "0", "alex_2", &"x".repeat(64)] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        for bad in ["", "Alex", "a-b", "a b", "a/b", "a+", "#", "ü", &"x".repeat(65)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn an_object_id_in_lower_case_names_an_account_that_enrolled() {
        let id = "0123abcd-0000-4000-8000-00000000000f";
        assert_eq!(id.parse::<Name>().unwrap().as_str(), id);
        assert!(id.to_uppercase().parse::<Name>().is_err());
    }

    #[test]
    fn an_object_id_is_a_guid_in_any_case_and_is_written_in_lower_case() {
        let id: ObjectId = "0123ABCD-0000-4000-8000-00000000000F".parse().unwrap();
        assert_eq!(id.to_string(), "0123abcd-0000-4000-8000-00000000000f");
        for bad in ["", "0123abcd", "0123abcd-0000-4000-8000-00000000000g", "0123abcd00000-4000-8000-00000000000f"] {
            assert!(bad.parse::<ObjectId>().is_err(), "{bad:?} was taken");
        }
    }
}
