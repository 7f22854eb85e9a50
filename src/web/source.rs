//! Where a request comes from, as far as that can be told: for limits that one source alone is to meet.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;

use crate::settings::PublicUrl;

/// Who connected: an extension of every request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub IpAddr);

/// The address from which somebody asks. We speak no TLS ourselves: under https it is a reverse proxy that connects,
/// on this machine or in its network, and it says for whom in the last entry of X-Forwarded-For; those before it are
/// the browser's own words. Whoever comes from elsewhere speaks for themselves.
pub(super) fn of(request: &Request, public_url: &PublicUrl) -> IpAddr {
    let peer = request.extensions().get::<Peer>().expect("the server says who connected").0;
    let is_proxy = public_url.is_https() && is_near(peer);
    let said = request.headers().get_all("x-forwarded-for").iter().next_back().filter(|_| is_proxy);
    let last = said.and_then(|said| address(said.to_str().ok()?.rsplit(',').next()?.trim()));
    last.unwrap_or(peer)
}

/// Whether an address is this machine's or of a private network: those are not routed on the internet (RFC 1918,
/// 3927, 4193, 6598).
fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// An address; some proxies add the port.
fn address(said: &str) -> Option<IpAddr> {
    said.parse().or_else(|_| said.parse().map(|with_port: SocketAddr| with_port.ip())).ok()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn a_proxy_is_believed_and_a_browser_is_not() {
        let by = |peer: &str, web: &str, said: &[&str]| {
            let settings = crate::settings::from_yaml(web, std::path::Path::new("/")).unwrap();
            let mut request = Request::builder().extension(Peer(peer.parse().unwrap()));
            for line in said {
                request = request.header("x-forwarded-for", *line);
            }
            of(&request.body(Body::empty()).unwrap(), &settings.web.public_url).to_string()
        };
        let of = |web: &str, said: &[&str]| by("10.0.0.2", web, said);
        let proxy = "web: { public_url: 'https://presence.example.net' }";
        assert_eq!(of(proxy, &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(of(proxy, &["203.0.113.9, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(of(proxy, &["203.0.113.9", "2001:db8::7"]), "2001:db8::7");
        assert_eq!(of(proxy, &["198.51.100.7:51234"]), "198.51.100.7");
        assert_eq!(of(proxy, &["[2001:db8::7]:443"]), "2001:db8::7");
        for odd in [&[][..], &[""], &["unknown"], &["198.51.100.7, "]] {
            assert_eq!(of(proxy, odd), "10.0.0.2", "{odd:?}");
        }
        assert_eq!(of("", &["198.51.100.7"]), "10.0.0.2");
        for near in
            ["127.0.0.1", "::1", "192.168.1.2", "172.17.0.1", "::ffff:10.0.0.2", "fd00::2", "fe80::2", "100.64.0.1"]
        {
            assert_eq!(by(near, proxy, &["198.51.100.7"]), "198.51.100.7", "{near}");
        }
        for far in ["192.0.2.1", "2001:db8::1", "100.128.0.1"] {
            assert_eq!(by(far, proxy, &["198.51.100.7"]), far);
        }
    }
}
