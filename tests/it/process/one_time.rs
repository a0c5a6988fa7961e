//! One-time tokens are good for one use: however many try at once, on however many servers, and
//! whenever a server dies.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::{Barrier, Mutex};
use std::time::Duration;

use grantd::store::{Db, StoreOptions};
use serde_json::{Value, json};

use crate::support::app::count;
use crate::support::client::{Http, read_to_end};
use crate::support::databases::{Kind, block_on, soon};
use crate::support::muted_postgres::MutedPostgres;
use crate::support::process::{Home, OWNER, Server, on_each, pause, until};

const ROUNDS: usize = 100;
const AT_ONCE: usize = 64;

/// A one-time token of the owner key, for provider `default`.
fn minted(http: &Http) -> String {
    let headers = [("authorization", &*format!("Bearer {OWNER}")), ("content-type", "application/json")];
    let body = json!({"one_time": true, "ttl_seconds": 600});
    let made = http.call("POST", "/oauth2/mint", &headers, Some(body.to_string().as_bytes()));
    made.expect(200).text_of("access_token")
}

/// A way to use a token, written to the socket in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Use<'a> {
    Introspection { use_id: Option<&'a str> },
    Gateway,
}

const PLAIN: Use<'static> = Use::Introspection { use_id: None };

impl Use<'_> {
    fn request(self, token: &str) -> String {
        match self {
            Self::Introspection { use_id } => {
                let use_id = use_id.map(|id| format!("&use_id={id}")).unwrap_or_default();
                let body = format!("token={token}{use_id}");
                format!(
                    "POST /oauth2/introspect HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {OWNER}\r\n\
                     Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
                     Connection: close\r\n\r\n{body}",
                    body.len()
                )
            }
            Self::Gateway => format!(
                "GET /forward-auth HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
                 X-Forwarded-Method: POST\r\nConnection: close\r\n\r\n"
            ),
        }
    }

    const fn is_gateway(self) -> bool {
        matches!(self, Self::Gateway)
    }

    /// Whether the answer lets the holder in; panics on one that is neither yes nor no.
    fn succeeded(self, answer: &str) -> bool {
        let (status, body) = (answer.get(9..12).unwrap_or_default(), answer.split("\r\n\r\n").nth(1));
        match (self, status) {
            (Self::Introspection { .. }, "200") => {
                let said: Value = serde_json::from_str(body.unwrap_or_default()).expect("JSON");
                if said["active"] == true {
                    assert_eq!(said["one_time"], true, "{said}");
                    return true;
                }
                assert_eq!(said, json!({"active": false}));
                false
            }
            (Self::Gateway, "200") => true,
            (Self::Gateway, "401") => false,
            _ => panic!("{self:?}: {answer:?}"),
        }
    }
}

/// Once, and its answer.
fn used(http: &Http, how: Use<'_>, token: &str) -> String {
    let mut stream = http.connect();
    stream.write_all(how.request(token).as_bytes()).unwrap();
    read_to_end(stream)
}

/// Everybody at the same moment, each on a connection that is open already. Every answer with how it
/// was asked for.
fn at_once<'a>(servers: &[&Http], ways: &[Use<'a>], token: &str) -> Vec<(Use<'a>, String)> {
    let (ready, answers) = (Barrier::new(AT_ONCE), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for number in 0..AT_ONCE {
            let (ready, answers) = (&ready, &answers);
            // Every way meets every server.
            let (http, how) = (servers[number % servers.len()], ways[number / servers.len() % ways.len()]);
            scope.spawn(move || {
                let mut stream: TcpStream = http.connect();
                let request = how.request(token);
                ready.wait();
                stream.write_all(request.as_bytes()).unwrap();
                let answer = read_to_end(stream);
                answers.lock().unwrap().push((how, answer));
            });
        }
    });
    answers.into_inner().unwrap()
}

fn one_of_64_succeeds_in_each_of_100_rounds(servers: &[&Http]) {
    for round in 0..ROUNDS {
        let token = minted(servers[round % servers.len()]);
        let answers = at_once(servers, &[PLAIN, Use::Gateway], &token);
        assert_eq!(answers.len(), AT_ONCE);
        let successes = answers.iter().filter(|(how, answer)| how.succeeded(answer)).count();
        assert_eq!(successes, 1, "round {round}");
        for http in servers {
            for how in [PLAIN, Use::Introspection { use_id: Some("late") }, Use::Gateway] {
                assert!(!how.succeeded(&used(http, how, &token)), "round {round}: {how:?} after all");
            }
        }
    }
}

/// A verifier that repeats its question, 64 times at once, gets one and the same yes; nobody else does.
fn one_use_id_is_one_use(servers: &[&Http]) {
    for round in 0..10 {
        let token = minted(servers[round % servers.len()]);
        let own = format!("use-{round}");
        let repeated = Use::Introspection { use_id: Some(&own) };
        let answers = at_once(servers, &[repeated], &token);
        let bodies: Vec<_> = answers
            .iter()
            .map(|(how, answer)| {
                assert!(how.succeeded(answer), "round {round}: {answer}");
                answer.split("\r\n\r\n").nth(1).unwrap_or_default()
            })
            .collect();
        assert!(bodies.iter().all(|body| *body == bodies[0]), "round {round}: {bodies:?}");
        for http in servers {
            for how in [PLAIN, Use::Introspection { use_id: Some("another") }, Use::Gateway] {
                assert!(!how.succeeded(&used(http, how, &token)), "round {round}: {how:?}");
            }
        }
    }
}

/// Many verifiers with a `use_id` each: one of them wins, and only it may repeat its question.
fn each_use_id_is_another_use(servers: &[&Http]) {
    let ids: Vec<String> = (0..AT_ONCE).map(|number| format!("id-{number}")).collect();
    for round in 0..10 {
        let token = minted(servers[round % servers.len()]);
        let ways: Vec<_> = ids.iter().map(|id| Use::Introspection { use_id: Some(id) }).collect();
        let answers = at_once(servers, &ways, &token);
        let winners: BTreeSet<_> =
            answers.iter().filter(|(how, answer)| how.succeeded(answer)).map(|(how, _)| *how).collect();
        assert_eq!(winners.len(), 1, "round {round}: {winners:?}");
        for how in ways {
            assert_eq!(how.succeeded(&used(servers[0], how, &token)), winners.contains(&how), "round {round}: {how:?}");
        }
    }
}

#[test]
fn two_servers_on_one_postgres_let_one_of_64_uses_pass() {
    let home = Home::on(Kind::Postgres);
    let (one, two) = (home.serve(), home.serve());
    let servers = [&one.http, &two.http];
    one_of_64_succeeds_in_each_of_100_rounds(&servers);
    one_use_id_is_one_use(&servers);
    each_use_id_is_another_use(&servers);
}

#[test]
fn the_threads_of_one_server_on_sqlite_let_one_of_64_uses_pass() {
    let home = Home::on(Kind::Sqlite).with("GRANTD_HTTP__WORKERS", "8");
    let server = home.serve();
    one_of_64_succeeds_in_each_of_100_rounds(&[&server.http]);
    one_use_id_is_one_use(&[&server.http]);
    each_use_id_is_another_use(&[&server.http]);
}

fn all_lines(server: &Server) -> usize {
    server.access_lines("/oauth2/introspect").len() + server.access_lines("/forward-auth").len()
}

/// No server lets the token pass.
fn assert_spent(http: &Http, token: &str) {
    for how in [PLAIN, Use::Introspection { use_id: Some("late") }, Use::Gateway] {
        assert!(!how.succeeded(&used(http, how, token)), "{how:?}");
    }
}

on_each! {
    fn a_use_whose_answer_is_lost_with_the_server_stays_a_use(home: Home) {
        for (how, path) in [(PLAIN, "/oauth2/introspect"), (Use::Gateway, "/forward-auth")] {
            let mut server = home.serve();
            let token = minted(&server.http);
            let before = server.access_lines(path).len();
            let mut unread = server.http.connect();
            unread.write_all(how.request(&token).as_bytes()).unwrap();
            until("the use is answered", Duration::from_secs(20), || server.access_lines(path).len() > before);
            server.kill();
            drop(unread);
            assert_spent(&home.serve().http, &token);
        }
    }

    fn whenever_the_server_is_killed_a_token_is_good_for_one_use_at_most(home: Home) {
        let mut server = home.serve();
        let mut answered = 0;
        for round in 0..8 {
            let how = if round % 2 == 0 { PLAIN } else { Use::Gateway };
            let tokens: Vec<String> = (0..8).map(|_| minted(&server.http)).collect();
            let before = all_lines(&server);
            let streams: Vec<_> = tokens.iter().map(|token| {
                let mut stream = server.http.connect();
                stream.write_all(how.request(token).as_bytes()).unwrap();
                stream
            }).collect();
            let moments = RandomState::new().build_hasher().finish() % 4;
            (0..moments).for_each(|_| pause());
            if round == 0 {
                until("all are answered", Duration::from_secs(20), || all_lines(&server) >= before + tokens.len());
            }
            server.kill();
            // What came through before the end; a part of an answer is none.
            let passed: Vec<bool> = streams.into_iter().map(|stream| {
                let answer = read_to_end(stream);
                answer.contains("\r\n\r\n") && (how.is_gateway() || answer.ends_with('}')) && how.succeeded(&answer)
            }).collect();
            answered += passed.iter().filter(|passed| **passed).count();
            server = home.serve();
            for (token, passed) in tokens.iter().zip(passed) {
                let again = how.succeeded(&used(&server.http, how, token));
                assert!(!(passed && again), "round {round}: it was used twice");
                assert_spent(&server.http, token);
            }
        }
        assert!(answered > 0, "no answer ever came through before the end");
    }
}

/// The commit is on the disk, the server has not heard of it, and dies: nobody was told of a use, and
/// there is none left.
#[test]
fn kill_9_between_commit_and_answer_never_makes_a_token_usable_again() {
    for how in [PLAIN, Use::Introspection { use_id: Some("own") }, Use::Gateway] {
        let home = Home::on(Kind::Postgres);
        let url = home.env["GRANTD_DATABASE_URL"].clone();
        let postgres = MutedPostgres::before(&url, "\"spent_tokens\"");
        let home = home.with("GRANTD_DATABASE_URL", &postgres.url(&url));
        let mut server = home.serve();
        let token = minted(&server.http);
        let mut unanswered = server.http.connect();
        unanswered.write_all(how.request(&token).as_bytes()).unwrap();
        until("the use is committed", Duration::from_secs(8), || {
            let count = home.database().db().read(soon(), |conn| count(conn, "spent_tokens"));
            block_on(count).unwrap() == 1
        });
        server.kill();
        assert_eq!(read_to_end(unanswered), "", "{how:?}");
        postgres.heal();
        assert_spent(&home.serve().http, &token);
    }
}

/// The same without a way to hold the answer back: killed as soon as another process sees the row.
#[test]
fn kill_9_as_soon_as_the_use_is_on_the_disk_leaves_it_there() {
    let home = Home::on(Kind::Sqlite);
    let mut server = home.serve();
    let url = format!("sqlite://{}", home.folder().join("data/grantd.db").display());
    let db = Db::open(&StoreOptions { url, ..StoreOptions::default() }).unwrap();
    let spent = || block_on(db.read(soon(), |conn| count(conn, "spent_tokens"))).unwrap();
    for (round, how) in [PLAIN, Use::Gateway, PLAIN, Use::Gateway].into_iter().enumerate() {
        let token = minted(&server.http);
        let mut unread = server.http.connect();
        unread.write_all(how.request(&token).as_bytes()).unwrap();
        until("the use is committed", Duration::from_secs(8), || spent() == 1 + round as i64);
        server.kill();
        server = home.serve();
        assert_spent(&server.http, &token);
    }
}
