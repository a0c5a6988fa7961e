//! A database that never answers: connections that hang, a server that ends all the same, a start and
//! commands that say what they wait for.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use grantd::domain::clock::monotonic;
use grantd::store::{Db, StoreOptions};
use serde_json::json;

use crate::process::admin::Api;
use crate::process::limits::threads;
use crate::support::client::Http;
use crate::support::databases::Kind;
use crate::support::process::{Home, Server, pause, seconds_since, until};
use crate::support::proxy::Proxy;

/// Seconds that requests in flight may take to finish.
const SHUTDOWN: u64 = 3;

/// A server behind a proxy, and its metrics on an address of their own: they need no database.
struct Stuck {
    home: Home,
    proxy: Proxy,
    server: Server,
    metrics: Http,
}

impl Stuck {
    fn serve() -> Self {
        let home = Home::on(Kind::Postgres)
            .with("GRANTD_HTTP__SHUTDOWN_TIMEOUT", &SHUTDOWN.to_string())
            .with("GRANTD_HTTP__REQUEST_TIMEOUT_MS", "2000")
            .with("GRANTD_EVENTS__MACHINE_TOKENS", "true");
        let proxy = Proxy::before(&home.database().options().url);
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let home = home.with("GRANTD_DATABASE_URL", &proxy.url).with("GRANTD_METRICS_LISTEN", &address);
        let server = home.serve();
        Self { home, proxy, server, metrics: Http::to(&format!("http://{address}")) }
    }

    fn api(&self) -> Api {
        Api::of(&self.home, &self.server)
    }

    fn is_ready(&self) -> bool {
        self.server.http.get("/readyz").status == 200
    }

    /// Connections that never answered.
    fn abandoned(&self) -> u64 {
        let text = self.metrics.get("/metrics").expect(200).text;
        let line = text.lines().find_map(|line| line.strip_prefix("grantd_database_connections_abandoned "));
        line.expect("no such metric").parse().unwrap()
    }

    /// Strands what is connected, the connection of the poller among it; answers when the node has noticed.
    fn strand(&self) -> Instant {
        loop {
            let began = monotonic();
            self.proxy.strand();
            // A poller that was just opening another connection noticed nothing.
            while seconds_since(began) < 1.5 {
                if !self.is_ready() {
                    return began;
                }
                pause();
            }
        }
    }

    /// SIGTERM ends it in time. Its exit status.
    fn ends(&mut self) -> Option<i32> {
        let began = monotonic();
        self.server.signal("TERM");
        let status = self.server.ended(Duration::from_secs(20));
        let took = seconds_since(began);
        assert!(took < SHUTDOWN as f64 + 2.0, "it took {took} s\n{}", self.server.stderr());
        status.code()
    }
}

#[test]
fn connections_that_hang_are_replaced_and_the_node_is_ready_again() {
    let mut stuck = Stuck::serve();
    let (id, secret) = stuck.api().new_client(&json!({}));
    let calm = threads(&stuck.server);
    let began = stuck.strand();
    until("it is ready again", Duration::from_secs(10), || stuck.is_ready());
    let took = seconds_since(began);
    // 1.5 s of a read of the change log, then a new connection; the rest is for a busy machine.
    assert!(took < 3.0, "ready after {took} s");
    stuck.server.http.token(&id, &secret).expect(200);
    stuck.api().get("/providers").expect(200);
    stuck.api().new_client(&json!({}));
    assert!(stuck.abandoned() >= 1);
    assert!(threads(&stuck.server) <= calm + 21, "{calm} threads became {}", threads(&stuck.server));
    stuck.proxy.cut();
    until("they come back", Duration::from_secs(10), || stuck.abandoned() == 0);
    // What hangs is not waited for.
    stuck.strand();
    until("it is ready again", Duration::from_secs(10), || stuck.is_ready());
    assert!(stuck.abandoned() >= 1);
    assert_eq!(stuck.ends(), Some(0), "{}", stuck.server.stderr());
    assert!(stuck.server.stderr().contains("stopped"), "{}", stuck.server.stderr());
}

#[test]
fn a_server_whose_database_hangs_ends_in_time_and_says_what_it_gave_up() {
    let mut stuck = Stuck::serve();
    let (id, secret) = stuck.api().new_client(&json!({}));
    stuck.server.http.token(&id, &secret).expect(200);
    stuck.proxy.freeze(true);
    // Its event waits to be written: the end does it, whatever the minute.
    stuck.server.http.token(&id, &secret).expect(200);
    assert_eq!(stuck.ends(), Some(1), "{}", stuck.server.stderr());
    let log = stuck.server.stderr();
    assert!(log.contains("what was noted last could not be written"), "{log}");
    assert!(log.contains("the server ended before all was written"), "{log}");
}

#[test]
fn a_server_that_was_just_cut_off_ends_in_time_too() {
    let mut stuck = Stuck::serve();
    let (id, secret) = stuck.api().new_client(&json!({}));
    stuck.server.http.token(&id, &secret).expect(200);
    stuck.proxy.strand();
    stuck.ends();
}

#[test]
fn when_too_many_connections_hang_the_node_is_busy_and_not_stuck() {
    let mut stuck = Stuck::serve();
    // Answered from memory later on.
    stuck.server.http.get("/.well-known/jwks.json").expect(200);
    let calm = threads(&stuck.server);
    let mut rounds = 0;
    // Beside 7 connections that work 14 may hang.
    while !stuck.server.stderr().contains("too many connections to the database never answered") {
        rounds += 1;
        assert!(rounds < 60, "{} hang after {rounds} rounds", stuck.abandoned());
        stuck.proxy.strand();
        let requests: Vec<_> = std::thread::scope(|scope| {
            let ask = || {
                let began = monotonic();
                let answer = stuck.api().get("/providers");
                (answer.status, seconds_since(began))
            };
            let asked: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            asked.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        for (status, took) in requests {
            assert!(took < 8.0, "a request took {took} s");
            assert!(status == 200 || status == 503, "{status}");
        }
    }
    // Nothing more is opened, and everybody is answered.
    assert!(stuck.abandoned() >= 14, "{} hang", stuck.abandoned());
    stuck.strand();
    let began = monotonic();
    stuck.api().get("/providers").expect(503);
    assert!(seconds_since(began) < 4.0, "a request took {} s", seconds_since(began));
    stuck.server.http.get("/.well-known/jwks.json").expect(200);
    assert!(threads(&stuck.server) <= calm + 21, "{calm} threads became {}", threads(&stuck.server));
    stuck.proxy.cut();
    until("they come back", Duration::from_secs(10), || stuck.abandoned() == 0);
    until("it is ready again", Duration::from_secs(10), || stuck.is_ready());
    stuck.api().get("/providers").expect(200);
    assert_eq!(stuck.ends(), Some(0), "{}", stuck.server.stderr());
}

#[test]
fn new_connections_that_are_never_answered_come_back_by_their_time_out() {
    let stuck = Stuck::serve();
    stuck.proxy.swallow_new(true);
    stuck.strand();
    let began = monotonic();
    stuck.api().get("/providers").expect(503);
    assert!(seconds_since(began) < 8.0);
    stuck.proxy.swallow_new(false);
    until("it is ready again", Duration::from_secs(15), || stuck.is_ready());
    stuck.api().get("/providers").expect(200);
}

#[test]
fn a_writer_that_waits_for_another_process_does_not_hold_up_the_end() {
    let home =
        Home::on(Kind::Sqlite).with("GRANTD_HTTP__SHUTDOWN_TIMEOUT", "1").with("GRANTD_EVENTS__MACHINE_TOKENS", "true");
    let mut server = home.serve();
    let (id, secret) = Api::of(&home, &server).new_client(&json!({}));
    let (held, holds) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let options =
        StoreOptions { url: format!("sqlite://{}/data/grantd.db", home.folder().display()), ..StoreOptions::default() };
    std::thread::scope(|scope| {
        scope.spawn(move || {
            Db::migrate(&options, move |_| {
                held.send(()).unwrap();
                // Holds the only lock for writers.
                Ok(released.recv_timeout(Duration::from_secs(30)).is_ok())
            })
        });
        holds.recv().unwrap();
        server.http.token(&id, &secret).expect(200);
        let began = monotonic();
        server.signal("TERM");
        let status = server.ended(Duration::from_secs(20));
        let took = seconds_since(began);
        release.send(()).unwrap();
        assert!(took < 3.0, "it took {took} s\n{}", server.stderr());
        assert_eq!(status.code(), Some(1), "{}", server.stderr());
        assert!(server.stderr().contains("could not be written"), "{}", server.stderr());
    });
}

#[test]
fn a_start_whose_database_never_answers_says_so_and_can_be_stopped() {
    let home = Home::on(Kind::Postgres);
    let proxy = Proxy::before(&home.database().options().url);
    proxy.freeze(true);
    let mut server = home.with("GRANTD_DATABASE_URL", &proxy.url).spawn(&[]);
    until("it says so", Duration::from_secs(30), || server.stderr().contains("the database is away"));
    server.signal("TERM");
    server.ended(Duration::from_secs(10));
}

#[test]
fn a_command_whose_database_never_answers_ends_with_a_sentence() {
    let home = Home::on(Kind::Postgres).migrated();
    let proxy = Proxy::before(&home.database().options().url);
    proxy.swallow_new(true);
    let home = home.with("GRANTD_DATABASE_URL", &proxy.url);
    std::thread::scope(|scope| {
        for command in [&["doctor"][..], &["client", "list"]] {
            let home = &home;
            scope.spawn(move || {
                let began = monotonic();
                let ran = home.run(command);
                assert!(seconds_since(began) < 40.0);
                assert_eq!(ran.status.code(), Some(3), "{ran:?}");
                assert!(ran.stderr.contains("the database does not answer"), "{ran:?}");
            });
        }
    });
}
