//! One connection type over both databases, and the r2d2 manager that opens it.
//!
//! The variant is chosen by the scheme of the URL and never by trying: an ambiguous URL is refused
//! with a sentence. Everything a connection needs to be safe is set here and nowhere else.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use diesel::connection::{CacheSize, SimpleConnection};
use diesel::r2d2::R2D2Connection;
use diesel::{Connection, PgConnection, SqliteConnection};

use crate::domain::Fault;
use crate::store::StoreOptions;
use crate::store::postgres;
use crate::store::sqlite::{self, SqliteRole};
use crate::store::statements::Statements;

/// A connection to one of the two databases. Queries that both spell alike go through the enum;
/// the rest repeats its text for each variant by [`each!`](crate::store::connection).
#[derive(diesel::MultiConnection)]
pub enum Conn {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Runs the same query text on the connection inside, once for each database: upserts and row locks
/// do not compile through the enum, and hot queries are a few microseconds cheaper without it.
macro_rules! each {
    ($conn:expr, $inner:ident => $query:expr) => {
        match $conn {
            $crate::store::connection::Conn::Sqlite($inner) => $query,
            $crate::store::connection::Conn::Postgres($inner) => $query,
        }
    };
}
pub(in crate::store) use each;

/// The place a database URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum Target {
    /// Path of the database file.
    Sqlite(String),
    /// The connection string, complete with our time-outs.
    Postgres(String),
}

/// Why a connection could not be opened: one sentence, without the password of the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectError(pub(in crate::store) String);

/// What libpq says of a server that cannot be reached now, but perhaps later. Everything else, as a
/// wrong password or a database that does not exist, waits for a person.
const AWAY: [&str; 9] = [
    "Connection refused",
    "No such file or directory",
    "timeout expired",
    "Connection timed out",
    "could not translate host name",
    "unreachable",
    "server closed the connection",
    "the database system is",
    "does not answer",
];

/// Whether the fault says that the database is away, so that another try makes sense.
pub fn is_away(fault: &Fault) -> bool {
    match fault {
        Fault::Busy { .. } => true,
        Fault::Store(cause) => {
            let sentence = cause.downcast_ref::<ConnectError>();
            sentence.is_some_and(|ConnectError(sentence)| AWAY.iter().any(|words| sentence.contains(words)))
        }
        Fault::Crypto(_) | Fault::Upstream(_) => false,
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConnectError {}

impl Target {
    /// Reads `sqlite://path`, `postgres://…` or `postgresql://…`.
    pub(in crate::store) fn of(options: &StoreOptions) -> Result<Self, ConnectError> {
        let url = options.url.as_str();
        if let Some(path) = url.strip_prefix("sqlite://") {
            return sqlite::path(path).map(Self::Sqlite);
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return postgres::connection_string(url, options.pooled).map(Self::Postgres);
        }
        Err(ConnectError("the database URL must begin with sqlite://, postgres:// or postgresql://".to_owned()))
    }
}

/// Opens connections for the pool, or one for the writer.
#[derive(Clone)]
pub(in crate::store) struct Manager {
    target: Target,
    durable: bool,
    pooled: bool,
    statements: Option<Arc<Statements>>,
    /// Raised when connections turn out to be dead.
    generation: Arc<AtomicU64>,
}

impl Manager {
    pub(in crate::store) fn new(
        options: &StoreOptions,
        statements: Option<Arc<Statements>>,
    ) -> Result<Self, ConnectError> {
        let target = Target::of(options)?;
        Ok(Self { target, durable: options.durable, pooled: options.pooled, statements, generation: Arc::default() })
    }

    pub(in crate::store) const fn is_sqlite(&self) -> bool {
        matches!(self.target, Target::Sqlite(_))
    }

    /// Opens a connection. On PostgreSQL the role makes no difference.
    pub(in crate::store) fn open(&self, role: SqliteRole) -> Result<Conn, ConnectError> {
        let mut conn = match &self.target {
            Target::Sqlite(path) => Conn::Sqlite(sqlite::open(path, role, self.durable)?),
            Target::Postgres(text) => Conn::Postgres(postgres::open(text)?),
        };
        if self.pooled {
            // Behind PgBouncer the next statement may meet another server process, which knows
            // nothing of what this one prepared.
            conn.set_prepared_statement_cache_size(CacheSize::Disabled);
        }
        if let Some(statements) = &self.statements {
            conn.set_instrumentation(statements.counter());
        }
        Ok(conn)
    }
}

/// A place in the pool. Its connection is opened by the first job that takes it, on the thread of that
/// job: to open one can hang, and the threads of the pool serve everybody.
pub(in crate::store) struct Pooled {
    conn: Option<Conn>,
    /// Of connections that were opened between two losses.
    generation: u64,
}

impl Manager {
    /// The connection of this place, opened if there is none, and its generation.
    pub(in crate::store) fn connection<'p>(&self, pooled: &'p mut Pooled) -> Result<(&'p mut Conn, u64), ConnectError> {
        let conn = match pooled.conn.take() {
            Some(conn) => conn,
            None => {
                // Read before: what is lost meanwhile is lost for this one too.
                pooled.generation = self.generation.load(Ordering::Relaxed);
                self.open(SqliteRole::Reader)?
            }
        };
        Ok((pooled.conn.insert(conn), pooled.generation))
    }

    /// Looks after a connection whose job failed. When it is dead the server has gone, and with it
    /// most likely every other connection: all of this generation are replaced when next taken,
    /// instead of each one failing a request. Diesel tells a dead connection only from inside a
    /// transaction.
    pub(in crate::store) fn after_fault(&self, pooled: &mut Pooled) {
        let Some(conn @ Conn::Postgres(_)) = &mut pooled.conn else { return };
        if conn.batch_execute("SELECT 1").is_err() {
            self.replace(pooled.generation);
        }
    }

    /// Ends a generation: its connections are closed when next taken or given back.
    pub(in crate::store) fn replace(&self, generation: u64) {
        // Only the first to notice counts on.
        let raised = self.generation.compare_exchange(generation, generation + 1, Ordering::Relaxed, Ordering::Relaxed);
        if raised.is_ok() {
            log::warn!("the connections to the database are lost and will be replaced");
        }
    }
}

impl r2d2::ManageConnection for Manager {
    type Connection = Pooled;
    type Error = ConnectError;

    fn connect(&self) -> Result<Pooled, ConnectError> {
        Ok(Pooled { conn: None, generation: 0 })
    }

    /// Asked on check-out: no ping, only whether its generation is over.
    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), ConnectError> {
        if pooled.conn.is_none() || pooled.generation == self.generation.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(ConnectError("the connection was lost".to_owned()))
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        let is_broken = pooled.conn.as_mut().is_some_and(R2D2Connection::is_broken);
        std::thread::panicking() || is_broken || self.is_valid(pooled).is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Result<Target, ConnectError> {
        Target::of(&StoreOptions { url: url.to_owned(), ..StoreOptions::default() })
    }

    #[test]
    fn the_scheme_alone_chooses_the_database() {
        assert_eq!(target("sqlite:///var/lib/x.db"), Ok(Target::Sqlite("/var/lib/x.db".to_owned())));
        assert_eq!(target("sqlite://data/x.db"), Ok(Target::Sqlite("./data/x.db".to_owned())));
        assert!(matches!(target("postgres://h/db"), Ok(Target::Postgres(_))));
        assert!(matches!(target("postgresql:///db?host=/run"), Ok(Target::Postgres(_))));
        for bad in ["", "x.db", "sqlite:x.db", "mysql://h/db", "host=x dbname=y", "sqlite://", "sqlite://:memory:"] {
            let refused = target(bad).unwrap_err().to_string();
            assert!(refused.contains("sqlite"), "{bad}: {refused}");
        }
    }
}
