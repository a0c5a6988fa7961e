//! The revocation set: every unexpired revoked token, in memory. Not a cache: absent means not
//! revoked, so nothing leaves before it expires. Beyond a bound the node stops taking in and says
//! so; then the table is asked for ids that are not held.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::domain::token::{Jti, Revocation};

const SHARDS: usize = 16;

type Shard = HashMap<[u8; 16], i64>;

pub struct Revocations {
    shards: [RwLock<Shard>; SHARDS],
    held: AtomicUsize,
    max: usize,
    overflowed: AtomicBool,
}

/// What the set knows of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Revoked,
    NotRevoked,
    /// The set is over its bound and does not hold the id: the table must be asked.
    AskTable,
}

impl Revocations {
    pub fn new(max: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
            held: AtomicUsize::new(0),
            max,
            overflowed: AtomicBool::new(false),
        }
    }

    pub fn insert(&self, revocation: &Revocation) {
        if self.held.load(Ordering::Relaxed) >= self.max {
            if !self.overflowed.swap(true, Ordering::AcqRel) {
                log::warn!("more than {} live revocations: the table is asked from now on", self.max);
            }
            return;
        }
        if write(self.shard(revocation.id)).insert(revocation.id.0, revocation.expires_at).is_none() {
            self.held.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether the id is in memory.
    pub fn holds(&self, id: Jti) -> bool {
        read(self.shard(id)).contains_key(&id.0)
    }

    pub fn look(&self, id: Jti) -> Known {
        if read(self.shard(id)).contains_key(&id.0) {
            Known::Revoked
        } else if self.overflowed.load(Ordering::Acquire) {
            Known::AskTable
        } else {
            Known::NotRevoked
        }
    }

    /// Lets go of what has expired (epoch seconds): such a token is refused by its `exp`.
    pub fn drop_expired(&self, now: i64) {
        for shard in &self.shards {
            let mut shard = write(shard);
            let before = shard.len();
            shard.retain(|_, expires_at| *expires_at > now);
            self.held.fetch_sub(before - shard.len(), Ordering::Relaxed);
        }
    }

    pub fn len(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn has_overflowed(&self) -> bool {
        self.overflowed.load(Ordering::Acquire)
    }

    fn shard(&self, id: Jti) -> &RwLock<Shard> {
        // The last byte of a UUID v7 is random.
        let index = usize::from(id.0[15]) % SHARDS;
        &self.shards[index]
    }
}

fn read(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(shard: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::token::RevokedKind;

    fn revocation(number: u8, expires_at: i64) -> Revocation {
        Revocation { provider: "p".into(), kind: RevokedKind::Token, id: Jti([number; 16]), expires_at }
    }

    #[test]
    fn an_entry_stays_until_it_expires_and_no_longer() {
        let set = Revocations::new(10);
        set.insert(&revocation(1, 100));
        set.insert(&revocation(1, 100));
        assert_eq!(set.len(), 1);
        set.drop_expired(99);
        assert_eq!(set.look(Jti([1; 16])), Known::Revoked);
        set.drop_expired(100);
        assert_eq!(set.look(Jti([1; 16])), Known::NotRevoked);
        assert!(set.is_empty());
    }

    #[test]
    fn over_its_bound_it_never_says_not_revoked() {
        let set = Revocations::new(1);
        set.insert(&revocation(1, 100));
        assert_eq!(set.look(Jti([2; 16])), Known::NotRevoked);
        set.insert(&revocation(2, 100));
        assert_eq!(set.look(Jti([1; 16])), Known::Revoked);
        assert_eq!(set.look(Jti([2; 16])), Known::AskTable);
        assert_eq!(set.look(Jti([3; 16])), Known::AskTable);
    }
}
