//! The token surfaces as their published clients use them, unmodified: three major versions of
//! Deepgram's SDK in two languages, a client of ours that does what VocalStack's does, and the samples
//! that stand in the documentation of the APIs, with another URL and other credentials in them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::process::admin::Api;
use crate::support::client::decoded;
use crate::support::databases::Kind;
use crate::support::process::{Home, Server, on_each};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn interpreter(environment: &str) -> PathBuf {
    let path = root().join(".clients").join(environment).join("bin/python");
    assert!(path.exists(), "The published clients are not installed: run ./scripts/clients first.");
    path
}

/// What a program prints that must end well.
fn printed(mut command: Command) -> String {
    for variable in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(variable);
    }
    let output = command.output().expect("the client does not start");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A server with the keys of its clients.
struct Ready {
    server: Server,
    api: Api,
    admin: String,
    member: String,
    weak: String,
}

impl Ready {
    fn on(kind: Kind) -> Self {
        let home = Home::on(kind);
        let server = home.serve();
        let api = Api::of(&home, &server);
        let [admin, member, weak] = ["admin", "member", "default"]
            .map(|role| api.post("/api-keys", &json!({"role": role})).expect(201).text_of("key"));
        Self { server, api, admin, member, weak }
    }

    fn base(&self) -> &str {
        &self.server.http.base
    }

    /// Runs a script of `tests/clients` and gives its last line.
    fn run(&self, program: &Path, script: &str, given: &Value) -> Value {
        let mut command = Command::new(program);
        command.arg(root().join("tests/clients").join(script)).arg(given.to_string());
        let printed = printed(command);
        let line = printed.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {printed}\n{}", self.server.stderr()))
    }

    /// What a script of Deepgram's SDK is told.
    fn deepgram(&self) -> Value {
        let wrong = format!("gk_{}", "A".repeat(43));
        let packages = root().join(".clients/node");
        json!({"packages": packages, "base": self.base(), "key": self.admin, "weak": self.weak, "wrong": wrong})
    }

    /// Holds what one version of Deepgram's SDK saw against what must be.
    fn judge(&self, version: &str, seen: &Value) {
        let token = seen["usual"]["access_token"].as_str().unwrap_or_else(|| panic!("{version}: {seen}"));
        assert_eq!(seen["usual"]["expires_in"], 30, "{version}");
        let claims = decoded(token).1;
        assert_eq!((&claims["scopes"], &claims["subject"]), (&json!(["usage:write"]), &claims["sub"]), "{version}");
        assert!(!self.api.is_active(seen["used"]["access_token"].as_str().unwrap()), "its key was deleted");
        assert!(self.api.is_active(token), "{version}");

        let made = &seen["made"];
        let id = &made["api_key_id"];
        assert!(made["key"].as_str().is_some_and(|key| key.starts_with("gk_")), "{version}: {made}");
        for key in [made, &seen["read"]] {
            assert_eq!((&key["comment"], &key["scopes"]), (&json!("made by the SDK"), &json!(["member"])), "{version}");
        }
        assert_eq!(&seen["read"]["api_key_id"], id, "{version}");
        assert!(seen["listed"].as_array().unwrap().contains(id), "{version}: {seen}");
        assert!(!seen["left"].as_array().unwrap().contains(id), "{version}: {seen}");

        for (what, status, code, says) in [
            ("after", 401, "INVALID_AUTH", "Invalid credentials."),
            ("wrong", 401, "INVALID_AUTH", "Invalid credentials."),
            ("weak", 403, "FORBIDDEN", "Insufficient permissions."),
        ] {
            refused(version, &seen[what], status, code, says);
        }
        for told in seen["by_token"].as_array().into_iter().flatten() {
            refused(version, told, 403, "FORBIDDEN", "ccess token");
        }
    }
}

/// What a version does not tell is not asked.
fn refused(version: &str, told: &Value, status: u16, code: &str, says: &str) {
    assert_eq!(told["status"], status, "{version}: {told}");
    assert!(told["message"].as_str().is_some_and(|message| message.contains(says)), "{version}: {told}");
    if !told["code"].is_null() {
        assert_eq!(told["code"], code, "{version}: {told}");
        assert!(told["id"].as_str().is_some_and(|id| id.len() == 36), "{version}: {told}");
    }
}

/// Whatever stands around it.
fn token_in(printed: &str) -> &str {
    let from = printed.find("eyJ").unwrap_or_else(|| panic!("no token in {printed}"));
    printed[from..].split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))).next().unwrap()
}

on_each! {
    fn the_sdks_of_deepgram_for_javascript_work_unmodified(ready: Ready) {
        let said = ready.run(Path::new("node"), "deepgram.mjs", &ready.deepgram());
        for version in ["5", "4", "3"] {
            ready.judge(version, &said[version]);
        }
        for version in ["5", "4"] {
            assert_eq!(said[version]["lifetimes"], json!([1, 60, 3600]), "{version}");
            assert_eq!(said[version]["too_long"]["status"], 400, "{version}");
            assert_eq!(said[version]["by_token"].as_array().unwrap().len(), 2, "{version}");
        }
        for version in ["4", "3"] {
            assert_eq!(said[version]["own"]["scopes"], json!(["admin"]), "{version}");
        }
        let lines = ready.server.access_lines("/v1/auth/grant");
        let refused = lines.iter().filter(|line| line.contains(" 401 ") || line.contains(" 403 ")).count();
        // A deleted, a wrong and a weak key in each version; a token beside in the two that take one.
        assert_eq!(refused, 3 * 3 + 2, "none is tried again: {lines:#?}");
    }

    fn the_sdks_of_deepgram_for_python_work_unmodified(ready: Ready) {
        for (version, environment, script) in
            [("7", "deepgram-7", "deepgram_7.py"), ("4", "deepgram-4", "deepgram_4.py"), ("3", "deepgram-3", "deepgram_4.py")]
        {
            let seen = ready.run(&interpreter(environment), script, &ready.deepgram());
            ready.judge(version, &seen);
            match version {
                "3" => assert!(seen["lifetimes"].is_null(), "{seen}"),
                _ => assert_eq!(seen["lifetimes"], json!([1, 60, 3600]), "{version}"),
            }
            if version == "7" {
                assert_eq!(seen["too_long"]["code"], "BAD_REQUEST", "{seen}");
                assert_eq!(seen["by_token"].as_array().unwrap().len(), 2, "{seen}");
            }
        }
    }

    fn a_client_like_vocalstacks_gets_tokens_and_reads_its_errors_from_the_reason_phrase(ready: Ready) {
        let base = ready.base();
        let key = &ready.member;
        let full = json!({"access": "readwrite", "lifetime_s": 60, "one_time": false});
        let first = json!([
            {"base": base, "apiKey": key},
            {"base": base, "apiKey": key, "options": {"access": null, "lifetime_s": "", "one_time": null}},
            {"base": base, "apiKey": key, "options": full},
            {"base": base, "apiKey": key, "options": {"lifetime_s": 0}},
            {"base": base, "apiKey": key, "options": {"lifetime_s": 121}},
            {"base": base, "apiKey": ready.weak},
            {"base": base, "apiKey": "nonsense"},
            {"base": base},
            {"base": base, "apiKey": key, "path": "/security/other"},
            {"base": base, "apiKey": key, "path": "/somewhere/else"},
        ]);
        let said = ready.run(Path::new("node"), "vocalstack.mjs", &first);
        for result in &said.as_array().unwrap()[..2] {
            assert_eq!((&result["success"], &result["status"]), (&json!(true), &json!("done")), "{result}");
            let token = result["data"].as_str().unwrap();
            assert!(token.starts_with("ga_"), "{result}");
            assert!(ready.api.is_active(token), "once");
            assert!(!ready.api.is_active(token), "and no more");
        }
        let many = said[2]["data"].as_str().unwrap_or_else(|| panic!("{said}"));
        let claims = decoded(many).1;
        assert_eq!(claims["access"], "readwrite");
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 60);
        for (index, status, reason) in [
            (3, 400, "Bad Request"), (4, 400, "Bad Request"), (5, 403, "Forbidden"), (6, 401, "Unauthorized"), (7, 401, "Unauthorized"),
            (8, 404, "Not Found"), (9, 404, "Not Found"),
        ] {
            assert_eq!(said[index], json!({"success": false, "error": reason, "status": status}), "{index}");
        }
        let by_token = ready.run(Path::new("node"), "vocalstack.mjs", &json!([{"base": base, "authToken": many}]));
        assert_eq!(by_token, json!([{"success": false, "error": "Forbidden", "status": 403}]), "a token makes no token");
        assert!(ready.api.is_active(many));
    }

    fn the_samples_of_the_documentation_run_as_they_stand(ready: Ready) {
        let folder = tempfile::tempdir().unwrap();
        let sample = |name: &str, changes: &[(&str, &str)]| {
            let mut text = std::fs::read_to_string(root().join("tests/clients/samples").join(name)).unwrap();
            for (from, to) in changes {
                assert!(text.contains(from), "{name} has no {from}");
                text = text.replace(from, to);
            }
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let with = |program: &Path, arguments: &[&str], script: PathBuf| {
            let mut command = Command::new(program);
            command.args(arguments).arg(script).current_dir(folder.path());
            command.env("BASE_URL", ready.base()).env("GOTOOLCHAIN", "local").env("GOFLAGS", "-mod=mod").env("GOPROXY", "off");
            printed(command)
        };
        let deepgram = [("https://api.deepgram.com", ready.base()), ("<apiKey>", ready.member.as_str())];
        for (said, program, arguments, name) in [
            ("Python", interpreter("samples"), &[][..], "deepgram.py"),
            ("JavaScript", "node".into(), &[][..], "deepgram.mjs"),
            ("Go", "go".into(), &["run"][..], "deepgram.go"),
        ] {
            let printed = with(&program, arguments, sample(name, &deepgram));
            assert!(printed.contains("expires_in") && printed.contains("30"), "{said}: {printed}");
            let token = token_in(&printed);
            assert_eq!(decoded(token).1["scopes"], json!(["usage:write"]), "{said}");
            assert!(ready.api.is_active(token), "{said}: {printed}");
        }
        let (id, secret) = ready.api.new_client(&json!({"scope": "all:read all:write"}));
        let endorsed = [("b844338a-60db-4176-9214-49b7e355e4dd", id.as_str()), ("ErnQBjAtlvSxI0Gc-QGwUgtNoWcvfYai-MqkJAbW9qn6iuzi", &secret)];
        for name in ["endorsed_form.sh", "endorsed_json.sh"] {
            let printed = with(Path::new("sh"), &[], sample(name, &endorsed));
            let answer: Value = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
            assert_eq!((&answer["is_error"], &answer["expires_in"]), (&json!(false), &json!("1209600")), "{name}: {answer}");
            assert_eq!(answer["scope"], json!(["all:read", "all:write"]), "{name}");
            assert!(ready.api.is_active(answer["access_token"].as_str().unwrap()), "{name}");
        }
    }
}
