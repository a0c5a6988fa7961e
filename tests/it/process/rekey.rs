//! Another master key: nothing ends, no crash locks anybody out; and a lost one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::process::admin::Api;
use crate::process::key_drills::under_load;
use crate::support::client::basic;
use crate::support::databases::Kind;
use crate::support::process::{Home, MASTER, OWNER, pause, until};

/// A master key of these tests, 32 bytes.
const NEXT: &[u8; 32] = b"the next master key of the tests";

fn key_file(home: &Home, ending: &str) -> PathBuf {
    home.folder().join("data").join(format!("master.key{ending}"))
}

fn content(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What was handed out before, in each of the forms that a data key protects.
struct Held {
    client: (String, String),
    key: String,
    tokens: Vec<String>,
}

impl Held {
    fn by(api: &Api) -> Self {
        let client = api.new_client(&json!({}));
        let opaque = api.new_client(&json!({"access_token_format": "opaque"}));
        let tokens = vec![api.access_token(&client.0, &client.1), api.access_token(&opaque.0, &opaque.1)];
        Self { client, key: api.new_key(&json!({"role": "admin"})).1, tokens }
    }

    fn assert_works(&self, api: &Api) {
        api.token(&self.client.0, &self.client.1).expect(200);
        api.acting_as(&self.key).get("/providers").expect(200);
        assert!(self.tokens.iter().all(|token| api.is_active(token)));
    }
}

#[test]
fn a_new_master_key_in_the_data_directory_ends_nothing_under_load() {
    let home = Home::on(Kind::Sqlite);
    let mut server = home.serve();
    let api = Api::of(&home, &server);
    let held = Held::by(&api);
    let old = content(&key_file(&home, ""));
    let ask = |api: &Api, _: usize| {
        let answer = api.http.try_form(
            "/oauth2/token",
            Some(&basic(&held.client.0, &held.client.1)),
            "grant_type=client_credentials",
        )?;
        if answer.status == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
    };
    under_load(std::slice::from_ref(&api), &ask, || {
        for _ in 0..3 {
            let done = home.json(&["keys", "rekey"]);
            assert_eq!(done["data_keys"], 5);
        }
    });
    held.assert_works(&api);
    let new = content(&key_file(&home, ""));
    assert_ne!(new, old);
    for ending in ["", ".old"] {
        let mode = fs::metadata(key_file(&home, ending)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert!(!key_file(&home, ".new").exists() && !key_file(&home, ".tmp").exists());
    // The running server has the old one: it makes no data key that the next start could not open.
    let refused = api.post("/data-keys/rotate", &json!({"purpose": "tokens"}));
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(server.stop().success());
    let mut server = home.serve();
    let api = Api::of(&home, &server);
    held.assert_works(&api);
    api.post("/data-keys/rotate", &json!({"purpose": "tokens"})).expect(200);
    assert!(server.stop().success());
    fs::write(key_file(&home, ""), &old).unwrap();
    let refused = home.refused(&[]);
    assert!(refused.contains("does not open"), "{refused}");
    fs::write(key_file(&home, ""), &new).unwrap();
    home.serve();
}

#[test]
fn a_crash_at_any_step_leaves_a_start_that_works() {
    let home = Home::on(Kind::Sqlite);
    let mut server = home.serve();
    let held = Held::by(&Api::of(&home, &server));
    assert!(server.stop().success());
    let old = content(&key_file(&home, ""));
    // Before the commit: the new file lies there, and the database knows nothing of it.
    fs::write(key_file(&home, ".new"), format!("{}\n", STANDARD.encode(NEXT))).unwrap();
    fs::set_permissions(key_file(&home, ".new"), fs::Permissions::from_mode(0o600)).unwrap();
    let mut server = home.serve();
    held.assert_works(&Api::of(&home, &server));
    assert!(server.stop().success());
    // Tried again, it goes on with the same file.
    home.json(&["keys", "rekey"]);
    assert_eq!(content(&key_file(&home, "")).trim(), STANDARD.encode(NEXT));
    // After the commit, before the rename.
    fs::rename(key_file(&home, ""), key_file(&home, ".new")).unwrap();
    fs::write(key_file(&home, ""), &old).unwrap();
    let mut server = home.serve();
    assert!(server.stderr().contains("a change of the master key that was cut off is finished"), "{}", server.stderr());
    held.assert_works(&Api::of(&home, &server));
    assert_eq!(content(&key_file(&home, "")).trim(), STANDARD.encode(NEXT));
    assert!(!key_file(&home, ".new").exists());
    assert!(server.stop().success());
    // And for the command line alike.
    fs::rename(key_file(&home, ""), key_file(&home, ".new")).unwrap();
    fs::write(key_file(&home, ""), &old).unwrap();
    home.json(&["keys", "rekey"]);
    let server = home.serve();
    held.assert_works(&Api::of(&home, &server));
}

#[test]
fn kill_9_during_rekey_leaves_a_start_that_works() {
    let home = Home::on(Kind::Sqlite);
    let mut server = home.serve();
    let held = Held::by(&Api::of(&home, &server));
    assert!(server.stop().success());
    for round in 0..10 {
        let mut command = home.command(&["keys", "rekey"]).spawn().unwrap();
        for _ in 0..round {
            pause();
        }
        let _ = command.kill();
        command.wait().unwrap();
        assert!(home.run(&["keys", "list", "--json"]).status.success(), "round {round}");
    }
    let server = home.serve();
    held.assert_works(&Api::of(&home, &server));
}

#[test]
fn a_given_master_key_is_exchanged_by_way_of_a_file() {
    let home = Home::on(Kind::Postgres);
    let (server, second) = (home.serve(), home.serve());
    let held = Held::by(&Api::of(&home, &server));
    let refused = home.run(&["keys", "rekey"]);
    assert!(!refused.status.success() && refused.stderr.contains("--new-master-key-file"), "{refused:?}");
    let file = home.folder().join("next.key");
    let path = file.display().to_string();
    let done = home.json(&["keys", "rekey", "--new-master-key-file", &path]);
    assert_eq!((&done["data_keys"], &done["master_key_file"]), (&json!(5), &json!(path)));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    held.assert_works(&Api::of(&home, &server));
    held.assert_works(&Api::of(&home, &second));
    // A node that starts needs the new one.
    let text = home.refused(&[]);
    assert!(text.contains("does not open"), "{text}");
    let home = home.without("GRANTD_MASTER_KEY").with("GRANTD_MASTER_KEY_FILE", &path);
    let third = home.serve();
    held.assert_works(&Api::of(&home, &third));
    // A data key that the old master key does not open: nodes that have no other stop deciding, and say so.
    assert!(home.run(&["keys", "rotate-data-key", "tokens"]).status.success());
    until("the old nodes are not ready", Duration::from_secs(5), || {
        server.http.get("/readyz?strict=1").status == 503 && second.http.get("/readyz?strict=1").status == 503
    });
    assert!(server.stderr().contains("the master key does not open"), "{}", server.stderr());
    held.assert_works(&Api::of(&home, &third));
    assert_ne!(content(&file).trim(), MASTER);
}

/// As a crash leaves it behind the commit and before the rename: the database is sealed under `.new`.
fn cut_off_after_commit(home: &Home) {
    let old = content(&key_file(home, ""));
    home.json(&["keys", "rekey"]);
    fs::rename(key_file(home, ""), key_file(home, ".new")).unwrap();
    fs::write(key_file(home, ""), old).unwrap();
}

/// Refused with these words, and the installation is as it was.
fn refused(home: &Home, arguments: &[&str], says: &str) {
    let before = content(&key_file(home, ""));
    let ran = home.run(arguments);
    assert!(!ran.status.success() && ran.stderr.contains(says), "{arguments:?}: {ran:?}");
    assert_eq!(content(&key_file(home, "")), before, "{arguments:?}");
    assert!(!key_file(home, ".new").exists(), "{arguments:?}");
    home.json(&["client", "list"]);
}

#[test]
fn of_two_rekeys_at_once_each_tells_the_truth_and_the_key_is_there() {
    let home = Home::on(Kind::Sqlite).migrated();
    for round in 0..20 {
        let both = [["keys", "rekey"], ["keys", "rekey"]].map(|arguments| home.command(&arguments).spawn().unwrap());
        for mut one in both {
            assert!(one.wait().unwrap().success(), "round {round}");
        }
        assert!(home.run(&["client", "list"]).status.success(), "round {round}");
    }
    assert!(!key_file(&home, ".new").exists() && !key_file(&home, ".tmp").exists());
    // Every key of before is kept under a name of its own.
    let kept = fs::read_dir(home.folder().join("data")).unwrap();
    let kept: Vec<String> = kept.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(kept.iter().filter(|name| name.starts_with("master.key.old")).count(), 40, "{kept:?}");
}

#[test]
fn of_two_rekeys_into_one_file_both_name_the_key_that_opens_the_database() {
    for round in 0..10 {
        let home = Home::on(Kind::Postgres).migrated();
        let file = home.folder().join("next.key").display().to_string();
        let arguments = ["keys", "rekey", "--new-master-key-file", &file];
        let both = [home.command(&arguments).spawn().unwrap(), home.command(&arguments).spawn().unwrap()];
        for mut one in both {
            assert!(one.wait().unwrap().success(), "round {round}");
        }
        let home = home.without("GRANTD_MASTER_KEY").with("GRANTD_MASTER_KEY_FILE", &file);
        home.json(&["client", "list"]);
    }
}

#[test]
fn a_rekey_after_one_that_was_cut_off_keeps_the_key_that_opens_the_database() {
    let home = Home::on(Kind::Sqlite).migrated();
    cut_off_after_commit(&home);
    let current = content(&key_file(&home, ".new"));
    let file = home.folder().join("newkey").display().to_string();
    let done = home.json(&["keys", "rekey", "--new-master-key-file", &file]);
    assert_eq!(done["master_key_file"], json!(file));
    assert_eq!(content(&key_file(&home, "")), content(Path::new(&file)));
    let kept = done["old_master_key_file"].as_str().unwrap();
    assert_eq!(content(&home.folder().join(kept)), current, "backups from in between need it");
    home.json(&["client", "list"]);
    // A file that cannot be made loses nothing either.
    cut_off_after_commit(&home);
    let ran = home.run(&["keys", "rekey", "--new-master-key-file", "/nowhere/newkey"]);
    assert!(!ran.status.success() && ran.stderr.contains("/nowhere/newkey"), "{ran:?}");
    home.json(&["client", "list"]);
    // The same command again is the end of the change that was cut off.
    let file = home.folder().join("third").display().to_string();
    let again = ["keys", "rekey", "--new-master-key-file", &file];
    let old = content(&key_file(&home, ""));
    home.json(&again);
    fs::rename(key_file(&home, ""), key_file(&home, ".new")).unwrap();
    fs::write(key_file(&home, ""), old).unwrap();
    assert_eq!(home.json(&again)["data_keys"], 5);
    assert_eq!(content(&key_file(&home, "")), content(Path::new(&file)));
    home.json(&["client", "list"]);
}

#[test]
fn a_reset_after_a_rekey_that_was_cut_off_finishes_it_and_ends_nothing() {
    let home = Home::on(Kind::Sqlite).migrated();
    let held = home.json(&["api-key", "create", "--role", "owner"]);
    cut_off_after_commit(&home);
    let current = content(&key_file(&home, ".new"));
    let told = home.run(&["keys", "reset"]);
    assert!(!told.status.success() && told.stderr.contains("nothing is lost"), "{told:?}");
    let told = home.run(&["keys", "reset", "--yes"]);
    assert!(!told.status.success() && told.stderr.contains("nothing is lost"), "{told:?}");
    assert_eq!(content(&key_file(&home, "")), current);
    // Even if what was `master.key` is gone.
    fs::rename(key_file(&home, ""), key_file(&home, ".new")).unwrap();
    let told = home.run(&["keys", "reset", "--yes"]);
    assert!(!told.status.success() && told.stderr.contains("nothing is lost"), "{told:?}");
    let server = home.serve();
    let api = Api::of(&home, &server).acting_as(held["key"].as_str().unwrap());
    api.get("/providers").expect(200);
}

#[test]
fn a_file_that_is_no_new_master_key_is_refused() {
    let home = Home::on(Kind::Sqlite).migrated();
    let file = |name: &str, text: &str, mode: u32| {
        let path = home.folder().join(name);
        fs::write(&path, format!("{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let next = STANDARD.encode(NEXT);
    let unfit = [
        (file("current", content(&key_file(&home, "")).trim(), 0o600), "that is in use"),
        (file("zeros", &STANDARD.encode([0; 32]), 0o600), "one byte over and over"),
        (file("shared", &next, 0o640), "chmod 600"),
        (file("empty", "", 0o600), "is empty"),
        (file("short", "MDEyMzQ1", 0o600), "short holds no master key"),
        (home.folder().display().to_string(), "no regular file"),
        (key_file(&home, "").display().to_string(), "that is in use"),
        ("data/master.key.new".to_owned(), "name another file"),
        ("-".to_owned(), "not standard input"),
    ];
    for (path, says) in &unfit {
        refused(&home, &["keys", "rekey", "--new-master-key-file", path], says);
    }
    assert!(!home.folder().join("-").exists());
    home.json(&["keys", "rekey", "--new-master-key-file", &file("next", &next, 0o600)]);
    assert_eq!(content(&key_file(&home, "")).trim(), next);
}

#[test]
fn what_is_done_to_the_database_itself_is_refused_where_a_server_is_named() {
    let home = Home::on(Kind::Sqlite).migrated();
    let meant = home.again().with("GRANTD_SERVER", "https://u:hunter2@prod.example").with("GRANTD_KEY", OWNER);
    let key = content(&key_file(&home, ""));
    for arguments in
        [&["keys", "rekey"][..], &["keys", "reset"], &["keys", "reset", "--yes"], &["doctor"], &["migrate"]]
    {
        let ran = meant.run(arguments);
        assert_eq!(ran.status.code(), Some(2), "{ran:?}");
        assert!(ran.stderr.contains("GRANTD_SERVER is set") && !ran.stderr.contains("hunter2"), "{ran:?}");
    }
    assert_eq!(content(&key_file(&home, "")), key);
    meant.json(&["keys", "rekey", "--local"]);
    // A start does not ask.
    meant.serve();
}

fn reset_on(home: &Home, lose: impl FnOnce() -> Home) {
    let mut server = home.serve();
    let api = Api::of(home, &server);
    let held = Held::by(&api);
    let chosen = "a-secret-that-somebody-chose-once-upon-a-time";
    let (by_choice, _) = api.new_client(&json!({ "client_secret": chosen }));
    api.post("/providers", &json!({"slug": "acme"})).expect(201);
    let kids = api.http.kids("");
    let once = |api: &Api| {
        let headers = [("content-type", "application/json"), ("idempotency-key", "order-1")];
        let answer = api.call("POST", &api.clients(), &headers, Some("{}")).expect(201);
        (answer.text_of("client_id"), answer.header("idempotency-replayed").is_some())
    };
    let (made_before, _) = once(&api);
    let yes = ["keys", "reset", "--yes"];
    assert!(server.stop().success());
    for arguments in [&yes[..], &["keys", "reset"]] {
        let told = home.run(arguments);
        assert!(!told.status.success() && told.stderr.contains("nothing is lost"), "{told:?}");
        assert!(!told.stderr.contains("every API key"), "{told:?}");
    }
    let home = lose();
    let asked = home.run(&["keys", "reset"]);
    assert!(!asked.status.success() && asked.stderr.contains("every API key"), "{asked:?}");
    let text = home.refused(&[]);
    assert!(text.contains("master key"), "{text}");
    let done = home.json(&yes);
    let owner = done["api_key"].as_str().unwrap();
    assert_eq!(
        (&done["api_keys_ended"], done["signing_keys_ended"].as_i64().unwrap() >= 3),
        (&json!(1), true),
        "{done}"
    );
    let server = home.serve();
    let (made_after, replayed) = once(&Api::of(&home, &server));
    assert!(made_after != made_before && !replayed, "no answer stays that nobody can open");
    let api = Api::of(&home, &server).acting_as(owner);
    api.get("/api-keys").expect(200);
    api.token(&held.client.0, &held.client.1).expect(401);
    api.acting_as(&held.key).get("/providers").expect(401);
    assert!(held.tokens.iter().all(|token| !api.is_active(token)));
    assert!(api.http.kids("").iter().all(|kid| !kids.contains(kid)));
    // What lay under Argon2 or in clear is there; a service gets its new secret.
    api.token(&by_choice, chosen).expect(200);
    let new = api.post(&api.secrets(&held.client.0), &json!({})).expect(201).text_of("client_secret");
    api.token(&held.client.0, &new).expect(200);
    let acme = api.at("acme");
    let (id, secret) = acme.new_client(&json!({}));
    acme.token(&id, &secret).expect(200);
}

#[test]
fn a_lost_key_file_is_given_up_and_the_house_begins_anew() {
    let home = Home::on(Kind::Sqlite);
    let folder = home.folder().to_owned();
    reset_on(&home, || {
        fs::remove_file(folder.join("data/master.key")).unwrap();
        home.again()
    });
}

#[test]
fn a_lost_key_of_the_configuration_likewise() {
    let home = Home::on(Kind::Postgres);
    reset_on(&home, || home.again().with("GRANTD_MASTER_KEY", &STANDARD.encode("another-master-key-of-this-test!")));
}
