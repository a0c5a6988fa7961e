//! `grantd user …`: the admin API's own representation, and passwords that never stand in an
//! argument.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::people::{IMPORTED, PASSWORD};
use crate::process::admin::{Api, problem};
use crate::support::process::{Home, Installed, Ran, on_each};

fn id(user: &Value) -> &str {
    user["id"].as_str().unwrap_or_else(|| panic!("no id in {user}"))
}

/// Runs a command with `input` on its standard input.
fn fed(home: &Home, arguments: &[&str], input: &str) -> Ran {
    let mut command = home.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary does not start");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { status: output.status, stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

#[track_caller]
fn refused(ran: &Ran, word: &str) {
    assert_eq!((ran.status.code(), ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.stderr.contains(word) && !ran.stderr.contains("panicked"), "no {word} in {ran:?}");
}

on_each! {
    fn accounts_by_command_are_those_of_the_api(home: Home) {
        let server = home.serve();
        let api = Api::of(&home, &server);
        let made = home.json(&["user", "create", "Ada", "--email", "ada@example.com", "--email-verified", "true", "--name", "Ada L.", "--group", "a", "--group", "b c"]);
        let path = format!("/providers/default/users/{}", id(&made));
        assert_eq!(made, api.get(&path).expect(200).json());
        assert_eq!((&made["groups"], &made["has_password"]), (&json!(["a", "b c"]), &json!(false)));
        for named in [id(&made), "ada", "ADA@example.com"] {
            assert_eq!(home.json(&["user", "show", named]), made, "{named}");
        }
        assert_eq!(home.json(&["user", "list"])["items"], api.get("/providers/default/users").json()["items"]);
        let changed = home.json(&["user", "update", "ada", "--username", "ada.l", "--enabled", "false"]);
        assert_eq!((&changed["username"], &changed["enabled"]), (&json!("ada.l"), &json!(false)));
        assert!(home.json(&["user", "lock", "ada.l"])["locked_at"].is_string());
        assert_eq!(home.json(&["user", "unlock", "ada.l"])["locked_at"], json!(null));
        let shown = home.run(&["user", "list"]);
        assert!(shown.stdout.contains("ada.l") && shown.stdout.contains("HAS_PASSWORD"), "{shown:?}");
        home.json(&["user", "delete", "ada.l"]);
        problem(&api.get(&path), 404);
        assert_eq!(home.json(&["user", "list"]), json!({"items": [], "next_cursor": null}));
    }

    fn a_password_comes_from_a_file_or_from_standard_input(home: Installed) {
        let file = home.folder().join("password");
        std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
        let file = file.to_str().unwrap();
        let made = home.json(&["user", "create", "ada", "--password-file", file]);
        assert_eq!(made["has_password"], json!(true));
        let other = fed(&home, &["user", "create", "bob", "--password-stdin", "--json"], PASSWORD);
        assert!(other.status.success() && other.stdout.contains("\"has_password\": true"), "{other:?}");
        let hash = home.folder().join("hash");
        std::fs::write(&hash, format!("{}\n", IMPORTED[0].1)).unwrap();
        home.json(&["user", "set-password", "bob", "--password-hash-file", hash.to_str().unwrap()]);
        home.json(&["user", "set-password", "ada", "--clear"]);
        assert_eq!(home.json(&["user", "show", "ada"])["has_password"], json!(false));
        let set = fed(&home, &["user", "set-password", "ada", "--password-stdin"], "another horse\n");
        assert!(set.status.success(), "{set:?}");
        assert_eq!(home.json(&["user", "show", "ada"])["has_password"], json!(true));
        for ran in [&other, &set] {
            assert!(!format!("{ran:?}").contains("horse"), "{ran:?}");
        }
    }

    fn refusals_are_sentences(home: Installed) {
        home.json(&["user", "create", "ada", "--email", "ada@example.com"]);
        refused(&home.run(&["user", "create", "ADA"]), "another account's");
        refused(&home.run(&["user", "create", "a b", "--email", "x"]), "username");
        refused(&home.run(&["user", "show", "nobody"]), "no such user");
        refused(&home.run(&["user", "show", "--provider", "nope", "ada"]), "no such provider");
        refused(&home.run(&["user", "set-password", "ada"]), "--password-stdin");
        refused(&home.run(&["user", "set-password", "ada", "--password-file", "nope"]), "nope");
        refused(&fed(&home, &["user", "set-password", "ada", "--password-stdin"], "short\n"), "password");
        refused(&fed(&home, &["user", "set-password", "ada", "--password-stdin"], ""), "password");
        let hash = home.folder().join("hash");
        std::fs::write(&hash, "5f4dcc3b5aa765d61d8327deb882cf99").unwrap();
        refused(&home.run(&["user", "create", "bob", "--password-hash-file", hash.to_str().unwrap()]), "password_hash");
        // Arguments show in the list of processes: there is no such flag.
        let ran = home.run(&["user", "create", "bob", "--password", "correct horse"]);
        assert_eq!(ran.status.code(), Some(2), "{ran:?}");
        home.json(&["provider", "create", "acme"]);
        home.json(&["user", "create", "--provider", "acme", "ada"]);
        refused(&home.run(&["provider", "delete", "acme"]), "users");
    }
}
