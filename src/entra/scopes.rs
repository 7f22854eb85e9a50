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

/// What setting one's own presence takes (`graph.write`).
pub(super) const WRITE: &str = "Presence.ReadWrite";

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
    pub(super) fn delegated(self, reads: Reads, writes: bool) -> Vec<String> {
        let prefix = if self == GLOBAL { "" } else { self.0 };
        let openid = ["openid", "profile", "offline_access"].map(str::to_owned);
        let permissions = reads.permissions().iter().copied().chain(writes.then_some(WRITE));
        openid.into_iter().chain(permissions.map(|name| format!("{prefix}{name}"))).collect()
    }

    /// What managed identities know it by.
    pub(super) fn identifier(self) -> &'static str {
        self.0
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

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(accounts: &str) -> Settings {
        let yaml = format!(
            "entra: {{ tenant: contoso.com, client_id: 00000000-0000-0000-0000-000000000001, client_secret: x }}\n\
             accounts:\n{accounts}"
        );
        crate::settings::from_yaml(&yaml, std::path::Path::new("/")).unwrap()
    }

    #[test]
    fn nobody_is_asked_for_more_than_the_configuration_needs() {
        let itself = "  alex: { user: alex@contoso.com }\n  kim: { user: kim@contoso.com, via: app }\n";
        assert_eq!(reads(&settings(itself)), HashMap::new());

        let by_id = "  alex: { user: alex@contoso.com }\n  \
                     kim: { user: 00000000-0000-4000-8000-000000000002, via: alex }\n";
        assert_eq!(reads(&settings(by_id)), HashMap::from([("alex".parse().unwrap(), Reads::Others)]));

        let by_name = format!("{by_id}  sam: {{ user: sam@contoso.com, via: alex }}\n");
        assert_eq!(reads(&settings(&by_name)), HashMap::from([("alex".parse().unwrap(), Reads::OthersByName)]));
    }

    #[test]
    fn graph_is_named_only_where_entra_would_take_another_for_it() {
        let of = |url: &str| Resource::of(&Url::parse(url).unwrap());
        let openid = ["openid", "profile", "offline_access"];
        for url in ["https://graph.microsoft.com/v1.0", "http://127.0.0.1:1234/v1.0"] {
            assert_eq!(of(url).delegated(Reads::Itself, false), [&openid[..], &["Presence.Read"]].concat());
            assert_eq!(of(url).delegated(Reads::Itself, true)[3..], ["Presence.Read", "Presence.ReadWrite"]);
            assert_eq!(of(url).default_scope(), "https://graph.microsoft.com/.default");
        }
        let china = of("https://microsoftgraph.chinacloudapi.cn/v1.0");
        assert_eq!(
            china.delegated(Reads::OthersByName, false)[3..],
            [
                "https://microsoftgraph.chinacloudapi.cn/Presence.Read.All",
                "https://microsoftgraph.chinacloudapi.cn/User.ReadBasic.All"
            ]
        );
        assert_eq!(of("https://graph.microsoft.us/v1.0").default_scope(), "https://graph.microsoft.us/.default");
    }

    #[test]
    fn a_granted_permission_is_known_with_and_without_its_resource() {
        let granted = ["https://graph.microsoft.com/presence.read.all", "openid"];
        assert_eq!(missing(&["Presence.Read.All", "User.ReadBasic.All"], &granted), ["User.ReadBasic.All"]);
        assert_eq!(missing(&["Presence.Read"], &["Presence.Read", "profile"]), Vec::<&str>::new());
    }
}
