//! `passwords`: what an Argon2id hash costs, and how many go on at once.

use crate::config::section::{Rules, Slips, section};

section! {
    /// The cost of Argon2id hashes (OWASP: 19 MiB, two iterations), and how many go on at once.
    Passwords {
        /// KiB of memory that one hash fills.
        memory_kib: u32 = 19_456,
        /// Passes over that memory.
        iterations: u32 = 2,
        /// Hashes that go on at once; 0: twice as many as there are cores, so that one provider, which
        /// holds at most half of them, can use every core.
        lanes: u32 = 0,
        /// Hashes that wait for a lane; one more is answered as too busy.
        queue: u32 = 64,
        /// What one check of an imported hash may cost, in KiB of memory times passes; 0: 32 times the
        /// server's own hash, and at least 1245184. One hash fills at most 256 MiB, so all lanes
        /// together fill at most 256 MiB each.
        import_cost_max: u32 = 0,
    }
}

impl Rules for Passwords {
    fn validate(&self, slips: &mut Slips<'_>) {
        // Argon2 needs 8 KiB a lane of its own; no hash fills more than 256 MiB.
        slips.unless((8..=262_144).contains(&self.memory_kib), "memory_kib", "must be 8 to 262144");
        slips.unless((1..=100).contains(&self.iterations), "iterations", "must be 1 to 100");
        slips.unless(self.lanes <= 256, "lanes", "must be 0 to 256");
        slips.unless((1..=65_536).contains(&self.queue), "queue", "must be 1 to 65536");
    }
}
