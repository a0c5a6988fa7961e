//! What was taken away stays away: whatever the lifetimes become afterwards, and whatever a clock says.

mod ahead;
mod back;
mod history;
mod kept;

use serde_json::{Value, json};

use crate::support::app::TestApp;

pub const MINUTE: i64 = 60;
pub const HOUR: i64 = 3600;
pub const DAY: i64 = 86_400;

/// A one-time token of this API key.
async fn one_time(app: &TestApp, key: &str, seconds: i64) -> String {
    let wanted = json!({"one_time": true, "ttl_seconds": seconds});
    let answer = app.post("/oauth2/mint").bearer(key).json(&wanted).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

/// Whether the token is active for its owner, who may look at it more than once by a `use_id`.
async fn used_as(app: &TestApp, key: &str, token: &str, use_id: &str) -> bool {
    let answer = app.post("/oauth2/introspect").form(&[("token", token), ("use_id", use_id)]).bearer(key).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["active"] == json!(true)
}

async fn member(app: &TestApp) -> String {
    app.api_key(json!({"role": "member"})).await
}

async fn rows(app: &TestApp, table: &str) -> i64 {
    app.rows().await.into_iter().find(|(name, _)| *name == table).unwrap().1
}

async fn clean(app: &TestApp) {
    app.engine.clean_up(app.context().now).await.unwrap();
}

async fn set_lifetimes(app: &TestApp, longest: i64) {
    let fields: Value = json!({"max_ttl": longest, "access_token_ttl": longest});
    let answer = app.admin("PATCH", "/providers/default").json(&fields).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    app.poll().await;
}
