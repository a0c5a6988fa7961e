//! The life of secrets and keys: rotation with overlap, schedule, data keys that are announced.

mod api_key_secrets;
mod client_secrets;
mod data_keys;
mod overdue;
mod report;
mod signing_keys;

use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::http::Answer;

pub fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}")).to_owned()
}

/// A call of the owner that makes something.
async fn made(app: &TestApp, path: &str, body: Value) -> Value {
    let answer = app.admin("POST", path).json(&body).send().await;
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
    answer.json()
}

async fn listed(app: &TestApp, path: &str) -> Vec<Value> {
    let answer = app.admin("GET", path).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["items"].as_array().unwrap().clone()
}

/// A token request by client_id and secret.
async fn ask(app: &TestApp, id: &str, secret: &str) -> Answer {
    app.post("/oauth2/token").form(&[("grant_type", "client_credentials")]).basic(id, secret).send().await
}

/// What `/api-keys` says to this key.
async fn works(app: &TestApp, key: &str) -> bool {
    let answer = app.post("/oauth2/mint").bearer(key).json(&json!({})).send().await;
    assert!(matches!(answer.status, 200 | 401), "{}", answer.text());
    answer.status == 200
}

/// Every event with this action.
async fn events(app: &TestApp, action: &'static str) -> usize {
    let newest = app.job(|tx| grantd::store::events::newest(tx, 500)).await;
    newest.iter().filter(|event| event.action == action).count()
}
