//! `meta`: single facts about the installation, by name (the public URL it was made for, when the
//! first run happened).

use diesel::prelude::*;

use crate::domain::Fault;
use crate::store::connection::{Conn, each};

diesel::table! {
    meta (key) {
        key -> Text,
        value -> Text,
    }
}

pub fn get(conn: &mut Conn, key: &str) -> Result<Option<String>, Fault> {
    Ok(meta::table.find(key).select(meta::value).first(conn).optional()?)
}

/// Writes the value whether or not there is one.
pub fn set(conn: &mut Conn, key: &str, value: &str) -> Result<(), Fault> {
    each!(conn, conn => diesel::insert_into(meta::table)
        .values((meta::key.eq(key), meta::value.eq(value)))
        .on_conflict(meta::key)
        .do_update()
        .set(meta::value.eq(value))
        .execute(conn))?;
    Ok(())
}

/// `true` if this call wrote it: of many at once exactly one does.
pub fn insert_if_absent(conn: &mut Conn, key: &str, value: &str) -> Result<bool, Fault> {
    let rows = each!(conn, conn => diesel::insert_into(meta::table)
        .values((meta::key.eq(key), meta::value.eq(value)))
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(rows == 1)
}
