//! Counts statements by kind, for tests that hold the budget of round trips and rows written
//! (a hot path that writes nothing stays one only while something counts). A [`StatementLog`] keeps
//! their texts too, for the test that judges how each one finds its rows. Off unless asked for:
//! then no connection carries an instrument, and the cost is none.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use diesel::connection::{Instrumentation, InstrumentationEvent};

/// Statements sent since the database was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatementCounts {
    /// `SELECT`.
    pub reads: u64,
    /// `INSERT`, `UPDATE` and `DELETE`, also below a `WITH`.
    pub writes: u64,
    /// `BEGIN`, `COMMIT`, `ROLLBACK`, `SAVEPOINT`, `RELEASE`.
    pub transactions: u64,
    /// Everything else.
    pub others: u64,
}

impl StatementCounts {
    /// What was sent since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            reads: self.reads - earlier.reads,
            writes: self.writes - earlier.writes,
            transactions: self.transactions - earlier.transactions,
            others: self.others - earlier.others,
        }
    }

    /// Every statement is one round trip on PostgreSQL once it is prepared.
    pub const fn round_trips(self) -> u64 {
        self.reads + self.writes + self.transactions + self.others
    }
}

/// The distinct texts of statements, without their values. Clones share one log.
#[derive(Clone, Debug, Default)]
pub struct StatementLog(Arc<Mutex<BTreeSet<String>>>);

impl StatementLog {
    /// Every text so far.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn note(&self, shown: &str) {
        // Diesel shows the values behind the text. What has none is a script, which no query of the store is.
        let Some((text, _)) = shown.rsplit_once(BINDS) else { return };
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !texts.contains(text) {
            texts.insert(text.to_owned());
        }
    }
}

/// What diesel writes between a text and its values.
const BINDS: &str = " -- binds: ";

#[derive(Debug, Default)]
pub(in crate::store) struct Statements {
    log: Option<StatementLog>,
    reads: AtomicU64,
    writes: AtomicU64,
    transactions: AtomicU64,
    others: AtomicU64,
}

impl Statements {
    pub(in crate::store) fn with_log(log: Option<StatementLog>) -> Self {
        Self { log, ..Self::default() }
    }

    pub(in crate::store) fn counts(&self) -> StatementCounts {
        StatementCounts {
            reads: self.reads.load(Ordering::SeqCst),
            writes: self.writes.load(Ordering::SeqCst),
            transactions: self.transactions.load(Ordering::SeqCst),
            others: self.others.load(Ordering::SeqCst),
        }
    }

    /// The instrument one connection carries.
    pub(in crate::store) fn counter(self: &Arc<Self>) -> impl Instrumentation {
        let statements = Arc::clone(self);
        move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::StartQuery { query, .. } = event {
                let shown = query.to_string();
                statements.of_kind(&shown).fetch_add(1, Ordering::SeqCst);
                if let Some(log) = &statements.log {
                    log.note(&shown);
                }
            }
        }
    }

    fn of_kind(&self, sql: &str) -> &AtomicU64 {
        let sql = sql.trim_start().to_ascii_uppercase();
        let first = sql.split(|character: char| !character.is_ascii_alphabetic()).next().unwrap_or_default();
        match first {
            "SELECT" => &self.reads,
            "INSERT" | "UPDATE" | "DELETE" => &self.writes,
            "BEGIN" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" => &self.transactions,
            "WITH" if ["INSERT ", "UPDATE ", "DELETE "].iter().any(|verb| sql.contains(verb)) => &self.writes,
            "WITH" => &self.reads,
            _ => &self.others,
        }
    }
}
