//! How far the change log has been read: the highest number seen, and the ranges below it that were not
//! visible yet. Plain values.

use std::time::{Duration, Instant};

use crate::store::change_log::Change;

/// No transaction lives this long: statements, locks and idle transactions are cut at seconds.
pub const OLDEST_TRANSACTION: Duration = Duration::from_secs(60);
/// Most ranges that are asked for one by one.
const RANGES: usize = 16;

/// How far the log has been read.
#[derive(Debug, Default)]
pub struct Position {
    highest: i64,
    /// Numbers below the highest that nobody has seen yet, in order.
    missing: Vec<Missing>,
}

/// Numbers that were given out and are held by open transactions, or by nobody any more.
#[derive(Clone, Copy, Debug)]
struct Missing {
    first: i64,
    last: i64,
    since: Instant,
}

impl Position {
    /// After `settled`, below which nothing can become visible any more, `numbers` were seen, in order.
    pub fn starting(settled: i64, numbers: &[i64], now: Instant) -> Self {
        let mut position = Self { highest: settled, missing: Vec::new() };
        numbers.iter().for_each(|seq| position.see(*seq, now));
        position
    }

    /// Whether a number was not taken in yet.
    pub fn is_new(&self, seq: i64) -> bool {
        seq > self.highest || self.missing.iter().any(|gap| (gap.first..=gap.last).contains(&seq))
    }

    /// What the next read asks for: ranges that are still missing, then everything above a number. So a
    /// read costs what is new, however much was written while a transaction is open.
    pub fn wanted(&self) -> (Vec<(i64, i64)>, i64) {
        match self.missing.first() {
            // So many transactions at once that one range is cheaper.
            Some(gap) if self.missing.len() > RANGES => (Vec::new(), gap.first - 1),
            _ => (self.missing.iter().map(|gap| (gap.first, gap.last)).collect(), self.highest),
        }
    }

    /// Takes the rows of one read in, in order of their numbers; answers those not seen before. Gives up
    /// what nobody can fill any more.
    pub fn take(&mut self, changes: Vec<Change>, now: Instant) -> Vec<Change> {
        let unseen: Vec<Change> = changes.into_iter().filter(|change| self.is_new(change.seq)).collect();
        unseen.iter().for_each(|change| self.see(change.seq, now));
        self.missing.retain(|gap| now.duration_since(gap.since) < OLDEST_TRANSACTION);
        unseen
    }

    fn see(&mut self, seq: i64, now: Instant) {
        if seq > self.highest {
            if seq > self.highest + 1 {
                self.missing.push(Missing { first: self.highest + 1, last: seq - 1, since: now });
            }
            self.highest = seq;
            return;
        }
        let Some(at) = self.missing.iter().position(|gap| (gap.first..=gap.last).contains(&seq)) else { return };
        let gap = self.missing.remove(at);
        let rest = [Missing { last: seq - 1, ..gap }, Missing { first: seq + 1, ..gap }];
        self.missing.splice(at..at, rest.into_iter().filter(|gap| gap.first <= gap.last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::UnixTime;
    use crate::domain::clock::monotonic;

    fn rows(numbers: &[i64]) -> Vec<Change> {
        let row = |seq: &i64| Change { seq: *seq, table: None, id: String::new(), at: UnixTime::default() };
        numbers.iter().map(row).collect()
    }

    fn numbers(changes: &[Change]) -> Vec<i64> {
        changes.iter().map(|change| change.seq).collect()
    }

    #[test]
    fn a_number_that_becomes_visible_late_is_still_taken_in() {
        let (mut position, now) = (Position::default(), monotonic());
        assert_eq!(numbers(&position.take(rows(&[1, 2, 4, 5]), now)), [1, 2, 4, 5]);
        assert_eq!(position.wanted(), (vec![(3, 3)], 5));
        let later = now + Duration::from_secs(30);
        assert_eq!(numbers(&position.take(rows(&[3, 4, 5, 6]), later)), [3, 6]);
        assert_eq!(position.wanted(), (Vec::new(), 6));
    }

    #[test]
    fn a_range_is_filled_piece_by_piece() {
        let (mut position, now) = (Position::default(), monotonic());
        position.take(rows(&[10]), now);
        assert_eq!(position.wanted(), (vec![(1, 9)], 10));
        assert_eq!(numbers(&position.take(rows(&[1, 5, 9]), now)), [1, 5, 9]);
        assert_eq!(position.wanted(), (vec![(2, 4), (6, 8)], 10));
        assert_eq!(numbers(&position.take(rows(&[2, 3, 4, 5]), now)), [2, 3, 4]);
        assert_eq!(position.wanted(), (vec![(6, 8)], 10));
        assert!(position.is_new(7) && position.is_new(11) && !position.is_new(4) && !position.is_new(10));
    }

    #[test]
    fn a_gap_is_given_up_when_no_transaction_can_fill_it_any_more() {
        let (mut position, now) = (Position::default(), monotonic());
        position.take(rows(&[7]), now);
        position.take(rows(&[]), now + OLDEST_TRANSACTION / 2);
        assert!(position.is_new(3));
        assert!(position.take(rows(&[7]), now + OLDEST_TRANSACTION).is_empty());
        assert_eq!((position.wanted(), position.is_new(3)), ((Vec::new(), 7), false));
    }

    #[test]
    fn a_gap_keeps_its_age_when_it_is_filled_in_part() {
        let (mut position, now) = (Position::default(), monotonic());
        position.take(rows(&[9]), now);
        position.take(rows(&[4]), now + OLDEST_TRANSACTION / 2);
        position.take(rows(&[]), now + OLDEST_TRANSACTION);
        assert_eq!(position.wanted(), (Vec::new(), 9));
    }

    #[test]
    fn many_gaps_are_asked_for_as_one_range() {
        let even: Vec<i64> = (1..=20).map(|n| n * 2).collect();
        let position = Position::starting(0, &even, monotonic());
        assert_eq!(position.wanted(), (Vec::new(), 0));
        assert!(position.is_new(1) && position.is_new(39) && !position.is_new(2));
    }

    #[test]
    fn a_start_knows_what_it_saw_and_what_it_did_not() {
        let position = Position::starting(100, &[101, 102, 105], monotonic());
        assert_eq!(position.wanted(), (vec![(103, 104)], 105));
        assert_eq!(Position::starting(100, &[], monotonic()).wanted(), (Vec::new(), 100));
    }
}
