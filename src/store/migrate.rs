//! Migrations, and the first run that follows them, under one lock: of several nodes or processes
//! that start at once one does the work and the others find it done.
//!
//! Everything happens in one transaction. PostgreSQL takes its DDL back with it, so the lock can be
//! `pg_try_advisory_xact_lock`, which no error and no lost connection can leave behind and which works
//! through a pooler too; on SQLite `BEGIN IMMEDIATE` is the lock.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::domain::Fault;
use crate::domain::clock::monotonic;
use crate::store::connection::{Conn, Manager, each};
use crate::store::db::{OPEN_TIMEOUT, unanswered};
use crate::store::job::{Tx, in_transaction};
use crate::store::sqlite::SqliteRole;
use crate::store::threads::opening;
use crate::store::{Db, StoreOptions};

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Any number, but always the same: `grantd` in ASCII.
const LOCK: &str = "SELECT pg_try_advisory_xact_lock(113723962057828)";
/// Between two tries to get the lock.
const LOCK_EVERY: Duration = Duration::from_millis(200);
/// Between two lines of the log about a wait.
const REPORT_EVERY: Duration = Duration::from_secs(10);

impl Db {
    /// Brings the database up to this release and runs `under_lock` in the same transaction: what
    /// it writes is there together with the tables, or nothing is. Blocks; creates the SQLite file.
    /// The log says what is waited for.
    ///
    /// # Errors
    ///
    /// The database is away or refused, a migration failed, or `under_lock` did. Nothing is changed
    /// then.
    pub fn migrate<T>(
        options: &StoreOptions,
        under_lock: impl FnOnce(&mut Tx<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let manager = Manager::new(options, None).map_err(Fault::store)?;
        let mut conn = begin(manager, options.patience)?;
        let _reports = report_long_run();
        let done = run_pending(&mut conn).and_then(|()| in_transaction(&mut conn, under_lock));
        match done {
            Ok(value) => {
                each!(&mut conn, conn => AnsiTransactionManager::commit_transaction(conn))?;
                Ok(value)
            }
            // Dropping the connection rolls back and releases the lock.
            Err(fault) => Err(fault),
        }
    }
}

/// A connection in a transaction that holds the lock.
fn begin(manager: Manager, patience: Option<Duration>) -> Result<Conn, Fault> {
    if !manager.is_sqlite() {
        return begin_on_postgres(manager, patience);
    }
    let mut conn = manager.open(SqliteRole::Migrator).map_err(Fault::store)?;
    each!(&mut conn, conn => AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE"))?;
    Ok(conn)
}

/// What the thread that connects has to say.
enum Progress {
    /// Another process holds the lock.
    Locked,
    Done(Result<Conn, Fault>),
}

/// Connects and takes the lock on a thread of its own: a server that never answers keeps the thread,
/// and not the start.
fn begin_on_postgres(manager: Manager, patience: Option<Duration>) -> Result<Conn, Fault> {
    let (sender, progress) = mpsc::channel();
    opening(move || {
        let outcome = locked(&manager, || sender.send(Progress::Locked).is_ok());
        drop(sender.send(Progress::Done(outcome)));
    })?;
    let began = monotonic();
    let mut reported = None;
    loop {
        match progress.recv_timeout(OPEN_TIMEOUT) {
            Ok(Progress::Done(outcome)) => return outcome,
            Ok(Progress::Locked) => {
                let now = monotonic();
                if patience.is_some_and(|patience| now.duration_since(began) >= patience) {
                    let sentence = "another process migrates the database or starts on it for the first time. Wait \
                                    until it has ended, then try again";
                    return Err(Fault::store(sentence));
                }
                if reported.is_none_or(|reported| now.duration_since(reported) >= REPORT_EVERY) {
                    reported = Some(now);
                    let seconds = now.duration_since(began).as_secs();
                    log::warn!("another process holds the migration lock of the database; waiting for {seconds} s");
                }
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Err(Fault::store(unanswered()));
            }
        }
    }
}

/// `goes_on` is asked between two tries; `false`: nobody waits any more.
fn locked(manager: &Manager, goes_on: impl Fn() -> bool) -> Result<Conn, Fault> {
    let mut conn = manager.open(SqliteRole::Migrator).map_err(Fault::store)?;
    each!(&mut conn, conn => AnsiTransactionManager::begin_transaction(conn))?;
    // The winner may need longer than a request may.
    conn.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")?;
    conn.batch_execute("SET LOCAL idle_in_transaction_session_timeout = 0")?;
    // Asked again and again instead of waited for: so a wait can be told from a server that hangs.
    loop {
        let lock = diesel::dsl::sql::<Bool>(LOCK);
        if each!(&mut conn, conn => lock.get_result(conn))? {
            return Ok(conn);
        }
        if !goes_on() {
            return Err(Fault::busy("nobody waits for the lock any more"));
        }
        std::thread::sleep(LOCK_EVERY);
    }
}

/// Says in the log that the work goes on, until the value ends.
fn report_long_run() -> mpsc::Sender<()> {
    let (ends, waits) = mpsc::channel::<()>();
    let report = move || {
        let mut seconds = 0;
        while waits.recv_timeout(REPORT_EVERY) == Err(RecvTimeoutError::Timeout) {
            seconds += REPORT_EVERY.as_secs();
            log::warn!("the migration or the first run has taken {seconds} s and goes on");
        }
    };
    // A report that cannot be made is no reason to stop.
    drop(std::thread::Builder::new().name("store-report".to_owned()).spawn(report));
    ends
}

fn run_pending(conn: &mut Conn) -> Result<(), Fault> {
    let ran = match conn {
        Conn::Sqlite(conn) => conn.run_pending_migrations(SQLITE).map(|versions| versions.len()),
        Conn::Postgres(conn) => conn.run_pending_migrations(POSTGRES).map(|versions| versions.len()),
    };
    let count = ran.map_err(|error| Fault::store(format!("a migration failed: {error}")))?;
    if count > 0 {
        log::info!("database migrated, {count} new");
    }
    Ok(())
}
