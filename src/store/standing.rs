//! When two standings say the same: Entra and Graph write other ids and times into each refusal.

use super::Standing;
use crate::presence::ObjectId;

impl Standing {
    /// Whether both say the same to people, and ask for the same.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let told = |standing: &Self| {
            let (word, reason, remedy, claims) = standing.columns();
            (word, gist(reason), remedy.to_owned(), claims.to_owned())
        };
        told(self) == told(other)
    }
}

/// Behind these words stands an id.
const NAMES_OF_IDS: [&str; 3] = ["trace_id", "correlation_id", "request-id"];

/// A reason without what differs at each try: the ids of requests, and times.
pub fn gist(reason: &str) -> String {
    let bare = |word: &'_ str| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned();
    let words = reason.split_whitespace();
    let before = std::iter::once("").chain(words.clone());
    let steady = words.zip(before).filter(|(word, before)| {
        let word = bare(word);
        !(NAMES_OF_IDS.contains(&&*bare(before)) || word.parse::<ObjectId>().is_ok() || is_time(&word))
    });
    steady.map(|(word, _)| word).collect::<Vec<_>>().join(" ")
}

/// As RFC 3339 writes it.
fn is_time(word: &str) -> bool {
    word.parse::<jiff::Timestamp>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needed(reason: &str, remedy: &str) -> Standing {
        Standing::Needed { reason: reason.to_owned(), remedy: Some(remedy.to_owned()), claims: None }
    }

    #[test]
    fn another_requests_ids_say_the_same_and_another_number_or_page_does_not() {
        let first = needed("revoked (invalid_grant, AADSTS50173, trace_id 0e1a-2222)", "sign in again: http://a:8480/");
        for (reason, remedy, same) in [
            ("revoked (invalid_grant, AADSTS50173, trace_id 0e1a-2222)", "sign in again: http://a:8480/", true),
            ("revoked (invalid_grant, AADSTS50173, trace_id bb1-9999)", "sign in again: http://a:8480/", true),
            ("revoked (invalid_grant, AADSTS50132, trace_id bb1-9999)", "sign in again: http://a:8480/", false),
            ("revoked (invalid_grant, AADSTS50173, trace_id bb1-9999)", "sign in again: http://b:8480/", false),
        ] {
            assert_eq!(first.says_the_same(&needed(reason, remedy)), same, "{reason} {remedy}");
        }
        let Standing::Needed { reason, remedy, .. } = first.clone() else { unreachable!() };
        assert!(!first.says_the_same(&Standing::Blocked { reason, remedy }));
        for (one, other, same) in [
            ("of 0f0e0000-0000-4000-8000-00000000000a", "of 0f0e0000-0000-4000-8000-00000000000b", true),
            ("it is 2026-11-30T03:12:00.1234567Z now", "it is 2026-11-30T03:13:00Z now", true),
            ("(x, correlation_id a1b2, more)", "(x, correlation_id c3d4, more)", true),
            ("client_secret_file /etc/graph2mqtt/old", "client_secret_file /etc/graph2mqtt/new", false),
            ("secret graph2mqtt expired on 2026-11-30", "secret graph2mqtt expired on 2026-12-01", false),
            ("secret graph2mqtt-1", "secret graph2mqtt-2", false),
        ] {
            assert_eq!(gist(one) == gist(other), same, "{one} {other}");
        }
        assert_ne!(gist("consent at https://x/1?client_id=7"), gist("consent at https://x/2?client_id=7"));
    }
}
