//! Trusted issuers: whose tokens are exchanged, for what, and why not.

mod admin;
mod backchannel;
mod believed;
mod bounds;
mod exchange;
mod jwks_uri;
mod people;
mod refusals;

use serde_json::{Value, json};

use crate::support::app::{TestApp, TestClient};
use crate::support::http::Answer;
use crate::support::jose::Signer;

pub const IDP: &str = "https://idp.example.com";
pub const AUDIENCE: &str = "https://grantd.example.com";
pub const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub const BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
pub const ROWS: &str = "/providers/default/trusted-issuers";

/// An issuer of somebody else, trusted at provider `default`, and a client that may hand its tokens
/// in.
pub struct Trust<'a> {
    pub app: &'a TestApp,
    pub signer: Signer,
    pub client: TestClient,
    pub row: String,
}

impl<'a> Trust<'a> {
    /// `rules` beside issuer, keys, audiences and the client; accounts are made as needed.
    pub async fn on(app: &'a TestApp, rules: Value) -> Self {
        let client = app.client(exchanging()).await;
        let signer = Signer::es256();
        let row = add(app, &signer, &client, rules).await;
        Self { app, signer, client, row }
    }

    pub fn claims(&self, subject: &str) -> Value {
        let now = self.app.now();
        json!({"iss": IDP, "sub": subject, "aud": AUDIENCE, "iat": now, "exp": now + 600})
    }

    pub fn signed(&self, claims: &Value) -> String {
        self.signer.sign(&json!({"alg": "ES256", "kid": "k1"}), claims)
    }

    pub fn token(&self, subject: &str, more: Value) -> String {
        let mut claims = self.claims(subject);
        merge(&mut claims, more);
        self.signed(&claims)
    }

    pub async fn exchange(&self, token: &str) -> Answer {
        exchange(self.app, &self.client, token, &[]).await
    }

    /// The `sub` of what a token is exchanged for.
    pub async fn subject_for(&self, token: &str) -> String {
        let answer = self.exchange(token).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        self.app.introspected(&token).await["sub"].as_str().unwrap().to_owned()
    }

    pub async fn change(&self, rules: Value) {
        let answer = self.app.admin("PATCH", &format!("{ROWS}/{}", self.row)).json(&rules).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// The fields of a client that may exchange tokens in both forms.
pub fn exchanging() -> Value {
    json!({
        "grant_types": ["client_credentials", "refresh_token", EXCHANGE, BEARER],
        "scope": "openid profile email offline_access orders:read orders:write",
    })
}

/// Makes a row; its id. `Value::Null` in `rules` takes a field away.
pub async fn add(app: &TestApp, signer: &Signer, client: &TestClient, rules: Value) -> String {
    let mut fields = json!({
        "issuer": IDP,
        "jwks": {"keys": [signer.jwk("k1")]},
        "audiences": [AUDIENCE],
        "clients": [client.id],
        "provision": "jit",
    });
    merge(&mut fields, rules);
    let answer = app.admin("POST", ROWS).json(&fields).send().await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// RFC 8693 at the standard endpoint.
pub async fn exchange(app: &TestApp, client: &TestClient, token: &str, more: &[(&str, &str)]) -> Answer {
    let fields = [("grant_type", EXCHANGE), ("subject_token", token), ("subject_token_type", JWT)];
    let fields: Vec<_> = fields.into_iter().chain(more.iter().copied()).collect();
    app.as_client("", client, &fields).await
}

/// RFC 7523 at the standard endpoint.
pub async fn bearer(app: &TestApp, client: &TestClient, token: &str, more: &[(&str, &str)]) -> Answer {
    let fields = [("grant_type", BEARER), ("assertion", token)];
    let fields: Vec<_> = fields.into_iter().chain(more.iter().copied()).collect();
    app.as_client("", client, &fields).await
}

/// What a dry run says: accepted, and `name: detail` of every check that did not pass.
pub async fn tried(app: &TestApp, token: &str, client: Option<&str>) -> (bool, Vec<String>) {
    let mut fields = json!({"token": token});
    if let Some(client) = client {
        fields["client_id"] = json!(client);
    }
    let answer = app.admin("POST", &format!("{ROWS}/test")).json(&fields).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    let mut objections = Vec::new();
    for row in body["rows"].as_array().unwrap() {
        for check in row["checks"].as_array().unwrap() {
            if check["outcome"] == "failed" {
                objections.push(format!("{}: {}", check["name"].as_str().unwrap(), check["detail"].as_str().unwrap()));
            }
        }
    }
    if objections.is_empty() && body["accepted"] == json!(false) {
        objections.push(body["reason"].as_str().unwrap().to_owned());
    }
    (body["accepted"] == json!(true), objections)
}

fn merge(into: &mut Value, more: Value) {
    let Value::Object(more) = more else { return };
    for (name, value) in more {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(&name);
        } else {
            into[name.as_str()] = value;
        }
    }
}
