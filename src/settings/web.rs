//! The section `web`: where the pages are, under which names, and who may see them.

use std::net::SocketAddr;

use secrecy::SecretString;
use url::{Host, Url};

use super::parse::{self, Parsed, wrong};
use super::reader::Reader;

/// `web`
#[derive(Debug, Clone)]
pub struct Web {
    /// Where the server listens.
    pub listen: SocketAddr,
    /// The pages as browsers reach them: perhaps through a reverse proxy, under a path.
    pub public_url: PublicUrl,
    /// Further names under which it may be asked.
    pub hosts: Vec<String>,
    /// What the pages ask for before they show anything.
    pub password: Option<SecretString>,
    /// Where health and metrics are instead of `listen`.
    pub metrics_listen: Option<SocketAddr>,
    /// Tenants (domains or ids) whose people may add themselves; nobody's where it is empty.
    pub enrol: Vec<String>,
}

impl Web {
    /// Where health and metrics are.
    pub fn health_listen(&self) -> SocketAddr {
        self.metrics_listen.unwrap_or(self.listen)
    }
}

/// `web.public_url`: http or https, a host, perhaps a path; no slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// Scheme, host and port, as an Origin header has them.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// The host's name or address.
    pub fn host(&self) -> &str {
        self.0.host_str().expect("a URL of http has a host")
    }

    /// The path in front of every page, without a slash at its end: empty where there is none.
    pub fn path(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }

    /// Whether browsers reach it over TLS.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether only browsers on this machine reach it.
    pub fn is_local(&self) -> bool {
        self.host() == "localhost"
    }

    /// The URL of a page, whose path begins with a slash.
    pub fn page(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.path()));
        url
    }

    /// What has to be registered with the application for the browser's way in.
    pub fn redirect_uri(&self) -> Url {
        self.page("/sign-in/callback")
    }

    /// Why Entra would not take the redirect URI. (Redirect URIs are https, or http on localhost.)
    pub fn unusable(&self) -> Option<String> {
        if self.is_https() || self.is_local() {
            return None;
        }
        let remedy = match self.0.host() {
            Some(Host::Ipv4(address)) if address.is_loopback() => "write localhost instead of the address",
            Some(Host::Ipv6(address)) if address.is_loopback() => "write localhost instead of the address",
            _ => "put a reverse proxy with https in front and set web.public_url to it, or sign in by a code",
        };
        Some(format!(
            "Entra sends a browser back to https, or to http://localhost alone, not to {}; {remedy}",
            self.origin()
        ))
    }
}

pub(super) const ENROL: &str = "web.enrol.tenants";

pub(super) fn web(reader: &mut Reader) -> Option<Web> {
    let listen = reader.value("web.listen", parse::listen);
    let public_url = if reader.is_set("web.public_url") {
        reader.value("web.public_url", public_url)
    } else {
        listen.map(|listen| {
            let url = format!("http://localhost:{}", listen.port());
            reader.derived("web.public_url", &url, "web.listen");
            PublicUrl(Url::parse(&url).expect("a port makes a URL"))
        })
    };
    let hosts = reader.list("web.hosts", parse::host_name).unwrap_or_default();
    let password = reader.secret("web.password");
    let metrics_listen = reader.value("web.metrics_listen", parse::listen);
    if listen.is_some() && listen == metrics_listen {
        let remedy = "Give it a port of its own, or leave it out: health and metrics are on web.listen then.";
        reader.clash("web.metrics_listen", "is the same as web.listen", remedy);
    }
    let enrol = reader.list(ENROL, enrol_tenant).unwrap_or_default();
    Some(Web { listen: listen?, public_url: public_url?, hosts, password, metrics_listen, enrol })
}

fn enrol_tenant(text: &str) -> Parsed<String> {
    match parse::tenant(text)?.as_str() {
        "organizations" => wrong("would let anybody in the world in", "Name each tenant by its domain or its id."),
        tenant => Ok(tenant.to_owned()),
    }
}

fn public_url(text: &str) -> Parsed<PublicUrl> {
    const EXAMPLE: &str =
        "Write it as browsers do, such as https://presence.example.net or https://example.net/presence.";
    let Ok(mut url) = Url::parse(text.trim()) else { return wrong("is not a URL", EXAMPLE) };
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return wrong("is not a page's URL", EXAMPLE);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("carries credentials", "Take them out of the URL; web.password guards the pages.");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return wrong("has a query or fragment", "End the URL with its path.");
    }
    let path = url.path().trim_end_matches('/').to_owned();
    if path.contains("//") || path.contains('%') || path.contains(';') {
        return wrong(
            "has a path that proxies write in more than one way",
            "Use letters, digits, - and _ in the path.",
        );
    }
    if path.ends_with("/sign-in/callback") {
        return wrong("is the redirect URI", "End it where the pages begin: leave /sign-in/callback out.");
    }
    url.set_path(&path);
    Ok(PublicUrl(url))
}
