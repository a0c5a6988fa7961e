//! `revoked`: tokens that ended before their time. Every node holds all rows in memory;
//! the table is where they come from.

use diesel::prelude::*;

use crate::domain::token::{Jti, Revocation, RevokedKind};
use crate::domain::{Fault, ProviderId};
use crate::store::connection::{Conn, each};
use crate::store::fault::unreadable;

diesel::table! {
    revoked (id, kind, provider_id) {
        id -> Text,
        kind -> Text,
        provider_id -> Text,
        expires_at -> BigInt,
    }
}

/// Rows read at once when everything is loaded.
const BATCH: i64 = 5000;

#[derive(Queryable)]
struct Row {
    id: String,
    kind: String,
    provider_id: String,
    expires_at: i64,
}

impl Row {
    /// `None`: a kind that only a newer release knows, which does not concern our tokens.
    fn revocation(self) -> Result<Option<Revocation>, Fault> {
        let Self { id, kind, provider_id, expires_at } = self;
        let Some(kind) = RevokedKind::from_name(&kind) else { return Ok(None) };
        let id = Jti::parse(&id).ok_or_else(|| unreadable("revoked", "id"))?;
        Ok(Some(Revocation { provider: ProviderId::from(provider_id), kind, id, expires_at }))
    }
}

/// `true` if it was not revoked before.
pub fn insert(conn: &mut Conn, revocation: &Revocation) -> Result<bool, Fault> {
    let Revocation { provider, kind, id, expires_at } = revocation;
    let row = (
        revoked::id.eq(id.to_string()),
        revoked::kind.eq(kind.name()),
        revoked::provider_id.eq(provider.as_str()),
        revoked::expires_at.eq(expires_at),
    );
    let rows = each!(conn, conn => diesel::insert_into(revoked::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(rows == 1)
}

/// Hands every row to `take`, in batches, so that a million of them need no memory of their own. A row
/// may be handed over twice.
pub fn load(conn: &mut Conn, mut take: impl FnMut(Revocation)) -> Result<(), Fault> {
    let mut after = String::new();
    loop {
        let rows: Vec<Row> = each!(conn, conn => revoked::table
            .filter(revoked::id.ge(after.as_str()))
            .order(revoked::id)
            .limit(BATCH)
            .load(conn))?;
        let full = rows.len() as i64 == BATCH;
        if let Some(last) = rows.last() {
            after.clone_from(&last.id);
        }
        for row in rows {
            if let Some(revocation) = row.revocation()? {
                take(revocation);
            }
        }
        if !full {
            return Ok(());
        }
    }
}

/// The rows with these ids, of every provider: what a line of the change log is followed to.
pub fn by_ids(conn: &mut Conn, ids: &[Jti]) -> Result<Vec<Revocation>, Fault> {
    let mut found = Vec::with_capacity(ids.len());
    // SQLite takes one bind a value; this keeps far from its limit.
    for part in ids.chunks(500) {
        let texts: Vec<String> = part.iter().map(Jti::to_string).collect();
        let rows: Vec<Row> = each!(conn, conn => revoked::table.filter(revoked::id.eq_any(&texts)).load(conn))?;
        for row in rows {
            found.extend(row.revocation()?);
        }
    }
    Ok(found)
}

/// Whether the token or grant is revoked, asked of the table: for nodes whose memory is full.
pub fn contains(conn: &mut Conn, provider: &ProviderId, kind: RevokedKind, id: Jti) -> Result<bool, Fault> {
    let key = (id.to_string(), kind.name(), provider.as_str());
    let found: Option<i64> =
        each!(conn, conn => revoked::table.find(key).select(revoked::expires_at).first(conn).optional())?;
    Ok(found.is_some())
}
