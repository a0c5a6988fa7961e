//! What this node remembers of its decisions: a ring in memory, and what waits to be written. Both are
//! bounded, whatever comes in: the ring by bytes, what waits by the rate at which it is written. Under a
//! flood the newest of each kind, client and address stays, and the others are counted.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::explanation::Ending;
use crate::domain::{ClientId, Explanation};

/// Each has a lock of its own and holds the decisions of some clients and addresses: whoever floods
/// pushes out few others.
const SHARDS: usize = 32;
/// Grants are many and say little: they have this part of the memory to themselves, and no more.
const FOR_GRANTS: usize = 4;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes in memory.
    pub memory: usize,
    /// Rows that one flush may write: a second's.
    pub rate: usize,
}

/// Who a decision is about, for telling floods.
#[derive(Clone, PartialEq, Eq, Hash)]
struct About {
    kind: String,
    client: Option<ClientId>,
    address: IpAddr,
}

impl About {
    fn of(explanation: &Explanation) -> Self {
        let Explanation { kind, client, address, .. } = explanation;
        Self { kind: kind.clone().into_owned(), client: client.clone(), address: *address }
    }
}

#[derive(Default)]
struct Ring {
    kept: VecDeque<Explanation>,
    bytes: usize,
}

impl Ring {
    fn push(&mut self, explanation: Explanation, most: usize) {
        self.bytes += explanation.weight();
        self.kept.push_back(explanation);
        while self.bytes > most
            && let Some(oldest) = self.kept.pop_front()
        {
            self.bytes -= oldest.weight();
        }
    }
}

/// What waits to be written.
#[derive(Default)]
struct Waiting {
    refusals: Vec<Explanation>,
    /// The newest of each, once there were too many.
    flooding: HashMap<About, Explanation>,
    grants: Vec<Explanation>,
}

/// The memory of one node.
pub struct Kept {
    refusals: Box<[Mutex<Ring>]>,
    grants: Box<[Mutex<Ring>]>,
    waiting: Mutex<Waiting>,
    bounds: Bounds,
    hasher: RandomState,
    skipped: AtomicU64,
}

impl Kept {
    pub fn new(bounds: Bounds) -> Self {
        let rings = || (0..SHARDS).map(|_| Mutex::default()).collect();
        Self {
            refusals: rings(),
            grants: rings(),
            waiting: Mutex::default(),
            bounds,
            hasher: RandomState::new(),
            skipped: AtomicU64::new(0),
        }
    }

    /// Remembers a decision; nothing waits and nothing is read.
    pub fn push(&self, explanation: Explanation) {
        let is_grant = explanation.outcome == Ending::Granted;
        let (rings, part) = if is_grant { (&self.grants, 1) } else { (&self.refusals, FOR_GRANTS - 1) };
        let most = self.bounds.memory / FOR_GRANTS * part / SHARDS;
        let key = (&explanation.kind, &explanation.client, explanation.address);
        let shard = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        if self.bounds.rate > 0 {
            self.wait(&explanation, is_grant);
        }
        if let Some(ring) = rings.get(shard) {
            lock(ring).push(explanation, most);
        }
    }

    fn wait(&self, explanation: &Explanation, is_grant: bool) {
        let rate = self.bounds.rate;
        let mut waiting = lock(&self.waiting);
        if is_grant {
            // What is left over of the rate; the ring has the others.
            if waiting.grants.len() < rate {
                waiting.grants.push(explanation.clone());
            }
            return;
        }
        if waiting.refusals.len() < rate - rate / 4 {
            waiting.refusals.push(explanation.clone());
            return;
        }
        let about = About::of(explanation);
        if let Some(newest) = waiting.flooding.get_mut(&about) {
            let skipped = newest.skipped + 1;
            *newest = Explanation { skipped, ..explanation.clone() };
        } else if waiting.flooding.len() < rate / 4 {
            waiting.flooding.insert(about, explanation.clone());
            return;
        }
        drop(waiting);
        self.skipped.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes what waits: no more than one flush may write, refusals first.
    pub fn take(&self) -> Vec<Explanation> {
        let Waiting { mut refusals, flooding, grants } = std::mem::take(&mut *lock(&self.waiting));
        refusals.extend(flooding.into_values());
        let left = self.bounds.rate.saturating_sub(refusals.len());
        refusals.extend(grants.into_iter().take(left));
        refusals
    }

    /// Refusals that were not written since the process began, because there were too many.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// Rows could not be written.
    pub fn lost(&self, rows: usize) {
        self.skipped.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub fn find(&self, request_id: &str) -> Option<Explanation> {
        let rings = self.refusals.iter().chain(&self.grants);
        rings.into_iter().find_map(|ring| {
            lock(ring).kept.iter().rev().find(|explanation| explanation.request_id == request_id).cloned()
        })
    }

    /// Bytes held in memory.
    pub fn bytes(&self) -> usize {
        self.refusals.iter().chain(&self.grants).map(|ring| lock(ring).bytes).sum()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::net::Ipv4Addr;

    use super::*;
    use crate::domain::UnixTime;

    fn decided(id: u32, client: &str, outcome: Ending) -> Explanation {
        Explanation {
            request_id: id.to_string(),
            at: UnixTime::from_seconds(0),
            node: Cow::Borrowed("n"),
            surface: Cow::Borrowed("oauth2"),
            kind: Cow::Borrowed("token"),
            outcome,
            client: Some(client.into()),
            key: None,
            provider: None,
            address: Ipv4Addr::LOCALHOST.into(),
            rule: Cow::Borrowed("a.b"),
            sentence: "x".repeat(100).into(),
            steps: Vec::new(),
            skipped: 0,
        }
    }

    #[test]
    fn the_ring_keeps_to_its_bytes_and_a_flood_pushes_out_its_own() {
        let kept = Kept::new(Bounds { memory: 64 << 10, rate: 0 });
        let others: Vec<String> = (0..16).map(|n| format!("c{n}")).collect();
        for (id, client) in others.iter().enumerate() {
            kept.push(decided(u32::try_from(id).unwrap(), client, Ending::Refused));
        }
        for id in 1000..20_000 {
            kept.push(decided(id, "flood", Ending::Refused));
            kept.push(decided(id + 100_000, "flood", Ending::Granted));
        }
        assert!(kept.bytes() <= 64 << 10, "{}", kept.bytes());
        assert_eq!(kept.find("19999").unwrap().request_id, "19999");
        assert!(kept.find("1000").is_none());
        let alive = (0..16).filter(|id: &u32| kept.find(&id.to_string()).is_some()).count();
        assert!(alive >= 10, "{alive} of 16 outlive the flood of another");
    }

    #[test]
    fn a_flood_is_written_as_the_newest_of_each_and_the_others_are_counted() {
        let kept = Kept::new(Bounds { memory: 1 << 20, rate: 40 });
        for id in 0..1000 {
            kept.push(decided(id, "a", Ending::Granted));
            kept.push(decided(10_000 + id, "a", Ending::Refused));
        }
        kept.push(decided(5000, "b", Ending::Refused));
        let rows = kept.take();
        assert_eq!(rows.len(), 40);
        let refused = |row: &&Explanation| row.outcome == Ending::Refused;
        assert_eq!(rows.iter().filter(refused).count(), 32, "refusals first: thirty, and the newest of two clients");
        let newest = rows.iter().find(|row| row.request_id == "10999").expect("the newest stays");
        assert_eq!(newest.skipped, 969);
        assert!(rows.iter().any(|row| row.request_id == "5000"));
        assert_eq!(kept.skipped(), 969);
        assert!(kept.take().is_empty());
        // What was not written is still in memory.
        assert!(kept.find("10998").is_some());
    }
}
