//! `apply` where something is wrong, odd, or cut short.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::admin::Api;
use crate::support::databases::Kind;
use crate::support::process::{Home, OWNER, Ran, until};

fn apply(home: &Home, text: &str, flags: &[&str]) -> Ran {
    let path = home.folder().join("wanted.yaml");
    fs::write(&path, text).unwrap();
    home.run(&[&["apply", "-f", "wanted.yaml"], flags].concat())
}

#[track_caller]
fn applied(home: &Home, text: &str, flags: &[&str]) -> String {
    let ran = apply(home, text, &[flags, &["--yes"]].concat());
    assert!(ran.status.success(), "{ran:?}");
    ran.stdout
}

/// Refused with these words, and no event of anything that was done.
#[track_caller]
fn refused(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.status.code(), Some(code), "{ran:?}");
    for word in words {
        assert!(ran.stderr.contains(word), "no {word} in {ran:?}");
    }
}

fn clients(home: &Home, provider: &str) -> Vec<String> {
    let listed = home.json(&["client", "list", "--provider", provider]);
    let id = |client: &Value| client["client_id"].as_str().unwrap().to_owned();
    listed["items"].as_array().unwrap().iter().map(id).collect()
}

#[test]
fn a_client_that_is_called_as_a_scope_ends_as_any_other() {
    let home = Home::on(Kind::Sqlite).migrated();
    let both = "version: 1\nproviders:\n  - slug: acme\n    roles:\n      - name: orders\n    groups:\n      - name: orders\n    scopes: []\n    \
                clients:\n      - client_id: shop\n        scope: orders\n      - client_id: orders\n";
    applied(&home, both, &[]);
    let fewer = "version: 1\nproviders:\n  - slug: acme\n    roles: []\n    groups: []\n    scopes: []\n    clients:\n      \
                 - client_id: shop\n        scope: orders\n";
    let done = applied(&home, fewer, &["--prune"]);
    for ended in ["deleted: client acme/orders", "deleted: role acme/orders", "deleted: group acme/orders"] {
        assert!(done.contains(ended), "no {ended} in {done}");
    }
    assert_eq!(clients(&home, "acme"), ["shop"]);
    assert!(applied(&home, fewer, &["--prune"]).contains("There is nothing to do."));
}

#[test]
fn roles_that_groups_of_the_file_have_stay() {
    let home = Home::on(Kind::Sqlite).migrated();
    let text = "version: 1\nproviders:\n  - slug: acme\n    roles: []\n    groups:\n      - name: staff\n        roles: [auditor]\n";
    applied(&home, text, &[]);
    assert!(applied(&home, text, &["--prune"]).contains("There is nothing to do."));
    let without = text.replace("[auditor]", "[]");
    assert!(applied(&home, &without, &["--prune"]).contains("deleted: role acme/auditor"));
}

#[test]
fn what_the_server_would_refuse_is_told_with_its_line_before_anything_is_done() {
    let home = Home::on(Kind::Sqlite).migrated();
    home.json(&["provider", "create", "acme"]);
    let text = "version: 1\nproviders:\n  - slug: acme\n    scopes:\n      - name: new\n    clients:\n      - client_id: good\n        \
                scope: new\n      - client_id: bad id !\n      - client_id: other\n        access_token_ttl: 0\n        grant_types: [implicit]\n    \
                trusted_issuers:\n      - issuer: https://idp.example\n        clients: [nobody, good]\n        audiences: [a]\n";
    let words = [
        "wanted.yaml:\n",
        "line 9: client_id",
        "line 11: access_token_ttl",
        "line 12: grant_types",
        "(client acme/other)",
        "line 15: clients/0 nobody is no client of this provider",
    ];
    for flags in [&["--dry-run"][..], &["--yes"], &["--yes", "--prune"]] {
        refused(&apply(&home, text, flags), 1, &words);
        assert_eq!(clients(&home, "acme"), [""; 0]);
    }
    let ran = apply(&home, text, &["--dry-run", "--json"]);
    let said: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    assert!(said["error"].as_str().is_some_and(|text| text.contains("line 9")), "{said}");
    // Values of the wrong sort are seen in the file itself.
    let sorts = text.replace("access_token_ttl: 0", "access_token_ttl: soon").replace("scope: new", "enabled: \"yes\"");
    refused(&apply(&home, &sorts, &["--dry-run"]), 1, &["line 8: `enabled`", "line 11: `access_token_ttl`"]);
    // What waits for the provider has its line when its turn comes.
    let fresh = "version: 1\nproviders:\n  - slug: fresh\n    clients:\n      - client_id: x\n        max_ttl: 0\n";
    refused(&apply(&home, fresh, &["--yes"]), 1, &["1 of 2 were done", "line 6: max_ttl"]);
    // And a plan that is sound is done as it stands.
    let sound = "version: 1\nproviders:\n  - slug: acme\n    scopes:\n      - name: new\n    clients:\n      - client_id: good\n        \
                 scope: new\n    trusted_issuers:\n      - issuer: https://idp.example\n        clients: [good]\n        audiences: [a]\n";
    assert!(apply(&home, sound, &["--dry-run"]).status.success());
    assert!(applied(&home, sound, &[]).contains("All 3 done."));
}

#[test]
fn webhooks_of_the_installation_are_no_bound_keys() {
    let home = Home::on(Kind::Sqlite).migrated();
    let server = home.serve();
    let api = Api::of(&home, &server);
    api.post("/providers", &json!({"slug": "acme"})).expect(201);
    let (_, key) = api.new_key(&json!({"role": "admin", "provider": "acme"}));
    let desk = Home::bare(Kind::Sqlite).with("GRANTD_SERVER", &server.http.base).with("GRANTD_KEY", &key);
    let text = "version: 1\nproviders:\n  - slug: acme\nwebhooks:\n  - url: https://hooks.example.com/x\n    events: [client.*]\n";
    for _ in 0..2 {
        refused(&apply(&desk, text, &["--yes"]), 1, &["line 5: ", "bound to none"]);
        assert_eq!(home.json(&["webhook", "list"])["items"], json!([]));
    }
    applied(&home, text, &[]);
    assert!(applied(&home, text, &["--prune"]).contains("There is nothing to do."));
    assert_eq!(home.json(&["webhook", "list"])["items"][0]["provider"], Value::Null);
}

#[test]
fn whatever_stands_in_a_key_set_comes_back_from_the_file() {
    let home = Home::on(Kind::Sqlite).migrated();
    let mut deep = json!({"end": u64::MAX});
    for _ in 0..40 {
        deep = json!([{ "a": deep }]);
    }
    let mut key = crate::support::jose::Signer::es256().jwk("k1");
    key["deep"] = deep;
    key["n".repeat(2000)] = json!(u64::MAX - 1);
    fs::write(home.folder().join("jwks.json"), json!({"keys": [key]}).to_string()).unwrap();
    let made = ["client", "create", "--client-id", "odd", "--auth-method", "private_key_jwt", "--jwks", "jwks.json"];
    home.json(&made);
    let exported = home.run(&["export", "-o", "all.yaml"]);
    assert!(exported.status.success() && exported.stdout.is_empty(), "{exported:?}");
    let text = fs::read_to_string(home.folder().join("all.yaml")).unwrap();
    assert!(applied(&home, &text, &[]).contains("There is nothing to do."));
    // A file is a file as JSON too.
    let exported = home.run(&["export", "--json", "-o", "all.json"]);
    assert!(exported.status.success() && exported.stdout.is_empty(), "{exported:?}");
    let text = fs::read_to_string(home.folder().join("all.json")).unwrap();
    assert!(applied(&home, &text, &[]).contains("There is nothing to do."));
}

#[test]
fn for_scripts_secrets_are_on_the_disk_before_the_next_step_begins() {
    let home = Home::on(Kind::Sqlite).migrated();
    let text = "version: 1\nproviders:\n  - slug: acme\n    clients:\n      - client_id: a\n      - client_id: bad\n        max_ttl: 0\n";
    refused(&apply(&home, text, &["--json", "--yes"]), 2, &["--secrets-file", "nothing was done"]);
    assert_eq!(home.run(&["provider", "show", "acme"]).status.code(), Some(1));
    refused(&apply(&home, text, &["--json", "--yes", "--secrets-file", "secrets"]), 1, &["2 of 3 were done"]);
    let kept = fs::read_to_string(home.folder().join("secrets")).unwrap();
    let made: Value = serde_json::from_str(kept.trim()).unwrap();
    assert!(made["name"] == "a" && made["secret"].as_str().is_some_and(|text| text.starts_with("gs_")), "{kept}");
    // What makes none needs no file, and one that is there is not written over.
    let none = "version: 1\nproviders:\n  - slug: other\n    clients:\n      - client_id: p\n        token_endpoint_auth_method: none\n        \
                grant_types: [authorization_code]\n        redirect_uris: [\"https://b.example/cb\"]\n";
    assert!(apply(&home, none, &["--json", "--yes"]).status.success());
    let again = text.replace("max_ttl: 0", "max_ttl: 60");
    refused(&apply(&home, &again, &["--json", "--yes", "--secrets-file", "secrets"]), 1, &["cannot make secrets"]);
    assert_eq!(clients(&home, "acme"), ["a"]);
}

#[test]
fn a_plan_that_nobody_reads_is_not_done_quietly() {
    let home = Home::on(Kind::Sqlite).migrated();
    home.json(&["provider", "list"]);
    fs::write(home.folder().join("wanted.yaml"), "version: 1\nproviders:\n  - slug: acme\n").unwrap();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = home.command(&["apply", "-f", "wanted.yaml", "--yes"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(home.run(&["provider", "show", "acme"]).status.code(), Some(1));
}

#[test]
fn no_name_in_a_file_reaches_the_terminal_as_a_command() {
    let home = Home::bare(Kind::Sqlite).with("GRANTD_ADMIN_KEY", OWNER).migrated();
    let twice = "version: 1\nproviders:\n  - slug: \"a\\e[31mb\"\n  - slug: \"a\\e[31mb\"\n";
    for ran in [apply(&home, twice, &["--yes"]), home.run(&["export", "--provider", "a\u{1b}[31mb"])] {
        refused(&ran, 1, &["a\\u{1b}[31mb"]);
        assert!(!ran.stderr.contains('\u{1b}'), "{ran:?}");
    }
}

#[test]
fn in_a_terminal_it_is_done_after_a_yes_only() {
    let home = Home::on(Kind::Sqlite).migrated();
    for (answer, code) in [("", 1), ("n", 1), ("yes, but", 1), ("y", 0)] {
        fs::write(home.folder().join("wanted.yaml"), "version: 1\nproviders:\n  - slug: acme\n").unwrap();
        let inner = home.command(&[]);
        let typed = format!("{} apply -f wanted.yaml", inner.get_program().display());
        let mut command = Command::new("script");
        command.args(["-qefc", &typed, "/dev/null"]).current_dir(home.folder());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let shown = home.folder().join("shown");
        let mut terminal = command.stdin(Stdio::piped()).stdout(fs::File::create(&shown).unwrap()).spawn().unwrap();
        until("it asks", Duration::from_secs(20), || fs::read_to_string(&shown).unwrap_or_default().contains("Do it?"));
        assert_eq!(home.run(&["provider", "show", "acme"]).status.code(), Some(1), "nothing is done before");
        let mut keyboard = terminal.stdin.take().unwrap();
        keyboard.write_all(format!("{answer}\n").as_bytes()).unwrap();
        assert_eq!(terminal.wait().unwrap().code(), Some(code), "{answer:?}: {}", fs::read_to_string(&shown).unwrap());
        assert_eq!(home.run(&["provider", "show", "acme"]).status.code(), Some(code), "{answer:?}");
    }
}
