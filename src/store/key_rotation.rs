//! Rotation of `signing_keys` by schedule. `rotate_at` of an active key says when the next one is to be
//! made; it is planned by the provider's settings and forgotten when they change. Every step goes by a
//! partial index, so ten thousand providers cost a tick as much as one.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::domain::key::StoredSigningKey;
use crate::domain::{Fault, ProviderId, SigningAlg};
use crate::store::connection::Conn;
use crate::store::signing_keys;

/// The next key is made this many seconds and one `jwks_max_age` before it signs.
pub const MADE_BEFORE: i64 = 86_400;
/// The end of the year 9999, epoch seconds: not before something else happens.
const NEVER: i64 = 253_402_300_799;

/// An active key whose successor is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueKey {
    pub kid: String,
    pub provider: ProviderId,
    pub alg: SigningAlg,
    /// Epoch seconds.
    pub activates_at: i64,
    rotate_at: i64,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    kid: String,
    #[diesel(sql_type = Text)]
    provider_id: String,
    #[diesel(sql_type = Text)]
    alg: String,
    #[diesel(sql_type = BigInt)]
    activates_at: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    rotate_at: Option<i64>,
}

/// Plans at most `limit` active keys that are not planned; answers how many.
pub fn plan(conn: &mut Conn, limit: u32) -> Result<usize, Fault> {
    // Keys that somebody changes right now are left to the next tick.
    let skip = if matches!(conn, Conn::Postgres(_)) { " FOR UPDATE SKIP LOCKED" } else { "" };
    let sql = format!(
        "UPDATE signing_keys SET rotate_at = (SELECT CASE WHEN p.deleted_at IS NULL \
         THEN signing_keys.activates_at + p.key_rotation - p.jwks_max_age - {MADE_BEFORE} ELSE {NEVER} END \
         FROM providers p WHERE p.id = signing_keys.provider_id) WHERE kid IN \
         (SELECT kid FROM signing_keys WHERE state = 'active' AND rotate_at IS NULL ORDER BY kid LIMIT {limit}{skip})"
    );
    Ok(diesel::sql_query(sql).execute(conn)?)
}

/// Whether a key is not planned yet.
pub fn any_unplanned(conn: &mut Conn) -> Result<bool, Fault> {
    const SQL: &str = "SELECT kid, provider_id, alg, activates_at, rotate_at FROM signing_keys \
         WHERE state = 'active' AND rotate_at IS NULL ORDER BY kid LIMIT 1";
    let rows: Vec<Row> = diesel::sql_query(SQL).load(conn)?;
    Ok(!rows.is_empty())
}

/// Lets the keys of a provider be planned again, because its settings have changed.
pub fn forget_plan(conn: &mut Conn, provider: &ProviderId) -> Result<(), Fault> {
    const SQL: &str = "UPDATE signing_keys SET rotate_at = NULL WHERE provider_id = $1 AND state = 'active'";
    diesel::sql_query(SQL).bind::<Text, _>(provider.as_str()).execute(conn)?;
    Ok(())
}

/// At most `limit` keys whose successor is due at `now` (epoch seconds), the longest due first.
pub fn due(conn: &mut Conn, now: i64, limit: u32) -> Result<Vec<DueKey>, Fault> {
    let sql = format!(
        "SELECT kid, provider_id, alg, activates_at, rotate_at FROM signing_keys \
         WHERE state = 'active' AND rotate_at <= $1 ORDER BY rotate_at LIMIT {limit}"
    );
    let rows: Vec<Row> = diesel::sql_query(sql).bind::<BigInt, _>(now).load(conn)?;
    let known = |Row { kid, provider_id, alg, activates_at, rotate_at }| {
        let alg = SigningAlg::from_name(&alg)?;
        Some(DueKey { kid, provider: provider_id.into(), alg, activates_at, rotate_at: rotate_at? })
    };
    Ok(rows.into_iter().filter_map(known).collect())
}

/// Takes a due key up for `seconds`: `true` for exactly one of many nodes. If that one dies, the key is
/// due again afterwards.
pub fn claim(conn: &mut Conn, due: &DueKey, now: i64, seconds: i64) -> Result<bool, Fault> {
    set(conn, due, Some(now + seconds))
}

/// The successor of a key that was claimed at `now` for `seconds` is there, or is made by somebody else:
/// nothing is due before it signs.
pub fn settle(conn: &mut Conn, due: &DueKey, now: i64, seconds: i64) -> Result<bool, Fault> {
    set(conn, &DueKey { rotate_at: now + seconds, ..due.clone() }, Some(NEVER))
}

/// A key that was claimed turns out not to be due: it is planned again.
pub fn plan_again(conn: &mut Conn, due: &DueKey, now: i64, seconds: i64) -> Result<bool, Fault> {
    set(conn, &DueKey { rotate_at: now + seconds, ..due.clone() }, None)
}

fn set(conn: &mut Conn, due: &DueKey, rotate_at: Option<i64>) -> Result<bool, Fault> {
    // SQLite numbers `$n` by first appearance, so the binds appear in order.
    const SQL: &str = "UPDATE signing_keys SET rotate_at = $1 WHERE kid = $2 AND state = 'active' AND rotate_at = $3";
    let rows = diesel::sql_query(SQL)
        .bind::<Nullable<BigInt>, _>(rotate_at)
        .bind::<Text, _>(&due.kid)
        .bind::<BigInt, _>(due.rotate_at)
        .execute(conn)?;
    Ok(rows == 1)
}

/// Throws a waiting key of the algorithm away, retires the one that signs and lets `key` sign, at once.
/// `false`: none was active. `key.state` must be active; call it in a transaction that holds the
/// provider's row.
pub fn replace_active(conn: &mut Conn, key: StoredSigningKey, now: i64) -> Result<bool, Fault> {
    const RETIRE: &str = "UPDATE signing_keys SET state = 'retired', retired_at = $1 \
         WHERE provider_id = $2 AND alg = $3 AND state = 'active'";
    const THROW_AWAY: &str = "DELETE FROM signing_keys WHERE provider_id = $1 AND alg = $2 AND state = 'next'";
    let (provider, alg) = (key.provider.clone(), key.alg.name());
    let retired = diesel::sql_query(RETIRE)
        .bind::<BigInt, _>(now)
        .bind::<Text, _>(provider.as_str())
        .bind::<Text, _>(alg)
        .execute(conn)?;
    if retired == 0 {
        return Ok(false);
    }
    diesel::sql_query(THROW_AWAY).bind::<Text, _>(provider.as_str()).bind::<Text, _>(alg).execute(conn)?;
    signing_keys::insert_active_if_none(conn, key)
}

/// Keys whose successor should have been made, or that should sign, `late` seconds before `now`:
/// at most `limit`.
pub fn overdue(conn: &mut Conn, now: i64, late: i64, limit: u32) -> Result<Vec<DueKey>, Fault> {
    let mut found = due(conn, now - late, limit)?;
    let sql = format!(
        "SELECT kid, provider_id, alg, activates_at, activates_at AS rotate_at FROM signing_keys \
         WHERE state = 'next' AND activates_at <= $1 ORDER BY activates_at LIMIT {limit}"
    );
    let rows: Vec<Row> = diesel::sql_query(sql).bind::<BigInt, _>(now - late).load(conn)?;
    found.extend(rows.into_iter().filter_map(|Row { kid, provider_id, alg, activates_at, rotate_at }| {
        let alg = SigningAlg::from_name(&alg)?;
        Some(DueKey { kid, provider: provider_id.into(), alg, activates_at, rotate_at: rotate_at? })
    }));
    Ok(found)
}
