//! The day of three people, as data: who has which presence next.

use std::time::Duration;

/// Somebody in the demo.
pub(super) struct Person {
    /// The account's name.
    pub account: &'static str,
    /// What people read.
    pub name: &'static str,
    /// The user principal name in the simulated tenant.
    pub user: &'static str,
    /// The object id in the simulated tenant.
    pub id: &'static str,
}

/// The three people.
pub(super) const PEOPLE: [Person; 3] = [
    Person { account: "alex", name: "Alex", user: "alex@contoso.example", id: "a1e00000-0000-4000-8000-000000000001" },
    Person {
        account: "robin",
        name: "Robin",
        user: "robin@contoso.example",
        id: "a1e00000-0000-4000-8000-000000000002",
    },
    Person { account: "sam", name: "Sam", user: "sam@contoso.example", id: "a1e00000-0000-4000-8000-000000000003" },
];

/// One step of the day: a person (index in [`PEOPLE`]), availability and activity.
pub(super) type Step = (usize, &'static str, &'static str);

/// The time from one step to the next: with three people, each changes about every four seconds.
pub(super) const PACE: Duration = Duration::from_millis(1300);

/// The day, over and over.
pub(super) const DAY: [Step; 20] = [
    (0, "Available", "Available"),
    (1, "Busy", "InAMeeting"),
    (2, "Available", "Available"),
    (0, "Busy", "InACall"),
    (1, "DoNotDisturb", "Presenting"),
    (2, "Away", "Away"),
    (0, "BeRightBack", "BeRightBack"),
    (1, "Available", "Available"),
    (2, "Busy", "Busy"),
    (0, "Available", "Available"),
    (2, "DoNotDisturb", "UrgentInterruptionsOnly"),
    (1, "Away", "Away"),
    (0, "DoNotDisturb", "Focusing"),
    (2, "Available", "OutOfOffice"),
    (1, "Busy", "InAConferenceCall"),
    (0, "Busy", "InAMeeting"),
    (2, "Offline", "OffWork"),
    (1, "Available", "Available"),
    (0, "Away", "Away"),
    (1, "Offline", "Offline"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::{Activity, Availability};

    #[test]
    fn the_day_holds_words_that_graph_sends_and_every_step_changes_somebody() {
        let mut last = [("", ""); PEOPLE.len()];
        for (person, availability, activity) in DAY.iter().chain(&DAY) {
            assert!(Availability::parse(availability).is_known() && Activity::parse(activity).is_known());
            assert_ne!(last[*person], (*availability, *activity), "a step that changes nothing");
            last[*person] = (availability, activity);
        }
    }
}
