//! The group-commit writer of SQLite on its good and bad days.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use actix_web::rt::spawn;
use actix_web::rt::task::JoinHandle;
use diesel::connection::SimpleConnection as _;
use grantd::domain::clock::deadline_in;
use grantd::domain::{Decision, Fault, Refusal};
use grantd::store::{Db, StoreOptions, Tx, is_constraint, meta};

use crate::support::databases::{Kind, TestDb, block_on, soon};

type Outcome = JoinHandle<Result<Decision<()>, Fault>>;

/// Submits a job and lets it reach the queue.
async fn submit(db: &Db, job: impl FnMut(&mut Tx<'_>) -> Result<Decision<()>, Fault> + Send + 'static) -> Outcome {
    let waiting = db.writes_waiting();
    let handle = spawn({
        let db = db.clone();
        async move { db.write(soon(), job).await }
    });
    while db.writes_waiting() == waiting && !handle.is_finished() {
        tokio::task::yield_now().await;
    }
    handle
}

/// Holds the writer inside a job, so that what comes next shares one batch.
struct Held {
    release: mpsc::Sender<()>,
    outcome: Outcome,
}

impl Held {
    async fn on(db: &Db) -> Self {
        let (release, released) = mpsc::channel::<()>();
        let (started, has_started) = tokio::sync::oneshot::channel();
        let mut started = Some(started);
        let outcome = spawn({
            let db = db.clone();
            async move {
                db.write(soon(), move |_| {
                    if let Some(started) = started.take() {
                        started.send(()).unwrap();
                    }
                    released.recv().unwrap();
                    Ok(Decision::Allow(()))
                })
                .await
            }
        });
        has_started.await.unwrap();
        Self { release, outcome }
    }

    async fn end(self) {
        self.release.send(()).unwrap();
        self.outcome.await.unwrap().unwrap();
    }
}

fn sets(key: &'static str) -> impl FnMut(&mut Tx<'_>) -> Result<Decision<()>, Fault> + Send + 'static {
    move |tx| meta::set(tx, key, "1").map(Decision::Allow)
}

async fn has(db: &Db, key: &'static str) -> bool {
    db.read(soon(), move |conn| meta::get(conn, key)).await.unwrap().is_some()
}

/// Submits `sets("a")`, `job`, `sets("c")` as one batch; answers how often the first one ran and
/// how each ended.
async fn batch_of_three(
    db: &Db,
    job: impl FnMut(&mut Tx<'_>) -> Result<Decision<()>, Fault> + Send + 'static,
) -> (u32, [Result<Decision<()>, Fault>; 3]) {
    let runs = Arc::new(AtomicU32::new(0));
    let held = Held::on(db).await;
    let first = submit(db, {
        let runs = Arc::clone(&runs);
        move |tx| {
            runs.fetch_add(1, Ordering::SeqCst);
            sets("a")(tx)
        }
    })
    .await;
    let second = submit(db, job).await;
    let third = submit(db, sets("c")).await;
    held.end().await;
    let outcomes = [first.await.unwrap(), second.await.unwrap(), third.await.unwrap()];
    (runs.load(Ordering::SeqCst), outcomes)
}

fn on_sqlite<F: Future<Output = ()>>(test: impl FnOnce(TestDb) -> F) {
    block_on(async { test(TestDb::migrated(Kind::Sqlite)).await });
}

#[test]
fn a_full_disk_inside_a_batch_costs_only_the_job_that_fills_it() {
    on_sqlite(|test| async move {
        let db = test.db();
        let (runs, [first, second, third]) = batch_of_three(db, |tx| {
            meta::set(tx, "b", "1")?;
            tx.batch_execute("PRAGMA max_page_count = 1")?;
            tx.batch_execute("INSERT INTO meta VALUES ('big', hex(zeroblob(4000000)))")?;
            Ok(Decision::Allow(()))
        })
        .await;
        first.unwrap();
        assert!(second.unwrap_err().to_string().contains("full"));
        third.unwrap();
        assert_eq!(runs, 2, "the batch was lost, so the first job ran again");
        assert!(has(db, "a").await && has(db, "c").await);
        assert!(!has(db, "b").await && !has(db, "big").await);
        db.write(soon(), sets("later")).await.unwrap();
    });
}

#[test]
fn a_job_that_panics_takes_nobody_with_it() {
    on_sqlite(|test| async move {
        let db = test.db();
        let (runs, [first, second, third]) = batch_of_three(db, |tx| {
            meta::set(tx, "b", "1")?;
            panic!("on purpose");
        })
        .await;
        first.unwrap();
        assert!(second.unwrap_err().to_string().contains("panicked"));
        third.unwrap();
        assert_eq!(runs, 2);
        assert!(has(db, "a").await && !has(db, "b").await && has(db, "c").await);
    });
}

#[test]
fn a_commit_that_fails_is_a_fault_for_everyone_and_nothing_runs_again() {
    on_sqlite(|test| async move {
        let db = test.db();
        let (runs, outcomes) = batch_of_three(db, |tx| {
            // Checked at the commit, so every job of the batch has succeeded by then.
            tx.batch_execute("PRAGMA defer_foreign_keys = ON")?;
            tx.batch_execute("INSERT INTO scopes (provider_id, name, created_at) VALUES ('nobody', 'x', 0)")?;
            Ok(Decision::Allow(()))
        })
        .await;
        for outcome in outcomes {
            assert!(outcome.unwrap_err().to_string().contains("could not be committed"));
        }
        assert_eq!(runs, 1);
        assert!(!has(db, "a").await && !has(db, "c").await);
        db.write(soon(), sets("later")).await.unwrap();
        assert!(has(db, "later").await);
    });
}

#[test]
fn a_broken_constraint_is_told_to_its_own_job_alone() {
    on_sqlite(|test| async move {
        let db = test.db();
        let (runs, [first, second, third]) = batch_of_three(db, |tx| {
            meta::set(tx, "b", "1")?;
            tx.batch_execute("INSERT INTO scopes (provider_id, name, created_at) VALUES ('nobody', 'x', 0)")?;
            Ok(Decision::Allow(()))
        })
        .await;
        first.unwrap();
        assert!(is_constraint(&second.unwrap_err()));
        third.unwrap();
        assert_eq!(runs, 1, "the batch went on");
        assert!(has(db, "a").await && !has(db, "b").await && has(db, "c").await);
    });
}

#[test]
fn a_refusal_commits_what_the_job_wrote() {
    on_sqlite(|test| async move {
        let db = test.db();
        let refusing = |tx: &mut Tx<'_>| {
            meta::set(tx, "counted", "1")?;
            Ok(Decision::<()>::Refuse(Refusal::malformed("no")))
        };
        assert!(matches!(db.write(soon(), refusing).await.unwrap(), Decision::Refuse(_)));
        assert!(has(db, "counted").await);
    });
}

#[test]
fn a_job_past_its_deadline_is_not_run() {
    on_sqlite(|test| async move {
        let db = test.db();
        let held = Held::on(db).await;
        let late = spawn({
            let db = db.clone();
            async move { db.write(deadline_in(Duration::ZERO), sets("late")).await }
        });
        while db.writes_waiting() == 0 {
            tokio::task::yield_now().await;
        }
        held.end().await;
        assert!(matches!(late.await.unwrap(), Err(Fault::Busy { .. })));
        assert!(!has(db, "late").await);
    });
}

#[test]
fn a_job_nobody_waits_for_is_not_run() {
    on_sqlite(|test| async move {
        let db = test.db();
        let held = Held::on(db).await;
        let given_up = submit(db, sets("unwanted")).await;
        given_up.abort();
        assert!(given_up.await.is_err());
        held.end().await;
        db.write(soon(), sets("after")).await.unwrap();
        assert!(has(db, "after").await && !has(db, "unwanted").await);
    });
}

#[test]
fn a_full_queue_answers_busy_at_once() {
    on_sqlite(|test| async move {
        let db = Db::open(&StoreOptions { write_queue: 2, ..test.options() }).unwrap();
        let held = Held::on(&db).await;
        let waiting = [submit(&db, sets("a")).await, submit(&db, sets("b")).await];
        let refused = db.write(soon(), sets("c")).await;
        assert!(matches!(refused, Err(Fault::Busy { .. })), "{refused:?}");
        held.end().await;
        for outcome in waiting {
            outcome.await.unwrap().unwrap();
        }
        assert!(!has(&db, "c").await);
    });
}

#[test]
fn nobody_is_answered_before_the_commit() {
    on_sqlite(|test| async move {
        let db = test.db();
        let held = Held::on(db).await;
        let done = submit(db, sets("done")).await;
        // The last job of the same batch stands still: the first one has succeeded long ago.
        let (release, released) = mpsc::channel::<()>();
        let (running, is_running) = tokio::sync::oneshot::channel();
        let mut running = Some(running);
        let still = submit(db, move |_| {
            if let Some(running) = running.take() {
                running.send(()).unwrap();
            }
            released.recv().unwrap();
            Ok(Decision::Allow(()))
        })
        .await;
        held.end().await;
        is_running.await.unwrap();
        assert!(!has(db, "done").await, "not committed");
        assert!(!done.is_finished(), "and not answered");
        release.send(()).unwrap();
        done.await.unwrap().unwrap();
        assert!(has(db, "done").await);
        still.await.unwrap().unwrap();
    });
}

#[test]
fn closing_writes_what_waits_and_refuses_what_comes_later() {
    on_sqlite(|test| async move {
        let db = test.db();
        let held = Held::on(db).await;
        let waiting = submit(db, sets("waited")).await;
        let closing = spawn({
            let db = db.clone();
            async move { db.close(soon()).await }
        });
        held.end().await;
        closing.await.unwrap();
        waiting.await.unwrap().unwrap();
        assert!(matches!(db.write(soon(), sets("later")).await, Err(Fault::Busy { .. })));
        let again = Db::open(&test.options()).unwrap();
        assert!(has(&again, "waited").await && !has(&again, "later").await);
    });
}
