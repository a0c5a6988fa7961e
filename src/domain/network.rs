//! Address ranges: which proxies are believed, and later which addresses are never called.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// One address range in CIDR form, or a single address. An IPv4-mapped IPv6 address
/// (`::ffff:a.b.c.d`) counts as the IPv4 address it stands for, on both sides.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    /// The first address: bits beyond `prefix` are zero.
    first: IpAddr,
    /// 0 to 32 for IPv4, 0 to 128 for IPv6.
    prefix: u8,
}

/// Why a text is not an address range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address range is an IP address, or one with a prefix such as 10.0.0.0/8 or fd00::/8")]
pub struct MalformedNetwork;

impl Network {
    /// `127.0.0.0/8` and `::1`: the machine itself.
    pub const LOOPBACK: [Self; 2] = [
        Self { first: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix: 8 },
        Self { first: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix: 128 },
    ];

    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        width(address) == width(self.first) && masked(address, self.prefix) == self.first
    }
}

impl FromStr for Network {
    type Err = MalformedNetwork;

    /// Bits beyond the prefix are refused, not cut off: `10.1.2.3/8` is more often a slip of the
    /// prefix than a way to write `10.0.0.0/8`.
    fn from_str(text: &str) -> Result<Self, MalformedNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| MalformedNetwork)?;
        let written_in = width(first);
        let prefix = match prefix {
            Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse::<u8>().map_err(|_| MalformedNetwork)?
            }
            Some(_) => return Err(MalformedNetwork),
            None => written_in,
        };
        if prefix > written_in {
            return Err(MalformedNetwork);
        }
        let canonical = first.to_canonical();
        let prefix = match (written_in - width(canonical), prefix) {
            (0, prefix) => prefix,
            (mapped, prefix) => prefix.checked_sub(mapped).ok_or(MalformedNetwork)?,
        };
        if masked(canonical, prefix) != canonical {
            return Err(MalformedNetwork);
        }
        Ok(Self { first: canonical, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == width(self.first) {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}/{}", self.first, self.prefix)
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(u32::from(32_u8.saturating_sub(prefix))).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(u32::from(128_u8.saturating_sub(prefix))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_range_holds_its_addresses_and_no_neighbour() {
        assert!(holds("10.0.0.0/8", "10.255.255.255") && !holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7", "192.0.2.6"));
        assert!(holds("fd00::/8", "fdff::1") && !holds("fd00::/8", "fe00::1"));
        assert!(holds("0.0.0.0/0", "8.8.8.8") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("::/0", "2001:db8::1"));
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        assert!(holds("127.0.0.0/8", "::ffff:127.0.0.1"));
        assert!(holds("::ffff:10.0.0.0/104", "10.1.1.1"));
    }

    #[test]
    fn slips_are_refused() {
        for bad in
            ["", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "host", "::ffff:0.0.0.0/90", "10.0.0/8"]
        {
            assert_eq!(bad.parse::<Network>(), Err(MalformedNetwork), "{bad}");
        }
    }

    #[test]
    fn a_range_prints_as_it_is_written() {
        for text in ["127.0.0.0/8", "::1", "10.0.0.1", "fd00::/8"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
    }
}
