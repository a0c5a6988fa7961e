//! Several secrets of an API key: the key's identity stays, nobody is locked out, nobody reaches further.

use serde_json::{Value, json};

use super::{events, listed, made, text, works};
use crate::support::app::{TestApp, on_both_apps};

/// Id and text of a new API key.
async fn key(app: &TestApp, fields: Value) -> (String, String) {
    let body = made(app, "/api-keys", fields).await;
    (text(&body, "id"), text(&body, "key"))
}

fn secrets(id: &str) -> String {
    format!("/api-keys/{id}/secrets")
}

/// The owner key of the first run: its id.
async fn first_owner(app: &TestApp) -> String {
    let keys = listed(app, "/api-keys").await;
    text(keys.iter().find(|key| key["role"] == json!("owner")).unwrap(), "id")
}

on_both_apps! {
    async fn several_work_side_by_side_and_the_identity_stays(app: TestApp) {
        let (id, first) = key(&app, json!({"role": "member"})).await;
        let answer = app.admin("POST", &secrets(&id)).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let second = text(&answer.json(), "key");
        assert_eq!(answer.header("location"), format!("/admin/v1{}/{}", secrets(&id), text(&answer.json(), "id")));
        assert!(second.starts_with("gk_") && second != first);
        for secret in [&first, &second] {
            let minted = app.post("/oauth2/mint").bearer(secret).json(&json!({})).send().await.json();
            let seen = app.introspected(&text(&minted, "access_token")).await;
            assert_eq!((&seen["sub"], &seen["client_id"]), (&json!(id), &json!(id)));
        }
        let shown = listed(&app, &secrets(&id)).await;
        assert_eq!(shown.len(), 2);
        assert!(shown.iter().any(|secret| secret["id"] == json!(id)), "the first one has the key's own id: {shown:?}");
        assert!(shown.iter().all(|secret| secret.get("key").is_none() && secret["last_used_at"].is_null()));
        app.tick().await;
        let shown = listed(&app, &secrets(&id)).await;
        assert!(shown.iter().all(|secret| secret["last_used_at"].is_string()), "{shown:?}");
        let read = app.admin("GET", &format!("/api-keys/{id}")).send().await.json();
        assert_eq!(read["hint"].as_str().unwrap(), &second[second.len() - 4..], "the newest one's");
        assert!(read["last_used_at"].is_string());
    }

    async fn each_ends_alone_and_the_tokens_live_on(app: TestApp) {
        let (id, first) = key(&app, json!({"role": "member"})).await;
        let second = made(&app, &secrets(&id), json!({})).await;
        let other = app.second_node().await;
        let minted = app.post("/oauth2/mint").bearer(&first).json(&json!({})).send().await.json();
        let token = text(&minted, "access_token");
        assert!(works(&other, &first).await);
        let path = format!("{}/{id}", secrets(&id));
        assert_eq!(app.admin("DELETE", &path).send().await.status, 204);
        assert_eq!(app.admin("DELETE", &path).send().await.status, 404);
        other.poll().await;
        for node in [&app, &other] {
            assert!(!works(node, &first).await);
            assert!(works(node, &text(&second, "key")).await);
            assert!(node.is_active(&token).await);
        }
        assert!(app.admin("GET", &path).send().await.json()["revoked_at"].is_string());
        let last = format!("{}/{}", secrets(&id), text(&second, "id"));
        let kept = app.admin("DELETE", &last).send().await;
        assert_eq!(kept.status, 409, "a key has one live secret at least: {}", kept.text());
        assert_eq!(events(&app, "api_key_secret.revoked").await, 1);
    }

    async fn rotation_gives_the_others_an_end(app: TestApp) {
        let (id, first) = key(&app, json!({"role": "member"})).await;
        let second = made(&app, &format!("{}/rotate", secrets(&id)), json!({"overlap_seconds": 60})).await;
        assert!(works(&app, &first).await && works(&app, &text(&second, "key")).await);
        app.pass(60);
        assert!(!works(&app, &first).await && works(&app, &text(&second, "key")).await);
        let third = made(&app, &format!("{}/rotate", secrets(&id)), json!({"overlap_seconds": 0})).await;
        assert!(!works(&app, &text(&second, "key")).await && works(&app, &text(&third, "key")).await);
    }

    async fn eight_live_at_once_and_rotation_without_overlap_makes_room(app: TestApp) {
        let (id, _) = key(&app, json!({"role": "member"})).await;
        for _ in 1..8 {
            made(&app, &secrets(&id), json!({})).await;
        }
        for path in [secrets(&id), format!("{}/rotate", secrets(&id))] {
            assert_eq!(app.admin("POST", &path).json(&json!({})).send().await.status, 422, "{path}");
        }
        made(&app, &format!("{}/rotate", secrets(&id)), json!({"overlap_seconds": 0})).await;
        made(&app, &secrets(&id), json!({})).await;
    }

    async fn nobody_makes_a_secret_of_a_key_that_is_stronger(app: TestApp) {
        app.provider("acme", json!({})).await;
        let (admin_id, admin) = key(&app, json!({"role": "admin"})).await;
        let (_, bound) = key(&app, json!({"role": "admin", "provider": "acme"})).await;
        let (member_id, member) = key(&app, json!({"role": "member"})).await;
        let owner_id = first_owner(&app).await;
        for (who, target, status) in [
            (&admin, &member_id, 201),
            (&admin, &admin_id, 403),
            (&admin, &owner_id, 403),
            (&bound, &member_id, 404),
            (&member, &member_id, 403),
            (&app.first.owner_key, &owner_id, 201),
        ] {
            for path in [secrets(target), format!("{}/rotate", secrets(target))] {
                let answer = app.post(&format!("/admin/v1{path}")).bearer(who).json(&json!({})).send().await;
                assert_eq!(answer.status, status, "{path}: {}", answer.text());
            }
        }
        let foreign = app.get(&format!("/admin/v1{}", secrets(&member_id))).bearer(&bound).send().await;
        assert_eq!(foreign.status, 404);
        let gone = format!("{}/{member_id}", secrets(&member_id));
        for (who, status) in [(&bound, 404), (&member, 403), (&admin, 204)] {
            let answer = app.call("DELETE", &format!("/admin/v1{gone}")).bearer(who).send().await;
            assert_eq!(answer.status, status, "{}", answer.text());
        }
    }

    async fn the_last_owner_keeps_a_secret_that_never_ends(app: TestApp) {
        let owner = first_owner(&app).await;
        let ends = json!({"overlap_seconds": 60, "expires_at": "2028-01-01T00:00:00Z"});
        let refused = app.admin("POST", &format!("{}/rotate", secrets(&owner))).json(&ends).send().await;
        assert_eq!(refused.status, 409, "{}", refused.text());
        let brief = made(&app, &secrets(&owner), json!({"expires_at": "2028-01-01T00:00:00Z"})).await;
        let lasting = format!("{}/{owner}", secrets(&owner));
        assert_eq!(app.admin("DELETE", &lasting).send().await.status, 409, "only one that ends would be left");
        // Another owner is one only with a lasting secret of its own.
        let (second, _) = key(&app, json!({"role": "owner"})).await;
        let renewed = app.admin("POST", &format!("{}/rotate", secrets(&second))).json(&ends).send().await;
        assert_eq!(renewed.status, 201, "{}", renewed.text());
        assert_eq!(app.admin("DELETE", &lasting).send().await.status, 409);
        made(&app, &secrets(&second), json!({})).await;
        assert_eq!(app.admin("DELETE", &lasting).send().await.status, 204);
        assert!(works(&app, &text(&brief, "key")).await);
    }

    async fn a_key_that_is_deleted_takes_its_secrets_along(app: TestApp) {
        let (id, first) = key(&app, json!({"role": "member"})).await;
        let second = made(&app, &secrets(&id), json!({})).await;
        assert_eq!(app.admin("DELETE", &format!("/api-keys/{id}")).send().await.status, 204);
        assert!(!works(&app, &first).await && !works(&app, &text(&second, "key")).await);
        for method in ["GET", "POST"] {
            assert_eq!(app.admin(method, &secrets(&id)).send().await.status, 404);
        }
    }
}
