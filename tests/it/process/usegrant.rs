//! UseGrant over real sockets: the samples of its documentation, a tenant whose issuer speaks TLS, and
//! the settings of the surface.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::process::admin::Api;
use crate::support::client::{Answer, Http, decoded};
use crate::support::databases::Kind;
use crate::support::jose::Signer;
use crate::support::process::{Home, OWNER, Server};
use crate::support::tls::{Authority, TlsOrigin};

/// What stands in the samples for where the API is and for the key.
const SAMPLE_URL: &str = "https://sdk.usegrant.dev/v1/providers/497f6eca-6276-4993-bfeb-53cbbbba6f08/clients/497f6eca-6276-4993-bfeb-53cbbbba6f08/tokens";
const SAMPLE_KEY: &str = "<token>";

const CURL: &str = r#"curl -X POST "https://sdk.usegrant.dev/v1/providers/497f6eca-6276-4993-bfeb-53cbbbba6f08/clients/497f6eca-6276-4993-bfeb-53cbbbba6f08/tokens" \
  -H "Authorization: Bearer <token>" \
  -H "Content-Type: application/json" \
  -d '{
    "expiresIn": 0,
    "useJwtType": true,
    "audienceAsArray": true,
    "forceDefaultDomain": true
  }'"#;

const PYTHON: &str = r#"import requests

url = "https://sdk.usegrant.dev/v1/providers/497f6eca-6276-4993-bfeb-53cbbbba6f08/clients/497f6eca-6276-4993-bfeb-53cbbbba6f08/tokens"
body = {
  "expiresIn": 0,
  "useJwtType": true,
  "audienceAsArray": true,
  "forceDefaultDomain": true
}
response = requests.request("POST", url, json = body, headers = {
  "Authorization": "Bearer <token>",
  "Content-Type": "application/json"
})

print(response.text)"#;

const JAVASCRIPT: &str = r#"const body = JSON.stringify({
  "expiresIn": 0,
  "useJwtType": true,
  "audienceAsArray": true,
  "forceDefaultDomain": true
})

fetch("https://sdk.usegrant.dev/v1/providers/497f6eca-6276-4993-bfeb-53cbbbba6f08/clients/497f6eca-6276-4993-bfeb-53cbbbba6f08/tokens", {
  headers: {
    "Authorization": "Bearer <token>"
  },
  body
})"#;

const GO: &str = r#"package main

import (
  "fmt"
  "net/http"
  "io/ioutil"
  "strings"
)

func main() {
  url := "https://sdk.usegrant.dev/v1/providers/497f6eca-6276-4993-bfeb-53cbbbba6f08/clients/497f6eca-6276-4993-bfeb-53cbbbba6f08/tokens"
  body := strings.NewReader(`{
    "expiresIn": 0,
    "useJwtType": true,
    "audienceAsArray": true,
    "forceDefaultDomain": true
  }`)
  req, _ := http.NewRequest("POST", url, body)
  req.Header.Add("Authorization", "Bearer <token>")
  req.Header.Add("Content-Type", "application/json")
  res, _ := http.DefaultClient.Do(req)
  defer res.Body.Close()
  body, _ := ioutil.ReadAll(res.Body)

  fmt.Println(res)
  fmt.Println(string(body))
}"#;

/// Its API with the owner key.
struct Calls {
    http: Http,
}

impl Calls {
    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let authorization = format!("Bearer {OWNER}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let text = body.map(Value::to_string);
        self.http.call(method, &format!("/v1/{path}"), &headers, text.as_deref().map(str::as_bytes))
    }

    fn made(&self, path: &str, body: &Value) -> String {
        self.call("POST", path, Some(body)).expect(201).text_of("id")
    }
}

struct Ready {
    server: Server,
    url: String,
    slug: String,
    home: Home,
}

impl Ready {
    fn on(kind: Kind) -> Self {
        let home = Home::on(kind);
        let server = home.serve();
        let calls = Calls { http: server.http.clone() };
        let named = json!({"name": "Acme", "description": "Of the samples"});
        let provider = calls.call("POST", "providers", Some(&named)).expect(201);
        let slug = provider.text_of("issuer").rsplit_once('/').unwrap().1.to_owned();
        let path = format!("providers/{}/clients", provider.text_of("id"));
        let client = calls.made(&path, &json!({"name": "A workload", "audience": "sts.example.com"}));
        let url = format!("{}/v1/{path}/{client}/tokens", server.http.base);
        Self { server, url, slug, home }
    }

    /// The sample with its URL and credentials changed.
    fn mine(&self, sample: &str) -> String {
        assert!(sample.contains(SAMPLE_URL) && sample.contains(SAMPLE_KEY));
        sample.replace(SAMPLE_URL, &self.url).replace(SAMPLE_KEY, OWNER)
    }

    fn run(&self, program: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.home.folder());
        for variable in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(variable);
        }
        command.output().unwrap_or_else(|error| panic!("{program:?} does not start: {error}"))
    }

    /// The last line of what a sample printed is the answer of the documentation.
    fn assert_token(&self, output: &Output) {
        let printed = String::from_utf8_lossy(&output.stdout);
        let last = printed.lines().last().unwrap_or_default();
        let answer: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        assert_eq!(answer["type"], "Bearer", "{answer}");
        let (header, claims) = decoded(answer["accessToken"].as_str().unwrap());
        assert_eq!((&header["typ"], &claims["aud"]), (&json!("jwt"), &json!(["sts.example.com"])));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
        let api = Api::of(&self.home, &self.server).at(&self.slug);
        assert!(api.is_active(answer["accessToken"].as_str().unwrap()));
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn samples(kind: Kind) {
    let ready = Ready::on(kind);
    ready.assert_token(&ready.run(Path::new("sh"), &["-c", &ready.mine(CURL)]));
    let python = root().join(".clients/authlib/bin/python");
    assert!(python.exists(), "The published clients are not installed: run ./scripts/clients first.");
    // As it stands it says `true`, which is no name in Python.
    let output = ready.run(&python, &["-c", &ready.mine(PYTHON)]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("name 'true' is not defined"), "{output:?}");
    ready.assert_token(&ready.run(&python, &["-c", &ready.mine(PYTHON).replace(": true", ": True")]));
    // As it stands it asks by GET, with a body, which no fetch sends.
    let script = format!("{}.then(async (answer) => console.log(await answer.text()))", ready.mine(JAVASCRIPT));
    let output = ready.run(Path::new("node"), &["-e", &script]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("GET/HEAD method cannot have body"), "{output:?}");
    let script = script.replace("  headers:", "  method: \"POST\",\n  headers:");
    ready.assert_token(&ready.run(Path::new("node"), &["-e", &script]));
    // As it stands it declares `body` twice, which no Go compiler takes.
    let file = ready.home.folder().join("sample.go");
    let program = ready.mine(GO);
    std::fs::write(&file, &program).unwrap();
    let output = ready.run(Path::new("go"), &["run", "sample.go"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no new variables on left side of :="), "{output:?}");
    let program = program.replace("  body, _ := ioutil", "  text, _ := ioutil").replace("string(body)", "string(text)");
    std::fs::write(&file, program).unwrap();
    ready.assert_token(&ready.run(Path::new("go"), &["run", "sample.go"]));
}

#[test]
fn the_samples_of_its_documentation_get_a_token_on_sqlite() {
    samples(Kind::Sqlite);
}

#[test]
fn the_samples_of_its_documentation_get_a_token_on_postgres() {
    samples(Kind::Postgres);
}

#[test]
fn a_token_is_judged_by_keys_that_came_from_a_server_with_the_certificate() {
    let (authority, signer) = (Authority::new("idp"), Signer::es256());
    let jwks = json!({"keys": [signer.jwk("k1")]}).to_string();
    let idp = TlsOrigin::issuer(&authority, &[authority.certificate("middle")], jwks, None);
    let home = Home::on(Kind::Sqlite)
        .with("GRANTD_UPSTREAM__ALLOW_NETWORKS", "127.0.0.1")
        .with("SSL_CERT_FILE", authority.root_file().to_str().unwrap());
    let server = home.serve();
    let calls = Calls { http: server.http.clone() };
    let named = json!({"name": "A customer", "description": "Whose deploys are checked"});
    let now = grantd::domain::Wall::now(&grantd::domain::clock::SystemWall).seconds();
    let claims =
        json!({"iss": idp.base, "sub": "repo:acme/app", "aud": "sts.example.com", "iat": now, "exp": now + 300});
    let token = signer.sign(&json!({"alg": "ES256", "kid": "k1"}), &claims);
    let judged = |fingerprint: String| {
        let tenant = calls.made("tenants", &named);
        let path = format!("tenants/{tenant}/providers");
        let issuer = calls.made(&path, &json!({
            "url": idp.base, "fingerprints": [fingerprint], "audience": "sts.example.com", "earliestIssuanceTimeAllowed": 1,
        }));
        let policy = calls.made(
            &format!("{path}/{issuer}/policies"),
            &json!({
                "name": "Deploys", "description": "Who may deploy", "audience": "sts.example.com",
                "conditions": [{"key": "sub", "operator": "stringLike", "value": "repo:acme/*"}],
            }),
        );
        let body = json!({"tenantProviderPolicyId": policy, "token": token});
        let answer = calls.call("POST", &format!("tenants/{tenant}/validate"), Some(&body));
        (answer.status, serde_json::from_str::<Value>(&answer.text).unwrap())
    };
    let valid = (200, json!({"exp": now + 300}));
    for part in ["server", "middle"] {
        assert_eq!(judged(authority.certificate(part).sha1()), valid, "{part}");
        assert_eq!(judged(authority.certificate(part).sha256().to_lowercase()), valid, "{part}");
    }
    let refused = (400, json!({"code": "bad_request", "message": "The token is not accepted: keys."}));
    assert_eq!(judged("0".repeat(40)), refused);
    assert_eq!(judged(Authority::new("another").certificate("middle").sha1()), refused);
}

#[test]
fn the_surface_is_switched_off_bound_to_a_host_and_pointed_at_a_provider() {
    let home = Home::on(Kind::Sqlite).with("GRANTD_SURFACES__USEGRANT__ENABLED", "false");
    let server = home.serve();
    let api = Api::of(&home, &server);
    api.post("/providers", &json!({"slug": "acme", "surfaces": ["usegrant"]})).expect(201);
    let calls = Calls { http: server.http.clone() };
    assert_eq!(calls.call("GET", "providers", None).status, 404);
    assert_eq!(server.http.get("/p/acme/v1/providers").status, 404);
    drop(server);
    let home = home.without("GRANTD_SURFACES__USEGRANT__ENABLED").with("GRANTD_SURFACES__USEGRANT__PROVIDER", "acme");
    let server = home.serve();
    let calls = Calls { http: server.http.clone() };
    let tenant = calls.made("tenants", &json!({"name": "A customer", "description": "Of Acme"}));
    let authorization = format!("Bearer {OWNER}");
    let at = |path: &str, host: &str| {
        let headers = [("authorization", authorization.as_str()), ("host", host)];
        server.http.call("GET", path, &headers, None).status
    };
    assert_eq!(at(&format!("/p/acme/v1/tenants/{tenant}"), "localhost"), 200, "it is a tenant of acme");
    drop(server);
    let home = home.with("GRANTD_SURFACES__USEGRANT__HOST", "sdk.example.com");
    let server = home.serve();
    let at = |path: &str, host: &str| {
        let headers = [("authorization", authorization.as_str()), ("host", host)];
        server.http.call("GET", path, &headers, None).status
    };
    assert_eq!((at("/v1/tenants", "sdk.example.com"), at("/v1/tenants", "localhost")), (200, 404));
    assert_eq!(at("/p/acme/v1/tenants", "localhost"), 200, "the provider's own path stays");
}
