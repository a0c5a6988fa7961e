//! Minted tokens: those that only read, and those that are good for one use.

use serde_json::{Value, json};

use crate::forward_auth::{GATE, INSUFFICIENT, INVALID, gateway, passed, stopped};
use crate::support::app::{ISSUER, Setup, TestApp, on_both_apps};
use crate::support::http::Answer;

/// An ephemeral token of the owner key, for provider `default`.
async fn minted(app: &TestApp, wish: Value) -> String {
    let answer = app.post("/oauth2/mint").json(&wish).bearer(&app.first.owner_key).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

async fn once(app: &TestApp) -> String {
    minted(app, json!({"one_time": true, "ttl_seconds": 60, "scope": "orders:read"})).await
}

async fn at_gate(app: &TestApp, method: &str, token: &str) -> Answer {
    gateway(app, method, GATE).bearer(token).send().await
}

async fn rows(app: &TestApp, table: &str) -> i64 {
    app.rows().await.into_iter().find(|(name, _)| *name == table).expect("a table").1
}

fn sentence(answer: &Answer) -> String {
    answer.json()["error_description"].as_str().unwrap_or_default().to_owned()
}

on_both_apps! {
    async fn a_token_that_only_reads_passes_reading_methods_only(app: TestApp) {
        let readonly = minted(&app, json!({"access": "readonly", "scope": "orders:read"})).await;
        for method in ["GET", "HEAD", "OPTIONS"] {
            let answer = at_gate(&app, method, &readonly).await;
            assert_eq!(passed(&answer)[2], "orders:read", "{method}");
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "get", "Head", "TRACE", "CONNECT", "PROPFIND", "REPORT"] {
            let answer = at_gate(&app, method, &readonly).await;
            assert_eq!(stopped(&answer), INSUFFICIENT, "{method}");
            assert!(sentence(&answer).contains("reading only"), "{}", answer.text());
        }
        let readwrite = minted(&app, json!({"access": "readwrite"})).await;
        for method in ["GET", "POST", "PROPFIND"] {
            passed(&at_gate(&app, method, &readwrite).await);
        }
    }

    async fn without_a_method_that_is_believed_a_token_that_only_reads_gets_a_sentence(app: TestApp) {
        let readonly = minted(&app, json!({"access": "readonly"})).await;
        let unsaid = app.get(GATE).at_address("127.0.0.1").bearer(&readonly);
        let stranger = app.get(GATE).header("x-forwarded-method", "GET").bearer(&readonly);
        let behind = app.get(GATE).header("x-forwarded-for", "127.0.0.1").header("x-forwarded-method", "GET").bearer(&readonly);
        let two = gateway(&app, "GET", GATE).header("x-forwarded-method", "POST").bearer(&readonly);
        let both = gateway(&app, "GET, POST", GATE).bearer(&readonly);
        for call in [unsaid, stranger, behind, two, both] {
            let answer = call.send().await;
            assert_eq!(stopped(&answer), INSUFFICIENT);
            assert!(sentence(&answer).contains("did not say"), "{}", answer.text());
        }
        // Other tokens do not need to be told apart.
        let readwrite = minted(&app, json!({"access": "readwrite"})).await;
        passed(&app.get(GATE).bearer(&readwrite).send().await);
        passed(&app.get(GATE).bearer(&minted(&app, json!({})).await).send().await);
    }

    async fn where_the_call_is_the_request_its_own_method_is_judged(app: TestApp) {
        let envoy = TestApp::start_as(app.kind, Setup { forward_auth_method: "request", ..Setup::default() }).await;
        let readonly = minted(&envoy, json!({"access": "readonly"})).await;
        for method in ["GET", "HEAD", "OPTIONS"] {
            passed(&envoy.call(method, "/forward-auth/orders?x=1").bearer(&readonly).send().await);
        }
        for method in ["POST", "DELETE", "PROPFIND"] {
            let call = envoy.call(method, "/forward-auth/orders").at_address("127.0.0.1");
            let answer = call.header("x-forwarded-method", "GET").bearer(&readonly).send().await;
            assert_eq!(stopped(&answer), INSUFFICIENT, "{method}");
        }
    }

    async fn a_one_time_token_passes_once(app: TestApp) {
        let token = once(&app).await;
        assert!(token.starts_with("ga_"));
        assert_eq!(rows(&app, "spent_tokens").await, 0, "minting writes nothing");
        let answer = at_gate(&app, "POST", &token).await;
        let [subject, client, scope, id] = passed(&answer);
        assert_eq!((scope, id.len(), subject), ("orders:read", 36, client));
        for method in ["POST", "GET", "HEAD"] {
            assert_eq!(stopped(&at_gate(&app, method, &token).await), INVALID, "{method}");
        }
        assert!(!app.is_active(&token).await);
        assert_eq!(rows(&app, "spent_tokens").await, 1);
        // Another node has never seen it, and asks.
        let other = app.second_node().await;
        assert_eq!(stopped(&at_gate(&other, "GET", &token).await), INVALID);
        let token = once(&app).await;
        passed(&at_gate(&other, "GET", &token).await);
        assert_eq!(stopped(&at_gate(&app, "GET", &token).await), INVALID);
        // Whoever introspects has used it.
        let token = once(&app).await;
        assert!(app.is_active(&token).await);
        assert_eq!(stopped(&at_gate(&app, "GET", &token).await), INVALID);
    }

    async fn what_is_refused_and_what_asks_first_spends_nothing(app: TestApp) {
        let token = minted(&app, json!({"one_time": true, "access": "readonly", "scope": "orders:read"})).await;
        for (method, path, expected) in [
            ("GET", "/forward-auth?audience=https://other.example", INVALID),
            ("GET", "/forward-auth?scope=orders:write", INSUFFICIENT),
            ("POST", GATE, INSUFFICIENT),
            ("DELETE", "/forward-auth?scope=orders:read", INSUFFICIENT),
        ] {
            assert_eq!(stopped(&gateway(&app, method, path).bearer(&token).send().await), expected, "{method} {path}");
        }
        assert_eq!(stopped(&app.get(GATE).bearer(&token).send().await), INSUFFICIENT, "no method");
        assert_eq!(gateway(&app, "GET", "/forward-auth?scope=%22").bearer(&token).send().await.status, 400);
        assert_eq!(gateway(&app, "GET", "/p/nobody/forward-auth").bearer(&token).send().await.status, 404);
        for _ in 0..3 {
            passed(&gateway(&app, "OPTIONS", "/forward-auth?preflight=1").bearer(&token).send().await);
        }
        assert_eq!(rows(&app, "spent_tokens").await, 0);
        passed(&gateway(&app, "GET", &format!("{GATE}?scope=orders:read&audience={ISSUER}")).bearer(&token).send().await);
        // What is spent is no token any more, for a preflight either.
        for method in ["GET", "OPTIONS"] {
            let answer = gateway(&app, method, "/forward-auth?preflight=1").bearer(&token).send().await;
            assert_eq!(stopped(&answer), INVALID, "{method}");
        }
    }

    async fn a_revoked_or_expired_one_time_token_is_not_spent_but_dead(app: TestApp) {
        let (revoked, late) = (once(&app).await, once(&app).await);
        let call = app.post("/oauth2/revoke").form(&[("token", &revoked)]);
        assert_eq!(call.bearer(&app.first.owner_key).send().await.status, 200);
        assert_eq!(stopped(&at_gate(&app, "GET", &revoked).await), INVALID);
        app.pass(60);
        assert_eq!(stopped(&at_gate(&app, "GET", &late).await), INVALID);
        assert_eq!(rows(&app, "spent_tokens").await, 0);
    }

    async fn a_key_that_is_gone_takes_its_tokens_along(app: TestApp) {
        let made = app.admin("POST", "/api-keys").json(&json!({"role": "member"})).send().await.json();
        let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
        for one_time in [false, true] {
            let wish = json!({"one_time": one_time});
            let answer = app.post("/oauth2/mint").json(&wish).bearer(key).send().await.json();
            let token = answer["access_token"].as_str().unwrap().to_owned();
            if one_time {
                assert_eq!(app.admin("DELETE", &format!("/api-keys/{id}")).send().await.status, 204);
                assert_eq!(stopped(&at_gate(&app, "GET", &token).await), INVALID);
            } else {
                let answer = at_gate(&app, "GET", &token).await;
                assert_eq!(passed(&answer)[..2], [id, id]);
            }
        }
    }

    async fn a_spent_token_is_remembered_for_an_hour_beyond_its_end(app: TestApp) {
        let token = once(&app).await;
        passed(&at_gate(&app, "GET", &token).await);
        app.pass(60 + 3600 - 1);
        app.engine.clean_up(grantd::domain::Wall::now(&app.wall)).await.unwrap();
        assert_eq!(rows(&app, "spent_tokens").await, 1);
        app.pass(2);
        app.engine.clean_up(grantd::domain::Wall::now(&app.wall)).await.unwrap();
        assert_eq!(rows(&app, "spent_tokens").await, 0);
        assert_eq!(stopped(&at_gate(&app, "GET", &token).await), INVALID);
    }
}
