//! `login_failures`: how often somebody was tried in vain. A row is a debt that leaks away: each
//! failure moves `clear_at` on by the time it is remembered for, and what is left of it at a moment
//! says how many failures still count then. Exact in whole seconds, without a job that counts down.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::domain::Fault;
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

/// Adds `seconds` of debt at `now` (epoch seconds). Several nodes write at once, so the row decides
/// and not what somebody read.
pub fn add(conn: &mut Conn, id: &str, now: i64, seconds: i64) -> Result<(), Fault> {
    const ADD: &str = "INSERT INTO login_failures (id, clear_at) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET \
         clear_at = CASE WHEN login_failures.clear_at > $3 THEN login_failures.clear_at ELSE $3 END + $4";
    diesel::sql_query(ADD)
        .bind::<Text, _>(id)
        .bind::<BigInt, _>(now + seconds)
        .bind::<BigInt, _>(now)
        .bind::<BigInt, _>(seconds)
        .execute(conn)?;
    Ok(())
}
