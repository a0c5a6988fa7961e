//! Every command, beside a running server and without one, on both databases.

use serde_json::{Value, json};

use crate::process::admin::{Api, names, problem};
use crate::support::databases::Kind;
use crate::support::origin::{Origin, Reply};
use crate::support::process::{Home, Installed, OWNER, Ran, on_each};

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// Refused with a sentence: status 1, nothing on stdout, the words on stderr.
#[track_caller]
fn refused(ran: &Ran, words: &[&str]) {
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    assert_eq!(ran.stdout, "", "{ran:?}");
    assert!(ran.stderr.lines().any(|line| line.starts_with("grantd: ")), "{ran:?}");
    for word in words {
        assert!(ran.stderr.contains(word), "no {word} in {ran:?}");
    }
    assert!(!ran.stderr.contains("panicked") && !ran.stderr.contains("Err("), "{ran:?}");
}

on_each! {
    fn json_is_the_admin_apis_own_representation(home: Home) {
        let server = home.serve();
        let api = Api::of(&home, &server);
        let same = |arguments: &[&str], path: &str| {
            assert_eq!(home.json(arguments), api.get(path).expect(200).json(), "{arguments:?}");
        };
        let provider = home.json(&["provider", "create", "acme", "--name", "Acme", "--signing-alg", "EdDSA"]);
        assert_eq!((text(&provider, "slug"), text(&provider, "access_token_signing_alg")), ("acme", "EdDSA"));
        same(&["provider", "show", "acme"], "/providers/acme");
        assert_eq!(provider, api.get("/providers/acme").json());
        let mut made = home.json(&["client", "create", "--provider", "acme", "--name", "n", "--grant", "client_credentials", "--scope", "a", "--scope", "b", "--audience", "https://a.example"]);
        let id = text(&made, "client_id").to_owned();
        assert!(text(&made, "client_secret").starts_with("gs_"));
        made.as_object_mut().unwrap().remove("client_secret");
        let path = format!("/providers/acme/clients/{id}");
        assert_eq!(made, api.get(&path).json());
        assert_eq!((text(&made, "scope"), &made["audience"]), ("a b", &json!(["https://a.example"])));
        same(&["client", "show", "--provider", "acme", &id], &path);
        let secret = home.json(&["client", "secret", "create", "--provider", "acme", &id, "--expires-at", "2099-01-01T00:00:00Z"]);
        let shown = api.get(&format!("{path}/secrets/{}", text(&secret, "id"))).expect(200).json();
        assert_eq!(names(&secret).len(), names(&shown).len() + 1, "{secret} against {shown}");
        let key = home.json(&["api-key", "create", "--provider", "acme", "--role", "member", "--name", "k", "--scope", "a", "--max-ttl", "60"]);
        same(&["api-key", "show", text(&key, "id")], &format!("/api-keys/{}", text(&key, "id")));
        // Lists: the same items.
        for (arguments, path) in [
            (vec!["provider", "list"], "/providers".to_owned()),
            (vec!["client", "list", "--provider", "acme"], "/providers/acme/clients".to_owned()),
            (vec!["client", "secret", "list", "--provider", "acme", &id], format!("{path}/secrets")),
            (vec!["api-key", "list"], "/api-keys".to_owned()),
            (vec!["keys", "list", "--provider", "acme"], "/providers/acme/signing-keys".to_owned()),
        ] {
            assert_eq!(home.json(&arguments)["items"], api.get(&path).expect(200).json()["items"], "{arguments:?}");
        }
    }

    fn a_client_that_logs_people_in_is_made_whole(home: Installed) {
        let made = home.json(&[
            "client", "create", "--name", "portal", "--grant", "authorization_code", "--grant", "refresh_token",
            "--redirect-uri", "https://a.example/cb", "--redirect-uri", "https://a.example/two",
            "--post-logout-redirect-uri", "https://a.example/bye", "--scope", "openid email",
            "--backchannel-logout-uri", "https://a.example/logout", "--require-consent", "true",
            "--refresh-rotation", "always", "--refresh-grace", "30", "--refresh-token-ttl", "86400",
        ]);
        assert_eq!(made["redirect_uris"], json!(["https://a.example/cb", "https://a.example/two"]));
        assert_eq!(made["post_logout_redirect_uris"], json!(["https://a.example/bye"]));
        assert_eq!(made["backchannel_logout_uri"], json!("https://a.example/logout"));
        assert_eq!((&made["require_consent"], &made["refresh_rotation"]), (&json!(true), &json!("always")));
        assert_eq!((&made["refresh_grace"], &made["refresh_token_ttl"]), (&json!(30), &json!(86_400)));
        let ran = home.run(&["client", "create", "--name", "x", "--grant", "authorization_code"]);
        refused(&ran, &["redirect_uris"]);
    }

    fn everything_works_while_no_server_runs(home: Home) {
        assert!(home.run(&["migrate"]).status.success());
        home.json(&["provider", "create", "acme", "--access-token-ttl", "50"]);
        let updated = home.json(&["provider", "update", "acme", "--max-ttl", "100", "--strict-scopes", "false", "--surface", "runai"]);
        assert_eq!((&updated["max_ttl"], &updated["surfaces"]), (&json!(100), &json!(["runai"])));
        let made = home.json(&["client", "create", "--client-id", "svc", "--name", "n", "--grant", "client_credentials"]);
        let secret = text(&made, "client_secret").to_owned();
        home.json(&["client", "update", "svc", "--scope", "a", "--access-token-format", "opaque", "--access-token-ttl", "77"]);
        let other = home.json(&["client", "secret", "create", "svc"]);
        home.json(&["client", "secret", "revoke", "svc", text(&other, "id")]);
        home.json(&["client", "create", "--client-id", "gone", "--name", "n"]);
        home.json(&["client", "delete", "gone"]);
        let key = home.json(&["api-key", "create", "--role", "owner"]);
        home.json(&["api-key", "update", text(&key, "id"), "--name", "renamed"]);
        let rotated = home.json(&["keys", "rotate", "--alg", "RS256"]);
        assert_eq!((text(&rotated["items"][0], "alg"), text(&rotated["items"][0], "state")), ("RS256", "next"));
        let server = home.serve();
        let api = Api::of(&home, &server).acting_as(text(&key, "key"));
        let token = api.token("svc", &secret).expect(200);
        assert_eq!((&token.json()["scope"], &token.json()["expires_in"]), (&json!("a"), &json!(77)));
        assert!(token.text_of("access_token").starts_with("ga_"));
        api.token("svc", text(&other, "client_secret")).expect(401);
        problem(&api.get("/providers/default/clients/gone"), 404);
        assert_eq!(api.get(&format!("/api-keys/{}", text(&key, "id"))).json()["name"], "renamed");
        assert_eq!(api.get("/providers/acme").json()["access_token_ttl"], 50);
    }

    fn a_secret_is_shown_once_and_for_people_too(home: Installed) {
        let made = home.run(&["client", "create", "--name", "My service", "--grant", "client_credentials", "--scope", "read"]);
        assert!(made.status.success(), "{made:?}");
        let value = |label: &str| {
            let line = made.stdout.lines().find(|line| line.split_whitespace().next() == Some(label));
            line.unwrap_or_else(|| panic!("no {label} in {}", made.stdout)).split_whitespace().nth(1).unwrap().to_owned()
        };
        let (id, secret) = (value("client_id"), value("client_secret"));
        assert!(secret.starts_with("gs_"));
        for arguments in [&["client", "show", &id][..], &["client", "list"], &["client", "secret", "list", &id]] {
            let ran = home.run(arguments);
            assert!(ran.status.success() && !ran.stdout.contains(&secret), "{ran:?}");
        }
        let key = home.run(&["api-key", "create", "--role", "member"]);
        let text = key.stdout.split_whitespace().find(|word| word.starts_with("gk_")).expect("the key is shown").to_owned();
        let listed = home.run(&["api-key", "list"]);
        assert!(listed.stdout.contains("member") && !listed.stdout.contains(&text), "{listed:?}");
        home.serve().http.token(&id, &secret).expect(200);
    }

    fn errors_are_sentences_and_status_1(home: Installed) {
        home.json(&["client", "create", "--client-id", "svc", "--name", "n"]);
        refused(&home.run(&["client", "create", "--client-id", "svc", "--name", "n"]), &["in use"]);
        refused(&home.run(&["client", "create", "--client-id", "a b", "--access-token-ttl", "0"]), &["client_id"]);
        refused(&home.run(&["client", "update", "svc", "--access-token-ttl", "0", "--access-token-format", "x"]), &["access_token_ttl", "access_token_format"]);
        refused(&home.run(&["client", "create", "--name", "n", "--grant", "implicit"]), &["client_credentials"]);
        refused(&home.run(&["client", "show", "nope"]), &["no such client"]);
        refused(&home.run(&["client", "show", "--provider", "nope", "svc"]), &["no such provider"]);
        refused(&home.run(&["client", "secret", "revoke", "svc", "nope"]), &["no such"]);
        refused(&home.run(&["client", "secret", "create", "svc", "--expires-at", "tomorrow"]), &["2030-01-31T12:00:00Z"]);
        refused(&home.run(&["client", "create", "--name", "n", "--secret-file", "nope"]), &["nope"]);
        refused(&home.run(&["provider", "create", "A B"]), &["slug"]);
        refused(&home.run(&["provider", "create", "default"]), &[]);
        refused(&home.run(&["provider", "delete", "default"]), &["default"]);
        refused(&home.run(&["api-key", "create", "--role", "god"]), &["default, member, admin, owner"]);
        refused(&home.run(&["api-key", "show", "nope"]), &["no such API key"]);
        refused(&home.run(&["keys", "rotate", "--alg", "HS256"]), &["ES256"]);
        refused(&home.run(&["--set", "nope=1", "client", "list"]), &["nope"]);
        // A wrong word of the command line is the parser's own answer.
        let ran = home.run(&["client", "craete"]);
        assert!(ran.status.code() == Some(2) && ran.stderr.contains("create"), "{ran:?}");
    }

    fn a_provider_with_clients_needs_cascade(home: Installed) {
        home.json(&["provider", "create", "acme"]);
        home.json(&["client", "create", "--provider", "acme", "--name", "n"]);
        refused(&home.run(&["provider", "delete", "acme"]), &["clients"]);
        home.json(&["provider", "delete", "acme", "--cascade"]);
        refused(&home.run(&["provider", "create", "acme"]), &[]);
    }

    fn the_doctor_finds_a_good_installation_good(home: Installed) {
        let said = home.json(&["doctor"]);
        let levels: Vec<_> = said["items"].as_array().unwrap().iter().map(|item| text(item, "level").to_owned()).collect();
        assert!(levels.iter().any(|level| level == "ok") && levels.iter().all(|level| level != "WRONG"), "{said}");
        let said = home.run(&["doctor"]);
        assert!(said.status.success() && said.stdout.contains("master key"), "{said:?}");
        // It lists every client with the password grant.
        assert!(said.stdout.contains("runai"), "{said:?}");
    }
}

#[test]
fn the_doctor_says_where_the_only_copy_of_the_master_key_lies_and_what_is_wrong() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::on(Kind::Sqlite).migrated();
    let said = home.run(&["doctor"]);
    assert!(said.stdout.contains("data/master.key"), "{said:?}");
    let local = home.again().without("GRANTD_PUBLIC_URL").with("GRANTD_LISTEN", "127.0.0.1:4321");
    assert!(local.run(&["doctor"]).stdout.contains("tokens name http://localhost:4321 as their issuer"));
    let key = home.folder().join("data/master.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = home.run(&["doctor"]);
    assert!(said.status.code() == Some(1) && said.stdout.contains("chmod 600"), "{said:?}");
}

#[test]
fn the_first_run_by_a_command_shows_its_secrets_apart_from_the_answer() {
    let home = Home::bare(Kind::Sqlite).with("GRANTD_PUBLIC_URL", "http://localhost:4545");
    let ran = home.run(&["migrate", "--json"]);
    assert_eq!(ran.stdout.trim(), "{}", "{ran:?}");
    assert!(ran.stderr.contains("gk_"), "the first credentials are shown once, or nobody has them: {ran:?}");
    let listed = home.json(&["client", "list"]);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2, "{listed}");
    let server = home.serve();
    assert!(!server.stdout().contains("gk_") && !server.stdout().contains("curl"), "{}", server.stdout());
}

#[test]
fn the_configuration_shows_values_and_origins_but_no_secret() {
    let home = Home::on(Kind::Postgres);
    std::fs::write(home.folder().join("grantd.toml"), "[http]\nworkers = 3\n").unwrap();
    let shown = home.json(&["config"]);
    assert_eq!(shown["http.workers"]["value"].to_string().trim_matches('"'), "3");
    assert_eq!(shown["http.workers"]["origin"], "grantd.toml");
    assert_eq!(shown["listen"]["origin"], "GRANTD_LISTEN");
    assert_eq!(shown["log"]["origin"], "default");
    let flagged = home.run(&["config", "--set", "http.workers=4"]).stdout;
    assert!(flagged.contains("flag"), "{flagged}");
    for said in [shown.to_string(), home.run(&["config"]).stdout] {
        assert!(!said.contains(OWNER) && !said.contains(crate::support::process::MASTER), "{said}");
    }
}

#[test]
fn secrets_may_lie_in_files() {
    let home = Home::on(Kind::Sqlite).without("GRANTD_ADMIN_KEY").with("GRANTD_ADMIN_KEY_FILE", "key");
    std::fs::write(home.folder().join("key"), format!("{OWNER}\n")).unwrap();
    let server = home.serve();
    Api::of(&home, &server).get("/providers").expect(200);
}

#[test]
fn the_health_check_asks_the_server_of_its_configuration() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let home = Home::on(Kind::Sqlite).with("GRANTD_LISTEN", &format!("127.0.0.1:{port}"));
    refused(&home.run(&["healthcheck"]), &["does not answer"]);
    let server = home.serve();
    let ran = home.run(&["healthcheck"]);
    assert!(ran.status.success(), "{ran:?}");
    drop(server);
    // Somebody else is there, or nobody who says anything.
    let other = Origin::always(Reply::status(503));
    let at = |port: u16| home.again().with("GRANTD_LISTEN", &format!("127.0.0.1:{port}")).run(&["healthcheck"]);
    refused(&at(other.port), &["is not well"]);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    refused(&at(silent.local_addr().unwrap().port()), &["does not answer"]);
}

#[test]
fn the_openapi_document_is_that_of_the_server_and_names_what_it_serves() {
    let home = Home::on(Kind::Sqlite);
    let printed: Value = serde_json::from_str(&home.run(&["openapi"]).stdout).unwrap();
    assert!(text(&printed, "openapi").starts_with("3."));
    let server = home.serve();
    assert_eq!(server.http.get("/openapi.json").expect(200).json(), printed);
    for path in
        ["/oauth2/token", "/api/v1/token", "/healthz", "/admin/v1/providers/{provider}/clients/{client_id}/secrets"]
    {
        assert!(printed["paths"].get(path).is_some(), "{path} is missing");
    }
    // Each path and method of it is served: not 404 by the router, not 405.
    let owner = format!("Bearer {OWNER}");
    for (path, methods) in printed["paths"].as_object().unwrap() {
        let allowed: Vec<String> = methods
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| *key != "servers")
            .map(|method| method.to_uppercase())
            .collect();
        let concrete = path.replace(['{', '}'], "");
        let refused = server.http.call("PUT", &concrete, &[("authorization", &owner)], Some(b"{}"));
        if allowed.iter().any(|method| method == "PUT") {
            assert!(!matches!(refused.status, 404 | 405), "{path}: {refused:?}");
            continue;
        }
        assert_eq!(refused.status, 405, "{path}: {refused:?}");
        let allow = refused.header("allow").unwrap_or_default();
        assert!(allowed.iter().all(|method| allow.contains(method.as_str())), "{path}: {allow} against {allowed:?}");
    }
}
