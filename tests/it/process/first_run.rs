//! The first start, the second one, and starts that are refused.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::databases::Kind;
use crate::support::process::{Home, MASTER, OWNER, Ran, Server, on_each};

/// Whether the text holds a secret of ours.
fn holds_a_secret(text: &str) -> bool {
    ["gs_", "gk_", "ga_"].iter().any(|prefix| text.contains(prefix))
}

fn mode(home: &Home, path: &str) -> u32 {
    let metadata = home.folder().join(path).metadata();
    metadata.unwrap_or_else(|error| panic!("{path}: {error}")).permissions().mode() & 0o777
}

/// A client as the owner sees it.
fn client(server: &Server, key: &str, id: &str) -> Value {
    let path = format!("/admin/v1/providers/default/clients/{id}");
    server.http.call("GET", &path, &[("authorization", &format!("Bearer {key}"))], None).expect(200).json()
}

/// Bare homes on both databases.
struct Bare(Home);

impl Bare {
    fn on(kind: Kind) -> Self {
        Self(Home::bare(kind))
    }
}

on_each! {
    fn the_first_start_prints_one_curl_line_that_answers_with_a_token(bare: Bare) {
        let server = bare.0.serve();
        let printed = server.stdout();
        assert_eq!(printed.lines().filter(|line| line.starts_with("curl")).count(), 1, "{printed}");
        let first = server.first_run();
        assert!(first.api_key.starts_with("gk_") && first.client_secret.starts_with("gs_"), "{printed}");
        let pasted = Command::new("bash").args(["-c", &first.curl]).output().unwrap();
        let answer: Value = serde_json::from_slice(&pasted.stdout).unwrap_or_else(|error| panic!("{error}: {pasted:?}"));
        assert!(answer["access_token"].as_str().is_some_and(|token| token.split('.').count() == 3), "{answer}");
        assert!(!holds_a_secret(&server.stderr()), "a secret went through the logger:\n{}", server.stderr());
        let seen = client(&server, &first.api_key, &first.client_id);
        assert_eq!(seen["client_name"], "first-service");
        assert_eq!(seen["grant_types"], json!(["client_credentials"]));
        assert_eq!(seen["scope"], "");
        let keys = server.http.call("GET", "/admin/v1/api-keys", &[("authorization", &format!("Bearer {}", first.api_key))], None);
        let keys = keys.expect(200).json();
        assert_eq!(keys["items"].as_array().unwrap().len(), 1);
        assert_eq!((keys["items"][0]["role"].as_str(), keys["items"][0]["provider"].as_str()), (Some("owner"), None));
        let jwks = server.http.get("/.well-known/jwks.json").json();
        let mut algs: Vec<_> = jwks["keys"].as_array().unwrap().iter().map(|key| key["alg"].as_str().unwrap().to_owned()).collect();
        algs.sort();
        assert_eq!(algs, ["ES256", "RS256"]);
    }

    fn the_second_start_prints_no_secret_and_the_first_ones_work(bare: Bare) {
        let mut server = bare.0.serve();
        let first = server.first_run();
        assert!(server.stop().success());
        let server = bare.0.serve();
        for said in [server.stdout(), server.stderr()] {
            assert!(!holds_a_secret(&said) && !said.contains("curl"), "{said}");
        }
        server.http.token(&first.client_id, &first.client_secret).expect(200);
    }

    fn with_an_admin_key_nothing_secret_is_made_and_that_key_is_an_owner(bare: Bare) {
        let home = bare.0.with("GRANTD_ADMIN_KEY", OWNER);
        let server = home.serve();
        assert!(!holds_a_secret(&server.stdout()) && !server.stdout().contains("curl"), "{}", server.stdout());
        let owner = ("authorization", format!("Bearer {OWNER}"));
        let owner = [(owner.0, owner.1.as_str())];
        let keys = server.http.call("GET", "/admin/v1/api-keys", &owner, None).expect(200).json();
        assert_eq!(keys["items"], json!([]));
        let clients = server.http.call("GET", "/admin/v1/providers/default/clients", &owner, None).expect(200).json();
        let ids: Vec<_> = clients["items"].as_array().unwrap().iter().map(|client| client["client_id"].clone()).collect();
        assert_eq!(ids, [json!("runai")]);
        // Only an owner makes an owner.
        let body = br#"{"role":"owner"}"#;
        let headers = [owner[0], ("content-type", "application/json")];
        server.http.call("POST", "/admin/v1/api-keys", &headers, Some(body)).expect(201);
        // Never stored: without the variable it is nobody.
        drop(server);
        let server = home.without("GRANTD_ADMIN_KEY").serve();
        server.http.call("GET", "/admin/v1/api-keys", &owner, None).expect(401);
    }

    fn the_client_runai_is_there_and_grants_nothing_to_who_proves_nothing(bare: Bare) {
        let home = bare.0.with("GRANTD_ADMIN_KEY", OWNER);
        let server = home.serve();
        let runai = client(&server, OWNER, "runai");
        assert_eq!(runai["token_endpoint_auth_method"], "none");
        assert_eq!(runai["enabled"], true, "on loopback it is enabled");
        server.http.form("/oauth2/token", None, "grant_type=client_credentials&client_id=runai").expect(401);
        let json = [("content-type", "application/json")];
        for body in [
            r#"{"grantType":"password","username":"a","password":"b"}"#,
            r#"{"grantType":"refresh_token","refreshToken":"a","clientID":"runai"}"#,
            r#"{"grantType":"exchange_token","code":"a","clientID":"runai","redirectUri":"http://localhost/"}"#,
            r#"{"grantType":"external_token_exchange","externalToken":"a"}"#,
            r#"{"grantType":"client_credentials","clientID":"runai","clientSecret":""}"#,
            r#"{"grantType":"client_credentials","clientID":"runai","clientSecret":"x"}"#,
        ] {
            let answer = server.http.call("POST", "/api/v1/token", &json, Some(body.as_bytes())).expect(400);
            assert_eq!(answer.json()["code"], 400, "{body}: {answer:?}");
        }
    }

    fn a_wrong_master_key_is_refused_with_the_id_of_the_data_key(bare: Bare) {
        let home = bare.0.with("GRANTD_MASTER_KEY", MASTER);
        drop(home.serve());
        let other = home.with("GRANTD_MASTER_KEY", "OTEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
        let said = other.refused(&[]);
        // `the … data key <id>`, and each sentence once.
        let id = said.split("data key ").nth(1).and_then(|rest| rest.split([':', ' ']).next());
        assert!(said.contains("the master key does not open") && id.is_some_and(|id| id.len() >= 4), "{said}");
        assert_eq!(said.matches("the master key does not open").count(), 1, "{said}");
        assert_eq!(said.matches("the start failed").count(), 1, "{said}");
        // The right key still opens it.
        drop(other.with("GRANTD_MASTER_KEY", MASTER).serve());
    }
}

#[test]
fn the_data_directory_is_private() {
    let home = Home::bare(Kind::Sqlite);
    let _server = home.serve();
    assert_eq!(mode(&home, "data"), 0o700);
    assert_eq!(mode(&home, "data/grantd.db"), 0o600);
    assert_eq!(mode(&home, "data/master.key"), 0o600);
}

#[test]
fn files_of_the_database_that_appear_later_are_private_too() {
    let home = Home::bare(Kind::Sqlite);
    let server = home.serve();
    let first = server.first_run();
    server.http.token(&first.client_id, &first.client_secret).expect(200);
    for entry in std::fs::read_dir(home.folder().join("data")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert_eq!(mode(&home, &format!("data/{name}")) & 0o077, 0, "{name} can be read by others");
    }
}

#[test]
fn an_unknown_variable_stops_the_start_with_the_list_of_known_ones() {
    let home = Home::bare(Kind::Sqlite).with("GRANTD_LISTEM", "127.0.0.1:0");
    let said = home.refused(&[]);
    assert!(said.contains("GRANTD_LISTEM") && said.contains("public_url") && said.contains("http.workers"), "{said}");
    assert!(!home.folder().join("data").exists(), "nothing is made by a refused start");
}

#[test]
fn an_unknown_key_of_the_file_stops_the_start_with_the_list_of_known_ones() {
    let home = Home::bare(Kind::Sqlite);
    std::fs::write(home.folder().join("grantd.toml"), "[http]\nworkerz = 1\n").unwrap();
    let said = home.refused(&[]);
    assert!(said.contains("http.workerz") && said.contains("http.workers"), "{said}");
}

#[test]
fn what_kubernetes_sets_for_a_service_of_this_name_is_passed_over() {
    let home = Home::bare(Kind::Sqlite)
        .with("GRANTD_SERVICE_HOST", "10.0.0.1")
        .with("GRANTD_SERVICE_PORT", "80")
        .with("GRANTD_SERVICE_PORT_HTTP", "80")
        .with("GRANTD_PORT", "tcp://10.0.0.1:80")
        .with("GRANTD_PORT_80_TCP", "tcp://10.0.0.1:80")
        .with("GRANTD_PORT_80_TCP_ADDR", "10.0.0.1");
    home.serve().http.get("/healthz").expect(200);
}

#[test]
fn a_second_server_on_the_same_sqlite_file_is_refused_with_a_sentence() {
    let home = Home::bare(Kind::Sqlite);
    let mut server = home.serve();
    let said = home.refused(&[]);
    assert!(said.contains("another grantd serves this database already"), "{said}");
    server.http.get("/readyz").expect(200);
    // The lock ends with the process, however it ends.
    server.kill();
    drop(home.serve());
}

#[test]
fn postgres_without_a_master_key_is_refused() {
    let said = Home::bare(Kind::Postgres).without("GRANTD_MASTER_KEY").refused(&[]);
    assert!(said.contains("master_key") && said.contains("PostgreSQL"), "{said}");
}

#[test]
fn of_two_nodes_that_start_on_an_empty_database_one_prints() {
    let home = Home::bare(Kind::Postgres).with("GRANTD_PUBLIC_URL", "http://localhost:4545");
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| home.serve());
        let two = scope.spawn(|| home.serve());
        (one.join().unwrap(), two.join().unwrap())
    });
    let printed: Vec<_> = [&one, &two].into_iter().filter(|server| holds_a_secret(&server.stdout())).collect();
    assert_eq!(printed.len(), 1, "{}\n{}", one.stdout(), two.stdout());
    let first = printed[0].first_run();
    for server in [&one, &two] {
        server.http.token(&first.client_id, &first.client_secret).expect(200);
    }
}

#[test]
fn a_start_with_the_database_away_waits_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("postgres:///x?host={}&user=postgres", folder.path().display());
    let home = Home::bare(Kind::Sqlite).with("GRANTD_DATABASE_URL", &url).with("GRANTD_MASTER_KEY", MASTER);
    let mut server = home.spawn(&[]);
    crate::support::process::until("it says that the database is away", Duration::from_secs(10), || {
        server.stderr().contains("the database is away")
    });
    // Waiting, and still to be stopped.
    server.signal("TERM");
    server.ended(Duration::from_secs(10));
}

// On PostgreSQL the key must be given, and a start without one is refused by a test above.
#[test]
fn a_lost_master_key_is_not_replaced_by_one_that_opens_nothing() {
    let bare = Bare::on(Kind::Sqlite);
    drop(bare.0.serve());
    let file = bare.0.folder().join("data/master.key");
    let kept = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(bare.0.refused(&[]).contains("the master key is missing"));
    assert!(!file.exists(), "a key that opens nothing was put in its place");
    std::fs::write(&file, kept).unwrap();
    bare.0.serve();
}

/// Commands that only work on what is there.
const LOCAL: [&[&str]; 9] = [
    &["client", "list"],
    &["doctor"],
    &["explain", "x"],
    &["keys", "list"],
    &["export"],
    &["apply", "-f", "nope"],
    &["client", "create", "--name", "n", "--dry-run"],
    &["keys", "reset"],
    &["keys", "reset", "--yes"],
];

#[track_caller]
fn names_no_installation(ran: &Ran) {
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    assert!(ran.stderr.contains("there is no installation") && ran.stderr.contains("grantd migrate"), "{ran:?}");
    assert!(ran.stdout.is_empty() && !ran.stderr.contains("never be opened again"), "{ran:?}");
}

#[test]
fn a_command_makes_no_installation() {
    let home = Home::bare(Kind::Sqlite);
    for arguments in LOCAL.into_iter().chain([&["keys", "rekey"][..]]) {
        names_no_installation(&home.run(arguments));
        assert!(!home.folder().join("data").exists(), "{arguments:?} made a data directory");
    }
    let home = home.migrated();
    let database = home.folder().join("data/grantd.db");
    let key = std::fs::read(home.folder().join("data/master.key")).unwrap();
    std::fs::remove_file(&database).unwrap();
    for lost in [true, false] {
        if !lost {
            std::fs::write(&database, "").unwrap();
        }
        for arguments in LOCAL {
            names_no_installation(&home.run(arguments));
            assert_eq!(database.metadata().map_or(0, |file| file.len()), 0, "{arguments:?} made a database");
        }
        assert_eq!(database.exists(), !lost);
    }
    assert_eq!(std::fs::read(home.folder().join("data/master.key")).unwrap(), key);
    // On PostgreSQL it is the tables that are not there.
    let home = Home::bare(Kind::Postgres);
    for arguments in [&["client", "list"][..], &["doctor"]] {
        names_no_installation(&home.run(arguments));
    }
    let server = home.serve();
    assert!(server.stdout().contains("gk_"), "somebody else did the first run");
}

#[test]
fn a_first_key_that_nobody_saw_is_told_of_with_the_way_to_another() {
    for arguments in [&["migrate"][..], &["serve"]] {
        let home = Home::bare(Kind::Sqlite);
        let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = home.command(arguments).stdout(full()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("nobody has its first keys") && !holds_a_secret(&said), "{said}");
        let way = said.split('`').nth(1).unwrap().split_whitespace().skip(1).collect::<Vec<_>>();
        let made = home.json(&way);
        let server = home.serve();
        let owner = format!("Bearer {}", made["key"].as_str().unwrap());
        server.http.call("GET", "/admin/v1/api-keys", &[("authorization", &owner)], None).expect(200);
    }
}

#[test]
fn an_error_that_cannot_be_written_still_has_its_status() {
    let home = Home::on(Kind::Sqlite).migrated();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = home.command(&["client", "show", "nosuch"]).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_first_start_that_was_cut_off_at_its_master_key_starts_again() {
    let home = Home::bare(Kind::Sqlite);
    let file = home.folder().join("data/master.key");
    std::fs::create_dir(home.folder().join("data")).unwrap();
    std::fs::write(&file, "").unwrap();
    let mut server = home.serve();
    assert!(server.stdout().contains("gk_"));
    assert!(server.stop().success());
    let key = std::fs::read(&file).unwrap();
    assert_eq!(mode(&home, "data/master.key"), 0o600);
    assert!(home.run(&["doctor"]).status.success());
    // Beside a database it is a lost key, and stays as it is; a damaged one is named.
    for (damaged, says) in [("", "the master key is missing"), ("MDEyMzQ1", "data/master.key holds no master key")] {
        std::fs::write(&file, damaged).unwrap();
        let said = home.refused(&[]);
        assert!(said.contains(says), "{said}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), damaged);
    }
    std::fs::write(&file, key).unwrap();
    home.serve();
}

#[test]
fn of_first_starts_at_once_all_know_one_master_key() {
    for _ in 0..10 {
        let home = Home::bare(Kind::Sqlite);
        let ran: Vec<Ran> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..3).map(|_| scope.spawn(|| home.run(&["migrate"]))).collect();
            running.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(ran.iter().all(|ran| ran.status.success()), "{ran:?}");
        assert_eq!(ran.iter().filter(|ran| holds_a_secret(&ran.stdout)).count(), 1, "{ran:?}");
        home.json(&["client", "list"]);
    }
}
