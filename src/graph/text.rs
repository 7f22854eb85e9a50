//! Notes that people wrote, as plain text, and the times in them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// What Teams puts around a note that is pinned; it stands in plain text too.
const PINNED: &str = "<pinnednote></pinnednote>";

/// Names under which Graph and Exchange write UTC. Other zones' names are Windows', whose rules we
/// do not carry: their times are left out rather than guessed.
const UTC: &[&str] =
    &["UTC", "Etc/UTC", "Etc/GMT", "Coordinated Universal Time", "tzone://Microsoft/Utc", "Greenwich Standard Time"];

/// The entities that HTML editors write.
const ENTITIES: &[(&str, char)] =
    &[("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\''), ("nbsp", ' ')];

/// The text without tags and control characters, trimmed and cut to `longest` characters; none where nothing is left.
pub(super) fn plain(text: &str, html: bool, longest: usize) -> Option<String> {
    let stripped = if html { strip(text) } else { text.replace(PINNED, "") };
    let kept: String = stripped.trim().chars().filter(|c| !c.is_control() || *c == '\n').take(longest).collect();
    (!kept.is_empty()).then_some(kept)
}

fn strip(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        text.push_str(&rest[..at]);
        let (character, behind) = if rest[at..].starts_with('<') { tag(&rest[at..]) } else { entity(&rest[at..]) };
        text.extend(character);
        rest = behind;
    }
    text.push_str(rest);
    text
}

/// What a tag leaves behind: a line's end where it ends a line.
fn tag(html: &str) -> (Option<char>, &str) {
    let Some(end) = html.find('>') else { return (None, "") };
    let name = html[1..end].to_ascii_lowercase();
    let breaks = name.starts_with("br") || ["/p", "/div", "/li"].contains(&name.as_str());
    (breaks.then_some('\n'), &html[end + 1..])
}

fn entity(html: &str) -> (Option<char>, &str) {
    let decoded = html.find(';').filter(|end| *end < 12).and_then(|end| {
        let name = &html[1..end];
        let number = name.strip_prefix('#').and_then(|number| match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => number.parse().ok(),
        });
        let named = ENTITIES.iter().find(|(known, _)| *known == name).map(|(_, character)| *character);
        Some((named.or(number.and_then(char::from_u32))?, &html[end + 1..]))
    });
    decoded.map_or((Some('&'), &html[1..]), |(character, behind)| (Some(character), behind))
}

/// When a note ends: Graph's `dateTimeTimeZone`.
pub(super) fn expiry(time: &str, zone: &str) -> Option<Timestamp> {
    if let Ok(absolute) = time.parse::<Timestamp>() {
        return Some(absolute);
    }
    UTC.iter().find(|name| name.eq_ignore_ascii_case(zone))?;
    TimeZone::UTC.to_timestamp(time.parse::<DateTime>().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_the_text_that_a_person_reads() {
        let cases = [
            ("<p>Back at <b>3&nbsp;pm</b> &amp; later</p>", Some("Back at 3 pm & later")),
            ("one<br/>two<p>three</p>four", Some("one\ntwothree\nfour")),
            ("5 &lt; 6 &#38; &#x26; &bogus; & more", Some("5 < 6 & & &bogus; & more")),
            ("<pinnednote></pinnednote>", None),
            ("cut <in", Some("cut")),
            ("ü&", Some("ü&")),
        ];
        for (html, expected) in cases {
            assert_eq!(plain(html, true, 100).as_deref(), expected, "{html}");
        }
    }

    #[test]
    fn plain_text_keeps_its_characters_but_not_the_mark_of_a_pinned_note() {
        assert_eq!(plain("a < b\u{7}<pinnednote></pinnednote>", false, 100).as_deref(), Some("a < b"));
        assert_eq!(plain(&"ü".repeat(900), false, 10).unwrap().chars().count(), 10);
        assert_eq!(plain(" \n ", false, 10), None);
    }

    #[test]
    fn a_time_in_a_zone_that_we_do_not_know_is_left_out() {
        let noon: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        assert_eq!(expiry("2026-11-24T12:00:00.0000000", "UTC"), Some(noon));
        assert_eq!(expiry("2026-11-24T12:00:00.0000000", "tzone://Microsoft/Utc"), Some(noon));
        assert_eq!(expiry("2026-11-24T13:00:00+01:00", "W. Europe Standard Time"), Some(noon));
        assert_eq!(expiry("2026-11-24T12:00:00.0000000", "W. Europe Standard Time"), None);
        assert_eq!(expiry("soon", "UTC"), None);
    }
}
