//! `assertion_jtis`: the ids of client assertions that were used (RFC 7523 §3 item 7, and §5.2 of
//! RFC 7519 for the id itself). A row lives as long as the assertion could be presented again.

use diesel::prelude::*;

use crate::domain::{ClientId, Fault, ProviderId};
use crate::store::connection::{Conn, each};

diesel::table! {
    assertion_jtis (provider_id, client_id, jti) {
        provider_id -> Text,
        client_id -> Text,
        jti -> Text,
        expires_at -> BigInt,
    }
}

/// Uses an assertion up: `true` for exactly one of all calls with the same id. One statement, so it
/// fits [`Db::write_one`](crate::store::Db::write_one). `expires_at` in epoch seconds.
pub fn redeem(
    conn: &mut Conn,
    provider: &ProviderId,
    client_id: &ClientId,
    jti: &str,
    expires_at: i64,
) -> Result<bool, Fault> {
    let row = (
        assertion_jtis::provider_id.eq(provider.as_str()),
        assertion_jtis::client_id.eq(client_id.as_str()),
        assertion_jtis::jti.eq(jti),
        assertion_jtis::expires_at.eq(expires_at),
    );
    let rows = each!(conn, conn => diesel::insert_into(assertion_jtis::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(rows == 1)
}

/// Whether an id has been used up; only to tell, never to decide.
pub fn is_redeemed(conn: &mut Conn, provider: &ProviderId, client_id: &ClientId, jti: &str) -> Result<bool, Fault> {
    let row = assertion_jtis::table.find((provider.as_str(), client_id.as_str(), jti));
    let found: Option<String> = row.select(assertion_jtis::jti).first(conn).optional()?;
    Ok(found.is_some())
}
