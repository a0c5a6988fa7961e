//! Two clocks. `Wall` decides every lifetime and is injected; the monotonic clock measures waiting
//! and deadlines. This file is the one room where either is read from the system.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in time as milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixTime(i64);

impl UnixTime {
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds * 1000)
    }

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Whole seconds, rounded down: what `iat`, `exp` and the database hold.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Milliseconds since `then` (epoch milliseconds), never below 0. `None`: `then` lies ahead of this
    /// time by more than [`Self::AHEAD`]. The clock that wrote it, or ours, was wrong, so it counts as
    /// long ago.
    pub const fn millis_since(self, then: i64) -> Option<i64> {
        let age = self.0.saturating_sub(then);
        if age < -Self::AHEAD * 1000 {
            return None;
        }
        Some(if age < 0 { 0 } else { age })
    }

    /// As [`Self::millis_since`], in seconds.
    pub const fn seconds_since(self, then: i64) -> Option<i64> {
        let age = self.seconds().saturating_sub(then);
        if age < -Self::AHEAD {
            return None;
        }
        Some(if age < 0 { 0 } else { age })
    }

    /// Seconds by which a row may lie ahead of the request that reads it: a request takes its time once,
    /// may last a minute, and another one may have written the row meanwhile.
    pub const AHEAD: i64 = 60;

    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }
}

/// The wall clock. Read once per request, into [`crate::domain::Context::now`].
pub trait Wall: Send + Sync + 'static {
    fn now(&self) -> UnixTime;
}

/// The clock of the machine.
#[derive(Debug, Default)]
pub struct SystemWall;

impl Wall for SystemWall {
    #[allow(clippy::disallowed_methods)] // the one room of the wall clock
    fn now(&self) -> UnixTime {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = since_epoch.map_or(0, |elapsed| elapsed.as_millis());
        UnixTime(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

/// Now on the monotonic clock, for deadlines and durations only.
#[allow(clippy::disallowed_methods)] // the one room of the monotonic clock
pub fn monotonic() -> Instant {
    Instant::now()
}

/// The deadline `wait` from now.
pub fn deadline_in(wait: Duration) -> Instant {
    monotonic() + wait
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_down_also_before_the_epoch() {
        assert_eq!(UnixTime::from_millis(1999).seconds(), 1);
        assert_eq!(UnixTime::from_millis(-1).seconds(), -1);
        assert_eq!(UnixTime::from_seconds(7).plus_seconds(3).millis(), 10_000);
    }

    #[test]
    fn what_lies_far_ahead_has_no_age() {
        let now = UnixTime::from_seconds(1000);
        assert_eq!((now.seconds_since(990), now.millis_since(990_500)), (Some(10), Some(9500)));
        assert_eq!((now.seconds_since(1060), now.millis_since(1_060_000)), (Some(0), Some(0)));
        assert_eq!((now.seconds_since(1061), now.millis_since(1_060_001)), (None, None));
        assert_eq!((now.seconds_since(i64::MAX), now.seconds_since(i64::MIN)), (None, Some(i64::MAX)));
    }
}
