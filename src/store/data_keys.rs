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
    }
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = data_keys)]
struct Row {
    id: String,
    purpose: String,
    sealed: Vec<u8>,
    created_at: i64,
}

impl TryFrom<Row> for SealedDataKey {
    type Error = Fault;

    fn try_from(row: Row) -> Result<Self, Fault> {
        let Row { id, purpose, sealed, created_at } = row;
        let purpose = DataKeyPurpose::from_name(&purpose).ok_or_else(|| unreadable("data_keys", "purpose"))?;
        Ok(Self { id, purpose, sealed, created_at })
    }
}

/// All of them, oldest first.
pub fn all(conn: &mut Conn) -> Result<Vec<SealedDataKey>, Fault> {
    let rows: Vec<Row> = data_keys::table.order((data_keys::created_at, data_keys::id)).load(conn)?;
    rows.into_iter().map(SealedDataKey::try_from).collect()
}

pub fn insert(conn: &mut Conn, key: &SealedDataKey) -> Result<(), Fault> {
    let SealedDataKey { id, purpose, sealed, created_at } = key.clone();
    let row = Row { id, purpose: purpose.name().to_owned(), sealed, created_at };
    diesel::insert_into(data_keys::table).values(row).execute(conn)?;
    Ok(())
}

/// Puts the same key under another seal (`keys rekey`). `false` if there is no such key, or it is
/// no longer sealed as `before` says: another process was faster.
pub fn reseal(conn: &mut Conn, id: &str, before: &[u8], after: &[u8]) -> Result<bool, Fault> {
    let rows = diesel::update(data_keys::table.filter(data_keys::id.eq(id)).filter(data_keys::sealed.eq(before)))
        .set(data_keys::sealed.eq(after))
        .execute(conn)?;
    Ok(rows == 1)
}
