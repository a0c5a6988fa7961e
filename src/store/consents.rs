//! `consents`: what a person allowed a client that asks.

use diesel::prelude::*;

use crate::domain::{ClientId, Fault, ScopeSet, UserId};
use crate::store::connection::{Conn, each};
use crate::store::fault::unreadable;

diesel::table! {
    consents (user_id, client_id) {
        user_id -> Text,
        client_id -> Text,
        scope -> Text,
        updated_at -> BigInt,
    }
}

/// What was allowed so far; empty if nothing was.
pub fn allowed(conn: &mut Conn, user: &UserId, client: &ClientId) -> Result<ScopeSet, Fault> {
    let scope: Option<String> = each!(conn, conn => consents::table
        .find((user.as_str(), client.as_str()))
        .select(consents::scope)
        .first(conn)
        .optional())?;
    let scope = ScopeSet::parse(scope.as_deref().unwrap_or_default());
    scope.map_err(|_| unreadable("consents", "scope"))
}

/// What is allowed from now on, in place of what was. `now` in epoch seconds.
pub fn allow(conn: &mut Conn, user: &UserId, client: &ClientId, scope: &ScopeSet, now: i64) -> Result<(), Fault> {
    let row = (
        consents::user_id.eq(user.as_str()),
        consents::client_id.eq(client.as_str()),
        consents::scope.eq(scope.as_str()),
        consents::updated_at.eq(now),
    );
    each!(conn, conn => diesel::insert_into(consents::table)
        .values(row)
        .on_conflict((consents::user_id, consents::client_id))
        .do_update()
        .set((consents::scope.eq(scope.as_str()), consents::updated_at.eq(now)))
        .execute(conn))?;
    Ok(())
}
