//! `data_keys`: the keys of the installation, sealed under the master key.

use diesel::prelude::*;

use crate::domain::Fault;
use crate::domain::key::{DataKeyPurpose, SealedDataKey};
use crate::store::connection::Conn;
use crate::store::fault::unreadable;

diesel::table! {
    data_keys (id) {
        id -> Text,
        purpose -> Text,
        sealed -> Binary,
        created_at -> BigInt,
        active_at -> Nullable<BigInt>,
    }
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = data_keys)]
struct Row {
    id: String,
    purpose: String,
    sealed: Vec<u8>,
    created_at: i64,
    active_at: Option<i64>,
}

impl TryFrom<Row> for SealedDataKey {
    type Error = Fault;

    fn try_from(row: Row) -> Result<Self, Fault> {
        let Row { id, purpose, sealed, created_at, active_at } = row;
        let purpose = DataKeyPurpose::from_name(&purpose).ok_or_else(|| unreadable("data_keys", "purpose"))?;
        Ok(Self { id, purpose, sealed, created_at, active_at: active_at.unwrap_or(created_at) })
    }
}

/// All of them, oldest first.
pub fn all(conn: &mut Conn) -> Result<Vec<SealedDataKey>, Fault> {
    let rows: Vec<Row> = data_keys::table.order((data_keys::created_at, data_keys::id)).load(conn)?;
    rows.into_iter().map(SealedDataKey::try_from).collect()
}

pub fn insert(conn: &mut Conn, key: &SealedDataKey) -> Result<(), Fault> {
    let SealedDataKey { id, purpose, sealed, created_at, active_at } = key.clone();
    let row = Row { id, purpose: purpose.name().to_owned(), sealed, created_at, active_at: Some(active_at) };
    diesel::insert_into(data_keys::table).values(row).execute(conn)?;
    Ok(())
}

/// Holds all of them until the transaction ends, then reads them: on PostgreSQL a change by somebody
/// else comes before or after, never in between.
pub fn locked(conn: &mut Conn) -> Result<Vec<SealedDataKey>, Fault> {
    if let Conn::Postgres(conn) = conn {
        // In one order, so that two transactions never wait for each other.
        data_keys::table.order(data_keys::id).select(data_keys::id).for_update().load::<String>(conn)?;
    }
    // A statement of its own: what was committed while this one waited is seen.
    all(conn)
}

/// Puts the same key under another seal (`keys rekey`). `false` if there is no such key, or it is
/// no longer sealed as `before` says: another process was faster.
pub fn reseal(conn: &mut Conn, id: &str, before: &[u8], after: &[u8]) -> Result<bool, Fault> {
    let rows = diesel::update(data_keys::table.filter(data_keys::id.eq(id)).filter(data_keys::sealed.eq(before)))
        .set(data_keys::sealed.eq(after))
        .execute(conn)?;
    Ok(rows == 1)
}
