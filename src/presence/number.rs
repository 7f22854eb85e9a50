//! The number that Graph gives an answer.

use std::fmt;
use std::ops::Deref;

/// How many bytes are kept in place: with the tag, as large as a `String`.
const IN_PLACE: usize = 22;

/// Graph's `sequenceNumber`: a text that sorts. One comes with every answer about every person, so one
/// of the usual length (11 to 20 characters) is kept without an allocation.
#[derive(Clone)]
pub struct GraphNumber(Kept);

#[derive(Clone)]
enum Kept {
    Short { length: u8, bytes: [u8; IN_PLACE] },
    Long(Box<str>),
}

impl From<&str> for GraphNumber {
    fn from(text: &str) -> Self {
        let mut bytes = [0; IN_PLACE];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(text.as_bytes());
                Self(Kept::Short { length, bytes })
            }
            _ => Self(Kept::Long(text.into())),
        }
    }
}

impl Deref for GraphNumber {
    type Target = str;

    fn deref(&self) -> &str {
        str::from_utf8(self.as_bytes()).expect("it was a text")
    }
}

impl GraphNumber {
    fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Kept::Short { length, bytes } => &bytes[..usize::from(*length)],
            Kept::Long(text) => text.as_bytes(),
        }
    }
}

impl PartialEq for GraphNumber {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for GraphNumber {}

impl fmt::Debug for GraphNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_any_length_is_kept_as_it_came() {
        for text in ["", "A0131811111", "ä", &"9".repeat(IN_PLACE), &"9".repeat(IN_PLACE + 1), &"ä".repeat(64)] {
            assert_eq!(*GraphNumber::from(text), *text);
        }
        assert_eq!(size_of::<Option<GraphNumber>>(), size_of::<String>());
    }
}
