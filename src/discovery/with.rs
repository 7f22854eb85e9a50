//! What a component needs to be there: `only_with` in a definition.

use serde_json::Value;

/// A set of conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct With(u8);

/// The words of `only_with`.
const WORDS: &[(&str, With)] = &[
    ("requests", With::REQUESTS),
    ("person", With::PERSON),
    ("sign_in", With::SIGN_IN),
    ("write", With::WRITE),
    ("few", With::FEW),
];

impl With {
    /// An area is configured. Has no word: what holds `<area>` needs it.
    pub const AREA: Self = Self(1);
    /// Requests are taken: `mqtt.requests` is not `none`.
    pub const REQUESTS: Self = Self(2);
    /// Requests that act as a person are taken: `mqtt.requests: all`.
    pub const PERSON: Self = Self(4);
    /// The account signs in itself.
    pub const SIGN_IN: Self = Self(8);
    /// The account may set its presence.
    pub const WRITE: Self = Self(16);
    /// There are so few accounts that `bridge/health` tells each one's last poll.
    pub const FEW: Self = Self(32);

    /// This set, and another one where `holds`.
    #[must_use]
    pub const fn and(self, other: Self, holds: bool) -> Self {
        if holds { Self(self.0 | other.0) } else { self }
    }

    /// Whether all of `needs` hold.
    pub const fn meets(self, needs: Self) -> bool {
        self.0 & needs.0 == needs.0
    }

    /// What a list of words in a definition stands for; or the word that is none.
    pub(super) fn read(list: &Value) -> Result<Self, String> {
        let words: Vec<&str> = match list {
            Value::Array(items) => items.iter().map(|item| item.as_str().unwrap_or("?")).collect(),
            Value::String(word) => vec![word],
            _ => vec!["?"],
        };
        words.into_iter().try_fold(Self::default(), |all, word| {
            let found = WORDS.iter().find(|(name, _)| *name == word);
            found.map(|(_, with)| all.and(*with, true)).ok_or_else(|| {
                let known: Vec<&str> = WORDS.iter().map(|(name, _)| *name).collect();
                format!("only_with: {word:?} is not one of {}", known.join(", "))
            })
        })
    }
}
