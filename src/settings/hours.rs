//! When a light follows, and what it does otherwise: `lights.<name>.hours`, `hand` and `on_stop`.

use std::time::Duration;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

use super::color::Color;
use super::keys;
use super::parse::{self, Parsed, wrong};
use super::reader::Reader;

/// `lights.<name>.hours`
#[derive(Debug, Clone)]
pub struct Hours {
    /// The days on which they begin, Monday first.
    pub days: [bool; 7],
    /// When they begin.
    pub from: Time,
    /// When they end: on the next day, where that is not after `from`.
    pub to: Time,
    /// Where it is that time.
    pub time_zone: TimeZone,
    /// What the light does outside: keep, off or restore.
    pub outside: Color,
}

/// `lights.<name>.hand`: what a change by a person's hand means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnHand {
    /// The light is left alone until another status is to be shown.
    UntilChange,
    /// Nothing: the light shows the status again.
    Ignore,
    /// The light is left alone for this time.
    For(Duration),
}

/// The longest that a hand can count.
pub const LONGEST_HAND: Duration = Duration::from_secs(30 * 24 * 3600);

/// The hours of a light, where any of its keys is set.
pub(super) fn hours(reader: &mut Reader, light: &str) -> Option<Option<Hours>> {
    let key = |field: &str| format!("{light}.hours.{field}");
    if !["days", "from", "to", "time_zone", "outside"].iter().any(|field| reader.is_set(&key(field))) {
        return Some(None);
    }
    let days = match reader.is_set(&key("days")) {
        true => reader.list(&key("days"), days).map(|parts| {
            parts.into_iter().fold([false; 7], |all, part| std::array::from_fn(|day| all[day] || part[day]))
        }),
        false => Some([true; 7]),
    };
    let from = reader.required(&key("from"), "it says when the hours begin", |text| time(text, false));
    let to = reader.required(&key("to"), "it says when the hours end", |text| time(text, true));
    let why = "actuators of one location must agree on the time";
    let time_zone = reader.required(&key("time_zone"), why, time_zone);
    let outside = reader.value(&key("outside"), |text| parse::choice(text, keys::RESTS)).map(rest);
    let (from, to) = (from?, to?);
    if from == to && from != Time::midnight() {
        reader.clash(
            &key("to"),
            "is the same as from",
            "Write another time; for whole days write from 00:00 to 24:00.",
        );
    }
    Some(Some(Hours { days: days?, from, to, time_zone: time_zone?, outside: outside? }))
}

/// One of [`keys::RESTS`].
pub(super) fn rest(choice: usize) -> Color {
    match keys::RESTS[choice] {
        "off" => Color::Off,
        "restore" => Color::Restore,
        _ => Color::Keep,
    }
}

pub(super) fn on_hand(text: &str) -> Parsed<OnHand> {
    match text.trim().to_ascii_lowercase().as_str() {
        "until_change" => Ok(OnHand::UntilChange),
        "ignore" => Ok(OnHand::Ignore),
        other if other.starts_with(|first: char| first.is_ascii_digit()) => {
            parse::duration(text, Duration::from_secs(1), LONGEST_HAND).map(OnHand::For)
        }
        _ => wrong("is neither a choice nor a duration", "Write until_change, ignore, or a duration such as 30m."),
    }
}

const WEEK: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// `mon`, `mon-fri`, `fri-mon`.
fn days(text: &str) -> Parsed<[bool; 7]> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (day(first), day(last)) {
        (Some(first), Some(last)) => Ok(std::array::from_fn(|day| (day + 7 - first) % 7 <= (last + 7 - first) % 7)),
        _ => wrong("names no days", "Write days such as mon-fri, or a list: [mon, wed, sat-sun]."),
    }
}

fn day(text: &str) -> Option<usize> {
    let lower = text.trim().to_ascii_lowercase();
    WEEK.iter().position(|day| lower.len() >= 2 && day.starts_with(&lower))
}

/// `08:00`, `8:00`; `24:00` where an end is meant.
fn time(text: &str, is_end: bool) -> Parsed<Time> {
    const REMEDY: &str = "Write hours and minutes, in quotes: \"08:00\".";
    let number = |part: &str| part.parse::<i8>().ok().filter(|_| part.bytes().all(|byte| byte.is_ascii_digit()));
    let Some((hour, minute)) = text.trim().split_once(':') else { return wrong("is not a time of day", REMEDY) };
    let (Some(hour), Some(minute), true) = (number(hour), number(minute), minute.len() == 2) else {
        return wrong("is not a time of day", REMEDY);
    };
    let hour = if is_end && (hour, minute) == (24, 0) { 0 } else { hour };
    Time::new(hour, minute, 0, 0).or_else(|_| wrong("is not a time of day", REMEDY))
}

fn time_zone(text: &str) -> Parsed<TimeZone> {
    const REMEDY: &str = "Write a name of the tz database, such as Europe/Berlin, America/New_York or UTC.";
    TimeZone::get(text.trim()).or_else(|_| wrong("is not a time zone", REMEDY))
}

impl Hours {
    /// Whether hours begin on such a day.
    pub fn is_day(&self, day: Weekday) -> bool {
        self.days[usize::from(day.to_monday_zero_offset().unsigned_abs())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(text: &str) -> Vec<&'static str> {
        let days = days(text).unwrap();
        WEEK.iter().zip(days).filter(|(_, is_on)| *is_on).map(|(day, _)| &day[..3]).collect()
    }

    #[test]
    fn days_are_names_and_ranges_also_over_the_weekend() {
        assert_eq!(on("mon-fri"), ["mon", "tue", "wed", "thu", "fri"]);
        assert_eq!(on("Fri - Mon"), ["mon", "fri", "sat", "sun"]);
        assert_eq!(on("wednesday"), ["wed"]);
        assert_eq!(on("mon-sun").len(), 7);
        for odd in ["", "m", "never", "mon-", "-fri", "mon-fri-sun", "1-5", "mondays"] {
            assert!(days(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn times_are_hours_and_minutes() {
        assert_eq!(time("08:05", false), Ok(Time::constant(8, 5, 0, 0)));
        assert_eq!(time("8:05", false), Ok(Time::constant(8, 5, 0, 0)));
        assert_eq!(time("24:00", true), Ok(Time::midnight()));
        for odd in ["", "8", "480", "8:5", "24:00", "25:00", "08:60", "-1:00", "8:00:00", "08:+5", "noon"] {
            assert!(time(odd, false).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_hand_counts_until_a_change_or_for_a_time() {
        assert_eq!(on_hand("until_change"), Ok(OnHand::UntilChange));
        assert_eq!(on_hand("Ignore"), Ok(OnHand::Ignore));
        assert_eq!(on_hand("30m"), Ok(OnHand::For(Duration::from_secs(1800))));
        for odd in ["", "never", "30", "0s", "-3m", "3 weeks"] {
            assert!(on_hand(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn zones_are_those_of_the_tz_database_whatever_the_system_has() {
        for zone in ["Europe/Berlin", "America/New_York", "UTC", "Asia/Kolkata"] {
            assert!(time_zone(zone).is_ok(), "{zone}");
        }
        assert!(time_zone("Europe/Entenhausen").unwrap_err().remedy.contains("Europe/Berlin"));
        assert!(time_zone("").is_err());
    }
}
