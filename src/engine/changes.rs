//! The change feed: reads the change log four times a second and drops what changed elsewhere.
//! Sequence numbers are given out before the commit and so become visible out of order: every read
//! asks for the numbers that are still missing too, and a number is given up only when a transaction
//! that holds it could no longer be alive. A node that cannot read the log for a second
//! decides nothing; one that only stood still for a moment reads it first and then answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout_at;

use crate::domain::clock::{deadline_in, monotonic};
use crate::domain::token::Jti;
use crate::domain::{ClientId, Context, Fault, ProviderId, UnixTime, UserId};
use crate::engine::Engine;
use crate::engine::changes::position::Position;
use crate::engine::clocks::{Reading, Turn};
use crate::store::change_log::Change;
use crate::store::{ChangedTable, change_log, revoked};

mod position;

/// A first read takes in what was stamped within this, milliseconds: the oldest request (a minute),
/// its transaction (a minute) and clocks that differ (two seconds), with room.
const SETTLED: i64 = 180_000;
/// The log is kept ten minutes: after half of that without a read, nothing held can be trusted.
const RELOAD_AFTER: Duration = Duration::from_secs(300);
/// One read of the log may take this long.
pub(in crate::engine) const POLL_TIMEOUT: Duration = Duration::from_secs(2);
/// The read that is made four times a second. One that takes longer makes no node fresh, so its connection is given
/// up and the next read takes another.
const READ_TIMEOUT: Duration = Duration::from_millis(1500);
/// A request that meets a node which is behind waits this long for it to catch up: two polls.
const CATCH_UP: Duration = Duration::from_millis(500);
/// Loading every live revocation may take this long.
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);

pub struct ChangeFeed {
    origin: Instant,
    stale_after: Duration,
    /// Milliseconds from `origin` to the start of the last complete read; 0: none yet.
    last_complete: AtomicU64,
    position: Mutex<Position>,
    /// Told of every complete read.
    read: Notify,
}

impl ChangeFeed {
    pub fn new(origin: Instant, stale_after: Duration) -> Self {
        Self { origin, stale_after, last_complete: AtomicU64::new(0), position: Mutex::default(), read: Notify::new() }
    }

    /// How long ago the last complete read began; `None` before the first.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        let last = self.last_complete.load(Ordering::Acquire);
        (last > 0).then(|| now.duration_since(self.origin).saturating_sub(Duration::from_millis(last)))
    }

    pub fn is_fresh(&self, now: Instant) -> bool {
        self.age(now).is_some_and(|age| age < self.stale_after)
    }

    fn completed(&self, began: Instant) {
        let millis = began.duration_since(self.origin).as_millis();
        self.last_complete.store(u64::try_from(millis).unwrap_or(u64::MAX).max(1), Ordering::Release);
        self.read.notify_waiters();
    }

    /// Waits until a read makes this node fresh, until `end` at most; whether one did.
    async fn catches_up(&self, end: Instant) -> bool {
        loop {
            // Counts from here, so a read that ends between the look and the wait is not missed.
            let next = self.read.notified();
            if self.is_fresh(monotonic()) {
                return true;
            }
            if timeout_at(end.into(), next).await.is_err() {
                return false;
            }
        }
    }

    fn position(&self) -> MutexGuard<'_, Position> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Refuses to decide on what may be old. A starved process, or a virtual machine that was paused, is behind
    /// only until its next read: who asks in that moment waits for it instead of being sent away.
    /// With a clock that is off it decides nothing either: all that it dates would be wrong.
    pub(in crate::engine) async fn require_fresh(&self, ctx: &Context) -> Result<(), Fault> {
        let feed = &self.0.changes;
        // Boxed: the way that nearly every request takes carries nothing of the other.
        if feed.is_fresh(monotonic()) || Box::pin(feed.catches_up(deadline_in(CATCH_UP))).await {
            return self.require_right_clock(ctx);
        }
        Err(Fault::busy("the change log could not be read for too long"))
    }

    /// Refuses to date anything by a clock that differs from the database's, or that has jumped since it was
    /// last compared.
    pub(in crate::engine) fn require_right_clock(&self, ctx: &Context) -> Result<(), Fault> {
        if self.0.clocks.is_right() && self.0.clocks.agree_with(ctx.now) {
            return Ok(());
        }
        Err(Fault::busy("the clock of this machine differs from the database's by more than two seconds"))
    }

    /// Takes in a look at both clocks. A clock that was off becomes right only by a whole load.
    pub(in crate::engine) fn note_clocks(&self, reading: Reading, loaded: bool) {
        if reading.is_right() && !self.0.clocks.is_right() && !loaded {
            return;
        }
        match self.0.clocks.note(reading) {
            Turn::Same => {}
            Turn::Wrong => log::error!(
                "the clock of this machine differs from the database's by {} ms: this node decides nothing until it is \
                 right. Set the clock",
                self.clock_skew()
            ),
            Turn::RightAgain => log::info!("the clock of this machine agrees with the database's again"),
        }
    }

    /// Takes its place in the change log, then forgets what it holds and loads every revocation
    /// there is: what is committed later comes by the log. After this the engine may decide.
    pub async fn load(&self, now: UnixTime) -> Result<(), Fault> {
        self.load_since(now, monotonic()).await
    }

    /// `since` is the moment at which it was `now`.
    async fn load_since(&self, now: UnixTime, since: Instant) -> Result<(), Fault> {
        let before = UnixTime::from_millis(now.millis() - SETTLED);
        let began = monotonic();
        let place = move |conn: &mut _| {
            let settled = change_log::settled_before(conn, before)?;
            Ok(Position::starting(settled, &change_log::numbers_after(conn, settled)?, began))
        };
        *self.0.changes.position() = self.0.db.poll(deadline_in(POLL_TIMEOUT), place).await?;
        // Not earlier: nobody is told again of a change whose number was seen just now.
        self.0.caches.clear();
        self.load_revocations().await?;
        self.load_hosts(deadline_in(POLL_TIMEOUT)).await?;
        self.load_data_keys(now, deadline_in(POLL_TIMEOUT)).await?;
        self.read_changes(now, since, true).await
    }

    /// One complete read of the change log. A fault leaves everything as it was.
    pub async fn poll_changes(&self, now: UnixTime) -> Result<(), Fault> {
        let since = monotonic();
        if self.0.changes.age(monotonic()).is_some_and(|age| age > RELOAD_AFTER) {
            log::warn!("the change log was not read for long: every cache is dropped");
            return self.load_since(now, since).await;
        }
        // The place in the log, and what was read, went by a clock that was off.
        if !self.0.clocks.is_right() && self.read_clocks(now).await?.is_right() {
            return self.load_since(now, since).await;
        }
        self.read_changes(now, since, false).await
    }

    /// Looks at both clocks.
    pub(in crate::engine) async fn read_clocks(&self, now: UnixTime) -> Result<Reading, Fault> {
        let (began, clock) = (monotonic(), self.0.clocks.theirs());
        self.0.db.poll(deadline_in(POLL_TIMEOUT), move |conn| clock.read(conn, now, began)).await
    }

    /// A load takes long: were its time counted as skew, a node with many revocations would load for ever.
    async fn read_changes(&self, now: UnixTime, since: Instant, loaded: bool) -> Result<(), Fault> {
        let began = monotonic();
        let (missing, highest) = self.0.changes.position().wanted();
        let clock = self.0.clocks.theirs();
        let read = move |conn: &mut _| {
            let mut changes = Vec::new();
            for (first, last) in &missing {
                changes.append(&mut change_log::between(conn, *first, *last)?);
            }
            changes.append(&mut change_log::after(conn, highest)?);
            Ok((changes, clock.read(conn, now, since)?))
        };
        let (changes, clocks) = self.0.db.poll(deadline_in(READ_TIMEOUT), read).await?;
        if !clocks.is_right() {
            self.note_clocks(clocks, loaded);
        }
        // Revocations first: a fault here must leave their numbers unseen.
        self.take_in_revocations(&changes).await?;
        self.take_in_domains(&changes).await?;
        self.take_in_data_keys(&changes, now).await?;
        self.switch_data_keys(now)?;
        let unseen = self.0.changes.position().take(changes, began);
        for change in &unseen {
            self.forget(change);
        }
        self.0.changes.completed(began);
        self.note_clocks(clocks, loaded);
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
            // Who is in them is not known here, and they seldom change.
            ChangedTable::Groups => caches.users.clear(),
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

    /// Expired ones too: whether one has expired is for no single clock to say.
    async fn load_revocations(&self) -> Result<(), Fault> {
        let engine = self.clone();
        let load = move |conn: &mut _| revoked::load(conn, |row| engine.0.revocations.insert(&row));
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
