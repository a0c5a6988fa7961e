//! schemathesis asks the running server everything that its own document allows, and much that it does not, as
//! an owner, as an admin of one provider and as a member: no 5xx, no answer that the document does not name, no
//! body that its schema refuses, and nothing changed that the role does not reach.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::process::admin::Api;
use crate::support::databases::Kind;
use crate::support::process::{Home, OWNER};

/// Seconds for one role.
const TIME: &str = "80";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tool(name: &str) -> Command {
    let path = root().join(".clients/schemathesis/bin").join(name);
    assert!(path.exists(), "schemathesis is not installed: run ./scripts/clients first.");
    let mut command = Command::new(path);
    for variable in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(variable);
    }
    // Not into the sources of the hooks.
    command.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null());
    command
}

fn home(kind: Kind) -> Home {
    Home::on(kind)
        .with("GRANTD_TRUSTED_PROXIES", "127.0.0.1")
        .with("GRANTD_PASSWORDS__MEMORY_KIB", "8")
        .with("GRANTD_PASSWORDS__ITERATIONS", "1")
}

/// Runs it with this key; what it found, or nothing.
fn fuzz(home: &Home, base: &str, key: &str) -> Result<(), String> {
    let folder = root().join("tests/clients/schemathesis");
    let mut command = tool("schemathesis");
    command.current_dir(home.folder()).env("SCHEMATHESIS_HOOKS", folder.join("hooks.py"));
    command.arg("--config-file").arg(folder.join("schemathesis.toml"));
    command.args(["run", &format!("{base}/openapi.json"), "--url", base, "--no-color", "--max-failures", "40"]);
    command.args(["-H", &format!("Authorization: Bearer {key}"), "--phases", "examples,coverage", "-w", "2"]);
    command.args(["--max-time", TIME]);
    let output = command.output().expect("schemathesis does not start");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() && said.contains("Tested:") { Ok(()) } else { Err(said) }
}

/// Everything that an owner sees of providers, but for when something was last used.
fn seen(api: &Api, providers: &[&str]) -> BTreeMap<String, Value> {
    let lists = ["clients", "users", "trusted-issuers", "domains", "scopes", "roles", "groups", "signing-keys"];
    let mut all = BTreeMap::new();
    for provider in providers {
        let at = format!("/providers/{provider}");
        all.insert(at.clone(), read(api, &at));
        for list in lists {
            let path = format!("{at}/{list}");
            let items = read(api, &format!("{path}?limit=500"));
            for client in items["items"].as_array().into_iter().flatten().filter_map(|item| item["client_id"].as_str())
            {
                let secrets = format!("{path}/{client}/secrets");
                all.insert(secrets.clone(), read(api, &secrets));
            }
            all.insert(path, items);
        }
    }
    let mut keys = read(api, "/api-keys?limit=500");
    if let Some(items) = keys["items"].as_array_mut() {
        // An admin's own provider is its to change.
        items.retain(|key| key["provider"] != "acme" || providers.contains(&"acme"));
    }
    all.insert("/api-keys".to_owned(), keys);
    all
}

fn read(api: &Api, path: &str) -> Value {
    let mut value = api.get(path).json();
    forget_use(&mut value);
    value
}

fn forget_use(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.remove("last_used_at");
            members.remove("request_id");
            members.values_mut().for_each(forget_use);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_use),
        _ => {}
    }
}

fn prepared(kind: Kind) -> (Home, crate::support::process::Server, Api) {
    let home = home(kind);
    let server = home.serve();
    let api = Api::of(&home, &server);
    for slug in ["acme", "other"] {
        api.post("/providers", &json!({"slug": slug})).expect(201);
        api.post(&format!("/providers/{slug}/clients"), &json!({"client_id": "reports"})).expect(201);
        api.post(&format!("/providers/{slug}/users"), &json!({"username": "alice"})).expect(201);
    }
    (home, server, api)
}

fn an_owner_is_told_what_the_document_says(kind: Kind) {
    let (home, server, _api) = prepared(kind);
    fuzz(&home, &server.http.base, OWNER).unwrap_or_else(|said| panic!("{said}"));
}

#[test]
fn an_owner_is_told_what_the_document_says_on_sqlite() {
    an_owner_is_told_what_the_document_says(Kind::Sqlite);
}

#[test]
fn an_owner_is_told_what_the_document_says_on_postgres() {
    an_owner_is_told_what_the_document_says(Kind::Postgres);
}

fn an_admin_of_a_provider_changes_nothing_elsewhere(kind: Kind) {
    let (home, server, api) = prepared(kind);
    let key = api.post("/api-keys", &json!({"role": "admin", "provider": "acme"})).expect(201).text_of("key");
    let before = seen(&api, &["default", "other"]);
    fuzz(&home, &server.http.base, &key).unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(seen(&api, &["default", "other"]), before);
}

#[test]
fn an_admin_of_a_provider_changes_nothing_elsewhere_on_sqlite() {
    an_admin_of_a_provider_changes_nothing_elsewhere(Kind::Sqlite);
}

#[test]
fn an_admin_of_a_provider_changes_nothing_elsewhere_on_postgres() {
    an_admin_of_a_provider_changes_nothing_elsewhere(Kind::Postgres);
}

#[test]
fn a_member_changes_nothing_at_all() {
    let (home, server, api) = prepared(Kind::Sqlite);
    let key = api.post("/api-keys", &json!({"role": "member", "provider": "acme"})).expect(201).text_of("key");
    let before = seen(&api, &["default", "other", "acme"]);
    fuzz(&home, &server.http.base, &key).unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(seen(&api, &["default", "other", "acme"]), before);
}

#[test]
fn the_document_is_valid_openapi_for_those_who_wrote_the_validator() {
    let home = home(Kind::Sqlite);
    let printed = home.run(&["openapi"]).stdout;
    let file = home.folder().join("openapi.json");
    std::fs::write(&file, printed).unwrap();
    let output = tool("openapi-spec-validator").arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
