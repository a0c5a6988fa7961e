//! What `/metrics` shows of the engine. Relaxed counters: a figure may lag, never block.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub struct Counters {
    pub granted: Counter,
    pub refused: Counter,
    pub faulted: Counter,
    pub introspected: Counter,
    pub revoked: Counter,
    /// One-time tokens used.
    pub spent: Counter,
    pub throttled: Counter,
}

#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
