//! What is not lost where a rekey, a reset or a first start fails half way.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use crate::process::admin::Api;
use crate::support::databases::Kind;
use crate::support::process::{Home, MASTER, OWNER, on_each, until};

/// A master key that opens nothing of these tests.
const STRANGE: &str = "OTEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

fn key_file(home: &Home, ending: &str) -> PathBuf {
    home.folder().join("data").join(format!("master.key{ending}"))
}

fn content(home: &Home, ending: &str) -> String {
    let path = key_file(home, ending);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[track_caller]
fn refused(home: &Home, arguments: &[&str], says: &str) {
    let ran = home.run(arguments);
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    assert!(ran.stderr.contains(says), "no {says} in {ran:?}");
}

#[test]
fn a_rekey_that_the_database_refuses_leaves_the_key_that_opens_it() {
    let home = Home::on(Kind::Sqlite).migrated();
    let old = content(&home, "");
    home.execute("CREATE TRIGGER no BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'the disk is full'); END");
    refused(&home, &["keys", "rekey"], "the disk is full");
    let file = home.folder().join("next.key").display().to_string();
    refused(&home, &["keys", "rekey", "--new-master-key-file", &file], "the disk is full");
    assert_eq!(content(&home, ""), old);
    assert!(!key_file(&home, ".old").exists());
    home.json(&["client", "list"]);
    home.serve();
    home.execute("DROP TRIGGER no");
    home.json(&["keys", "rekey", "--new-master-key-file", &file]);
    assert_eq!(content(&home, ""), fs::read_to_string(&file).unwrap());
    assert_eq!(content(&home, ".old"), old);
    home.json(&["client", "list"]);
}

#[test]
fn a_new_master_key_is_made_for_who_has_the_one_in_use_only() {
    let home = Home::on(Kind::Postgres).migrated();
    let stranger = home.again().with("GRANTD_MASTER_KEY", STRANGE);
    let file = home.folder().join("next.key");
    let arguments = ["keys", "rekey", "--new-master-key-file", file.to_str().unwrap()];
    let ran = stranger.run(&arguments);
    assert!(ran.status.code() == Some(1) && format!("{ran:?}").contains("does not open"), "{ran:?}");
    assert!(!file.exists(), "a key that opens nothing");
    home.json(&arguments);
    // Where it is lost there is none to seal them anew with, and none is made.
    let home = Home::on(Kind::Sqlite).migrated();
    fs::remove_file(key_file(&home, "")).unwrap();
    refused(&home, &["keys", "rekey"], "there is no master key");
    assert!(!key_file(&home, "").exists() && !key_file(&home, ".new").exists());
}

#[test]
fn what_a_rekey_left_that_is_no_new_key_is_not_taken_for_one() {
    let home = Home::on(Kind::Sqlite).migrated();
    // The key in use, and a file of which nothing was written.
    for is_empty in [false, true] {
        let before = content(&home, "");
        fs::copy(key_file(&home, ""), key_file(&home, ".new")).unwrap();
        if is_empty {
            fs::write(key_file(&home, ".new"), "").unwrap();
        }
        home.json(&["keys", "rekey"]);
        assert_ne!(content(&home, ""), before);
        home.json(&["client", "list"]);
    }
    // One that opens the database is the master key, also where the other one is gone.
    let current = content(&home, "");
    fs::rename(key_file(&home, ""), key_file(&home, ".new")).unwrap();
    home.json(&["client", "list"]);
    assert_eq!(content(&home, ""), current);
    // Cut off when the old one was kept already: it is not kept a second time.
    let before = content(&home, "");
    home.json(&["keys", "rekey"]);
    let kept = key_file(&home, ".old.3");
    assert_eq!(fs::read_to_string(&kept).unwrap(), before);
    fs::rename(key_file(&home, ""), key_file(&home, ".new")).unwrap();
    fs::copy(&kept, key_file(&home, "")).unwrap();
    home.json(&["client", "list"]);
    assert!(!key_file(&home, ".old.4").exists() && !key_file(&home, ".new").exists());
}

#[test]
fn no_reset_while_a_server_runs() {
    let home = Home::on(Kind::Sqlite);
    let mut server = home.serve();
    fs::remove_file(key_file(&home, "")).unwrap();
    refused(&home, &["keys", "reset", "--yes"], "another grantd serves this database already");
    assert!(!key_file(&home, "").exists());
    Api::of(&home, &server).get("/providers").expect(200);
    assert!(server.stop().success());
    home.json(&["keys", "reset", "--yes"]);
}

#[test]
fn a_node_that_runs_while_the_keys_are_reset_stops_deciding() {
    let home = Home::on(Kind::Postgres);
    let server = home.serve();
    let other = home.again().with("GRANTD_MASTER_KEY", STRANGE);
    other.json(&["keys", "reset", "--yes"]);
    until("the node is not ready", Duration::from_secs(20), || server.http.get("/readyz?strict=1").status == 503);
    Api::of(&other, &other.serve()).get("/providers").expect(200);
}

#[test]
fn a_first_start_whose_key_cannot_be_written_has_made_nothing() {
    let home = Home::bare(Kind::Sqlite);
    // Where it writes before it renames.
    fs::create_dir_all(key_file(&home, ".tmp")).unwrap();
    let said = home.refused(&[]);
    assert!(said.contains("master.key.tmp"), "{said}");
    fs::remove_dir(key_file(&home, ".tmp")).unwrap();
    let server = home.serve();
    assert!(server.stdout().contains("gk_"), "it is the first start");
}

#[test]
fn a_data_directory_that_is_gone_is_no_reason_for_another_key() {
    let home = Home::on(Kind::Sqlite);
    let database = format!("sqlite://{}/elsewhere.db", home.folder().display());
    let home = home.with("GRANTD_DATABASE_URL", &database).migrated();
    let kept = home.folder().join("kept");
    fs::rename(home.folder().join("data"), &kept).unwrap();
    refused(&home, &["client", "list"], "the master key is missing");
    assert!(!home.folder().join("data").exists());
    fs::rename(kept, home.folder().join("data")).unwrap();
    home.json(&["client", "list"]);
}

on_each! {
    fn what_was_done_to_the_master_key_is_an_event(home: Home) {
        let home = home.migrated();
        let actions = |home: &Home, action: &str| {
            let listed = home.json(&["event", "list", "--action", action]);
            let told = listed["items"].as_array().unwrap().iter().map(|event| (event["actor"].clone(), event["target"].clone()));
            told.collect::<Vec<_>>()
        };
        let once = [(json!("cli"), json!("installation"))];
        let file = home.folder().join("next.key").display().to_string();
        home.json(&["keys", "rekey", "--new-master-key-file", &file]);
        let home = if home.kind == Kind::Postgres { home.with("GRANTD_MASTER_KEY", fs::read_to_string(&file).unwrap().trim()) } else { home };
        assert_eq!(actions(&home, "master_key.replaced"), once);
        let home = match home.kind {
            Kind::Sqlite => {
                fs::remove_file(key_file(&home, "")).unwrap();
                home
            }
            Kind::Postgres => home.with("GRANTD_MASTER_KEY", MASTER),
        };
        home.json(&["keys", "reset", "--yes"]);
        assert_eq!(actions(&home, "installation.reset"), once);
        assert!(home.env.get("GRANTD_ADMIN_KEY").is_some_and(|key| key == OWNER));
    }
}
