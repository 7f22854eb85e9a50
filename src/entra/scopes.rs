//! Which permissions are asked for: only what the configuration needs.
//!
//! Many organisations refuse the `.All` forms, so nobody asks for more than needed.

use std::collections::HashMap;

use url::Url;

use crate::presence::AccountName;
use crate::settings::{Settings, User, Via};

/// What an account that signs in reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reads {
    /// Its own presence: `Presence.Read`.
    #[default]
    Itself,
    /// Others' too (`via: <account>`), all of them given by object id: `Presence.Read.All`.
    Others,
    /// Others' too, some given by name, which is looked up: `Presence.Read.All` and `User.ReadBasic.All`.
    OthersByName,
}

/// The accounts through which others are read, and what that takes; every other account reads itself.
pub fn reads(settings: &Settings) -> HashMap<AccountName, Reads> {
    let mut reads = HashMap::new();
    for account in settings.accounts.values() {
        let Via::Account(reader) = &account.via else { continue };
        let by_name = matches!(account.user, User::Name(_));
        let needs = reads.entry(reader.clone()).or_insert(Reads::Others);
        if by_name {
            *needs = Reads::OthersByName;
        }
    }
    reads
}

impl Reads {
    /// Graph's permissions, as they stand in the application's registration.
    pub fn permissions(self) -> &'static [&'static str] {
        match self {
            Self::Itself => &["Presence.Read"],
            Self::Others => &["Presence.Read.All"],
            Self::OthersByName => &["Presence.Read.All", "User.ReadBasic.All"],
        }
    }
}

/// Graph as a resource of Entra. It stays Microsoft's where `graph.endpoint` is a stand-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resource(&'static str);

const GLOBAL: Resource = Resource("https://graph.microsoft.com/");

/// Graph of the national clouds, by host.
const NATIONAL: &[(&str, Resource)] = &[
    ("graph.microsoft.us", Resource("https://graph.microsoft.us/")),
    ("dod-graph.microsoft.us", Resource("https://dod-graph.microsoft.us/")),
    ("microsoftgraph.chinacloudapi.cn", Resource("https://microsoftgraph.chinacloudapi.cn/")),
];

impl Resource {
    pub(super) fn of(endpoint: &Url) -> Self {
        let host = endpoint.host_str().unwrap_or_default();
        NATIONAL.iter().find(|(name, _)| *name == host).map_or(GLOBAL, |(_, resource)| *resource)
    }

    /// What a person is asked for. Graph is what Entra takes a bare name for; in national clouds its
    /// Graph is named.
    pub(super) fn delegated(self, reads: Reads) -> Vec<String> {
        let prefix = if self == GLOBAL { "" } else { self.0 };
        let openid = ["openid", "profile", "offline_access"].map(str::to_owned);
        openid.into_iter().chain(reads.permissions().iter().map(|name| format!("{prefix}{name}"))).collect()
    }

    /// What the application itself asks for: what an administrator has consented to.
    pub(super) fn default_scope(self) -> String {
        format!("{}.default", self.0)
    }
}

/// The permissions among `needed` that are not among `granted`. Entra may write them with their resource.
pub(super) fn missing<'a>(needed: &[&'a str], granted: &[&str]) -> Vec<&'a str> {
    let has =
        |name: &str| granted.iter().any(|scope| scope.rsplit('/').next().is_some_and(|n| n.eq_ignore_ascii_case(name)));
    needed.iter().filter(|name| !has(name)).copied().collect()
}
