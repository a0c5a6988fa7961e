//! `user_links`: who an account is at a trusted issuer. A link outlives its account, so that the
//! same stranger does not come back as somebody new unasked.

use diesel::prelude::*;

use crate::domain::{Fault, ProviderId, UserId};
use crate::store::connection::{Conn, each};

diesel::table! {
    user_links (provider_id, issuer, claim, subject) {
        provider_id -> Text,
        issuer -> Text,
        claim -> Text,
        subject -> Text,
        user_id -> Text,
        created_at -> BigInt,
    }
}

/// Whom an issuer names, and by which claim: what people choose for themselves, as a nickname, must
/// never stand for what the issuer gave somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub provider: ProviderId,
    pub issuer: String,
    pub claim: String,
    pub subject: String,
}

/// The account behind it, live or not.
pub fn get(conn: &mut Conn, named: &Subject) -> Result<Option<UserId>, Fault> {
    let Subject { provider, issuer, claim, subject } = named;
    let found: Option<String> = each!(conn, conn => user_links::table
        .find((provider.as_str(), issuer, claim, subject))
        .select(user_links::user_id)
        .first(conn)
        .optional())?;
    Ok(found.map(UserId::from))
}

/// Links the account. `false`: this subject is linked already. `now` in epoch seconds.
pub fn insert_if_absent(conn: &mut Conn, named: &Subject, user: &UserId, now: i64) -> Result<bool, Fault> {
    let Subject { provider, issuer, claim, subject } = named;
    let row = (
        user_links::provider_id.eq(provider.as_str()),
        user_links::issuer.eq(issuer),
        user_links::claim.eq(claim),
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
