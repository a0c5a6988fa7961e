//! A real identity provider of somebody else, npm `oidc-provider`: grantd finds its keys by discovery
//! and exchanges its tokens; what is wrong with one stands in the log and in the dry run.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use crate::process::admin::{Api, problem};
use crate::support::client::{Answer, Http, basic, decoded};
use crate::support::databases::Kind;
use crate::support::jose::{Signer, encode};
use crate::support::origin::{Origin, Reply};
use crate::support::process::{Home, Server, on_each, until};

const AUDIENCE: &str = "https://grantd.example/deploy";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// npm `oidc-provider`, running until its value ends.
struct Idp {
    http: Http,
    child: Child,
}

impl Idp {
    fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let packages = root.join(".clients/node");
        assert!(
            packages.join("stamp").exists(),
            "The published clients are not installed: run ./scripts/clients first."
        );
        let script = std::fs::read_to_string(root.join("tests/it/process/oidc_provider.mjs")).unwrap();
        let mut child = Command::new("node")
            .args(["--input-type=module", "--eval", &script])
            .current_dir(packages)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node does not start: run ./scripts/system-packages first");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        Self { http: Http::to(told["issuer"].as_str().unwrap()), child }
    }

    fn issuer(&self) -> &str {
        &self.http.base
    }

    /// A token that one of its clients gets for itself.
    fn token(&self, client: &str, resource: &str) -> String {
        let secret = format!("{client}-secret-of-the-identity-provider");
        let form = [("grant_type", "client_credentials"), ("resource", resource), ("scope", "deploy")];
        let body = Serializer::new(String::new()).extend_pairs(form).finish();
        self.http.form("/token", Some(&basic(client, &secret)), &body).expect(200).text_of("access_token")
    }

    /// What it, or a forger with another key, signs besides.
    fn signed(&self, header: Value, claims: &Value, forged: bool) -> String {
        let body = json!({"header": header, "claims": claims, "forged": forged}).to_string();
        self.http.call("POST", "/sign", &[], Some(body.as_bytes())).expect(200).text
    }
}

impl Drop for Idp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A grantd that trusts the provider, and a client that may hand its tokens in.
struct Setting {
    server: Server,
    api: Api,
    idp: Idp,
    client: (String, String),
    rows: String,
    proxy: Origin,
    _home: Home,
}

impl Setting {
    fn on(kind: Kind) -> Self {
        let (idp, proxy) = (Idp::start(), Origin::always(Reply::status(502)));
        let mut home = Home::on(kind).with("GRANTD_UPSTREAM__ALLOW_NETWORKS", "127.0.0.1");
        for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            home = home.with(variable, &proxy.base);
        }
        let server = home.serve();
        let api = Api::of(&home, &server);
        let grants = json!({"grant_types": [EXCHANGE, BEARER], "scope": "openid profile deploy"});
        let client = api.new_client(&grants);
        let rows = "/providers/default/trusted-issuers".to_owned();
        Self { server, api, idp, client, rows, proxy, _home: home }
    }

    fn trust(&self, more: &Value) -> String {
        let mut fields = json!({
            "issuer": self.idp.issuer(), "audiences": [AUDIENCE], "clients": [self.client.0, "runai"], "provision": "jit",
            "conditions": [{"claim": "groups", "operator": "like", "value": "dev-*"}],
        });
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.api.post(&self.rows, &fields).expect(201).text_of("id")
    }

    fn form(&self, fields: &[(&str, &str)]) -> Answer {
        let body = Serializer::new(String::new()).extend_pairs(fields).finish();
        self.server.http.form("/oauth2/token", Some(&basic(&self.client.0, &self.client.1)), &body)
    }

    fn exchange(&self, token: &str) -> Answer {
        self.form(&[
            ("grant_type", EXCHANGE),
            ("subject_token", token),
            ("subject_token_type", JWT),
            ("scope", "deploy"),
        ])
    }

    fn bearer(&self, token: &str) -> Answer {
        self.form(&[("grant_type", BEARER), ("assertion", token), ("scope", "deploy")])
    }

    fn runai(&self, token: &str) -> Answer {
        let body = json!({"grantType": "external_token_exchange", "externalToken": token}).to_string();
        self.server.http.call("POST", "/api/v1/token", &[("content-type", "application/json")], Some(body.as_bytes()))
    }

    /// Refused on the three wires, each with the reason in the log, and in the dry run.
    #[track_caller]
    fn refuses(&self, token: &str, reason: &str) {
        let logged = || {
            self.server
                .stderr()
                .lines()
                .filter(|line| line.contains("grantd::refused") && line.contains(reason))
                .count()
        };
        let before = logged();
        assert_eq!(self.exchange(token).expect(400).json()["error"], "invalid_request", "{reason}");
        assert_eq!(self.bearer(token).expect(400).json()["error"], "invalid_grant", "{reason}");
        assert_eq!(self.runai(token).expect(400).json()["code"], 400, "{reason}");
        until("the log says why", Duration::from_secs(5), || logged() >= before + 3);
        let body = json!({"token": token, "client_id": self.client.0});
        let tried = self.api.post(&format!("{}/test", self.rows), &body).expect(200);
        let (tried, (check, detail)) = (tried.json(), reason.split_once(": ").unwrap_or(("", reason)));
        assert_eq!(tried["accepted"], false, "{tried}");
        let said =
            tried["rows"].as_array().unwrap().iter().flat_map(|row| row["checks"].as_array().unwrap()).any(|said| {
                let is_it = check.is_empty() || said["name"] == check;
                is_it && said["outcome"] == "failed" && said["detail"].as_str().unwrap().contains(detail)
            });
        assert!(said || tried["reason"].as_str().unwrap().contains(detail), "{reason}: {tried:#}");
    }
}

on_each! {
    fn tokens_of_a_real_identity_provider_are_exchanged_and_bad_ones_are_refused_with_their_reason(setting: Setting) {
        let Setting { server, api, idp, client, rows, proxy, .. } = &setting;
        let token = || idp.token("ci-main", AUDIENCE);
        assert_eq!(setting.exchange(&token()).status, 400, "nobody is trusted yet");
        let row = setting.trust(&json!({}));
        let path = format!("{rows}/{row}");

        // Good on the three wires, and the same person on each.
        let exchanged = setting.exchange(&token()).expect(200);
        let bearer = setting.bearer(&token()).expect(200);
        let runai = setting.runai(&token()).expect(200);
        let subject = |jwt: &str| decoded(jwt).1["sub"].clone();
        let sub = subject(&exchanged.text_of("access_token"));
        assert_eq!((&sub, &sub), (&subject(&bearer.text_of("access_token")), &subject(&runai.text_of("accessToken"))));
        assert!(api.is_active(&exchanged.text_of("access_token")));
        let (ours, theirs) = (decoded(&exchanged.text_of("access_token")).1, decoded(&token()).1);
        assert!(ours["exp"].as_i64().unwrap() <= theirs["exp"].as_i64().unwrap(), "{ours}");
        assert_eq!(ours["scope"], "deploy");

        let claims = theirs;
        let with = |name: &str, value: Value| {
            let mut claims = claims.clone();
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value,
            }
            claims
        };
        let now = claims["iat"].as_i64().unwrap();
        setting.refuses(&idp.signed(json!({}), &claims, true), "signature: the signature is wrong");
        setting.refuses(&idp.signed(json!({"kid": "new"}), &claims, false), "keys: no published key");
        setting.refuses(&idp.signed(json!({}), &with("exp", json!(now - 60)), false), "expiry: expired");
        setting.refuses(&idp.signed(json!({}), &with("exp", Value::Null), false), "expiry: exp is missing");
        setting.refuses(&idp.token("ci-main", "https://elsewhere.example"), "audience: aud has none");
        setting.refuses(&idp.token("ci-other", AUDIENCE), "condition: groups like");
        let unsigned = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(claims.to_string()));
        setting.refuses(&unsigned, "algorithm: the algorithm does not stand in algorithms");
        let shared = Signer::es256().sign(&json!({"alg": "HS256", "kid": "own"}), &claims);
        setting.refuses(&shared, "algorithm: the algorithm does not stand in algorithms");

        // A client that is not named.
        api.patch(&path, &json!({"clients": []})).expect(200);
        setting.refuses(&token(), "client: the client does not stand in clients");
        api.patch(&path, &json!({"clients": [client.0, "runai"]})).expect(200);

        // Two rows that both accept.
        let second = setting.trust(&json!({}));
        setting.refuses(&token(), "ambiguous");
        api.delete(&format!("{rows}/{second}")).expect(204);

        // A token that works once.
        api.patch(&path, &json!({"require_jti": true})).expect(200);
        let once = token();
        setting.exchange(&once).expect(200);
        setting.refuses(&once, "replay: the token was used before");

        // A provider that cannot be reached any more: known keys go on, unknown ones are refused.
        assert!(problem(&api.post(rows, &json!({"issuer": "http://192.168.0.1", "audiences": ["a"]})), 422) == ["/issuer"]);
        let last = token();
        assert!(proxy.asked().is_empty(), "a proxy variable is not followed");
        setting.exchange(&last).expect(200);
        assert!(!server.stderr().contains(&once), "no token in the log");
    }
}
