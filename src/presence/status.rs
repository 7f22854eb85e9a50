//! Graph's vocabulary of availability and activity, as data.
//!
//! Graph documents one spelling (PascalCase), newer pages show another (camelCase), and values
//! appear before the documentation knows them. So words are compared without case, known ones are
//! held in the documented spelling, and an unknown one is kept as it came: never an error.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest unknown word kept, in characters; Graph's own are shorter than 25.
const LONGEST: usize = 64;

macro_rules! vocabulary {
    ($(#[$doc:meta])* $kind:ident { $($constant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $kind(Cow<'static, str>);

        impl $kind {
            $(#[doc = concat!("`", $word, "`")] pub const $constant: Self = Self(Cow::Borrowed($word));)+

            /// Every word that Graph is known to send.
            pub const KNOWN: &'static [&'static str] = &[$($word),+];

            /// Takes a word in any case; one that is not known is kept as it came, without
            /// control characters and cut to 64 characters.
            pub fn parse(word: &str) -> Self {
                // Nearly every word comes as it is documented, and bytes are compared faster than letters.
                let as_it_is = Self::KNOWN.iter().find(|known| **known == word);
                match as_it_is.or_else(|| Self::KNOWN.iter().find(|known| known.eq_ignore_ascii_case(word))) {
                    Some(known) => Self(Cow::Borrowed(known)),
                    None => Self(Cow::Owned(word.chars().filter(|c| !c.is_control()).take(LONGEST).collect())),
                }
            }

            /// The word, in Graph's documented spelling where it is known.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether Graph is known to send this word.
            pub fn is_known(&self) -> bool {
                matches!(self.0, Cow::Borrowed(_))
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Self::parse(&Cow::<'de, str>::deserialize(deserializer)?))
            }
        }
    };
}

vocabulary! {
    /// The base state of a person: `availability` of Graph's presence.
    Availability {
        AVAILABLE = "Available",
        AVAILABLE_IDLE = "AvailableIdle",
        AWAY = "Away",
        BE_RIGHT_BACK = "BeRightBack",
        BUSY = "Busy",
        BUSY_IDLE = "BusyIdle",
        DO_NOT_DISTURB = "DoNotDisturb",
        OFFLINE = "Offline",
        PRESENCE_UNKNOWN = "PresenceUnknown",
    }
}

vocabulary! {
    /// What a person does: `activity` of Graph's presence, which says more than the availability.
    Activity {
        AVAILABLE = "Available",
        AWAY = "Away",
        BE_RIGHT_BACK = "BeRightBack",
        BUSY = "Busy",
        DO_NOT_DISTURB = "DoNotDisturb",
        FOCUSING = "Focusing",
        IN_A_CALL = "InACall",
        IN_A_CONFERENCE_CALL = "InAConferenceCall",
        IN_A_MEETING = "InAMeeting",
        INACTIVE = "Inactive",
        OFFLINE = "Offline",
        OFF_WORK = "OffWork",
        OUT_OF_OFFICE = "OutOfOffice",
        PRESENCE_UNKNOWN = "PresenceUnknown",
        PRESENTING = "Presenting",
        URGENT_INTERRUPTIONS_ONLY = "UrgentInterruptionsOnly",
    }
}

impl Availability {
    /// Nobody is at work there.
    pub const QUIET: &'static [Self] = &[Self::AWAY, Self::OFFLINE, Self::PRESENCE_UNKNOWN];
}

impl Activity {
    /// The activities of somebody who talks or shows something right now.
    pub const IN_CALLS: &'static [Self] = &[Self::IN_A_CALL, Self::IN_A_CONFERENCE_CALL, Self::PRESENTING];

    /// Nobody is at work there, whatever the availability.
    pub const QUIET: &'static [Self] = &[Self::OFF_WORK, Self::OFFLINE];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared_without_case_and_held_in_graphs_spelling() {
        assert_eq!(Activity::parse("inACall"), Activity::IN_A_CALL);
        assert_eq!(Availability::parse("DONOTDISTURB").as_str(), "DoNotDisturb");
        assert!(Availability::KNOWN.iter().all(|word| Availability::parse(&word.to_lowercase()).as_str() == *word));
    }

    #[test]
    fn a_word_that_nobody_has_heard_of_is_kept() {
        let word = Activity::parse("Levitating\u{7}");
        assert_eq!((word.as_str(), word.is_known()), ("Levitating", false));
        assert_eq!(Activity::parse(&"x".repeat(900)).as_str().len(), 64);
    }
}
