//! The command line where answers get lost, or come from something that is not grantd.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::support::databases::Kind;
use crate::support::process::{Home, OWNER, Ran};

#[track_caller]
fn ended(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.status.code(), Some(code), "{ran:?}");
    for word in words {
        assert!(ran.stderr.contains(word), "no {word} in {ran:?}");
    }
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
}

fn desk(base: &str) -> Home {
    Home::bare(Kind::Sqlite).without("GRANTD_LISTEN").with("GRANTD_SERVER", base).with("GRANTD_KEY", OWNER)
}

/// One request as it came: its head without the last line, and its body.
fn request(stream: &TcpStream) -> (String, Vec<u8>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (head, body)
}

fn forwarded(target: &str, head: &str, body: &[u8]) -> Vec<u8> {
    let mut there = TcpStream::connect(target).unwrap();
    there.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).unwrap();
    there.write_all(body).unwrap();
    let mut answer = Vec::new();
    there.read_to_end(&mut answer).unwrap();
    answer
}

/// Passes one call on and loses its answer; then nobody is there for so long; then it passes on what comes.
fn away(target: &str, then: Option<Duration>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, target) = (listener.local_addr().unwrap(), target.to_owned());
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let (head, body) = request(&stream);
        drop(listener);
        forwarded(&target, &head, &body);
        drop(stream);
        let Some(pause) = then else { return };
        std::thread::sleep(pause);
        for mut stream in TcpListener::bind(address).unwrap().incoming().flatten() {
            let (head, body) = request(&stream);
            let _ = stream.write_all(&forwarded(&target, &head, &body));
        }
    });
    format!("http://{address}")
}

fn named(home: &Home, name: &str) -> usize {
    let listed = home.json(&["client", "list"]);
    listed["items"].as_array().unwrap().iter().filter(|client| client["client_name"] == name).count()
}

#[test]
fn what_was_made_before_the_server_went_away_for_a_moment_is_not_lost() {
    let home = Home::on(Kind::Sqlite).migrated();
    let server = home.serve();
    let base = away(server.http.address(), Some(Duration::from_millis(700)));
    let made = desk(&base).json(&["client", "create", "--name", "once", "--grant", "client_credentials"]);
    assert_eq!(named(&home, "once"), 1);
    server.http.token(made["client_id"].as_str().unwrap(), made["client_secret"].as_str().unwrap()).expect(200);
}

#[test]
fn where_no_answer_comes_the_key_that_gives_it_later_is_told() {
    let home = Home::on(Kind::Sqlite).migrated();
    let server = home.serve();
    let create = ["client", "create", "--name", "once", "--grant", "client_credentials"];
    let ran = desk(&away(server.http.address(), None)).run(&create);
    ended(&ran, 3, &["is not reached", "it may have been done", "--idempotency-key"]);
    let key = ran.stderr.split("--idempotency-key ").nth(1).unwrap().split_whitespace().next().unwrap();
    let there = desk(&server.http.base);
    let again = [&create[..], &["--idempotency-key", key]].concat();
    let (first, second) = (there.json(&again), there.json(&again));
    assert_eq!((named(&home, "once"), &first), (1, &second));
    server.http.token(first["client_id"].as_str().unwrap(), first["client_secret"].as_str().unwrap()).expect(200);
    // Another command under the same value is not taken for it, and what makes nothing takes none.
    let other = ["client", "create", "--name", "other", "--idempotency-key", key];
    ended(&there.run(&other), 1, &["Idempotency-Key"]);
    ended(&there.run(&["client", "list", "--idempotency-key", key]), 2, &["makes one thing"]);
    ended(&there.run(&["apply", "-f", "-", "--idempotency-key", key]), 2, &["makes one thing"]);
    // On the database too.
    let local = ["client", "create", "--name", "local", "--idempotency-key", "mine"];
    assert_eq!(home.json(&local), home.json(&local));
    assert_eq!(named(&home, "local"), 1);
    // A change that has no such value says that it may have been made.
    let ran = desk(&away(server.http.address(), None)).run(&["provider", "revoke-tokens", "default"]);
    ended(&ran, 3, &["it may have been done"]);
}

/// Answers everything with this.
fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            request(&stream);
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}", answer.len());
            let _ = stream.write_all(format!("{head}\r\n\r\n{answer}").as_bytes());
        }
    });
    base
}

#[test]
fn what_is_no_answer_of_grantd_is_no_success() {
    for answer in ["", "42", "{}", "[]", "{\"status\": \"ok\"}"] {
        let desk = desk(&answering(answer));
        fs::write(desk.folder().join("wanted.yaml"), "version: 1\nproviders:\n  - slug: acme\n").unwrap();
        for arguments in [
            &["client", "delete", "x"][..],
            &["client", "create", "--name", "x"],
            &["client", "list"],
            &["client", "list", "--json"],
            &["client", "secret", "list", "x"],
            &["client", "secret", "rotate", "x"],
            &["event", "export"],
            &["export", "--all"],
            &["export", "--provider", "x", "-o", "written"],
            &["apply", "-f", "wanted.yaml", "--yes"],
        ] {
            let ran = desk.run(arguments);
            ended(&ran, 1, &["no admin API"]);
            assert_eq!(ran.stdout, "", "{answer:?} {arguments:?}");
        }
        assert!(!desk.folder().join("written").exists());
    }
    for answer in ["", "42", "{}"] {
        ended(&desk(&answering(answer)).run(&["client", "show", "x"]), 1, &["no admin API"]);
    }
}

#[test]
fn a_list_without_end_ends() {
    let desk = desk(&answering("{\"items\": [], \"next_cursor\": \"again\"}"));
    for arguments in [&["client", "list"][..], &["client", "list", "--all"], &["event", "export"], &["export", "--all"]]
    {
        ended(&desk.run(arguments), 1, &["does not end"]);
    }
}

#[test]
fn a_key_without_a_server_is_a_slip_and_a_key_file_without_end_is_refused() {
    let home = Home::on(Kind::Sqlite).migrated();
    ended(&home.run(&["client", "list", "--key-file", "/dev/null"]), 2, &["--server"]);
    ended(&home.run(&["client", "list", "--key", OWNER]), 2, &["--server"]);
    ended(&home.run(&["client", "list", "--key", OWNER, "--local"]), 2, &["--server"]);
    // A shell has it for all commands.
    let home = home.with("GRANTD_KEY", OWNER);
    ended(&home.run(&["client", "list"]), 0, &[]);
    let endless = ["client", "list", "--server", "http://127.0.0.1:1", "--key-file", "/dev/zero"];
    ended(&home.run(&endless), 1, &["larger than 64 KiB"]);
    ended(&home.run(&["client", "list", "--limit", "0"]), 2, &["--limit"]);
    let migrated = home.run(&["migrate", "--json"]);
    assert!(serde_json::from_str::<Value>(&migrated.stdout).is_ok(), "{migrated:?}");
}

#[test]
fn what_was_done_is_said_where_its_answer_cannot_be_written() {
    let home = Home::on(Kind::Sqlite).migrated();
    let full = || Stdio::from(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let output = home.command(&["client", "create", "--client-id", "lost"]).stdout(full()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("it was done") && said.contains("It is lost") && said.contains("secret is lost"), "{said}");
    home.json(&["client", "secret", "create", "lost"]);
    let output = home.command(&["client", "delete", "lost"]).stdout(full()).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("it was done"), "{output:?}");
}

#[test]
fn who_has_read_enough_hears_no_complaint() {
    let home = Home::on(Kind::Sqlite).migrated();
    let mut command = home.command(&["client", "list"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
