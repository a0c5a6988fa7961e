//! [`Db`]: permits first, connections second. Every hop waits for a permit with the caller's
//! deadline before it takes a thread, so that a database that hangs costs as many threads as there
//! are connections and not as many as there are requests.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use r2d2::Pool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;

use crate::domain::{Decision, Fault};
use crate::store::StoreOptions;
use crate::store::connection::{Conn, Manager};
use crate::store::fault::is_collision;
use crate::store::job::{Output, Reading, Tx, Work, in_transaction, taken_back};
use crate::store::queue::Lane;
use crate::store::statements::{StatementCounts, Statements};
use crate::store::writer::Writer;

/// A write that has begun in time may end this much after its deadline: better a late answer than
/// a write that happened and was called busy.
const GRACE: Duration = Duration::from_secs(2);
/// Tries of a job that others' transactions undid (PostgreSQL, 40001 and 40P01).
const TRIES: u32 = 5;

/// The database. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    /// `None` after [`Db::close`].
    pool: Mutex<Option<Pool<Manager>>>,
    manager: Manager,
    lanes: Lanes,
    statements: Option<Arc<Statements>>,
    /// SQLite only.
    writer: Option<Arc<Writer>>,
}

/// Permits. Together they are as many as the pool has connections, so a permit is a connection.
struct Lanes {
    requests: Arc<Semaphore>,
    poll: Arc<Semaphore>,
    background: Arc<Semaphore>,
    long: Arc<Semaphore>,
    size: u32,
}

impl Db {
    /// Opens the pool and, on SQLite, the writer. The database must have been migrated.
    ///
    /// # Errors
    ///
    /// The URL or the server is refused, or no connection can be opened now.
    pub fn open(options: &StoreOptions) -> Result<Self, Fault> {
        let statements =
            options.count_statements.then(|| Arc::new(Statements::with_log(options.statement_log.clone())));
        let manager = Manager::new(options, statements.clone()).map_err(Fault::store)?;
        let writer = if manager.is_sqlite() {
            Some(Arc::new(Writer::start(manager.clone(), options.write_queue)?))
        } else {
            // The pool hides why it has no connection behind a time-out; this says it at once.
            r2d2::ManageConnection::connect(&manager).map(drop).map_err(Fault::store)?;
            None
        };
        let size = options.readers.max(1);
        let reserved = if manager.is_sqlite() { 2 } else { 3 };
        let pool = Pool::builder()
            .max_size(size + reserved)
            .min_idle(Some(1))
            // Not a ping: `Manager::is_valid` compares two numbers.
            .test_on_check_out(true)
            .connection_timeout(Duration::from_secs(1))
            .build_unchecked(manager.clone());
        let lanes = Lanes {
            requests: Arc::new(Semaphore::new(size as usize)),
            poll: Arc::new(Semaphore::new(1)),
            background: Arc::new(Semaphore::new(1)),
            long: Arc::new(Semaphore::new(1)),
            size,
        };
        Ok(Self { inner: Arc::new(Inner { pool: Mutex::new(Some(pool)), manager, lanes, statements, writer }) })
    }

    /// Runs a read on a connection of its own. Waits for one until the deadline at most.
    ///
    /// # Errors
    ///
    /// [`Fault::Busy`] when the deadline passes or the database cannot be reached; what `f` says.
    pub fn read<T, F>(&self, deadline: Instant, f: F) -> impl Future<Output = Result<T, Fault>>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T, Fault> + Send + 'static,
    {
        let (reading, output) = Output::of_reading(f);
        self.read_out(&self.inner.lanes.requests, deadline, reading, output)
    }

    /// A read on the connection that requests cannot take: for the poller of the change log.
    pub fn poll<T, F>(&self, deadline: Instant, f: F) -> impl Future<Output = Result<T, Fault>>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T, Fault> + Send + 'static,
    {
        let (reading, output) = Output::of_reading(f);
        self.read_out(&self.inner.lanes.poll, deadline, reading, output)
    }

    /// A read that may go through very many rows, on a connection of its own: one at a time, so that however
    /// many are asked for, requests keep theirs. Nor does it share the one of background jobs, which must not
    /// wait for it either.
    ///
    /// # Errors
    ///
    /// As [`Db::read`].
    pub fn read_long<T, F>(&self, deadline: Instant, f: F) -> impl Future<Output = Result<T, Fault>>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T, Fault> + Send + 'static,
    {
        let (reading, output) = Output::of_reading(f);
        self.read_out(&self.inner.lanes.long, deadline, reading, output)
    }

    /// Runs a job in a transaction and answers after the commit. Allowing and refusing both commit;
    /// a fault rolls back. The job may run more than once and must have no effect outside.
    ///
    /// # Errors
    ///
    /// [`Fault::Busy`] when too much waits or the deadline passes before the job starts. Any other
    /// fault: not committed. A deadline that passes later leaves open whether it was.
    pub fn write<T, F>(&self, deadline: Instant, job: F) -> impl Future<Output = Result<Decision<T>, Fault>>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<Decision<T>, Fault> + Send + 'static,
    {
        let (work, output) = Output::of_work(job);
        self.written(Lane::Request, deadline, work, output)
    }

    /// Runs a job as [`Db::write`] does, and takes back all it did.
    ///
    /// # Errors
    ///
    /// As [`Db::write`].
    pub fn try_out<T, F>(&self, deadline: Instant, job: F) -> impl Future<Output = Result<Decision<T>, Fault>>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<Decision<T>, Fault> + Send + 'static,
    {
        let (mut work, output) = Output::of_work(job);
        self.written(Lane::Request, deadline, Box::new(move |tx| taken_back(tx, &mut work)), output)
    }

    /// Like [`Db::write`], behind all requests: for cleanup and write-behind. Keep the job small,
    /// one of them joins each batch of the writer.
    pub fn write_background<T, F>(&self, deadline: Instant, job: F) -> impl Future<Output = Result<T, Fault>>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, Fault> + Send + 'static,
    {
        let (work, output) = Output::of_work(job);
        self.written(Lane::Background, deadline, work, output)
    }

    /// Runs exactly one guarded statement. On PostgreSQL without `BEGIN`, in one round trip; it is
    /// its own transaction, so a second statement in `statement` would not be atomic with it.
    ///
    /// # Errors
    ///
    /// As [`Db::write`].
    pub async fn write_one<T, F>(&self, deadline: Instant, mut statement: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnMut(&mut Conn) -> Result<T, Fault> + Send + 'static,
    {
        if self.is_sqlite() {
            let (work, output) = Output::of_work(move |tx| statement(tx));
            return self.written(Lane::Request, deadline, work, output).await;
        }
        let (reading, output) = Output::of_reading(move |conn| repeated(|| statement(conn)));
        self.hop(&self.inner.lanes.requests, deadline, deadline + GRACE, reading).await?;
        output.take()
    }

    async fn read_out<T: Send + 'static>(
        &self,
        permits: &Arc<Semaphore>,
        deadline: Instant,
        reading: Reading,
        output: Output<T>,
    ) -> Result<T, Fault> {
        self.hop(permits, deadline, deadline, reading).await?;
        output.take()
    }

    async fn written<T: Send + 'static>(
        &self,
        lane: Lane,
        deadline: Instant,
        work: Work,
        output: Output<T>,
    ) -> Result<T, Fault> {
        self.transact(lane, deadline, work).await?;
        output.take()
    }

    async fn transact(&self, lane: Lane, deadline: Instant, mut work: Work) -> Result<(), Fault> {
        if let Some(writer) = &self.inner.writer {
            let answer = writer.submit(lane, deadline, work)?;
            return answered(answer, deadline + GRACE).await;
        }
        let permits = match lane {
            Lane::Request => &self.inner.lanes.requests,
            Lane::Background => &self.inner.lanes.background,
        };
        let transaction = Box::new(move |conn: &mut Conn| repeated(|| in_transaction(conn, &mut work)));
        self.hop(permits, deadline, deadline + GRACE, transaction).await
    }

    /// Permit, thread, connection. The permit goes with the job: a caller that stops waiting does
    /// not free a connection that is still in use.
    async fn hop(
        &self,
        permits: &Arc<Semaphore>,
        deadline: Instant,
        end: Instant,
        reading: Reading,
    ) -> Result<(), Fault> {
        let permit = permitted(permits, deadline).await?;
        let pool = self.pool()?;
        let manager = self.inner.manager.clone();
        let task = spawn_blocking(move || {
            let _permit = permit;
            let mut conn = pool.get().map_err(|error| {
                log::warn!("the database cannot be reached: {error}");
                Fault::busy("the database cannot be reached")
            })?;
            reading(&mut conn.conn).inspect_err(|_| manager.after_fault(&mut conn))
        });
        match timeout_at(end.into(), task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Fault::store("a job of the store panicked")),
            Err(_) => Err(Fault::busy("the database did not answer before the deadline")),
        }
    }

    fn pool(&self) -> Result<Pool<Manager>, Fault> {
        let pool = self.inner.pool.lock().unwrap_or_else(PoisonError::into_inner);
        pool.clone().ok_or_else(closed)
    }

    /// Statements sent so far; zeros unless [`StoreOptions::count_statements`].
    pub fn statements(&self) -> StatementCounts {
        self.inner.statements.as_ref().map_or_else(StatementCounts::default, |statements| statements.counts())
    }

    /// Writes of requests that wait for the writer (SQLite; 0 on PostgreSQL). A metric.
    pub fn writes_waiting(&self) -> usize {
        self.inner.writer.as_ref().map_or(0, |writer| writer.waiting())
    }

    pub fn is_sqlite(&self) -> bool {
        self.inner.writer.is_some()
    }

    /// Ends in order: takes no more jobs, lets those in flight finish until `deadline`, writes what
    /// waits, closes every connection. Later calls answer busy.
    pub async fn close(&self, deadline: Instant) {
        let Lanes { requests, poll, background, long, size } = &self.inner.lanes;
        for (permits, all) in [(requests, *size), (poll, 1), (background, 1), (long, 1)] {
            // Held until the end of the process: nobody gets one any more.
            if let Ok(Ok(permit)) = timeout_at(deadline.into(), permits.acquire_many(all)).await {
                permit.forget();
            }
            permits.close();
        }
        if let Some(writer) = self.inner.writer.clone() {
            // The thread ends when its queue is written; waiting for it is blocking work.
            drop(spawn_blocking(move || writer.close()).await);
        }
        let pool = self.inner.pool.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(pool);
    }
}

async fn permitted(permits: &Arc<Semaphore>, deadline: Instant) -> Result<OwnedSemaphorePermit, Fault> {
    // Nearly always there is one, and then no timer is armed.
    if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
        return Ok(permit);
    }
    match timeout_at(deadline.into(), Arc::clone(permits).acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) => Err(closed()),
        Err(_) => Err(Fault::busy("every database connection is in use")),
    }
}

async fn answered(answer: oneshot::Receiver<Result<(), Fault>>, end: Instant) -> Result<(), Fault> {
    match timeout_at(end.into(), answer).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(Fault::store("the writer ended before it answered")),
        Err(_) => Err(Fault::busy("the database did not commit before the deadline")),
    }
}

/// Runs a whole transaction again when PostgreSQL undid it for the sake of another.
fn repeated<T>(mut run: impl FnMut() -> Result<T, Fault>) -> Result<T, Fault> {
    let mut tries = 1;
    loop {
        match run() {
            Err(fault) if tries < TRIES && is_collision(&fault) => tries += 1,
            outcome => return outcome,
        }
    }
}

fn closed() -> Fault {
    Fault::busy("the store is closed")
}
