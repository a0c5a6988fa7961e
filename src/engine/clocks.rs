//! The two clocks of a node: its own and the database's. A node whose clock is off decides nothing.
//! Rows that deny (used tokens, revocations, consumed assertions) are deleted by a time that both
//! clocks had already reached an hour ago: a clock that jumps ahead deletes nothing.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::clock::monotonic;
use crate::domain::{Fault, UnixTime, Wall};
use crate::engine::health::MAX_SKEW;
use crate::store::{Conn, database_clock};

/// How long both clocks are watched before rows that deny may be deleted.
pub const SWEEP_WATCH: Duration = Duration::from_secs(3600);
/// Samples that cover [`SWEEP_WATCH`]: one in ten seconds.
const SAMPLES: u32 = 360;

/// A request that is ahead of the database by more has met a clock that jumped, milliseconds: what is borne
/// at a look, and as much again for the time since.
const JUMP: i64 = 4000;

/// Where the time of the database comes from.
#[derive(Clone, Default)]
pub enum DatabaseClock {
    /// The database is asked.
    #[default]
    Asked,
    /// It is given: for tests, which move clocks by days.
    Given(Arc<dyn Wall>),
}

impl fmt::Debug for DatabaseClock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if matches!(self, Self::Asked) { "Asked" } else { "Given" })
    }
}

impl DatabaseClock {
    /// Reads the database's clock. `ours` is what our own said at `began`.
    pub fn read(&self, conn: &mut Conn, ours: UnixTime, began: Instant) -> Result<Reading, Fault> {
        let asked = monotonic();
        let theirs = match self {
            Self::Asked => database_clock(conn)?,
            Self::Given(wall) => wall.now(),
        };
        let answered = monotonic();
        let off = match self {
            Self::Asked => {
                // A slow answer is not a wrong clock: any moment between question and answer will do.
                let at = |then: Instant| ours.millis().saturating_add(millis(then.duration_since(began)));
                theirs.millis().abs_diff(theirs.millis().clamp(at(asked), at(answered)))
            }
            Self::Given(_) => theirs.millis().abs_diff(ours.millis()),
        };
        Ok(Reading { at: asked, theirs, least: ours.min(theirs), skew: off })
    }
}

/// One look at both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    at: Instant,
    theirs: UnixTime,
    /// The earlier of the two.
    least: UnixTime,
    /// Milliseconds between them.
    skew: u64,
}

impl Reading {
    pub const fn is_right(&self) -> bool {
        self.skew <= MAX_SKEW
    }
}

/// What a look changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Same,
    Wrong,
    RightAgain,
}

/// Why rows that deny are not deleted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSweep {
    /// The process has not watched both clocks for long enough.
    Young,
    /// The clocks differ.
    Skewed,
}

pub struct Clocks {
    theirs: DatabaseClock,
    watch: Duration,
    origin: Instant,
    /// The database's time less the time since `origin`, milliseconds; 0: not looked at yet.
    theirs_at_origin: AtomicI64,
    /// Milliseconds between the clocks at the last look.
    skew: AtomicU64,
    seen: Mutex<Seen>,
}

struct Seen {
    /// Oldest first: those within the watch, and the newest one that is older.
    samples: VecDeque<(Instant, UnixTime)>,
    swept: Instant,
}

impl Clocks {
    pub fn new(origin: Instant, watch: Duration, theirs: DatabaseClock) -> Self {
        let seen = Mutex::new(Seen { samples: VecDeque::new(), swept: origin });
        Self { theirs, watch, origin, theirs_at_origin: AtomicI64::new(0), skew: AtomicU64::new(0), seen }
    }

    /// How the database's clock is read.
    pub fn theirs(&self) -> DatabaseClock {
        self.theirs.clone()
    }

    /// Milliseconds between the database's clock and ours at the last look.
    pub fn skew(&self) -> u64 {
        self.skew.load(Ordering::Relaxed)
    }

    pub fn is_right(&self) -> bool {
        self.skew() <= MAX_SKEW
    }

    /// Whether `now`, which a request read when it began, can be right by what the database said last.
    /// A request may have begun a while ago, so it may be behind.
    pub fn agree_with(&self, now: UnixTime) -> bool {
        let theirs = match &self.theirs {
            DatabaseClock::Given(wall) => wall.now().millis(),
            DatabaseClock::Asked => match self.theirs_at_origin.load(Ordering::Relaxed) {
                0 => return true,
                at_origin => at_origin.saturating_add(millis(monotonic().duration_since(self.origin))),
            },
        };
        let ahead = now.millis().saturating_sub(theirs);
        (-UnixTime::AHEAD * 1000..=JUMP).contains(&ahead)
    }

    /// Takes a look in.
    pub fn note(&self, reading: Reading) -> Turn {
        let Reading { at, theirs, least, skew } = reading;
        let since_origin = millis(at.duration_since(self.origin));
        self.theirs_at_origin.store(theirs.millis().saturating_sub(since_origin), Ordering::Relaxed);
        self.seen().note(at, least, self.watch);
        let before = self.skew.swap(skew, Ordering::Relaxed);
        match (before <= MAX_SKEW, skew <= MAX_SKEW) {
            (true, false) => Turn::Wrong,
            (false, true) => Turn::RightAgain,
            _ => Turn::Same,
        }
    }

    /// The time by which rows that deny may be deleted: the least that either clock has said since an
    /// hour before `now`.
    pub fn sweep_bound(&self, now: Instant) -> Result<UnixTime, NoSweep> {
        if !self.is_right() {
            return Err(NoSweep::Skewed);
        }
        let seen = self.seen();
        let is_covered = seen.samples.front().is_some_and(|(at, _)| now.duration_since(*at) >= self.watch);
        let least = seen.samples.iter().map(|(_, least)| *least).min();
        least.filter(|_| is_covered).ok_or(NoSweep::Young)
    }

    /// A round of cleanup is complete.
    pub fn swept(&self, now: Instant) {
        self.seen().swept = now;
    }

    /// Since the last complete round of cleanup, or since the start if there was none.
    pub fn sweep_age(&self, now: Instant) -> Duration {
        now.duration_since(self.seen().swept)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn note(&mut self, at: Instant, least: UnixTime, watch: Duration) {
        match self.samples.back_mut() {
            // Of all looks within one sample the least counts.
            Some((begun, known)) if at.duration_since(*begun) < watch / SAMPLES => *known = least.min(*known),
            _ => self.samples.push_back((at, least)),
        }
        while self.samples.get(1).is_some_and(|(next, _)| at.duration_since(*next) >= watch) {
            self.samples.pop_front();
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUTH: i64 = 1_800_000_000;
    const MINUTE: Duration = Duration::from_secs(60);

    fn clocks(origin: Instant) -> Clocks {
        Clocks::new(origin, SWEEP_WATCH, DatabaseClock::Asked)
    }

    /// A look `after` the start, at clocks that are ahead of the truth by so many seconds.
    fn look(clocks: &Clocks, origin: Instant, after: Duration, (own, theirs): (i64, i64)) -> Turn {
        let truth = TRUTH + i64::try_from(after.as_secs()).unwrap();
        let at = |ahead: i64| UnixTime::from_seconds(truth + ahead);
        let skew = at(own).millis().abs_diff(at(theirs).millis());
        clocks.note(Reading { at: origin + after, theirs: at(theirs), least: at(own).min(at(theirs)), skew })
    }

    /// The bound, as seconds after the true start.
    fn bound(clocks: &Clocks, now: Instant) -> Result<i64, NoSweep> {
        clocks.sweep_bound(now).map(|bound| bound.seconds() - TRUTH)
    }

    #[test]
    fn a_young_process_sweeps_nothing_and_an_old_one_by_what_was_an_hour_ago() {
        let origin = monotonic();
        let clocks = clocks(origin);
        for minute in 0..=180 {
            let after = MINUTE * minute;
            look(&clocks, origin, after, (0, 0));
            let expected = if minute < 60 { Err(NoSweep::Young) } else { Ok(i64::from(minute - 60) * 60) };
            assert_eq!(bound(&clocks, origin + after), expected, "minute {minute}");
        }
        assert!(clocks.seen().samples.len() <= 62);
    }

    #[test]
    fn clocks_that_jump_ahead_together_are_believed_after_an_hour() {
        let origin = monotonic();
        let clocks = clocks(origin);
        for minute in 0..=60 {
            look(&clocks, origin, MINUTE * minute, (0, 0));
        }
        for minute in 61..=121 {
            let after = MINUTE * minute;
            look(&clocks, origin, after, (7400, 7400));
            let found = bound(&clocks, origin + after).unwrap();
            let truth = i64::from(minute - 60) * 60;
            assert_eq!(found, if minute < 121 { truth } else { truth + 7400 }, "minute {minute}");
        }
    }

    #[test]
    fn a_clock_that_steps_back_takes_the_bound_with_it_at_once() {
        let origin = monotonic();
        let clocks = clocks(origin);
        for minute in 0..=120 {
            look(&clocks, origin, MINUTE * minute, (0, 0));
        }
        look(&clocks, origin, MINUTE * 120 + Duration::from_secs(1), (-7200, -7200));
        assert_eq!(bound(&clocks, origin + MINUTE * 121), Ok(1));
    }

    #[test]
    fn clocks_that_differ_sweep_nothing() {
        let origin = monotonic();
        let clocks = clocks(origin);
        for minute in 0..=60 {
            look(&clocks, origin, MINUTE * minute, (0, 0));
        }
        let now = origin + MINUTE * 61;
        assert_eq!(look(&clocks, origin, MINUTE * 61, (7400, 0)), Turn::Wrong);
        assert_eq!((clocks.is_right(), bound(&clocks, now)), (false, Err(NoSweep::Skewed)));
        assert_eq!(look(&clocks, origin, MINUTE * 61, (7400, 0)), Turn::Same);
        assert_eq!(look(&clocks, origin, MINUTE * 61, (2, 0)), Turn::RightAgain);
        assert_eq!((clocks.is_right(), bound(&clocks, now)), (true, Ok(60)));
    }

    #[test]
    fn a_clock_that_has_jumped_since_the_last_look_is_noticed() {
        let origin = monotonic();
        let clocks = clocks(origin);
        assert!(clocks.agree_with(UnixTime::from_seconds(1)), "nothing is known yet");
        look(&clocks, origin, Duration::ZERO, (0, 0));
        // A request that waited for its body is not wrong.
        for (ahead, agrees) in [(0, true), (1, true), (-50, true), (5, false), (7400, false), (-62, false)] {
            assert_eq!(clocks.agree_with(UnixTime::from_seconds(TRUTH + ahead)), agrees, "{ahead}");
        }
    }

    #[test]
    fn a_long_time_without_a_look_shortens_no_watch() {
        let origin = monotonic();
        let clocks = clocks(origin);
        for minute in 0..=90 {
            look(&clocks, origin, MINUTE * minute, (0, 0));
        }
        look(&clocks, origin, MINUTE * 600, (7400, 7400));
        assert_eq!(bound(&clocks, origin + MINUTE * 600), Ok(90 * 60), "the last before counts");
    }
}
