//! Secrets of clients, rotated.

use serde_json::{Value, json};

use super::{ask, events, listed, made, text};
use crate::support::app::{BEGIN, TestApp, TestClient, on_both_apps};

fn secrets(client: &TestClient) -> String {
    format!("/providers/default/clients/{}/secrets", client.id)
}

async fn rotated(app: &TestApp, client: &TestClient, body: Value) -> String {
    text(&made(app, &format!("{}/rotate", secrets(client)), body).await, "client_secret")
}

on_both_apps! {
    async fn the_old_secret_lives_on_for_the_overlap_and_no_longer(app: TestApp) {
        let client = app.client(json!({})).await;
        let answer = app.admin("POST", &format!("{}/rotate", secrets(&client))).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let body = answer.json();
        let location = answer.header("location").to_owned();
        assert_eq!(location, format!("/admin/v1{}/{}", secrets(&client), text(&body, "id")));
        assert_eq!(body["expires_at"], Value::Null);
        let new = text(&body, "client_secret");
        assert_eq!(events(&app, "client_secret.rotated").await, 1);
        for secret in [&client.secret, &new] {
            assert_eq!(ask(&app, &client.id, secret).await.status, 200);
        }
        app.pass(86_399);
        assert_eq!(ask(&app, &client.id, &client.secret).await.status, 200);
        app.pass(1);
        assert_eq!(ask(&app, &client.id, &client.secret).await.status, 401);
        assert_eq!(ask(&app, &client.id, &new).await.status, 200);
    }

    async fn every_other_secret_gets_the_end_that_is_nearer(app: TestApp) {
        let client = app.client(json!({})).await;
        let soon = made(&app, &secrets(&client), json!({"expires_at": "2027-01-15T08:01:00Z"})).await;
        let late = made(&app, &secrets(&client), json!({"expires_at": "2030-01-01T00:00:00Z"})).await;
        let new = made(&app, &format!("{}/rotate", secrets(&client)), json!({"overlap_seconds": 3600, "expires_at": "2029-01-01T00:00:00Z"})).await;
        let shown = listed(&app, &secrets(&client)).await;
        let end = |id: &Value| shown.iter().find(|secret| secret["id"] == *id).unwrap()["expires_at"].clone();
        assert_eq!(app.now(), BEGIN, "2027-01-15T08:00:00Z");
        assert_eq!(end(&soon["id"]), json!("2027-01-15T08:01:00Z"));
        assert_eq!(end(&late["id"]), json!("2027-01-15T09:00:00Z"));
        assert_eq!(end(&new["id"]), json!("2029-01-01T00:00:00Z"));
    }

    async fn without_overlap_the_others_end_at_once_on_every_node(app: TestApp) {
        let client = app.client(json!({})).await;
        let other = app.second_node().await;
        other.token(&client).await;
        for _ in 1..8 {
            made(&app, &secrets(&client), json!({})).await;
        }
        let refused = app.admin("POST", &format!("{}/rotate", secrets(&client))).json(&json!({})).send().await;
        assert_eq!(refused.status, 422, "there is no room beside eight: {}", refused.text());
        let new = rotated(&app, &client, json!({"overlap_seconds": 0})).await;
        other.poll().await;
        for node in [&app, &other] {
            assert_eq!(ask(node, &client.id, &client.secret).await.status, 401);
            assert_eq!(ask(node, &client.id, &new).await.status, 200);
        }
        let live = listed(&app, &secrets(&client)).await.into_iter().filter(|secret| secret["revoked_at"].is_null()).count();
        assert_eq!(live, 1);
    }

    async fn a_chosen_secret_ends_as_the_others_do(app: TestApp) {
        let chosen = "a-secret-that-somebody-chose-once-upon-a-time";
        let client = app.client(json!({"client_secret": chosen})).await;
        assert_eq!(ask(&app, &client.id, chosen).await.status, 200);
        rotated(&app, &client, json!({"overlap_seconds": 60})).await;
        assert_eq!(ask(&app, &client.id, chosen).await.status, 200);
        app.pass(60);
        assert_eq!(ask(&app, &client.id, chosen).await.status, 401, "remembered or not");
    }

    async fn what_cannot_be_is_refused_field_by_field(app: TestApp) {
        let client = app.client(json!({})).await;
        for (body, pointer) in [
            (json!({"overlap_seconds": -1}), "/overlap_seconds"),
            (json!({"overlap_seconds": 31_536_001}), "/overlap_seconds"),
            (json!({"overlap_seconds": "1"}), "/overlap_seconds"),
            (json!({"expires_at": "2001-01-01T00:00:00Z"}), "/expires_at"),
            (json!({"client_secret": "x"}), "/client_secret"),
        ] {
            let answer = app.admin("POST", &format!("{}/rotate", secrets(&client))).json(&body).send().await;
            assert_eq!((answer.status, answer.json()["errors"][0]["pointer"].clone()), (422, json!(pointer)), "{body}");
        }
        let public = app.client(json!({"token_endpoint_auth_method": "none", "grant_types": []})).await;
        let answer = app.admin("POST", &format!("{}/rotate", secrets(&public))).json(&json!({})).send().await;
        assert_eq!(answer.status, 422, "{}", answer.text());
        assert_eq!(listed(&app, &secrets(&client)).await.len(), 1);
    }
}
