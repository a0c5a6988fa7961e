//! Connections that are refused, and connections that go away.

use grantd::domain::clock::SystemWall;
use grantd::domain::{Fault, UnixTime, Wall as _};
use grantd::store::{Conn, Db, StoreOptions, database_clock, meta};

use crate::support::databases::{Kind, TestDb, block_on, on_both, soon};

#[test]
fn a_server_that_answers_before_the_disk_has_it_is_refused() {
    let test = TestDb::migrated(Kind::Postgres);
    Db::open(&test.options()).map(drop).unwrap();
    test.postgres_admin(&format!("ALTER DATABASE {} SET synchronous_commit = off", test.database()));
    let refused = Db::open(&test.options()).map(drop).unwrap_err().to_string();
    assert!(refused.contains("synchronous_commit = off"), "{refused}");
}

#[test]
fn a_server_that_is_away_is_told_without_the_password() {
    let url = "postgres://grantd:hunter2secret@127.0.0.1:1/grantd".to_owned();
    let options = StoreOptions { url, ..StoreOptions::default() };
    for fault in [Db::open(&options).map(drop).unwrap_err(), Db::migrate(&options, |_| Ok(())).unwrap_err()] {
        let (shown, debugged) = (fault.to_string(), format!("{fault:?}"));
        assert!(shown.contains("cannot connect to PostgreSQL"), "{shown}");
        assert!(!shown.contains("hunter2secret") && !debugged.contains("hunter2secret"));
    }
    assert!(!format!("{options:?}").contains("hunter2secret"));
}

#[test]
fn time_outs_reach_the_server_by_the_connection_string() {
    let test = TestDb::migrated(Kind::Postgres);
    let timeouts = async {
        test.db()
            .read(soon(), |conn| {
                let Conn::Postgres(conn) = conn else { panic!("not PostgreSQL") };
                let asked = diesel::dsl::sql::<diesel::sql_types::Text>(
                    "/* a test */ SELECT current_setting('statement_timeout') || ' ' || \
                     current_setting('idle_in_transaction_session_timeout')",
                );
                Ok(diesel::RunQueryDsl::get_result::<String>(asked, conn)?)
            })
            .await
    };
    assert_eq!(block_on(timeouts).unwrap(), "5s 5s");
}

#[test]
fn a_store_behind_a_pooler_prepares_nothing() {
    let test = TestDb::migrated(Kind::Postgres);
    let db = Db::open(&StoreOptions { pooled: true, readers: 1, ..test.options() }).unwrap();
    let prepared = async {
        db.read(soon(), |conn| {
            meta::get(conn, "x")?;
            meta::get(conn, "x")?;
            let Conn::Postgres(conn) = conn else { panic!("not PostgreSQL") };
            let asked = diesel::dsl::sql::<diesel::sql_types::BigInt>(
                "/* a test */ SELECT count(*) FROM pg_prepared_statements",
            );
            Ok(diesel::RunQueryDsl::get_result::<i64>(asked, conn)?)
        })
        .await
    };
    assert_eq!(block_on(prepared).unwrap(), 0);
}

#[test]
fn lost_connections_are_busy_once_and_replaced() {
    let test = TestDb::migrated(Kind::Postgres);
    block_on(async {
        let db = Db::open(&StoreOptions { readers: 1, ..test.options() }).unwrap();
        db.read(soon(), |conn| meta::get(conn, "x")).await.unwrap();
        test.postgres_admin(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
            test.database()
        ));
        // The first to fail has all of them replaced.
        let mut failures = 0;
        while let Err(fault) = db.read(soon(), |conn| meta::get(conn, "x")).await {
            assert!(matches!(fault, Fault::Busy { .. }), "{fault:?}");
            failures += 1;
            assert!(failures <= 1, "the pool keeps broken connections");
        }
        assert!(failures >= 1, "the test killed nothing");
    });
}

on_both! {
    async fn the_clock_of_the_database_is_near_ours(test: TestDb) {
        let theirs = test.db().poll(soon(), database_clock).await.unwrap();
        let ours: UnixTime = SystemWall.now();
        assert!((theirs.millis() - ours.millis()).abs() < 2000, "{theirs:?} {ours:?}");
    }
}
