//! Text that is nearly JSON, made JSON: one odd value of one person does not cost the other 649 of a batch.
//!
//! Only what a whole reading has stumbled over comes here, so it may take its time.

use std::borrow::Cow;

use serde_json::Value;

/// What the body says where it is JSON but for halves of surrogate pairs (an emoji that was cut in two),
/// bytes that are not UTF-8, numbers that no computer holds, and keys that are there twice.
pub(super) fn mended(body: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(body);
    let mut mended = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(at) = rest.find('"') {
        let (outside, behind) = rest.split_at(at);
        numbers(outside, &mut mended);
        let (string, behind) = behind.split_at(end_of_string(behind));
        escapes(string, &mut mended);
        rest = behind;
    }
    numbers(rest, &mut mended);
    // A `Value` keeps the last of two that have one key.
    serde_json::from_str(&mended).ok()
}

/// Where the string ends that the text begins with, behind its quote.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    let ends = |(_, byte): &(usize, u8)| {
        let is_end = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        is_end
    };
    text.bytes().enumerate().skip(1).find(ends).map_or(text.len(), |(at, _)| at + 1)
}

/// A number without bounds becomes null.
fn numbers(outside: &str, mended: &mut String) {
    let mut rest = outside;
    while let Some(at) = rest.find(|c: char| c == '-' || c.is_ascii_digit()) {
        let (before, number) = rest.split_at(at);
        let end = number.find(|c: char| !matches!(c, '-' | '+' | '.' | 'e' | 'E' | '0'..='9')).unwrap_or(number.len());
        let (number, behind) = number.split_at(end);
        let is_endless = number.parse::<f64>().is_ok_and(f64::is_infinite);
        mended.push_str(before);
        mended.push_str(if is_endless { "null" } else { number });
        rest = behind;
    }
    mended.push_str(rest);
}

/// Half a pair becomes U+FFFD, as a decoder would have it.
fn escapes(string: &str, mended: &mut String) {
    let mut rest = string;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        mended.push_str(before);
        let (taken, text): (usize, Cow<'_, str>) = match (unit(escape), unit(escape.get(6..).unwrap_or_default())) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (12, escape[..12].into()),
            (Some(0xd800..=0xdfff), _) => (6, "\u{fffd}".into()),
            _ => {
                let two = escape.char_indices().nth(2).map_or(escape.len(), |(end, _)| end);
                (two, escape[..two].into())
            }
        };
        mended.push_str(&text);
        rest = &escape[taken..];
    }
    mended.push_str(rest);
}

/// The code unit that `\uXXXX` at the beginning stands for.
fn unit(escape: &str) -> Option<u16> {
    u16::from_str_radix(escape.get(..6)?.strip_prefix("\\u")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_odd_alone_is_replaced() {
        let cases = [
            (&br#"["a\ud83d", 1]"#[..], json!(["a\u{fffd}", 1])),
            (br#"["\ude00\ud83dx\\ud83d\"\ud83d\u0041"]"#, json!(["\u{fffd}\u{fffd}x\\ud83d\"\u{fffd}A"])),
            (br#"["\ud83d\ude00"]"#, json!(["\u{1f600}"])),
            (b"[\"\xff\"]", json!(["\u{fffd}"])),
            (br#"[1e999,-1E+999,1.5,true,"1e999",12e2]"#, json!([null, null, 1.5, true, "1e999", 1200.0])),
            (br#"{"a":1,"a":2}"#, json!({"a": 2})),
        ];
        for (body, expected) in cases {
            assert_eq!(mended(body), Some(expected), "{}", String::from_utf8_lossy(body));
        }
        for body in [&b""[..], b"<html>", b"{\"a\":\"\\", b"{\"a\":\"\\ud8", b"\"\\\xc3\xa9", b"[1"] {
            assert_eq!(mended(body), None, "{}", String::from_utf8_lossy(body));
        }
    }
}
