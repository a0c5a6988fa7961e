//! `dns`: how the DNS is asked for the TXT records that prove a domain.

use std::net::SocketAddr;
use std::time::Duration;

use crate::config::section::{Rules, Slips, section};

section! {
    /// The DNS, asked for the TXT records by which a provider proves a domain, and for nothing else.
    Dns {
        /// Address and port of the resolver. Not given: those of the machine (`/etc/resolv.conf`).
        resolver: Option<SocketAddr> = None,
        /// Milliseconds that one question may take, every try included.
        timeout_ms: u64 = 5_000,
    }
}

impl Dns {
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

impl Rules for Dns {
    fn validate(&self, slips: &mut Slips<'_>) {
        slips.unless((100..=30_000).contains(&self.timeout_ms), "timeout_ms", "must be 100 to 30000");
    }
}
