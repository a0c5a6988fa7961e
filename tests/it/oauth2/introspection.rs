//! Introspection: what a token is worth, and who is told.

use serde_json::{Value, json};

use crate::support::app::{ISSUER, TestApp, TestClient, on_both_apps};
use crate::support::http::refused;

const INTROSPECT: &str = "/oauth2/introspect";

async fn asked(app: &TestApp, caller: &TestClient, token: &str) -> Value {
    let answer = app.post(INTROSPECT).form(&[("token", token)]).basic(&caller.id, &caller.secret).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn inactive() -> Value {
    json!({"active": false})
}

on_both_apps! {
    // IN1, IN4
    async fn a_live_token_is_described(app: TestApp) {
        for format in ["jwt", "opaque"] {
            let client = app.client(json!({"scope": "a", "access_token_format": format})).await;
            let token = app.token(&client).await;
            let answer = app.post(INTROSPECT).form(&[("token", &token)]).basic(&client.id, &client.secret).send().await;
            assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
            let said = answer.json();
            for (name, value) in [
                ("active", json!(true)), ("scope", json!("a")), ("client_id", json!(client.id)), ("sub", json!(client.id)),
                ("aud", json!(ISSUER)), ("iss", json!(ISSUER)), ("iat", json!(app.now())), ("exp", json!(app.now() + 3600)),
            ] {
                assert_eq!(said[name], value, "{format} {name}");
            }
            assert!(said["jti"].is_string());
        }
    }

    // IN5
    async fn a_token_that_is_not_active_gets_one_word(app: TestApp) {
        let client = app.client(json!({})).await;
        let token = app.token(&client).await;
        app.post("/oauth2/revoke").form(&[("token", &token)]).basic(&client.id, &client.secret).send().await;
        let forged = {
            let (head, rest) = token.split_once('.').unwrap();
            format!("{head}.{}.AAAA", rest.split('.').next().unwrap())
        };
        for dead in [&token, &forged, "x", "gs_x", "ga_x", "ey.ey.ey", &client.secret, &app.first.owner_key, "ä", &"x".repeat(60_000)] {
            assert_eq!(asked(&app, &client, dead).await, inactive(), "{dead:.60}");
        }
    }

    // IN6
    async fn a_token_ends_at_its_expiry(app: TestApp) {
        for format in ["jwt", "opaque"] {
            let client = app.client(json!({"access_token_format": format, "access_token_ttl": 60})).await;
            let token = app.token(&client).await;
            app.pass(59);
            assert!(app.is_active(&token).await, "{format}");
            app.pass(1);
            assert_eq!(asked(&app, &client, &token).await, inactive(), "{format}");
        }
    }

    // IN7
    async fn only_owner_audience_and_resource_servers_see_a_token(app: TestApp) {
        let owner = app.client(json!({"audience": ["https://api.example", "friend"]})).await;
        let (stranger, friend) = (app.client(json!({})).await, app.client(json!({"client_id": "friend"})).await);
        let whole = app.client(json!({"resource_server": true})).await;
        let fitting = app.client(json!({"resource_server": true, "resources": ["https://x.example", "https://api.example"]})).await;
        let other = app.client(json!({"resource_server": true, "resources": ["https://x.example"]})).await;
        let token = app.token(&owner).await;
        for (caller, sees) in [(&owner, true), (&stranger, false), (&friend, false), (&whole, true), (&fitting, true), (&other, false)] {
            assert_eq!(asked(&app, caller, &token).await["active"], json!(sees), "{}", caller.body);
        }
        let form = [("grant_type", "client_credentials"), ("resource", "friend")];
        let answer = app.post("/oauth2/token").form(&form).basic(&owner.id, &owner.secret).send().await.json();
        let for_friend = answer["access_token"].as_str().unwrap();
        for (caller, sees) in [(&owner, true), (&stranger, false), (&friend, true), (&whole, true), (&fitting, false)] {
            assert_eq!(asked(&app, caller, for_friend).await["active"], json!(sees), "{}", caller.body);
        }
        // A resource server sees no token of another audience, not even its own.
        let own = app.token(&other).await;
        assert_eq!(asked(&app, &other, &own).await, inactive());
    }

    // IN8
    async fn a_token_that_was_touched_is_inactive(app: TestApp) {
        for format in ["jwt", "opaque"] {
            let client = app.client(json!({"access_token_format": format})).await;
            let token = app.token(&client).await;
            let middle = token.len() / 2;
            let flipped: String = token.char_indices().map(|(at, c)| if at == middle { if c == 'A' { 'B' } else { 'A' } } else { c }).collect();
            let cased: String = token.chars().map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }).collect();
            for touched in [
                &token[..token.len() - 1], &token[1..], &format!("{token}A"), &format!("{token}="), &format!("{token} "), &format!(" {token}"),
                &token.to_lowercase(), &token.to_uppercase(), &cased, &flipped, &format!("{token}{token}"), &format!("{token}\n"),
            ] {
                assert_eq!(asked(&app, &client, touched).await, inactive(), "{format} {touched}");
            }
            assert_eq!(asked(&app, &client, &token).await["active"], json!(true));
        }
    }

    // IN2, RV6, IN9
    async fn the_caller_must_prove_itself_and_not_by_an_access_token(app: TestApp) {
        let client = app.client(json!({})).await;
        let public = app.client(json!({"token_endpoint_auth_method": "none", "grant_types": []})).await;
        let token = app.token(&client).await;
        let form = [("token", token.as_str())];
        assert_eq!(app.post(INTROSPECT).form(&form).send().await.refusal(), refused(401, "invalid_client"));
        let bare = [form[0], ("client_id", client.id.as_str())];
        assert_eq!(app.post(INTROSPECT).form(&bare).send().await.refusal(), refused(401, "invalid_client"));
        let bare = [form[0], ("client_id", public.id.as_str())];
        assert_eq!(app.post(INTROSPECT).form(&bare).send().await.status, 401);
        assert_eq!(app.post(INTROSPECT).form(&form).bearer(&token).send().await.status, 401);
        assert_eq!(app.post(INTROSPECT).form(&form).bearer("gk_wrong").send().await.status, 401);
        assert_eq!(app.post(INTROSPECT).form(&form).basic(&client.id, "wrong").send().await.status, 401);
    }

    // An API key of any role sees every token of its provider, and of no other.
    async fn an_api_key_sees_the_tokens_of_its_provider(app: TestApp) {
        app.provider("acme", json!({})).await;
        let (here, there) = (app.client(json!({})).await, app.client_of("acme", json!({})).await);
        let tokens = [app.token(&here).await, app.token_at("/p/acme", &there).await];
        let bound = app.api_key(json!({"role": "default", "provider": "acme"})).await;
        let free = app.api_key(json!({"role": "default"})).await;
        let ask = async |base: &str, key: &str, token: &str| {
            let answer = app.post(&format!("{base}{INTROSPECT}")).form(&[("token", token)]).bearer(key).send().await;
            (answer.status, answer.json()["active"].as_bool())
        };
        assert_eq!(ask("", &free, &tokens[0]).await, (200, Some(true)));
        assert_eq!(ask("/p/acme", &free, &tokens[1]).await, (200, Some(true)));
        assert_eq!(ask("/p/acme", &bound, &tokens[1]).await, (200, Some(true)));
        assert_eq!(ask("", &bound, &tokens[0]).await, (401, None), "its provider is another");
        assert_eq!(ask("", &free, &tokens[1]).await, (200, Some(false)), "a token of another provider is unknown here");
        assert_eq!(ask("/p/acme", &free, &tokens[0]).await, (200, Some(false)));
        assert_eq!(ask("/p/none", &free, &tokens[0]).await, (404, None));
        assert_eq!(ask("/p/default", &free, &tokens[0]).await, (404, None));
    }

    // IN3, RV7
    async fn only_a_post_with_a_token_is_answered(app: TestApp) {
        let client = app.client(json!({})).await;
        for path in [INTROSPECT, "/oauth2/revoke"] {
            for method in ["GET", "PUT", "DELETE"] {
                let answer = app.call(method, &format!("{path}?token=x")).basic(&client.id, &client.secret).send().await;
                assert_eq!(answer.status, 405, "{method} {path}");
                assert!(answer.header("allow").contains("POST"));
            }
            for form in [&[][..], &[("token", "")]] {
                let answer = app.post(path).form(form).basic(&client.id, &client.secret).send().await;
                assert_eq!(answer.refusal(), refused(400, "invalid_request"));
            }
            let answer = app.post(&format!("{path}?token=x")).form(&[]).basic(&client.id, &client.secret).send().await;
            assert_eq!(answer.refusal(), refused(400, "invalid_request"), "nothing is read from the query");
        }
    }

    // AT5
    async fn an_id_token_is_no_access_token(app: TestApp) {
        let client = app.client(json!({})).await;
        let body = json!({"id": client.id, "name": "x", "secret": client.secret});
        let answer = app.post("/v1/k8s/auth/oauth/apptoken").json(&body).send().await.json();
        let (access, id_token) = (answer["access_token"].as_str().unwrap(), answer["id_token"].as_str().unwrap());
        assert!(app.is_active(access).await);
        assert_eq!(app.introspected(id_token).await, inactive());
        for token in [access, id_token] {
            let answer = app.get("/admin/v1/providers").bearer(token).send().await;
            assert_eq!(answer.status, 403, "no token of ours manages: {}", answer.text());
        }
    }
}
