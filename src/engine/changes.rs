//! The change feed: reads the change log four times a second and drops what changed elsewhere.
//! Sequence numbers are given out before the commit and so become visible out of order: every read
//! begins at the first number that is still missing, and a number is given up only when a
//! transaction that holds it could no longer be alive. A node that cannot read the log for a second
//! decides nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::clock::{deadline_in, monotonic};
use crate::domain::token::Jti;
use crate::domain::{ClientId, Fault, ProviderId, UnixTime, UserId};
use crate::engine::Engine;
use crate::store::change_log::Change;
use crate::store::{ChangedTable, change_log, database_clock, revoked};

/// No transaction lives this long: statements, locks and idle transactions are cut at seconds.
const OLDEST_TRANSACTION: Duration = Duration::from_secs(60);
/// A first read takes in what was stamped within this, milliseconds: the oldest request (a minute),
/// its transaction (a minute) and clocks that differ (two seconds), with room.
const SETTLED: i64 = 180_000;
/// The log is kept ten minutes: after half of that without a read, nothing held can be trusted.
const RELOAD_AFTER: Duration = Duration::from_secs(300);
/// One read of the log may take this long.
pub(in crate::engine) const POLL_TIMEOUT: Duration = Duration::from_secs(2);
/// Loading every live revocation may take this long.
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);

pub struct ChangeFeed {
    origin: Instant,
    stale_after: Duration,
    /// Milliseconds from `origin` to the start of the last complete read; 0: none yet.
    last_complete: AtomicU64,
    /// Milliseconds between the database's clock and ours at the last read.
    skew: AtomicU64,
    position: Mutex<Position>,
}

/// How far the log has been read.
#[derive(Debug, Default)]
struct Position {
    /// Every number up to this one was seen or given up.
    settled: i64,
    /// Numbers seen above a gap, and when.
    seen: BTreeMap<i64, Instant>,
}

impl Position {
    /// Whether a number was not taken in yet.
    fn is_new(&self, seq: i64) -> bool {
        seq > self.settled && !self.seen.contains_key(&seq)
    }

    /// Takes the rows of one read in; answers those not seen before.
    fn take(&mut self, changes: Vec<Change>, now: Instant) -> Vec<Change> {
        let unseen: Vec<Change> = changes.into_iter().filter(|change| self.is_new(change.seq)).collect();
        self.seen.extend(unseen.iter().map(|change| (change.seq, now)));
        self.settle(now);
        unseen
    }

    /// Moves on over what is complete, and over gaps that nobody can fill any more.
    fn settle(&mut self, now: Instant) {
        while let Some((seq, since)) = self.seen.first_key_value().map(|(seq, since)| (*seq, *since)) {
            let follows = seq == self.settled + 1;
            if !follows && now.duration_since(since) < OLDEST_TRANSACTION {
                return;
            }
            self.settled = seq;
            self.seen.pop_first();
        }
    }
}

impl ChangeFeed {
    pub fn new(origin: Instant, stale_after: Duration) -> Self {
        Self {
            origin,
            stale_after,
            last_complete: AtomicU64::new(0),
            skew: AtomicU64::new(0),
            position: Mutex::default(),
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

    /// Milliseconds between the database's clock and ours, as last read.
    pub fn skew(&self) -> u64 {
        self.skew.load(Ordering::Relaxed)
    }

    fn completed(&self, began: Instant, theirs: UnixTime, ours: UnixTime) {
        self.skew.store(theirs.millis().abs_diff(ours.millis()), Ordering::Relaxed);
        let millis = began.duration_since(self.origin).as_millis();
        self.last_complete.store(u64::try_from(millis).unwrap_or(u64::MAX).max(1), Ordering::Release);
    }

    fn position(&self) -> MutexGuard<'_, Position> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Takes its place in the change log, then loads every unexpired revocation: what is committed
    /// later comes by the log. After this the engine may decide.
    pub async fn load(&self, now: UnixTime) -> Result<(), Fault> {
        let before = UnixTime::from_millis(now.millis() - SETTLED);
        let place = move |conn: &mut _| change_log::settled_before(conn, before);
        let settled = self.0.db.poll(deadline_in(POLL_TIMEOUT), place).await?;
        *self.0.changes.position() = Position { settled, seen: BTreeMap::new() };
        self.load_revocations(now).await?;
        self.load_hosts(deadline_in(POLL_TIMEOUT)).await?;
        self.load_data_keys(now, deadline_in(POLL_TIMEOUT)).await?;
        self.read_changes(now).await
    }

    /// One complete read of the change log. A fault leaves everything as it was.
    pub async fn poll_changes(&self, now: UnixTime) -> Result<(), Fault> {
        if self.0.changes.age(monotonic()).is_some_and(|age| age > RELOAD_AFTER) {
            log::warn!("the change log was not read for long: every cache is dropped");
            self.0.caches.clear();
            return self.load(now).await;
        }
        self.read_changes(now).await
    }

    async fn read_changes(&self, now: UnixTime) -> Result<(), Fault> {
        let began = monotonic();
        let settled = self.0.changes.position().settled;
        let read = move |conn: &mut _| Ok((change_log::after(conn, settled)?, database_clock(conn)?));
        let (changes, theirs) = self.0.db.poll(deadline_in(POLL_TIMEOUT), read).await?;
        // Revocations first: a fault here must leave their numbers unseen.
        self.take_in_revocations(&changes).await?;
        self.take_in_domains(&changes).await?;
        self.take_in_data_keys(&changes, now).await?;
        self.switch_data_keys(now)?;
        let unseen = self.0.changes.position().take(changes, began);
        for change in &unseen {
            self.forget(change);
        }
        self.0.changes.completed(began, theirs, now);
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
            ChangedTable::Users => {
                if let Some((provider, user)) = change.id.split_once('/') {
                    caches.users.invalidate(&(provider.into(), user.into()));
                }
            }
            // Taken in together, before this.
            ChangedTable::Revoked | ChangedTable::Domains | ChangedTable::DataKeys => {}
            ChangedTable::Sessions => {
                if let Some((provider, session)) = change.id.split_once('/') {
                    caches.sessions.invalidate(&(provider.into(), session.into()));
                }
            }
        }
    }

    async fn take_in_revocations(&self, changes: &[Change]) -> Result<(), Fault> {
        let named = changes.iter().filter(|change| change.table == Some(ChangedTable::Revoked));
        let ids = named.filter_map(|change| Jti::parse(&change.id));
        let unknown: Vec<Jti> = ids.filter(|id| !self.0.revocations.holds(*id)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let rows = self.0.db.poll(deadline_in(POLL_TIMEOUT), move |conn| revoked::by_ids(conn, &unknown)).await?;
        for row in &rows {
            self.0.revocations.insert(row);
        }
        Ok(())
    }

    async fn take_in_domains(&self, changes: &[Change]) -> Result<(), Fault> {
        let is_new = {
            let position = self.0.changes.position();
            let mut named = changes.iter().filter(|change| change.table == Some(ChangedTable::Domains));
            named.any(|change| position.is_new(change.seq))
        };
        if is_new { self.load_hosts(deadline_in(POLL_TIMEOUT)).await } else { Ok(()) }
    }

    async fn take_in_data_keys(&self, changes: &[Change], now: UnixTime) -> Result<(), Fault> {
        let is_new = {
            let position = self.0.changes.position();
            let mut named = changes.iter().filter(|change| change.table == Some(ChangedTable::DataKeys));
            named.any(|change| position.is_new(change.seq))
        };
        if is_new { self.load_data_keys(now, deadline_in(POLL_TIMEOUT)).await } else { Ok(()) }
    }

    async fn load_revocations(&self, now: UnixTime) -> Result<(), Fault> {
        let (engine, now) = (self.clone(), now.seconds());
        let load = move |conn: &mut _| revoked::load_unexpired(conn, now, |row| engine.0.revocations.insert(&row));
        self.0.db.poll(deadline_in(LOAD_TIMEOUT), load).await
    }
}

/// How a client is named in the change log.
pub(in crate::engine) fn client_change_id(provider: &ProviderId, client_id: &ClientId) -> String {
    format!("{provider}/{client_id}")
}

/// How an account is named in the change log.
pub(in crate::engine) fn user_change_id(provider: &ProviderId, user: &UserId) -> String {
    format!("{provider}/{user}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(numbers: &[i64]) -> Vec<Change> {
        let row = |seq: &i64| Change { seq: *seq, table: None, id: String::new(), at: UnixTime::default() };
        numbers.iter().map(row).collect()
    }

    fn numbers(changes: &[Change]) -> Vec<i64> {
        changes.iter().map(|change| change.seq).collect()
    }

    #[test]
    fn a_number_that_becomes_visible_late_is_still_taken_in() {
        let (mut position, now) = (Position::default(), monotonic());
        assert_eq!(numbers(&position.take(rows(&[1, 2, 4, 5]), now)), [1, 2, 4, 5]);
        assert_eq!(position.settled, 2);
        let later = now + Duration::from_secs(30);
        assert_eq!(numbers(&position.take(rows(&[3, 4, 5, 6]), later)), [3, 6]);
        assert_eq!(position.settled, 6);
        assert!(position.seen.is_empty());
    }

    #[test]
    fn a_gap_is_given_up_when_no_transaction_can_fill_it_any_more() {
        let (mut position, now) = (Position::default(), monotonic());
        position.take(rows(&[7]), now);
        position.take(rows(&[7]), now + OLDEST_TRANSACTION / 2);
        assert_eq!(position.settled, 0);
        assert!(position.take(rows(&[7]), now + OLDEST_TRANSACTION).is_empty());
        assert_eq!(position.settled, 7);
    }
}
