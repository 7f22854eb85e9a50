//! How busy a person is: which of several counts when the busiest is shown.

use super::{Activity, Availability};

/// Graph's words, the busiest first. Source: none of Graph's; the order of who may be disturbed least.
///
/// A status ranks by the busier of its two words, so that `BusyIdle`, whose activity is `Inactive`, is
/// still busy. Words that nobody has heard of rank last.
const BUSIEST_FIRST: &[&str] = &[
    "Presenting",
    "InAConferenceCall",
    "InACall",
    "UrgentInterruptionsOnly",
    "DoNotDisturb",
    "Focusing",
    "InAMeeting",
    "Busy",
    "BusyIdle",
    "Available",
    "AvailableIdle",
    "BeRightBack",
    "Away",
    "Inactive",
    "OutOfOffice",
    "OffWork",
    "Offline",
    "PresenceUnknown",
];

/// How busy a status is; the greater is the busier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Busyness(usize);

impl Busyness {
    /// Ranks a status.
    pub fn of(availability: &Availability, activity: &Activity) -> Self {
        Self(rank(availability.as_str()).max(rank(activity.as_str())))
    }
}

fn rank(word: &str) -> usize {
    BUSIEST_FIRST.iter().position(|known| *known == word).map_or(0, |at| BUSIEST_FIRST.len() - at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readme_tells_the_order() {
        let readme = include_str!("../../README.md").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(readme.contains(&BUSIEST_FIRST.join(", ")));
    }

    #[test]
    fn every_word_of_graphs_has_its_place() {
        for word in Availability::KNOWN.iter().chain(Activity::KNOWN) {
            assert!(rank(word) > 0, "{word} has no place");
        }
    }

    #[test]
    fn a_status_ranks_by_the_busier_of_its_words() {
        let of = |availability, activity| Busyness::of(&Availability::parse(availability), &Activity::parse(activity));
        assert!(of("DoNotDisturb", "Presenting") > of("Busy", "InACall"));
        assert!(of("BusyIdle", "Inactive") > of("Available", "Available"));
        assert!(of("Available", "Available") > of("Away", "Away"));
        assert!(of("Offline", "Offline") > of("Levitating", "Floating"));
    }
}
