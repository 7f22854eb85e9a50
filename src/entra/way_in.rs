//! Where a person is told to sign in, by those who have words alone: the log, a topic, a list. A page has its
//! button instead.

use super::browser::Errand;
use crate::presence::AccountName;
use crate::settings::{PublicUrl, Settings};

/// Where people sign in.
#[derive(Debug, Clone)]
pub struct WayIn {
    url: PublicUrl,
    /// Whether this machine's browsers reach the pages as localhost.
    is_here: bool,
}

impl WayIn {
    /// As it is configured.
    pub fn of(settings: &Settings) -> Self {
        let at = settings.web.listen.ip();
        Self { url: settings.web.public_url.clone(), is_here: at.is_loopback() || at.is_unspecified() }
    }

    /// Of a configured account: the command, and the page before it where there is one. To stand behind a colon.
    pub fn account(&self, account: &AccountName) -> String {
        match self.page(&format!("/sign-in/{account}")) {
            Some(page) => format!("{page} or graph2mqtt login {account}"),
            None => format!("graph2mqtt login {account}"),
        }
    }

    /// Of people who add themselves.
    pub fn enrolment(&self) -> String {
        self.page("/enrol").unwrap_or_else(|| "this bridge's page /enrol".to_owned())
    }

    /// The page from which a browser is sent to Entra for this, where there is one that it is sent back to; and in
    /// which browser it opens.
    pub(super) fn browser(&self, errand: &Errand) -> Option<String> {
        if self.url.unusable().is_some() || (self.url.is_local() && !self.is_here) {
            return None;
        }
        let page = match errand {
            Errand::Account(account) => self.url.page(&format!("/sign-in/{account}")),
            Errand::Enrol => self.url.page("/enrol"),
            Errand::Leave => self.url.page("/leave"),
        };
        let which = if self.url.is_local() {
            ", in a browser on the machine where the bridge runs and its pages are open"
        } else {
            ""
        };
        Some(format!("{page}{which}"))
    }

    /// A page that others than this machine reach.
    fn page(&self, path: &str) -> Option<String> {
        (!self.url.is_local()).then(|| self.url.page(path).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way_in(web: &str) -> WayIn {
        WayIn::of(&crate::settings::from_yaml(web, std::path::Path::new("/")).unwrap())
    }

    #[test]
    fn the_page_is_named_where_others_than_this_machine_reach_it() {
        let alex = "alex".parse().unwrap();
        let here = way_in("web: { listen: '0.0.0.0:8480' }");
        assert_eq!(here.account(&alex), "graph2mqtt login alex");
        assert_eq!(here.enrolment(), "this bridge's page /enrol");
        let public = way_in("web: { public_url: 'https://example.net/presence' }");
        assert_eq!(public.account(&alex), "https://example.net/presence/sign-in/alex or graph2mqtt login alex");
        assert_eq!(public.enrolment(), "https://example.net/presence/enrol");
    }

    #[test]
    fn the_browsers_way_is_named_where_a_browser_finds_the_page_and_comes_back_to_it() {
        let alex = Errand::Account("alex".parse().unwrap());
        for (web, page) in [
            ("public_url: 'https://example.net/presence'", Some("https://example.net/presence/sign-in/alex")),
            (
                "listen: '127.0.0.1:8481'",
                Some(
                    "http://localhost:8481/sign-in/alex, in a browser on the machine where the bridge runs and its pages are open",
                ),
            ),
            ("listen: '192.0.2.1:8480'", None),
            ("public_url: 'http://192.0.2.1:8480'", None),
        ] {
            assert_eq!(way_in(&format!("web: {{ {web} }}")).browser(&alex).as_deref(), page, "{web}");
        }
    }
}
