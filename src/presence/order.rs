//! Which of Graph's answers is the newest: answers can overtake each other inside Graph.

use super::{GraphNumber, Presence, Reading};

/// The newest presence known of one account, and a doubt about it.
///
/// Graph numbers a person's presences. An answer with a lower number than the last is an older
/// presence that came late, unless the next answer says so too: then the numbering began anew.
#[derive(Debug, Clone, Default)]
pub struct Newest {
    presence: Option<Presence>,
    number: Option<GraphNumber>,
    doubted: bool,
}

/// What a [`Reading`] changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Availability or activity is another one now.
    Status,
    /// Only what comes with them is: a message, an absence, a place.
    Details,
    /// The same presence as before, perhaps under another number.
    Same,
    /// An older answer; not believed unless the next one says so too.
    Doubted,
}

impl Newest {
    /// Starts from a presence that was published earlier, by this process or its forerunner.
    pub fn from_published(presence: Presence) -> Self {
        Self { presence: Some(presence), number: None, doubted: false }
    }

    /// The newest presence known.
    pub fn presence(&self) -> Option<&Presence> {
        self.presence.as_ref()
    }

    /// Takes one answer of Graph: most say what is known, so what is kept is copied only where it is new.
    pub fn take(&mut self, reading: &Reading) -> Verdict {
        let another = self.number != reading.number;
        let older =
            another && matches!((&self.number, &reading.number), (Some(last), Some(now)) if is_older(now, last));
        if older && !self.doubted {
            self.doubted = true;
            return Verdict::Doubted;
        }
        self.doubted = false;
        if another && reading.number.is_some() {
            self.number.clone_from(&reading.number);
        }
        let now = &reading.presence;
        let verdict = match &self.presence {
            Some(known) if known == now => return Verdict::Same,
            Some(known) if (&known.availability, &known.activity) == (&now.availability, &now.activity) => {
                Verdict::Details
            }
            _ => Verdict::Status,
        };
        self.presence = Some(reading.presence.clone());
        verdict
    }
}

/// Whether one sequenceNumber sorts before another. Numbers of unequal length without other
/// characters are compared as numbers: `"99"` comes before `"100"`.
fn is_older(number: &str, last: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(number) && digits(last) {
        let (number, last) = (number.trim_start_matches('0'), last.trim_start_matches('0'));
        return (number.len(), number) < (last.len(), last);
    }
    number < last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::{Activity, Availability};

    fn reading(availability: Availability, number: &str) -> Reading {
        let presence = Presence::new(availability, Activity::AVAILABLE);
        Reading { user_id: None, presence, number: Some(number.into()) }
    }

    #[test]
    fn a_change_of_the_number_alone_is_no_change() {
        let mut newest = Newest::default();
        assert_eq!(newest.take(&reading(Availability::BUSY, "A1")), Verdict::Status);
        assert_eq!(newest.take(&reading(Availability::BUSY, "A2")), Verdict::Same);
    }

    #[test]
    fn a_message_alone_is_no_other_status() {
        let mut newest = Newest::default();
        newest.take(&reading(Availability::BUSY, "A1"));
        let mut absent = reading(Availability::BUSY, "A2");
        absent.presence.work_location = Some("office".into());
        assert_eq!(newest.take(&absent), Verdict::Details);
        assert_eq!(newest.presence(), Some(&absent.presence));
        assert_eq!(newest.take(&reading(Availability::AWAY, "A3")), Verdict::Status);
    }

    #[test]
    fn an_older_answer_is_believed_when_the_next_one_says_so_too() {
        let mut newest = Newest::default();
        newest.take(&reading(Availability::BUSY, "A5"));
        assert_eq!(newest.take(&reading(Availability::AWAY, "A4")), Verdict::Doubted);
        assert_eq!(newest.presence().unwrap().availability, Availability::BUSY);
        assert_eq!(newest.take(&reading(Availability::AWAY, "A4")), Verdict::Status);
        assert_eq!(newest.take(&reading(Availability::AWAY, "A4")), Verdict::Same);
    }

    #[test]
    fn a_newer_answer_ends_the_doubt() {
        let mut newest = Newest::default();
        newest.take(&reading(Availability::BUSY, "A5"));
        newest.take(&reading(Availability::AWAY, "A4"));
        assert_eq!(newest.take(&reading(Availability::BUSY, "A6")), Verdict::Same);
        assert_eq!(newest.take(&reading(Availability::AWAY, "A5")), Verdict::Doubted);
    }

    #[test]
    fn an_answer_without_a_number_is_believed() {
        let mut newest = Newest::default();
        newest.take(&reading(Availability::BUSY, "A5"));
        let plain = Reading { number: None, ..reading(Availability::AWAY, "") };
        assert_eq!(newest.take(&plain), Verdict::Status);
    }

    #[test]
    fn plain_numbers_are_compared_as_numbers() {
        assert!(is_older("99", "100") && !is_older("100", "99"));
        assert!(is_older("A100", "A99"), "other strings sort as strings");
        assert!(!is_older("007", "7"));
    }
}
