//! Where a person is told to sign in, by those who have words alone: the log, a topic, a list. A page has its
//! button instead.

use super::browser::Errand;
use crate::presence::AccountName;
use crate::settings::{PublicUrl, Settings};

/// Where people sign in.
#[derive(Debug, Clone)]
pub struct WayIn {
    /// Of the pages, where others than this machine reach them.
    public: Option<PublicUrl>,
}

impl WayIn {
    /// As it is configured.
    pub fn of(settings: &Settings) -> Self {
        let public_url = &settings.web.public_url;
        Self { public: Some(public_url).filter(|url| !url.is_local()).cloned() }
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

    /// The page from which a browser is sent to Entra for this, where there is one that it is sent back to.
    pub(super) fn browser(&self, errand: &Errand) -> Option<String> {
        self.public.as_ref().filter(|url| url.unusable().is_none())?;
        match errand {
            Errand::Account(account) => self.page(&format!("/sign-in/{account}")),
            Errand::Enrol => self.page("/enrol"),
            Errand::Leave => self.page("/leave"),
        }
    }

    fn page(&self, path: &str) -> Option<String> {
        self.public.as_ref().map(|url| url.page(path).to_string())
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
}
