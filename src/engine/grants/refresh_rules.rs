//! What becomes of a family when one of its tokens is presented: five rules, first match wins. Pure:
//! who may ask, and whether the token is genuine and unexpired, has been judged before.

use crate::domain::client_policy::RefreshRotation;
use crate::domain::person::REMEMBERED_ROTATIONS;
use crate::domain::{RefreshFamily, UnixTime};

/// A token is replaced early when this much of its life is over, tenths.
const LATE: i64 = 7;

/// How a client's refresh tokens behave. Seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshPolicy {
    pub rotation: RefreshRotation,
    /// A replaced token still leads to the newest one for this long.
    pub grace: i64,
    /// So does the one before the newest, while the newest has not been presented.
    pub grace_unused: i64,
    /// A token that is not used dies after this.
    pub idle: i64,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The newest token was presented, or a newer one than the row knows. The family as it is to be
    /// stored, guarded by the generation it has now; its newest token is the answer's.
    Renew(Box<RefreshFamily>),
    /// The newest token again, and nothing is written.
    Repeat,
    /// A token that was replaced long ago: somebody else may hold it. The grant ends.
    Replay,
}

/// Judges the presentation of generation `presented` at `now`.
pub fn judge(family: &RefreshFamily, presented: u32, now: UnixTime, policy: &RefreshPolicy) -> Verdict {
    // 1. The newest. 2. Newer than the row: the database lost commits; it catches up first.
    if presented >= family.generation {
        let mut at_hand = family.clone();
        if presented > family.generation {
            at_hand.generation = presented;
            // When the generations between were replaced is lost.
            at_hand.rotated_at.clear();
        }
        return Verdict::Renew(Box::new(used(at_hand, now, policy)));
    }
    // 3. Replaced a moment ago: two tabs, or a lost answer.
    if replaced_within(family, presented, now, policy.grace) {
        return Verdict::Repeat;
    }
    // 4. The successor never reached the client, which comes back later with what it has.
    let before_newest = presented + 1 == family.generation;
    if before_newest && !family.newest_presented && replaced_within(family, presented, now, policy.grace_unused) {
        return Verdict::Repeat;
    }
    // 5.
    Verdict::Replay
}

/// The family after its newest token was used.
fn used(mut family: RefreshFamily, now: UnixTime, policy: &RefreshPolicy) -> RefreshFamily {
    family.used_at = now.seconds();
    family.idle_ends_at = family.ends_at.min(now.seconds() + policy.idle);
    // The last number there is stays the last.
    let next = family.generation.checked_add(1).filter(|_| is_due(&family, now, policy));
    family.newest_presented = next.is_none();
    if let Some(next) = next {
        family.generation = next;
        family.rotated_at.insert(0, now.millis());
        family.rotated_at.truncate(REMEMBERED_ROTATIONS);
    }
    family
}

fn is_due(family: &RefreshFamily, now: UnixTime, policy: &RefreshPolicy) -> bool {
    match policy.rotation {
        RefreshRotation::Always => true,
        RefreshRotation::Never => false,
        RefreshRotation::Late => {
            let since = family.rotated_at.first().copied().unwrap_or(family.created_at * 1000);
            now.millis_since(since).is_none_or(|age| age.saturating_mul(10) >= policy.idle * 1000 * LATE)
        }
    }
}

/// Whether this generation was replaced less than `grace` seconds ago; unknown counts as long ago.
fn replaced_within(family: &RefreshFamily, presented: u32, now: UnixTime, grace: i64) -> bool {
    // A clock behind that of the node which rotated must not open a window that is closed, and one that
    // was set back by an hour must not keep a window open for that hour.
    if grace <= 0 {
        return false;
    }
    let back = (family.generation - presented - 1) as usize;
    family.rotated_at.get(back).and_then(|replaced| now.millis_since(*replaced)).is_some_and(|age| age < grace * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::token::{Epochs, Jti};
    use crate::domain::{AudienceSet, PersonGrant, ScopeSet};

    const CREATED: i64 = 1_000_000;

    fn family(generation: u32, newest_presented: bool, rotated: &[i64]) -> RefreshFamily {
        let grant = PersonGrant {
            id: Jti([1; 16]),
            provider: "p".into(),
            client: "c".into(),
            user: "u".into(),
            session: None,
            scope: ScopeSet::default(),
            audience: AudienceSet::default(),
            claims: String::new(),
            auth_time: CREATED,
            amr: crate::domain::session::Amr::default(),
        };
        RefreshFamily {
            grant,
            key_id: "r".into(),
            salt: [0; 16],
            generation,
            newest_presented,
            // Given as seconds after the creation.
            rotated_at: rotated.iter().map(|second| (CREATED + second) * 1000).collect(),
            created_at: CREATED,
            used_at: CREATED,
            idle_ends_at: CREATED + 1000,
            ends_at: CREATED + 5000,
            revoked_at: None,
            epochs: Epochs::default(),
            max_ttl: None,
        }
    }

    const ALWAYS: RefreshPolicy =
        RefreshPolicy { rotation: RefreshRotation::Always, grace: 10, grace_unused: 0, idle: 1000 };

    fn at(second: i64) -> UnixTime {
        UnixTime::from_seconds(CREATED + second)
    }

    /// Generation of the row, newest presented, rotations; presented, when; policy; outcome.
    type Case<'a> = (u32, bool, &'a [i64], u32, i64, &'a RefreshPolicy, &'a str);

    /// `Renew` as (generation, newest_presented, rotations), else the letter of the verdict.
    fn outcome(family: &RefreshFamily, presented: u32, second: i64, policy: &RefreshPolicy) -> String {
        match judge(family, presented, at(second), policy) {
            Verdict::Renew(after) => {
                let times: Vec<i64> = after.rotated_at.iter().map(|at| at / 1000 - CREATED).collect();
                format!("{} {} {times:?}", after.generation, after.newest_presented)
            }
            Verdict::Repeat => "repeat".to_owned(),
            Verdict::Replay => "replay".to_owned(),
        }
    }

    #[test]
    fn the_five_rules_in_their_order() {
        let unused = RefreshPolicy { grace_unused: 86_400, ..ALWAYS };
        let closed = RefreshPolicy { grace: 0, ..ALWAYS };
        let never = RefreshPolicy { rotation: RefreshRotation::Never, ..ALWAYS };
        let table: &[Case<'_>] = &[
            // 1
            (1, false, &[], 1, 5, &ALWAYS, "2 false [5]"),
            (3, false, &[9, 4], 3, 20, &ALWAYS, "4 false [20, 9, 4]"),
            (3, true, &[9, 4], 3, 20, &never, "3 true [9, 4]"),
            (1, false, &[], 1, 5, &never, "1 true []"),
            // 2
            (1, false, &[], 5, 5, &ALWAYS, "6 false [5]"),
            (3, true, &[9, 4], 7, 20, &never, "7 true []"),
            // 3, from its own replacement
            (2, false, &[5], 1, 14, &ALWAYS, "repeat"),
            (2, true, &[5], 1, 14, &ALWAYS, "repeat"),
            (3, false, &[9, 5], 1, 14, &ALWAYS, "repeat"),
            (3, false, &[9, 5], 1, 15, &ALWAYS, "replay"),
            (3, false, &[9, 5], 2, 15, &ALWAYS, "repeat"),
            (2, false, &[5], 1, 5, &closed, "replay"),
            // 4
            (2, false, &[5], 1, 15, &ALWAYS, "replay"),
            (2, false, &[5], 1, 15, &unused, "repeat"),
            (2, false, &[5], 1, 86_404, &unused, "repeat"),
            (2, false, &[5], 1, 86_405, &unused, "replay"),
            (2, true, &[5], 1, 15, &unused, "replay"),
            (3, false, &[9, 5], 1, 19, &unused, "replay"),
            (3, false, &[9, 5], 2, 19, &unused, "repeat"),
            // 5, also where the time is no longer known
            (9, false, &[], 1, 5, &ALWAYS, "replay"),
            (9, false, &[], 8, 5, &unused, "replay"),
        ];
        for (generation, newest, rotated, presented, second, policy, expected) in table {
            let row = family(*generation, *newest, rotated);
            let found = outcome(&row, *presented, *second, policy);
            assert_eq!(found, *expected, "{generation} {newest} {rotated:?}, {presented} at {second}");
        }
    }

    #[test]
    fn a_clock_that_is_behind_opens_no_window_that_is_closed() {
        let closed = RefreshPolicy { grace: 0, ..ALWAYS };
        assert_eq!(outcome(&family(2, false, &[5]), 1, 3, &closed), "replay");
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_no_window_open() {
        let unused = RefreshPolicy { grace_unused: 86_400, ..ALWAYS };
        let late = RefreshPolicy { rotation: RefreshRotation::Late, ..ALWAYS };
        // Replaced at 3605, before the clock went back by an hour; then by a node that is a little ahead.
        assert_eq!(outcome(&family(2, false, &[3605]), 1, 6, &ALWAYS), "replay");
        assert_eq!(outcome(&family(2, false, &[3605]), 1, 6, &unused), "replay");
        assert_eq!(outcome(&family(2, false, &[8]), 1, 6, &ALWAYS), "repeat");
        assert_eq!(outcome(&family(2, false, &[3605]), 2, 6, &late), "3 false [6, 3605]", "its age is not known");
    }

    #[test]
    fn late_rotates_from_seventy_percent_of_the_tokens_own_life() {
        let late = RefreshPolicy { rotation: RefreshRotation::Late, ..ALWAYS };
        assert_eq!(outcome(&family(1, false, &[]), 1, 699, &late), "1 true []");
        assert_eq!(outcome(&family(1, true, &[]), 1, 700, &late), "2 false [700]");
        assert_eq!(outcome(&family(2, false, &[700]), 2, 1399, &late), "2 true [700]");
        assert_eq!(outcome(&family(2, false, &[700]), 2, 1400, &late), "3 false [1400, 700]");
    }

    #[test]
    fn a_use_moves_the_idle_end_but_never_beyond_the_absolute_one() {
        let after = |second| match judge(&family(1, false, &[]), 1, at(second), &ALWAYS) {
            Verdict::Renew(after) => (after.used_at - CREATED, after.idle_ends_at - CREATED),
            other => panic!("{other:?}"),
        };
        assert_eq!(after(900), (900, 1900));
        assert_eq!(after(4500), (4500, 5000));
    }

    #[test]
    fn only_the_last_eight_rotations_are_kept() {
        let row = family(9, false, &[80, 70, 60, 50, 40, 30, 20, 10]);
        assert_eq!(outcome(&row, 9, 90, &ALWAYS), "10 false [90, 80, 70, 60, 50, 40, 30, 20]");
        let wide = RefreshPolicy { grace: 300, ..ALWAYS };
        assert_eq!(outcome(&row, 1, 90, &wide), "repeat");
        let after = family(10, false, &[90, 80, 70, 60, 50, 40, 30, 20]);
        assert_eq!(outcome(&after, 1, 90, &wide), "replay", "its replacement is no longer known");
    }

    #[test]
    fn the_last_generation_stays() {
        let found = outcome(&family(u32::MAX, false, &[5]), u32::MAX, 9, &ALWAYS);
        assert_eq!(found, format!("{} true [5]", u32::MAX));
    }
}
