//! A one-time token is good once.

use serde_json::{Value, json};

use crate::mint::{member, mint, minted};
use crate::support::app::{TestApp, TestClient, on_both_apps};

async fn one_time(app: &TestApp, key: &str) -> String {
    minted(app, key, json!({"one_time": true, "ttl_seconds": 600, "claims": {"room": 7}})).await
}

async fn used(app: &TestApp, key: &str, token: &str, use_id: &str) -> Value {
    let answer = app.post("/oauth2/introspect").form(&[("token", token), ("use_id", use_id)]).bearer(key).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn by_client(app: &TestApp, client: &TestClient, token: &str) -> Value {
    let call = app.post("/oauth2/introspect").form(&[("token", token)]).basic(&client.id, &client.secret);
    call.send().await.json()
}

on_both_apps! {
    async fn the_first_introspection_tells_all_and_the_next_nothing(app: TestApp) {
        let key = member(&app, json!({})).await;
        let answer = mint(&app, &key, json!({"one_time": true, "ttl_seconds": 60, "scope": "a", "claims": {"room": 7}})).await;
        assert_eq!(answer.json()["one_time"], true);
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        assert!(token.starts_with("ga_"), "sealed, so that nobody can accept it without asking");
        let said = app.introspected(&token).await;
        assert_eq!((&said["active"], &said["one_time"], &said["room"]), (&json!(true), &json!(true), &json!(7)));
        for _ in 0..3 {
            assert_eq!(app.introspected(&token).await, json!({"active": false}));
        }
        let node = app.second_node().await;
        assert!(!node.is_active(&token).await, "nor at another node");
    }

    async fn it_is_sealed_whatever_the_format_of_the_client(app: TestApp) {
        for format in ["jwt", "opaque"] {
            let client = app.client(json!({"may_mint": true, "access_token_format": format})).await;
            let call = app.post("/oauth2/mint").basic(&client.id, &client.secret).json(&json!({"one_time": true}));
            assert!(call.send().await.json()["access_token"].as_str().unwrap().starts_with("ga_"));
        }
    }

    async fn one_who_may_not_see_it_does_not_spend_it(app: TestApp) {
        let key = member(&app, json!({"audience": ["https://api.example"]})).await;
        let token = one_time(&app, &key).await;
        let stranger = app.client(json!({})).await;
        let elsewhere = app.client(json!({"resource_server": true, "resources": ["https://other.example"]})).await;
        let server = app.client(json!({"resource_server": true, "resources": ["https://api.example"]})).await;
        for client in [&stranger, &elsewhere] {
            assert_eq!(by_client(&app, client, &token).await, json!({"active": false}));
        }
        assert_eq!(by_client(&app, &server, &token).await["active"], true);
        assert_eq!(by_client(&app, &server, &token).await["active"], false);
    }

    async fn a_revoked_or_expired_one_is_not_spent_but_dead(app: TestApp) {
        let key = member(&app, json!({})).await;
        let token = one_time(&app, &key).await;
        app.post("/oauth2/revoke").form(&[("token", &token)]).bearer(&key).send().await;
        assert!(!app.is_active(&token).await);
        let token = one_time(&app, &key).await;
        app.pass(600);
        assert!(!app.is_active(&token).await);
        let spent = app.rows().await.into_iter().find(|(table, _)| *table == "spent_tokens").unwrap();
        assert_eq!(spent.1, 0);
    }

    async fn the_same_use_of_the_same_caller_may_be_repeated_for_ten_seconds(app: TestApp) {
        let (key, other) = (member(&app, json!({})).await, member(&app, json!({})).await);
        let token = one_time(&app, &key).await;
        let first = used(&app, &key, &token, "u1").await;
        assert_eq!(first["active"], true);
        app.pass(9);
        assert_eq!(used(&app, &key, &token, "u1").await, first, "the same answer from the same row");
        for (key, use_id) in [(&key, "u2"), (&other, "u1"), (&key, "U1"), (&key, "")] {
            assert_eq!(used(&app, key, &token, use_id).await["active"], false, "{use_id}");
        }
        app.pass(1);
        assert_eq!(used(&app, &key, &token, "u1").await["active"], false, "ten seconds are over");
    }

    async fn a_use_without_an_id_cannot_be_repeated(app: TestApp) {
        let key = member(&app, json!({})).await;
        let token = one_time(&app, &key).await;
        assert_eq!(used(&app, &key, &token, "").await["active"], true);
        for use_id in ["", "u1"] {
            assert_eq!(used(&app, &key, &token, use_id).await["active"], false);
        }
    }

    async fn a_use_id_is_bounded(app: TestApp) {
        let key = member(&app, json!({})).await;
        let token = one_time(&app, &key).await;
        let long = app.post("/oauth2/introspect").form(&[("token", &token), ("use_id", &"x".repeat(65))]).bearer(&key);
        assert_eq!(long.send().await.refusal(), (400, "invalid_request".to_owned()));
        assert_eq!(used(&app, &key, &token, &"ä".repeat(64)).await["active"], true, "it was not spent by the refusal");
    }

    async fn a_use_is_forgotten_an_hour_after_the_token_expired_and_not_before(app: TestApp) {
        let key = member(&app, json!({})).await;
        let token = one_time(&app, &key).await;
        assert!(app.is_active(&token).await);
        let rows = async || app.rows().await.into_iter().find(|(table, _)| *table == "spent_tokens").unwrap().1;
        for (pass, left) in [(600, 1), (3599, 1), (1, 0)] {
            app.pass(pass);
            grantd::store::cleanup::tick(app.engine.db(), app.context().now, app.context().deadline).await.unwrap();
            assert_eq!(rows().await, left, "{pass}");
            assert!(!app.is_active(&token).await);
        }
    }
}
