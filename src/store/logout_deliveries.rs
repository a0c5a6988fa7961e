//! `logout_deliveries`: logout tokens that wait to be delivered (OpenID Connect Back-Channel Logout
//! 1.0 §2.5). A row is made in the transaction that ends the session, so a logout that was answered
//! is told to every client even if the process dies right after.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::domain::{ClientId, Fault, ProviderId, SessionId, UserId};
use crate::store::connection::{Conn, each};

diesel::table! {
    logout_deliveries (id) {
        id -> Text,
        provider_id -> Text,
        client_id -> Text,
        user_id -> Text,
        session_id -> Text,
        attempts -> BigInt,
        next_at -> BigInt,
        created_at -> BigInt,
    }
}

/// Due rows of one provider that are counted: as many as are delivered at once.
const MOST_DUE: u32 = 16;
/// Rows that one claim tries: another node may take some of them at the same time.
const CANDIDATES: i64 = 16;

/// One client that is to be told that one session has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutDelivery {
    pub id: String,
    pub provider: ProviderId,
    pub client: ClientId,
    pub user: UserId,
    pub session: SessionId,
    /// Tries that have begun, this one included.
    pub attempts: i64,
    /// Epoch seconds.
    pub created_at: i64,
}

#[derive(QueryableByName)]
#[diesel(table_name = logout_deliveries)]
struct Row {
    id: String,
    provider_id: String,
    client_id: String,
    user_id: String,
    session_id: String,
    attempts: i64,
    created_at: i64,
}

#[derive(QueryableByName)]
struct DueRow {
    #[diesel(sql_type = Text)]
    provider_id: String,
    #[diesel(sql_type = BigInt)]
    due: i64,
}

impl From<Row> for LogoutDelivery {
    fn from(row: Row) -> Self {
        let Row { id, provider_id, client_id, user_id, session_id, attempts, created_at } = row;
        Self {
            id,
            provider: provider_id.into(),
            client: client_id.into(),
            user: user_id.into(),
            session: session_id.into(),
            attempts,
            created_at,
        }
    }
}

/// Notes for every client of a session that it is to be told of the end; answers how many. To be
/// called in the transaction that ends the session; a session ends once, so the row's id is made of
/// what it is about and a second call adds nothing. `now` in epoch seconds.
pub fn enqueue(
    conn: &mut Conn,
    provider: &ProviderId,
    user: &UserId,
    session: &SessionId,
    now: i64,
) -> Result<usize, Fault> {
    // SQLite numbers binds by first appearance: they are bound in that order.
    let rows = diesel::sql_query(
        "INSERT INTO logout_deliveries \
         (id, provider_id, client_id, user_id, session_id, attempts, next_at, created_at) \
         SELECT session_id || '/' || client_id, $1, client_id, $2, session_id, 0, $3, $3 \
         FROM session_clients WHERE session_id = $4 ON CONFLICT DO NOTHING",
    )
    .bind::<Text, _>(provider.as_str())
    .bind::<Text, _>(user.as_str())
    .bind::<BigInt, _>(now)
    .bind::<Text, _>(session.as_str())
    .execute(conn)?;
    Ok(rows)
}

/// At most `limit` providers with due rows, and how many they have (counted up to [`MOST_DUE`]). The one that has
/// waited for the longest comes first.
pub fn due_providers(conn: &mut Conn, now: i64, limit: u32) -> Result<Vec<(ProviderId, usize)>, Fault> {
    // One step of an index for each provider that waits for something, and no more rows than are asked for.
    let sql = format!(
        "WITH RECURSIVE waiting(id) AS (SELECT min(provider_id) FROM logout_deliveries \
         UNION ALL SELECT (SELECT min(n.provider_id) FROM logout_deliveries n WHERE n.provider_id > waiting.id) \
         FROM waiting WHERE waiting.id IS NOT NULL) \
         SELECT provider_id, due FROM (SELECT waiting.id AS provider_id, \
         (SELECT o.next_at FROM logout_deliveries o WHERE o.provider_id = waiting.id ORDER BY o.next_at LIMIT 1) AS due_at, \
         (SELECT count(*) FROM (SELECT d.id FROM logout_deliveries d WHERE d.provider_id = waiting.id \
         AND d.next_at <= $1 LIMIT {MOST_DUE}) few) AS due FROM waiting WHERE waiting.id IS NOT NULL) w \
         WHERE w.due_at <= $1 ORDER BY w.due_at, w.provider_id LIMIT {limit}"
    );
    let rows: Vec<DueRow> = diesel::sql_query(sql).bind::<BigInt, _>(now).load(conn)?;
    Ok(rows.into_iter().map(|row| (row.provider_id.into(), usize::try_from(row.due).unwrap_or(0))).collect())
}

/// Takes the provider's row that has been due for the longest, for `lease` seconds: no other task gets it
/// meanwhile, and if this process ends it is due again afterwards. Rows of `busy` clients are left out. Each
/// try is one guarded statement.
pub fn claim_due(
    conn: &mut Conn,
    provider: &ProviderId,
    busy: &[ClientId],
    now: i64,
    lease: i64,
) -> Result<Option<LogoutDelivery>, Fault> {
    let busy: Vec<&str> = busy.iter().map(ClientId::as_str).collect();
    let candidates: Vec<String> = each!(conn, conn => logout_deliveries::table
        .filter(logout_deliveries::provider_id.eq(provider.as_str()))
        .filter(logout_deliveries::next_at.le(now))
        .filter(logout_deliveries::client_id.ne_all(&busy))
        .order((logout_deliveries::next_at, logout_deliveries::id))
        .limit(CANDIDATES)
        .select(logout_deliveries::id)
        .load(conn))?;
    for id in candidates {
        let claim = diesel::sql_query(
            "UPDATE logout_deliveries SET next_at = $1, attempts = attempts + 1 WHERE id = $2 AND next_at <= $3 \
             RETURNING id, provider_id, client_id, user_id, session_id, attempts, created_at",
        );
        let claim = claim.bind::<BigInt, _>(now + lease).bind::<Text, _>(id).bind::<BigInt, _>(now);
        let rows: Vec<Row> = claim.load(conn)?;
        if let Some(row) = rows.into_iter().next() {
            return Ok(Some(row.into()));
        }
    }
    Ok(None)
}

/// Lets a row that was claimed wait until `next_at` (epoch seconds). `attempts` as claimed: a row
/// that somebody else has claimed since stays as it is.
pub fn postpone(conn: &mut Conn, id: &str, attempts: i64, next_at: i64) -> Result<bool, Fault> {
    let row = logout_deliveries::table.find(id).filter(logout_deliveries::attempts.eq(attempts));
    Ok(diesel::update(row).set(logout_deliveries::next_at.eq(next_at)).execute(conn)? == 1)
}

/// Delivered, or given up. `false`: it was gone already.
pub fn delete(conn: &mut Conn, id: &str) -> Result<bool, Fault> {
    Ok(diesel::delete(logout_deliveries::table.find(id)).execute(conn)? == 1)
}
