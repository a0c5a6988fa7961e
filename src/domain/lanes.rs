//! Lanes of a pool that all owners share: hash computations, calls of other servers, exports. One owner
//! holds at most half of the lanes (rounded up) and half of the places in the queue. A lane that becomes
//! free goes to the next owner in turn. A caller that need not wait is ready on the first poll.
//!
//! This module knows no timer. A caller bounds its wait with a timeout around [`FairLanes::lane`]; a
//! future that is dropped gives its place back.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::domain::ProviderId;

/// Callers who are the first of their owner wait in a queue of so many times the places.
const LAST_RESORT: usize = 4;

/// Whose share a piece of work counts against.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The installation itself: background work, and calls that concern no provider.
    Installation,
    Provider(ProviderId),
    /// An API key that is bound to no provider, by its id.
    Key(String),
    /// A caller without a provider and without a key.
    Address(IpAddr),
}

impl From<&ProviderId> for Owner {
    fn from(id: &ProviderId) -> Self {
        Self::Provider(id.clone())
    }
}

/// As many callers of this owner wait as may, or of all owners together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many callers wait already")]
pub struct QueueFull;

/// The pool. Cheap to clone; clones share lanes and queue.
#[derive(Clone)]
pub struct FairLanes(Arc<Pool>);

struct Pool {
    lanes: usize,
    queue: usize,
    share: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: usize,
    waiting: usize,
    owners: HashMap<Owner, OwnerState>,
    /// Owners with callers that wait, the next one first.
    order: VecDeque<Owner>,
    last_ticket: u64,
}

#[derive(Default)]
struct OwnerState {
    running: usize,
    queue: VecDeque<Waiter>,
    /// Tickets that have a lane which the caller has not taken yet.
    granted: Vec<u64>,
}

struct Waiter {
    ticket: u64,
    waker: Waker,
}

/// The right to one lane; given back when dropped. It may go along to another thread.
pub struct Lane {
    pool: Arc<Pool>,
    owner: Owner,
}

/// A caller that asks for a lane; its place in the queue is given back when it is dropped.
pub struct Asking {
    pool: Arc<Pool>,
    owner: Option<Owner>,
    ticket: Option<u64>,
}

/// Half, rounded up: one of one, one of two, two of three.
pub const fn share_of(all: usize) -> usize {
    all.div_ceil(2)
}

impl FairLanes {
    /// At least one lane; up to `queue` callers of all owners wait, and beyond that the first one of each owner.
    pub fn new(lanes: usize, queue: usize) -> Self {
        Self::with_share(lanes, queue, usize::MAX)
    }

    /// As [`FairLanes::new`]; one owner holds no more than `share` lanes, nor more than half.
    pub fn with_share(lanes: usize, queue: usize, share: usize) -> Self {
        let lanes = lanes.max(1);
        let share = share.clamp(1, share_of(lanes));
        Self(Arc::new(Pool { lanes, queue, share, state: Mutex::default() }))
    }

    /// Waits for a lane.
    pub fn lane(&self, owner: &Owner) -> Asking {
        Asking { pool: Arc::clone(&self.0), owner: Some(owner.clone()), ticket: None }
    }

    /// A lane, if this owner may have one now.
    pub fn try_lane(&self, owner: &Owner) -> Option<Lane> {
        let taken = self.0.lock().take(&self.0, owner);
        taken.then(|| Lane { pool: Arc::clone(&self.0), owner: owner.clone() })
    }

    /// How many lanes of the pool one owner may hold.
    pub fn share(&self) -> usize {
        self.0.share
    }

    /// How many callers wait.
    pub fn waiting(&self) -> usize {
        self.0.lock().waiting
    }

    /// How many lanes are in use.
    pub fn running(&self) -> usize {
        self.0.lock().running
    }
}

impl Pool {
    /// Every change is complete before anything can panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, owner: &Owner) {
        let woken = self.lock().release(self, owner);
        // Not under the lock: a waker may run what it likes.
        if let Some(waker) = woken {
            waker.wake();
        }
    }
}

impl State {
    /// Takes a free lane. A lane is free only while no caller that may have it waits.
    fn take(&mut self, pool: &Pool, owner: &Owner) -> bool {
        let of_owner = self.owners.get(owner).map_or(0, |state| state.running);
        if self.running >= pool.lanes || of_owner >= pool.share {
            return false;
        }
        self.running += 1;
        self.owners.entry(owner.clone()).or_default().running += 1;
        true
    }

    fn enqueue(&mut self, pool: &Pool, owner: &Owner, waker: Waker) -> Result<u64, QueueFull> {
        let of_owner = self.owners.get(owner).map_or(0, |state| state.queue.len());
        // However full the queue is, the first caller of an owner is let in, else two owners could shut out a third.
        let is_full = self.waiting >= if of_owner == 0 { pool.queue * LAST_RESORT } else { pool.queue };
        if is_full || of_owner >= share_of(pool.queue) {
            return Err(QueueFull);
        }
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        if of_owner == 0 {
            self.order.push_back(owner.clone());
        }
        self.owners.entry(owner.clone()).or_default().queue.push_back(Waiter { ticket, waker });
        self.waiting += 1;
        Ok(ticket)
    }

    fn release(&mut self, pool: &Pool, owner: &Owner) -> Option<Waker> {
        self.running = self.running.saturating_sub(1);
        if let Some(state) = self.owners.get_mut(owner) {
            state.running = state.running.saturating_sub(1);
        }
        self.forget_if_idle(owner);
        // The owner whose lane became free comes after all others.
        if self.order.front() == Some(owner) {
            self.order.rotate_left(1);
        }
        self.grant_next(pool)
    }

    /// Gives the free lane to the first owner in turn that has not its whole share. Few owners can have
    /// theirs, so the search is short.
    fn grant_next(&mut self, pool: &Pool) -> Option<Waker> {
        let has_share = |owner: &Owner| self.owners.get(owner).is_some_and(|state| state.running < pool.share);
        let at = self.order.iter().position(has_share)?;
        let owner = self.order.remove(at)?;
        let state = self.owners.get_mut(&owner)?;
        let waiter = state.queue.pop_front()?;
        state.running += 1;
        state.granted.push(waiter.ticket);
        self.running += 1;
        self.waiting -= 1;
        if !state.queue.is_empty() {
            self.order.push_back(owner);
        }
        Some(waiter.waker)
    }

    /// Whether the caller has its lane now; otherwise its waker is replaced.
    fn poll(&mut self, owner: &Owner, ticket: u64, waker: &Waker) -> bool {
        let Some(state) = self.owners.get_mut(owner) else { return false };
        if let Some(at) = state.granted.iter().position(|granted| *granted == ticket) {
            state.granted.swap_remove(at);
            return true;
        }
        if let Some(waiter) = state.queue.iter_mut().find(|waiter| waiter.ticket == ticket) {
            waiter.waker.clone_from(waker);
        }
        false
    }

    /// A caller goes away; `true` if it had a lane, which is to be given back.
    fn leave(&mut self, owner: &Owner, ticket: u64) -> bool {
        let Some(state) = self.owners.get_mut(owner) else { return false };
        if let Some(at) = state.granted.iter().position(|granted| *granted == ticket) {
            state.granted.swap_remove(at);
            return true;
        }
        let Some(at) = state.queue.iter().position(|waiter| waiter.ticket == ticket) else { return false };
        state.queue.remove(at);
        self.waiting -= 1;
        if state.queue.is_empty() {
            self.order.retain(|waiting| waiting != owner);
        }
        self.forget_if_idle(owner);
        false
    }

    fn forget_if_idle(&mut self, owner: &Owner) {
        if self.owners.get(owner).is_some_and(|state| state.running == 0 && state.queue.is_empty()) {
            self.owners.remove(owner);
        }
    }
}

impl Future for Asking {
    type Output = Result<Lane, QueueFull>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let asking = self.get_mut();
        // Polled again after its end: it stays pending, as `std::future::Pending` does.
        let Some(owner) = asking.owner.clone() else { return Poll::Pending };
        let mut state = asking.pool.lock();
        let has_lane = match asking.ticket {
            Some(ticket) => state.poll(&owner, ticket, context.waker()),
            None => state.take(&asking.pool, &owner),
        };
        if !has_lane && asking.ticket.is_none() {
            match state.enqueue(&asking.pool, &owner, context.waker().clone()) {
                Ok(ticket) => asking.ticket = Some(ticket),
                Err(full) => {
                    asking.owner = None;
                    return Poll::Ready(Err(full));
                }
            }
        }
        drop(state);
        if !has_lane {
            return Poll::Pending;
        }
        (asking.owner, asking.ticket) = (None, None);
        Poll::Ready(Ok(Lane { pool: Arc::clone(&asking.pool), owner }))
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let (Some(owner), Some(ticket)) = (self.owner.take(), self.ticket) else { return };
        let had_lane = self.pool.lock().leave(&owner, ticket);
        if had_lane {
            self.pool.give_back(&owner);
        }
    }
}

impl Lane {
    /// Whose share it counts against.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.pool.give_back(&self.owner);
    }
}

impl fmt::Debug for FairLanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("FairLanes").field("running", &state.running).field("waiting", &state.waiting).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn owner(name: &str) -> Owner {
        Owner::Key(name.to_owned())
    }

    fn poll(asking: &mut Asking) -> Poll<Result<Lane, QueueFull>> {
        Pin::new(asking).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn ready(lanes: &FairLanes, name: &str) -> Lane {
        let Poll::Ready(Ok(lane)) = poll(&mut lanes.lane(&owner(name))) else { panic!("{name} waits") };
        lane
    }

    /// A caller that waits.
    fn waiting(lanes: &FairLanes, name: &str) -> Asking {
        let mut asking = lanes.lane(&owner(name));
        assert!(poll(&mut asking).is_pending(), "{name} does not wait");
        asking
    }

    fn lane_of(asking: &mut Asking) -> Option<Lane> {
        match poll(asking) {
            Poll::Ready(lane) => Some(lane.unwrap()),
            Poll::Pending => None,
        }
    }

    fn assert_idle(lanes: &FairLanes) {
        let state = lanes.0.lock();
        assert_eq!((state.running, state.waiting, state.owners.len(), state.order.len()), (0, 0, 0, 0));
    }

    #[test]
    fn one_owner_holds_half_of_the_lanes_and_another_is_ready_at_once() {
        for (all, half) in [(1, 1), (2, 1), (3, 2), (4, 2), (16, 8)] {
            let lanes = FairLanes::new(all, 4);
            assert_eq!(lanes.share(), half);
            let held: Vec<Lane> = (0..half).map(|_| ready(&lanes, "a")).collect();
            let more = waiting(&lanes, "a");
            assert!(lanes.try_lane(&owner("a")).is_none());
            if all > 1 {
                drop(ready(&lanes, "b"));
                assert!(lanes.try_lane(&owner("b")).is_some());
            }
            drop((held, more));
            assert_idle(&lanes);
        }
    }

    #[test]
    fn a_lane_that_becomes_free_goes_to_another_owner_in_turn() {
        let lanes = FairLanes::new(1, 100);
        let mut running = ready(&lanes, "a");
        let names = ["a", "a", "a", "b", "b", "c"];
        let mut asking: Vec<(&str, Asking)> = names.map(|name| (name, waiting(&lanes, name))).into();
        let mut order = Vec::new();
        while !asking.is_empty() {
            drop(running);
            let found = asking.iter_mut().enumerate().find_map(|(at, (_, asking))| Some((at, lane_of(asking)?)));
            let (at, lane) = found.unwrap();
            running = lane;
            order.push(asking.remove(at).0);
        }
        assert_eq!(order, ["b", "c", "a", "b", "a", "a"]);
        drop(running);
        assert_idle(&lanes);
    }

    #[test]
    fn the_queue_is_bounded_for_each_owner_and_for_all() {
        let lanes = FairLanes::new(1, 4);
        let _running = ready(&lanes, "a");
        let _waits = [waiting(&lanes, "a"), waiting(&lanes, "a")];
        assert!(matches!(poll(&mut lanes.lane(&owner("a"))), Poll::Ready(Err(QueueFull))));
        let _others = [waiting(&lanes, "b"), waiting(&lanes, "c")];
        assert!(matches!(poll(&mut lanes.lane(&owner("b"))), Poll::Ready(Err(QueueFull))));
        let first: Vec<Asking> = (0..12).map(|number| waiting(&lanes, &format!("first-{number}"))).collect();
        assert!(matches!(poll(&mut lanes.lane(&owner("d"))), Poll::Ready(Err(QueueFull))));
        assert_eq!(lanes.waiting(), 4 + first.len());
    }

    #[test]
    fn a_caller_that_goes_away_gives_its_place_and_its_lane_back() {
        let lanes = FairLanes::new(1, 4);
        let running = ready(&lanes, "a");
        let gone = waiting(&lanes, "b");
        let mut next = waiting(&lanes, "c");
        let woken = Arc::new(Woken(AtomicUsize::new(0)));
        assert!(Pin::new(&mut next).poll(&mut Context::from_waker(&Waker::from(Arc::clone(&woken)))).is_pending());
        drop(running);
        assert_eq!(woken.0.load(Ordering::Relaxed), 0, "b has the lane, but has not taken it yet");
        drop(gone);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        let lane = lane_of(&mut next).unwrap();
        drop(waiting(&lanes, "b"));
        assert_eq!(lanes.waiting(), 0);
        drop(lane);
        assert_idle(&lanes);
    }

    #[test]
    fn a_future_that_is_not_polled_takes_nothing() {
        let lanes = FairLanes::new(1, 0);
        drop(lanes.lane(&owner("a")));
        let asking = lanes.lane(&owner("a"));
        drop(ready(&lanes, "b"));
        drop(asking);
        assert_idle(&lanes);
    }
}
