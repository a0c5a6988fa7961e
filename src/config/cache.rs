//! `cache`: what clients, keys and providers may take in memory.

use crate::config::section::{Rules, Slips, section};

section! {
    /// Clients, keys and providers in memory.
    Cache {
        /// Bytes that all caches take together; what is used least goes first.
        bytes: u64 = 64 * 1024 * 1024,
    }
}

impl Rules for Cache {
    fn validate(&self, slips: &mut Slips<'_>) {
        slips.unless(self.bytes >= 1024 * 1024, "bytes", "must be at least 1048576 (1 MiB)");
    }
}
