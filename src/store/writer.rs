//! The one thread that writes to SQLite, by group commit: what waits shares one `COMMIT`, so one
//! flush to the disk answers up to 64 requests.
//!
//! ```text
//! take the first job, then up to 64 more that are there, without a timer
//! BEGIN IMMEDIATE
//!   SAVEPOINT · job · RELEASE            Ok: next job
//!   SAVEPOINT · job · ROLLBACK TO        broken constraint: the job is told, next job
//!   SAVEPOINT · job · anything else      the batch is lost, see below
//! COMMIT                                 fails: everyone gets the fault, nothing runs again
//! answer everyone
//! ```
//!
//! *Anything else* is a full disk, an I/O error, a panic. SQLite may have rolled back the whole
//! transaction by itself then and gone on in autocommit, so nothing of the batch is trusted: a new
//! connection, and each job once more in a transaction of its own. Those that fail again get their
//! fault; the innocent lose only time. Nobody is answered before a `COMMIT` returned.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::{QueryResult, SqliteConnection};
use tokio::sync::oneshot;

use crate::domain::Fault;
use crate::store::connection::{Conn, Manager};
use crate::store::fault::is_constraint;
use crate::store::job::{QueuedJob, Work};
use crate::store::queue::{Lane, Queue, Rejected};
use crate::store::sqlite::SqliteRole;

/// Jobs beside the first one that may share a commit.
const MORE_PER_BATCH: usize = 64;

type Jobs = Queue<QueuedJob>;

/// The handle of the writer. Dropping it writes what waits, then ends the thread.
pub(in crate::store) struct Writer {
    queue: Arc<Jobs>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Opens the connection and starts the thread.
    pub(in crate::store) fn start(manager: Manager, capacity: usize) -> Result<Self, Fault> {
        let conn = manager.open(SqliteRole::Writer).map_err(Fault::store)?;
        let queue = Arc::new(Jobs::new(capacity));
        let mut worker = Worker { manager, conn: Some(conn), queue: Arc::clone(&queue) };
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || worker.work())
            .map_err(Fault::store)?;
        Ok(Self { queue, thread: std::sync::Mutex::new(Some(thread)) })
    }

    /// Queues a job. The receiver gets its answer after the commit.
    pub(in crate::store) fn submit(
        &self,
        lane: Lane,
        deadline: Instant,
        work: Work,
    ) -> Result<oneshot::Receiver<Result<(), Fault>>, Fault> {
        let (job, answer) = QueuedJob::new(work, deadline);
        match self.queue.push(lane, job) {
            Ok(()) => Ok(answer),
            Err(Rejected::Full) => Err(Fault::busy("too many writes wait already")),
            Err(Rejected::Closed) => Err(Fault::busy("the store is closed")),
        }
    }

    pub(in crate::store) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Takes no more jobs, writes those that wait, and returns when the thread has ended.
    pub(in crate::store) fn close(&self) {
        self.queue.close();
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        // The thread catches what jobs throw; if it died all the same there is nothing to save.
        if thread.is_some_and(|thread| thread.join().is_err()) {
            log::error!("the store's writer thread panicked");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

struct Worker {
    manager: Manager,
    /// `None` after a failure, until the next batch opens another one.
    conn: Option<Conn>,
    queue: Arc<Jobs>,
}

/// How a job of an open batch ended.
enum Step {
    Done,
    /// Its savepoint is rolled back; the fault goes to this job alone.
    Refused(Fault),
    /// The transaction can no longer be trusted.
    Lost,
}

impl Worker {
    fn work(&mut self) {
        while let Some(jobs) = self.queue.take(1 + MORE_PER_BATCH) {
            let jobs = self.only_wanted(jobs);
            if !jobs.is_empty() {
                self.batch(jobs);
            }
        }
    }

    /// Answers those whose time is over, without a transaction.
    fn only_wanted(&self, jobs: Vec<QueuedJob>) -> Vec<QueuedJob> {
        let mut wanted = Vec::with_capacity(jobs.len());
        for job in jobs {
            match job.given_up() {
                Some(fault) => job.answer(Err(fault)),
                None => wanted.push(job),
            }
        }
        wanted
    }

    fn batch(&mut self, mut jobs: Vec<QueuedJob>) {
        let conn = match self.connection() {
            Ok(conn) => conn,
            Err(fault) => return answer_all(jobs, &fault),
        };
        if let Err(error) = begin(conn) {
            self.conn = None;
            return answer_all(jobs, &Fault::from(error));
        }
        let mut outcomes = Vec::with_capacity(jobs.len());
        for job in &mut jobs {
            // Its turn comes later than the look at the whole batch: the jobs before took time.
            let step = match job.given_up() {
                Some(fault) => Step::Refused(fault),
                None => in_savepoint(conn, job),
            };
            match step {
                Step::Done => outcomes.push(Ok(())),
                Step::Refused(fault) => outcomes.push(Err(fault)),
                Step::Lost => return self.one_by_one(jobs),
            }
        }
        match commit(conn) {
            Ok(()) => jobs.into_iter().zip(outcomes).for_each(|(job, outcome)| job.answer(outcome)),
            Err(error) => {
                self.conn = None;
                log::error!("a commit failed: {error}");
                answer_all(jobs, &not_committed(&error));
            }
        }
    }

    /// The batch is lost: each job once more, alone.
    fn one_by_one(&mut self, jobs: Vec<QueuedJob>) {
        self.conn = None;
        for mut job in jobs {
            let outcome = match job.given_up() {
                Some(fault) => Err(fault),
                None => self.alone(&mut job),
            };
            job.answer(outcome);
        }
    }

    fn alone(&mut self, job: &mut QueuedJob) -> Result<(), Fault> {
        let conn = self.connection()?;
        let outcome = begin(conn).map_err(Fault::from).and_then(|()| job.run(conn)).and_then(|()| {
            commit(conn).map_err(|error| {
                log::error!("a commit failed: {error}");
                not_committed(&error)
            })
        });
        if outcome.is_err() {
            // Closing the connection rolls back, whatever state the failure left it in.
            self.conn = None;
        }
        outcome
    }

    fn connection(&mut self) -> Result<&mut Conn, Fault> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.manager.open(SqliteRole::Writer).map_err(Fault::store)?,
        };
        Ok(self.conn.insert(conn))
    }
}

fn in_savepoint(conn: &mut Conn, job: &mut QueuedJob) -> Step {
    if sqlite(conn, AnsiTransactionManager::begin_transaction).is_err() {
        return Step::Lost;
    }
    match job.run(conn) {
        Ok(()) => match sqlite(conn, AnsiTransactionManager::commit_transaction) {
            Ok(()) => Step::Done,
            Err(_) => Step::Lost,
        },
        Err(fault) if is_constraint(&fault) => match sqlite(conn, AnsiTransactionManager::rollback_transaction) {
            Ok(()) => Step::Refused(fault),
            Err(_) => Step::Lost,
        },
        Err(fault) => {
            log::warn!("a write job failed, its batch runs again job by job: {fault}");
            Step::Lost
        }
    }
}

fn begin(conn: &mut Conn) -> QueryResult<()> {
    // IMMEDIATE: the lock now, so that no job fails half-way because another process writes.
    sqlite(conn, |conn| AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE"))
}

fn commit(conn: &mut Conn) -> QueryResult<()> {
    sqlite(conn, AnsiTransactionManager::commit_transaction)
}

fn sqlite(conn: &mut Conn, step: impl FnOnce(&mut SqliteConnection) -> QueryResult<()>) -> QueryResult<()> {
    match conn {
        Conn::Sqlite(conn) => step(conn),
        Conn::Postgres(_) => Err(diesel::result::Error::QueryBuilderError("the writer is SQLite's alone".into())),
    }
}

fn not_committed(error: &diesel::result::Error) -> Fault {
    Fault::store(format!("the write could not be committed: {error}"))
}

/// The same fault for everyone.
fn answer_all(jobs: Vec<QueuedJob>, fault: &Fault) {
    for job in jobs {
        job.answer(Err(match fault {
            Fault::Busy { retry_after, reason } => Fault::Busy { retry_after: *retry_after, reason },
            other => Fault::store(other.to_string()),
        }));
    }
}
