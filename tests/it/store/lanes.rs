//! Who waits for whom: permits, the poller's own connection, the background lane, write-behind,
//! cleanup, and the count of statements that holds the budget.

use std::sync::mpsc;
use std::time::Duration;

use actix_web::rt::spawn;
use diesel::connection::SimpleConnection as _;
use grantd::domain::clock::deadline_in;
use grantd::domain::token::{Jti, Revocation, RevokedKind};
use grantd::domain::{ClientId, Decision, Fault, ProviderId, UnixTime};
use grantd::store::behind::WriteBehind;
use grantd::store::cleanup::{self, Expired};
use grantd::store::usage::{self, Usage, UsageKind};
use grantd::store::{ChangedTable, Conn, StatementCounts, assertion_jtis, change_log, meta, revoked};

use crate::store::samples::NOW;
use crate::support::databases::{on_both, soon};

fn count(conn: &mut Conn, table: &str) -> Result<i64, Fault> {
    let sql = format!("/* a test */ SELECT count(*) FROM {table}");
    let query = diesel::dsl::sql::<diesel::sql_types::BigInt>(&sql);
    Ok(match conn {
        Conn::Sqlite(conn) => diesel::RunQueryDsl::get_result(query, conn)?,
        Conn::Postgres(conn) => diesel::RunQueryDsl::get_result(query, conn)?,
    })
}

on_both! {
    async fn a_read_without_a_free_connection_is_busy_at_its_deadline_and_polling_goes_on(test: TestDb) {
        let db = test.db();
        let mut held = Vec::new();
        for _ in 0..test.options().readers {
            let (release, released) = mpsc::channel::<()>();
            let (started, has_started) = tokio::sync::oneshot::channel();
            let db = db.clone();
            let read = spawn(async move {
                db.read(soon(), move |_| {
                    started.send(()).unwrap();
                    released.recv().unwrap();
                    Ok(())
                })
                .await
            });
            has_started.await.unwrap();
            held.push((release, read));
        }
        let refused = db.read(deadline_in(Duration::from_millis(20)), |conn| meta::get(conn, "x")).await;
        assert!(matches!(refused, Err(Fault::Busy { .. })), "{refused:?}");
        assert_eq!(db.poll(soon(), |conn| meta::get(conn, "x")).await.unwrap(), None);
        for (release, read) in held {
            release.send(()).unwrap();
            read.await.unwrap().unwrap();
        }
        assert_eq!(db.read(soon(), |conn| meta::get(conn, "x")).await.unwrap(), None);
    }

    async fn each_way_costs_the_statements_it_promises(test: TestDb) {
        let db = test.db();
        let redeemed = move |jti: &'static str| {
            db.write_one(soon(), move |conn| {
                assertion_jtis::redeem(conn, &ProviderId::from("p"), &ClientId::from("c"), jti, NOW)
            })
        };
        redeemed("first").await.unwrap();
        let before = db.statements();
        assert!(redeemed("second").await.unwrap());
        let cost = db.statements().since(before);
        assert_eq!((cost.reads, cost.writes, cost.others), (0, 1, 0));
        assert_eq!(cost.transactions, if db.is_sqlite() { 4 } else { 0 }, "no BEGIN on PostgreSQL");

        let before = db.statements();
        db.read(soon(), |conn| meta::get(conn, "x")).await.unwrap();
        assert_eq!(db.statements().since(before), StatementCounts { reads: 1, ..StatementCounts::default() });

        let before = db.statements();
        db.write(soon(), |tx| {
            meta::set(tx, "x", "1")?;
            tx.changed(ChangedTable::Clients, "p/c", UnixTime::from_seconds(NOW))?;
            Ok(Decision::Allow(()))
        })
        .await
        .unwrap();
        let cost = db.statements().since(before);
        assert_eq!((cost.reads, cost.writes), (0, 2));
        assert_eq!(cost.transactions, if db.is_sqlite() { 4 } else { 2 });
        assert_eq!(cost.round_trips(), cost.writes + cost.transactions);
    }

    async fn a_job_that_collides_with_others_runs_again_on_postgres(test: TestDb) {
        if test.kind == Kind::Sqlite {
            return; // one writer: nothing to collide with
        }
        for raised in ["MESSAGE = 'serialize', ERRCODE = '40001'", "MESSAGE = 'deadlock detected', ERRCODE = '40P01'"] {
            let mut runs = 0;
            let outcome = test.db().write(soon(), move |tx| {
                runs += 1;
                meta::set(tx, "runs", &runs.to_string())?;
                if runs < 3 {
                    tx.batch_execute(&format!("DO $$ BEGIN RAISE EXCEPTION USING {raised}; END $$"))?;
                }
                Ok(Decision::Allow(runs))
            }).await;
            assert_eq!(outcome.unwrap(), Decision::Allow(3));
            assert_eq!(test.db().read(soon(), |conn| meta::get(conn, "runs")).await.unwrap().as_deref(), Some("3"));
        }
    }

    async fn every_revocation_is_loaded_however_many_there_are(test: TestDb) {
        let (db, kind) = (test.db(), test.kind);
        db.write(soon(), move |tx| {
            let hex = if kind == Kind::Sqlite { "printf('%012x', i)" } else { "lpad(to_hex(i), 12, '0')" };
            tx.batch_execute(&format!(
                "INSERT INTO revoked (id, kind, provider_id, expires_at) \
                 WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 11999) \
                 SELECT '00000000-0000-0000-0000-' || {hex}, 'jti', 'p', {NOW} + i % 2 FROM n"
            ))?;
            Ok(Decision::Allow(()))
        }).await.unwrap();
        let loaded = db.read(soon(), |conn| {
            let mut loaded = std::collections::HashSet::new();
            revoked::load(conn, |one| { loaded.insert(one.id); })?;
            Ok(loaded.len())
        }).await.unwrap();
        assert_eq!(loaded, 12_000, "also those that one clock takes for expired");
    }

    async fn a_fault_takes_back_what_the_job_wrote(test: TestDb) {
        let failed: Result<Decision<()>, Fault> = test.db().write(soon(), |tx| {
            meta::set(tx, "half", "1")?;
            Err(Fault::store("on purpose"))
        }).await;
        assert!(failed.unwrap_err().to_string().contains("on purpose"));
        assert_eq!(test.db().read(soon(), |conn| meta::get(conn, "half")).await.unwrap(), None);
    }

    async fn a_reader_cannot_write_on_sqlite(test: TestDb) {
        if test.kind == Kind::Sqlite {
            let refused = test.db().read(soon(), |conn| meta::set(conn, "x", "1")).await;
            assert!(refused.unwrap_err().to_string().contains("readonly"));
        }
    }

    async fn the_change_log_is_read_in_order_from_a_number_on(test: TestDb) {
        let db = test.db();
        for (id, at) in [("old", 1000), ("p/c", 2000), ("k", 2001)] {
            db.write(soon(), move |tx| {
                tx.changed(ChangedTable::Clients, id, UnixTime::from_millis(at)).map(Decision::Allow)
            }).await.unwrap();
        }
        let before = |at| db.poll(soon(), move |conn| change_log::settled_before(conn, UnixTime::from_millis(at)));
        assert_eq!(before(1000).await.unwrap(), 0);
        let old = before(2000).await.unwrap();
        let changes = db.poll(soon(), move |conn| change_log::after(conn, old)).await.unwrap();
        let seen: Vec<_> = changes.iter().map(|change| (change.table, change.id.as_str(), change.at.millis())).collect();
        assert_eq!(seen, [(Some(ChangedTable::Clients), "p/c", 2000), (Some(ChangedTable::Clients), "k", 2001)]);
        assert!(changes[0].seq < changes[1].seq);
    }

    async fn notes_written_behind_add_up_and_the_latest_time_wins(test: TestDb) {
        let db = test.db();
        let behind = WriteBehind::new(1000);
        for second in [5, 9, 7] {
            behind.note_used(UsageKind::ApiKey, "k", UnixTime::from_seconds(second));
            behind.note_failure(UsageKind::ApiKey, "k", UnixTime::from_seconds(second - 1));
            assert_eq!(behind.flush(db, soon()).await.unwrap(), 1);
        }
        for number in 0..200 {
            behind.note_used(UsageKind::ClientSecret, &format!("s{number}"), UnixTime::from_seconds(1));
        }
        assert_eq!(behind.flush(db, soon()).await.unwrap(), 200);
        assert_eq!((behind.waiting(), behind.dropped()), (0, 0));
        let known = db.read(soon(), |conn| usage::of(conn, UsageKind::ApiKey, &["k", "unknown"])).await.unwrap();
        let expected = Usage { last_used_at: Some(9), failures: 3, last_failed_at: Some(8) };
        assert_eq!(known.into_iter().collect::<Vec<_>>(), [("k".to_owned(), expected)]);
        assert_eq!(db.read(soon(), |conn| count(conn, "usage")).await.unwrap(), 201);
    }

    async fn notes_that_cannot_be_written_are_counted(test: TestDb) {
        let db = test.db();
        let behind = WriteBehind::new(1000);
        db.close(soon()).await;
        for number in 0..100 {
            behind.note_used(UsageKind::ClientSecret, &format!("s{number}"), UnixTime::from_seconds(1));
        }
        assert!(behind.flush(db, soon()).await.is_err());
        assert_eq!((behind.waiting(), behind.dropped()), (36, 64));
    }

    async fn cleanup_takes_what_has_expired_in_bounded_batches_and_leaves_the_rest(test: TestDb) {
        let db = test.db();
        db.write(soon(), |tx| {
            for number in 0..7_u8 {
                let expires_at = if number < 5 { NOW - 3600 } else { NOW + 3600 };
                let id = Jti([number; 16]);
                let provider = ProviderId::from("p");
                revoked::insert(tx, &Revocation { provider, kind: RevokedKind::Token, id, expires_at })?;
                let (provider, client) = (ProviderId::from("p"), ClientId::from("c"));
                assertion_jtis::redeem(tx, &provider, &client, &number.to_string(), expires_at)?;
                tx.changed(ChangedTable::Clients, "x", UnixTime::from_seconds(expires_at))?;
            }
            Ok(Decision::Allow(()))
        }).await.unwrap();
        let now = UnixTime::from_seconds(NOW);
        let swept = db.write_background(soon(), move |tx| cleanup::sweep(tx, Expired::Revoked, now, 2)).await.unwrap();
        assert_eq!(swept, 2);
        assert_eq!(cleanup::tick(db, now, soon()).await.unwrap(), 13);
        for table in ["revoked", "assertion_jtis", "change_log"] {
            assert_eq!(db.read(soon(), move |conn| count(conn, table)).await.unwrap(), 2, "{table}");
        }
    }

    async fn cleanup_removes_a_retired_key_only_after_the_last_token_it_signed(test: TestDb) {
        use grantd::domain::key::KeyState;
        use grantd::store::signing_keys;
        use crate::store::samples::{furnish, signing_key};
        let db = test.db();
        db.write(soon(), |tx| {
            furnish(tx)?;
            let mut retired = signing_key("old", KeyState::Retired);
            retired.retired_at = Some(NOW);
            assert!(signing_keys::insert_next(tx, retired)?);
            assert!(signing_keys::insert_active_if_none(tx, signing_key("now", KeyState::Active))?);
            Ok(Decision::Allow(()))
        }).await.unwrap();
        let swept = async |now| cleanup::tick(db, UnixTime::from_seconds(now), soon()).await.unwrap();
        assert_eq!(swept(NOW + 3600).await, 0);
        assert_eq!(swept(NOW + 3600 + 61).await, 1);
        let left = db.read(soon(), |conn| signing_keys::list(conn, &ProviderId::from("p"))).await.unwrap();
        assert_eq!(left.iter().map(|key| key.kid.as_str()).collect::<Vec<_>>(), ["now"]);
    }

    async fn requests_do_not_wait_for_background_jobs(test: TestDb) {
        let db = test.db();
        // On PostgreSQL the lane has a connection of its own; on SQLite one job joins a batch.
        let jobs = (0..20).map(|number| db.write_background(soon(), move |tx| {
            tx.batch_execute("SELECT 1")?;
            meta::set(tx, &format!("background-{number}"), "1")
        }));
        let request = db.write(soon(), |tx| count(tx, "meta").map(Decision::Allow));
        let (rest, seen) = futures_util::future::join(futures_util::future::join_all(jobs), request).await;
        rest.into_iter().for_each(|outcome| outcome.unwrap());
        let Decision::Allow(seen) = seen.unwrap() else { panic!("refused") };
        assert!(seen < 20, "the request ran after all of them");
    }
}
