//! What a minted token is, and how it ends.

use serde_json::json;

use crate::mint::{member, mint, minted, read};
use crate::support::app::{ISSUER, Setup, on_both_apps};

/// Keys of the environment that somebody chose to look like tokens.
static LOOKALIKES: [[(&str, &str); 1]; 2] = [
    [("GRANTD_ADMIN_KEY", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2lnbmF0dXJl")],
    [("GRANTD_ADMIN_KEY", "ga_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH")],
];

on_both_apps! {
    async fn the_environments_key_works_also_when_it_looks_like_a_token(app: TestApp) {
        for environment in &LOOKALIKES {
            let app = app.started_again_as(Setup { environment, ..Setup::default() }).await;
            let (_, key) = environment[0];
            let listed = app.get("/admin/v1/providers").bearer(key).send().await;
            assert_eq!(listed.status, 200, "{}", listed.text());
            assert!(app.is_active(&minted(&app, key, json!({})).await).await);
            let granted = app.post("/v1/auth/grant").header("authorization", &format!("Token {key}")).send().await;
            assert_eq!(granted.status, 200, "{}", granted.text());
            // Others that look so are tokens still, above all one that was just made.
            for other in [format!("{key}x"), minted(&app, key, json!({})).await] {
                assert_eq!(app.get("/admin/v1/providers").bearer(&other).send().await.status, 403, "{other}");
                assert_eq!(mint(&app, &other, json!({})).await.status, 403, "{other}");
            }
        }
    }

    async fn a_member_key_turns_itself_into_a_token_that_says_what_was_asked(app: TestApp) {
        let answer = app.admin("POST", "/api-keys").json(&json!({"role": "member"})).send().await.json();
        let (id, key) = (answer["id"].as_str().unwrap(), answer["key"].as_str().unwrap());
        let wanted = json!({
            "ttl_seconds": 30, "scope": "room:join", "access": "readonly", "typ": "jwt",
            "claims": {"room": {"id": 7, "name": "ÿ~>"}, "https://example.com/x": [true, null]}
        });
        let answer = mint(&app, key, wanted).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"), "{}", answer.text());
        let said = answer.json();
        assert_eq!((said["token_type"].as_str(), said["expires_in"].as_i64(), said["scope"].as_str()),
            (Some("Bearer"), Some(30), Some("room:join")));
        assert!(said.get("one_time").is_none());
        let token = said["access_token"].as_str().unwrap();
        let (header, claims) = read(token);
        assert_eq!(header["typ"], "jwt");
        for (name, value) in [
            ("iss", json!(ISSUER)), ("aud", json!(ISSUER)), ("sub", json!(id)), ("client_id", json!(id)),
            ("exp", json!(app.now() + 30)), ("scope", json!("room:join")), ("access", json!("readonly")),
            ("room", json!({"id": 7, "name": "ÿ~>"})), ("https://example.com/x", json!([true, null])),
        ] {
            assert_eq!(claims[name], value, "{name}");
        }
        assert!(claims.get("act").is_none() && claims.get("one_time").is_none());
        let said = app.introspected(token).await;
        for name in ["sub", "client_id", "aud", "scope", "access", "room", "https://example.com/x", "exp"] {
            assert_eq!(said[name], claims[name], "{name}");
        }
        app.pass(30);
        assert!(!app.is_active(token).await);
    }

    async fn nothing_asked_is_an_ordinary_token_of_the_caller(app: TestApp) {
        let key = member(&app, json!({})).await;
        let answer = app.post("/oauth2/mint").bearer(&key).send().await;
        assert_eq!(answer.status, 200, "no body is the same as {{}}: {}", answer.text());
        assert_eq!(answer.json()["expires_in"], 3600);
        let (header, claims) = read(answer.json()["access_token"].as_str().unwrap());
        assert_eq!((header["typ"].as_str(), claims.get("scope")), (Some("at+jwt"), None));
    }

    async fn a_client_with_may_mint_mints_within_what_it_has(app: TestApp) {
        let fields = json!({"may_mint": true, "scope": "a b", "audience": ["https://a.example", "https://b.example"]});
        let client = app.client(fields).await;
        let call = |wanted| app.post("/oauth2/mint").basic(&client.id, &client.secret).json(&wanted).send();
        let answer = call(json!({"ttl_seconds": 5, "scope": "b", "audience": "https://b.example"})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let (_, claims) = read(answer.json()["access_token"].as_str().unwrap());
        assert_eq!((&claims["sub"], &claims["client_id"]), (&json!(client.id), &json!(client.id)));
        assert_eq!((&claims["scope"], &claims["aud"]), (&json!("b"), &json!("https://b.example")));
        assert_eq!(read(call(json!({})).await.json()["access_token"].as_str().unwrap()).1["aud"], "https://a.example");
        assert_eq!(call(json!({"scope": "c"})).await.refusal().1, "invalid_scope");
        assert_eq!(call(json!({"audience": "https://c.example"})).await.refusal().1, "invalid_target");
        let body = json!({"client_id": client.id, "client_secret": client.secret, "scope": "a"});
        assert_eq!(app.post("/oauth2/mint").json(&body).send().await.refusal().1, "invalid_client", "its method is basic");
        app.change(&client, json!({"may_mint": false})).await;
        assert_eq!(call(json!({})).await.refusal(), (400, "unauthorized_client".to_owned()));
        let post = json!({"may_mint": true, "token_endpoint_auth_method": "client_secret_post"});
        let client = app.client(post).await;
        let body = json!({"client_id": client.id, "client_secret": client.secret});
        assert_eq!(app.post("/oauth2/mint").json(&body).send().await.status, 200);
    }

    async fn another_subject_names_who_acts(app: TestApp) {
        let made = app.admin("POST", "/api-keys").json(&json!({"role": "member", "may_set_subject": true})).send().await;
        assert_eq!(made.status, 201, "{}", made.text());
        let (id, key) = (made.json()["id"].clone(), made.json()["key"].as_str().unwrap().to_owned());
        for one_time in [false, true] {
            let token = minted(&app, &key, json!({"subject": "visitor-7", "one_time": one_time})).await;
            let said = app.introspected(&token).await;
            assert_eq!((&said["sub"], &said["act"]["sub"], &said["client_id"]), (&json!("visitor-7"), &id, &id));
        }
        let own = minted(&app, &key, json!({"subject": id})).await;
        assert!(read(&own).1.get("act").is_none(), "its own subject is nobody else's");
    }

    async fn a_token_ends_with_the_key_that_minted_it(app: TestApp) {
        for one_time in [false, true] {
            let made = app.admin("POST", "/api-keys").json(&json!({"role": "member"})).send().await.json();
            let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
            let wanted = || json!({"one_time": one_time, "ttl_seconds": 600});
            let (first, second) = (minted(&app, key, wanted()).await, minted(&app, key, wanted()).await);
            let revoked = app.admin("DELETE", &format!("/api-keys/{id}/tokens")).send().await;
            assert_eq!(revoked.status, 204, "{}", revoked.text());
            assert!(!app.is_active(&first).await, "revoked by the epoch");
            let third = minted(&app, key, wanted()).await;
            assert_eq!(app.admin("DELETE", &format!("/api-keys/{id}")).send().await.status, 204);
            assert!(!app.is_active(&third).await && !app.is_active(&second).await, "the key is gone");
        }
    }

    async fn the_one_who_minted_may_revoke_and_no_other_member(app: TestApp) {
        let (own, other) = (member(&app, json!({})).await, member(&app, json!({})).await);
        let token = minted(&app, &own, json!({})).await;
        for (key, active) in [(&other, true), (&own, false)] {
            let answer = app.post("/oauth2/revoke").form(&[("token", &token)]).bearer(key).send().await;
            assert_eq!((answer.status, app.is_active(&token).await), (200, active));
        }
    }

    async fn another_node_knows_the_owner_of_a_token(app: TestApp) {
        let key = member(&app, json!({})).await;
        let token = minted(&app, &key, json!({})).await;
        let node = app.second_node().await;
        assert!(node.is_active(&token).await, "the key is read, where no client has that id");
    }

    async fn a_key_bound_to_a_provider_mints_there_only(app: TestApp) {
        app.provider("acme", json!({})).await;
        let key = member(&app, json!({"provider": "acme"})).await;
        let answer = app.post("/p/acme/oauth2/mint").bearer(&key).json(&json!({})).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(read(&token).1["iss"], format!("{ISSUER}/p/acme"));
        assert_eq!(mint(&app, &key, json!({})).await.refusal(), (401, "invalid_token".to_owned()));
        assert!(!app.is_active(&token).await, "a token of one provider is unknown at every other");
    }

    async fn an_admin_call_mints_for_a_client(app: TestApp) {
        let client = app.client(json!({
            "subject": "abcdefghijklmnopqrstuvwxyz012345", "scope": "a b", "audience": ["https://a.example"], "max_ttl": 600
        })).await;
        let path = format!("/admin/v1/providers/default/clients/{}/tokens", client.id);
        let call = |key: &str, body| app.post(&path).bearer(key).json(&body).send();
        let key = member(&app, json!({})).await;
        let answer = call(&key, json!({"ttl_seconds": 600, "scope": "a"})).await;
        assert_eq!((answer.status, answer.header("cache-control")), (201, "no-store"), "{}", answer.text());
        let (_, claims) = read(answer.json()["access_token"].as_str().unwrap());
        assert_eq!(claims["sub"], "abcdefghijklmnopqrstuvwxyz012345");
        assert_eq!((&claims["client_id"], &claims["aud"]), (&json!(client.id), &json!("https://a.example")));
        for (body, pointer) in [
            (json!({"ttl_seconds": 601}), "/ttl_seconds"), (json!({"claims": {"sub": 1}}), "/claims"), (json!({"scope": "c"}), "/scope"), (json!({"ttl_seconds": 0}), "/ttl_seconds"),
            (json!({"audience": "https://b.example"}), "/audience"), (json!({"nonsense": 1}), "/nonsense"),
        ] {
            let answer = call(&key, body.clone()).await;
            assert_eq!((answer.status, &answer.json()["errors"][0]["pointer"]), (422, &json!(pointer)), "{body}");
        }
        let narrow = member(&app, json!({"audience": ["https://b.example"]})).await;
        assert_eq!(call(&narrow, json!({})).await.status, 422, "the key's own list bounds it too");
        let weak = app.api_key(json!({"role": "default"})).await;
        assert_eq!(call(&weak, json!({})).await.status, 403);
        app.change(&client, json!({"enabled": false})).await;
        assert_eq!(call(&key, json!({})).await.status, 404);
        let public = app.client(json!({"token_endpoint_auth_method": "none", "grant_types": ["authorization_code"],
            "redirect_uris": ["https://a.example/cb"]})).await;
        app.admin("PATCH", "/providers/default/clients/runai").json(&json!({"enabled": true})).send().await;
        for (id, status) in [("nobody", 404), ("runai", 403), (public.id.as_str(), 403)] {
            let path = format!("/admin/v1/providers/default/clients/{id}/tokens");
            assert_eq!(app.post(&path).bearer(&key).json(&json!({})).send().await.status, status, "{id}");
        }
    }

    async fn a_token_made_for_a_client_ends_with_the_key_that_made_it_and_is_its_to_revoke(app: TestApp) {
        let client = app.client(json!({})).await;
        let path = format!("/admin/v1/providers/default/clients/{}/tokens", client.id);
        let make = async |key: &str, one_time: bool| {
            let answer = app.post(&path).bearer(key).json(&json!({"one_time": one_time})).send().await;
            answer.json()["access_token"].as_str().unwrap().to_owned()
        };
        let revoke = async |key: &str, token: &str| {
            assert_eq!(app.post("/oauth2/revoke").form(&[("token", token)]).bearer(key).send().await.status, 200);
        };
        let other = member(&app, json!({})).await;
        for one_time in [false, true] {
            let made = app.admin("POST", "/api-keys").json(&json!({"role": "member"})).send().await.json();
            let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
            let said = app.introspected(&make(key, one_time).await).await;
            assert_eq!((&said["client_id"], &said["act"]), (&json!(client.id), &json!({"sub": id})));
            let (foreign, own) = (make(key, one_time).await, make(key, one_time).await);
            revoke(&other, &foreign).await;
            revoke(key, &own).await;
            assert_eq!((app.is_active(&foreign).await, app.is_active(&own).await), (true, false));
            let token = make(key, one_time).await;
            assert_eq!(app.admin("DELETE", &format!("/api-keys/{id}/tokens")).send().await.status, 204);
            assert!(!app.is_active(&token).await, "revoked with all it minted");
            let token = make(key, one_time).await;
            assert_eq!(app.admin("DELETE", &format!("/api-keys/{id}")).send().await.status, 204);
            assert!(!app.is_active(&token).await, "the key is gone");
        }
    }
}
