//! Under which names the server may be asked.

use std::net::{IpAddr, SocketAddr};

use axum::http::uri::Authority;

/// The names that are this server's: localhost and loopback, the address it listens on, `web.hosts`.
///
/// A web page whose own name was made to point here (DNS rebinding) asks under that name, and is refused.
/// A server that listens on every address takes any address literal: no name stands behind it that could be rebound.
#[derive(Debug, Clone)]
pub struct Hosts {
    listen: IpAddr,
    names: Vec<String>,
}

impl Hosts {
    /// `names` is `web.hosts`.
    pub fn new(listen: SocketAddr, names: &[String]) -> Self {
        Self { listen: listen.ip(), names: names.iter().map(|name| canonical(name)).collect() }
    }

    /// Whether a Host header's value, with or without a port, names this server.
    pub fn allow(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let name = canonical(authority.host());
        match name.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => self.listen.is_unspecified() || address.is_loopback() || address == self.listen,
            Err(_) => name == "localhost" || self.names.contains(&name),
        }
    }

    /// What a refused client reads.
    pub(super) fn refusal(&self, host: &str) -> String {
        let shown: String = host.chars().filter(|c| c.is_ascii_graphic()).take(100).collect();
        format!(
            "`{shown}` is not a name of this server, which refuses others so that no web page can reach it under a name \
             of its own. If it is one, add it to web.hosts.\n"
        )
    }
}

fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(listen: &str) -> Hosts {
        Hosts::new(listen.parse().unwrap(), &["Presence.Example.net".to_owned()])
    }

    #[test]
    fn its_own_names_are_taken_with_and_without_a_port() {
        for host in
            ["localhost", "LOCALHOST:8480", "localhost.", "127.0.0.1:8480", "[::1]:8480", "presence.example.net"]
        {
            assert!(hosts("127.0.0.1:8480").allow(host), "{host}");
        }
        assert!(hosts("192.168.1.5:8480").allow("192.168.1.5:8480"));
    }

    #[test]
    fn other_names_are_refused() {
        for host in
            ["evil.example", "localhost.evil.example", "192.168.1.6", "", "user@", "a b", "127.0.0.1.evil.example"]
        {
            assert!(!hosts("127.0.0.1:8480").allow(host), "{host}");
        }
    }

    #[test]
    fn on_every_address_any_address_is_its_own_but_no_name() {
        assert!(hosts("0.0.0.0:8480").allow("192.168.1.6:8480"));
        assert!(!hosts("0.0.0.0:8480").allow("evil.example"));
    }
}
