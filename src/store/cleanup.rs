//! Cleanup: rows whose time is over, by the index on it, in small background jobs, so that a large
//! backlog never holds a lock for long. Many of them deny something, so the time that is given here
//! must be one that no wrong clock has made (`engine/clocks`).

use std::time::Instant;

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::domain::{Fault, UnixTime};
use crate::store::Db;
use crate::store::connection::Conn;

/// Rows of one job.
pub const BATCH: u32 = 500;
/// Jobs of one sort in one call: the rest waits for the next.
const JOBS: u32 = 20;
/// An entry outlives its token by this many seconds, since the clocks of the nodes differ.
const LEEWAY: i64 = 60;
/// `change_log` is kept this many seconds; a node that was away for longer drops its caches.
const CHANGE_LOG_KEPT: i64 = 600;
/// A used token is remembered for this many seconds beyond its end.
const SPENT_KEPT: i64 = 3600;
/// A session is kept this many seconds beyond its end: a person may look for it.
const SESSIONS_KEPT: i64 = 86_400;
/// A code is recognised for this many seconds after its end.
const CODES_KEPT: i64 = 86_400;

/// A deleted domain is kept for this many seconds: somebody may look for what became of it.
const DOMAINS_KEPT: i64 = 30 * 86_400;
/// An ended issuer is kept for this many seconds beyond its last token: other servers' tokens are judged
/// with a leeway, and as long as one could pass, the issuer counts as ours.
const ISSUERS_KEPT: i64 = 86_400;

/// What has an end of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// Revocations of tokens that have expired by now.
    Revoked,
    /// Assertion ids whose assertions have expired.
    AssertionJtis,
    /// One-time tokens that were used and have long expired.
    SpentTokens,
    /// Failed logins that have leaked away.
    LoginFailures,
    ChangeLog,
    /// Retired keys that no token can need any more.
    SigningKeys,
    /// Codes: a while after their end, so that a second use is recognised.
    AuthorizationCodes,
    /// Refresh families that nobody can use any more.
    RefreshFamilies,
    /// Sessions that were over long ago, with what is known of their clients.
    Sessions,
    /// Issuers of domains that were given up, once no token that carries one can live.
    EndedIssuers,
    DeletedDomains,
    /// Answers that are not given again any more.
    IdempotencyKeys,
}

impl Expired {
    pub const ALL: [Self; 12] = [
        Self::Revoked,
        Self::AssertionJtis,
        Self::SpentTokens,
        Self::LoginFailures,
        Self::ChangeLog,
        Self::SigningKeys,
        Self::AuthorizationCodes,
        Self::RefreshFamilies,
        Self::Sessions,
        Self::EndedIssuers,
        Self::DeletedDomains,
        Self::IdempotencyKeys,
    ];

    /// Table, condition with the one bind `$1`, column of the order, and the bind.
    fn which(self, now: UnixTime) -> (&'static str, &'static str, &'static str, i64) {
        let seconds = now.seconds() - LEEWAY;
        match self {
            Self::Revoked => ("revoked", "expires_at <= $1", "expires_at", seconds),
            Self::AssertionJtis => ("assertion_jtis", "expires_at <= $1", "expires_at", seconds),
            Self::SpentTokens => ("spent_tokens", "expires_at <= $1", "expires_at", now.seconds() - SPENT_KEPT),
            Self::IdempotencyKeys => ("idempotency_keys", "expires_at <= $1", "expires_at", seconds),
            Self::LoginFailures => ("login_failures", "clear_at <= $1", "clear_at", seconds),
            Self::ChangeLog => ("change_log", "at <= $1", "at", now.millis() - CHANGE_LOG_KEPT * 1000),
            Self::AuthorizationCodes => ("authorization_codes", "expires_at <= $1", "expires_at", seconds - CODES_KEPT),
            Self::Sessions => ("sessions", "ends_at <= $1", "ends_at", seconds - SESSIONS_KEPT),
            Self::RefreshFamilies => ("refresh_families", "ends_at <= $1", "ends_at", seconds),
            Self::DeletedDomains => ("provider_domains", "deleted_at <= $1", "deleted_at", seconds - DOMAINS_KEPT),
            Self::EndedIssuers => {
                // A key outlives every token that it signed, and knows the longest lifetime there was: once
                // it is gone, so are they.
                (
                    "provider_issuers",
                    "ended_at <= $1 AND NOT is_base AND NOT is_primary AND ended_at + COALESCE((SELECT \
                     max(max_lifetime) FROM signing_keys k WHERE k.provider_id = provider_issuers.provider_id), 0) <= $1",
                    "ended_at",
                    seconds - ISSUERS_KEPT,
                )
            }
            Self::SigningKeys => {
                // The first half of the condition is what the index can answer.
                (
                    "signing_keys",
                    "state = 'retired' AND retired_at <= $1 AND retired_at + max_lifetime <= $1",
                    "retired_at",
                    seconds,
                )
            }
        }
    }
}

/// Deletes at most `limit` rows, the oldest first; answers how many.
pub fn sweep(conn: &mut Conn, expired: Expired, now: UnixTime, limit: u32) -> Result<usize, Fault> {
    let (table, condition, order, bind) = expired.which(now);
    delete_oldest(conn, (table, condition, order), bind, limit)
}

/// Table, condition with the one bind `$1`, column of the order.
fn delete_oldest(
    conn: &mut Conn,
    (table, condition, order): (&str, &str, &str),
    bind: i64,
    limit: u32,
) -> Result<usize, Fault> {
    // The physical row is named, so that one text fits every primary key. On PostgreSQL two nodes
    // that sweep at once pass each other's rows by instead of waiting for them.
    let (row, skip) = match conn {
        Conn::Sqlite(_) => ("rowid", ""),
        Conn::Postgres(_) => ("ctid", " FOR UPDATE SKIP LOCKED"),
    };
    let sql = format!(
        "DELETE FROM {table} WHERE {row} IN \
         (SELECT {row} FROM {table} WHERE {condition} ORDER BY {order} LIMIT {limit}{skip})"
    );
    Ok(diesel::sql_query(sql).bind::<BigInt, _>(bind).execute(conn)?)
}

/// What is kept for as long as the operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aged {
    /// The one statement that ends audit events. Bounded by epoch milliseconds.
    Events,
    /// Epoch milliseconds.
    Explanations,
    /// Deliveries that are over; epoch seconds.
    Deliveries,
    /// Webhooks that were deleted, once their deliveries are swept; epoch seconds.
    Webhooks,
}

/// Deletes at most `limit` rows from before `before`, the oldest first; answers how many.
pub fn sweep_aged(conn: &mut Conn, aged: Aged, before: i64, limit: u32) -> Result<usize, Fault> {
    let (table, condition, order) = match aged {
        Aged::Events => ("events", "at < $1", "at"),
        Aged::Explanations => ("explanations", "at < $1", "at"),
        Aged::Deliveries => ("webhook_deliveries", "finished_at < $1", "finished_at"),
        Aged::Webhooks => (
            "webhooks",
            "deleted_at < $1 AND (SELECT 1 FROM webhook_deliveries d WHERE d.webhook_id = webhooks.id LIMIT 1) IS NULL",
            "deleted_at",
        ),
    };
    delete_oldest(conn, (table, condition, order), before, limit)
}

/// Sweeps what is older than the operator wants, a bounded number of rows; answers how many.
pub async fn tick_aged(db: &Db, aged: &[(Aged, i64)], deadline: Instant) -> Result<usize, Fault> {
    let mut swept = 0;
    for (aged, before) in aged.iter().copied() {
        for _ in 0..JOBS {
            let rows = db.write_background(deadline, move |tx| sweep_aged(tx, aged, before, BATCH)).await?;
            swept += rows;
            if rows < BATCH as usize {
                break;
            }
        }
    }
    Ok(swept)
}

/// Sweeps everything that was over at `now`, a bounded number of rows; answers how many. The
/// application calls it about once a minute.
pub async fn tick(db: &Db, now: UnixTime, deadline: Instant) -> Result<usize, Fault> {
    let mut swept = 0;
    for expired in Expired::ALL {
        for _ in 0..JOBS {
            let rows = db.write_background(deadline, move |tx| sweep(tx, expired, now, BATCH)).await?;
            swept += rows;
            if rows < BATCH as usize {
                break;
            }
        }
    }
    Ok(swept)
}
