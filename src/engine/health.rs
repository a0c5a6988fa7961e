//! Can this node serve: the change log is read, and the database's clock agrees with ours. Answered
//! from memory, so that asking costs nobody anything.

use crate::domain::clock::monotonic;
use crate::engine::Engine;

/// Clocks that differ by more make lifetimes unreliable, milliseconds.
pub const MAX_SKEW: u64 = 2000;

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
    pub fn readiness(&self) -> Readiness {
        let mut reasons = Vec::new();
        if !self.0.changes.is_fresh(monotonic()) {
            reasons.push("database");
        }
        if !self.0.clocks.is_right() {
            reasons.push("clock");
        }
        Readiness { reasons }
    }

    /// Milliseconds between the database's clock and ours, as last read.
    pub fn clock_skew(&self) -> u64 {
        self.0.clocks.skew()
    }

    /// Seconds since the last complete round of cleanup, or since the start if there was none.
    pub fn sweep_age(&self) -> u64 {
        self.0.clocks.sweep_age(monotonic()).as_secs()
    }

    /// Revocations held in memory.
    pub fn revocations_held(&self) -> usize {
        self.0.revocations.len()
    }

    /// More revocations live than are held: the table is asked for the rest.
    pub fn revocations_overflowed(&self) -> bool {
        self.0.revocations.has_overflowed()
    }

    /// Bytes that the caches hold.
    pub fn cache_bytes(&self) -> u64 {
        let caches = &self.0.caches;
        caches.slugs.weight()
            + caches.keys.weight()
            + caches.clients.weight()
            + caches.digests.weight()
            + caches.api_keys.weight()
            + caches.users.weight()
            + caches.sessions.weight()
    }

    /// Notes of use that found no room.
    pub fn notes_dropped(&self) -> u64 {
        self.0.behind.dropped()
    }

    /// Password hashes computed since the start.
    pub fn hashes_computed(&self) -> u64 {
        self.0.passwords.hashed()
    }

    /// Callers that wait for a hash lane.
    pub fn hashes_waiting(&self) -> usize {
        self.0.passwords.waiting()
    }
}
