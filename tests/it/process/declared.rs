//! `export` and `apply`: configuration that lives in git.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::process::admin::Api;
use crate::support::databases::Kind;
use crate::support::jose::Signer;
use crate::support::process::{Home, Installed, OWNER, Ran, on_each};

fn file(home: &Home, name: &str, text: &str) -> String {
    let path = home.folder().join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[track_caller]
fn export(home: &Home, of: &[&str]) -> String {
    let ran = home.run(&[&["export"], of].concat());
    assert!(ran.status.success(), "{ran:?}");
    ran.stdout
}

#[track_caller]
fn apply(home: &Home, text: &str, flags: &[&str]) -> Ran {
    let path = file(home, "wanted.yaml", text);
    home.run(&[&["apply", "-f", &path], flags].concat())
}

#[track_caller]
fn applied(home: &Home, text: &str, flags: &[&str]) -> String {
    let ran = apply(home, text, &[flags, &["--yes"]].concat());
    assert!(ran.status.success(), "{ran:?}");
    ran.stdout
}

/// Every kind of client, and everything else that a file may hold.
fn furnish(home: &Home) {
    let signer = Signer::es256();
    let jwks = file(home, "jwks.json", &json!({"keys": [signer.jwk("k1")]}).to_string());
    home.json(&[
        "provider",
        "update",
        "default",
        "--name",
        "Main \"one\": yes",
        "--surface",
        "runai",
        "--access-token-ttl",
        "600",
    ]);
    home.json(&[
        "provider",
        "create",
        "acme",
        "--description",
        "a: \"b\" #c",
        "--signing-alg",
        "EdDSA",
        "--default-audience",
        "https://api.acme.example",
        "--strict-scopes",
        "false",
    ]);
    let at = ["--provider", "acme"];
    let client = |flags: &[&str]| home.json(&[&["client", "create"], &at[..], flags].concat());
    client(&[
        "--client-id",
        "svc",
        "--grant",
        "client_credentials",
        "--scope",
        "orders:read orders:write",
        "--audience",
        "https://b.example",
        "--audience",
        "https://a.example",
    ]);
    // A generated id and a subject of its own.
    client(&[
        "--name",
        "generated",
        "--grant",
        "client_credentials",
        "--access-token-format",
        "opaque",
        "--max-ttl",
        "60",
        "--enabled",
        "false",
    ]);
    client(&["--client-id", "with-subject", "--subject", "user|7", "--may-mint", "true", "--may-set-subject", "true"]);
    client(&[
        "--client-id",
        "spa",
        "--name",
        "日本 spa",
        "--auth-method",
        "none",
        "--grant",
        "authorization_code",
        "--grant",
        "refresh_token",
        "--redirect-uri",
        "https://spa.example/cb?x=y",
        "--redirect-uri",
        "https://spa.example/two",
        "--scope",
        "openid email",
        "--refresh-rotation",
        "always",
    ]);
    client(&[
        "--client-id",
        "portal",
        "--grant",
        "authorization_code",
        "--grant",
        "refresh_token",
        "--grant",
        "password",
        "--redirect-uri",
        "https://portal.example/cb",
        "--post-logout-redirect-uri",
        "https://portal.example/bye",
        "--backchannel-logout-uri",
        "https://portal.example/out",
        "--require-consent",
        "true",
        "--refresh-grace",
        "30",
        "--refresh-token-ttl",
        "86400",
    ]);
    client(&[
        "--client-id",
        "asserting",
        "--auth-method",
        "private_key_jwt",
        "--auth-signing-alg",
        "ES256",
        "--jwks",
        &jwks,
    ]);
    client(&[
        "--client-id",
        "asserting-by-url",
        "--auth-method",
        "private_key_jwt",
        "--jwks-uri",
        "https://keys.example/jwks",
    ]);
    client(&[
        "--client-id",
        "resource",
        "--resource-server",
        "true",
        "--resource",
        "https://a.example",
        "--grant",
        "client_credentials",
    ]);
    client(&[
        "--client-id",
        "native",
        "--auth-method",
        "none",
        "--application-type",
        "native",
        "--grant",
        "authorization_code",
        "--redirect-uri",
        "com.example.app:/cb",
    ]);
    let trust = |flags: &[&str]| home.json(&[&["trust", "create"], &at[..], flags].concat());
    trust(&[
        "--issuer",
        "https://idp.example",
        "--accepted-audience",
        "https://grantd.example",
        "--client",
        "svc",
        "--jwks",
        &jwks,
        "--condition",
        "groups like dev-*",
        "--condition",
        "org in a,b",
        "--provision",
        "jit",
    ]);
    // Two of one issuer, told apart by what they ask for.
    trust(&["--issuer", "https://two.example", "--accepted-audience", "a", "--client", "spa", "--max-ttl", "60"]);
    trust(&["--issuer", "https://two.example", "--accepted-audience", "b", "--client", "svc", "--discovery"]);
    home.json(&["domain", "create", "--provider", "acme", "id.acme.example"]);
}

on_each! {
    fn what_was_exported_makes_the_same_again_on_an_empty_server(home: Installed) {
        furnish(&home);
        let exported = export(&home, &["--all"]);
        assert!(!exported.contains("gs_") && !exported.contains("client_secret:"), "{exported}");
        let server = home.serve();
        let other = Home::on(home.kind).with("GRANTD_PUBLIC_URL", "http://localhost:5656").migrated();
        let made = applied(&other, &exported, &[]);
        assert!(made.contains("created: client acme/svc") && made.contains("its secret, shown this once: gs_"), "{made}");
        assert_eq!(export(&other, &["--all"]), exported);
        // And there is nothing left to do, on either.
        assert!(applied(&other, &exported, &[]).contains("There is nothing to do."));
        assert!(applied(&other, &exported, &["--prune"]).contains("There is nothing to do."));
        let id = exported.lines().find_map(|line| line.strip_prefix("      - client_id: ")).unwrap().trim_matches('"');
        assert_eq!(other.json(&["client", "show", "--provider", "acme", id])["client_id"], id);
        // At a server it is the same file.
        let desk = Home::bare(Kind::Sqlite).with("GRANTD_SERVER", &server.http.base).with("GRANTD_KEY", OWNER);
        assert_eq!(export(&desk, &["--all"]), exported);
        assert!(applied(&desk, &exported, &["--prune"]).contains("There is nothing to do."));
        // JSON is YAML.
        let as_json = desk.run(&["export", "--all", "--json"]).stdout;
        assert!(applied(&desk, &as_json, &[]).contains("There is nothing to do."));
    }

    fn what_is_not_named_is_at_its_default(home: Installed) {
        // If a default of the server's changes and the table of defaults does not, this file grows.
        let bare = "version: 1\nproviders:\n  - slug: acme\n    clients:\n      - client_id: svc\n    trusted_issuers:\n      \
                    - issuer: https://idp.example\n        audiences:\n          - https://grantd.example\n    domains:\n      - domain: id.acme.example\n";
        applied(&home, bare, &[]);
        let exported = export(&home, &["--provider", "acme"]);
        let own: Vec<&str> = exported.lines().filter(|line| !line.starts_with('#') && !line.ends_with(": []")).collect();
        let wanted: Vec<&str> = bare.lines().filter(|line| !line.contains("purpose")).collect();
        let own: Vec<&str> = own.into_iter().filter(|line| !line.contains("purpose: exchange")).collect();
        assert_eq!(own, wanted, "{exported}");
        // And what somebody has set by hand goes back to it.
        home.json(&["client", "update", "--provider", "acme", "svc", "--max-ttl", "60", "--require-consent", "true", "--scope", "x", "--name", "n"]);
        home.json(&["provider", "update", "acme", "--max-ttl", "7200", "--access-token-ttl", "60", "--default-audience", "https://x.example"]);
        let plan = apply(&home, bare, &["--dry-run"]);
        assert!(plan.status.success(), "{plan:?}");
        for line in ["~ provider acme", "    max_ttl: 7200 -> 1209600", "~ client acme/svc", "    max_ttl: 60 -> –", "    require_consent: true -> false"] {
            assert!(plan.stdout.contains(line), "no {line} in {}", plan.stdout);
        }
        assert_eq!(home.json(&["client", "show", "--provider", "acme", "svc"])["max_ttl"], 60, "a dry run changes nothing");
        applied(&home, bare, &[]);
        assert_eq!(export(&home, &["--provider", "acme"]), exported.replace("    scopes: []", "    scopes:\n      - name: x"));
    }

    fn no_field_that_can_be_set_is_lost(home: Installed) {
        furnish(&home);
        let exported: Value = home.json(&["export", "--provider", "acme"]);
        let provider = &exported["providers"][0];
        // What the server makes itself, and what stands in the file as something else.
        let made = ["id", "created_at", "updated_at", "surface", "tenant", "issuer", "verified", "primary", "dns_record", "verified_at"];
        let names = |item: &Value| -> BTreeSet<String> {
            item.as_object().unwrap().keys().filter(|name| !made.contains(&name.as_str())).cloned().collect()
        };
        let unknown = |text: &str| {
            let ran = apply(&home, text, &["--dry-run"]);
            assert!(!ran.stderr.contains("is no field of"), "{ran:?}");
        };
        for (list, section) in [("client", "clients"), ("trust", "trusted_issuers"), ("domain", "domains")] {
            let items = home.json(&[list, "list", "--provider", "acme"])["items"].clone();
            let all: BTreeSet<String> = items.as_array().unwrap().iter().flat_map(names).collect();
            assert!(!all.is_empty() && provider[section].as_array().is_some_and(|items| !items.is_empty()), "{exported}");
            let members: Vec<String> = all.iter().map(|name| format!("{name}: null")).collect();
            unknown(&format!("version: 1\nproviders:\n  - slug: acme\n    {section}:\n      - {{{}}}\n", members.join(", ")));
        }
        let members: Vec<String> = names(&home.json(&["provider", "show", "acme"])).iter().map(|name| format!("{name}: null")).collect();
        unknown(&format!("version: 1\nproviders:\n  - {{{}}}\n", members.join(", ")));
    }

    fn a_plan_is_shown_and_done_once_it_is_agreed_to(home: Installed) {
        let text = "version: 1\nproviders:\n  - slug: acme\n    clients:\n      - client_id: a\n        scope: x y\n      - client_id: b\n        token_endpoint_auth_method: none\n        grant_types: [authorization_code]\n        redirect_uris: [\"https://b.example/cb\"]\n";
        let asked = apply(&home, text, &[]);
        assert_eq!(asked.status.code(), Some(2), "{asked:?}");
        assert!(asked.stdout.contains("+ client acme/a") && asked.stdout.contains("3 to create, 0 to change, 0 to delete."), "{asked:?}");
        assert!(asked.stderr.contains("--yes"), "{asked:?}");
        assert_eq!(home.json(&["provider", "list"])["items"].as_array().unwrap().len(), 1);
        let secrets = home.folder().join("secrets");
        let done = applied(&home, text, &["--secrets-file", secrets.to_str().unwrap()]);
        assert!(!done.contains("gs_") && done.contains("All 3 done."), "{done}");
        assert_eq!(fs::metadata(&secrets).unwrap().permissions().mode() & 0o777, 0o600);
        let made: Value = serde_json::from_str(fs::read_to_string(&secrets).unwrap().trim()).unwrap();
        assert_eq!((&made["name"], &made["provider"]), (&json!("a"), &json!("acme")));
        home.serve().http.token_at("/p/acme", "a", made["secret"].as_str().unwrap()).expect(200);
        // A second time there is nothing to do; another order of words is no change.
        let again = text.replace("x y", "y x");
        assert!(applied(&home, &again, &["--secrets-file", "not-made"]).contains("There is nothing to do."));
        assert!(!home.folder().join("not-made").exists());
        // What went out of the file stays, unless --prune says otherwise.
        let fewer = "version: 1\nproviders:\n  - slug: acme\n    clients:\n      - client_id: a\n        scope: x y\n";
        assert!(applied(&home, fewer, &[]).contains("There is nothing to do."));
        let pruned = applied(&home, fewer, &["--prune"]);
        assert!(pruned.contains("- client acme/b") && pruned.contains("deleted: client acme/b"), "{pruned}");
        // A section that the file does not have is left alone.
        assert!(applied(&home, "version: 1\nproviders:\n  - slug: acme\n", &["--prune"]).contains("There is nothing to do."));
        let listed = home.json(&["client", "list", "--provider", "acme"]);
        assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    }

    fn for_scripts_the_plan_the_secrets_and_the_error_are_json(home: Installed) {
        let text = "version: 1\nproviders:\n  - slug: acme\n    clients:\n      - client_id: a\n      - client_id: bad\n        grant_types: [implicit]\n      - client_id: c\n";
        let ran = apply(&home, text, &["--json", "--yes", "--secrets-file", "first"]);
        assert_eq!(ran.status.code(), Some(1), "{ran:?}");
        let said: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        assert_eq!((said["plan"].as_array().unwrap().len(), &said["done"]), (4, &json!(2)), "{said}");
        assert!(fs::read_to_string(home.folder().join("first")).unwrap().contains("\"secret\":\"gs_"));
        assert!(said["error"].as_str().is_some_and(|text| text.contains("grant_types")), "{said}");
        assert!(ran.stderr.contains("2 of 4 were done; it ended at client acme/bad"), "{ran:?}");
        // What was done stays, and mended it goes on from there.
        let mended = apply(&home, &text.replace("implicit", "client_credentials"), &["--json", "--yes", "--secrets-file", "second"]);
        let said: Value = serde_json::from_str(&mended.stdout).unwrap();
        assert_eq!((said["plan"].as_array().unwrap().len(), &said["done"], &said["error"]), (2, &json!(2), &Value::Null), "{said}");
        let planned = apply(&home, "version: 1\nproviders:\n  - slug: other\n", &["--json", "--dry-run"]);
        let said: Value = serde_json::from_str(&planned.stdout).unwrap();
        assert_eq!((&said["plan"][0]["action"], &said["dry_run"], &said["done"]), (&json!("create"), &json!(true), &json!(0)));
        home.json(&["provider", "list"]);
        assert_eq!(home.run(&["provider", "show", "other"]).status.code(), Some(1));
    }

    fn a_bound_key_moves_its_own_provider_and_no_other(home: Home) {
        let server = home.serve();
        let api = Api::of(&home, &server);
        api.post("/providers", &json!({"slug": "acme"})).expect(201);
        let (_, key) = api.new_key(&json!({"role": "admin", "provider": "acme"}));
        let desk = Home::bare(Kind::Sqlite).with("GRANTD_SERVER", &server.http.base).with("GRANTD_KEY", &key);
        let text = "version: 1\nproviders:\n  - slug: acme\n    name: ours\n    clients:\n      - client_id: a\n";
        applied(&desk, text, &[]);
        assert!(export(&desk, &["--all"]).contains("client_id: a"));
        let ran = apply(&desk, "version: 1\nproviders:\n  - slug: default\n", &["--yes"]);
        assert_eq!(ran.status.code(), Some(1), "{ran:?}");
        // A generated id belongs to whoever made it: only an unbound key may bring one along.
        let moved = "version: 1\nproviders:\n  - slug: acme\n    clients:\n      - client_id: 497f6eca-6276-4993-bfeb-53cbbbba6f08\n";
        let ran = apply(&desk, moved, &["--yes"]);
        assert!(ran.status.code() == Some(1) && ran.stderr.contains("bound to no provider"), "{ran:?}");
        applied(&home, moved, &[]);
        // A name that was used is used, kept or not.
        home.json(&["client", "delete", "--provider", "acme", "497f6eca-6276-4993-bfeb-53cbbbba6f08"]);
        let ran = apply(&home, moved, &["--yes"]);
        assert!(ran.status.code() == Some(1) && ran.stderr.contains("in use"), "{ran:?}");
    }
}

#[test]
fn what_a_file_cannot_mean_is_told_with_its_line_before_anything_is_done() {
    let home = Home::on(Kind::Sqlite).migrated();
    let text = "version: 1\nproviders:\n  - slug: acme\n    clients:\n      - client_id: a\n        scop: x\n      - client_id: b\n        client_secret: hidden\n";
    let ran = apply(&home, text, &["--yes"]);
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    assert!(
        ran.stderr.contains("line 6: `scop` is no field of a client") && ran.stderr.contains("line 8: `client_secret`"),
        "{ran:?}"
    );
    assert!(!ran.stderr.contains("hidden"), "{ran:?}");
    let ran = apply(&home, "version: 1\nproviders: [\n", &["--yes"]);
    assert!(ran.status.code() == Some(1) && ran.stderr.contains("line "), "{ran:?}");
    assert_eq!(home.json(&["provider", "list"])["items"].as_array().unwrap().len(), 1);
    // A subject cannot be changed: that is known before the first step.
    applied(&home, "version: 1\nproviders:\n  - slug: acme\n    clients:\n      - client_id: a\n", &[]);
    let ran = apply(
        &home,
        "version: 1\nproviders:\n  - slug: acme\n    name: other\n    clients:\n      - client_id: a\n        subject: s\n",
        &["--yes"],
    );
    assert!(ran.status.code() == Some(1) && ran.stderr.contains("line 7: subject of the client a"), "{ran:?}");
    assert_eq!(home.json(&["provider", "show", "acme"])["name"], "acme");
}

/// A server on which a provider is changed by somebody else after every reading of it. What came in.
fn restless() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&seen);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while reader.read_line(&mut head).unwrap_or(0) > 2 {}
            let is_change = head.starts_with("PATCH") && !head.contains("dry_run");
            heads.lock().unwrap().push(head);
            let (status, body) = if is_change {
                ("412 x", json!({"detail": "It was changed meanwhile; read it again.", "request_id": "r"}))
            } else {
                ("200 OK", json!({"slug": "acme", "name": "old", "enabled": true}))
            };
            let body = body.to_string();
            let head =
                format!("HTTP/1.1 {status}\r\netag: \"7\"\r\nconnection: close\r\ncontent-length: {}", body.len());
            let _ = stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes());
        }
    });
    (base, seen)
}

#[test]
fn what_somebody_changed_since_the_plan_is_not_overwritten() {
    let (base, seen) = restless();
    let desk = Home::bare(Kind::Sqlite).with("GRANTD_SERVER", &base).with("GRANTD_KEY", OWNER);
    let ran = apply(&desk, "version: 1\nproviders:\n  - slug: acme\n    name: new\n", &["--yes"]);
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    assert!(ran.stderr.contains("changed meanwhile") && ran.stderr.contains("0 of 1 were done"), "{ran:?}");
    let heads = seen.lock().unwrap();
    assert!(heads.last().is_some_and(|head| head.contains("if-match: \"7\"")), "{heads:?}");
}

#[test]
fn what_the_first_start_made_ends_only_when_it_is_asked_for() {
    let home = Home::bare(Kind::Sqlite).migrated();
    let exported = export(&Home::on(Kind::Sqlite).migrated(), &[]);
    assert!(exported.contains("client_id: runai") && !exported.contains("first-service"), "{exported}");
    let done = applied(&home, &exported, &[]);
    assert!(done.contains("There is nothing to do."), "{done}");
    let done = applied(&home, &exported, &["--prune"]);
    assert!(done.contains("1 to delete"), "{done}");
    assert_eq!(export(&home, &[]), exported);
    // From standard input nobody can be asked.
    let mut command = home.command(&["apply", "-f", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"version: 1\nproviders:\n  - slug: x\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
