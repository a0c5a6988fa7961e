//! What `export` makes of what a server has, and `apply` of what it finds again there.

use std::fs;

use serde_json::{Value, json};

use crate::support::databases::Kind;
use crate::support::origin::{Origin, Reply};
use crate::support::process::{Home, Installed, OWNER, Ran, on_each};

fn desk(base: &str) -> Home {
    Home::bare(Kind::Sqlite).with("GRANTD_SERVER", base).with("GRANTD_KEY", OWNER)
}

fn refusal(status: u16, detail: &str) -> Reply {
    Reply { status, ..Reply::json(json!({"status": status, "detail": detail, "request_id": "r-1"})) }
}

fn page(items: Value) -> Reply {
    Reply::json(json!({"items": items, "next_cursor": null}))
}

/// Two providers, in no order; what is not configuration stands among the rest.
fn furnished(path: &str) -> Reply {
    let list = path.split('?').next().unwrap_or_default().trim_start_matches("/admin/v1/");
    match list {
        "providers" => page(json!([{"slug": "b", "name": "b"}, {"slug": "a", "name": "a"}])),
        "providers/a/scopes" => page(json!([{"name": "y"}, {"name": "openid", "built_in": true}, {"name": "x"}])),
        "providers/a/clients" => page(json!([
            {"client_id": "svc", "client_name": "svc", "subject": "svc", "grant_types": ["client_credentials"]},
            {"client_id": "app", "client_name": "app", "subject": "app", "grant_types": ["client_credentials"], "surface": "runai"},
            {"client_id": "runai", "client_name": "runai", "subject": "runai", "grant_types": ["client_credentials"], "surface": "runai"},
        ])),
        "providers/a/trusted-issuers" => page(json!([
            {"id": "2", "issuer": "https://t.example", "purpose": "validate", "tenant": "t"},
            {"id": "1", "issuer": "https://i.example", "purpose": "validate"},
        ])),
        "webhooks" => page(json!([
            {"id": "1", "url": "https://all.example", "provider": null}, {"id": "2", "url": "https://b.example", "provider": "b"},
            {"id": "3", "url": "https://a.example", "provider": "a"},
        ])),
        // Of an earlier release, it knows no roles.
        "providers/a/roles" | "providers/b/roles" => refusal(404, "There is nothing at this path."),
        _ => page(json!([])),
    }
}

fn exported(home: &Home) -> Value {
    home.json(&["export", "--all"])
}

fn names(items: &Value, by: &str) -> Vec<String> {
    items.as_array().unwrap().iter().map(|item| item[by].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_configured_is_exported_in_one_order_and_nothing_else() {
    let origin = Origin::answering(|asked| furnished(&asked.path));
    let document = exported(&desk(&origin.base));
    assert_eq!(names(&document["providers"], "slug"), ["a", "b"]);
    let (a, b) = (&document["providers"][0], &document["providers"][1]);
    assert_eq!(names(&a["scopes"], "name"), ["x", "y"]);
    assert_eq!(names(&a["clients"], "client_id"), ["runai", "svc"]);
    assert_eq!(names(&a["trusted_issuers"], "issuer"), ["https://i.example"]);
    assert_eq!(names(&a["webhooks"], "url"), ["https://a.example"]);
    assert_eq!(names(&b["webhooks"], "url"), ["https://b.example"]);
    assert_eq!(names(&document["webhooks"], "url"), ["https://all.example"]);
    // That there is none is said; that it cannot be known is not.
    assert_eq!((&b["clients"], b.get("roles")), (&json!([]), None));
    // Whoever sees no webhooks of the installation does not say that there are to be none.
    let origin = Origin::answering(|asked| match asked.path.contains("/webhooks") {
        true => page(json!([])),
        false => furnished(&asked.path),
    });
    assert_eq!(exported(&desk(&origin.base)).get("webhooks"), None);
}

#[test]
fn what_is_on_the_second_page_is_exported_too() {
    let origin = Origin::answering(|asked| {
        let client = |number: usize| json!({"client_id": format!("c{number:03}")});
        match (asked.path.contains("/clients?"), asked.path.contains("cursor=next")) {
            (true, false) => {
                Reply::json(json!({"items": (0..500).map(client).collect::<Vec<_>>(), "next_cursor": "next"}))
            }
            (true, true) => page(json!([client(500)])),
            _ if asked.path.ends_with("/providers/a") => Reply::json(json!({"slug": "a", "name": "a"})),
            _ => page(json!([])),
        }
    });
    let document = desk(&origin.base).json(&["export", "--provider", "a"]);
    let clients = names(&document["providers"][0]["clients"], "client_id");
    assert_eq!((clients.len(), clients[500].as_str()), (501, "c500"));
}

#[test]
fn a_path_that_is_not_there_is_no_provider_that_is_not_there() {
    let told = |reply: Reply| -> Vec<Ran> {
        let origin = Origin::always(reply);
        let desk = desk(&origin.base);
        fs::write(desk.folder().join("wanted.yaml"), "version: 1\nproviders:\n  - slug: a\n").unwrap();
        let ran = [&["export", "--provider", "a"][..], &["apply", "-f", "wanted.yaml", "--dry-run"]]
            .map(|words| desk.run(words));
        assert!(origin.asked().iter().all(|asked| asked.method == "GET" || asked.path.contains("dry_run=true")));
        ran.into()
    };
    for ran in told(Reply::status(404)) {
        assert!(ran.status.code() == Some(1) && ran.stderr.contains("no admin API"), "{ran:?}");
        assert!(!ran.stdout.contains("+ provider"), "{ran:?}");
    }
    let ours = told(refusal(404, "There is no such provider."));
    assert!(ours[0].stderr.contains("There is no provider a."), "{ours:?}");
    assert!(ours[1].stdout.contains("+ provider a"), "{ours:?}");
}

#[test]
fn a_plan_that_its_reader_has_left_is_not_done_quietly() {
    let home = Home::on(Kind::Sqlite).migrated();
    fs::write(home.folder().join("wanted.yaml"), "version: 1\nproviders:\n  - slug: acme\n").unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = home.command(&["apply", "-f", "wanted.yaml", "--yes"]).stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write to standard output"), "{output:?}");
    assert_eq!(home.run(&["provider", "show", "acme"]).status.code(), Some(1));
}

#[test]
fn what_ends_is_the_version_that_was_planned() {
    let origin = Origin::answering(|asked| match (asked.method.as_str(), asked.path.split('?').next().unwrap()) {
        ("DELETE", _) => Reply::status(204),
        (_, "/admin/v1/providers/a") => Reply::json(json!({"slug": "a", "name": "a"})),
        (_, "/admin/v1/providers/a/roles") => page(json!([{"name": "gone"}])),
        (_, "/admin/v1/providers/a/roles/gone") => Reply::json(json!({"name": "gone"})).with("etag", "\"7\""),
        _ => Reply::json(json!({"slug": "a"})),
    });
    let desk = desk(&origin.base);
    fs::write(desk.folder().join("wanted.yaml"), "version: 1\nproviders:\n  - slug: a\n    roles: []\n").unwrap();
    let ran = desk.run(&["apply", "-f", "wanted.yaml", "--yes", "--prune"]);
    assert!(ran.stdout.contains("deleted: role a/gone"), "{ran:?}");
    let asked = origin.asked();
    let ends: Vec<_> = asked.iter().filter(|asked| asked.method == "DELETE").collect();
    // What lies below a provider that changes is not tried before.
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].header("if-match"), Some("\"7\""));
}

#[test]
fn for_scripts_the_secret_of_a_webhook_is_a_secret_too() {
    let home = Home::on(Kind::Sqlite).migrated();
    let text = "version: 1\nproviders:\n  - slug: acme\n    webhooks:\n      - url: https://hooks.example/a\n        events: [client.*]\n";
    fs::write(home.folder().join("wanted.yaml"), text).unwrap();
    let apply = |flags: &[&str]| home.run(&[&["apply", "-f", "wanted.yaml", "--yes", "--json"], flags].concat());
    let refused = apply(&[]);
    assert!(refused.status.code() == Some(2) && refused.stderr.contains("--secrets-file"), "{refused:?}");
    assert_eq!(home.json(&["webhook", "list"])["items"], json!([]));
    let done = apply(&["--secrets-file", "secrets"]);
    assert!(done.status.success() && !done.stdout.contains("whsec_"), "{done:?}");
    assert!(fs::read_to_string(home.folder().join("secrets")).unwrap().contains("\"secret\":\"whsec_"));
}

#[test]
fn a_change_that_would_be_refused_is_told_before_anything_is_done() {
    let home = Home::on(Kind::Sqlite).migrated();
    home.json(&["client", "create", "--client-id", "z", "--name", "z"]);
    let text = "version: 1\nproviders:\n  - slug: default\n    clients:\n      - client_id: a\n      - client_id: z\n        max_ttl: 0\n";
    fs::write(home.folder().join("wanted.yaml"), text).unwrap();
    let ran = home.run(&["apply", "-f", "wanted.yaml", "--yes"]);
    assert!(ran.status.code() == Some(1) && ran.stderr.contains("line 7: max_ttl"), "{ran:?}");
    assert_eq!(names(&home.json(&["client", "list"])["items"], "client_id"), ["runai", "z"]);
}

#[test]
fn the_client_of_a_surface_stays_although_it_is_not_named() {
    let home = Home::on(Kind::Sqlite).migrated();
    home.json(&["client", "create", "--client-id", "svc"]);
    fs::write(home.folder().join("wanted.yaml"), "version: 1\nproviders:\n  - slug: default\n    clients: []\n")
        .unwrap();
    let ran = home.run(&["apply", "-f", "wanted.yaml", "--yes", "--prune"]);
    assert!(ran.status.success() && ran.stdout.contains("All 1 done."), "{ran:?}");
    assert_eq!(names(&home.json(&["client", "list"])["items"], "client_id"), ["runai"]);
}

on_each! {
    fn what_ends_goes_before_what_it_needs(home: Installed) {
        let text = "version: 1\nproviders:\n  - slug: acme\n    strict_scopes: true\n    scopes:\n      - name: read\n    roles:\n      - name: buyer\n    \
                    groups:\n      - name: staff\n        roles: [buyer]\n    clients:\n      - client_id: svc\n        scope: read\n    trusted_issuers:\n      \
                    - issuer: https://idp.example\n        audiences: [a]\n        clients: [svc]\n";
        let apply = |text: &str| {
            fs::write(home.folder().join("wanted.yaml"), text).unwrap();
            home.run(&["apply", "-f", "wanted.yaml", "--yes", "--prune"])
        };
        assert!(apply(text).stdout.contains("All 6 done."));
        let none = "version: 1\nproviders:\n  - slug: acme\n    strict_scopes: true\n    scopes: []\n    roles: []\n    groups: []\n    clients: []\n    \
                    trusted_issuers: []\n";
        let ran = apply(none);
        let ended: Vec<_> = ran.stdout.lines().filter_map(|line| line.strip_prefix("deleted: ")).collect();
        let order = ["trusted issuer acme/https://idp.example exchange", "client acme/svc", "group acme/staff", "role acme/buyer", "scope acme/read"];
        assert_eq!(ended, order, "{ran:?}");
    }

    fn what_is_said_in_other_words_is_no_change(home: Installed) {
        let text = "version: 1\nproviders:\n  - slug: acme\n    description: \"\"\n    surfaces: [runai, runai]\n    clients:\n      - client_id: svc\n        \
                    scope: \"\"\n        grant_types: [refresh_token, client_credentials]\n      - client_id: b\n        subject: null\n    trusted_issuers:\n      \
                    - issuer: https://idp.example\n        audiences: [a]\n        algorithms: [EdDSA, ES256, RS256]\n        clients: [svc, b]\n        \
                    conditions:\n          - {claim: level, operator: equals, value: 7}\n          - {claim: ok, operator: in, value: [true, 1.5, x]}\n";
        let apply = |text: &str| {
            fs::write(home.folder().join("wanted.yaml"), text).unwrap();
            home.run(&["apply", "-f", "wanted.yaml", "--yes", "--prune"])
        };
        let first = apply(text);
        assert!(first.status.success(), "{first:?}");
        let second = apply(text);
        assert!(second.status.success() && second.stdout.contains("There is nothing to do."), "{second:?}");
        let described = apply(&text.replace("description: \"\"", "description: d"));
        let undescribed = apply(text);
        assert!(described.stdout.contains("All 1 done.") && undescribed.stdout.contains("All 1 done."), "{undescribed:?}");
    }

    fn of_two_that_are_called_alike_each_is_found_again(home: Installed) {
        let text = "version: 1\nproviders:\n  - slug: acme\n    clients:\n      - client_id: svc\n    trusted_issuers:\n      \
                    - issuer: https://idp.example\n        audiences: [a]\n      - issuer: https://idp.example\n        audiences: [b]\n        max_ttl: 60\n    \
                    webhooks:\n      - url: https://hooks.example/a\n        events: [client.*]\n      - url: https://hooks.example/a\n        events: [user.*]\n";
        let apply = |text: &str| {
            fs::write(home.folder().join("wanted.yaml"), text).unwrap();
            home.run(&["apply", "-f", "wanted.yaml", "--yes", "--prune"])
        };
        assert!(apply(text).stdout.contains("All 6 done."));
        assert!(apply(text).stdout.contains("There is nothing to do."));
        // In the other order it is the same.
        let turned = "version: 1\nproviders:\n  - slug: acme\n    trusted_issuers:\n      - issuer: https://idp.example\n        audiences: [b]\n        \
                      max_ttl: 60\n      - issuer: https://idp.example\n        audiences: [a]\n    webhooks:\n      - url: https://hooks.example/a\n        \
                      events: [user.*]\n      - url: https://hooks.example/a\n        events: [client.*]\n";
        let ran = apply(turned);
        assert!(ran.stdout.contains("There is nothing to do."), "{ran:?}");
    }
}
