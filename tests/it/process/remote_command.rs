//! The command line against a server: the same commands, the same words, another place.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc;

use serde_json::{Value, json};

use crate::process::admin::Api;
use crate::support::databases::Kind;
use crate::support::origin::{Origin, Reply};
use crate::support::process::{Home, Installed, OWNER, Ran, Server, on_each};
use crate::support::tls::{Authority, TlsOrigin};

/// Another machine: an empty folder, nothing of the server's configuration, and a key in a file.
struct Desk {
    home: Home,
    key_file: String,
}

impl Desk {
    fn of(server: &Server, key: &str) -> Self {
        let home = Home::bare(Kind::Sqlite).without("GRANTD_LISTEN").with("GRANTD_SERVER", &server.http.base);
        let key_file = home.folder().join("key").display().to_string();
        fs::write(&key_file, format!("{key}\n")).unwrap();
        fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
        Self { home: home.with("GRANTD_KEY_FILE", &key_file), key_file }
    }

    fn nowhere() -> Self {
        let home = Home::bare(Kind::Sqlite).without("GRANTD_LISTEN");
        let key_file = home.folder().join("key").display().to_string();
        fs::write(&key_file, OWNER).unwrap();
        Self { home, key_file }
    }
}

#[track_caller]
fn ended(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.status.code(), Some(code), "{ran:?}");
    for word in words {
        assert!(ran.stderr.contains(word), "no {word} in {ran:?}");
    }
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
}

on_each! {
    fn a_command_says_the_same_at_a_server_as_on_its_database(home: Home) {
        let server = home.serve();
        let desk = Desk::of(&server, OWNER);
        desk.home.json(&["provider", "create", "acme", "--name", "Acme"]);
        let made = desk.home.json(&["client", "create", "--provider", "acme", "--client-id", "svc", "--name", "日本", "--grant", "client_credentials", "--scope", "a b"]);
        assert!(made["client_secret"].as_str().is_some_and(|text| text.starts_with("gs_")), "{made}");
        desk.home.json(&["user", "create", "--provider", "acme", "ada", "--email", "ada@example.com"]);
        desk.home.json(&["trust", "create", "--provider", "acme", "--issuer", "https://idp.example.com", "--accepted-audience", "x"]);
        for arguments in [
            &["provider", "list"][..],
            &["provider", "show", "acme"],
            &["client", "list", "--provider", "acme"],
            &["client", "show", "--provider", "acme", "svc"],
            &["client", "secret", "list", "--provider", "acme", "svc"],
            &["user", "show", "--provider", "acme", "ada"],
            &["user", "show", "--provider", "acme", "ada@example.com"],
            &["trust", "list", "--provider", "acme"],
            &["keys", "list", "--provider", "acme"],
            &["domain", "list", "--provider", "acme"],
            &["api-key", "list"],
            &["api", "get", "providers/acme"],
            &["export", "--provider", "acme"],
        ] {
            let (there, here) = (desk.home.run(arguments), home.run(arguments));
            assert!(there.status.success() && here.status.success(), "{arguments:?}: {there:?} {here:?}");
            assert_eq!(there.stdout, here.stdout, "{arguments:?}");
            assert_eq!(there.stderr, "", "{arguments:?}");
            // Another answer of the same: as JSON.
            let both = [arguments, &["--json"]].concat();
            assert_eq!(desk.home.run(&both).stdout, home.run(&both).stdout, "{arguments:?}");
        }
        // Refusals too.
        for arguments in [
            &["client", "show", "--provider", "acme", "nope"][..],
            &["client", "create", "--provider", "acme", "--client-id", "svc"],
            &["client", "update", "--provider", "acme", "svc", "--access-token-ttl", "0"],
            &["provider", "delete", "acme"],
            &["provider", "create", "A B"],
        ] {
            let (there, here) = (desk.home.run(arguments), home.run(arguments));
            assert_eq!((there.status.code(), &there.stderr), (Some(1), &here.stderr), "{arguments:?}");
        }
        desk.home.json(&["provider", "delete", "acme", "--cascade"]);
    }

    fn a_key_may_do_at_a_server_what_its_role_may(home: Home) {
        let server = home.serve();
        let api = Api::of(&home, &server);
        api.post("/providers", &json!({"slug": "acme"})).expect(201);
        let (_, member) = api.new_key(&json!({"role": "member", "provider": "acme"}));
        let desk = Desk::of(&server, &member);
        assert_eq!(desk.home.json(&["provider", "list"])["items"].as_array().unwrap().len(), 1);
        ended(&desk.home.run(&["client", "create", "--provider", "acme", "--name", "n"]), 1, &["role admin"]);
        ended(&desk.home.run(&["client", "list"]), 1, &["no such provider"]);
        let ran = Desk::of(&server, &format!("{member}x")).home.run(&["provider", "list"]);
        ended(&ran, 1, &["--key-file"]);
        assert!(!ran.stderr.contains(&member), "{ran:?}");
    }

    fn of_two_changes_of_one_version_the_second_is_refused(home: Home) {
        let server = home.serve();
        let desk = Desk::of(&server, OWNER);
        desk.home.json(&["client", "create", "--client-id", "svc", "--name", "n"]);
        let shown = desk.home.run(&["client", "show", "svc"]).stdout;
        let etag = shown.lines().find_map(|line| line.strip_prefix("etag  ")).expect("people see the etag").to_owned();
        let first = desk.home.json(&["client", "update", "svc", "--name", "first", "--if-match", &etag]);
        assert_eq!(first["client_name"], "first");
        for place in [&desk.home, &home] {
            ended(&place.run(&["client", "update", "svc", "--name", "second", "--if-match", &etag]), 1, &["changed meanwhile"]);
            ended(&place.run(&["client", "delete", "svc", "--if-match", &etag]), 1, &["changed meanwhile"]);
        }
        // The bare number is enough.
        let bare = desk.home.run(&["client", "show", "svc"]).stdout;
        let bare = bare.lines().find_map(|line| line.strip_prefix("etag  ")).unwrap().trim_matches('"').to_owned();
        desk.home.json(&["client", "update", "svc", "--unset", "client_name", "--if-match", &bare]);
        assert_eq!(desk.home.json(&["client", "show", "svc"])["client_name"], "svc");
    }

    fn a_list_is_cut_where_it_was_asked_to_be(home: Installed) {
        for name in ["a", "b", "c", "d", "e"] {
            home.json(&["provider", "create", name]);
        }
        let all = home.json(&["provider", "list"]);
        assert_eq!((all["items"].as_array().unwrap().len(), &all["next_cursor"]), (6, &Value::Null));
        let some = home.run(&["provider", "list", "--limit", "2"]);
        assert!(some.stdout.lines().count() == 3 && some.stderr.contains("--all"), "{some:?}");
        assert!(home.json(&["provider", "list", "--limit", "2"])["next_cursor"].is_string());
        let columns = home.run(&["provider", "list", "--columns", "slug,max_ttl"]);
        assert!(columns.stdout.starts_with("SLUG") && columns.stdout.contains("1209600"), "{columns:?}");
        assert_eq!(columns.stdout.lines().next().unwrap().split_whitespace().count(), 2);
        ended(&home.run(&["provider", "list", "--columns", "slug,nope"]), 2, &["max_ttl"]);
        ended(&home.run(&["provider", "list", "--all", "--limit", "2"]), 2, &["--limit"]);
    }

    fn any_call_can_be_made_as_it_is(home: Installed) {
        let body = home.folder().join("body.json");
        fs::write(&body, json!({"slug": "acme", "name": "Acme"}).to_string()).unwrap();
        let made = home.json(&["api", "POST", "providers", "--data", body.to_str().unwrap()]);
        assert_eq!(made["name"], "Acme");
        let included = home.run(&["api", "get", "/admin/v1/providers/acme", "-i"]).stdout;
        assert!(included.starts_with("status: 200\netag: \""), "{included}");
        fs::write(&body, json!({"name": null, "max_ttl": 7200, "access_token_ttl": 60}).to_string()).unwrap();
        let patched = home.json(&["api", "patch", "providers/acme", "--data", body.to_str().unwrap()]);
        assert_eq!((&patched["name"], &patched["max_ttl"]), (&json!("acme"), &json!(7200)));
        // The problem itself is printed, and the sentence beside it.
        let ran = home.run(&["api", "get", "providers/nope"]);
        ended(&ran, 1, &["no such provider"]);
        assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap()["status"], 404);
        ended(&home.run(&["api", "get", "providers/a b"]), 2, &["percent-encoded"]);
        assert!(home.run(&["api", "delete", "providers/acme"]).status.success());
        // What a file has and what flags say come together.
        fs::write(&body, json!({"client_name": "of the file", "scope": "a"}).to_string()).unwrap();
        let both = home.json(&["client", "create", "--data", body.to_str().unwrap(), "--scope", "b"]);
        assert_eq!((&both["client_name"], &both["scope"]), (&json!("of the file"), &json!("b")));
        fs::write(&body, "{\"client_secret\": \"do not tell\",}").unwrap();
        let ran = home.run(&["client", "create", "--data", body.to_str().unwrap()]);
        ended(&ran, 1, &["line 1"]);
        assert!(!ran.stderr.contains("tell"), "{ran:?}");
    }
}

#[test]
fn the_exit_status_says_whose_fault_it_is() {
    let desk = Desk::nowhere();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let gone = format!("http://127.0.0.1:{port}");
    let at = |server: &str| desk.home.run(&["provider", "list", "--server", server, "--key-file", &desk.key_file]);
    ended(&at(&gone), 3, &["is not reached", "refused"]);
    ended(&at("http://name.invalid:1"), 2, &["--allow-http"]);
    ended(&at("id.example.com"), 2, &["--server must be a URL"]);
    let slow = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", slow.local_addr().unwrap());
    let ran = desk.home.run(&["provider", "list", "--server", &silent, "--key-file", &desk.key_file, "--timeout", "1"]);
    ended(&ran, 3, &["took too long"]);
    ended(&desk.home.run(&["provider", "list", "--server", &gone]), 2, &["needs an API key"]);
    ended(&desk.home.run(&["provider", "list", "--server", &gone, "--key-file", "nope"]), 1, &["nope"]);
    ended(&desk.home.run(&["serve", "--server", &gone]), 2, &["this machine only"]);
    ended(&desk.home.run(&["client", "show", "..", "--server", &gone, "--key-file", &desk.key_file]), 2, &["path"]);
    ended(&desk.home.run(&["nonsense"]), 2, &[]);
    // Nothing of this touched a database.
    assert!(!desk.home.folder().join("data").exists());
}

#[test]
fn a_key_comes_from_a_flag_a_file_or_the_environment_and_is_never_shown() {
    let home = Home::on(Kind::Sqlite);
    let server = home.serve();
    let base = &server.http.base;
    let desk = Desk::nowhere();
    let named = desk.home.run(&["provider", "list", "--server", base, "--key", OWNER]);
    ended(&named, 0, &["list of processes"]);
    assert!(!named.stderr.contains(OWNER), "{named:?}");
    let desk = Desk { home: desk.home.with("GRANTD_KEY", OWNER).with("GRANTD_SERVER", base), ..desk };
    ended(&desk.home.run(&["provider", "list"]), 0, &[]);
    // Flags come before the environment.
    let wrong = desk.home.folder().join("wrong");
    fs::write(&wrong, "x".repeat(40)).unwrap();
    ended(&desk.home.run(&["provider", "list", "--key-file", wrong.to_str().unwrap()]), 1, &["--key-file"]);
    assert!(!desk.home.folder().join("data").exists());
    // And a database of one's own is still at hand.
    let own = desk.home.with("GRANTD_ADMIN_KEY", OWNER);
    ended(&own.run(&["provider", "list", "--local"]), 1, &["there is no installation"]);
    ended(&own.run(&["migrate", "--local"]), 0, &[]);
    ended(&own.run(&["provider", "create", "mine", "--local"]), 0, &[]);
    Api::of(&home, &server).get("/providers/mine").expect(404);
    // A server is no worse for it.
    ended(&own.run(&["config"]), 0, &[]);
}

#[test]
fn the_key_goes_nowhere_else_when_a_server_redirects() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = elsewhere.local_addr().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut head = String::new();
        while reader.read_line(&mut head).unwrap() > 2 {}
        let answer =
            format!("HTTP/1.1 307 x\r\nlocation: http://{target}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
        tell.send(head).unwrap();
    });
    let desk = Desk::nowhere();
    let ran = desk.home.run(&["provider", "list", "--server", &base, "--key-file", &desk.key_file]);
    ended(&ran, 1, &["redirect"]);
    assert!(told.recv().unwrap().contains(OWNER));
    elsewhere.set_nonblocking(true).unwrap();
    assert!(elsewhere.accept().is_err(), "the redirect was followed");
}

#[test]
fn an_export_of_events_goes_on_to_the_last_page() {
    let pages = Origin::answering(|asked| {
        let at = ["cursor=a", "cursor=b"].iter().position(|word| asked.path.contains(word)).map_or(0, |at| at + 1);
        let next = [json!("a"), json!("b"), Value::Null][at].clone();
        Reply::json(json!({"items": [{"id": at}, {"id": at}], "next_cursor": next}))
    });
    let desk = Desk::nowhere();
    let ran =
        desk.home.run(&["event", "export", "--actor", "cli", "--server", &pages.base, "--key-file", &desk.key_file]);
    assert!(ran.status.success(), "{ran:?}");
    let ids: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone()).collect();
    assert_eq!(ids, [0, 0, 1, 1, 2, 2]);
    assert!(pages.asked().iter().all(|asked| asked.path.contains("actor=cli")), "every page is of the same events");
}

#[test]
fn what_was_made_although_its_answer_was_lost_is_not_made_twice() {
    let home = Home::on(Kind::Sqlite);
    let server = home.serve();
    // Between the desk and the server stands somebody who loses the first answer to a POST.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let target = server.http.address().to_owned();
    std::thread::spawn(move || {
        let mut lost = 0;
        for mut stream in listener.incoming().flatten() {
            let mut there = TcpStream::connect(&target).unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            there.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).unwrap();
            there.write_all(&body).unwrap();
            let mut answer = Vec::new();
            there.read_to_end(&mut answer).unwrap();
            if head.starts_with("POST") && lost == 0 {
                lost += 1;
                continue;
            }
            stream.write_all(&answer).unwrap();
        }
    });
    let desk = Desk::nowhere();
    let made = desk.home.json(&[
        "client",
        "create",
        "--name",
        "once",
        "--grant",
        "client_credentials",
        "--server",
        &base,
        "--key-file",
        &desk.key_file,
    ]);
    let named = |client: &&Value| client["client_name"] == "once";
    let listed = home.json(&["client", "list"]);
    assert_eq!(listed["items"].as_array().unwrap().iter().filter(named).count(), 1, "{listed}");
    // And the answer that was lost is the one that came.
    let (id, secret) = (made["client_id"].as_str().unwrap(), made["client_secret"].as_str().unwrap());
    server.http.token(id, secret).expect(200);
}

#[test]
fn a_server_proves_itself_by_an_authority_that_the_machine_trusts() {
    let authority = Authority::new("command line");
    let middle = [authority.certificate("middle")];
    let origin = TlsOrigin::serving(&authority, &middle, |_, _| json!({"items": [], "next_cursor": null}).to_string());
    let desk = Desk::nowhere();
    let arguments = ["provider", "list", "--json", "--server", &origin.base, "--key-file", &desk.key_file];
    ended(&desk.home.run(&arguments), 3, &["is not reached", "certificate"]);
    let trusting = Home::bare(Kind::Sqlite).with("SSL_CERT_FILE", authority.root_file().to_str().unwrap());
    ended(&trusting.run(&arguments), 0, &[]);
    // Something that is no grantd is called so.
    let other = TlsOrigin::serving(&authority, &middle, |_, _| "<html>".to_owned());
    let arguments = ["provider", "list", "--server", &other.base, "--key-file", &desk.key_file];
    ended(&trusting.run(&arguments), 1, &["no admin API"]);
}
