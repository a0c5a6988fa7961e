//! `api_key_secrets`: several of one API key side by side, each found by its keyed digest. A trigger
//! makes the first one with the key's row; it has the key's own id.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use crate::domain::api_key::ApiKeySecret;
use crate::domain::{ApiKeyId, Fault, SecretId};
use crate::store::api_keys::KeyDigest;
use crate::store::connection::{Conn, each};
use crate::store::usage::{self, UsageKind};

diesel::table! {
    api_key_secrets (id) {
        id -> Text,
        key_id -> Text,
        pepper_id -> Text,
        digest -> Binary,
        hint -> Text,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
    }
}

type Row = (String, String, i64, Option<i64>, Option<i64>);

fn secret((id, hint, created_at, expires_at, revoked_at): Row) -> ApiKeySecret {
    // When it was last used stands in `usage`.
    ApiKeySecret { id: SecretId::from(id), hint, created_at, expires_at, last_used_at: None, revoked_at }
}

macro_rules! columns {
    () => {
        (
            api_key_secrets::id,
            api_key_secrets::hint,
            api_key_secrets::created_at,
            api_key_secrets::expires_at,
            api_key_secrets::revoked_at,
        )
    };
}

/// Key and id of the secret with this digest; also of one that has ended. What a digest belongs to
/// never changes.
pub fn by_digest(conn: &mut Conn, digest: &KeyDigest) -> Result<Option<(ApiKeyId, SecretId)>, Fault> {
    let row: Option<(String, String)> = each!(conn, conn => api_key_secrets::table
        .filter(api_key_secrets::digest.eq(digest.digest.as_slice()))
        .filter(api_key_secrets::pepper_id.eq(digest.pepper_id.as_str()))
        .select((api_key_secrets::key_id, api_key_secrets::id))
        .first(conn)
        .optional())?;
    Ok(row.map(|(key, id)| (key.into(), id.into())))
}

/// All of a key, ended ones too, ordered by id, with when each was last used.
pub fn list(conn: &mut Conn, key: &ApiKeyId) -> Result<Vec<ApiKeySecret>, Fault> {
    let own = api_key_secrets::table.filter(api_key_secrets::key_id.eq(key.as_str()));
    let rows: Vec<Row> = own.order(api_key_secrets::id).select(columns!()).load(conn)?;
    let mut secrets: Vec<ApiKeySecret> = rows.into_iter().map(secret).collect();
    let ids: Vec<&str> = secrets.iter().map(|secret| secret.id.as_str()).collect();
    let used = usage::of(conn, UsageKind::ApiKeySecret, &ids)?;
    for secret in &mut secrets {
        secret.last_used_at = used.get(secret.id.as_str()).and_then(|usage| usage.last_used_at);
    }
    Ok(secrets)
}

/// Those that work at `now` (epoch seconds), without `last_used_at`: what a cached key holds.
pub fn live(conn: &mut Conn, key: &ApiKeyId, now: i64) -> Result<Vec<ApiKeySecret>, Fault> {
    let rows: Vec<Row> = each!(conn, conn => api_key_secrets::table
        .filter(api_key_secrets::key_id.eq(key.as_str()))
        .filter(api_key_secrets::revoked_at.is_null())
        .filter(api_key_secrets::expires_at.is_null().or(api_key_secrets::expires_at.gt(now)))
        .order(api_key_secrets::id)
        .select(columns!())
        .load(conn))?;
    Ok(rows.into_iter().map(secret).collect())
}

/// Adds a secret while fewer than `max_live` work at `now` (epoch seconds), and shows its hint as the
/// key's. `false`: the key has that many. Lock the key before, in the same transaction.
pub fn insert_below(
    conn: &mut Conn,
    key: &ApiKeyId,
    secret: &ApiKeySecret,
    digest: &KeyDigest,
    max_live: usize,
    now: i64,
) -> Result<bool, Fault> {
    // SQLite numbers `$n` by first appearance, so the binds appear in order.
    const INSERT: &str = "INSERT INTO api_key_secrets \
         (id, key_id, pepper_id, digest, hint, created_at, expires_at, revoked_at) \
         SELECT $1, $2, $3, $4, $5, $6, $7, NULL WHERE \
         (SELECT count(*) FROM api_key_secrets WHERE key_id = $2 AND revoked_at IS NULL \
          AND (expires_at IS NULL OR expires_at > $8)) < $9";
    let ApiKeySecret { id, hint, created_at, expires_at, last_used_at: _, revoked_at: _ } = secret;
    let rows = diesel::sql_query(INSERT)
        .bind::<Text, _>(id.as_str())
        .bind::<Text, _>(key.as_str())
        .bind::<Text, _>(&digest.pepper_id)
        .bind::<Binary, _>(digest.digest.as_slice())
        .bind::<Text, _>(hint)
        .bind::<BigInt, _>(created_at)
        .bind::<Nullable<BigInt>, _>(expires_at)
        .bind::<BigInt, _>(now)
        .bind::<BigInt, _>(i64::try_from(max_live).unwrap_or(i64::MAX))
        .execute(conn)?;
    Ok(rows == 1)
}

/// Gives every live secret of the key but `kept` an end no later than `end` (epoch seconds); answers
/// how many.
pub fn end_others_by(conn: &mut Conn, key: &ApiKeyId, kept: &SecretId, end: i64) -> Result<usize, Fault> {
    let others = api_key_secrets::table
        .filter(api_key_secrets::key_id.eq(key.as_str()))
        .filter(api_key_secrets::id.ne(kept.as_str()))
        .filter(api_key_secrets::revoked_at.is_null())
        .filter(api_key_secrets::expires_at.is_null().or(api_key_secrets::expires_at.gt(end)));
    Ok(diesel::update(others).set(api_key_secrets::expires_at.eq(end)).execute(conn)?)
}

/// Ends every live secret of the key but `kept` at once. `now` in epoch seconds.
pub fn revoke_others(conn: &mut Conn, key: &ApiKeyId, kept: &SecretId, now: i64) -> Result<usize, Fault> {
    let others = api_key_secrets::table
        .filter(api_key_secrets::key_id.eq(key.as_str()))
        .filter(api_key_secrets::id.ne(kept.as_str()))
        .filter(api_key_secrets::revoked_at.is_null())
        .filter(api_key_secrets::expires_at.is_null().or(api_key_secrets::expires_at.gt(now)));
    Ok(diesel::update(others).set(api_key_secrets::revoked_at.eq(now)).execute(conn)?)
}

/// Ends a secret. `false`: unknown, or revoked before. `now` in epoch seconds.
pub fn revoke(conn: &mut Conn, key: &ApiKeyId, id: &SecretId, now: i64) -> Result<bool, Fault> {
    let row = api_key_secrets::table
        .filter(api_key_secrets::id.eq(id.as_str()))
        .filter(api_key_secrets::key_id.eq(key.as_str()))
        .filter(api_key_secrets::revoked_at.is_null());
    Ok(diesel::update(row).set(api_key_secrets::revoked_at.eq(now)).execute(conn)? == 1)
}
