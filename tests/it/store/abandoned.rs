//! Connections that never answer: the job is abandoned, another one works, and what hangs comes back when
//! it is cut.

use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use grantd::domain::clock::{deadline_in, monotonic};
use grantd::domain::{Decision, Fault};
use grantd::store::{Conn, Db, StoreOptions, meta};

use crate::support::databases::{Kind, TestDb, block_on, on_both, soon};
use crate::support::process::{pause, seconds_since, until};
use crate::support::proxy::Proxy;

/// Beyond its deadline a job has two seconds before it is abandoned.
const GRACE: Duration = Duration::from_secs(2);

fn shortly() -> Instant {
    deadline_in(Duration::from_millis(300))
}

/// A store with one permit for requests, behind a proxy.
fn behind_a_proxy(test: &TestDb) -> (Proxy, Db) {
    let proxy = Proxy::before(&test.options().url);
    let options = StoreOptions { url: proxy.url.clone(), readers: 1, ..test.options() };
    let db = Db::open(&options).unwrap();
    (proxy, db)
}

async fn read(db: &Db, deadline: Instant) -> Result<Option<String>, Fault> {
    db.read(deadline, |conn| meta::get(conn, "x")).await
}

#[track_caller]
fn is_busy<T: std::fmt::Debug>(outcome: Result<T, Fault>) {
    assert!(matches!(outcome, Err(Fault::Busy { .. })), "{outcome:?}");
}

fn come_back(db: &Db) {
    until("the connections come back", Duration::from_secs(10), || db.connections_abandoned() == 0);
}

#[test]
fn a_read_that_hangs_gives_its_permit_to_the_next() {
    let test = TestDb::migrated(Kind::Postgres);
    let (proxy, db) = behind_a_proxy(&test);
    block_on(async {
        assert_eq!(read(&db, soon()).await.unwrap(), None);
        proxy.strand();
        let began = monotonic();
        is_busy(read(&db, shortly()).await);
        assert!(seconds_since(began) < 2.0, "the caller is answered at its deadline");
        // The one permit comes back, and the next job takes a new connection.
        assert_eq!(read(&db, soon()).await.unwrap(), None);
        assert!(seconds_since(began) < 10.0);
        assert_eq!(db.connections_abandoned(), 1);
        proxy.cut();
        come_back(&db);
    });
}

#[test]
fn a_caller_that_goes_away_leaves_no_permit_behind() {
    let test = TestDb::migrated(Kind::Postgres);
    let (proxy, db) = behind_a_proxy(&test);
    block_on(async {
        read(&db, soon()).await.unwrap();
        proxy.strand();
        let gone = actix_web::rt::spawn({
            let db = db.clone();
            async move { read(&db, shortly()).await }
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        gone.abort();
        assert_eq!(read(&db, soon()).await.unwrap(), None);
        assert_eq!(db.connections_abandoned(), 1);
        proxy.cut();
        come_back(&db);
    });
}

#[test]
fn the_poller_takes_another_connection_at_its_deadline_and_frees_those_of_its_time() {
    let test = TestDb::migrated(Kind::Postgres);
    let (proxy, db) = behind_a_proxy(&test);
    block_on(async {
        read(&db, soon()).await.unwrap();
        proxy.strand();
        // It waits for long, and holds the only permit of requests.
        let waiting = actix_web::rt::spawn({
            let db = db.clone();
            async move { read(&db, soon()).await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        let poll = || db.poll(deadline_in(Duration::from_millis(1200)), |conn| meta::get(conn, "x"));
        // The first connection of the poller is a new one; then it hangs too.
        poll().await.unwrap();
        proxy.strand();
        is_busy(poll().await);
        let began = monotonic();
        poll().await.unwrap();
        assert_eq!(read(&db, soon()).await.unwrap(), None);
        assert!(seconds_since(began) < 2.0, "the permit of the request that hangs was not given back");
        assert_eq!(db.connections_abandoned(), 2);
        waiting.abort();
        proxy.cut();
        come_back(&db);
    });
}

#[test]
fn beyond_the_bound_everybody_is_busy_at_once() {
    let test = TestDb::migrated(Kind::Postgres);
    let (proxy, db) = behind_a_proxy(&test);
    block_on(async {
        // Four permits, of which one is for requests: eight may hang beside those that work.
        while db.connections_abandoned() < 12 {
            let polled = db.poll(shortly(), |conn| meta::get(conn, "x")).await;
            assert!(matches!(polled, Ok(None) | Err(Fault::Busy { .. })), "{polled:?}");
            proxy.strand();
        }
        let began = monotonic();
        let refused = read(&db, soon()).await.unwrap_err().to_string();
        assert!(refused.contains("too many connections to the database never answered"), "{refused}");
        assert!(seconds_since(began) < 1.0);
        proxy.cut();
        come_back(&db);
        assert_eq!(read(&db, soon()).await.unwrap(), None);
    });
}

#[test]
fn a_write_that_hangs_in_its_commit_may_have_been_done() {
    let test = TestDb::migrated(Kind::Postgres);
    let (proxy, db) = behind_a_proxy(&test);
    let set =
        |value: &'static str, deadline| db.write(deadline, move |tx| meta::set(tx, "x", value).map(Decision::Allow));
    block_on(async {
        set("1", soon()).await.unwrap();
        proxy.strand_at("COMMIT");
        is_busy(set("2", shortly()).await);
        assert_eq!(read(&db, soon()).await.unwrap().as_deref(), Some("2"), "the server has committed");
        set("3", soon()).await.unwrap();
        assert_eq!(db.connections_abandoned(), 1);
        proxy.cut();
        come_back(&db);
        assert_eq!(read(&db, soon()).await.unwrap().as_deref(), Some("3"), "and nothing ran again");
    });
}

#[test]
fn a_connection_that_is_never_answered_ends_by_its_time_out() {
    let test = TestDb::migrated(Kind::Postgres);
    let (proxy, db) = behind_a_proxy(&test);
    block_on(async {
        proxy.swallow_new(true);
        is_busy(read(&db, shortly()).await);
        proxy.swallow_new(false);
        assert_eq!(read(&db, soon()).await.unwrap(), None);
        // Nobody cuts it: `connect_timeout` does.
        come_back(&db);
    });
}

/// Goes on, however the test ends.
struct Stopped(i32);

impl Stopped {
    fn now(pid: i32) -> Self {
        signal("STOP", pid);
        Self(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        signal("CONT", self.0);
    }
}

fn signal(name: &str, pid: i32) {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(status.expect("no kill").success());
}

#[test]
fn a_server_process_that_stands_still_is_abandoned_and_comes_back() {
    let test = TestDb::migrated(Kind::Postgres);
    let db = Db::open(&StoreOptions { readers: 1, ..test.options() }).unwrap();
    block_on(async {
        let backend = db.read(soon(), |conn| {
            let Conn::Postgres(conn) = conn else { panic!("not PostgreSQL") };
            let asked = diesel::dsl::sql::<diesel::sql_types::Integer>("SELECT pg_backend_pid()");
            Ok(diesel::RunQueryDsl::get_result::<i32>(asked, conn)?)
        });
        let stopped = Stopped::now(backend.await.unwrap());
        is_busy(read(&db, shortly()).await);
        assert_eq!(read(&db, soon()).await.unwrap(), None);
        assert_eq!(db.connections_abandoned(), 1);
        drop(stopped);
        come_back(&db);
    });
}

#[test]
fn a_wait_for_the_lock_of_the_migrations_ends_with_patience() {
    let test = TestDb::migrated(Kind::Postgres);
    let options = StoreOptions { patience: Some(Duration::from_millis(500)), ..test.options() };
    std::thread::scope(|scope| {
        let (held, holds) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let first = test.options();
        scope.spawn(move || {
            Db::migrate(&first, move |_| {
                held.send(()).unwrap();
                released.recv().unwrap();
                Ok(())
            })
        });
        holds.recv().unwrap();
        let refused = Db::migrate(&options, |_| Ok(())).unwrap_err().to_string();
        release.send(()).unwrap();
        assert!(refused.contains("another process migrates the database"), "{refused}");
    });
    Db::migrate(&options, |_| Ok(())).unwrap();
}

on_both! {
    async fn a_job_that_takes_too_long_loses_its_permit_and_its_thread_comes_back(test: TestDb) {
        let db = Db::open(&StoreOptions { readers: 1, ..test.options() }).unwrap();
        let (release, released) = mpsc::channel::<()>();
        let slow = db.read(shortly(), move |_| {
            released.recv().unwrap();
            Ok(())
        });
        is_busy(slow.await);
        assert_eq!(db.connections_abandoned(), 0, "it has its grace");
        let began = monotonic();
        assert_eq!(read(&db, soon()).await.unwrap(), None);
        assert!(monotonic().duration_since(began) > GRACE / 2, "the permit came back before the grace was over");
        assert_eq!(db.connections_abandoned(), 1);
        release.send(()).unwrap();
        while db.connections_abandoned() > 0 {
            pause();
        }
        assert_eq!(read(&db, soon()).await.unwrap(), None);
    }

    async fn a_close_does_not_wait_for_what_hangs(test: TestDb) {
        let db = Db::open(&StoreOptions { readers: 1, ..test.options() }).unwrap();
        assert_eq!(read(&db, soon()).await.unwrap(), None);
        let (release, released) = mpsc::channel::<()>();
        let (started, has_started) = tokio::sync::oneshot::channel();
        let mut started = Some(started);
        let hangs = {
            let (db, released) = (db.clone(), std::sync::Mutex::new(released));
            actix_web::rt::spawn(async move {
                db.write(soon(), move |_| {
                    started.take().unwrap().send(()).unwrap();
                    released.lock().unwrap().recv().unwrap();
                    Ok(Decision::Allow(()))
                }).await
            })
        };
        has_started.await.unwrap();
        let began = monotonic();
        assert!(!db.close(deadline_in(Duration::from_millis(300))).await, "it says that it was not done");
        assert!(seconds_since(began) < 3.0);
        is_busy(read(&db, soon()).await);
        release.send(()).unwrap();
        hangs.await.unwrap().unwrap();
    }
}
