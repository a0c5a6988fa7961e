//! Makes the [`Context`] of a request: its id, the clock read once, the client's address behind
//! trusted proxies, the verified domain it was sent to, and the deadline.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::clock::deadline_in;
use crate::domain::provider::DEFAULT_SLUG;
use crate::domain::provider_domain::without_port;
use crate::domain::{Context, Hosts, Network, ProviderSlug, ServedDomain, UnixTime, Wall};

type RequestIds = dyn Fn(UnixTime) -> String + Send + Sync;

/// What the edge needs of the world; one per process, in actix's application data.
#[derive(Clone)]
pub struct Edge {
    pub wall: Arc<dyn Wall>,
    /// Makes request ids; they are ours, one that was sent in is only logged.
    pub request_ids: Arc<RequestIds>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Arc<[Network]>,
    /// The provider a surface serves at the root, by the surface's name; `default` if not named.
    pub root_providers: Arc<HashMap<&'static str, ProviderSlug>>,
    /// Verified domains: which provider a host selects.
    pub hosts: Hosts,
    /// What an answer carries because of its request's headers, whatever surface it leaves by.
    pub dress_for: Option<fn(&HeaderMap, &mut HttpResponse)>,
    /// A request is not worked on for longer.
    pub request_timeout: Duration,
    /// A body must have arrived within this.
    pub read_timeout: Duration,
}

impl Edge {
    pub fn context(&self, request: &HttpRequest, surface: &'static str) -> Context {
        let now = self.wall.now();
        Context {
            request_id: (self.request_ids)(now),
            client_address: self.client_address(request),
            now,
            deadline: deadline_in(self.request_timeout),
            surface,
            domain: self.domain(request.headers()),
        }
    }

    pub fn root_provider(&self, surface: &str) -> ProviderSlug {
        self.root_providers.get(surface).cloned().unwrap_or_else(|| DEFAULT_SLUG.into())
    }

    /// The verified domain that `Host` names. A request with two of them names none (RFC 9112 §3.2).
    pub fn domain(&self, headers: &HeaderMap) -> Option<ServedDomain> {
        let mut lines = headers.get_all(header::HOST);
        let (line, None) = (lines.next()?, lines.next()) else { return None };
        self.hosts.find(without_port(line.to_str().ok()?))
    }

    fn client_address(&self, request: &HttpRequest) -> IpAddr {
        let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip());
        behind_proxies(peer, request.headers(), &self.trusted_proxies)
    }
}

/// Walks `X-Forwarded-For` from the right for as long as the address at hand is a trusted proxy:
/// the first one that is not was written by somebody we trust, everything left of it by anybody.
fn behind_proxies(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut address = peer.to_canonical();
    if !is_trusted(address) {
        return address;
    }
    let lines: Vec<&str> = headers.get_all("x-forwarded-for").filter_map(|line| line.to_str().ok()).collect();
    for entry in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let Ok(hop) = entry.trim().parse::<IpAddr>() else { break };
        address = hop.to_canonical();
        if !is_trusted(address) {
            break;
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn forwarded(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    fn seen(peer: &str, lines: &[&str]) -> String {
        let trusted: Vec<Network> = vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        behind_proxies(peer.parse().unwrap(), &forwarded(lines), &trusted).to_string()
    }

    #[test]
    fn a_stranger_cannot_choose_its_own_address() {
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(seen("127.0.0.1", &["6.6.6.6, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(seen("127.0.0.1", &["6.6.6.6", "203.0.113.9, 10.0.0.7"]), "203.0.113.9");
    }

    #[test]
    fn without_a_usable_header_the_last_known_hop_counts() {
        assert_eq!(seen("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(seen("127.0.0.1", &["junk"]), "127.0.0.1");
        assert_eq!(seen("::ffff:127.0.0.1", &["203.0.113.9"]), "203.0.113.9");
    }
}
