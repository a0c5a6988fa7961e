//! `logout_deliveries`: logout tokens that wait to be delivered (OpenID Connect Back-Channel Logout
//! 1.0 §2.5). A row is made in the transaction that ends the session, so a logout that was answered
//! is told to every client even if the process dies right after.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::domain::{ClientId, Fault, ProviderId, SessionId, UserId};
use crate::store::connection::Conn;

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

/// Rows of one client in one claim: a receiver that does not answer keeps few of the lanes.
const OF_ONE_CLIENT: u32 = 2;

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

/// Takes at most `limit` due rows for `lease` seconds: nobody else gets them meanwhile, and if this
/// process ends they are due again afterwards. One guarded statement.
pub fn claim_due(conn: &mut Conn, now: i64, lease: i64, limit: u32) -> Result<Vec<LogoutDelivery>, Fault> {
    let skip = if matches!(conn, Conn::Postgres(_)) { " FOR UPDATE SKIP LOCKED" } else { "" };
    let sql = format!(
        "UPDATE logout_deliveries SET next_at = $1, attempts = attempts + 1 WHERE id IN \
         (SELECT id FROM logout_deliveries WHERE id IN \
         (SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY provider_id, client_id ORDER BY next_at) AS place \
         FROM logout_deliveries WHERE next_at <= $2) due WHERE place <= {OF_ONE_CLIENT}) AND next_at <= $2 \
         ORDER BY next_at LIMIT {limit}{skip}) \
         RETURNING id, provider_id, client_id, user_id, session_id, attempts, created_at"
    );
    let rows: Vec<Row> = diesel::sql_query(sql).bind::<BigInt, _>(now + lease).bind::<BigInt, _>(now).load(conn)?;
    Ok(rows.into_iter().map(LogoutDelivery::from).collect())
}

/// Whether anything is due, for a tick that would otherwise write for nothing.
pub fn any_due(conn: &mut Conn, now: i64) -> Result<bool, Fault> {
    let due = logout_deliveries::table.filter(logout_deliveries::next_at.le(now));
    let found: Option<String> = due.select(logout_deliveries::id).first(conn).optional()?;
    Ok(found.is_some())
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
