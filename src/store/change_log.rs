//! What changed, for the caches of every node. Each change of a cached row appends one line in its
//! own transaction; every node reads on from what it has seen. How far back a node reads again, and
//! what it has seen already, is the engine's business: sequence numbers may commit out of order.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::domain::{Fault, UnixTime};
use crate::store::connection::{Conn, each};

diesel::table! {
    change_log (seq) {
        seq -> BigInt,
        table_name -> Text,
        row_id -> Text,
        at -> BigInt,
    }
}

/// The tables whose rows are kept in memory somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangedTable {
    /// Row id: the provider's id. Also for its issuers and scopes.
    Providers,
    /// Row id: the provider's id.
    SigningKeys,
    /// Row id: `<provider id>/<client_id>`. Also for its secrets.
    Clients,
    /// Row id: the key's id.
    ApiKeys,
    /// Row id: the revoked id.
    Revoked,
    /// Row id: `<provider id>/<user id>`.
    Users,
    /// Row id: `<provider id>/<session id>`.
    Sessions,
    /// What the groups of a provider give their members. Row id: the provider's id.
    Groups,
    /// Verified domains of providers. Row id: the domain's id, or that of a provider that was deleted.
    Domains,
    /// Row id: the key's id, or empty for all of them.
    DataKeys,
}

impl ChangedTable {
    pub const ALL: [Self; 10] = [
        Self::Providers,
        Self::SigningKeys,
        Self::Clients,
        Self::ApiKeys,
        Self::Revoked,
        Self::Users,
        Self::Sessions,
        Self::Domains,
        Self::Groups,
        Self::DataKeys,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Providers => "providers",
            Self::SigningKeys => "signing_keys",
            Self::Clients => "clients",
            Self::ApiKeys => "api_keys",
            Self::Revoked => "revoked",
            Self::Users => "users",
            Self::Sessions => "sessions",
            Self::Domains => "provider_domains",
            Self::Groups => "provider_groups",
            Self::DataKeys => "data_keys",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Unique and rising, with gaps; a lower one may become visible after a higher one.
    pub seq: i64,
    /// `None`: a table that only a newer release keeps in memory. Its own nodes know what to do.
    pub table: Option<ChangedTable>,
    pub id: String,
    pub at: UnixTime,
}

/// Appends a line; [`Tx::changed`](crate::store::Tx::changed) is the way to it.
pub(in crate::store) fn append(conn: &mut Conn, table: ChangedTable, id: &str, at: UnixTime) -> Result<(), Fault> {
    let line = (change_log::table_name.eq(table.name()), change_log::row_id.eq(id), change_log::at.eq(at.millis()));
    each!(conn, conn => diesel::insert_into(change_log::table).values(line).execute(conn))?;
    Ok(())
}

/// From the end: what is younger is passed by, what is older is not read. Without the plus SQLite takes the
/// index by time, and sorts all that is older.
const SETTLED: &str = "SELECT seq FROM change_log WHERE +at < $1 ORDER BY seq DESC LIMIT 1";

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    seq: i64,
}

/// The largest number stamped before `at`; 0 if there is none.
pub fn settled_before(conn: &mut Conn, at: UnixTime) -> Result<i64, Fault> {
    let asked = diesel::sql_query(SETTLED).bind::<BigInt, _>(at.millis());
    Ok(asked.get_result::<Number>(conn).optional()?.map_or(0, |number| number.seq))
}

/// The numbers above `seq`, in order.
pub fn numbers_after(conn: &mut Conn, seq: i64) -> Result<Vec<i64>, Fault> {
    let above = change_log::table.filter(change_log::seq.gt(seq)).order(change_log::seq);
    Ok(above.select(change_log::seq).load(conn)?)
}

/// All lines with a number above `seq`, in order of their numbers.
pub fn after(conn: &mut Conn, seq: i64) -> Result<Vec<Change>, Fault> {
    between(conn, seq.saturating_add(1), i64::MAX)
}

/// All lines with a number from `first` to `last`, in order of their numbers.
pub fn between(conn: &mut Conn, first: i64, last: i64) -> Result<Vec<Change>, Fault> {
    // On the way of every poll of every node: without the enum.
    let rows: Vec<(i64, String, String, i64)> = each!(conn, conn => change_log::table
        .filter(change_log::seq.ge(first))
        .filter(change_log::seq.le(last))
        .order(change_log::seq)
        .load(conn))?;
    let change = |(seq, table, id, at): (i64, String, String, i64)| Change {
        seq,
        table: ChangedTable::from_name(&table),
        id,
        at: UnixTime::from_millis(at),
    };
    Ok(rows.into_iter().map(change).collect())
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection as _;
    use diesel::sql_types::Text;

    use super::*;

    #[derive(QueryableByName)]
    struct Step {
        #[diesel(sql_type = Text)]
        detail: String,
    }

    #[test]
    fn a_start_does_not_go_through_what_is_settled() {
        let mut conn = SqliteConnection::establish(":memory:").unwrap();
        conn.batch_execute(include_str!("../../migrations/sqlite/20261101000000_first_rooms/up.sql")).unwrap();
        let plan: Vec<Step> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {SETTLED}")).load(&mut conn).unwrap();
        let plan: Vec<&str> = plan.iter().map(|step| step.detail.as_str()).collect();
        assert_eq!(plan, ["SCAN change_log"], "not by its number alone");
    }
}
