//! Deepgram on its own wire.

use serde_json::json;

use crate::support::app::TestApp;
use crate::support::http::Answer;

mod grant;
mod keys;
mod projects;

/// Status and code of a refusal, which must have the shape of this API.
#[track_caller]
fn refused(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().len(), 3, "{body}");
    assert_eq!(body["request_id"], json!(answer.header("x-request-id")), "{body}");
    assert!(body["err_msg"].as_str().is_some_and(|text| text.ends_with('.')), "{body}");
    (answer.status, body["err_code"].as_str().unwrap().to_owned())
}

fn code(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

async fn key(app: &TestApp, role: &str) -> String {
    app.api_key(json!({"role": role})).await
}

/// A token of `POST /v1/auth/grant` by this key.
async fn granted(app: &TestApp, key: &str) -> String {
    let answer = app.post("/v1/auth/grant").header("authorization", &format!("Token {key}")).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["access_token"].as_str().unwrap().to_owned()
}
