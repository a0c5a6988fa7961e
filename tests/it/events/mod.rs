//! What happened and why: audit events, webhooks, explanations.

mod audit;
mod bounds;
mod explain;
mod flood;
mod laws;
mod webhooks;

use serde_json::{Value, json};

use crate::support::app::TestApp;

/// The items of a list, which must be answered.
pub async fn items(app: &TestApp, path: &str) -> Vec<Value> {
    let answer = app.admin("GET", path).send().await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()["items"].as_array().unwrap().clone()
}

/// The actions of the events that a query gives, newest first.
pub async fn actions(app: &TestApp, query: &str) -> Vec<String> {
    let events = items(app, &format!("/events?{query}")).await;
    events.iter().map(|event| event["action"].as_str().unwrap().to_owned()).collect()
}

/// An admin key that is bound to a provider.
pub async fn admin_of(app: &TestApp, provider: &str) -> String {
    app.api_key(json!({"role": "admin", "name": provider, "provider": provider})).await
}
