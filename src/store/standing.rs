//! When two standings say the same: Entra and Graph write other ids and times into each refusal.

use super::Standing;

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

/// A reason without what differs at each try: words that hold digits, such as request-ids and times.
pub fn gist(reason: &str) -> String {
    reason.split_whitespace().filter(|word| is_steady(word)).collect::<Vec<_>>().join(" ")
}

/// Where to go, and the number of the error, are not such.
fn is_steady(word: &str) -> bool {
    word.len() < 8 || !word.bytes().any(|byte| byte.is_ascii_digit()) || word.contains("://") || word.contains("AADSTS")
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
        assert_ne!(gist("consent at https://x/1?client_id=7"), gist("consent at https://x/2?client_id=7"));
    }
}
