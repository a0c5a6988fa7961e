//! `upstream`: calls to other servers, which publish keys or are told of a logout.

use std::time::Duration;

use crate::config::section::{Rules, Slips, section};
use crate::domain::Network;

section! {
    /// Calls to other servers: for the keys of trusted issuers and clients, and to deliver logout tokens.
    Upstream {
        /// Addresses and ranges that may be called although they are not public, by http too. In the environment
        /// separated by commas. Everything else must be public and https.
        allow_networks: Vec<Network> = Vec::new(),
        /// Milliseconds that one call may take, name lookup included.
        timeout_ms: u64 = 5_000,
    }
}

impl Upstream {
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

impl Rules for Upstream {
    fn validate(&self, slips: &mut Slips<'_>) {
        // A delivery is claimed for longer than a round of them can take.
        slips.unless((1..=30_000).contains(&self.timeout_ms), "timeout_ms", "must be 1 to 30000");
    }
}
