//! The change feed: reads the change log four times a second and drops what changed elsewhere. Each
//! read takes the last ten seconds again, because sequence numbers commit out of order; what was
//! seen is not applied twice. A node that cannot read it for a second decides nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::clock::{deadline_in, monotonic};
use crate::domain::token::Jti;
use crate::domain::{Fault, UnixTime};
use crate::engine::Engine;
use crate::store::change_log::Change;
use crate::store::{ChangedTable, change_log, revoked};

/// How far back of the last complete one every read goes, milliseconds.
const OVERLAP: i64 = 10_000;
/// The log is kept ten minutes: after half of that without a read, nothing held can be trusted.
const RELOAD_AFTER: Duration = Duration::from_secs(300);
/// One read of the log may take this long.
const POLL_TIMEOUT: Duration = Duration::from_secs(2);
/// Loading every live revocation may take this long.
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);

pub struct ChangeFeed {
    origin: Instant,
    stale_after: Duration,
    /// Milliseconds from `origin` to the start of the last complete read; 0: none yet.
    last_complete: AtomicU64,
    /// The wall clock of the last complete read, milliseconds; `i64::MAX`: none yet.
    read_until: AtomicI64,
    /// Sequence numbers seen within the overlap, with the row's time.
    seen: Mutex<HashMap<i64, UnixTime>>,
}

impl ChangeFeed {
    pub fn new(origin: Instant, stale_after: Duration) -> Self {
        Self {
            origin,
            stale_after,
            last_complete: AtomicU64::new(0),
            read_until: AtomicI64::new(i64::MAX),
            seen: Mutex::default(),
        }
    }

    /// How long ago the last complete read began; `None` before the first.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        let last = self.last_complete.load(Ordering::Acquire);
        (last > 0).then(|| now.duration_since(self.origin).saturating_sub(Duration::from_millis(last)))
    }

    pub fn is_fresh(&self, now: Instant) -> bool {
        self.age(now).is_some_and(|age| age < self.stale_after)
    }

    /// Where a read at `now` begins: a node that was kept from reading goes back to where it was.
    fn since(&self, now: UnixTime) -> UnixTime {
        let reached = self.read_until.load(Ordering::Acquire).min(now.millis());
        UnixTime::from_millis(reached - OVERLAP)
    }

    fn completed(&self, began: Instant, now: UnixTime) {
        self.read_until.store(now.millis(), Ordering::Release);
        let millis = began.duration_since(self.origin).as_millis();
        self.last_complete.store(u64::try_from(millis).unwrap_or(u64::MAX).max(1), Ordering::Release);
    }

    /// The changes not seen before; forgets those older than the overlap.
    fn unseen(&self, changes: Vec<Change>, since: UnixTime) -> Vec<Change> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, at| *at >= since);
        changes.into_iter().filter(|change| seen.insert(change.seq, change.at).is_none()).collect()
    }
}

impl Engine {
    /// Refuses to decide on what may be old.
    pub(in crate::engine) fn require_fresh(&self) -> Result<(), Fault> {
        if self.0.changes.is_fresh(monotonic()) {
            return Ok(());
        }
        Err(Fault::busy("the change log could not be read for too long"))
    }

    /// Loads every unexpired revocation and takes the first look at the change log: after this the
    /// engine may decide.
    pub async fn load(&self, now: UnixTime) -> Result<(), Fault> {
        self.load_revocations(now).await?;
        self.poll_changes(now).await
    }

    /// One complete read of the change log. A fault leaves everything as it was.
    pub async fn poll_changes(&self, now: UnixTime) -> Result<(), Fault> {
        let began = monotonic();
        if self.0.changes.age(began).is_some_and(|age| age > RELOAD_AFTER) {
            log::warn!("the change log was not read for long: every cache is dropped");
            self.0.caches.clear();
            self.load_revocations(now).await?;
        }
        let since = self.0.changes.since(now);
        let deadline = deadline_in(POLL_TIMEOUT);
        let changes = self.0.db.poll(deadline, move |conn| change_log::since(conn, since)).await?;
        let unseen = self.0.changes.unseen(changes, since);
        self.take_in_revocations(&unseen).await?;
        for change in &unseen {
            self.forget(change);
        }
        self.0.changes.completed(began, now);
        Ok(())
    }

    fn forget(&self, change: &Change) {
        let caches = &self.0.caches;
        // A table that only a newer release keeps in memory is that release's business.
        let Some(table) = change.table else { return };
        match table {
            ChangedTable::Providers => caches.slugs.invalidate(&change.id.as_str().into()),
            ChangedTable::SigningKeys => caches.keys.invalidate(&change.id.as_str().into()),
            ChangedTable::ApiKeys => caches.api_keys.invalidate(&change.id.as_str().into()),
            ChangedTable::Clients => {
                if let Some((provider, client_id)) = change.id.split_once('/') {
                    caches.clients.invalidate(&(provider.into(), client_id.into()));
                }
            }
            // Taken in together, before this.
            ChangedTable::Revoked => {}
        }
    }

    async fn take_in_revocations(&self, changes: &[Change]) -> Result<(), Fault> {
        let named = changes.iter().filter(|change| change.table == Some(ChangedTable::Revoked));
        let ids: Vec<Jti> = named.filter_map(|change| Jti::parse(&change.id)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let rows = self.0.db.poll(deadline_in(POLL_TIMEOUT), move |conn| revoked::by_ids(conn, &ids)).await?;
        for row in &rows {
            self.0.revocations.insert(row);
        }
        Ok(())
    }

    async fn load_revocations(&self, now: UnixTime) -> Result<(), Fault> {
        let (engine, now) = (self.clone(), now.seconds());
        let load = move |conn: &mut _| revoked::load_unexpired(conn, now, |row| engine.0.revocations.insert(&row));
        self.0.db.poll(deadline_in(LOAD_TIMEOUT), load).await
    }
}

/// How a client is named in the change log.
pub(in crate::engine) fn client_change_id(
    provider: &crate::domain::ProviderId,
    client_id: &crate::domain::ClientId,
) -> String {
    format!("{provider}/{client_id}")
}
