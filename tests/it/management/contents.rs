//! Everything that lies in a database, as text to compare.

use std::collections::BTreeMap;

use diesel::RunQueryDsl;
use diesel::dsl::sql;
use diesel::sql_types::{Nullable, Text};
use grantd::domain::Fault;
use grantd::store::Conn;

use crate::support::app::TestApp;
use crate::support::databases::soon;

/// The rows of every table there is, whoever made it.
pub async fn contents(app: &TestApp) -> BTreeMap<String, String> {
    app.engine.db().read(soon(), read).await.unwrap()
}

fn read(conn: &mut Conn) -> Result<BTreeMap<String, String>, Fault> {
    let tables = match conn {
        Conn::Sqlite(_) => {
            texts(conn, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")?
        }
        Conn::Postgres(_) => texts(conn, "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")?,
    };
    tables.into_iter().map(|table| Ok((table.clone(), rows(conn, &table)?))).collect()
}

fn rows(conn: &mut Conn, table: &str) -> Result<String, Fault> {
    let line = match conn {
        Conn::Sqlite(_) => {
            let columns = texts(conn, &format!("SELECT 'quote(' || name || ')' FROM pragma_table_info('{table}')"))?;
            columns.join(" || ',' || ")
        }
        Conn::Postgres(_) => "t::text".to_owned(),
    };
    let mut rows = texts(conn, &format!("SELECT {line} FROM {table} AS t"))?;
    rows.sort();
    Ok(rows.join("\n"))
}

fn texts(conn: &mut Conn, query: &str) -> Result<Vec<String>, Fault> {
    let query = format!("/* a test */ {query}");
    let query = sql::<Nullable<Text>>(&query);
    let found: Vec<Option<String>> = match conn {
        Conn::Sqlite(conn) => query.load(conn)?,
        Conn::Postgres(conn) => query.load(conn)?,
    };
    Ok(found.into_iter().flatten().collect())
}
