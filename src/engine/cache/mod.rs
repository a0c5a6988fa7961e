//! What the hot path knows without asking the database. Bounded by bytes, never the truth: every
//! change drops the entry, on the node that made it at once and on the others by the change log.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quick_cache::Weighter;
use quick_cache::sync::Cache as QuickCache;

pub mod api_keys;
pub mod clients;
pub mod keys;
pub mod providers;
pub mod sessions;
pub mod users;

/// Cache versions are kept per stripe of keys: a change of one key spoils a fill of its stripe
/// neighbours at worst, which then reads again.
const STRIPES: usize = 256;
/// How long an unknown id is remembered.
const ABSENT_FOR: Duration = Duration::from_secs(1);
/// Most unknown ids remembered at once.
const ABSENT_MAX: usize = 4096;

/// An entry knows about how many bytes it holds.
pub trait Weigh {
    fn weight(&self) -> usize;
}

#[derive(Clone)]
struct ByWeight;

impl<K, V: Weigh> Weighter<K, Arc<V>> for ByWeight {
    fn weight(&self, _key: &K, value: &Arc<V>) -> u64 {
        value.weight().max(1) as u64
    }
}

/// A bounded map from `K` to shared entries.
///
/// A fill is `begin` → read the database → `finish`. If the entry was invalidated in between, what
/// was read may be older than the change: `finish` then does not insert it.
pub struct Cache<K, V> {
    entries: QuickCache<K, Arc<V>, ByWeight>,
    absent: QuickCache<K, Instant>,
    stripes: Box<[Mutex<u64>]>,
    hasher: RandomState,
}

/// The cache version at which a fill began.
#[derive(Clone, Copy, Debug)]
pub struct Fill(u64);

impl<K: Hash + Eq + Clone, V: Weigh> Cache<K, V> {
    /// A cache of at most `bytes`, expecting entries of about `typical` bytes.
    pub fn new(bytes: u64, typical: u64) -> Self {
        let expected = usize::try_from(bytes / typical.max(1)).unwrap_or(usize::MAX).max(16);
        Self {
            entries: QuickCache::with_weighter(expected, bytes, ByWeight),
            absent: QuickCache::new(ABSENT_MAX),
            stripes: (0..STRIPES).map(|_| Mutex::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }

    pub fn get(&self, key: &K) -> Option<Arc<V>> {
        self.entries.get(key)
    }

    /// Whether the key was looked for in vain within the last second.
    pub fn is_known_absent(&self, key: &K, now: Instant) -> bool {
        self.absent.get(key).is_some_and(|since| now.duration_since(since) < ABSENT_FOR)
    }

    pub fn begin(&self, key: &K) -> Fill {
        Fill(*self.stripe(key))
    }

    /// Keeps what was read, unless the key was invalidated since `begin`. Answers what all have from now on:
    /// of several fills at once the first is kept, so that what is noted in an entry is noted for all.
    pub fn finish(&self, fill: Fill, key: K, entry: Arc<V>) -> Arc<V> {
        let version = self.stripe(&key);
        if *version != fill.0 {
            return entry;
        }
        if let Some(first) = self.entries.get(&key) {
            return first;
        }
        self.entries.insert(key, Arc::clone(&entry));
        entry
    }

    /// Remembers for a second that there is no such key, under the same condition.
    pub fn finish_absent(&self, fill: Fill, key: K, now: Instant) {
        let version = self.stripe(&key);
        if *version == fill.0 {
            self.absent.insert(key, now);
        }
    }

    /// Forgets the key and spoils fills of it that are under way.
    pub fn invalidate(&self, key: &K) {
        let mut version = self.stripe(key);
        *version += 1;
        self.entries.remove(key);
        self.absent.remove(key);
    }

    /// Forgets everything and spoils every fill.
    pub fn clear(&self) {
        let mut versions: Vec<MutexGuard<'_, u64>> = self.stripes.iter().map(lock).collect();
        for version in &mut versions {
            **version += 1;
        }
        self.entries.clear();
        self.absent.clear();
    }

    /// Bytes held, as the entries themselves state them.
    pub fn weight(&self) -> u64 {
        self.entries.weight()
    }

    fn stripe(&self, key: &K) -> MutexGuard<'_, u64> {
        let index = usize::try_from(self.hasher.hash_one(key) % STRIPES as u64).unwrap_or(0);
        lock(&self.stripes[index])
    }
}

/// What came to nothing within the last second: remembered as long as an unknown id.
pub struct Lately<K>(QuickCache<K, Instant>);

impl<K: Hash + Eq + Clone> Default for Lately<K> {
    fn default() -> Self {
        Self(QuickCache::new(ABSENT_MAX))
    }
}

impl<K: Hash + Eq + Clone> Lately<K> {
    pub fn holds(&self, key: &K, now: Instant) -> bool {
        self.0.get(key).is_some_and(|since| now.duration_since(since) < ABSENT_FOR)
    }

    /// Counts from the first time: what comes again and again within the second does not put its end off.
    pub fn note(&self, key: K, now: Instant) {
        if !self.holds(&key, now) {
            self.0.insert(key, now);
        }
    }
}

/// A version is a plain number: a panic elsewhere cannot have left it half written.
fn lock(stripe: &Mutex<u64>) -> MutexGuard<'_, u64> {
    stripe.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::monotonic;

    struct Entry(usize);

    impl Weigh for Entry {
        fn weight(&self) -> usize {
            self.0
        }
    }

    fn cache() -> Cache<String, Entry> {
        Cache::new(10_000, 100)
    }

    #[test]
    fn a_fill_held_open_across_a_change_is_not_kept() {
        let cache = cache();
        let key = "a".to_owned();
        let fill = cache.begin(&key);
        cache.invalidate(&key);
        cache.finish(fill, key.clone(), Arc::new(Entry(1)));
        assert!(cache.get(&key).is_none());
        let fill = cache.begin(&key);
        let kept = cache.finish(fill, key.clone(), Arc::new(Entry(1)));
        assert!(cache.get(&key).is_some());
        assert!(Arc::ptr_eq(&kept, &cache.finish(fill, key.clone(), Arc::new(Entry(2)))));
    }

    #[test]
    fn what_came_to_nothing_counts_for_a_second_however_often_it_comes() {
        let (lately, first) = (Lately::<u8>::default(), monotonic());
        for tenth in 0..10 {
            let now = first + ABSENT_FOR * tenth / 10;
            assert_eq!(lately.holds(&1, now), tenth > 0);
            lately.note(1, now);
        }
        assert!(!lately.holds(&1, first + ABSENT_FOR) && !lately.holds(&2, first));
    }

    #[test]
    fn clearing_spoils_every_open_fill() {
        let cache = cache();
        let key = "a".to_owned();
        let fill = cache.begin(&key);
        cache.clear();
        cache.finish(fill, key.clone(), Arc::new(Entry(1)));
        assert!(cache.get(&key).is_none());
    }

    #[test]
    fn an_unknown_key_is_remembered_until_it_is_made_or_a_second_has_passed() {
        let cache = cache();
        let (key, now) = ("a".to_owned(), monotonic());
        let fill = cache.begin(&key);
        cache.finish_absent(fill, key.clone(), now);
        assert!(cache.is_known_absent(&key, now));
        assert!(!cache.is_known_absent(&key, now + ABSENT_FOR));
        cache.invalidate(&key);
        assert!(!cache.is_known_absent(&key, now));
        // It was made while it was looked for in vain.
        cache.finish_absent(fill, key.clone(), now);
        assert!(!cache.is_known_absent(&key, now));
    }

    #[test]
    fn it_never_holds_more_than_its_bytes() {
        let cache = cache();
        for number in 0..1000 {
            let key = number.to_string();
            let fill = cache.begin(&key);
            cache.finish(fill, key, Arc::new(Entry(100)));
        }
        assert!(cache.weight() <= 10_000, "{}", cache.weight());
    }
}
