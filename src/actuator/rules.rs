//! From presences to the light wanted. Pure.

use crate::presence::{Activity, Availability, Busyness, Report, Sequence};
use crate::settings::{Color, Colors, Light, Show};

/// What counts of a presence here. Notes beside it are not kept: there can be many people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The base state.
    pub availability: Availability,
    /// What the person does.
    pub activity: Activity,
    /// When one of both last changed.
    pub since: jiff::Timestamp,
    /// Orders the presences.
    pub sequence: Sequence,
}

impl From<Report> for Status {
    fn from(report: Report) -> Self {
        let Report { availability, activity, since, sequence, .. } = report;
        Self { availability, activity, since, sequence }
    }
}

/// Which of the known statuses counts; `known` in the order of `follow`. Equals: the first of them.
pub(super) fn chosen<'a, K>(show: Show, known: impl Iterator<Item = (K, &'a Status)>) -> Option<(K, &'a Status)> {
    let first_greatest = |best: (K, &'a Status), next: (K, &'a Status)| {
        let greater = match show {
            Show::First => false,
            Show::Latest => (next.1.since, next.1.sequence) > (best.1.since, best.1.sequence),
            Show::Busiest => busyness(next.1) > busyness(best.1),
        };
        if greater { next } else { best }
    };
    known.reduce(first_greatest)
}

fn busyness(status: &Status) -> Busyness {
    Busyness::of(&status.availability, &status.activity)
}

/// The colour of a status: in the light's own colours, then in the installation's; in each first by
/// activity, then by availability, then `default`. What nobody gave a colour leaves the light alone.
pub(super) fn color(light: &Light, installation: &Colors, status: &Status) -> Color {
    let words = [status.activity.as_str(), status.availability.as_str(), "default"];
    let within = |colors: &Colors| words.iter().find_map(|word| by_word(colors, word));
    within(&light.colors).or_else(|| within(installation)).unwrap_or(Color::Keep)
}

fn by_word(colors: &Colors, word: &str) -> Option<Color> {
    let without_case = || colors.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(word)).map(|(_, color)| color);
    colors.0.get(word).or_else(without_case).cloned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::settings::{Shade, Target};

    fn status(availability: &str, activity: &str, sequence: u64) -> Status {
        Status {
            availability: Availability::parse(availability),
            activity: Activity::parse(activity),
            since: jiff::Timestamp::from_second(sequence as i64).unwrap(),
            sequence: Sequence::try_from(sequence).unwrap(),
        }
    }

    fn shade(shade: u8) -> Color {
        Color::On { shade: Shade::Rgb([shade; 3]), brightness: 100, transition: Duration::ZERO, effect: None }
    }

    fn colors(entries: &[(&str, u8)]) -> Colors {
        Colors(entries.iter().map(|(word, it)| ((*word).to_owned(), shade(*it))).collect())
    }

    fn light(own: Colors) -> Light {
        Light {
            hub: "office".parse().unwrap(),
            target: Target { kind: None, name: "Office".into() },
            wled: None,
            follow: vec!["alex".parse().unwrap()],
            show: Show::Busiest,
            offline: Color::Keep,
            hours: None,
            hand: crate::settings::OnHand::UntilChange,
            on_stop: Color::Keep,
            colors: own,
        }
    }

    #[test]
    fn a_status_is_looked_up_in_the_lights_own_colours_then_in_the_installations() {
        let installation = colors(&[("InACall", 1), ("Busy", 2), ("default", 3)]);
        let of = |own: &[(&str, u8)], availability, activity| {
            color(&light(colors(own)), &installation, &status(availability, activity, 1))
        };
        assert_eq!(of(&[], "Busy", "InACall"), shade(1), "activity first");
        assert_eq!(of(&[], "Busy", "InAMeeting"), shade(2), "then availability");
        assert_eq!(of(&[], "Away", "Away"), shade(3), "then default");
        assert_eq!(of(&[], "Levitating", "Floating"), shade(3), "words that nobody has heard of too");
        assert_eq!(of(&[("Busy", 9)], "Busy", "InACall"), shade(9), "own colours before all of the installation's");
        assert_eq!(of(&[("default", 9)], "Busy", "InACall"), shade(9));
        assert_eq!(of(&[("floating", 9)], "Levitating", "Floating"), shade(9), "without case");
    }

    #[test]
    fn what_has_no_colour_leaves_the_light_alone() {
        assert_eq!(color(&light(colors(&[])), &colors(&[("Busy", 1)]), &status("Away", "Away", 1)), Color::Keep);
    }

    #[test]
    fn of_several_the_busiest_the_latest_or_the_first_counts() {
        let known = [status("Available", "Available", 5), status("Busy", "InACall", 2), status("Busy", "InACall", 9)];
        let chosen = |show| super::chosen(show, known.iter().enumerate()).map(|(at, _)| at);
        assert_eq!(chosen(Show::First), Some(0));
        assert_eq!(chosen(Show::Busiest), Some(1), "of equals the first");
        assert_eq!(chosen(Show::Latest), Some(2));
        assert!(super::chosen(Show::Latest, std::iter::empty::<((), &Status)>()).is_none());
    }
}
