//! A unit of writing: what runs inside a transaction, and the promise of an answer after the commit.

use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
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

/// A job in the writer's queue, its type forgotten.
pub(in crate::store) trait QueuedJob: Send {
    /// Runs it once; the output is kept until [`QueuedJob::answer`]. May be called again after a
    /// roll-back.
    fn run(&mut self, conn: &mut Conn) -> Result<(), Fault>;
    /// Why it must not be started any more.
    fn given_up(&self) -> Option<Fault>;
    fn answer(self: Box<Self>, outcome: Result<(), Fault>);
}

/// A job and whom to answer.
pub(in crate::store) struct Typed<T, F> {
    job: F,
    deadline: Instant,
    output: Option<T>,
    reply: oneshot::Sender<Result<T, Fault>>,
}

impl<T, F> Typed<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Tx<'_>) -> Result<T, Fault> + Send + 'static,
{
    pub(in crate::store) fn boxed(
        job: F,
        deadline: Instant,
    ) -> (Box<dyn QueuedJob>, oneshot::Receiver<Result<T, Fault>>) {
        let (reply, answer) = oneshot::channel();
        (Box::new(Self { job, deadline, output: None, reply }), answer)
    }
}

impl<T, F> QueuedJob for Typed<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Tx<'_>) -> Result<T, Fault> + Send + 'static,
{
    fn run(&mut self, conn: &mut Conn) -> Result<(), Fault> {
        self.output = None;
        // Whatever the job broke in itself is never seen again: it runs afresh or is answered.
        let ran = catch_unwind(AssertUnwindSafe(|| (self.job)(&mut Tx { conn, is_tried: false })));
        self.output = Some(ran.unwrap_or_else(|_| Err(Fault::store("a write job panicked")))?);
        Ok(())
    }

    fn given_up(&self) -> Option<Fault> {
        if self.reply.is_closed() {
            return Some(Fault::busy("nobody waits for this write any more"));
        }
        (monotonic() >= self.deadline).then(|| Fault::busy("the write was not reached before its deadline"))
    }

    fn answer(self: Box<Self>, outcome: Result<(), Fault>) {
        let Self { job: _, deadline: _, output, reply } = *self;
        let answer = outcome.and_then(|()| output.ok_or_else(|| Fault::store("a write job left no answer")));
        // A receiver that went away meanwhile: the write stands, as with any lost answer.
        drop(reply.send(answer));
    }
}
