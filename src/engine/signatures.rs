//! What each signing key has signed in this process, for `/metrics`. The counter travels with the key,
//! so counting costs the hot path one addition; the table of counters is bounded.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::{SigningAlg, UnixTime};
use crate::engine::Engine;

/// Keys that are told apart; what is beyond is counted together.
const KEYS_MAX: usize = 1000;

#[derive(Default)]
pub struct Signatures {
    by_kid: Mutex<BTreeMap<String, Known>>,
    others: Arc<AtomicU64>,
    /// Keys whose rotation is late, as last counted.
    overdue: AtomicU64,
    /// What the last tick said of the time, epoch seconds.
    as_of: AtomicI64,
}

struct Known {
    alg: SigningAlg,
    provider: String,
    count: Arc<AtomicU64>,
    /// Epoch seconds; `None`: it signs no more.
    active_since: Option<i64>,
}

/// Whom a key is of, for its labels.
pub struct Signer<'a> {
    pub kid: &'a str,
    pub alg: SigningAlg,
    /// Slug.
    pub provider: &'a str,
    /// Epoch seconds.
    pub active_since: i64,
}

/// One line of the metric.
#[derive(Debug, PartialEq, Eq)]
pub struct SignedBy {
    pub kid: String,
    pub alg: &'static str,
    pub provider: String,
    pub signatures: u64,
    /// Seconds since it became the key that signs; `None`: it signs no more.
    pub age: Option<i64>,
}

impl Signatures {
    /// The counter of a key that signs now; the key of its provider and algorithm before it does no more.
    pub fn counter(&self, signer: &Signer<'_>) -> Arc<AtomicU64> {
        let Signer { kid, alg, provider, active_since } = *signer;
        let mut by_kid = self.lock();
        for (other, known) in by_kid.iter_mut() {
            if known.alg == alg && known.provider == provider && other != kid {
                known.active_since = None;
            }
        }
        if !by_kid.contains_key(kid) && by_kid.len() >= KEYS_MAX {
            // The oldest one that signs no more makes room.
            let over = by_kid.iter().find(|(_, known)| known.active_since.is_none()).map(|(kid, _)| kid.clone());
            match over.and_then(|over| by_kid.remove(&over)) {
                Some(known) => self.others.fetch_add(known.count.load(Ordering::Relaxed), Ordering::Relaxed),
                None => return Arc::clone(&self.others),
            };
        }
        let known = by_kid.entry(kid.to_owned()).or_insert_with(|| Known {
            alg,
            provider: provider.to_owned(),
            count: Arc::default(),
            active_since: Some(active_since),
        });
        known.active_since = Some(active_since);
        Arc::clone(&known.count)
    }

    /// Every key that has signed, by kid, and what those beyond the bound signed together.
    fn counted(&self, now: UnixTime) -> (Vec<SignedBy>, u64) {
        let by_kid = self.lock();
        let line = |(kid, known): (&String, &Known)| SignedBy {
            kid: kid.clone(),
            alg: known.alg.name(),
            provider: known.provider.clone(),
            signatures: known.count.load(Ordering::Relaxed),
            age: known.active_since.map(|since| (now.seconds() - since).max(0)),
        };
        let lines = by_kid.iter().map(line).filter(|line| line.signatures > 0).collect();
        (lines, self.others.load(Ordering::Relaxed))
    }

    /// What ages are told by.
    pub fn set_now(&self, now: UnixTime) {
        self.as_of.store(now.seconds(), Ordering::Relaxed);
    }

    pub fn set_overdue(&self, keys: usize) {
        self.overdue.store(keys as u64, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.by_kid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// What the signing keys of this process have signed; the second figure is that of keys beyond the
    /// bound, together.
    pub fn signatures(&self) -> (Vec<SignedBy>, u64) {
        let signatures = &self.0.signatures;
        signatures.counted(UnixTime::from_seconds(signatures.as_of.load(Ordering::Relaxed)))
    }

    /// Signing keys whose rotation is late by an hour, as counted within the last minute.
    pub fn overdue_signing_keys(&self) -> u64 {
        self.0.signatures.overdue.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer<'a>(kid: &'a str, provider: &'a str) -> Signer<'a> {
        Signer { kid, alg: SigningAlg::Es256, provider, active_since: 100 }
    }

    #[test]
    fn a_key_that_is_replaced_keeps_its_count_and_has_no_age_any_more() {
        let signatures = Signatures::default();
        signatures.counter(&signer("a", "p")).fetch_add(2, Ordering::Relaxed);
        signatures.counter(&signer("b", "p")).fetch_add(1, Ordering::Relaxed);
        signatures.counter(&signer("c", "q"));
        let (lines, others) = signatures.counted(UnixTime::from_seconds(160));
        let told: Vec<_> = lines.iter().map(|line| (line.kid.as_str(), line.signatures, line.age)).collect();
        assert_eq!((told, others), (vec![("a", 2, None), ("b", 1, Some(60))], 0), "c has signed nothing");
    }

    #[test]
    fn the_table_is_bounded_and_loses_no_signature() {
        let signatures = Signatures::default();
        for number in 0..KEYS_MAX + 10 {
            let provider = format!("p{number}");
            signatures.counter(&signer(&format!("k{number:05}"), &provider)).fetch_add(1, Ordering::Relaxed);
        }
        let (lines, others) = signatures.counted(UnixTime::from_seconds(160));
        assert_eq!((lines.len(), others), (KEYS_MAX, 10));
        // A new key of a known provider takes the place of its old one.
        signatures.counter(&signer("new", "p0")).fetch_add(1, Ordering::Relaxed);
        signatures.counter(&signer("newer", "p0")).fetch_add(1, Ordering::Relaxed);
        let (lines, others) = signatures.counted(UnixTime::from_seconds(160));
        assert_eq!(lines.len(), KEYS_MAX);
        assert_eq!(lines.iter().map(|line| line.signatures).sum::<u64>() + others, KEYS_MAX as u64 + 12);
    }
}
