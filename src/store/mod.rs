//! The store: the one room that knows Diesel. One set of queries serves SQLite and PostgreSQL.
//!
//! [`Db`] owns the connections. [`Db::read`] and [`Db::write`] take a job, wait for their turn with
//! a deadline and hop off the async threads by themselves. SQLite writes through the one thread of
//! `writer` (group commit), PostgreSQL in a transaction on a pooled connection. Table groups
//! (`providers`, `clients`, …) are plain functions over a [`Conn`]; each file holds its schema, its
//! rows and the conversion to the domain. Two laws shape all of them: no decision on a value read
//! earlier (one guarded statement instead, or a row lock before it), and a refusal commits.

pub mod api_key_secrets;
pub mod api_keys;
pub mod assertion_jtis;
pub mod behind;
pub mod change_log;
pub mod cleanup;
mod client_policy;
pub mod client_secrets;
pub mod clients;
mod clock;
pub mod codes;
mod connection;
pub mod consents;
pub mod data_keys;
mod db;
pub mod events;
pub mod explanations;
mod fault;
pub mod idempotency_keys;
pub mod issuers;
mod job;
pub mod key_rotation;
mod listing;
pub mod login_failures;
pub mod logout_deliveries;
pub mod meta;
mod migrate;
pub mod named;
mod postgres;
pub mod principal_names;
pub mod provider_domains;
mod provider_policy;
pub mod providers;
mod queue;
pub mod refresh_families;
pub mod reset;
pub mod revoked;
pub mod scopes;
pub mod secret_report;
pub mod session_clients;
pub mod sessions;
pub mod signing_keys;
pub mod spent_tokens;
mod sqlite;
mod statements;
pub mod tenants;
mod threads;
pub mod trust_policies;
pub mod trusted_issuers;
pub mod usage;
pub mod user_links;
pub mod users;
pub mod webhook_deliveries;
pub mod webhooks;
mod writer;

use std::time::Duration;

pub use change_log::ChangedTable;
pub use clock::database_clock;
pub use connection::{Conn, ConnectError, is_away};
pub use db::Db;
pub use fault::is_constraint;
pub use job::Tx;
pub use postgres::server_timeouts;
pub use statements::{StatementCounts, StatementLog};

/// How the database is reached. Built by `config`; the defaults suit one small machine.
#[derive(Clone)]
pub struct StoreOptions {
    /// `sqlite://path`, `postgres://…` or `postgresql://…`. May hold a password: never logged.
    pub url: String,
    /// Connections for requests: readers on SQLite, readers and writers on PostgreSQL. One more is
    /// reserved for polling, one for readings that may take long, and on PostgreSQL one for background jobs.
    /// Twice as many may hang beside them.
    pub readers: u32,
    /// SQLite: writes that may wait; one more is refused as busy.
    pub write_queue: usize,
    /// SQLite: whether a commit is flushed to the disk before it is answered. `false` is for tests
    /// only. PostgreSQL is always asked, and refused when it is not durable.
    pub durable: bool,
    /// PostgreSQL behind PgBouncer in transaction mode: no start-up options, no prepared statements.
    pub pooled: bool,
    /// Count statements by kind, for tests that hold a budget.
    pub count_statements: bool,
    /// Keep the texts of statements too, where they are counted: for a test that judges them.
    pub statement_log: Option<StatementLog>,
    /// How long [`Db::migrate`] waits for another process that migrates; `None`: until it has ended.
    pub patience: Option<Duration>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            url: "sqlite://data/grantd.db".to_owned(),
            readers: 8,
            write_queue: 256,
            durable: true,
            pooled: false,
            count_statements: false,
            statement_log: None,
            patience: None,
        }
    }
}

/// The URL stays out: it may hold a password.
impl std::fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { url: _, readers, write_queue, durable, pooled, count_statements, statement_log: _, patience } = self;
        f.debug_struct("StoreOptions")
            .field("readers", readers)
            .field("write_queue", write_queue)
            .field("durable", durable)
            .field("pooled", pooled)
            .field("count_statements", count_statements)
            .field("patience", patience)
            .finish_non_exhaustive()
    }
}
