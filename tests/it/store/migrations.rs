//! Both folders of migrations give the same tables, and one of many starts does the first run.

use std::collections::BTreeSet;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Text};
use grantd::domain::Fault;
use grantd::store::{Conn, Db, meta};

use crate::support::databases::{Kind, TestDb, block_on, soon};

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Integer)]
    nullable: i32,
    #[diesel(sql_type = Text)]
    kind: String,
}

/// `table.column kind?` of every column, the kinds of the two databases folded onto one word.
fn columns(kind: Kind) -> BTreeSet<String> {
    const SQLITE: &str = "/* a test */ SELECT m.name AS table_name, c.name AS column_name, 1 - c.\"notnull\" AS nullable, \
         c.type AS kind FROM sqlite_master m, pragma_table_info(m.name) c \
         WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'";
    const POSTGRES: &str = "/* a test */ SELECT table_name::text, column_name::text, \
         (CASE is_nullable WHEN 'YES' THEN 1 ELSE 0 END)::int AS nullable, data_type::text AS kind \
         FROM information_schema.columns WHERE table_schema = 'public'";
    let test = TestDb::migrated(kind);
    let sql = if kind == Kind::Sqlite { SQLITE } else { POSTGRES };
    let read = async { test.db().read(soon(), move |conn| Ok(diesel::sql_query(sql).load::<Column>(conn)?)).await };
    let ours = |column: &Column| !column.table_name.starts_with("__diesel");
    let folded = |kind: &str| match kind {
        "TEXT" | "text" => "text",
        "BLOB" | "bytea" => "bytes",
        // SQLite has no type of its own for truth values.
        "INTEGER" | "bigint" | "boolean" => "number",
        other => panic!("{other} is none of the plain types"),
    };
    let told = |column: Column| {
        let Column { table_name, column_name, nullable, kind } = column;
        format!("{table_name}.{column_name} {}{}", folded(&kind), if nullable == 1 { "?" } else { "" })
    };
    block_on(read).unwrap().into_iter().filter(ours).map(told).collect()
}

/// Unique indexes and primary keys as `table(columns) condition`.
fn tables(columns: &BTreeSet<String>) -> BTreeSet<&str> {
    columns.iter().filter_map(|column| column.split('.').next()).collect()
}

#[test]
fn both_folders_give_the_same_tables_and_columns() {
    let (sqlite, postgres) = (columns(Kind::Sqlite), columns(Kind::Postgres));
    let differing: Vec<_> = sqlite.symmetric_difference(&postgres).collect();
    assert!(differing.is_empty(), "{differing:#?}");
    let expected = [
        "api_key_secrets",
        "api_keys",
        "assertion_jtis",
        "authorization_codes",
        "change_log",
        "client_secrets",
        "clients",
        "consents",
        "data_keys",
        "events",
        "explanations",
        "idempotency_keys",
        "login_failures",
        "logout_deliveries",
        "meta",
        "principal_names",
        "provider_domains",
        "provider_groups",
        "provider_issuers",
        "provider_roles",
        "providers",
        "refresh_families",
        "revoked",
        "scopes",
        "session_clients",
        "sessions",
        "signing_keys",
        "spent_tokens",
        "tenants",
        "trust_policies",
        "trusted_issuers",
        "usage",
        "user_links",
        "users",
        "webhook_deliveries",
        "webhook_patterns",
        "webhooks",
    ];
    assert_eq!(tables(&sqlite).into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn the_indexes_have_the_same_names() {
    let of = |kind: Kind, sql: &'static str| {
        let test = TestDb::migrated(kind);
        let read = async {
            test.db()
                .read(soon(), move |conn| {
                    let sql = diesel::dsl::sql::<Text>(&format!("/* a test */ {sql}"));
                    Ok(match conn {
                        Conn::Sqlite(conn) => sql.load::<String>(conn)?,
                        Conn::Postgres(conn) => sql.load::<String>(conn)?,
                    })
                })
                .await
        };
        block_on(read).unwrap().into_iter().collect::<BTreeSet<String>>()
    };
    // Those of primary keys and UNIQUE columns are named by each database in its own way.
    let sqlite = of(
        Kind::Sqlite,
        "SELECT name FROM sqlite_master WHERE type = 'index' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    );
    let postgres = of(
        Kind::Postgres,
        "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         WHERE c.relnamespace = 'public'::regnamespace \
         AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u'))",
    );
    assert_eq!(sqlite, postgres);
    assert!(sqlite.len() >= 15);
}

fn first_run_happens_once(kind: Kind) {
    let test = TestDb::empty(kind);
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let options = test.options();
            std::thread::spawn(move || Db::migrate(&options, |tx| meta::insert_if_absent(tx, "first_run", "done")))
        })
        .collect();
    let outcomes: Vec<bool> = starts.into_iter().map(|start| start.join().unwrap().unwrap()).collect();
    assert_eq!(outcomes.iter().filter(|first| **first).count(), 1, "{outcomes:?}");
}

#[test]
fn of_many_starts_one_does_the_first_run_on_sqlite() {
    first_run_happens_once(Kind::Sqlite);
}

#[test]
fn of_many_starts_one_does_the_first_run_on_postgres() {
    first_run_happens_once(Kind::Postgres);
}

fn a_failed_first_run_leaves_nothing(kind: Kind) {
    let test = TestDb::empty(kind);
    let failed: Result<(), Fault> = Db::migrate(&test.options(), |tx| {
        meta::set(tx, "half", "1")?;
        Err(Fault::store("on purpose"))
    });
    assert!(failed.unwrap_err().to_string().contains("on purpose"));
    let left = block_on(async { test.db().read(soon(), |conn| meta::get(conn, "half")).await });
    assert!(left.is_err(), "there is not even the table");
    // And the lock is free.
    Db::migrate(&test.options(), |tx| meta::set(tx, "whole", "1")).unwrap();
}

#[test]
fn a_failed_first_run_leaves_nothing_on_sqlite() {
    a_failed_first_run_leaves_nothing(Kind::Sqlite);
}

#[test]
fn a_failed_first_run_leaves_nothing_on_postgres() {
    a_failed_first_run_leaves_nothing(Kind::Postgres);
}

#[test]
fn the_sqlite_file_is_readable_for_its_owner_only_and_in_wal_mode() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grantd.db");
    let options = grantd::store::StoreOptions {
        url: format!("sqlite://{}", path.display()),
        ..grantd::store::StoreOptions::default()
    };
    assert!(Db::open(&options).is_err(), "opening creates nothing");
    assert!(!path.exists());
    Db::migrate(&options, |_| Ok(())).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let settings = block_on(async {
        let db = Db::open(&options).unwrap();
        db.read(soon(), |conn| {
            let Conn::Sqlite(conn) = conn else { panic!("not SQLite") };
            let number = |conn: &mut SqliteConnection, pragma: &str| {
                diesel::dsl::sql::<BigInt>(&format!("PRAGMA {pragma}")).get_result::<i64>(conn)
            };
            let mode: String = diesel::dsl::sql::<Text>("PRAGMA journal_mode").get_result(conn)?;
            Ok((mode, number(conn, "synchronous")?, number(conn, "foreign_keys")?, number(conn, "query_only")?))
        })
        .await
    });
    assert_eq!(settings.unwrap(), ("wal".to_owned(), 2, 1, 1));
}
