//! Slows wrong tries, in memory, with a fixed size and no waiting: failures per minute by (claimed
//! id, address) and by address. Logins of people have an instance with limits of their own
//! ([`login`](crate::engine::login)), which remembers what the database has not been told yet. Asked before a costly check (Argon2, a signature) and after a cheap
//! one has failed; a right generated secret is never slowed.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::explanation::{Fact, facts};
use crate::domain::{Refusal, RefusalKind, UnixTime};

/// Failures of one claimed id from one address within a minute.
const PER_CLAIM: u64 = 20;
/// Failures of one address within a minute.
pub(in crate::engine) const PER_ADDRESS: u64 = 300;
const MINUTE: i64 = 60;
/// Counters a table. Two claims may share one; since one address fills at most [`PER_ADDRESS`] of
/// them a minute with ones, that hardly ever slows a stranger.
const SLOTS: usize = 1 << 15;
/// The count is the low half of a slot, the minute the high half.
const COUNT_BITS: u32 = 32;

pub struct Throttle {
    claims: Table,
    addresses: Table,
    per_claim: u64,
    per_address: u64,
}

/// Failures of the current minute by key.
pub(in crate::engine) struct Table {
    slots: Box<[AtomicU64]>,
    /// Seeded per process, so that nobody can aim at another's counter.
    hasher: RandomState,
}

impl Default for Throttle {
    fn default() -> Self {
        Self::with(PER_CLAIM, PER_ADDRESS)
    }
}

impl Table {
    pub(in crate::engine) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(), hasher: RandomState::new() }
    }
}

impl Throttle {
    /// Limits a minute: of one claimed id from one address, and of one address.
    pub fn with(per_claim: u64, per_address: u64) -> Self {
        Self { claims: Table::new(), addresses: Table::new(), per_claim, per_address }
    }

    /// Refuses while this claim or this address has failed too often in the current minute.
    pub fn check(&self, claimed: &str, address: IpAddr, now: UnixTime) -> Result<(), Refusal> {
        let network = network_of(address);
        let over = self.claims.count(&(claimed, network), now) >= self.per_claim
            || self.addresses.count(&network, now) >= self.per_address;
        if over { Err(too_many(now)) } else { Ok(()) }
    }

    /// Counts a failure; refuses with "too many" instead of the plain refusal once over the limit.
    /// An address over its own limit fills no more counters of claims.
    pub fn failed(&self, claimed: &str, address: IpAddr, now: UnixTime) -> Result<(), Refusal> {
        let network = network_of(address);
        let over = self.addresses.add(&network, now) > self.per_address
            || self.claims.add(&(claimed, network), now) > self.per_claim;
        if over { Err(too_many(now)) } else { Ok(()) }
    }

    /// Counts a try before it is judged; refuses, and counts nothing, where there is no room for one
    /// more. One that does not fail is taken back by [`Throttle::forgive`].
    pub fn begin(&self, claimed: &str, address: IpAddr, now: UnixTime) -> Result<(), Refusal> {
        let network = network_of(address);
        if !self.addresses.add_below(&network, now, self.per_address) {
            return Err(too_many(now));
        }
        if !self.claims.add_below(&(claimed, network), now, self.per_claim) {
            self.addresses.take_back(&network, now);
            return Err(too_many(now));
        }
        Ok(())
    }

    /// Takes back what [`Throttle::begin`] counted.
    pub fn forgive(&self, claimed: &str, address: IpAddr, now: UnixTime) {
        let network = network_of(address);
        self.addresses.take_back(&network, now);
        self.claims.take_back(&(claimed, network), now);
    }
}

impl Table {
    fn slot(&self, key: &impl Hash) -> &AtomicU64 {
        let index = usize::try_from(self.hasher.hash_one(key) % SLOTS as u64).unwrap_or(0);
        &self.slots[index]
    }

    fn count(&self, key: &impl Hash, now: UnixTime) -> u64 {
        let slot = self.slot(key).load(Ordering::Relaxed);
        count_in(slot, minute_beside(now, slot))
    }

    /// Counts one more; the count of this minute with it. A request that began in the minute before
    /// counts in the one that others have begun: it must not wipe their count out.
    pub(in crate::engine) fn add(&self, key: &impl Hash, now: UnixTime) -> u64 {
        let next = |old: u64| {
            let minute = minute_beside(now, old);
            (minute << COUNT_BITS) | (count_in(old, minute) + 1).min(u64::from(u32::MAX))
        };
        let after = self.change(key, next);
        after & u64::from(u32::MAX)
    }

    /// Counts one more if there are fewer than `most`; whether it did.
    pub(in crate::engine) fn add_below(&self, key: &impl Hash, now: UnixTime, most: u64) -> bool {
        let slot = self.slot(key);
        let next = |old: u64| {
            let minute = minute_beside(now, old);
            let count = count_in(old, minute);
            (count < most).then_some((minute << COUNT_BITS) | (count + 1))
        };
        slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }

    /// Only within the minute in which it was counted.
    pub(in crate::engine) fn take_back(&self, key: &impl Hash, now: UnixTime) {
        let minute = minute(now);
        self.change(
            key,
            |old| if old >> COUNT_BITS == minute { old - (old & u64::from(u32::MAX)).min(1) } else { old },
        );
    }

    fn change(&self, key: &impl Hash, next: impl Fn(u64) -> u64) -> u64 {
        let slot = self.slot(key);
        let mut old = slot.load(Ordering::Relaxed);
        while let Err(current) = slot.compare_exchange_weak(old, next(old), Ordering::Relaxed, Ordering::Relaxed) {
            old = current;
        }
        next(old)
    }
}

/// One subscriber holds a whole IPv6 /64: counting its addresses apart would count nothing.
pub(in crate::engine) fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    }
}

fn minute(now: UnixTime) -> u64 {
    u64::try_from(now.seconds() / MINUTE).unwrap_or(0) & u64::from(u32::MAX)
}

/// The minute to count in: this one, or the next if others have begun it in this slot. A later one was
/// counted before the clock went back; it must not slow anybody until the clock is there again.
fn minute_beside(now: UnixTime, slot: u64) -> u64 {
    let (own, counted) = (minute(now), slot >> COUNT_BITS);
    if counted == own + 1 { counted } else { own }
}

fn count_in(slot: u64, minute: u64) -> u64 {
    if slot >> COUNT_BITS == minute { slot & u64::from(u32::MAX) } else { 0 }
}

fn too_many(now: UnixTime) -> Refusal {
    let left = MINUTE - now.seconds().rem_euclid(MINUTE);
    let retry_after = u32::try_from(left).unwrap_or(60);
    Refusal::new(RefusalKind::RateLimited { retry_after }, "Too many failed attempts.")
        .because("throttle.room", facts![retry_after: Fact::Number(left)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 10));

    #[test]
    fn the_twenty_first_failure_of_a_minute_is_told_to_wait() {
        let (throttle, now) = (Throttle::default(), UnixTime::from_seconds(1_000_020));
        for _ in 0..PER_CLAIM {
            assert!(throttle.failed("client", HERE, now).is_ok());
        }
        let refusal = throttle.failed("client", HERE, now).unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::RateLimited { retry_after: 60 });
        assert!(throttle.check("client", HERE, now).is_err());
        assert!(throttle.check("client", THERE, now).is_ok());
        assert!(throttle.check("client", HERE, now.plus_seconds(60)).is_ok());
    }

    #[test]
    fn what_is_forgiven_was_never_counted() {
        let (throttle, now) = (Throttle::with(1, 2), UnixTime::from_seconds(1_000_020));
        for _ in 0..9 {
            assert!(throttle.failed("user", HERE, now).is_ok());
            throttle.forgive("user", HERE, now);
        }
        assert!(throttle.failed("user", HERE, now).is_ok());
        assert!(throttle.failed("user", HERE, now).is_err());
        assert!(throttle.failed("other", HERE, now).is_err(), "the address has its own limit");
    }

    #[test]
    fn a_late_request_of_the_minute_before_wipes_no_count_out() {
        let (throttle, now) = (Throttle::default(), UnixTime::from_seconds(1_000_020));
        let before = UnixTime::from_seconds(1_000_019);
        for _ in 0..PER_CLAIM {
            assert!(throttle.begin("client", HERE, now).is_ok());
        }
        assert!(throttle.begin("client", HERE, before).is_err() && throttle.check("client", HERE, before).is_err());
        throttle.forgive("client", HERE, before);
        assert!(throttle.begin("client", HERE, now).is_err());
        throttle.forgive("client", HERE, now);
        assert!(throttle.begin("client", HERE, now).is_ok());
    }

    #[test]
    fn a_clock_that_goes_back_slows_nobody_and_forgives_as_before() {
        let (throttle, now) = (Throttle::with(3, 9), UnixTime::from_seconds(1_003_600));
        for _ in 0..3 {
            assert!(throttle.failed("user", HERE, now).is_ok());
        }
        assert!(throttle.begin("user", HERE, now).is_err());
        let back = now.plus_seconds(-3600);
        for _ in 0..9 {
            assert!(throttle.begin("user", HERE, back).is_ok(), "a right password is no failure");
            throttle.forgive("user", HERE, back);
        }
        for _ in 0..3 {
            assert!(throttle.failed("user", HERE, back).is_ok());
        }
        assert!(throttle.begin("user", HERE, back).is_err());
    }

    #[test]
    fn one_address_cannot_try_many_ids_without_end() {
        let (throttle, now) = (Throttle::default(), UnixTime::from_seconds(1_000_020));
        let failures = (0..=PER_ADDRESS).map(|id| throttle.failed(&id.to_string(), HERE, now));
        assert_eq!(failures.filter(Result::is_err).count(), 1);
        assert!(throttle.check("fresh", HERE, now).is_err());
    }

    #[test]
    fn an_address_over_its_limit_fills_no_more_counters_of_claims() {
        let (throttle, now) = (Throttle::default(), UnixTime::from_seconds(1_000_020));
        for id in 0..20_000 {
            let _slowed = throttle.failed(&id.to_string(), HERE, now);
        }
        let filled = throttle.claims.slots.iter().filter(|slot| slot.load(Ordering::Relaxed) > 0).count();
        assert!(filled as u64 <= PER_ADDRESS, "{filled}");
    }

    #[test]
    fn addresses_of_one_ipv6_subscriber_count_together() {
        assert_eq!(network_of("2001:db8::1".parse().unwrap()), network_of("2001:db8::ffff".parse().unwrap()));
        assert_ne!(network_of("2001:db8::1".parse().unwrap()), network_of("2001:db8:0:1::1".parse().unwrap()));
    }
}
