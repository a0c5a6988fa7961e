//! Revocation: of one token, of all tokens of a client or a provider.

use serde_json::json;

use crate::support::app::{TestApp, TestClient, on_both_apps};
use crate::support::http::refused;

const REVOKE: &str = "/oauth2/revoke";

async fn revoke(app: &TestApp, client: &TestClient, form: &[(&str, &str)]) -> u16 {
    app.post(REVOKE).form(form).basic(&client.id, &client.secret).send().await.status
}

on_both_apps! {
    // RV1
    async fn a_revoked_token_is_inactive_at_once_and_stays_so(app: TestApp) {
        for format in ["jwt", "opaque"] {
            let client = app.client(json!({"access_token_format": format})).await;
            let (token, other) = (app.token(&client).await, app.token(&client).await);
            let answer = app.post(REVOKE).form(&[("token", &token)]).basic(&client.id, &client.secret).send().await;
            assert_eq!((answer.status, answer.text().as_str()), (200, ""));
            assert!(!app.is_active(&token).await && app.is_active(&other).await, "{format}");
            assert_eq!(revoke(&app, &client, &[("token", &token)]).await, 200, "again");
            app.engine.clean_up(grantd::domain::Wall::now(&app.wall)).await.unwrap();
            assert!(!app.is_active(&token).await, "cleanup keeps what has not expired");
            assert!(!app.second_node().await.is_active(&token).await, "a node that starts now knows it");
        }
    }

    // RV3
    async fn an_unknown_token_is_revoked_without_a_word(app: TestApp) {
        let client = app.client(json!({})).await;
        let before = app.rows().await;
        for unknown in ["x", "gr_unknown", "ga_unknown", "ey.ey.ey", &app.first.owner_key, &client.secret, &"x".repeat(60_000)] {
            assert_eq!(revoke(&app, &client, &[("token", unknown)]).await, 200, "{unknown:.40}");
        }
        assert_eq!(app.rows().await, before);
        assert_eq!(app.get("/admin/v1/providers").bearer(&app.first.owner_key).send().await.status, 200);
        assert!(app.is_active(&app.token(&client).await).await, "a secret is not revoked here");
    }

    // RV4
    async fn a_wrong_hint_changes_nothing(app: TestApp) {
        let client = app.client(json!({})).await;
        for hint in ["refresh_token", "access_token", "id_token", "", "nonsense"] {
            let token = app.token(&client).await;
            assert_eq!(revoke(&app, &client, &[("token", &token), ("token_type_hint", hint)]).await, 200);
            assert!(!app.is_active(&token).await, "{hint}");
        }
    }

    // RV5
    async fn the_token_of_another_client_is_not_touched(app: TestApp) {
        let (owner, other) = (app.client(json!({})).await, app.client(json!({})).await);
        let server = app.client(json!({"resource_server": true})).await;
        let public = app.client(json!({"token_endpoint_auth_method": "none", "grant_types": []})).await;
        let token = app.token(&owner).await;
        let before = app.rows().await;
        for stranger in [&other, &server] {
            assert_eq!(revoke(&app, stranger, &[("token", &token)]).await, 200);
        }
        let answer = app.post(REVOKE).form(&[("token", &token), ("client_id", &public.id)]).send().await;
        assert_eq!(answer.status, 200, "a public client is known by its id here");
        assert!(app.is_active(&token).await);
        assert_eq!(app.rows().await, before);
    }

    // RV6
    async fn the_caller_must_prove_itself(app: TestApp) {
        let client = app.client(json!({})).await;
        let token = app.token(&client).await;
        let form = [("token", token.as_str())];
        assert_eq!(app.post(REVOKE).form(&form).send().await.refusal(), refused(401, "invalid_client"));
        assert_eq!(app.post(REVOKE).form(&form).bearer(&token).send().await.status, 401);
        let bare = [form[0], ("client_id", client.id.as_str())];
        assert_eq!(app.post(REVOKE).form(&bare).send().await.refusal(), refused(401, "invalid_client"));
        assert_eq!(app.post(REVOKE).form(&form).basic(&client.id, "wrong").send().await.status, 401);
        assert!(app.is_active(&token).await);
    }

    // A key of role admin or higher revokes what its provider made.
    async fn an_api_key_revokes_from_role_admin_on_and_at_its_own_provider(app: TestApp) {
        app.provider("acme", json!({})).await;
        let client = app.client(json!({})).await;
        for (fields, status, revokes) in [
            (json!({"role": "default"}), 200, false),
            (json!({"role": "member"}), 200, false),
            (json!({"role": "admin", "provider": "acme"}), 401, false),
            (json!({"role": "admin", "provider": "default"}), 200, true),
            (json!({"role": "admin"}), 200, true),
            (json!({"role": "owner"}), 200, true),
        ] {
            let token = app.token(&client).await;
            let key = app.api_key(fields.clone()).await;
            assert_eq!(app.post(REVOKE).form(&[("token", &token)]).bearer(&key).send().await.status, status, "{fields}");
            assert_eq!(app.is_active(&token).await, !revokes, "{fields}");
        }
    }

    // An epoch, never `iat`.
    async fn all_tokens_of_a_client_end_together_and_new_ones_live(app: TestApp) {
        let (client, other) = (app.client(json!({})).await, app.client(json!({})).await);
        let opaque = app.client(json!({"access_token_format": "opaque"})).await;
        for ended in [&client, &opaque] {
            let tokens = [app.token(ended).await, app.token(ended).await];
            let untouched = app.token(&other).await;
            let path = format!("/providers/default/clients/{}/tokens", ended.id);
            assert_eq!(app.admin("DELETE", &path).send().await.status, 204);
            assert!(!app.is_active(&tokens[0]).await && !app.is_active(&tokens[1]).await);
            assert!(app.is_active(&untouched).await);
            // In the same second of the clock.
            assert!(app.is_active(&app.token(ended).await).await);
        }
        assert_eq!(app.admin("DELETE", "/providers/default/clients/nobody/tokens").send().await.status, 404);
    }

    async fn all_tokens_of_a_provider_end_together_and_new_ones_live(app: TestApp) {
        app.provider("acme", json!({})).await;
        let (here, there) = (app.client(json!({})).await, app.client_of("acme", json!({})).await);
        let (first, second) = (app.token(&here).await, app.token_at("/p/acme", &there).await);
        let acme = async |token: &str| {
            let call = app.post("/p/acme/oauth2/introspect").form(&[("token", token)]).bearer(&app.first.owner_key);
            call.send().await.json()["active"] == json!(true)
        };
        assert!(acme(&second).await);
        assert_eq!(app.admin("DELETE", "/providers/acme/tokens").send().await.status, 204);
        assert!(!acme(&second).await && app.is_active(&first).await);
        assert!(acme(&app.token_at("/p/acme", &there).await).await);
    }

    // Changing scope or name, revoking a secret: tokens live on. Disabling a provider: they do not.
    async fn what_ends_tokens_and_what_does_not(app: TestApp) {
        app.provider("acme", json!({})).await;
        let client = app.client_of("acme", json!({"scope": "a"})).await;
        let token = app.token_at("/p/acme", &client).await;
        let path = format!("/providers/acme/clients/{}", client.id);
        let active = async || {
            let call = app.post("/p/acme/oauth2/introspect").form(&[("token", &token)]).bearer(&app.first.owner_key);
            let answer = call.send().await;
            answer.status == 200 && answer.json()["active"] == json!(true)
        };
        let change = json!({"scope": "b", "client_name": "other"});
        assert_eq!(app.admin("PATCH", &path).json(&change).send().await.status, 200);
        let secrets = app.admin("GET", &format!("{path}/secrets")).send().await.json();
        let secret = format!("{path}/secrets/{}", secrets["items"][0]["id"].as_str().unwrap());
        assert_eq!(app.admin("DELETE", &secret).send().await.status, 204);
        assert!(active().await);
        assert_eq!(app.admin("PATCH", "/providers/acme").json(&json!({"enabled": false})).send().await.status, 200);
        assert!(!active().await, "a disabled provider answers nothing");
        assert_eq!(app.admin("PATCH", "/providers/acme").json(&json!({"enabled": true})).send().await.status, 200);
        assert!(!active().await, "enabling again revives nothing");
    }

    // Two nodes on one database: what ended at one is refused at the other after its next poll.
    async fn what_ends_at_one_node_ends_at_the_other_with_the_next_poll(app: TestApp) {
        let other = app.second_node().await;
        let (by_secret, off, gone, revoked) =
            (app.client(json!({})).await, app.client(json!({})).await, app.client(json!({})).await, app.client(json!({})).await);
        let key = app.api_key(json!({"role": "member"})).await;
        other.poll().await;
        // Warm: the other node answers all of this from memory now.
        let tokens = [other.token(&off).await, other.token(&gone).await, other.token(&revoked).await];
        other.token(&by_secret).await;
        for token in &tokens {
            assert!(other.is_active(token).await);
        }
        assert_eq!(other.get("/admin/v1/providers").bearer(&key).send().await.status, 200);

        let path = |client: &TestClient| format!("/providers/default/clients/{}", client.id);
        let secrets = app.admin("GET", &format!("{}/secrets", path(&by_secret))).send().await.json();
        let secret = format!("{}/secrets/{}", path(&by_secret), secrets["items"][0]["id"].as_str().unwrap());
        assert_eq!(app.admin("DELETE", &secret).send().await.status, 204);
        app.change(&off, json!({"enabled": false})).await;
        assert_eq!(app.admin("DELETE", &path(&gone)).send().await.status, 204);
        assert_eq!(revoke(&app, &revoked, &[("token", &tokens[2])]).await, 200);
        let keys = app.admin("GET", "/api-keys?limit=500").send().await.json();
        let id = keys["items"].as_array().unwrap().iter().find(|one| one["role"] == json!("member")).unwrap()["id"].clone();
        assert_eq!(app.admin("DELETE", &format!("/api-keys/{}", id.as_str().unwrap())).send().await.status, 204);

        // The clock moves on; the other node was busy elsewhere for longer than one overlap.
        app.pass(45);
        other.poll().await;
        let grant = [("grant_type", "client_credentials")];
        for client in [&by_secret, &off, &gone] {
            let answer = other.post("/oauth2/token").form(&grant).basic(&client.id, &client.secret).send().await;
            assert_eq!(answer.status, 401, "{}", client.body);
        }
        for token in &tokens {
            assert!(!other.is_active(token).await);
        }
        assert_eq!(other.get("/admin/v1/providers").bearer(&key).send().await.status, 401);
    }
}
