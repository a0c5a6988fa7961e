//! What has to be done now and then. The app's timers call these; tests call them with the time
//! they like.

use std::time::Duration;

use crate::domain::clock::deadline_in;
use crate::domain::{Context, Effect, Fault, UnixTime};
use crate::engine::Engine;
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

    /// Once a minute: drops what has expired, in bounded batches.
    pub async fn clean_up(&self, now: UnixTime) -> Result<(), Fault> {
        self.0.revocations.drop_expired(now.seconds());
        self.count_overdue_keys(now).await?;
        self.sweep_explanations().await?;
        self.give_up_deliveries(now).await?;
        let (seconds, options) = (now.seconds(), &self.0.options);
        let aged = [
            (Aged::Events, (seconds - options.events_kept) * 1000),
            (Aged::Explanations, (seconds - i64::from(options.explain_keep)) * 1000),
            (Aged::Deliveries, seconds - DELIVERIES_KEPT),
            (Aged::Webhooks, seconds - DELIVERIES_KEPT),
        ];
        cleanup::tick_aged(&self.0.db, &aged, deadline_in(BACKGROUND_TIMEOUT)).await?;
        cleanup::tick(&self.0.db, now, deadline_in(BACKGROUND_TIMEOUT)).await.map(|_removed| ())
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
