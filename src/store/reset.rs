//! Gives up what lost data keys protected (`keys reset`). Accounts, passwords, clients and everything else
//! that lies in clear or under Argon2 stays.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::domain::Fault;
use crate::store::connection::Conn;

/// How many of each sort were ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    pub signing_keys: usize,
    /// Those that the server had made; chosen ones live on.
    pub client_secrets: usize,
    pub api_keys: usize,
    pub sessions: usize,
    pub refresh_families: usize,
    /// Switched off, until their secret is rotated.
    pub webhooks: usize,
}

/// Ends them at `now` (epoch seconds), and deletes every data key that is not in `kept`. What rows must
/// name a pepper name `pepper`.
pub fn give_up(conn: &mut Conn, pepper: &str, kept: &[&str], now: i64) -> Result<Lost, Fault> {
    let plain = |conn: &mut Conn, sql: &str| diesel::sql_query(sql).execute(conn);
    let at = |conn: &mut Conn, sql: &str| diesel::sql_query(sql).bind::<BigInt, _>(now).execute(conn);
    let keyed = |conn: &mut Conn, sql: &str| diesel::sql_query(sql).bind::<Text, _>(pepper).execute(conn);
    let lost = Lost {
        signing_keys: plain(conn, "DELETE FROM signing_keys")?,
        client_secrets: at(
            conn,
            "UPDATE client_secrets SET revoked_at = $1 WHERE revoked_at IS NULL AND stored NOT LIKE '$argon2%'",
        )?,
        api_keys: at(
            conn,
            "UPDATE api_keys SET deleted_at = $1, updated_at = $1, epoch = epoch + 1, version = version + 1 \
             WHERE deleted_at IS NULL",
        )?,
        sessions: plain(conn, "DELETE FROM sessions")?,
        refresh_families: plain(conn, "DELETE FROM refresh_families")?,
        webhooks: plain(
            conn,
            "UPDATE webhooks SET enabled = NOT enabled, old_secret = NULL, old_secret_until = NULL, \
             version = version + 1 WHERE enabled AND deleted_at IS NULL",
        )?,
    };
    plain(conn, "DELETE FROM authorization_codes")?;
    plain(conn, "DELETE FROM idempotency_keys")?;
    at(conn, "UPDATE api_key_secrets SET revoked_at = $1 WHERE revoked_at IS NULL")?;
    keyed(conn, "UPDATE api_key_secrets SET pepper_id = $1")?;
    keyed(conn, "UPDATE api_keys SET pepper_id = $1")?;
    let kept: Vec<String> = kept.iter().map(|id| format!("'{id}'")).collect();
    plain(conn, &format!("DELETE FROM data_keys WHERE id NOT IN ({})", kept.join(", ")))?;
    Ok(lost)
}
