//! `events`: what is kept of what happened, and for how long.

use crate::config::section::{Rules, Slips, section};

section! {
    /// The audit events.
    Events {
        /// Days for which an event is kept.
        retention_days: u32 = 400,
        /// Writes an event for the tokens of machines too: one for each client or API key, grant and minute, with
        /// how many there were, a minute late. They are counted in the metrics in any case.
        machine_tokens: bool = false,
    }
}

impl Rules for Events {
    fn validate(&self, slips: &mut Slips<'_>) {
        slips.unless((1..=36_500).contains(&self.retention_days), "retention_days", "must be 1 to 36500");
    }
}
