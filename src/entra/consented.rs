//! The way back from Entra's admin consent page.

use super::answers::Refusal;

/// What a browser brings in its URL from Entra's admin consent page. Anybody can write such a URL: nothing of it is
/// proven, and none of its words are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consented {
    /// An administrator has consented.
    Given,
    /// What came instead, in our words.
    Refused(String),
}

impl Consented {
    /// From the fields of the URL; none where they say neither.
    pub fn from_fields(admin_consent: &str, error: &str, description: &str) -> Option<Self> {
        match (admin_consent, error) {
            ("", "") => None,
            (given, "") if given.eq_ignore_ascii_case("true") => Some(Self::Given),
            (_, "") => Some(Self::Refused("no administrator has consented".to_owned())),
            _ => Some(Self::Refused(Refusal::posted(error, description, None).words_for_anybody())),
        }
    }
}
