//! How often a call goes out, and what is said where nobody knows what came of it.

use std::fs;
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::databases::Kind;
use crate::support::origin::{Asked, Origin, Reply};
use crate::support::process::{Home, OWNER, Ran, until};

#[track_caller]
fn ended(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.status.code(), Some(code), "{ran:?}");
    for word in words {
        assert!(ran.stderr.contains(word), "no {word} in {ran:?}");
    }
    assert!(!ran.stderr.contains(OWNER), "{ran:?}");
}

fn desk(base: &str) -> Home {
    Home::bare(Kind::Sqlite).without("GRANTD_LISTEN").with("GRANTD_SERVER", base).with("GRANTD_KEY", OWNER)
}

/// Answers one call after the other so, and all that come later as the last one.
fn in_turn(replies: Vec<Reply>) -> Origin {
    let next = Mutex::new(0);
    Origin::answering(move |_| {
        let mut at = next.lock().unwrap();
        *at += 1;
        replies[(*at - 1).min(replies.len() - 1)].clone()
    })
}

/// A refusal of grantd's own.
fn problem(status: u16) -> Reply {
    let body = json!({"status": status, "detail": "Not now.", "request_id": "r-1"});
    Reply { status, ..Reply::json(body) }
}

fn made() -> Reply {
    Reply { status: 201, ..Reply::json(json!({"client_id": "c", "client_secret": "gs_made"})) }
}

fn keys(asked: &[Asked]) -> Vec<Option<&str>> {
    asked.iter().map(|asked| asked.header("idempotency-key")).collect()
}

const CREATE: [&str; 4] = ["client", "create", "--name", "n"];

#[test]
fn what_makes_something_is_asked_for_three_times_under_one_key() {
    let origin = Origin::always(Reply::status(502));
    let ran = desk(&origin.base).run(&CREATE);
    ended(&ran, 3, &["status 502", "it may have been done", "--idempotency-key"]);
    let told = ran.stderr.split("--idempotency-key ").nth(1).unwrap().split_whitespace().next().unwrap();
    assert_eq!(keys(&origin.asked()), [Some(told); 3]);
    let origin = Origin::always(Reply::status(502));
    ended(
        &desk(&origin.base).run(&[&CREATE[..], &["--idempotency-key", "mine"]].concat()),
        3,
        &["--idempotency-key mine"],
    );
    assert_eq!(keys(&origin.asked()), [Some("mine"); 3]);
    // Another command has another one.
    let other = Origin::always(made());
    ended(&desk(&other.base).run(&CREATE), 0, &[]);
    assert!(keys(&other.asked()).iter().all(|key| key.is_some_and(|key| key != told)));
}

#[test]
fn after_an_answer_that_got_lost_a_server_that_is_busy_is_asked_again() {
    // Busy, shedding load, and still with the first one.
    for then in [problem(503), problem(429), problem(409).with("retry-after", "1")] {
        let origin = in_turn(vec![Reply::status(504), then.clone(), made()]);
        assert_eq!(desk(&origin.base).json(&CREATE)["client_secret"], "gs_made", "{then:?}");
        let asked = origin.asked();
        assert_eq!(keys(&asked), [keys(&asked)[0]; 3]);
        // Nothing is lost where it was the first answer.
        let origin = in_turn(vec![then.clone(), made()]);
        ended(&desk(&origin.base).run(&CREATE), if then.status == 409 { 1 } else { 3 }, &["Not now."]);
        assert_eq!(origin.asked().len(), 1, "{then:?}");
    }
    // What is refused after all is refused.
    let origin = in_turn(vec![Reply::status(504), problem(409), made()]);
    ended(&desk(&origin.base).run(&CREATE), 1, &["Not now."]);
    assert_eq!(origin.asked().len(), 2);
}

#[test]
fn a_server_that_stays_busy_is_not_asked_for_ever() {
    let origin = in_turn(vec![Reply::status(504), problem(503)]);
    let desk = desk(&origin.base);
    let mut child = desk.command(&CREATE).stderr(Stdio::piped()).spawn().unwrap();
    until("it has given up", Duration::from_secs(60), || child.try_wait().unwrap().is_some());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("Not now.") && said.contains("it may have been done"), "{said}");
    assert_eq!(origin.asked().len(), 6);
}

#[test]
fn what_has_no_key_goes_out_once() {
    for arguments in [
        &["client", "list"][..],
        &["client", "update", "c", "--name", "n"],
        &["client", "delete", "c"],
        &["client", "mint", "c"],
        &["keys", "rotate"],
        &["provider", "revoke-tokens", "default"],
        &["api", "POST", "providers/default/clients"],
        &["client", "create", "--name", "n", "--dry-run"],
    ] {
        let origin = Origin::always(Reply::status(502));
        let ran = desk(&origin.base).run(arguments);
        ended(&ran, 3, &["502"]);
        assert_eq!(keys(&origin.asked()), [None], "{arguments:?}");
        // Nobody knows what the server behind the gateway has done.
        let changes = !arguments.contains(&"list") && !arguments.contains(&"--dry-run");
        assert_eq!(ran.stderr.contains("it may have been done: look before"), changes, "{ran:?}");
    }
}

#[test]
fn what_never_went_out_was_not_done() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ran = desk(&format!("http://127.0.0.1:{port}")).run(&CREATE);
    ended(&ran, 3, &["is not reached"]);
    assert!(!ran.stderr.contains("may have been done"), "{ran:?}");
}

#[test]
fn an_answer_is_waited_for_as_long_as_was_said() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let desk = desk(&format!("http://{}", silent.local_addr().unwrap()));
    let mut child = desk.command(&["client", "list", "--timeout", "1"]).stderr(Stdio::null()).spawn().unwrap();
    // Unless told it waits for a minute.
    until("it has given up", Duration::from_secs(30), || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn what_came_to_nothing_has_the_status_of_it() {
    let origin = Origin::always(Reply::json(json!({"domain": "d.example", "verified": false})));
    let desk = desk(&origin.base);
    ended(&desk.run(&["domain", "verify", "d"]), 1, &["is not verified"]);
    origin.answers(|_| Reply::json(json!({"domain": "d.example", "verified": true})));
    ended(&desk.run(&["domain", "verify", "d"]), 0, &[]);
    // A change of nothing is not sent, nor a key that is none.
    let asked = origin.asked().len();
    fs::write(desk.folder().join("empty"), "\n").unwrap();
    ended(&desk.run(&["client", "list", "--key-file", "empty"]), 2, &["the API key is empty"]);
    ended(&desk.run(&["client", "update", "c", "--if-match", "7"]), 2, &["there is nothing to change"]);
    assert_eq!(origin.asked().len(), asked);
}

#[test]
fn a_server_on_this_machine_is_asked_without_a_proxy() {
    let (server, proxy) = (Origin::always(problem(404)), Origin::always(problem(404)));
    let mut desk = desk(&server.base);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        desk = desk.with(name, &proxy.base);
    }
    ended(&desk.run(&["provider", "list"]), 1, &["Not now."]);
    assert_eq!((server.asked().len(), proxy.asked().len()), (1, 0));
}

#[test]
fn for_a_program_nothing_but_the_answer_is_on_standard_output() {
    let origin = Origin::answering(|asked| match asked.method.as_str() {
        "POST" => made(),
        _ => Reply::json(json!({"items": [{"client_id": "c"}], "next_cursor": "more"})),
    });
    let desk = desk(&origin.base).without("GRANTD_KEY");
    for arguments in [&CREATE[..], &["client", "create", "--dry-run"], &["client", "list", "--limit", "1"]] {
        let ran = desk.run(&[arguments, &["--json", "--key", OWNER]].concat());
        ended(&ran, 0, &["list of processes"]);
        assert!(serde_json::from_str::<Value>(&ran.stdout).is_ok(), "{ran:?}");
    }
}

#[test]
fn a_list_is_read_page_by_page_as_far_as_it_was_asked_for() {
    let origin = Origin::answering(|asked| {
        let last = asked.path.contains("cursor=next");
        let items = vec![json!({"client_id": "c"}); if last { 1 } else { 500 }];
        Reply::json(json!({"items": items, "next_cursor": if last { None } else { Some("next") }}))
    });
    let desk = desk(&origin.base);
    let count = |flags: &[&str]| {
        let listed = desk.json(&[&["client", "list"], flags].concat());
        (listed["items"].as_array().unwrap().len(), listed["next_cursor"].clone())
    };
    assert_eq!(count(&["--all"]), (501, Value::Null));
    assert_eq!(count(&["--limit", "501"]), (501, Value::Null));
    assert_eq!(count(&[]), (500, json!("next")));
    // People are told that there are more.
    ended(&desk.run(&["client", "list"]), 0, &["There are more: --all shows them."]);
    assert_eq!(desk.run(&["client", "list", "--all"]).stderr, "");
}

/// A server that has the provider `acme` and nothing in it; `posted` answers what is not only tried.
fn acme(posted: impl Fn() -> Reply + Send + Sync + 'static) -> Origin {
    Origin::answering(move |asked| match asked.method.as_str() {
        "POST" if !asked.path.contains("dry_run=true") => posted(),
        "POST" => made(),
        _ if asked.path.ends_with("/providers/acme") => {
            Reply::json(json!({"slug": "acme", "name": "acme"})).with("etag", "\"1\"")
        }
        _ => Reply::json(json!({"items": [], "next_cursor": null})),
    })
}

const TWO: &str = "version: 1\nproviders:\n  - slug: acme\n    clients:\n      - client_id: a\n      - client_id: b\n";

fn apply(base: &str, folder_of: &Home, flags: &[&str]) -> Ran {
    fs::write(folder_of.folder().join("two.yaml"), TWO).unwrap();
    let desk = folder_of.again().with("GRANTD_SERVER", base).with("GRANTD_KEY", OWNER);
    desk.run(&[&["apply", "-f", "two.yaml", "--yes"], flags].concat())
}

#[test]
fn a_secret_is_on_the_disk_before_the_next_step_is_asked_for() {
    let home = Home::bare(Kind::Sqlite);
    let (place, seen) = (home.folder().join("secrets"), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&seen);
    let origin = acme(move || {
        noted.lock().unwrap().push(fs::read_to_string(&place).unwrap_or_default().lines().count());
        made()
    });
    for flags in [&["--secrets-file", "secrets"][..], &["--secrets-file", "secrets", "--json"]] {
        let ran = apply(&origin.base, &home, flags);
        let _ = fs::remove_file(home.folder().join("secrets"));
        assert_eq!(ran.status.code(), Some(0), "{ran:?}");
        assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), [0, 1]);
    }
}

#[test]
fn a_step_whose_answer_is_lost_is_named() {
    let home = Home::bare(Kind::Sqlite);
    // The provider is not as the file has it, and is changed first.
    let origin = acme(|| Reply::status(502));
    let ran = apply(&origin.base, &home, &[]);
    ended(
        &ran,
        3,
        &["client acme/a may have been done", "its secret is lost", "1 of 3 were done; it ended at client acme/a"],
    );
    assert!(!ran.stderr.contains("--idempotency-key"), "the next run has another plan: {ran:?}");
}
