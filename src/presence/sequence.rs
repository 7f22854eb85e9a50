//! The number that orders presences of one installation.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Orders presences: the higher number is the newer presence, over restarts, a lost store and a
/// wrong clock. One counter serves all accounts of a bridge.
///
/// Never above 2^53 - 1, which every JSON reader holds exactly; a larger one is not a sequence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Sequence(u64);

/// Why a number is not a [`Sequence`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a sequence: above 2^53 - 1")]
pub struct InvalidSequence(u64);

impl Sequence {
    /// The highest sequence there is.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// The highest sequence from which a bridge learns when it finds one on the broker: twice the
    /// clock's milliseconds of the year 2248. A stranger's higher one cannot use the counter up.
    pub const LEARNABLE: Self = Self(1 << 44);

    /// The highest sequence that a bridge can have given: one that learned [`Self::LEARNABLE`] goes on from
    /// there, by one for each change. What is higher is a stranger's, and must not make all that comes
    /// later look old.
    pub const CREDIBLE: Self = Self(Self::LEARNABLE.0 + (1 << 40));

    /// The sequence as a number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for Sequence {
    type Error = InvalidSequence;

    fn try_from(number: u64) -> Result<Self, InvalidSequence> {
        if number <= Self::MAX.0 { Ok(Self(number)) } else { Err(InvalidSequence(number)) }
    }
}

impl From<Sequence> for u64 {
    fn from(sequence: Sequence) -> Self {
        sequence.0
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_cannot_hold_exactly_are_not_sequences() {
        assert_eq!(Sequence::try_from((1 << 53) - 1), Ok(Sequence::MAX));
        assert!(Sequence::try_from(1 << 53).is_err());
        assert!(serde_json::from_str::<Sequence>("9007199254740992").is_err());
    }
}
