//! Secrets of clients and API keys that are live, with when they were last used, in the order of their
//! ids: what the report of unused and ending secrets looks through, a window at a time.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::domain::{Fault, ProviderId};
use crate::store::connection::Conn;

/// A live secret of a client or an API key that is not deleted. Times are epoch seconds.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct LiveSecret {
    #[diesel(sql_type = Text)]
    pub id: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub provider_slug: Option<String>,
    /// The client_id, or the API key's id.
    #[diesel(sql_type = Text)]
    pub owner: String,
    #[diesel(sql_type = Text)]
    pub hint: String,
    #[diesel(sql_type = BigInt)]
    pub created_at: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub expires_at: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub last_used_at: Option<i64>,
}

/// The next `limit` secrets of clients after the one with id `after`: those of them that live at `now`,
/// and the id of the last one that was looked at. `None`: there are no more.
pub fn of_clients(
    conn: &mut Conn,
    provider: Option<&ProviderId>,
    after: &str,
    now: i64,
    limit: u32,
) -> Result<(Vec<LiveSecret>, Option<String>), Fault> {
    let of_provider = if provider.is_some() { "provider_id = $1 AND" } else { "$1 = '' AND" };
    let window = format!("SELECT id FROM client_secrets WHERE {of_provider} id > $2 ORDER BY id LIMIT {limit}");
    let sql = format!(
        "SELECT s.id, p.slug AS provider_slug, s.client_id AS owner, s.hint, s.created_at, s.expires_at, \
         u.last_used_at FROM client_secrets s \
         JOIN clients c ON c.provider_id = s.provider_id AND c.client_id = s.client_id \
         JOIN providers p ON p.id = s.provider_id \
         LEFT JOIN usage u ON u.kind = 'client_secret' AND u.id = s.id \
         WHERE s.id IN ({window}) AND s.revoked_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > $3) \
         AND c.deleted_at IS NULL ORDER BY s.id"
    );
    look(conn, provider, after, now, (&window, &sql))
}

/// The same of API keys.
pub fn of_api_keys(
    conn: &mut Conn,
    provider: Option<&ProviderId>,
    after: &str,
    now: i64,
    limit: u32,
) -> Result<(Vec<LiveSecret>, Option<String>), Fault> {
    let of_provider = if provider.is_some() {
        "key_id IN (SELECT id FROM api_keys WHERE provider_id = $1) AND"
    } else {
        "$1 = '' AND"
    };
    let window = format!("SELECT id FROM api_key_secrets WHERE {of_provider} id > $2 ORDER BY id LIMIT {limit}");
    let sql = format!(
        "SELECT s.id, p.slug AS provider_slug, s.key_id AS owner, s.hint, s.created_at, \
         CASE WHEN s.expires_at IS NULL OR k.expires_at < s.expires_at THEN k.expires_at ELSE s.expires_at END AS expires_at, \
         u.last_used_at FROM api_key_secrets s \
         JOIN api_keys k ON k.id = s.key_id LEFT JOIN providers p ON p.id = k.provider_id \
         LEFT JOIN usage u ON u.kind = 'api_key_secret' AND u.id = s.id \
         WHERE s.id IN ({window}) AND s.revoked_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > $3) \
         AND k.deleted_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $3) ORDER BY s.id"
    );
    look(conn, provider, after, now, (&window, &sql))
}

#[derive(QueryableByName)]
struct Last {
    #[diesel(sql_type = Nullable<Text>)]
    id: Option<String>,
}

fn look(
    conn: &mut Conn,
    provider: Option<&ProviderId>,
    after: &str,
    now: i64,
    (window, sql): (&str, &str),
) -> Result<(Vec<LiveSecret>, Option<String>), Fault> {
    let provider = provider.map_or("", ProviderId::as_str);
    let last: Vec<Last> = diesel::sql_query(format!("SELECT max(id) AS id FROM ({window}) looked_at"))
        .bind::<Text, _>(provider)
        .bind::<Text, _>(after)
        .load(conn)?;
    let Some(last) = last.into_iter().find_map(|last| last.id) else { return Ok((Vec::new(), None)) };
    let live =
        diesel::sql_query(sql).bind::<Text, _>(provider).bind::<Text, _>(after).bind::<BigInt, _>(now).load(conn)?;
    Ok((live, Some(last)))
}
