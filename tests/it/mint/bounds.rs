//! Lifetimes on both sides of each bound, and bodies that cannot be read.

use serde_json::{Value, json};

use crate::mint::{member, mint, read};
use crate::support::app::{TestApp, on_both_apps};
use crate::support::http::{JSON, refused};

async fn lifetime(app: &TestApp, key: &str, ttl: Value) -> Result<i64, (u16, String)> {
    let answer = mint(app, key, json!({ "ttl_seconds": ttl })).await;
    if answer.status != 200 {
        return Err(answer.refusal());
    }
    let said = answer.json();
    let (_, claims) = read(said["access_token"].as_str().unwrap());
    assert_eq!(claims["exp"].as_i64().unwrap() - app.now(), said["expires_in"].as_i64().unwrap());
    Ok(said["expires_in"].as_i64().unwrap())
}

fn bad() -> Result<i64, (u16, String)> {
    Err(refused(400, "invalid_request"))
}

on_both_apps! {
    async fn what_is_asked_beyond_a_bound_is_refused_and_what_is_usual_is_capped(app: TestApp) {
        let key = member(&app, json!({})).await;
        for (ttl, expected) in [
            (json!(1), Ok(1)), (json!(1.9), Ok(1)), (json!(1_209_600), Ok(1_209_600)), (json!(null), Ok(3600)),
            (json!(1_209_601), bad()), (json!(0), bad()), (json!(-1), bad()), (json!(0.5), bad()), (json!("60"), bad()),
            (json!(true), bad()), (json!(1e300), bad()), (json!(9_223_372_036_854_775_807_i64), bad()),
        ] {
            assert_eq!(lifetime(&app, &key, ttl.clone()).await, expected, "{ttl}");
        }
        let short = member(&app, json!({"max_ttl": 60})).await;
        assert_eq!(lifetime(&app, &short, json!(60)).await, Ok(60));
        assert_eq!(lifetime(&app, &short, json!(61)).await, bad());
        assert_eq!(lifetime(&app, &short, json!(null)).await, Ok(60));
        let ending = member(&app, json!({"expires_at": grantd::admin::wire::time(app.now() + 100)})).await;
        assert_eq!(lifetime(&app, &ending, json!(101)).await, bad());
        assert_eq!(lifetime(&app, &ending, json!(null)).await, Ok(100), "no token outlives the key");
        app.admin("PATCH", "/providers/default").json(&json!({"max_ttl": 3600})).send().await;
        assert_eq!(lifetime(&app, &key, json!(3601)).await, bad());
        assert_eq!(lifetime(&app, &key, json!(3600)).await, Ok(3600));
    }

    async fn a_clients_own_bound_holds_for_its_ordinary_tokens_too(app: TestApp) {
        let client = app.client(json!({"may_mint": true, "max_ttl": 120})).await;
        let call = |ttl| app.post("/oauth2/mint").basic(&client.id, &client.secret).json(&json!({"ttl_seconds": ttl})).send();
        assert_eq!((call(120).await.status, call(121).await.status), (200, 400));
        let answer = app.post("/oauth2/token").form(&[("grant_type", "client_credentials")]).basic(&client.id, &client.secret);
        assert_eq!(answer.send().await.json()["expires_in"], 120);
    }

    async fn a_body_that_cannot_be_read_is_answered_in_the_form_of_rfc_6749(app: TestApp) {
        let key = member(&app, json!({})).await;
        let call = |media: &str, body: &str| app.post("/oauth2/mint").bearer(&key).body(media, body).send();
        for (media, body) in [
            (JSON, "{"), (JSON, "[]"), (JSON, "null"), (JSON, "7"), (JSON, r#"{"scope":"a","scope":"b"}"#), (JSON, "\u{feff}{}"),
            (JSON, r#"{"one_time":"yes"}"#), (JSON, r#"{"audience":{}}"#), (JSON, r#"{"claims":[]}"#), (JSON, r#"{"typ":"id"}"#),
            (JSON, r#"{"access":"all"}"#), (JSON, r#"{"subject":7}"#), (JSON, r#"{"one_tme":true}"#),
            ("text/plain", "{}"), ("", "{}"), ("application/x-www-form-urlencoded", "ttl_seconds=5"),
        ] {
            let answer = call(media, body).await;
            assert_eq!(answer.refusal(), refused(400, "invalid_request"), "{body}");
            assert!(!answer.text().contains("one_tme"), "input is not told back");
        }
        assert_eq!(call(JSON, r#"{"scope":"a\"b"}"#).await.refusal().1, "invalid_scope");
        let deep = format!("{{\"claims\":{{\"a\":{}1{}}}}}", "[".repeat(200), "]".repeat(200));
        assert_eq!(call(JSON, &deep).await.status, 400);
        assert_eq!(app.get("/oauth2/mint").bearer(&key).send().await.status, 405);
        let nobody = app.post("/oauth2/mint").json(&json!({})).send().await;
        assert_eq!(nobody.refusal(), refused(401, "invalid_client"));
    }
}
