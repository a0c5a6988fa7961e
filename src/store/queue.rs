//! The bounded queue before the writer: two lanes, and a batch is taken from both at once.
//!
//! Requests come first. Of the second lane (cleanup, write-behind) at most one job joins a batch,
//! so that background work never delays a request by more than one small job.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Which lane a job waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Lane {
    Request,
    Background,
}

/// Why a job was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Rejected {
    Full,
    Closed,
}

pub(in crate::store) struct Queue<J> {
    state: Mutex<State<J>>,
    arrived: Condvar,
    capacity: usize,
}

struct State<J> {
    requests: VecDeque<J>,
    background: VecDeque<J>,
    closed: bool,
    /// Whether the writer sleeps: nobody is woken in vain.
    asleep: bool,
}

impl<J> Queue<J> {
    /// `capacity` jobs in each lane.
    pub(in crate::store) fn new(capacity: usize) -> Self {
        let state = State { requests: VecDeque::new(), background: VecDeque::new(), closed: false, asleep: false };
        Self { state: Mutex::new(state), arrived: Condvar::new(), capacity }
    }

    pub(in crate::store) fn push(&self, lane: Lane, job: J) -> Result<(), Rejected> {
        let mut state = self.lock();
        if state.closed {
            return Err(Rejected::Closed);
        }
        let jobs = match lane {
            Lane::Request => &mut state.requests,
            Lane::Background => &mut state.background,
        };
        if jobs.len() >= self.capacity {
            return Err(Rejected::Full);
        }
        jobs.push_back(job);
        if state.asleep {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Waits for the first job, then takes what is there: up to `most` requests and one background
    /// job. `None` once the queue is closed and empty.
    pub(in crate::store) fn take(&self, most: usize) -> Option<Vec<J>> {
        let mut state = self.lock();
        while state.requests.is_empty() && state.background.is_empty() {
            if state.closed {
                return None;
            }
            state.asleep = true;
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.asleep = false;
        }
        let count = state.requests.len().min(most);
        let mut batch: Vec<J> = state.requests.drain(..count).collect();
        batch.extend(state.background.pop_front());
        Some(batch)
    }

    /// Takes nothing more in; what waits is still handed out.
    pub(in crate::store) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Jobs that wait in the request lane.
    pub(in crate::store) fn len(&self) -> usize {
        self.lock().requests.len()
    }

    /// Every change of the state is complete before anything can panic, so a poisoned lock is whole.
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_holds_the_requests_and_one_background_job() {
        let queue = Queue::new(4);
        for job in ["b1", "b2"] {
            queue.push(Lane::Background, job).unwrap();
        }
        for job in ["r1", "r2", "r3"] {
            queue.push(Lane::Request, job).unwrap();
        }
        assert_eq!(queue.take(2), Some(vec!["r1", "r2", "b1"]));
        assert_eq!(queue.take(2), Some(vec!["r3", "b2"]));
    }

    #[test]
    fn a_full_lane_takes_nothing_more_and_leaves_the_other_alone() {
        let queue = Queue::new(1);
        queue.push(Lane::Background, 1).unwrap();
        assert_eq!(queue.push(Lane::Background, 2), Err(Rejected::Full));
        assert_eq!(queue.push(Lane::Request, 3), Ok(()));
    }

    #[test]
    fn a_closed_queue_hands_out_what_waits_and_then_ends() {
        let queue = Queue::new(4);
        queue.push(Lane::Request, 1).unwrap();
        queue.close();
        assert_eq!(queue.push(Lane::Request, 2), Err(Rejected::Closed));
        assert_eq!(queue.take(64), Some(vec![1]));
        assert_eq!(queue.take(64), None);
    }
}
