//! `spent_tokens`: one-time tokens that were used. A token has a row from its use until an hour after
//! it expires.

use diesel::prelude::*;
use diesel::query_dsl::methods::FilterDsl;

use crate::domain::token::Jti;
use crate::domain::{Fault, ProviderId, UnixTime};
use crate::store::connection::{Conn, each};

diesel::table! {
    spent_tokens (provider_id, jti) {
        provider_id -> Text,
        jti -> Text,
        use_key -> Nullable<Text>,
        spent_at -> BigInt,
        expires_at -> BigInt,
    }
}

/// How long the same use of the same caller may be repeated, milliseconds.
const REPEATABLE: i64 = 10_000;

/// One use of one token.
#[derive(Clone, Debug)]
pub struct Use {
    pub provider: ProviderId,
    pub jti: Jti,
    /// Who uses it, and how that caller tells this use from another; `None`: every call is another.
    pub key: Option<String>,
    /// When the token expires, epoch seconds.
    pub expires_at: i64,
}

/// Spends the token: `true` for exactly one use of all, and for the same use again within ten seconds.
/// One statement, so it fits [`Db::write_one`](crate::store::Db::write_one).
pub fn spend(conn: &mut Conn, spent: &Use, now: UnixTime) -> Result<bool, Fault> {
    let Use { provider, jti, key, expires_at } = spent;
    let row = (
        spent_tokens::provider_id.eq(provider.as_str()),
        spent_tokens::jti.eq(jti.to_string()),
        spent_tokens::use_key.eq(key.as_deref()),
        spent_tokens::spent_at.eq(now.millis()),
        spent_tokens::expires_at.eq(expires_at),
    );
    let Some(key) = key.as_deref() else {
        // Nothing to repeat: a second use touches no row, so that replays cost no flush to the disk.
        let rows = each!(conn, conn => diesel::insert_into(spent_tokens::table)
            .values(row)
            .on_conflict_do_nothing()
            .execute(conn))?;
        return Ok(rows == 1);
    };
    let rows = each!(conn, conn => diesel::insert_into(spent_tokens::table)
        .values(row)
        .on_conflict((spent_tokens::provider_id, spent_tokens::jti))
        .do_update()
        .set(spent_tokens::use_key.eq(spent_tokens::use_key))
        .filter(
            spent_tokens::use_key
                .eq(key)
                .and(spent_tokens::spent_at.gt(now.millis() - REPEATABLE))
                // A use in the future is an old one: the clock has gone back.
                .and(spent_tokens::spent_at.le(now.millis() + UnixTime::AHEAD * 1000)),
        )
        .execute(conn))?;
    Ok(rows == 1)
}

/// Whether the token was used, by whomever.
pub fn is_spent(conn: &mut Conn, provider: &ProviderId, jti: Jti) -> Result<bool, Fault> {
    let row = FilterDsl::filter(
        spent_tokens::table,
        spent_tokens::provider_id.eq(provider.as_str()).and(spent_tokens::jti.eq(jti.to_string())),
    );
    Ok(diesel::select(diesel::dsl::exists(row)).get_result(conn)?)
}
