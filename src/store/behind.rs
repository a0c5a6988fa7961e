//! Write-behind: what a request would like to have noted and must not wait for: use and failures of
//! credentials, failed logins, sessions in use, events without a change. Notes on the same thing melt
//! into one; the map is bounded and counts what it had no room for; the application flushes it once a
//! second in the writer's second lane.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::domain::event::Event;
use crate::domain::{Fault, SessionId, UnixTime};
use crate::store::login_failures::Debt;
use crate::store::usage::{self, Usage, UsageKind};
use crate::store::{Db, Tx, events, login_failures, sessions};

/// Rows of one background job.
const ROWS_PER_JOB: usize = 64;

/// The lane. One for a process; cheap to note into, from any thread.
pub struct WriteBehind {
    notes: Mutex<Notes>,
    capacity: usize,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Notes {
    /// By kind first, so that a note on a known id allocates nothing.
    by_kind: HashMap<UsageKind, HashMap<String, Usage>>,
    count: usize,
    login_failures: HashMap<String, Owed>,
    events: Vec<Event>,
    /// Seen at, and over if not used again by; epoch seconds.
    sessions: HashMap<SessionId, (i64, i64)>,
}

/// What a note adds to a row of `login_failures`: seconds of debt, as of `at` (epoch seconds).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owed {
    at: i64,
    debt: Debt,
}

impl Owed {
    fn and(self, more: Self) -> Self {
        let debt = Debt { seconds: self.debt.seconds + more.debt.seconds, most: more.debt.most };
        Self { at: self.at.max(more.at), debt }
    }
}

impl WriteBehind {
    /// `capacity`: notes of each sort that may wait to be written.
    pub fn new(capacity: usize) -> Self {
        Self { notes: Mutex::default(), capacity, dropped: AtomicU64::new(0) }
    }

    /// A credential worked.
    pub fn note_used(&self, kind: UsageKind, id: &str, at: UnixTime) {
        self.note(kind, id, Usage { last_used_at: Some(at.seconds()), ..Usage::default() });
    }

    /// A credential, or what was taken for it, did not.
    pub fn note_failure(&self, kind: UsageKind, id: &str, at: UnixTime) {
        self.note(kind, id, Usage { last_used_at: None, failures: 1, last_failed_at: Some(at.seconds()) });
    }

    /// Something found no room before it came here.
    pub fn note_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that found no room or were lost with a failed write. A metric.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Credentials that wait to be written.
    pub fn waiting(&self) -> usize {
        self.lock().count
    }

    /// Somebody tried a password in vain.
    pub fn note_login_failure(&self, id: &str, at: UnixTime, debt: Debt) {
        let more = Owed { at: at.seconds(), debt };
        let mut notes = self.lock();
        let full = notes.login_failures.len() >= self.capacity;
        if let Some(known) = notes.login_failures.get_mut(id) {
            *known = known.and(more);
        } else if full {
            drop(notes);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        } else {
            notes.login_failures.insert(id.to_owned(), more);
        }
    }

    /// A session is in use by way of its tokens; over at `idle_ends_at` (epoch seconds) if it is not
    /// again.
    pub fn note_session_used(&self, id: &SessionId, at: UnixTime, idle_ends_at: i64) {
        let mut notes = self.lock();
        if notes.sessions.len() < self.capacity || notes.sessions.contains_key(id) {
            notes.sessions.insert(id.clone(), (at.seconds(), idle_ends_at));
        } else {
            drop(notes);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// An event that no change carries.
    pub fn note_event(&self, event: Event) {
        let mut notes = self.lock();
        if notes.events.len() < self.capacity {
            notes.events.push(event);
        } else {
            drop(notes);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes what has gathered, in small background jobs; answers how many rows.
    ///
    /// # Errors
    ///
    /// The first failure. What was not tried yet waits for the next call; what failed is counted as
    /// dropped, since it may have been written.
    pub async fn flush(&self, db: &Db, deadline: Instant) -> Result<usize, Fault> {
        // In one order everywhere: two nodes that flush at once never wait for each other. Failed
        // logins first, since they hold an attacker back.
        let mut failures: Vec<_> = std::mem::take(&mut self.lock().login_failures).into_iter().collect();
        failures.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let add = |tx: &mut Tx<'_>, (id, owed): &(String, Owed)| login_failures::add(tx, id, owed.at, owed.debt);
        let wrote = self.write(db, deadline, failures, add).await;
        let mut written = wrote.map_err(|(fault, untried)| {
            let back = |(id, owed): (String, Owed)| {
                self.note_login_failure(&id, UnixTime::from_seconds(owed.at), owed.debt);
            };
            untried.into_iter().for_each(back);
            fault
        })?;
        let mut rows = self.lock().take();
        rows.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let add = |tx: &mut Tx<'_>, (kind, id, more): &(UsageKind, String, Usage)| usage::add(tx, *kind, id, *more);
        written += self.write(db, deadline, rows, add).await.map_err(|(fault, untried)| {
            untried.into_iter().for_each(|(kind, id, more)| self.note(kind, &id, more));
            fault
        })?;
        let mut used: Vec<_> = std::mem::take(&mut self.lock().sessions).into_iter().collect();
        used.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let touch = |tx: &mut Tx<'_>, (id, (at, idle_ends_at)): &(SessionId, (i64, i64))| {
            sessions::touch(tx, id, *at, *idle_ends_at)
        };
        written += self.write(db, deadline, used, touch).await.map_err(|(fault, untried)| {
            self.lock().sessions.extend(untried);
            fault
        })?;
        let happened = std::mem::take(&mut self.lock().events);
        let insert = |tx: &mut Tx<'_>, event: &Event| events::insert(tx, event);
        written += self.write(db, deadline, happened, insert).await.map_err(|(fault, untried)| {
            untried.into_iter().for_each(|event| self.note_event(event));
            fault
        })?;
        Ok(written)
    }

    /// Writes `rows` in jobs of a few; answers how many, or the first failure with what was not
    /// tried yet.
    async fn write<T: Send + 'static>(
        &self,
        db: &Db,
        deadline: Instant,
        mut rows: Vec<T>,
        write: impl Fn(&mut Tx<'_>, &T) -> Result<(), Fault> + Copy + Send + 'static,
    ) -> Result<usize, (Fault, Vec<T>)> {
        let mut written = 0;
        while !rows.is_empty() {
            let job: Vec<T> = rows.drain(..rows.len().min(ROWS_PER_JOB)).collect();
            let count = job.len();
            let wrote = db.write_background(deadline, move |tx| job.iter().try_for_each(|row| write(tx, row))).await;
            if let Err(fault) = wrote {
                self.dropped.fetch_add(count as u64, Ordering::Relaxed);
                return Err((fault, rows));
            }
            written += count;
        }
        Ok(written)
    }

    fn note(&self, kind: UsageKind, id: &str, more: Usage) {
        let mut notes = self.lock();
        let full = notes.count >= self.capacity;
        let of_kind = notes.by_kind.entry(kind).or_default();
        if let Some(known) = of_kind.get_mut(id) {
            *known = melted(*known, more);
        } else if full {
            drop(notes);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        } else {
            of_kind.insert(id.to_owned(), more);
            notes.count += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn take(&mut self) -> Vec<(UsageKind, String, Usage)> {
        self.count = 0;
        let by_kind = std::mem::take(&mut self.by_kind);
        by_kind.into_iter().flat_map(|(kind, ids)| ids.into_iter().map(move |(id, more)| (kind, id, more))).collect()
    }
}

fn melted(known: Usage, more: Usage) -> Usage {
    Usage {
        last_used_at: known.last_used_at.max(more.last_used_at),
        failures: known.failures + more.failures,
        last_failed_at: known.last_failed_at.max(more.last_failed_at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_on_one_credential_melt_and_the_map_is_bounded() {
        let behind = WriteBehind::new(2);
        behind.note_used(UsageKind::ApiKey, "a", UnixTime::from_seconds(5));
        behind.note_used(UsageKind::ApiKey, "a", UnixTime::from_seconds(3));
        behind.note_failure(UsageKind::ApiKey, "a", UnixTime::from_seconds(4));
        behind.note_failure(UsageKind::Client, "a", UnixTime::from_seconds(4));
        behind.note_used(UsageKind::ApiKey, "b", UnixTime::from_seconds(9));
        behind.note_used(UsageKind::Client, "a", UnixTime::from_seconds(9));
        assert_eq!((behind.waiting(), behind.dropped()), (2, 1));
        let mut rows = behind.lock().take();
        rows.sort_unstable_by_key(|row| row.0);
        let client = Usage { last_used_at: Some(9), failures: 1, last_failed_at: Some(4) };
        let key = Usage { last_used_at: Some(5), failures: 1, last_failed_at: Some(4) };
        assert_eq!(rows, [(UsageKind::Client, "a".to_owned(), client), (UsageKind::ApiKey, "a".to_owned(), key)]);
        assert_eq!(behind.waiting(), 0);
    }
}
