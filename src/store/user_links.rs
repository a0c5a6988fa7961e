//! `user_links`: who an account is at a trusted issuer. A link outlives its account, so that the
//! same stranger does not come back as somebody new unasked.

use diesel::prelude::*;

use crate::domain::{Fault, ProviderId, UserId};
use crate::store::connection::{Conn, each};

diesel::table! {
    user_links (provider_id, issuer, subject) {
        provider_id -> Text,
        issuer -> Text,
        subject -> Text,
        user_id -> Text,
        created_at -> BigInt,
    }
}

/// The account behind `subject` of `issuer`, live or not.
pub fn get(conn: &mut Conn, provider: &ProviderId, issuer: &str, subject: &str) -> Result<Option<UserId>, Fault> {
    let found: Option<String> = each!(conn, conn => user_links::table
        .find((provider.as_str(), issuer, subject))
        .select(user_links::user_id)
        .first(conn)
        .optional())?;
    Ok(found.map(UserId::from))
}

/// Links the account. `false`: this subject is linked already. `now` in epoch seconds.
pub fn insert_if_absent(
    conn: &mut Conn,
    provider: &ProviderId,
    issuer: &str,
    subject: &str,
    user: &UserId,
    now: i64,
) -> Result<bool, Fault> {
    let row = (
        user_links::provider_id.eq(provider.as_str()),
        user_links::issuer.eq(issuer),
        user_links::subject.eq(subject),
        user_links::user_id.eq(user.as_str()),
        user_links::created_at.eq(now),
    );
    let rows = each!(conn, conn => diesel::insert_into(user_links::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(rows == 1)
}
