//! The commands of what is managed beside providers, clients and people, on the database and at a
//! server.

use serde_json::{Value, json};

use crate::process::admin::Api;
use crate::support::client::basic;
use crate::support::databases::Kind;
use crate::support::process::{Home, OWNER, Server, on_each};

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// Another machine that works at the server.
fn desk(server: &Server) -> Home {
    let home = Home::bare(Kind::Sqlite).without("GRANTD_LISTEN");
    home.with("GRANTD_SERVER", &server.http.base).with("GRANTD_KEY", OWNER)
}

on_each! {
    fn a_token_is_minted_for_a_client(home: Home) {
        let server = home.serve();
        home.json(&["client", "create", "--client-id", "svc", "--grant", "client_credentials", "--scope", "a b"]);
        let rs = home.json(&["client", "create", "--client-id", "rs", "--resource-server", "true"]);
        let minted = desk(&server).json(&["client", "mint", "svc", "--ttl", "60", "--scope", "a", "--one-time", "true"]);
        assert_eq!((&minted["expires_in"], &minted["scope"], &minted["one_time"]), (&json!(60), &json!("a"), &json!(true)));
        let authorization = basic("rs", text(&rs, "client_secret"));
        let body = format!("token={}", text(&minted, "access_token"));
        let said = server.http.form("/oauth2/introspect", Some(&authorization), &body).expect(200).json();
        assert_eq!((&said["active"], &said["client_id"]), (&json!(true), &json!("svc")), "{said}");
    }

    fn secrets_are_rotated_with_and_without_overlap(home: Home) {
        let server = home.serve();
        let desk = desk(&server);
        let first = home.json(&["client", "create", "--client-id", "svc", "--grant", "client_credentials"]);
        let second = desk.json(&["client", "secret", "rotate", "svc", "--overlap", "600"]);
        for secret in [&first, &second] {
            server.http.token("svc", text(secret, "client_secret")).expect(200);
        }
        let third = desk.json(&["client", "secret", "rotate", "svc", "--overlap", "0"]);
        server.http.token("svc", text(&first, "client_secret")).expect(401);
        server.http.token("svc", text(&second, "client_secret")).expect(401);
        server.http.token("svc", text(&third, "client_secret")).expect(200);
        assert_eq!(home.json(&["client", "secret", "show", "svc", text(&third, "id")])["id"], third["id"]);
        let key = desk.json(&["api-key", "create", "--role", "admin", "--name", "k"]);
        let id = text(&key, "id");
        let api = Api::of(&home, &server);
        let works = |key: &str, status: u16| drop(api.acting_as(key).get("/providers").expect(status));
        let beside = desk.json(&["api-key", "secret", "create", id]);
        works(text(&key, "key"), 200);
        works(text(&beside, "key"), 200);
        let last = desk.json(&["api-key", "secret", "rotate", id, "--overlap", "0"]);
        works(text(&key, "key"), 401);
        works(text(&last, "key"), 200);
        let listed = home.json(&["api-key", "secret", "list", id]);
        assert_eq!(listed["items"].as_array().unwrap().len(), 3, "{listed}");
        let refused = desk.run(&["api-key", "secret", "revoke", id, text(&last, "id")]);
        assert!(refused.status.code() == Some(1) && refused.stderr.contains("last live secret"), "{refused:?}");
        let next = desk.json(&["api-key", "secret", "create", id, "--expires-at", "2099-01-01T00:00:00Z"]);
        desk.json(&["api-key", "secret", "revoke", id, text(&last, "id")]);
        works(text(&last, "key"), 401);
        works(text(&next, "key"), 200);
        let report = desk.json(&["report", "secrets", "--expires-within-days", "30"]);
        assert!(report["items"].is_array(), "{report}");
        assert!(home.run(&["report", "secrets"]).stdout.starts_with("KIND"));
        let keys = desk.json(&["keys", "rotate", "--emergency", "--alg", "ES256"]);
        assert!(keys["items"].as_array().is_some_and(|items| !items.is_empty()), "{keys}");
    }

    fn what_is_only_tried_is_judged_and_not_done(home: Home) {
        let server = home.serve();
        let desk = desk(&server);
        home.json(&["client", "create", "--client-id", "svc", "--grant", "client_credentials"]);
        for place in [&home, &desk] {
            let tried = place.run(&["client", "create", "--client-id", "tried", "--grant", "client_credentials", "--dry-run"]);
            assert!(tried.status.success() && tried.stderr.contains("nothing was changed"), "{tried:?}");
            assert!(tried.stdout.contains("tried") && !tried.stdout.contains("gs_"), "{tried:?}");
            assert_eq!(place.json(&["client", "update", "svc", "--max-ttl", "60", "--dry-run"])["max_ttl"], 60);
            assert!(place.run(&["client", "delete", "svc", "--dry-run"]).stdout.contains("It would be done"));
            let refused = place.run(&["client", "update", "svc", "--access-token-ttl", "0", "--dry-run"]);
            assert!(refused.status.code() == Some(1) && refused.stderr.contains("access_token_ttl"), "{refused:?}");
        }
        assert_eq!(home.run(&["client", "show", "tried"]).status.code(), Some(1));
        assert_eq!(home.json(&["client", "show", "svc"])["max_ttl"], Value::Null);
        // Lists are narrowed and ordered where they lie.
        home.json(&["client", "create", "--client-id", "off", "--enabled", "false"]);
        let off = desk.json(&["client", "list", "--filter", "enabled=false"]);
        let names: Vec<&str> = off["items"].as_array().unwrap().iter().map(|client| text(client, "client_id")).collect();
        assert!(names.contains(&"off") && !names.contains(&"svc"), "{off}");
        let refused = desk.run(&["client", "list", "--filter", "nope=1"]);
        assert!(refused.status.code() == Some(1) && refused.stderr.contains("not known here"), "{refused:?}");
    }

    fn events_and_reasons_are_found(home: Home) {
        let server = home.serve();
        let desk = desk(&server);
        desk.json(&["client", "create", "--client-id", "svc", "--grant", "client_credentials"]);
        home.json(&["client", "update", "svc", "--name", "renamed"]);
        let listed = home.json(&["event", "list", "--action", "client.*", "--target", "svc"]);
        let actions: Vec<&str> = listed["items"].as_array().unwrap().iter().map(|event| text(event, "action")).collect();
        assert_eq!(actions, ["client.updated", "client.created"]);
        assert_eq!(desk.json(&["event", "show", text(&listed["items"][0], "id")]), listed["items"][0]);
        assert_eq!((&listed["items"][0]["actor"], &listed["items"][1]["actor"]), (&json!("cli"), &json!("env")));
        let exported = desk.run(&["event", "export", "--target", "svc"]).stdout;
        let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines, *listed["items"].as_array().unwrap());
        home.json(&["client", "update", "svc", "--enabled", "false"]);
        let refused = server.http.token("svc", "gs_nothing");
        let explained = desk.json(&["explain", refused.header("x-request-id").unwrap()]);
        assert_eq!(explained["outcome"], "refused", "{explained}");
        let said = desk.run(&["explain", refused.header("x-request-id").unwrap()]);
        assert!(said.status.success() && said.stdout.starts_with(text(&explained, "sentence")), "{said:?}");
        assert_eq!(desk.run(&["explain", "nothing"]).status.code(), Some(1));
    }

    fn scopes_roles_and_groups_are_configuration(home: Home) {
        let server = home.serve();
        let desk = desk(&server);
        desk.json(&["provider", "create", "acme"]);
        let at = |arguments: &[&str]| desk.json(&[arguments, &["--provider", "acme"]].concat());
        at(&["scope", "create", "orders:read", "--description", "Read orders"]);
        at(&["role", "create", "buyer"]);
        at(&["group", "create", "staff", "--role", "buyer", "--description", "Who works here"]);
        assert_eq!(at(&["group", "show", "staff"])["roles"], json!(["buyer"]));
        assert_eq!(at(&["scope", "update", "orders:read", "--description", "All orders"])["description"], "All orders");
        assert!(desk.run(&["scope", "list", "--provider", "acme"]).stdout.contains("offline_access"));
        let exported = desk.run(&["export", "--provider", "acme"]).stdout;
        for line in ["      - name: orders:read", "        description: All orders", "      - name: staff", "          - buyer"] {
            assert!(exported.lines().any(|own| own == line), "no {line} in {exported}");
        }
        assert!(!exported.contains("offline_access"), "{exported}");
        let other = Home::on(home.kind).migrated();
        let wanted = other.folder().join("wanted.yaml");
        std::fs::write(&wanted, &exported).unwrap();
        let wanted = wanted.display().to_string();
        let applied = other.run(&["apply", "-f", &wanted, "--yes"]);
        assert!(applied.status.success(), "{applied:?}");
        assert_eq!(other.run(&["export", "--provider", "acme"]).stdout, exported);
        assert!(other.run(&["apply", "-f", &wanted, "--yes", "--prune"]).stdout.contains("nothing to do"));
        at(&["group", "delete", "staff"]);
        assert_eq!(desk.run(&["group", "show", "staff", "--provider", "acme"]).status.code(), Some(1));
    }

    fn grants_are_found_by_person_and_ended(home: Home) {
        let server = home.serve();
        let desk = desk(&server);
        let password = home.folder().join("password");
        std::fs::write(&password, "correct horse battery staple").unwrap();
        home.json(&["user", "create", "ada", "--password-file", password.to_str().unwrap()]);
        let client = home.json(&["client", "create", "--client-id", "app", "--grant", "password", "--grant", "refresh_token", "--scope", "openid offline_access"]);
        let authorization = basic("app", text(&client, "client_secret"));
        let body = "grant_type=password&username=ada&password=correct+horse+battery+staple&scope=openid+offline_access";
        let token = server.http.form("/oauth2/token", Some(&authorization), body).expect(200);
        let listed = desk.json(&["grant", "list", "--user", "ada", "--client", "app"]);
        assert_eq!((listed["items"].as_array().unwrap().len(), &listed["items"][0]["client_id"]), (1, &json!("app")), "{listed}");
        assert!(home.run(&["session", "list", "--user", "ada"]).status.success());
        assert_eq!(desk.run(&["grant", "revoke"]).status.code(), Some(2), "all of everybody is not meant by accident");
        desk.json(&["grant", "revoke", "--user", "ada"]);
        let again = format!("grant_type=refresh_token&refresh_token={}", token.text_of("refresh_token"));
        server.http.form("/oauth2/token", Some(&authorization), &again).expect(400);
        assert_eq!(desk.json(&["grant", "list", "--user", "ada"])["items"], json!([]));
    }

    fn webhooks_are_made_changed_and_ended(home: Home) {
        let server = home.serve();
        let desk = desk(&server);
        desk.json(&["provider", "create", "acme"]);
        let made = desk.json(&["webhook", "create", "https://hooks.example/a", "--provider", "acme", "--event", "client.*"]);
        assert!(text(&made, "secret").starts_with("whsec_"), "{made}");
        let id = text(&made, "id");
        assert_eq!(home.json(&["webhook", "show", id])["events"], json!(["client.*"]));
        let changed = home.json(&["webhook", "update", id, "--event", "user.*", "--event", "client.*", "--enabled", "false"]);
        assert_eq!(changed["enabled"], false);
        assert!(text(&desk.json(&["webhook", "rotate-secret", id, "--overlap", "60"]), "secret").starts_with("whsec_"));
        assert!(desk.run(&["webhook", "deliveries", id, "--state", "dead"]).stdout.starts_with("ID"));
        // It is part of a provider's configuration, without its secret.
        let exported = desk.run(&["export", "--provider", "acme"]).stdout;
        assert!(exported.contains("- url: https://hooks.example/a") && !exported.contains("whsec"), "{exported}");
        let wanted = home.folder().join("wanted.yaml");
        std::fs::write(&wanted, exported.replace("hooks.example/a", "hooks.example/b")).unwrap();
        let wanted = wanted.display().to_string();
        let applied = desk.run(&["apply", "-f", &wanted, "--yes", "--prune"]);
        assert!(applied.stdout.contains("created: webhook acme/https://hooks.example/b"), "{applied:?}");
        assert!(applied.stdout.contains("whsec_") && applied.stdout.contains("deleted: webhook acme/https://hooks.example/a"), "{applied:?}");
        let left = desk.json(&["webhook", "list"]);
        assert_eq!(left["items"].as_array().unwrap().len(), 1, "{left}");
        desk.json(&["webhook", "delete", text(&left["items"][0], "id")]);
    }
}
