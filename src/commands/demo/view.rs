//! What a person sees of the demo: a line for each change that travelled, and the summary.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use anstyle::{AnsiColor, RgbColor, Style};

/// One change on its way from Graph to a lamp.
pub(super) struct Travelled {
    /// Time since the demo began.
    pub at: Duration,
    /// The person.
    pub who: String,
    /// Availability and activity.
    pub status: String,
    /// The topic on which it was published.
    pub topic: String,
    /// The lamp's name.
    pub lamp: String,
    /// What the lamp shows; none when it is off.
    pub color: Option<[u8; 3]>,
    /// From Graph's answer to the hub's receipt of the command; none when the lamp was right already.
    pub took: Option<Duration>,
}

const BOLD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// A status in words; one that is the same twice is said once.
pub(super) fn status(availability: &str, activity: &str) -> String {
    if availability == activity { activity.to_owned() } else { format!("{availability} · {activity}") }
}

/// Writes a line; colours are taken out where the output is no terminal or NO_COLOR is set.
pub(super) fn line(text: impl fmt::Display) {
    // A closed pipe (`demo | head`) is no reason to stop before `offline` is published.
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// The head of the table.
pub(super) fn heading(broker: &str, port: u16, base: &str) -> String {
    format!(
        "{BOLD}graph2mqtt demo{BOLD:#}: three simulated people, a simulated hub with two lamps,\n\
         and a real broker at {BOLD}{broker}{BOLD:#}\n\
         Watch it with MQTT Explorer, or: mosquitto_sub -p {port} -t '{base}/#' -v\n\n\
         {FAINT}   time who   status                    topic            lamp                ms{FAINT:#}"
    )
}

impl fmt::Display for Travelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at.as_secs_f64();
        let Self { who, lamp, .. } = self;
        let (status, topic) = (cut(&self.status, 25), end(&self.topic));
        write!(f, "{seconds:6.1}s {BOLD}{who:<5}{BOLD:#} {status:<25} {FAINT}{topic:<16}{FAINT:#} ")?;
        match self.color {
            Some([red, green, blue]) => {
                let block = Style::new().bg_color(Some(RgbColor(red, green, blue).into()));
                write!(f, "{block}   {block:#} {lamp:<4} #{red:02x}{green:02x}{blue:02x}")?;
            }
            None => write!(f, "{FAINT}[ ]{FAINT:#} {lamp:<4} off    ")?,
        }
        match self.took {
            Some(took) => write!(f, " {:5.1}", took.as_secs_f64() * 1000.0),
            None => write!(f, "  {FAINT}same{FAINT:#}"),
        }
    }
}

/// The last two levels of a topic: what stands before them is the same in every line.
fn end(topic: &str) -> String {
    match topic.rmatch_indices('/').nth(1) {
        Some((at, _)) => format!("…{}", &topic[at..]),
        None => topic.to_owned(),
    }
}

/// As much of a text as has room: a line fits a terminal of 80 columns.
fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room - 1).chain(['…']).collect()
}

/// What the demo counted.
pub(super) struct Summary {
    /// How long it ran.
    pub ran: Duration,
    /// Changes that Graph told.
    pub changes: usize,
    /// Those of them that did not come through to the broker and the lamp.
    pub lost: usize,
    /// Commands that the hub took.
    pub commands: usize,
    /// The ways from Graph's answer to the lamp.
    pub ways: Vec<Duration>,
}

impl Summary {
    /// Whether everything came through.
    pub fn is_good(&self) -> bool {
        self.lost == 0 && self.changes > 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ways = self.ways.clone();
        ways.sort();
        let milliseconds = |share: f64| {
            percentile(&ways, share).map_or("-".to_owned(), |way| format!("{:.1} ms", way.as_secs_f64() * 1000.0))
        };
        writeln!(
            f,
            "\n{BOLD}{} changes in {:.0} s{BOLD:#}, lamps set {} times",
            self.changes,
            self.ran.as_secs_f64(),
            self.commands
        )?;
        writeln!(f, "from Graph's answer to the lamp: p50 {}, p99 {}", milliseconds(0.50), milliseconds(0.99))?;
        match self.lost {
            0 if self.changes == 0 => write!(f, "{BAD}no change was seen{BAD:#}"),
            0 => write!(f, "{GOOD}nothing lost{GOOD:#}"),
            lost => write!(f, "{BAD}{lost} lost{BAD:#}"),
        }
    }
}

/// The value under which this share of the sorted values lies (nearest rank).
fn percentile(sorted: &[Duration], share: f64) -> Option<Duration> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::super::day::{DAY, PEOPLE};
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let seen: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&seen, 0.50), Some(Duration::from_millis(50)));
        assert_eq!(percentile(&seen, 0.99), Some(Duration::from_millis(99)));
        assert_eq!(percentile(&seen[..1], 0.99), Some(Duration::from_millis(1)));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn a_change_is_one_line_that_says_it_in_words_and_colour() {
        let travelled = Travelled {
            at: Duration::from_millis(2100),
            who: "alex".into(),
            status: "Busy · InACall".into(),
            topic: "graph2mqtt/account/alex/presence".into(),
            lamp: "Desk".into(),
            color: Some([0xd1, 0x34, 0x38]),
            took: Some(Duration::from_micros(1200)),
        };
        let line = anstream::adapter::strip_str(&travelled.to_string()).to_string();
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words, ["2.1s", "alex", "Busy", "·", "InACall", "…/alex/presence", "Desk", "#d13438", "1.2"]);
        assert!(travelled.to_string().contains("48;2;209;52;56"), "the lamp is a coloured block");
    }

    #[test]
    fn every_line_fits_a_terminal_of_eighty_columns() {
        let lines = DAY.iter().flat_map(|(person, availability, activity)| {
            let account = PEOPLE[*person].account;
            let travelled = |color, took| Travelled {
                at: Duration::from_secs(3_600),
                who: account.into(),
                status: status(availability, activity),
                topic: format!("graph2mqtt/account/{account}/presence"),
                lamp: "Desk".into(),
                color,
                took,
            };
            let (red, took) = (Some([255, 0, 0]), Some(Duration::from_millis(1_234)));
            [travelled(red, took), travelled(None, took), travelled(red, None)].map(|line| line.to_string())
        });
        let heading = heading("mqtt://127.0.0.1:61883", 61_883, "graph2mqtt");
        for line in lines.chain(heading.lines().map(str::to_owned)) {
            let columns = anstream::adapter::strip_str(&line).to_string().chars().count();
            assert!(columns <= 80, "{columns}: {line}");
        }
        assert_eq!(status("Available", "Available"), "Available");
        assert_eq!(cut(&status("DoNotDisturb", "UrgentInterruptionsOnly"), 25), "DoNotDisturb · UrgentInt…");
    }

    #[test]
    fn a_demo_that_lost_something_or_saw_nothing_is_not_good() {
        let summary = |changes, lost| Summary { ran: Duration::from_secs(1), changes, lost, commands: 0, ways: vec![] };
        assert!(summary(3, 0).is_good());
        assert!(!summary(3, 1).is_good() && !summary(0, 0).is_good());
    }
}
