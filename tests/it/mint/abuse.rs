//! A member key cannot make anything that a relying party would take for a login, and nothing minted
//! opens what its maker opens.

use serde_json::{Value, json};

use crate::mint::{member, mint, minted};
use crate::support::app::on_both_apps;
use crate::support::http::refused;

const FOREIGN: &str = "019a0001-0203-7405-8607-08090a0b0cff";

on_both_apps! {
    /// With serde_json's feature `raw_value` such an object is the value that its text spells, wherever JSON is read
    /// again: a claim could say what its maker was refused.
    async fn an_object_with_a_magic_member_is_minted_as_it_came(app: TestApp) {
        let key = member(&app, json!({"scope": "a"})).await;
        let magic = "$serde_json::private::RawValue";
        let inner = json!({magic: r#"{"jti":"x","exp":9999999999,"grant_id":"g"}"#});
        let twice = json!({magic: inner.to_string()});
        for claims in [json!({"x": inner}), json!({"x": twice}), json!({"x": [inner, {"y": twice}]}), inner.clone(), json!({"a": 1, magic: "1"})] {
            let answer = mint(&app, &key, json!({"claims": claims})).await;
            assert_eq!(answer.status, 200, "{claims}: {}", answer.text());
            let token = answer.json()["access_token"].as_str().unwrap().to_owned();
            let (_, payload) = crate::mint::read(&token);
            let seen = app.introspected(&token).await;
            for (name, value) in claims.as_object().unwrap() {
                assert_eq!((&payload[name], &seen[name]), (value, value), "{name}");
            }
            assert_ne!(payload["jti"], json!("x"));
            assert_eq!(payload.get("grant_id"), None);
        }
        for body in [json!({magic: r#"{"scope":"a"}"#}), json!({"scope": {magic: "\"a\""}}), json!({"one_time": {magic: "true"}}), json!({"ttl_seconds": {magic: "60"}})] {
            assert_eq!(mint(&app, &key, body.clone()).await.status, 400, "{body}");
        }
    }

    async fn nothing_that_could_pass_for_a_login_is_minted(app: TestApp) {
        let client = app.client(json!({"client_id": "shop", "subject": "the-shop"})).await;
        let uuid = app.client(json!({})).await;
        let user = app.admin("POST", "/providers/default/users").json(&json!({"username": "ada"})).send().await.json();
        let user = user["id"].as_str().unwrap();
        let other = app.admin("POST", "/api-keys").json(&json!({"role": "default"})).send().await.json();
        let other = other["id"].as_str().unwrap();
        let everything = json!({
            "may_set_subject": true, "scope": "openid profile email phone address offline_access grantd:x a",
            "audience": ["shop", "runai", uuid.id, uuid.id.to_uppercase(), "https://api.example"],
        });
        let key = member(&app, everything).await;
        let plain = member(&app, json!({})).await;
        let ok = mint(&app, &key, json!({"scope": "a", "audience": "https://api.example", "subject": "guest"})).await;
        assert_eq!(ok.status, 200, "{}", ok.text());
        let attempts: Vec<(&str, Value)> = vec![
            ("invalid_target", json!({"audience": client.id})),
            ("invalid_target", json!({"audience": "runai"})),
            ("invalid_target", json!({"audience": uuid.id})),
            ("invalid_target", json!({"audience": uuid.id.to_uppercase()})),
            ("invalid_target", json!({"audience": ["https://api.example", "shop"]})),
            ("invalid_target", json!({"audience": []})),
            ("invalid_target", json!({"audience": ""})),
            ("invalid_scope", json!({"scope": "openid"})),
            ("invalid_scope", json!({"scope": "a openid"})),
            ("invalid_scope", json!({"scope": "OpenID"})),
            ("invalid_scope", json!({"scope": "profile"})),
            ("invalid_scope", json!({"scope": "email"})),
            ("invalid_scope", json!({"scope": "phone"})),
            ("invalid_scope", json!({"scope": "offline_access"})),
            ("invalid_scope", json!({"scope": "grantd:x"})),
            ("invalid_scope", json!({"scope": "b"})),
            ("access_denied", json!({"subject": user})),
            ("access_denied", json!({"subject": user.to_uppercase()})),
            ("access_denied", json!({"subject": user.replace('-', "")})),
            ("access_denied", json!({"subject": format!("{{{user}}}")})),
            ("access_denied", json!({"subject": format!("URN:uuid:{user}")})),
            ("access_denied", json!({"subject": "shop"})),
            ("access_denied", json!({"subject": "the-shop"})),
            ("access_denied", json!({"subject": uuid.id})),
            ("access_denied", json!({"subject": other})),
            ("access_denied", json!({"subject": "env"})),
            ("invalid_request", json!({"subject": ""})),
            ("invalid_request", json!({"subject": "a b"})),
            ("invalid_request", json!({"subject": "ä"})),
            ("invalid_request", json!({"typ": "JWT", "claims": {"nonce": "n"}})),
            ("invalid_request", json!({"typ": "jwt", "claims": {"nonce": "n"}})),
            ("invalid_request", json!({"typ": ""})),
        ];
        for (error, mut wanted) in attempts {
            if wanted.get("audience").is_none() {
                wanted["audience"] = json!("https://api.example");
            }
            assert_eq!(mint(&app, &key, wanted.clone()).await.refusal().1, error, "{wanted}");
        }
        for (error, wanted) in [
            ("invalid_target", json!({"audience": "https://api.example"})),
            ("access_denied", json!({"subject": "guest"})),
            ("access_denied", json!({"subject": FOREIGN})),
            ("invalid_scope", json!({"scope": "openid"})),
        ] {
            assert_eq!(mint(&app, &plain, wanted.clone()).await.refusal().1, error, "{wanted}");
        }
        for name in [
            "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "nonce", "auth_time", "acr", "amr", "at_hash", "c_hash", "azp",
            "sid", "events", "cnf", "act", "may_act", "groups", "roles", "one_time", "access", "ep", "grant_id", "client_id",
            "scope", "data", "scopes", "project_claims", "email", "email_verified", "name", "preferred_username", "phone_number",
            "active", "username", "token_type", "scp", "upn", "nameid", "role", "realm_access", "http://schemas.x/role", "Sub", "EMAIL", "\u{17f}ub", "", "a b", "sub\u{0}",
        ] {
            let answer = mint(&app, &key, json!({"audience": "https://api.example", "claims": {name: "x"}})).await;
            assert_eq!(answer.refusal(), refused(400, "invalid_request"), "{name:?}");
        }
    }

    async fn a_default_audience_that_is_a_client_is_no_way_round(app: TestApp) {
        app.client(json!({"client_id": "shop"})).await;
        app.admin("PATCH", "/providers/default").json(&json!({"default_audience": "shop"})).send().await;
        let key = member(&app, json!({})).await;
        assert_eq!(mint(&app, &key, json!({})).await.refusal().1, "invalid_target");
    }

    async fn whoever_may_not_mint_is_told_so(app: TestApp) {
        let weak = app.api_key(json!({"role": "default"})).await;
        assert_eq!(mint(&app, &weak, json!({})).await.refusal(), refused(403, "access_denied"));
        assert_eq!(mint(&app, "gk_wrong", json!({})).await.refusal(), refused(401, "invalid_token"));
        let client = app.client(json!({})).await;
        let answer = app.post("/oauth2/mint").basic(&client.id, &client.secret).json(&json!({})).send().await;
        assert_eq!(answer.refusal(), refused(400, "unauthorized_client"));
        let public = json!({"token_endpoint_auth_method": "none", "grant_types": ["authorization_code"],
            "redirect_uris": ["https://a.example/cb"]});
        let named = app.client(public.clone()).await;
        let bare = app.post("/oauth2/mint").json(&json!({"client_id": named.id})).send().await;
        assert_eq!(bare.refusal(), refused(400, "unauthorized_client"));
        let mut public = public;
        public["may_mint"] = json!(true);
        let answer = app.admin("POST", "/providers/default/clients").json(&public).send().await;
        assert_eq!((answer.status, answer.json()["errors"][0]["pointer"].as_str()), (422, Some("/may_mint")));
        let key = member(&app, json!({})).await;
        let named = app.post("/oauth2/mint").bearer(&key).json(&json!({"client_id": client.id})).send().await;
        assert_eq!(named.refusal().1, "invalid_request", "who mints is the key");
        let two = app.post("/oauth2/mint").bearer(&key).json(&json!({"client_id": "a", "client_secret": "b"})).send().await;
        assert_eq!(two.refusal().1, "invalid_request", "two credentials at once");
    }

    async fn a_minted_token_opens_nothing_of_grantd(app: TestApp) {
        let key = app.api_key(json!({"role": "owner", "may_set_subject": true})).await;
        for one_time in [false, true] {
            let token = minted(&app, &key, json!({"one_time": one_time, "ttl_seconds": 600})).await;
            let again = mint(&app, &token, json!({})).await;
            assert_eq!(again.refusal(), refused(403, "access_denied"));
            assert!(again.json()["error_description"].as_str().unwrap().contains("API key"), "{}", again.text());
            for (method, path) in [
                ("GET", "/providers"), ("POST", "/providers"), ("GET", "/providers/default/clients"), ("POST", "/api-keys"),
                ("POST", "/providers/default/clients/x/tokens"), ("GET", "/providers/default/users"), ("GET", "/providers/default/signing-keys"),
            ] {
                let answer = app.call(method, &format!("/admin/v1{path}")).bearer(&token).json(&json!({})).send().await;
                assert_eq!(answer.status, 403, "{method} {path}");
                assert!(answer.json()["detail"].as_str().unwrap().contains("Access tokens do not work here"));
            }
            let userinfo = app.get("/oauth2/userinfo").bearer(&token).send().await;
            assert_eq!(userinfo.refusal(), refused(401, "invalid_token"));
            let introspect = app.post("/oauth2/introspect").form(&[("token", &token)]).bearer(&token).send().await;
            assert_eq!(introspect.status, 401);
            let client = app.client(json!({"grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"]})).await;
            let exchange = app.post("/oauth2/token").basic(&client.id, &client.secret).form(&[
                ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"), ("subject_token", &token),
                ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ]);
            assert!(exchange.send().await.status >= 400);
            assert!(app.is_active(&token).await, "none of it spent the token");
        }
    }

    async fn a_claim_that_is_named_twice_is_refused_and_not_chosen_from(app: TestApp) {
        let key = member(&app, json!({})).await;
        for body in [
            r#"{"claims":{"room":1,"room":2}}"#,
            r#"{"claims":{"room":{"floor":1,"floor":1}}}"#,
            r#"{"claims":{"rooms":[{"id":1,"id":2}]}}"#,
            r#"{"claims":{"room":1},"claims":{"room":1}}"#,
        ] {
            let answer = app.post("/oauth2/mint").bearer(&key).body("application/json", body).send().await;
            assert_eq!(answer.refusal(), refused(400, "invalid_request"), "{body}");
        }
        minted(&app, &key, json!({"claims": {"rooms": [{"id": 1}, {"id": 2}]}})).await;
    }

    async fn nobody_gains_may_set_subject(app: TestApp) {
        let admin = app.api_key(json!({"role": "admin"})).await;
        let wanted = json!({"role": "member", "may_set_subject": true});
        let answer = app.post("/admin/v1/api-keys").bearer(&admin).json(&wanted).send().await;
        assert_eq!(answer.status, 403, "{}", answer.text());
        let admin = app.api_key(json!({"role": "admin", "may_set_subject": true})).await;
        assert_eq!(app.post("/admin/v1/api-keys").bearer(&admin).json(&wanted).send().await.status, 201);
    }

    async fn the_environments_name_is_nobody_elses(app: TestApp) {
        for fields in [json!({"client_id": "env"}), json!({"subject": "env"})] {
            assert_eq!(app.admin("POST", "/providers/default/clients").json(&fields).send().await.status, 422);
        }
    }
}
