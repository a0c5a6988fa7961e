//! Userinfo and how tokens are borne: group BR, CC5, and the claims about a person.

use serde_json::json;

use crate::support::app::{TestApp, on_both_apps};
use crate::support::http::{FORM, JSON, refused};
use crate::support::people::{Wish, text};

const USERINFO: &str = "/oauth2/userinfo";

async fn access_token(app: &TestApp, scope: &'static str) -> String {
    let client = app.web_client(json!({"scope": "openid profile email groups offline_access"})).await;
    let who = app.logged_in(&format!("user{}", client.id.replace('-', ""))).await;
    text(&app.tokens(&client, &who, &Wish { scope, ..Wish::default() }).await, "access_token")
}

on_both_apps! {
    async fn each_scope_opens_its_claims(app: TestApp) {
        let client = app.web_client(json!({"scope": "openid profile email groups"})).await;
        let who = app.logged_in("ada").await;
        let path = format!("/providers/default/users/{}", who.user);
        app.admin("PATCH", &path).json(&json!({"groups": ["staff", "math"]})).send().await;
        let sub = json!({"sub": who.user});
        let expect = [
            ("openid", json!({})),
            ("openid email", json!({"email": "ada@example.com", "email_verified": true})),
            ("openid profile", json!({"preferred_username": "ada", "name": "Ada Lovelace", "updated_at": app.now()})),
            ("openid groups", json!({"groups": ["staff", "math"]})),
        ];
        for (scope, more) in expect {
            let mut expected = sub.clone();
            expected.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let token = text(&app.tokens(&client, &who, &Wish { scope, ..Wish::default() }).await, "access_token");
            let answer = app.userinfo(&token).await;
            assert_eq!((answer.status, answer.json()), (200, expected), "{scope}");
        }
    }

    // OC: the claims parameter, where the client has the scope.
    async fn claims_asked_by_name_are_given_where_the_client_has_their_scope(app: TestApp) {
        let claims = r#"{"userinfo":{"name":{"essential":true},"email":null},"id_token":{"email":null,"name":null}}"#;
        let who = app.logged_in("ada").await;
        for (grants, scope) in [(json!(["authorization_code"]), "openid profile"), (json!(["authorization_code", "refresh_token"]), "openid profile")] {
            let client = app.web_client(json!({"grant_types": grants, "scope": scope})).await;
            let tokens = app.tokens(&client, &who, &Wish { scope: "openid", claims, ..Wish::default() }).await;
            let answer = app.userinfo(&text(&tokens, "access_token")).await;
            assert_eq!(answer.json(), json!({"sub": who.user, "name": "Ada Lovelace"}));
            let id = crate::support::browser::claims(&text(&tokens, "id_token"));
            assert_eq!((&id["name"], id.get("email")), (&json!("Ada Lovelace"), None));
        }
    }

    async fn get_and_post_both_work_in_header_and_body(app: TestApp) {
        let token = access_token(&app, "openid").await;
        let body = format!("access_token={token}");
        for call in [
            app.get(USERINFO).bearer(&token),
            app.post(USERINFO).bearer(&token),
            app.post(USERINFO).body(FORM, "").bearer(&token),
            app.post(USERINFO).body(FORM, &body),
            // BR8
            app.get(USERINFO).header("authorization", &format!("bEARER {token}")),
        ] {
            let answer = call.send().await;
            assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"), "{}", answer.text());
            assert_eq!((answer.header("content-type"), answer.header("access-control-allow-origin")), ("application/json", "*"));
        }
    }

    // BR2
    async fn without_a_token_there_is_a_challenge_and_no_error(app: TestApp) {
        let form = app.post(USERINFO).form(&[("access_token", "")]);
        for call in [app.get(USERINFO), app.post(USERINFO), form, app.get(USERINFO).basic("a", "b")] {
            let answer = call.send().await;
            assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Bearer"));
        }
    }

    // BR3, BR4, BR5, BR7
    async fn bad_tokens_are_refused_each_in_its_way(app: TestApp) {
        let token = access_token(&app, "openid").await;
        let flat = access_token(&app, "profile").await;
        let other_case = token.replace('e', "E");
        for bad in ["x", "ga_x", "gr_x", "ey.ey.ey", &token[..token.len() - 1], &other_case, &app.first.owner_key] {
            let answer = app.userinfo(bad).await;
            assert_eq!((answer.status, answer.header("www-authenticate")), (401, r#"Bearer error="invalid_token""#), "{bad}");
        }
        assert_eq!(app.get(USERINFO).header("authorization", "Bearer").send().await.status, 401);
        let answer = app.userinfo(&flat).await;
        assert_eq!(answer.refusal(), refused(403, "insufficient_scope"));
        assert_eq!(answer.header("www-authenticate"), r#"Bearer error="insufficient_scope", scope="openid""#);
        let in_query = format!("{USERINFO}?access_token={token}");
        assert_eq!(app.get(&in_query).send().await.refusal(), refused(400, "invalid_request"));
        assert_eq!(app.get(&in_query).bearer(&token).send().await.status, 400);
        let two = app.post(USERINFO).form(&[("access_token", &token)]).bearer(&token).send().await;
        assert_eq!(two.refusal(), refused(400, "invalid_request"));
        let twice = app.post(USERINFO).body(FORM, format!("access_token={token}&access_token={token}")).send().await;
        assert_eq!(twice.refusal(), refused(400, "invalid_request"));
        assert_eq!(app.post(USERINFO).body(JSON, json!({"access_token": token}).to_string()).send().await.status, 400);
        assert_eq!(app.call("PUT", USERINFO).send().await.status, 405);
        // AT5, RT9: an expired one.
        app.pass(3600);
        assert_eq!(app.userinfo(&token).await.status, 401);
    }

    // CC5
    async fn a_machines_token_opens_nothing(app: TestApp) {
        for format in ["jwt", "opaque"] {
            let client = app.client(json!({"scope": "openid profile", "access_token_format": format})).await;
            let answer = app.userinfo(&app.token(&client).await).await;
            assert_eq!(answer.refusal(), refused(401, "invalid_token"));
        }
    }

    async fn opaque_tokens_and_other_providers(app: TestApp) {
        let client = app.web_client(json!({"access_token_format": "opaque", "id_token_signed_response_alg": "EdDSA"})).await;
        let who = app.logged_in("ada").await;
        let tokens = app.tokens(&client, &who, &Wish::default()).await;
        let token = text(&tokens, "access_token");
        assert!(token.starts_with("ga_"));
        assert_eq!(app.userinfo(&token).await.json()["sub"], json!(who.user));
        let keys = app.get("/.well-known/jwks.json").send().await.json();
        let (header, id) = crate::support::jose::verified(&text(&tokens, "id_token"), &keys);
        assert_eq!((&header["alg"], header.get("typ")), (&json!("EdDSA"), None));
        assert_eq!(id["at_hash"].as_str().unwrap().len(), 43, "the left half of SHA-512");
        app.provider("acme", json!({})).await;
        assert_eq!(app.get("/p/acme/oauth2/userinfo").bearer(&token).send().await.status, 401);
    }

    async fn what_is_revoked_or_blocked_opens_nothing_any_more(app: TestApp) {
        let client = app.web_client(json!({})).await;
        let who = app.logged_in("ada").await;
        let token = text(&app.tokens(&client, &who, &Wish::default()).await, "access_token");
        let other = text(&app.tokens(&client, &who, &Wish::default()).await, "access_token");
        app.post("/oauth2/revoke").form(&[("token", &token)]).basic(&client.id, &client.secret).send().await;
        assert_eq!((app.userinfo(&token).await.status, app.userinfo(&other).await.status), (401, 200));
        let path = format!("/providers/default/users/{}", who.user);
        app.admin("PATCH", &path).json(&json!({"enabled": false})).send().await;
        assert_eq!(app.userinfo(&other).await.status, 401);
    }
}
