//! Can this node serve: the change log is read, and the database's clock agrees with ours.

use std::time::Duration;

use crate::domain::clock::{deadline_in, monotonic};
use crate::domain::{Fault, UnixTime};
use crate::engine::Engine;
use crate::store::database_clock;

/// Clocks that differ by more make lifetimes and the change log's overlap unreliable, milliseconds.
const MAX_SKEW: u64 = 2000;
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a node is not ready; empty: it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    pub reasons: Vec<&'static str>,
}

impl Readiness {
    pub fn is_ready(&self) -> bool {
        self.reasons.is_empty()
    }
}

impl Engine {
    pub async fn readiness(&self, now: UnixTime) -> Readiness {
        let mut reasons = Vec::new();
        if !self.0.changes.is_fresh(monotonic()) {
            reasons.push("change_log");
        }
        match self.clock_skew(now).await {
            Ok(skew) if skew > MAX_SKEW => reasons.push("clock"),
            Ok(_) => {}
            Err(_) => reasons.push("database"),
        }
        Readiness { reasons }
    }

    /// Milliseconds between the database's clock and `now`.
    pub async fn clock_skew(&self, now: UnixTime) -> Result<u64, Fault> {
        let theirs = self.0.db.poll(deadline_in(PROBE_TIMEOUT), database_clock).await?;
        Ok(theirs.millis().abs_diff(now.millis()))
    }

    /// Revocations held in memory.
    pub fn revocations_held(&self) -> usize {
        self.0.revocations.len()
    }

    /// Bytes that the caches hold.
    pub fn cache_bytes(&self) -> u64 {
        let caches = &self.0.caches;
        caches.slugs.weight()
            + caches.keys.weight()
            + caches.clients.weight()
            + caches.digests.weight()
            + caches.api_keys.weight()
    }
}

impl Engine {
    /// Notes of use that found no room.
    pub fn notes_dropped(&self) -> u64 {
        self.0.behind.dropped()
    }

    /// Callers that wait for a hash lane.
    pub fn hashes_waiting(&self) -> usize {
        self.0.passwords.waiting()
    }
}
