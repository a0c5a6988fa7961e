//! `idempotency_keys`: answers of management calls that are given again. A row is committed together
//! with the change that its answer tells of, so one is never there without the other.

use diesel::prelude::*;
use diesel::query_dsl::methods::FilterDsl;
use diesel::upsert::excluded;

use crate::domain::{Fault, UnixTime};
use crate::store::connection::{Conn, each};

diesel::table! {
    idempotency_keys (id) {
        id -> Binary,
        answer -> Binary,
        expires_at -> BigInt,
    }
}

/// The answer that is kept under this id, sealed; `None` once its time is over.
pub fn answer(conn: &mut Conn, id: &[u8; 32], now: UnixTime) -> Result<Option<Vec<u8>>, Fault> {
    let row: Option<(Vec<u8>, i64)> = each!(conn, conn => idempotency_keys::table
        .find(id.as_slice())
        .select((idempotency_keys::answer, idempotency_keys::expires_at))
        .first(conn)
        .optional())?;
    Ok(row.filter(|(_, expires_at)| *expires_at > now.seconds()).map(|(answer, _)| answer))
}

/// Keeps an answer, sealed, until `expires_at` (epoch seconds). `false`: one is kept under this id
/// already. One statement: of two calls at once, on any two nodes, one gets the row.
pub fn claim(conn: &mut Conn, id: &[u8; 32], answer: &[u8], expires_at: i64, now: UnixTime) -> Result<bool, Fault> {
    let row = (
        idempotency_keys::id.eq(id.as_slice()),
        idempotency_keys::answer.eq(answer),
        idempotency_keys::expires_at.eq(expires_at),
    );
    let rows = each!(conn, conn => diesel::insert_into(idempotency_keys::table)
        .values(row)
        .on_conflict(idempotency_keys::id)
        .do_update()
        .set((
            idempotency_keys::answer.eq(excluded(idempotency_keys::answer)),
            idempotency_keys::expires_at.eq(excluded(idempotency_keys::expires_at)),
        ))
        .filter(idempotency_keys::expires_at.le(now.seconds()))
        .execute(conn))?;
    Ok(rows == 1)
}

/// Takes a claim back, in the transaction that made it.
pub fn release(conn: &mut Conn, id: &[u8; 32]) -> Result<(), Fault> {
    each!(conn, conn => diesel::delete(idempotency_keys::table.find(id.as_slice())).execute(conn))?;
    Ok(())
}
