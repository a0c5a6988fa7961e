//! Makes the [`Context`] of a request: its id, the clock read once, the client's address behind
//! trusted proxies, the verified domain it was sent to, and the deadline.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::clock::deadline_in;
use crate::domain::explanation::Witness;
use crate::domain::provider::DEFAULT_SLUG;
use crate::domain::provider_domain::without_port;
use crate::domain::{Context, Effect, Hosts, Network, ProviderSlug, ServedDomain, Trail, UnixTime, Wall};

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
    /// Where the method of a request stands that a gateway asks about.
    pub judged_method: JudgedMethod,
    /// Keeps why requests were decided as they were.
    pub witness: Arc<dyn Witness>,
}

/// Where the method of a request stands that a gateway asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JudgedMethod {
    /// In `X-Forwarded-Method`, which a trusted proxy has written.
    Forwarded,
    /// It is the method of the call itself: the gateway passes requests on as they are.
    OfTheCall,
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
            effect: Effect::Commit,
            trail: Trail::default(),
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

    /// The method of the request that a gateway asks about; `None` when nobody who is believed says
    /// it.
    pub fn judged_method(&self, request: &HttpRequest) -> Option<Method> {
        match self.judged_method {
            JudgedMethod::OfTheCall => Some(request.method().clone()),
            JudgedMethod::Forwarded => forwarded_method(peer(request), request.headers(), &self.trusted_proxies),
        }
    }

    fn client_address(&self, request: &HttpRequest) -> IpAddr {
        behind_proxies(peer(request), request.headers(), &self.trusted_proxies)
    }
}

/// The other end of the connection.
fn peer(request: &HttpRequest) -> IpAddr {
    request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip())
}

fn is_trusted(trusted: &[Network], address: IpAddr) -> bool {
    trusted.iter().any(|net| net.contains(address))
}

/// `X-Forwarded-Method` from a trusted proxy. Two of them are none: one was sent by the client, and
/// nobody can say which.
fn forwarded_method(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> Option<Method> {
    if !is_trusted(trusted, peer.to_canonical()) {
        return None;
    }
    let mut lines = headers.get_all("x-forwarded-method");
    let only = lines.next().filter(|_| lines.next().is_none())?;
    Method::from_bytes(only.as_bytes()).ok()
}

/// Walks `X-Forwarded-For` from the right for as long as the address at hand is a trusted proxy:
/// the first one that is not was written by somebody we trust, everything left of it by anybody.
fn behind_proxies(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let mut address = peer.to_canonical();
    if !is_trusted(trusted, address) {
        return address;
    }
    let lines: Vec<&str> = headers.get_all("x-forwarded-for").filter_map(|line| line.to_str().ok()).collect();
    for entry in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let Ok(hop) = entry.trim().parse::<IpAddr>() else { break };
        address = hop.to_canonical();
        if !is_trusted(trusted, address) {
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

    fn method_from(peer: &str, lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(HeaderName::from_static("x-forwarded-method"), HeaderValue::from_str(line).unwrap());
        }
        let trusted: Vec<Network> = vec!["127.0.0.0/8".parse().unwrap()];
        forwarded_method(peer.parse().unwrap(), &headers, &trusted).map(|method| method.to_string())
    }

    #[test]
    fn a_forwarded_method_is_believed_from_a_trusted_proxy_and_only_alone() {
        assert_eq!(method_from("127.0.0.1", &["GET"]).as_deref(), Some("GET"));
        assert_eq!(method_from("::ffff:127.0.0.1", &["PROPFIND"]).as_deref(), Some("PROPFIND"));
        // Methods are case-sensitive (RFC 9110 §9.1).
        assert_eq!(method_from("127.0.0.1", &["get"]).as_deref(), Some("get"));
        assert_eq!(method_from("203.0.113.9", &["GET"]), None);
        assert_eq!(method_from("127.0.0.1", &[]), None);
        for bad in [&["GET", "POST"][..], &["GET, POST"], &[""], &["GET", "GET"]] {
            assert_eq!(method_from("127.0.0.1", bad), None, "{bad:?}");
        }
    }

    #[test]
    fn without_a_usable_header_the_last_known_hop_counts() {
        assert_eq!(seen("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(seen("127.0.0.1", &["junk"]), "127.0.0.1");
        assert_eq!(seen("::ffff:127.0.0.1", &["203.0.113.9"]), "203.0.113.9");
    }
}
