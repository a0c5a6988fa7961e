//! A domain of a provider: a host name that the provider answers under once it is proven that whoever
//! runs the provider also runs the name's DNS. And the map from host names to providers that every
//! request is looked up in.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use url::{Host, Url};

use crate::domain::{DomainId, ProviderId, ProviderSlug};

/// The TXT record stands at this label below the domain.
const CHALLENGE_LABEL: &str = "_grantd-challenge";
/// What the TXT record says before the token.
const CHALLENGE_PREFIX: &str = "grantd-verification=";
/// Longest domain: a name in the DNS has at most 253 characters (RFC 1035 §2.3.4), and the
/// challenge's label stands before it.
const LONGEST: usize = 253 - CHALLENGE_LABEL.len() - 1;
const LONGEST_LABEL: usize = 63;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderDomain {
    pub id: DomainId,
    pub provider: ProviderId,
    /// Lower case, A-labels, without a dot at the end.
    pub name: String,
    /// What the TXT record must repeat. No secret: the DNS is public.
    pub challenge: String,
    /// What its metadata states; `None` until it is verified.
    pub issuer: Option<String>,
    /// Epoch seconds.
    pub verified_at: Option<i64>,
    /// New tokens carry its issuer.
    pub is_primary: bool,
    /// Raised by every change; the `ETag`.
    pub version: i64,
    pub created_at: i64,
    pub updated_at: i64,
}

impl ProviderDomain {
    /// Where the TXT record stands.
    pub fn record_name(&self) -> String {
        format!("{CHALLENGE_LABEL}.{}", self.name)
    }

    /// What the TXT record says.
    pub fn record_value(&self) -> String {
        format!("{CHALLENGE_PREFIX}{}", self.challenge)
    }
}

/// Why a text is no domain that a provider can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainFlaw {
    #[error("must be a host name with a dot in it, such as login.example.com: no scheme, port, path or address")]
    Malformed,
    #[error("must be given without www.")]
    Www,
    #[error("is too long: the challenge before it would not fit into the DNS")]
    TooLong,
}

/// A host name as it is stored and compared: lower case, in A-labels (RFC 5891 §4).
pub fn read_domain(text: &str) -> Result<String, DomainFlaw> {
    // `Host::parse` decodes percent signs, which nobody writes into a host name.
    if text.contains('%') {
        return Err(DomainFlaw::Malformed);
    }
    let Ok(Host::Domain(name)) = Host::parse(text) else { return Err(DomainFlaw::Malformed) };
    if !name.contains('.') || !name.split('.').all(is_label) {
        return Err(DomainFlaw::Malformed);
    }
    if name.starts_with("www.") {
        return Err(DomainFlaw::Www);
    }
    if name.len() > LONGEST { Err(DomainFlaw::TooLong) } else { Ok(name) }
}

/// What a domain states as its issuer: the public URL with the domain in place of its host, so that
/// scheme, port and path are those at which everything else is served. `None`: that is no URL.
pub fn issuer_at(public_url: &str, name: &str) -> Option<String> {
    let url = Url::parse(public_url).ok()?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}://{name}{port}{}", url.scheme(), url.path().trim_end_matches('/')))
}

/// The host name of a URL, in lower case; `None` for an address.
pub fn host_of(url: &str) -> Option<String> {
    Url::parse(url).ok()?.domain().map(str::to_owned)
}

/// Letters, digits and hyphens (RFC 1123 §2.1).
fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LONGEST_LABEL).contains(&label.len())
        && label.bytes().all(allowed)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// A verified domain as a request finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedDomain {
    pub name: DomainName,
    pub provider: ProviderSlug,
}

/// A verified domain's name.
pub type DomainName = Arc<str>;

/// Every verified domain by its name: read on every request, without a database, and replaced as a
/// whole when a domain changes anywhere. Cheap to clone; the clones are one map.
#[derive(Clone, Default)]
pub struct Hosts(Arc<RwLock<HashMap<DomainName, ServedDomain>>>);

impl Hosts {
    /// The domain with this name. `name` is a host without its port, in any letter case.
    pub fn find(&self, name: &str) -> Option<ServedDomain> {
        let map = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if map.is_empty() {
            return None;
        }
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return map.get(name.to_ascii_lowercase().as_str()).cloned();
        }
        map.get(name).cloned()
    }

    pub fn replace(&self, domains: impl IntoIterator<Item = ServedDomain>) {
        let map = domains.into_iter().map(|domain| (Arc::clone(&domain.name), domain)).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = map;
    }

    /// Stops serving those that `ends` names.
    pub fn remove(&self, ends: impl Fn(&ServedDomain) -> bool) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|_, domain| !ends(domain));
    }
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let map = self.0.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_set().entries(map.keys()).finish()
    }
}

/// The host of a `Host` header without its port.
///
/// ```text
/// login.example.com:8443  → login.example.com
/// [::1]:8080              → [::1]
/// ```
pub fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_kept_in_lower_case_a_labels() {
        for (text, name) in [
            ("login.example.com", "login.example.com"),
            ("LOGIN.Example.COM", "login.example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("a-1.b2.example", "a-1.b2.example"),
            ("wwwx.example", "wwwx.example"),
        ] {
            assert_eq!(read_domain(text).as_deref(), Ok(name), "{text}");
        }
    }

    #[test]
    fn what_is_no_plain_host_name_is_refused() {
        for bad in [
            "",
            ".",
            "example",
            "localhost",
            "example.com.",
            ".example.com",
            "a..example",
            "-a.example",
            "a-.example",
            "a_b.example",
            "*.example.com",
            "https://example.com",
            "example.com:443",
            "example.com/x",
            "user@example.com",
            "a b.example",
            " a.example",
            "192.0.2.1",
            "0x7f.1",
            "2130706433",
            "1.2.3",
            "[::1]",
            "::1",
            "%61.example",
            "a.example\n",
            "a.example\0",
            "a.example?x",
            "a.123",
        ] {
            assert_eq!(read_domain(bad), Err(DomainFlaw::Malformed), "{bad:?}");
        }
        assert_eq!(read_domain("www.example.com"), Err(DomainFlaw::Www));
        assert_eq!(read_domain("WWW.example.com"), Err(DomainFlaw::Www));
        assert_eq!(read_domain(&format!("{}.example", "a".repeat(64))), Err(DomainFlaw::Malformed));
        let long = |length: usize| {
            let labels = "a.".repeat((length - 7) / 2);
            let name = format!("{labels}{}example", "b".repeat((length - 7) % 2));
            assert_eq!(name.len(), length);
            read_domain(&name).map(|name| name.len())
        };
        assert_eq!((long(LONGEST), long(LONGEST + 1)), (Ok(LONGEST), Err(DomainFlaw::TooLong)));
    }

    #[test]
    fn a_domain_states_the_public_url_with_its_own_name() {
        for (public_url, issuer) in [
            ("https://id.example.com", "https://login.acme.example"),
            ("https://ID.example.com:443", "https://login.acme.example"),
            ("https://example.com:8443/auth", "https://login.acme.example:8443/auth"),
            ("http://localhost:8080", "http://login.acme.example:8080"),
            ("http://[::1]:80/a/b", "http://login.acme.example/a/b"),
        ] {
            assert_eq!(issuer_at(public_url, "login.acme.example").as_deref(), Some(issuer), "{public_url}");
        }
        assert_eq!(host_of("https://ID.example.com:8443/auth").as_deref(), Some("id.example.com"));
        assert_eq!(host_of("https://192.0.2.1"), None);
    }

    #[test]
    fn a_host_is_found_in_any_letter_case_and_only_whole() {
        let hosts = Hosts::default();
        assert_eq!(hosts.find("login.example.com"), None);
        let domain = ServedDomain { name: "login.example.com".into(), provider: "acme".into() };
        hosts.clone().replace([domain.clone()]);
        assert_eq!(hosts.find("login.example.com"), Some(domain.clone()));
        assert_eq!(hosts.find("LOGIN.example.COM"), Some(domain));
        for other in ["", "example.com", "x.login.example.com", "login.example.com.", "login.example.co"] {
            assert_eq!(hosts.find(other), None, "{other}");
        }
        hosts.remove(|domain| domain.provider == "acme".into());
        assert_eq!(hosts.find("login.example.com"), None);
    }

    #[test]
    fn a_port_is_cut_off_and_nothing_else() {
        for (host, name) in [
            ("a.example:80", "a.example"),
            ("a.example", "a.example"),
            ("[::1]:8080", "[::1]"),
            ("a.example:", "a.example"),
            ("a:b", "a:b"),
        ] {
            assert_eq!(without_port(host), name, "{host}");
        }
    }
}
