//! [`Db`]: permits first, connections second. Every hop waits for a permit with the caller's
//! deadline before it takes a thread, so that a database that hangs costs as many threads as there
//! are connections and not as many as there are requests.
//!
//! A job that does not come back is abandoned a little after its deadline: its permit goes to another
//! job, which works on another connection. Permits bound who works; up to twice as many connections
//! may hang beside them, and beyond that everybody is busy.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use r2d2::{NopErrorHandler, Pool};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{sleep, sleep_until, timeout_at};

use crate::domain::clock::monotonic;
use crate::domain::{Decision, Fault};
use crate::store::StoreOptions;
use crate::store::connection::{Conn, ConnectError, Manager};
use crate::store::fault::is_collision;
use crate::store::job::{Output, Reading, Tx, Work, in_transaction, taken_back};
use crate::store::queue::Lane;
use crate::store::sqlite::SqliteRole;
use crate::store::statements::{StatementCounts, Statements};
use crate::store::threads::{Lease, Task, Threads, opening, within};
use crate::store::writer::Writer;

/// A write that has begun in time may end this much after its deadline: better a late answer than
/// a write that happened and was called busy.
const GRACE: Duration = Duration::from_secs(2);
/// When one job is abandoned, those that have run for so long on connections of the same time are too.
const HANGS_AFTER: Duration = Duration::from_secs(1);
/// As many times the permits there may be connections, those that hang included.
const GROWTH: u32 = 3;
/// A first connection may take this long; libpq has its own, shorter time-out for each address.
pub(in crate::store) const OPEN_TIMEOUT: Duration = Duration::from_secs(15);
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
    threads: Threads,
    lanes: Lanes,
    statements: Option<Arc<Statements>>,
    /// SQLite only.
    writer: Option<Arc<Writer>>,
}

/// Permits: who works at the same time.
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
            // The first job would find out; this says it at once.
            reach(&manager)?;
            None
        };
        let size = options.readers.max(1);
        let reserved = if manager.is_sqlite() { 2 } else { 3 };
        let most = (size + reserved) * GROWTH;
        let pool = Pool::builder()
            .max_size(most)
            .min_idle(Some(0))
            // Not a ping: `Manager::is_valid` compares two numbers.
            .test_on_check_out(true)
            .connection_timeout(Duration::from_secs(1))
            // Our own code logs what fails.
            .error_handler(Box::new(NopErrorHandler))
            .build_unchecked(manager.clone());
        let threads = Threads::new(most as usize);
        let lanes = Lanes {
            requests: Arc::new(Semaphore::new(size as usize)),
            poll: Arc::new(Semaphore::new(1)),
            background: Arc::new(Semaphore::new(1)),
            long: Arc::new(Semaphore::new(1)),
            size,
        };
        Ok(Self {
            inner: Arc::new(Inner { pool: Mutex::new(Some(pool)), manager, threads, lanes, statements, writer }),
        })
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
        self.read_out(&self.inner.lanes.requests, deadline, GRACE, reading, output)
    }

    /// A read on the connection that requests cannot take: for the poller of the change log. It is
    /// abandoned at its deadline: without the log this node serves nobody.
    pub fn poll<T, F>(&self, deadline: Instant, f: F) -> impl Future<Output = Result<T, Fault>>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T, Fault> + Send + 'static,
    {
        let (reading, output) = Output::of_reading(f);
        self.read_out(&self.inner.lanes.poll, deadline, Duration::ZERO, reading, output)
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
        self.read_out(&self.inner.lanes.long, deadline, GRACE, reading, output)
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
        self.hop(&self.inner.lanes.requests, deadline, Ends::of_write(deadline), reading).await?;
        output.take()
    }

    async fn read_out<T: Send + 'static>(
        &self,
        permits: &Arc<Semaphore>,
        deadline: Instant,
        grace: Duration,
        reading: Reading,
        output: Output<T>,
    ) -> Result<T, Fault> {
        let ends = Ends { answered: deadline, abandoned: deadline + grace };
        self.hop(permits, deadline, ends, reading).await?;
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
        self.hop(permits, deadline, Ends::of_write(deadline), transaction).await
    }

    /// Permit, thread, connection. The permit goes with the job: a caller that stops waiting does
    /// not free a connection that is still in use, until the job is abandoned.
    async fn hop(
        &self,
        permits: &Arc<Semaphore>,
        deadline: Instant,
        ends: Ends,
        reading: Reading,
    ) -> Result<(), Fault> {
        let lease = Lease::new(permitted(permits, deadline).await?);
        let pool = self.pool()?;
        let (manager, leased) = (self.inner.manager.clone(), Arc::clone(&lease));
        let run = move || {
            let mut pooled = pool.get().map_err(|error| unreached(&error))?;
            let (conn, generation) = manager.connection(&mut pooled).map_err(|error| unreached(&error))?;
            leased.uses(generation);
            reading(conn).inspect_err(|_| manager.after_fault(&mut pooled))
        };
        let (reply, answer) = oneshot::channel();
        self.inner.threads.start(Task { run: Box::new(run), lease: Arc::clone(&lease), reply })?;
        let _watch = Watch { inner: Arc::downgrade(&self.inner), lease, end: ends.abandoned };
        match timeout_at(ends.answered.into(), answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Fault::store("a thread of the store ended before it answered")),
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

    /// Connections that never answered, whose threads still wait for them. A metric.
    pub fn connections_abandoned(&self) -> usize {
        self.inner.threads.abandoned()
    }

    /// Writes of requests that wait for the writer (SQLite; 0 on PostgreSQL). A metric.
    pub fn writes_waiting(&self) -> usize {
        self.inner.writer.as_ref().map_or(0, |writer| writer.waiting())
    }

    pub fn is_sqlite(&self) -> bool {
        self.inner.writer.is_some()
    }

    /// Ends in order: takes no more jobs, lets those in flight finish until `deadline`, writes what
    /// waits, closes every connection. Later calls answer busy. Answers whether all of it was done in
    /// time; what hangs is left behind.
    pub async fn close(&self, deadline: Instant) -> bool {
        let mut in_time = true;
        let Lanes { requests, poll, background, long, size } = &self.inner.lanes;
        for (permits, all) in [(requests, *size), (poll, 1), (background, 1), (long, 1)] {
            // Held until the end of the process: nobody gets one any more.
            match timeout_at(deadline.into(), permits.acquire_many(all)).await {
                Ok(Ok(permit)) => permit.forget(),
                // Closed before.
                Ok(Err(_)) => {}
                Err(_) => in_time = false,
            }
            permits.close();
        }
        if let Some(writer) = self.inner.writer.clone() {
            // The thread ends when its queue is written. To wait for it blocks, and may have no end.
            let (done, written) = oneshot::channel();
            let close = move || {
                writer.close();
                let _ = done.send(());
            };
            in_time &= opening(close).is_ok() && timeout_at(deadline.into(), written).await.is_ok();
        }
        let pool = self.inner.pool.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(pool);
        self.inner.threads.close();
        in_time
    }
}

impl Inner {
    /// Abandons a job that hangs. Where one connection hangs, the others of its time usually do: none is
    /// taken any more, and a job that has run on one for [`HANGS_AFTER`] loses its permit too.
    fn abandon(self: &Arc<Self>, lease: &Lease) {
        if lease.has_ended() || !self.threads.abandon(lease) {
            return;
        }
        log::warn!("a connection to the database does not answer and is abandoned; {} now", self.threads.abandoned());
        let Some(generation) = lease.generation() else { return };
        // On SQLite a long read is a long read.
        if self.manager.is_sqlite() {
            return;
        }
        self.manager.replace(generation);
        self.abandon_all(generation);
        let inner = Arc::downgrade(self);
        later(sleep(HANGS_AFTER), move || {
            if let Some(inner) = inner.upgrade() {
                inner.abandon_all(generation);
            }
        });
    }

    fn abandon_all(&self, generation: u64) {
        for lease in self.threads.running(generation, HANGS_AFTER) {
            self.threads.abandon(&lease);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.threads.close();
    }
}

/// When the caller is answered at the latest, and when a job that still runs loses its permit.
#[derive(Clone, Copy)]
struct Ends {
    answered: Instant,
    abandoned: Instant,
}

impl Ends {
    fn of_write(deadline: Instant) -> Self {
        Self { answered: deadline + GRACE, abandoned: deadline + GRACE }
    }
}

/// Looks after a job whose caller stops waiting, because it was answered or because it went away.
struct Watch {
    inner: Weak<Inner>,
    lease: Arc<Lease>,
    end: Instant,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.lease.has_ended() {
            return;
        }
        let (inner, lease, end) = (Weak::clone(&self.inner), Arc::clone(&self.lease), self.end);
        let abandon = move || {
            if let Some(inner) = inner.upgrade() {
                inner.abandon(&lease);
            }
        };
        if monotonic() >= end { abandon() } else { later(sleep_until(end.into()), abandon) }
    }
}

/// Does it after the wait; at once where no runtime is left to wait in.
fn later(wait: tokio::time::Sleep, then: impl FnOnce() + Send + 'static) {
    match Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(async move {
            wait.await;
            then();
        })),
        Err(_) => then(),
    }
}

/// Opens a connection and closes it, on a thread of its own.
fn reach(manager: &Manager) -> Result<(), Fault> {
    let manager = manager.clone();
    let opened = within(OPEN_TIMEOUT, move || manager.open(SqliteRole::Reader).map(drop))?;
    opened.unwrap_or_else(|| Err(unanswered())).map_err(Fault::store)
}

pub(in crate::store) fn unanswered() -> ConnectError {
    ConnectError("PostgreSQL accepts the connection and does not answer".to_owned())
}

fn unreached(error: &dyn std::fmt::Display) -> Fault {
    log::warn!("the database cannot be reached: {error}");
    Fault::busy("the database cannot be reached")
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
