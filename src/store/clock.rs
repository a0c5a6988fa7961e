//! The clock of the database, to compare a node's own with: one that differs by more than two
//! seconds is not ready. Nothing else is judged by it.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::domain::{Fault, UnixTime};
use crate::store::connection::{Conn, each};

/// What the database's machine takes the time to be. On SQLite that is this machine.
pub fn database_clock(conn: &mut Conn) -> Result<UnixTime, Fault> {
    let sql = match conn {
        Conn::Sqlite(_) => "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)",
        Conn::Postgres(_) => "SELECT (extract(epoch from clock_timestamp()) * 1000)::bigint",
    };
    let millis: i64 = each!(conn, conn => diesel::dsl::sql::<BigInt>(sql).get_result(conn))?;
    Ok(UnixTime::from_millis(millis))
}
