//! Where a request comes from, as far as that can be told: for limits that one source alone is to meet.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;

use crate::settings::PublicUrl;

/// Who connected: an extension of every request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub IpAddr);

/// The address from which somebody asks. We speak no TLS ourselves: under https it is a reverse proxy that connects,
/// and it says for whom in the last entry of X-Forwarded-For; those before it are the browser's own words.
pub(super) fn of(request: &Request, public_url: &PublicUrl) -> IpAddr {
    let peer = request.extensions().get::<Peer>().expect("the server says who connected").0;
    let said = request.headers().get_all("x-forwarded-for").iter().next_back().filter(|_| public_url.is_https());
    let last = said.and_then(|said| address(said.to_str().ok()?.rsplit(',').next()?.trim()));
    last.unwrap_or(peer)
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
        let of = |web: &str, said: &[&str]| {
            let settings = crate::settings::from_yaml(web, std::path::Path::new("/")).unwrap();
            let mut request = Request::builder().extension(Peer("192.0.2.1".parse().unwrap()));
            for line in said {
                request = request.header("x-forwarded-for", *line);
            }
            of(&request.body(Body::empty()).unwrap(), &settings.web.public_url).to_string()
        };
        let proxy = "web: { public_url: 'https://presence.example.net' }";
        assert_eq!(of(proxy, &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(of(proxy, &["203.0.113.9, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(of(proxy, &["203.0.113.9", "2001:db8::7"]), "2001:db8::7");
        assert_eq!(of(proxy, &["198.51.100.7:51234"]), "198.51.100.7");
        assert_eq!(of(proxy, &["[2001:db8::7]:443"]), "2001:db8::7");
        for odd in [&[][..], &[""], &["unknown"], &["198.51.100.7, "]] {
            assert_eq!(of(proxy, odd), "192.0.2.1", "{odd:?}");
        }
        assert_eq!(of("", &["198.51.100.7"]), "192.0.2.1");
    }
}
