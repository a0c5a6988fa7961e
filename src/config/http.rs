//! `http`: workers, limits and time-outs of the HTTP server.

use std::time::Duration;

use crate::config::section::{Rules, Slips, section};

section! {
    /// The HTTP server.
    Http {
        /// Worker threads; 0: as many as there are cores.
        workers: u32 = 0,
        /// Milliseconds from the first byte of a request to its answer, all waiting included.
        request_timeout_ms: u64 = 10_000,
        /// Milliseconds a client may take to send the body of a request; a head is cut off after twice that and a second.
        read_timeout_ms: u64 = 5_000,
        /// Seconds that requests in flight may take to finish when the server stops.
        shutdown_timeout: u64 = 10,
        /// Connections open at once, over all workers; more wait to be accepted.
        max_connections: u32 = 10_000,
    }
}

impl Http {
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    pub fn read_timeout(&self) -> Duration {
        Duration::from_millis(self.read_timeout_ms)
    }

    pub fn shutdown_timeout(&self) -> Duration {
        Duration::from_secs(self.shutdown_timeout)
    }
}

impl Rules for Http {
    fn validate(&self, slips: &mut Slips<'_>) {
        slips.unless(self.workers <= 1024, "workers", "must be 0 to 1024");
        // The change feed remembers gaps for as long as a request and its transaction may live.
        let wait = 1..=60_000;
        slips.unless(wait.contains(&self.request_timeout_ms), "request_timeout_ms", "must be 1 to 60000");
        slips.unless(wait.contains(&self.read_timeout_ms), "read_timeout_ms", "must be 1 to 60000");
        slips.unless(self.shutdown_timeout <= 3600, "shutdown_timeout", "must be 0 to 3600");
        slips.unless((1..=1_000_000).contains(&self.max_connections), "max_connections", "must be 1 to 1000000");
    }
}
