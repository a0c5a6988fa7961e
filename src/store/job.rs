//! A unit of writing: what runs inside a transaction, and the promise of an answer after the commit.

use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use diesel::prelude::*;
use diesel::result::Error as DieselError;
use tokio::sync::oneshot;

use crate::domain::clock::monotonic;
use crate::domain::{Fault, UnixTime};
use crate::store::change_log::{self, ChangedTable};
use crate::store::connection::Conn;

/// An open transaction. Reads as the connection it runs on, so every function of a table group
/// takes it.
///
/// A job that catches a broken constraint must not go on with the transaction: PostgreSQL has given
/// it up by then. Guarded statements (`ON CONFLICT DO NOTHING` and the row count) need no catching.
pub struct Tx<'a> {
    conn: &'a mut Conn,
    /// All of it will be taken back.
    is_tried: bool,
}

impl Tx<'_> {
    /// Tells the caches of every node that a row has changed, in the transaction of the change.
    pub fn changed(&mut self, table: ChangedTable, id: &str, at: UnixTime) -> Result<(), Fault> {
        if self.is_tried {
            // A number that is never committed is a gap that every node would wait for.
            return Ok(());
        }
        change_log::append(self.conn, table, id, at)
    }
}

impl Deref for Tx<'_> {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        self.conn
    }
}

impl DerefMut for Tx<'_> {
    fn deref_mut(&mut self) -> &mut Conn {
        self.conn
    }
}

/// Runs `job` in a transaction of its own (on PostgreSQL, and for the first run).
pub(in crate::store) fn in_transaction<T>(
    conn: &mut Conn,
    job: impl FnOnce(&mut Tx<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    conn.transaction(|conn| job(&mut Tx { conn, is_tried: false }))
}

/// Runs `job` and takes back all it did; answers what it came to.
pub(in crate::store) fn taken_back<T>(
    tx: &mut Tx<'_>,
    job: impl FnOnce(&mut Tx<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let mut outcome = None;
    let undone = tx.conn.transaction::<(), DieselError, _>(|conn| {
        outcome = Some(job(&mut Tx { conn, is_tried: true }));
        Err(DieselError::RollbackTransaction)
    });
    match (undone, outcome) {
        (Err(DieselError::RollbackTransaction), Some(outcome)) => outcome,
        (Err(error), _) => Err(error.into()),
        (Ok(()), _) => Err(Fault::store("a job that was only tried was not taken back")),
    }
}

/// A job whose types are forgotten: what it comes to waits in an [`Output`]. The hundreds of jobs there
/// are share the code that carries them, which is most of it. May be run more than once.
pub(in crate::store) type Work = Box<dyn FnMut(&mut Tx<'_>) -> Result<(), Fault> + Send>;
/// What runs once, on a bare connection.
pub(in crate::store) type Reading = Box<dyn FnOnce(&mut Conn) -> Result<(), Fault> + Send>;

/// What the last run of a job came to, for whoever waits for it.
pub(in crate::store) struct Output<T>(Arc<Mutex<Option<T>>>);

impl<T: Send + 'static> Output<T> {
    /// A job of a transaction, and where its output will lie.
    pub(in crate::store) fn of_work(
        mut job: impl FnMut(&mut Tx<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> (Work, Self) {
        let (kept, output) = Self::pair();
        (Box::new(move |tx| job(tx).map(|value| kept.keep(value))), output)
    }

    /// A read, and where its output will lie.
    pub(in crate::store) fn of_reading(
        read: impl FnOnce(&mut Conn) -> Result<T, Fault> + Send + 'static,
    ) -> (Reading, Self) {
        let (kept, output) = Self::pair();
        (Box::new(move |conn| read(conn).map(|value| kept.keep(value))), output)
    }

    fn pair() -> (Self, Self) {
        let slot = Arc::new(Mutex::new(None));
        (Self(Arc::clone(&slot)), Self(slot))
    }

    fn keep(&self, value: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    }

    /// After the job was answered without a fault.
    pub(in crate::store) fn take(self) -> Result<T, Fault> {
        let value = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        value.ok_or_else(|| Fault::store("a job of the store left no answer"))
    }
}

/// A job in the writer's queue, and whom to answer.
pub(in crate::store) struct QueuedJob {
    work: Work,
    deadline: Instant,
    reply: oneshot::Sender<Result<(), Fault>>,
}

impl QueuedJob {
    pub(in crate::store) fn new(work: Work, deadline: Instant) -> (Self, oneshot::Receiver<Result<(), Fault>>) {
        let (reply, answer) = oneshot::channel();
        (Self { work, deadline, reply }, answer)
    }

    /// Runs it once. May be called again after a roll-back.
    pub(in crate::store) fn run(&mut self, conn: &mut Conn) -> Result<(), Fault> {
        // Whatever the job broke in itself is never seen again: it runs afresh or is answered.
        let ran = catch_unwind(AssertUnwindSafe(|| (self.work)(&mut Tx { conn, is_tried: false })));
        ran.unwrap_or_else(|_| Err(Fault::store("a write job panicked")))
    }

    /// Why it must not be started any more.
    pub(in crate::store) fn given_up(&self) -> Option<Fault> {
        if self.reply.is_closed() {
            return Some(Fault::busy("nobody waits for this write any more"));
        }
        (monotonic() >= self.deadline).then(|| Fault::busy("the write was not reached before its deadline"))
    }

    pub(in crate::store) fn answer(self, outcome: Result<(), Fault>) {
        // A receiver that went away meanwhile: the write stands, as with any lost answer.
        drop(self.reply.send(outcome));
    }
}
