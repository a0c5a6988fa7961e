//! `login_failures`: how often somebody was tried in vain. A row is a debt that leaks away: each
//! failure moves `clear_at` on by the time it is remembered for, and what is left of it at a moment
//! says how many failures still count then. Exact in whole seconds, without a job that counts down.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::domain::{Fault, UnixTime};
use crate::store::connection::{Conn, each};

diesel::table! {
    login_failures (id) {
        id -> Text,
        clear_at -> BigInt,
    }
}

/// When these are free of failures again, epoch seconds; those that never failed are missing.
pub fn clear_at(conn: &mut Conn, ids: &[&str]) -> Result<HashMap<String, i64>, Fault> {
    let rows: Vec<(String, i64)> = each!(conn, conn => login_failures::table
        .filter(login_failures::id.eq_any(ids.iter().copied()))
        .load(conn))?;
    Ok(rows.into_iter().collect())
}

/// What a failure adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Debt {
    pub seconds: i64,
    /// No row owes more, seconds.
    pub most: i64,
}

impl Debt {
    /// Whether a row that is clear at `clear_at` owes more at `now` (epoch seconds) than any can: it was
    /// written before the clock went back, and says nothing.
    pub const fn is_of_another_clock(self, clear_at: i64, now: i64) -> bool {
        clear_at > now + self.most + UnixTime::AHEAD
    }
}

/// Adds debt at `now` (epoch seconds). Several nodes write at once, so the row decides and not what
/// somebody read.
pub fn add(conn: &mut Conn, id: &str, now: i64, debt: Debt) -> Result<(), Fault> {
    // The branches: of another clock; full; owing; clear.
    const ADD: &str = "INSERT INTO login_failures (id, clear_at) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET \
         clear_at = CASE WHEN login_failures.clear_at > $3 THEN $4 WHEN login_failures.clear_at > $5 THEN $6 \
         WHEN login_failures.clear_at > $7 THEN login_failures.clear_at + $8 ELSE $9 END";
    let (full, fresh) = (now + debt.most, now + debt.seconds.min(debt.most));
    diesel::sql_query(ADD)
        .bind::<Text, _>(id)
        .bind::<BigInt, _>(fresh)
        .bind::<BigInt, _>(full + UnixTime::AHEAD)
        .bind::<BigInt, _>(fresh)
        .bind::<BigInt, _>(full - debt.seconds)
        .bind::<BigInt, _>(full)
        .bind::<BigInt, _>(now)
        .bind::<BigInt, _>(debt.seconds)
        .bind::<BigInt, _>(fresh)
        .execute(conn)?;
    Ok(())
}
