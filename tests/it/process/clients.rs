//! Clients that others wrote and published, unmodified, against the running server. `scripts/clients`
//! installs them; without them these tests fail.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::process::admin::Api;
use crate::support::client::decoded;
use crate::support::databases::Kind;
use crate::support::process::{Home, ISSUER, Server};

const RUNAI: &str = "/api/v1/token";

/// Runs a helper script in the environment that holds the client.
fn python(environment: &str, script: &str, arguments: &[&str]) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let interpreter = root.join(".clients").join(environment).join("bin/python");
    assert!(interpreter.exists(), "The published clients are not installed: run ./scripts/clients first.");
    let mut command = Command::new(interpreter);
    command.arg(root.join("tests/it/process").join(script)).args(arguments);
    for variable in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(variable);
    }
    let output = command.output().expect("the interpreter does not start");
    let line = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(line.lines().last().unwrap_or_default()).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A server with a client of client_credentials made by the admin API.
struct Ready {
    server: Server,
    id: String,
    secret: String,
    api: Api,
}

impl Ready {
    fn with(kind: Kind, fields: &Value) -> Self {
        let home = Home::on(kind);
        let server = home.serve();
        let api = Api::of(&home, &server);
        let (id, secret) = api.new_client(fields);
        Self { server, id, secret, api }
    }

    /// What a client is told to do here.
    fn case(&self, secret: &str, margin: u32, checks: u32) -> Value {
        let base = &self.server.http.base;
        json!({"base": base, "client_id": self.id, "secret": secret, "margin": margin, "checks": checks})
    }

    fn logins(&self) -> Vec<String> {
        self.server.access_lines(RUNAI)
    }
}

fn wrong_secret() -> String {
    format!("gs_{}", "A".repeat(43))
}

/// One run of each version over all cases: to import the client takes longer than all it does.
struct Runs {
    sqlite: Ready,
    postgres: Ready,
    wrong: Ready,
    late: Ready,
    early: Ready,
    said: Vec<Value>,
}

impl Runs {
    fn of(environment: &str, script: &str) -> Self {
        let fields = json!({"client_name": "Größe > ? ~ ÿÿÿ", "scope": "read"});
        let short = json!({"access_token_ttl": 90});
        let [sqlite, wrong] = [(); 2].map(|()| Ready::with(Kind::Sqlite, &fields));
        let [late, early] = [(); 2].map(|()| Ready::with(Kind::Sqlite, &short));
        let postgres = Ready::with(Kind::Postgres, &fields);
        let cases = json!([
            sqlite.case(&sqlite.secret, 60, 3),
            postgres.case(&postgres.secret, 60, 3),
            wrong.case(&wrong_secret(), 60, 0),
            late.case(&late.secret, 60, 2),
            early.case(&early.secret, 120, 2),
        ]);
        let said = python(environment, script, &[&cases.to_string()]);
        let said = said.as_array().expect("a list").clone();
        Self { sqlite, postgres, wrong, late, early, said }
    }

    fn assert_good_logins(&self) {
        for (ready, said) in [(&self.sqlite, &self.said[0]), (&self.postgres, &self.said[1])] {
            let token = said["token"].as_str().unwrap_or_else(|| panic!("{said}"));
            assert!(ready.api.is_active(token));
            let claims = decoded(token).1;
            assert!(claims["exp"].is_i64(), "{claims}");
            assert_eq!((&claims["exp"], &claims["client_id"]), (&said["expiry"], &json!(ready.id)));
            assert_eq!(said["authorization"], format!("Bearer {token}"));
            assert_eq!(ready.logins().len(), 1, "a fresh token is not asked for again: {:?}", ready.logins());
        }
        assert!(self.said[3]["token"].is_string(), "{}", self.said[3]);
        assert_eq!(self.late.logins().len(), 1, "90 s are outside of the margin of 60: {:?}", self.late.logins());
    }

    fn assert_refused_at_once(&self, error: &str) {
        let said = &self.said[2];
        assert_eq!(said["error"], error, "{said}");
        let logged = self.wrong.logins();
        assert!(logged.len() == 1 && logged[0].contains(" 400 "), "one request and no retry: {logged:?}");
        assert!(said["seconds"].as_f64().unwrap() < 2.0, "{said}");
        let body = json!({"grantType": "app_token", "AppId": self.wrong.id, "AppSecret": wrong_secret()}).to_string();
        let headers = [("content-type", "application/json")];
        let direct = self.wrong.server.http.call("POST", RUNAI, &headers, Some(body.as_bytes())).expect(400);
        assert!(said["message"].as_str().unwrap().contains(&direct.text_of("message")), "{said}");
    }
}

#[test]
fn runapy_1_224_logs_in_renews_in_its_margin_and_tells_a_wrong_secret_at_once() {
    let runs = Runs::of("runapy", "runapy_1_224.py");
    runs.assert_good_logins();
    runs.assert_refused_at_once("ValueError");
    assert!(runs.said[4]["token"].is_string(), "{}", runs.said[4]);
    assert_eq!(
        runs.early.logins().len(),
        1 + 2,
        "within a margin of 120 each check logs in: {:?}",
        runs.early.logins()
    );
}

#[test]
fn runapy_0_8_logs_in_and_tells_a_wrong_secret_at_once() {
    let runs = Runs::of("runapy-0.8", "runapy_0_8.py");
    runs.assert_good_logins();
    runs.assert_refused_at_once("RunaiHTTPError");
}

#[test]
fn pyjwt_verifies_the_tokens_of_each_algorithm_by_the_jwks_url() {
    let home = Home::on(Kind::Sqlite);
    let server = home.serve();
    let default = Api::of(&home, &server);
    for algorithm in ["ES256", "RS256", "EdDSA"] {
        let slug = algorithm.to_lowercase();
        let audience = format!("https://api.example/{slug}");
        let fields = json!({"slug": slug, "access_token_signing_alg": algorithm, "default_audience": audience});
        default.post("/providers", &fields).expect(201);
        let api = default.at(&slug);
        let (id, secret) = api.new_client(&json!({"scope": "read"}));
        let token = api.access_token(&id, &secret);
        let jwks = format!("{}/p/{slug}/.well-known/jwks.json", server.http.base);
        let issuer = format!("{ISSUER}/p/{slug}");
        let verify = |token: &str, audience: &str, issuer: &str| {
            python("runapy", "pyjwt.py", &[&jwks, issuer, audience, algorithm, token])
        };
        let said = verify(&token, &audience, &issuer);
        assert_eq!(said["claims"]["client_id"], id.as_str(), "{said}");
        assert_eq!((said["header"]["alg"].as_str(), said["header"]["typ"].as_str()), (Some(algorithm), Some("at+jwt")));
        // The library would say no.
        assert_eq!(verify(&token, "https://other.example", &issuer)["error"], "InvalidAudienceError");
        let (head, signature) = token.rsplit_once('.').unwrap();
        let flipped: String = signature.chars().rev().collect();
        assert!(verify(&format!("{head}.{flipped}"), &audience, &issuer)["error"].is_string());
    }
}

#[test]
fn all_spellings_of_the_run_ai_wire_are_understood() {
    let ready = Ready::with(Kind::Sqlite, &json!({"scope": "read"}));
    let json_type = [("content-type", "application/json")];
    for (grant, id, secret) in [
        ("app_token", "AppId", "AppSecret"),
        ("app_token", "appID", "appSecret"),
        ("app_token", "appId", "appSecret"),
        ("client_credentials", "clientId", "clientSecret"),
        ("client_credentials", "clientID", "clientSecret"),
    ] {
        let body = json!({"grantType": grant, id: ready.id, secret: ready.secret}).to_string();
        let answer = ready.server.http.call("POST", RUNAI, &json_type, Some(body.as_bytes())).expect(200);
        assert!(answer.json()["accessToken"].is_string() && answer.json()["expiresIn"] == 3600, "{answer:?}");
    }
    let body = json!({"id": ready.id, "name": "any", "secret": ready.secret}).to_string();
    let answer =
        ready.server.http.call("POST", "/v1/k8s/auth/oauth/apptoken", &json_type, Some(body.as_bytes())).expect(200);
    assert_eq!(decoded(&answer.text_of("access_token")).1["client_id"], ready.id.as_str());
    assert_eq!(decoded(&answer.text_of("id_token")).1["aud"], ready.id.as_str());
    ready
        .server
        .http
        .form(
            "/api/v2/token",
            None,
            &format!("grant_type=client_credentials&client_id={}&client_secret={}", ready.id, ready.secret),
        )
        .expect(200);
}
