//! Whether it is within a light's hours, and since and until when. Pure: the time is passed in.
//!
//! Where clocks are set forward, a time that does not exist is as much later as they were set; where they
//! are set back, of a time that comes twice the first one counts.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use crate::settings::Hours;

/// Far enough to find the hours of a week before and after.
const DAYS: i32 = 8;

/// A stretch of time within the hours, or between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub inside: bool,
    /// When it began.
    pub since: Timestamp,
    /// When it will end.
    pub until: Timestamp,
}

/// The stretch in which a time lies.
pub(super) fn at(hours: &Hours, now: Timestamp) -> Stretch {
    let today = now.to_zoned_datetime(hours.time_zone.clone()).date();
    let mut last_end = Timestamp::MIN;
    let mut merged: Option<(Timestamp, Timestamp)> = None;
    for day in -DAYS..=DAYS {
        let Some((start, end)) = of_day(hours, today.saturating_add(day.days())) else { continue };
        match &mut merged {
            Some((_, until)) if start <= *until => *until = end.max(*until),
            _ => {
                if let Some(stretch) = merged.and_then(|inside| within(inside, last_end, now)) {
                    return stretch;
                }
                last_end = merged.map_or(last_end, |(_, end)| end);
                merged = Some((start, end));
            }
        }
    }
    let inside = merged.unwrap_or((Timestamp::MAX, Timestamp::MAX));
    within(inside, last_end, now).unwrap_or(Stretch { inside: false, since: inside.1, until: Timestamp::MAX })
}

/// The stretch, where the time lies within these hours or before them.
fn within((start, end): (Timestamp, Timestamp), last_end: Timestamp, now: Timestamp) -> Option<Stretch> {
    if now < start {
        Some(Stretch { inside: false, since: last_end, until: start })
    } else if now < end {
        Some(Stretch { inside: true, since: start, until: end })
    } else {
        None
    }
}

/// The hours that begin on a day.
fn of_day(hours: &Hours, date: Date) -> Option<(Timestamp, Timestamp)> {
    if !hours.is_day(date.weekday()) {
        return None;
    }
    let end = if hours.to <= hours.from { date.saturating_add(1.day()) } else { date };
    let time = |date: Date, time| hours.time_zone.to_timestamp(date.to_datetime(time)).ok();
    Some((time(date, hours.from)?, time(end, hours.to)?)).filter(|(start, end)| start < end)
}

#[cfg(test)]
mod tests {
    use jiff::civil::Time;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::settings::Color;

    const MON_FRI: [bool; 7] = [true, true, true, true, true, false, false];
    const ALL: [bool; 7] = [true; 7];

    fn hours(days: [bool; 7], from: (i8, i8), to: (i8, i8), zone: &str) -> Hours {
        let time = |(hour, minute)| Time::constant(hour, minute, 0, 0);
        let time_zone = TimeZone::get(zone).unwrap();
        Hours { days, from: time(from), to: time(to), time_zone, outside: Color::Off }
    }

    /// Now, whether that is inside, since and until: all in UTC.
    type Case = (&'static str, bool, &'static str, &'static str);

    fn hold(hours: &Hours, cases: &[Case]) {
        for (now, inside, since, until) in cases {
            let time = |text: &str| text.parse::<Timestamp>().unwrap_or_else(|error| panic!("{text}: {error}"));
            let expected = Stretch { inside: *inside, since: time(since), until: time(until) };
            assert_eq!(at(hours, time(now)), expected, "at {now}");
        }
    }

    #[test]
    fn office_hours_end_at_their_end_and_skip_the_weekend() {
        // 2026-11-24 is a Tuesday; Berlin is an hour ahead of UTC in winter.
        hold(
            &hours(MON_FRI, (8, 0), (18, 0), "Europe/Berlin"),
            &[
                ("2026-11-24T06:59:59Z", false, "2026-11-23T17:00:00Z", "2026-11-24T07:00:00Z"),
                ("2026-11-24T07:00:00Z", true, "2026-11-24T07:00:00Z", "2026-11-24T17:00:00Z"),
                ("2026-11-24T16:59:59Z", true, "2026-11-24T07:00:00Z", "2026-11-24T17:00:00Z"),
                ("2026-11-24T17:00:00Z", false, "2026-11-24T17:00:00Z", "2026-11-25T07:00:00Z"),
                ("2026-11-28T12:00:00Z", false, "2026-11-27T17:00:00Z", "2026-11-30T07:00:00Z"),
            ],
        );
    }

    #[test]
    fn hours_over_midnight_belong_to_the_day_on_which_they_begin() {
        // Friday's night lasts into Saturday; Sunday's begins on no such day.
        hold(
            &hours(MON_FRI, (22, 0), (6, 0), "UTC"),
            &[
                ("2026-11-27T23:00:00Z", true, "2026-11-27T22:00:00Z", "2026-11-28T06:00:00Z"),
                ("2026-11-28T05:59:59Z", true, "2026-11-27T22:00:00Z", "2026-11-28T06:00:00Z"),
                ("2026-11-28T06:00:00Z", false, "2026-11-28T06:00:00Z", "2026-11-30T22:00:00Z"),
                ("2026-11-30T05:00:00Z", false, "2026-11-28T06:00:00Z", "2026-11-30T22:00:00Z"),
            ],
        );
    }

    #[test]
    fn one_day_a_week_is_found_a_week_away() {
        let sundays = [false, false, false, false, false, false, true];
        hold(
            &hours(sundays, (10, 0), (11, 0), "UTC"),
            &[
                ("2026-11-22T11:00:00Z", false, "2026-11-22T11:00:00Z", "2026-11-29T10:00:00Z"),
                ("2026-11-29T09:59:59Z", false, "2026-11-22T11:00:00Z", "2026-11-29T10:00:00Z"),
            ],
        );
    }

    #[test]
    fn whole_days_run_into_one_another() {
        let stretch = at(&hours(ALL, (0, 0), (0, 0), "Europe/Berlin"), "2026-11-24T08:00:00Z".parse().unwrap());
        assert!(stretch.inside);
        let weekdays = hours(MON_FRI, (0, 0), (0, 0), "UTC");
        hold(&weekdays, &[("2026-11-24T08:00:00Z", true, "2026-11-23T00:00:00Z", "2026-11-28T00:00:00Z")]);
    }

    #[test]
    fn clocks_that_are_set_forward_shorten_the_night_and_move_what_does_not_exist() {
        // Berlin, 2026-03-29: 02:00 becomes 03:00.
        let night = hours(ALL, (22, 0), (6, 0), "Europe/Berlin");
        hold(&night, &[("2026-03-29T01:30:00Z", true, "2026-03-28T21:00:00Z", "2026-03-29T04:00:00Z")]);
        let within = hours(ALL, (2, 15), (2, 45), "Europe/Berlin");
        hold(
            &within,
            &[
                ("2026-03-29T01:14:59Z", false, "2026-03-28T01:45:00Z", "2026-03-29T01:15:00Z"),
                ("2026-03-29T01:15:00Z", true, "2026-03-29T01:15:00Z", "2026-03-29T01:45:00Z"),
            ],
        );
    }

    #[test]
    fn clocks_that_are_set_back_lengthen_the_night_and_the_first_of_two_counts() {
        // Berlin, 2026-10-25: 03:00 becomes 02:00; 02:30 comes at 00:30 and at 01:30 in UTC.
        let night = hours(ALL, (22, 0), (6, 0), "Europe/Berlin");
        hold(&night, &[("2026-10-25T01:30:00Z", true, "2026-10-24T20:00:00Z", "2026-10-25T05:00:00Z")]);
        let until = hours(ALL, (1, 0), (2, 30), "Europe/Berlin");
        hold(
            &until,
            &[
                ("2026-10-25T00:29:59Z", true, "2026-10-24T23:00:00Z", "2026-10-25T00:30:00Z"),
                ("2026-10-25T01:00:00Z", false, "2026-10-25T00:30:00Z", "2026-10-26T00:00:00Z"),
            ],
        );
    }

    #[test]
    fn a_zone_of_half_hours_is_kept() {
        let kolkata = hours(ALL, (9, 0), (17, 0), "Asia/Kolkata");
        hold(&kolkata, &[("2026-11-24T03:30:00Z", true, "2026-11-24T03:30:00Z", "2026-11-24T11:30:00Z")]);
    }
}
