//! What a browser brings back from Entra, as it stands in a form or in a URL.

use std::fmt;

/// What Entra lets a browser bring to the redirect URI, in a form or, where it does not do as it was asked, in the URL: a
/// code, or an error.
#[derive(Default)]
pub struct Posted {
    pub(super) state: Option<String>,
    pub(super) code: Option<String>,
    pub(super) error: Option<String>,
    pub(super) error_description: Option<String>,
    pub(super) error_subcode: Option<String>,
}

impl Posted {
    /// From the bytes of a form or of a URL's query; none where a field stands there twice.
    pub fn from_form(form: &[u8]) -> Option<Self> {
        let mut posted = Self::default();
        for (name, value) in url::form_urlencoded::parse(form) {
            let field = match &*name {
                "state" => &mut posted.state,
                "code" => &mut posted.code,
                "error" => &mut posted.error,
                "error_description" => &mut posted.error_description,
                "error_subcode" => &mut posted.error_subcode,
                _ => continue,
            };
            if field.replace(value.into_owned()).is_some() {
                return None;
            }
        }
        Some(posted)
    }
}

impl fmt::Debug for Posted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Posted").field("error", &self.error).finish_non_exhaustive()
    }
}
