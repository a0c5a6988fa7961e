//! The threads that jobs of the store run on: our own, named and bounded, and not the blocking pool of
//! the runtime, whose end waits for each of them. All that can hang on a connection happens here: to
//! open it, to use it, to look after it.
//!
//! A connection to a server that never answers cannot be cut: libpq waits for as long as the network
//! says that the bytes arrive. Its thread is *abandoned* then. The permit goes back, another job
//! works on another connection, and the thread returns whenever libpq does.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::Builder;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::domain::Fault;
use crate::domain::clock::monotonic;

/// A thread without a job ends after this.
const IDLE: Duration = Duration::from_secs(10);
/// Connections that hang while they are opened at the start of the process; then the start gives up.
const MOST_OPENING: usize = 16;

/// What one thread does for one caller.
pub(in crate::store) struct Task {
    pub(in crate::store) run: Box<dyn FnOnce() -> Result<(), Fault> + Send>,
    pub(in crate::store) lease: Arc<Lease>,
    pub(in crate::store) reply: oneshot::Sender<Result<(), Fault>>,
}

/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub(in crate::store) struct Threads {
    shared: Arc<Shared>,
    most: usize,
}

struct Shared {
    state: Mutex<State>,
    arrived: Condvar,
    running: Mutex<Vec<Arc<Lease>>>,
    abandoned: AtomicUsize,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    /// Threads that wait for a task, or are about to.
    free: usize,
    alive: usize,
    closed: bool,
}

impl Threads {
    /// At most `most` at once, those that hang included.
    pub(in crate::store) fn new(most: usize) -> Self {
        let shared = Shared {
            state: Mutex::default(),
            arrived: Condvar::new(),
            running: Mutex::default(),
            abandoned: AtomicUsize::new(0),
        };
        Self { shared: Arc::new(shared), most }
    }

    /// Gives the task to a thread. Whoever holds a permit finds one, unless too many hang.
    pub(in crate::store) fn start(&self, task: Task) -> Result<(), Fault> {
        let mut state = self.shared.lock();
        if state.closed {
            return Err(Fault::busy("the store is closed"));
        }
        if state.free > state.tasks.len() {
            self.shared.running().push(Arc::clone(&task.lease));
            state.tasks.push_back(task);
            self.shared.arrived.notify_one();
            return Ok(());
        }
        if state.alive >= self.most {
            return Err(Fault::busy("too many connections to the database never answered"));
        }
        state.alive += 1;
        drop(state);
        let (shared, lease) = (Arc::clone(&self.shared), Arc::clone(&task.lease));
        self.shared.running().push(Arc::clone(&lease));
        let spawned = Builder::new().name("store".to_owned()).spawn(move || shared.work(task));
        spawned.map(drop).map_err(|error| {
            self.shared.lock().alive -= 1;
            self.shared.forget(&lease);
            log::error!("no thread can be started for the database: {error}");
            Fault::busy("no thread can be started")
        })
    }

    /// Takes the permit of a job that hangs; whether it still had it.
    pub(in crate::store) fn abandon(&self, lease: &Lease) -> bool {
        // Counted before: the end of the job, which counts down, may come at any moment.
        self.shared.abandoned.fetch_add(1, Ordering::Relaxed);
        let is_first = lease.abandon();
        if !is_first {
            self.shared.abandoned.fetch_sub(1, Ordering::Relaxed);
        }
        is_first
    }

    /// Jobs that have used a connection of this generation for at least so long.
    pub(in crate::store) fn running(&self, generation: u64, at_least: Duration) -> Vec<Arc<Lease>> {
        let now = monotonic();
        let is_one =
            |lease: &&Arc<Lease>| lease.generation() == Some(generation) && now.duration_since(lease.began) >= at_least;
        self.shared.running().iter().filter(is_one).cloned().collect()
    }

    /// Threads that hang on a connection which nobody waits for.
    pub(in crate::store) fn abandoned(&self) -> usize {
        self.shared.abandoned.load(Ordering::Relaxed)
    }

    /// Takes no more tasks. Threads without one end.
    pub(in crate::store) fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.arrived.notify_all();
    }
}

impl Shared {
    fn work(&self, first: Task) {
        let mut next = Some(first);
        while let Some(Task { run, lease, reply }) = next {
            // Whatever the job broke in itself is dropped with it, and so is its connection.
            let ran = catch_unwind(AssertUnwindSafe(run));
            let outcome = ran.unwrap_or_else(|_| Err(Fault::store("a job of the store panicked")));
            // Free before the permit is: who gets the permit finds this thread.
            self.lock().free += 1;
            self.forget(&lease);
            if lease.end() {
                self.abandoned.fetch_sub(1, Ordering::Relaxed);
            }
            // A receiver that went away meanwhile: it was answered, or nobody waits.
            drop(reply.send(outcome));
            next = self.take();
        }
    }

    /// The next task; `None`: this thread ends.
    fn take(&self) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if let Some(task) = state.tasks.pop_front() {
                state.free -= 1;
                return Some(task);
            }
            let (woken, waited) = self.arrived.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if state.tasks.is_empty() && (state.closed || waited.timed_out()) {
                state.free -= 1;
                state.alive -= 1;
                return None;
            }
        }
    }

    fn forget(&self, lease: &Arc<Lease>) {
        let mut running = self.running();
        if let Some(at) = running.iter().position(|one| Arc::ptr_eq(one, lease)) {
            running.swap_remove(at);
        }
    }

    fn running(&self) -> MutexGuard<'_, Vec<Arc<Lease>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every change of the state is complete before anything can panic, so a poisoned lock is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The permit of a running job. It ends with the job, or when the job is abandoned: a caller that
/// stops waiting does not free a connection that is still in use.
pub(in crate::store) struct Lease {
    hold: Mutex<Hold>,
    /// Of its connection; `NONE` until it has one.
    generation: AtomicU64,
    began: Instant,
}

enum Hold {
    Held { _permit: OwnedSemaphorePermit },
    Abandoned,
    Ended,
}

const NONE: u64 = u64::MAX;

impl Lease {
    pub(in crate::store) fn new(permit: OwnedSemaphorePermit) -> Arc<Self> {
        let hold = Mutex::new(Hold::Held { _permit: permit });
        Arc::new(Self { hold, generation: AtomicU64::new(NONE), began: monotonic() })
    }

    /// Which connection it works on.
    pub(in crate::store) fn uses(&self, generation: u64) {
        self.generation.store(generation, Ordering::Relaxed);
    }

    pub(in crate::store) fn generation(&self) -> Option<u64> {
        Some(self.generation.load(Ordering::Relaxed)).filter(|generation| *generation != NONE)
    }

    pub(in crate::store) fn has_ended(&self) -> bool {
        matches!(*self.hold(), Hold::Ended)
    }

    fn abandon(&self) -> bool {
        let mut hold = self.hold();
        let is_held = matches!(*hold, Hold::Held { .. });
        if is_held {
            *hold = Hold::Abandoned;
        }
        is_held
    }

    /// The job is over; whether it was abandoned before.
    fn end(&self) -> bool {
        matches!(std::mem::replace(&mut *self.hold(), Hold::Ended), Hold::Abandoned)
    }

    fn hold(&self) -> MutexGuard<'_, Hold> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `work` on a thread of its own, for callers that are not async, and waits for `limit`. `None`: it
/// hangs, and the thread with it.
pub(in crate::store) fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>, Fault> {
    let (done, waits) = mpsc::channel();
    opening(move || drop(done.send(work())))?;
    Ok(waits.recv_timeout(limit).ok())
}

/// Starts a thread that opens a connection. Those that hang are bounded.
pub(in crate::store) fn opening(work: impl FnOnce() + Send + 'static) -> Result<(), Fault> {
    static OPENING: AtomicUsize = AtomicUsize::new(0);
    if OPENING.fetch_add(1, Ordering::Relaxed) >= MOST_OPENING {
        OPENING.fetch_sub(1, Ordering::Relaxed);
        let sentence = "too many connections to the database never answered. Restart this process";
        return Err(Fault::store(sentence));
    }
    let spawned = Builder::new().name("store-open".to_owned()).spawn(move || {
        drop(catch_unwind(AssertUnwindSafe(work)));
        OPENING.fetch_sub(1, Ordering::Relaxed);
    });
    spawned.map(drop).map_err(|error| {
        OPENING.fetch_sub(1, Ordering::Relaxed);
        Fault::store(error)
    })
}
