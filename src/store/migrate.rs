//! Migrations, and the first run that follows them, under one lock: of several nodes or processes
//! that start at once one does the work and the others find it done.
//!
//! Everything happens in one transaction. PostgreSQL takes its DDL back with it, so the lock can be
//! `pg_advisory_xact_lock`, which no error and no lost connection can leave behind and which works
//! through a pooler too; on SQLite `BEGIN IMMEDIATE` is the lock.

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::domain::Fault;
use crate::store::connection::{Conn, Manager, each};
use crate::store::job::{Tx, in_transaction};
use crate::store::sqlite::SqliteRole;
use crate::store::{Db, StoreOptions};

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Any number, but always the same: `grantd` in ASCII.
const LOCK: &str = "SELECT pg_advisory_xact_lock(113723962057828)";

impl Db {
    /// Brings the database up to this release and runs `under_lock` in the same transaction: what
    /// it writes is there together with the tables, or nothing is. Blocks; creates the SQLite file.
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
        let mut conn = manager.open(SqliteRole::Migrator).map_err(Fault::store)?;
        begin(&mut conn)?;
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

fn begin(conn: &mut Conn) -> Result<(), Fault> {
    match conn {
        Conn::Sqlite(conn) => AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE")?,
        Conn::Postgres(conn) => {
            AnsiTransactionManager::begin_transaction(conn)?;
            // The winner may need longer than a request may.
            conn.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")?;
            conn.batch_execute("SET LOCAL idle_in_transaction_session_timeout = 0")?;
            conn.batch_execute(LOCK)?;
        }
    }
    Ok(())
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
