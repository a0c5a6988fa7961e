//! What has to be done now and then. The app's timers call these; tests call them with the time
//! they like.

use std::time::Duration;

use crate::domain::clock::{deadline_in, monotonic};
use crate::domain::{Context, Effect, Fault, UnixTime};
use crate::engine::Engine;
use crate::engine::clocks::NoSweep;
use crate::engine::webhooks::DELIVERIES_KEPT;
use crate::store::cleanup::{self, Aged};

pub(in crate::engine) const BACKGROUND_TIMEOUT: Duration = Duration::from_secs(5);

impl Engine {
    /// Once a second: writes what was noted behind, lets due keys sign, begins to make their successors, to
    /// tell webhooks and to deliver due logout tokens.
    pub async fn tick(&self, now: UnixTime) -> Result<(), Fault> {
        self.0.signatures.set_now(now);
        self.tell_of_issued(now, false);
        self.0.behind.flush(&self.0.db, deadline_in(BACKGROUND_TIMEOUT)).await?;
        self.write_explanations().await?;
        if !self.0.clocks.is_right() {
            // Keys, webhooks and logout tokens go by the time of day: others see to them.
            return Ok(());
        }
        self.promote_due_keys(&background_context(now)).await?;
        self.begin_key_rotation(now).await?;
        self.begin_telling(now).await?;
        self.begin_logout_deliveries(now).await
    }

    /// Once, before the process ends: writes all that was noted.
    pub async fn last_tick(&self, now: UnixTime) -> Result<(), Fault> {
        self.tell_of_issued(now, true);
        self.0.behind.flush(&self.0.db, deadline_in(BACKGROUND_TIMEOUT)).await?;
        self.write_explanations().await
    }

    /// Once a minute: drops what has expired, in bounded batches. What denies must not end by one
    /// clock, so all of it goes by what both clocks had reached an hour ago.
    pub async fn clean_up(&self, now: UnixTime) -> Result<(), Fault> {
        self.note_clocks(self.read_clocks(now).await?, false);
        self.sweep_explanations().await?;
        if self.0.clocks.is_right() {
            self.count_overdue_keys(now).await?;
            self.give_up_deliveries(now).await?;
        }
        match self.0.clocks.sweep_bound(monotonic()) {
            Ok(bound) => self.sweep(bound).await,
            Err(NoSweep::Young) => Ok(()),
            Err(NoSweep::Skewed) => {
                log::warn!("nothing is cleaned up: the clock differs from the database's by {} ms", self.clock_skew());
                Ok(())
            }
        }
    }

    async fn sweep(&self, bound: UnixTime) -> Result<(), Fault> {
        self.0.revocations.drop_expired(bound.seconds());
        let (seconds, options) = (bound.seconds(), &self.0.options);
        let aged = [
            (Aged::Events, (seconds - options.events_kept) * 1000),
            (Aged::Explanations, (seconds - i64::from(options.explain_keep)) * 1000),
            (Aged::Deliveries, seconds - DELIVERIES_KEPT),
            (Aged::Webhooks, seconds - DELIVERIES_KEPT),
        ];
        cleanup::tick_aged(&self.0.db, &aged, deadline_in(BACKGROUND_TIMEOUT)).await?;
        cleanup::tick(&self.0.db, bound, deadline_in(BACKGROUND_TIMEOUT)).await?;
        self.0.clocks.swept(monotonic());
        self.counters().sweeps.add_one();
        Ok(())
    }
}

/// The context of work that no request asked for.
pub(in crate::engine) fn background_context(now: UnixTime) -> Context {
    Context {
        request_id: "background".to_owned(),
        client_address: std::net::Ipv4Addr::LOCALHOST.into(),
        now,
        deadline: deadline_in(BACKGROUND_TIMEOUT),
        surface: "background",
        domain: None,
        effect: Effect::Commit,
        trail: crate::domain::Trail::default(),
    }
}
