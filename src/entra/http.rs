//! What every exchange over HTTP with Microsoft needs, Graph's too: a body of bounded size, Retry-After,
//! and the causes of a failure for people.

use std::error::Error;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::Response;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// Why a body was not read to its end.
#[derive(Debug)]
pub enum Unread {
    /// The answer broke off, or took too long.
    Broken(reqwest::Error),
    /// It is larger than what was asked for can be.
    TooLarge,
}

/// An answer's body, of at most so many bytes.
pub async fn body(mut response: Response, most: usize) -> Result<Vec<u8>, Unread> {
    let expected = response.content_length().map_or(0, |length| length.min(most as u64) as usize);
    let mut body = Vec::with_capacity(expected);
    while let Some(chunk) = response.chunk().await.map_err(Unread::Broken)? {
        if body.len() + chunk.len() > most {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Retry-After as seconds or as a date, the latter measured by the answer's own clock where it shows one.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| DateTimeParser::new().parse_timestamp(text).ok();
    let servers_now = headers.get(DATE).and_then(|value| date(value.to_str().ok()?)).unwrap_or(now);
    Some(date(text)?.duration_since(servers_now).try_into().unwrap_or_default())
}

/// The causes that reqwest found, from the outermost to the first, each once.
pub fn causes(error: &reqwest::Error) -> String {
    let mut causes = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(inner) = cause {
        causes.push(inner.to_string());
        cause = inner.source();
    }
    causes.dedup();
    causes.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn retry_after_comes_as_seconds_or_as_a_date() {
        type Case<'a> = (&'a [(&'static str, &'a str)], Option<u64>);
        let now: Timestamp = "2026-11-24T08:00:00Z".parse().unwrap();
        let cases: [Case<'_>; 6] = [
            (&[("retry-after", "41")], Some(41)),
            (&[("retry-after", "Tue, 24 Nov 2026 08:05:15 GMT")], Some(315)),
            (&[("retry-after", "Tue, 24 Nov 2026 07:00:00 GMT")], Some(0)),
            (&[("retry-after", "Tue, 24 Nov 2026 08:05:15 GMT"), ("date", "Tue, 24 Nov 2026 08:05:00 GMT")], Some(15)),
            (&[("retry-after", "soon")], None),
            (&[], None),
        ];
        for (pairs, expected) in cases {
            assert_eq!(retry_after(&headers(pairs), now).map(|after| after.as_secs()), expected, "{pairs:?}");
        }
    }
}
