//! `usage`: when a credential last worked and how often it failed. Written behind the requests by
//! [`behind`](crate::store::behind), so it may be a second late and is never waited for.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::domain::Fault;
use crate::store::connection::{Conn, each};

diesel::table! {
    usage (kind, id) {
        kind -> Text,
        id -> Text,
        last_used_at -> Nullable<BigInt>,
        failures -> BigInt,
        last_failed_at -> Nullable<BigInt>,
    }
}

/// What was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UsageKind {
    /// Id: `<provider id>/<client_id>`.
    Client,
    /// Id: the secret's id.
    ClientSecret,
    /// Id: the key's id.
    ApiKey,
    /// Id: the secret's id.
    ApiKeySecret,
}

impl UsageKind {
    pub const ALL: [Self; 4] = [Self::Client, Self::ClientSecret, Self::ApiKey, Self::ApiKeySecret];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::ClientSecret => "client_secret",
            Self::ApiKey => "api_key",
            Self::ApiKeySecret => "api_key_secret",
        }
    }
}

/// What is known of one credential. Times are epoch seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub last_used_at: Option<i64>,
    pub failures: i64,
    pub last_failed_at: Option<i64>,
}

/// The usage of these ids; those never used or tried are missing.
pub fn of(conn: &mut Conn, kind: UsageKind, ids: &[&str]) -> Result<HashMap<String, Usage>, Fault> {
    let rows: Vec<(String, Option<i64>, i64, Option<i64>)> = each!(conn, conn => usage::table
        .filter(usage::kind.eq(kind.name()))
        .filter(usage::id.eq_any(ids.iter().copied()))
        .select((usage::id, usage::last_used_at, usage::failures, usage::last_failed_at))
        .load(conn))?;
    let known = |(id, last_used_at, failures, last_failed_at)| (id, Usage { last_used_at, failures, last_failed_at });
    Ok(rows.into_iter().map(known).collect())
}

/// Adds to what is known: the later time wins, failures sum up. Several nodes write at once, so the
/// row decides and not what somebody read.
pub fn add(conn: &mut Conn, kind: UsageKind, id: &str, more: Usage) -> Result<(), Fault> {
    const ADD: &str = "INSERT INTO usage (kind, id, last_used_at, failures, last_failed_at) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (kind, id) DO UPDATE SET \
         failures = usage.failures + excluded.failures, \
         last_used_at = CASE WHEN usage.last_used_at IS NULL OR excluded.last_used_at > usage.last_used_at \
             THEN excluded.last_used_at ELSE usage.last_used_at END, \
         last_failed_at = CASE WHEN usage.last_failed_at IS NULL OR excluded.last_failed_at > usage.last_failed_at \
             THEN excluded.last_failed_at ELSE usage.last_failed_at END";
    let Usage { last_used_at, failures, last_failed_at } = more;
    diesel::sql_query(ADD)
        .bind::<Text, _>(kind.name())
        .bind::<Text, _>(id)
        .bind::<Nullable<BigInt>, _>(last_used_at)
        .bind::<BigInt, _>(failures)
        .bind::<Nullable<BigInt>, _>(last_failed_at)
        .execute(conn)?;
    Ok(())
}
