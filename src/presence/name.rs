//! Names that users give to things.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ObjectId;

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
}
