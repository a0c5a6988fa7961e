//! Which addresses may be called. Everything that is not plainly a public unicast address is
//! refused (RFC 6890 and the registries it made), unless the operator opened its network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::domain::Network;

const MAX_URL: usize = 2048;

/// Not public, or of a special purpose: never called.
const REFUSED_V4: [(Ipv4Addr, u32); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),        // this host
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // behind a carrier's NAT; also a cloud's metadata
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // loopback
    (Ipv4Addr::new(168, 63, 129, 16), 32), // a cloud's metadata
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local, and the metadata of most clouds
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // protocol assignments; also a cloud's metadata
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // reserved
    (Ipv4Addr::BROADCAST, 32),
];

/// Inside `2000::/3`, which alone is public.
const REFUSED_V6: [(Ipv6Addr, u32); 3] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // Teredo, ORCHID, benchmarks
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Decides which addresses may be called.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Networks that the operator opened, private ones included.
    allowed: Vec<Network>,
}

/// Why an address may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It lies in a network that the operator opened: http is enough there.
    Opened,
    Public,
}

/// Why a URL is not called, whatever its name resolves to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlFlaw {
    #[error("is not an absolute http or https URL of at most 2048 characters without user, password or fragment")]
    Malformed,
    #[error("must use https; http is for networks in upstream.allow_networks")]
    NotHttps,
    #[error("names an address that may not be called: see upstream.allow_networks")]
    Address,
}

impl Guard {
    pub fn new(allowed: Vec<Network>) -> Self {
        Self { allowed }
    }

    /// `None`: it may not be called.
    pub fn judge(&self, address: IpAddr) -> Option<Reach> {
        if self.allowed.iter().any(|network| network.contains(address)) {
            return Some(Reach::Opened);
        }
        is_public(address).then_some(Reach::Public)
    }

    /// Whether an address may be called by this scheme.
    pub fn permits(&self, address: IpAddr, encrypted: bool) -> bool {
        match self.judge(address) {
            Some(Reach::Opened) => true,
            Some(Reach::Public) => encrypted,
            None => false,
        }
    }

    /// Reads a URL that is to be called. An address in it, in whatever spelling the URL standard
    /// knows (`0x7f.1`, `2130706433`, `[::ffff:127.0.0.1]`), is judged here; a name is judged by what
    /// it resolves to, at the connection.
    pub fn read(&self, text: &str) -> Result<Url, UrlFlaw> {
        let plain = text.len() <= MAX_URL && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let url = Url::parse(text).ok().filter(|_| plain).ok_or(UrlFlaw::Malformed)?;
        let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let encrypted = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(UrlFlaw::Malformed),
        };
        if !bare {
            return Err(UrlFlaw::Malformed);
        }
        let address = match url.host().ok_or(UrlFlaw::Malformed)? {
            Host::Ipv4(address) => IpAddr::V4(address),
            Host::Ipv6(address) => IpAddr::V6(address),
            Host::Domain(_) if encrypted || !self.allowed.is_empty() => return Ok(url),
            Host::Domain(_) => return Err(UrlFlaw::NotHttps),
        };
        match self.judge(address) {
            None => Err(UrlFlaw::Address),
            Some(Reach::Public) if !encrypted => Err(UrlFlaw::NotHttps),
            Some(_) => Ok(url),
        }
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !REFUSED_V4.iter().any(|(first, prefix)| in_v4(address, *first, *prefix)),
        IpAddr::V6(address) => match embedded(address) {
            // It is the IPv4 address that a gateway would connect to.
            Some(inner) => is_public(IpAddr::V4(inner)),
            None => {
                let unicast = in_v6(address, Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
                unicast && !REFUSED_V6.iter().any(|(first, prefix)| in_v6(address, *first, *prefix))
            }
        },
    }
}

/// The IPv4 address inside a mapped (RFC 4291 §2.5.5.2), NAT64 (RFC 6052 §2.1) or 6to4 (RFC 3056 §2)
/// address.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let of = |high: u16, low: u16| Some(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)));
    match (a, b, [c, d, e, f]) {
        (0, 0, [0, 0, 0, 0xffff]) | (0x64, 0xff9b, [0, 0, 0, 0]) => of(g, h),
        (0x2002, high, [low, ..]) => of(high, low),
        _ => None,
    }
}

fn in_v4(address: Ipv4Addr, first: Ipv4Addr, prefix: u32) -> bool {
    (address.to_bits() ^ first.to_bits()) >> (32 - prefix) == 0
}

fn in_v6(address: Ipv6Addr, first: Ipv6Addr, prefix: u32) -> bool {
    (address.to_bits() ^ first.to_bits()) >> (128 - prefix) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(address: &str) -> Option<Reach> {
        Guard::new(vec!["10.1.0.0/16".parse().unwrap()]).judge(address.parse().unwrap())
    }

    #[test]
    fn only_public_and_opened_addresses_may_be_called() {
        for inside in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "168.63.129.16",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a00:1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "5f00::1",
            "2001:2::1",
        ] {
            assert_eq!(judged(inside), None, "{inside}");
        }
        for outside in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:200::1",
            "64:ff9b::808:808",
            "::ffff:8.8.8.8",
            "2002:808:808::1",
        ] {
            assert_eq!(judged(outside), Some(Reach::Public), "{outside}");
        }
        assert_eq!(judged("10.1.2.3"), Some(Reach::Opened));
        assert_eq!(judged("::ffff:10.1.2.3"), Some(Reach::Opened));
        assert_eq!(judged("10.2.0.1"), None);
    }

    #[test]
    fn an_address_in_a_url_is_judged_in_every_spelling() {
        let guard = Guard::default();
        for inside in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://127.0.0.1./",
            "https://0/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2002:7f00:1::]/",
            "https://①②⑦.0.0.1/",
            "https://127%2e0%2e0%2e1/",
            "https://169.254.169.254/x",
        ] {
            let flaw = guard.read(inside).unwrap_err();
            // What is not ASCII is refused before it is looked at.
            assert!(flaw == UrlFlaw::Address || (!inside.is_ascii() && flaw == UrlFlaw::Malformed), "{inside}: {flaw}");
        }
        for malformed in [
            "",
            "/x",
            "ftp://a.example/",
            "file:///etc/passwd",
            "https://user@a.example/",
            "https://u:p@a.example/",
            "https://a.example/#x",
            "https://a.example\\@b.example/",
            "https:// a.example/",
            "gopher://a.example/",
            "data:application/json,{}",
            "https://",
            "javascript:1",
        ] {
            assert_eq!(guard.read(malformed), Err(UrlFlaw::Malformed), "{malformed}");
        }
        assert!(guard.read("https://a.example/jwks?x=1").is_ok());
        assert!(guard.read("https://8.8.8.8/").is_ok());
    }

    #[test]
    fn http_is_for_opened_networks_only() {
        let guard = Guard::default();
        assert_eq!(guard.read("http://a.example/"), Err(UrlFlaw::NotHttps));
        assert_eq!(guard.read("http://8.8.8.8/"), Err(UrlFlaw::NotHttps));
        let opened = Guard::new(vec!["127.0.0.0/8".parse().unwrap()]);
        assert!(opened.read("http://127.0.0.1:1/").is_ok());
        assert_eq!(opened.read("http://8.8.8.8/"), Err(UrlFlaw::NotHttps));
        assert_eq!(opened.read("http://[::1]/"), Err(UrlFlaw::Address));
        // Judged again by what it resolves to.
        assert!(opened.read("http://a.example/").is_ok());
        assert!(!opened.permits("8.8.8.8".parse().unwrap(), false));
        assert!(opened.permits("8.8.8.8".parse().unwrap(), true));
        assert!(opened.permits("127.0.0.2".parse().unwrap(), false));
    }
}
