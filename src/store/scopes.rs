//! `scopes`: the scope names of a provider that are not built in.

use std::collections::BTreeSet;

use diesel::prelude::*;

use crate::domain::{Fault, ProviderId};
use crate::store::connection::{Conn, each};

diesel::table! {
    scopes (provider_id, name) {
        provider_id -> Text,
        name -> Text,
        created_at -> BigInt,
    }
}

/// Those of `names` that exist at the provider, their rows held until the transaction ends, so that none
/// is deleted meanwhile. On SQLite there is one writer and nothing to hold.
pub fn existing(conn: &mut Conn, provider: &ProviderId, names: &[&str]) -> Result<BTreeSet<String>, Fault> {
    let wanted = scopes::table
        .filter(scopes::provider_id.eq(provider.as_str()))
        .filter(scopes::name.eq_any(names.iter().copied()))
        .select(scopes::name);
    let rows: Vec<String> = match conn {
        Conn::Sqlite(conn) => wanted.load(conn)?,
        Conn::Postgres(conn) => wanted.for_share().load(conn)?,
    };
    Ok(rows.into_iter().collect())
}

/// All names, sorted.
pub fn list(conn: &mut Conn, provider: &ProviderId) -> Result<Vec<String>, Fault> {
    let own = scopes::table.filter(scopes::provider_id.eq(provider.as_str()));
    Ok(own.select(scopes::name).order(scopes::name).load(conn)?)
}

/// Makes those that are missing; answers how many that were. `now` in epoch seconds.
pub fn insert_missing(conn: &mut Conn, provider: &ProviderId, names: &[&str], now: i64) -> Result<usize, Fault> {
    let mut made = 0;
    // In one order everywhere, so that two writers never wait for each other.
    for name in names.iter().collect::<BTreeSet<_>>() {
        let row = (scopes::provider_id.eq(provider.as_str()), scopes::name.eq(*name), scopes::created_at.eq(now));
        made += each!(conn, conn => diesel::insert_into(scopes::table)
            .values(row)
            .on_conflict_do_nothing()
            .execute(conn))?;
    }
    Ok(made)
}
