//! UseGrant as its published client uses it: [`Sdk`] sends what that client's sources send, and holds
//! every answer against the schema that the client holds it against.

mod abuse;
mod domains;
mod management;
mod tenants;
mod tokens;
mod validation;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::app::TestApp;
use crate::support::http::Answer;

const TIMES: [(&str, &str); 2] = [("createdAt", "string"), ("updatedAt", "string")];
const PROVIDER: [(&str, &str); 3] = [("id", "string"), ("name", "string"), ("description", "string")];
const CLIENT: [(&str, &str); 3] = [("id", "string"), ("name", "string"), ("audience", "string")];
const DOMAIN: [(&str, &str); 3] = [("id", "string"), ("domain", "string"), ("verified", "boolean")];
const TENANT: [(&str, &str); 3] = PROVIDER;
const TENANT_PROVIDER: [(&str, &str); 5] = [
    ("id", "string"),
    ("url", "string"),
    ("fingerprints", "array"),
    ("audience", "string"),
    ("earliestIssuanceTimeAllowed", "number"),
];
const POLICY: [(&str, &str); 5] =
    [("id", "string"), ("name", "string"), ("description", "string"), ("audience", "string"), ("conditions", "array")];
const TOKEN: [(&str, &str); 3] = [("accessToken", "string"), ("expiresAt", "string"), ("type", "string")];

/// A certificate's digest that no server has.
pub const FINGERPRINT: &str = "990F4193972F2BECF12DDEDA5237F9C952F20D9E";
pub const AUDIENCE: &str = "sts.example.com";

/// The published client with one API key.
#[derive(Clone)]
pub struct Sdk<'a> {
    pub app: &'a TestApp,
    key: String,
    /// `""`, or `/p/<slug>`.
    base: String,
}

impl<'a> Sdk<'a> {
    /// With the owner key.
    pub fn of(app: &'a TestApp) -> Self {
        Self::with(app, &app.first.owner_key)
    }

    pub fn with(app: &'a TestApp, key: &str) -> Self {
        Self { app, key: key.to_owned(), base: String::new() }
    }

    pub fn below(&self, slug: &str) -> Self {
        Self { base: format!("/p/{slug}"), ..self.clone() }
    }

    /// A key of this role, bound to a provider or to none, in this client.
    pub async fn of_role(app: &'a TestApp, role: &str, provider: Option<&str>) -> Self {
        let mut fields = json!({"name": "sdk", "role": role});
        if let Some(provider) = provider {
            fields["provider"] = json!(provider);
        }
        Self::with(app, &app.api_key(fields).await)
    }

    pub async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let call = self.app.call(method, &format!("{}/v1/{path}", self.base));
        let call = call.header("authorization", &format!("Bearer {}", self.key)).header("accept", "application/json");
        match body {
            Some(body) => call.body("application/json", body.to_string()).send().await,
            None => call.send().await,
        }
    }

    async fn made(&self, path: &str, body: Value, schema: &[(&str, &str)]) -> Value {
        let answer = self.send("POST", path, Some(&body)).await;
        assert_eq!(answer.status, 201, "POST {path}: {}", answer.text());
        checked(answer.json(), schema)
    }

    pub async fn get(&self, path: &str, schema: &[(&str, &str)]) -> Value {
        let answer = self.send("GET", path, None).await;
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.text());
        checked(answer.json(), schema)
    }

    /// A list is a bare array.
    pub async fn list(&self, path: &str, schema: &[(&str, &str)]) -> Vec<Value> {
        let answer = self.send("GET", path, None).await;
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.text());
        let Value::Array(items) = answer.json() else { panic!("{path}: not an array: {}", answer.text()) };
        items.into_iter().map(|item| checked(item, schema)).collect()
    }

    /// The client wants an empty text back.
    pub async fn delete(&self, path: &str) {
        let answer = self.send("DELETE", path, None).await;
        assert_eq!((answer.status, answer.text().as_str()), (204, ""), "DELETE {path}");
    }

    /// Status, `code` and `message` of a refusal, which has no other member.
    pub async fn refused(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, String, String) {
        refusal(&self.send(method, path, body).await)
    }

    pub async fn provider(&self, name: &str) -> Value {
        self.made("providers", json!({"name": name, "description": "Made by a test"}), &PROVIDER).await
    }

    pub async fn client(&self, provider: &Value, audience: &str) -> Value {
        let path = format!("providers/{}/clients", text(provider, "id"));
        self.made(&path, json!({"name": "A workload", "audience": audience}), &CLIENT).await
    }

    /// What `createToken` sends; the answer.
    pub async fn token_answer(&self, provider: &Value, client: &Value, ask: Value) -> Answer {
        let path = format!("providers/{}/clients/{}/tokens", text(provider, "id"), text(client, "id"));
        self.send("POST", &path, Some(&ask)).await
    }

    pub async fn token(&self, provider: &Value, client: &Value, ask: Value) -> Value {
        let answer = self.token_answer(provider, client, ask).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let token = answer.json();
        has(&token, &TOKEN);
        assert_eq!(token["type"], "Bearer");
        token
    }

    /// What introspection at the provider says of a token.
    pub async fn is_active(&self, provider: &Value, token: &str) -> bool {
        let call = self.app.post(&format!("/p/{}/oauth2/introspect", slug(provider))).form(&[("token", token)]);
        let answer = call.bearer(&self.app.first.owner_key).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["active"] == json!(true)
    }

    pub async fn tenant(&self) -> Value {
        self.made("tenants", json!({"name": "A customer", "description": "Of ours"}), &TENANT).await
    }

    pub async fn tenant_provider(&self, tenant: &Value, url: &str) -> Value {
        let path = format!("tenants/{}/providers", text(tenant, "id"));
        self.made(&path, tenant_provider(url), &TENANT_PROVIDER).await
    }

    pub async fn policy(&self, tenant: &Value, provider: &Value, conditions: Value) -> Value {
        let path = format!("tenants/{}/providers/{}/policies", text(tenant, "id"), text(provider, "id"));
        self.made(&path, policy(conditions), &POLICY).await
    }

    pub async fn validate(&self, tenant: &Value, policy: &Value, token: &str) -> Answer {
        let body = json!({"tenantProviderPolicyId": policy["id"], "token": token});
        self.send("POST", &format!("tenants/{}/validate", text(tenant, "id")), Some(&body)).await
    }
}

pub fn tenant_provider(url: &str) -> Value {
    let fingerprints = [FINGERPRINT];
    json!({"url": url, "fingerprints": fingerprints, "audience": AUDIENCE, "earliestIssuanceTimeAllowed": 12})
}

pub fn policy(conditions: Value) -> Value {
    json!({"name": "Deploys", "description": "Who may deploy", "audience": AUDIENCE, "conditions": conditions})
}

/// `{"key": …, "operator": …, "value": …}`
pub fn condition(key: &str, operator: &str, value: &str) -> Value {
    json!({"key": key, "operator": operator, "value": value})
}

pub fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("{value} has no text {name}"))
}

/// The slug at the end of an issuer.
pub fn slug(provider: &Value) -> &str {
    text(provider, "issuer").rsplit_once("/p/").expect("no issuer below the public URL").1
}

pub fn refusal(answer: &Answer) -> (u16, String, String) {
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
    (answer.status, text(&body, "code").to_owned(), text(&body, "message").to_owned())
}

fn checked(value: Value, schema: &[(&str, &str)]) -> Value {
    has(&value, schema);
    has(&value, &TIMES);
    for (name, _) in TIMES {
        assert!(OffsetDateTime::parse(text(&value, name), &Rfc3339).is_ok(), "{value}");
    }
    value
}

fn has(value: &Value, schema: &[(&str, &str)]) {
    for (name, kind) in schema {
        let member = &value[*name];
        let fits = match *kind {
            "string" => member.is_string(),
            "array" => member.is_array(),
            "boolean" => member.is_boolean(),
            _ => member.is_number(),
        };
        assert!(fits, "{name} is no {kind}: {value}");
    }
}
