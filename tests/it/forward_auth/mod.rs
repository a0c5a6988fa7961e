//! `/forward-auth`: what a gateway is told about the request in its hands.

mod envoy;
mod tokens;
mod verdicts;

use serde_json::json;

use crate::support::app::{TestApp, TestClient};
use crate::support::http::{Answer, Call};

pub const GATE: &str = "/forward-auth";
/// Of a gateway that is believed.
const PROXY: &str = "127.0.0.1";
const HEADERS: [&str; 4] = ["x-auth-subject", "x-auth-client", "x-auth-scope", "x-auth-token-id"];

/// A gateway on this machine asks about a request of this method.
pub fn gateway<'a>(app: &'a TestApp, method: &str, path: &str) -> Call<'a> {
    app.get(path).at_address(PROXY).header("x-forwarded-method", method)
}

/// A client whose tokens are for provider `default` and have these scopes.
pub async fn service(app: &TestApp) -> TestClient {
    app.client(json!({"scope": "orders:read orders:write"})).await
}

/// Subject, client, scope and token id as the application would see them; all of them are there.
#[track_caller]
pub fn passed(answer: &Answer) -> [&str; 4] {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.body.is_empty(), "{}", answer.text());
    HEADERS.map(|name| {
        assert_eq!(answer.headers.get_all(name).count(), 1, "{name}");
        answer.header(name)
    })
}

/// Status and challenge; a refusal names nobody and may not be kept.
#[track_caller]
pub fn stopped(answer: &Answer) -> (u16, &str) {
    assert_ne!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), "no-store");
    for name in HEADERS {
        assert!(!answer.headers.contains_key(name), "{name}");
    }
    (answer.status, answer.header("www-authenticate"))
}

pub const INVALID: (u16, &str) = (401, r#"Bearer error="invalid_token""#);
pub const MISSING: (u16, &str) = (401, "Bearer");
pub const INSUFFICIENT: (u16, &str) = (403, r#"Bearer error="insufficient_scope""#);
