//! Ephemeral and one-time tokens at `/oauth2/mint` and by the admin call.

mod abuse;
mod bounds;
mod one_time;
mod tokens;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::http::Answer;

/// What `/oauth2/mint` says to the holder of a bearer credential.
async fn mint(app: &TestApp, key: &str, wanted: Value) -> Answer {
    app.post("/oauth2/mint").bearer(key).json(&wanted).send().await
}

/// A token that must be granted.
async fn minted(app: &TestApp, key: &str, wanted: Value) -> String {
    let answer = mint(app, key, wanted).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

async fn member(app: &TestApp, more: Value) -> String {
    let mut fields = json!({"role": "member"});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.api_key(fields).await
}

/// Header and payload of a JWT, not verified.
fn read(jwt: &str) -> (Value, Value) {
    let part = |at: usize| {
        let text = jwt.split('.').nth(at).unwrap_or_else(|| panic!("{jwt} is not a JWT"));
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    };
    (part(0), part(1))
}
