//! `POST /api/v1/token`: JSON, `grantType`, keys in the spellings that real clients send.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::app::{ISSUER, on_both_apps};
use crate::support::http::{FORM, JSON};
use crate::support::jose::{decoded, verified};

const V1: &str = "/api/v1/token";

on_both_apps! {
    async fn a_client_gets_a_token_in_every_spelling_there_is(app: TestApp) {
        let client = app.client(json!({"scope": "a b"})).await;
        let (id, secret) = (client.id.as_str(), client.secret.as_str());
        let app_keys = [("appID", "appSecret"), ("AppId", "AppSecret"), ("appId", "appSecret"), ("APPID", "APPSECRET"), ("appid", "appsecret")];
        let client_keys = [("clientID", "clientSecret"), ("clientId", "clientSecret"), ("ClientId", "ClientSecret"), ("CLIENTID", "clientsecret")];
        let all = app_keys.map(|keys| ("app_token", keys)).into_iter().chain(client_keys.map(|keys| ("client_credentials", keys)));
        for (grant, (id_key, secret_key)) in all {
            for grant_key in ["grantType", "GrantType", "granttype"] {
                let body = json!({grant_key: grant, id_key: id, secret_key: secret, "unknown": 1, "redirectUri": null});
                let answer = app.post(V1).json(&body).send().await;
                assert_eq!(answer.status, 200, "{id_key} {grant_key}: {}", answer.text());
                let body = answer.json();
                assert_eq!(body["expiresIn"], json!(3600));
                assert_eq!(body.as_object().unwrap().len(), 2, "no idToken and no refreshToken for a machine");
                let (_, claims) = decoded(body["accessToken"].as_str().unwrap());
                assert_eq!((&claims["scope"], &claims["sub"]), (&json!("a b"), &json!(id)));
            }
        }
    }

    async fn each_grant_reads_its_own_keys_only(app: TestApp) {
        let client = app.client(json!({})).await;
        let (id, secret) = (client.id.as_str(), client.secret.as_str());
        for body in [
            json!({"grantType": "app_token", "clientID": id, "clientSecret": secret}),
            json!({"grantType": "client_credentials", "appID": id, "appSecret": secret}),
            json!({"grantType": "client_credentials", "client_id": id, "client_secret": secret}),
            json!({"grant_type": "client_credentials", "clientID": id, "clientSecret": secret}),
        ] {
            let answer = app.post(V1).json(&body).send().await;
            assert_eq!((answer.status, answer.json()), (400, json!({"code": 400, "message": "Required parameter is missing"})));
        }
    }

    async fn two_spellings_agree_or_are_refused(app: TestApp) {
        let client = app.client(json!({})).await;
        let (id, secret) = (&client.id, &client.secret);
        let same = format!(r#"{{"grantType":"app_token","appID":"{id}","AppId":"{id}","appSecret":"{secret}"}}"#);
        assert_eq!(app.post(V1).body(JSON, same).send().await.status, 200);
        for different in [
            format!(r#"{{"grantType":"app_token","appID":"{id}","AppId":"x","appSecret":"{secret}"}}"#),
            format!(r#"{{"grantType":"app_token","appID":"x","AppId":"{id}","appSecret":"{secret}"}}"#),
            format!(r#"{{"grantType":"app_token","appID":"{id}","appSecret":"{secret}","APPSECRET":"y"}}"#),
            format!(r#"{{"grantType":"app_token","GrantType":"password","appID":"{id}","appSecret":"{secret}"}}"#),
            format!(r#"{{"grantType":"app_token","appID":"{id}","appId":null,"appSecret":"{secret}"}}"#),
        ] {
            assert_eq!(app.post(V1).body(JSON, &different).send().await.status, 400, "{different}");
        }
    }

    async fn the_grants_of_a_later_release_and_nonsense_are_a_clean_400(app: TestApp) {
        for body in [
            json!({"grantType": "refresh_token", "refreshToken": "x", "clientID": "runai"}),
            json!({"grantType": "exchange_token", "code": "x", "clientID": "runai", "redirectUri": "https://a.example/cb"}),
            json!({"grantType": "password", "username": "ann", "password": "secret"}),
            json!({"grantType": "external_token_exchange", "externalToken": "ey.ey.ey"}),
            json!({"grantType": "nonsense"}),
            json!({"grantType": "Client_Credentials"}),
        ] {
            let answer = app.post(V1).json(&body).send().await;
            assert_eq!(answer.status, 400, "{body}");
            let said = answer.json();
            assert_eq!(said["code"], json!(400));
            assert!(said["message"].as_str().is_some_and(|message| !message.is_empty()));
        }
    }

    // A call that names no client.
    async fn without_a_client_it_is_a_400(app: TestApp) {
        for body in [
            json!({}), json!({"grantType": "client_credentials"}), json!({"grantType": "app_token"}), json!({"grantType": null}),
            json!({"grantType": "app_token", "AppId": null, "AppSecret": null}), json!({"grantType": "app_token", "AppId": "", "AppSecret": ""}),
            json!({"AppId": null, "AppSecret": null}), json!({"grantType": 7}), json!({"grantType": "app_token", "appID": 7, "appSecret": true}),
            json!({"grantType": "client_credentials", "clientID": "runai", "clientSecret": "x"}),
        ] {
            let answer = app.post(V1).json(&body).send().await;
            assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(400)), "{body}");
        }
    }

    // Its own client sends its last, perhaps expired, token there.
    async fn an_authorization_header_is_ignored(app: TestApp) {
        let client = app.client(json!({})).await;
        let body = json!({"grantType": "app_token", "AppId": client.id, "AppSecret": client.secret});
        for header in ["Bearer ey.expired.token", "Basic eDp5", "Basic !!!", "Token", "", "Bearer gk_wrong"] {
            assert_eq!(app.post(V1).json(&body).header("authorization", header).send().await.status, 200, "{header}");
        }
        let wrong = json!({"grantType": "app_token", "AppId": client.id, "AppSecret": "wrong"});
        assert_eq!(app.post(V1).json(&wrong).basic(&client.id, &client.secret).send().await.status, 400);
        assert_eq!(app.post(V1).json(&json!({})).basic(&client.id, &client.secret).send().await.status, 400);
    }

    async fn the_media_type_does_not_matter(app: TestApp) {
        let client = app.client(json!({})).await;
        let body = json!({"grantType": "app_token", "appID": client.id, "appSecret": client.secret}).to_string();
        for media_type in ["", JSON, "text/plain", FORM, "application/json; charset=utf-8"] {
            assert_eq!(app.post(V1).body(media_type, &body).send().await.status, 200, "{media_type}");
        }
    }

    // Unknown and wrong: one answer, and never a 401 that its client would repeat.
    async fn every_failed_client_gets_the_same_400(app: TestApp) {
        let (client, off) = (app.client(json!({})).await, app.client(json!({})).await);
        let public = app.client(json!({"token_endpoint_auth_method": "none", "grant_types": []})).await;
        app.change(&off, json!({"enabled": false})).await;
        let mut answers = Vec::new();
        for (id, secret) in [(client.id.as_str(), "wrong"), ("nobody", "wrong"), (&off.id, &off.secret), (&public.id, "x"), ("runai", "x"), (&client.id, &off.secret)] {
            for (grant, id_key, secret_key) in [("app_token", "appID", "appSecret"), ("client_credentials", "clientID", "clientSecret")] {
                let answer = app.post(V1).json(&json!({"grantType": grant, id_key: id, secret_key: secret})).send().await;
                answers.push((answer.status, answer.text()));
            }
        }
        assert_eq!(answers[0].0, 400);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    }

    async fn guessing_is_slowed_with_400(app: TestApp) {
        let client = app.client(json!({})).await;
        let mut messages = Vec::new();
        for _ in 0..30 {
            let answer = app.post(V1).json(&json!({"grantType": "app_token", "appID": client.id, "appSecret": "wrong"})).send().await;
            assert_eq!(answer.status, 400);
            messages.push(answer.json()["message"].clone());
        }
        assert_ne!(messages[0], messages[29], "the last one says why");
        let right = json!({"grantType": "app_token", "appID": client.id, "appSecret": client.secret});
        assert_eq!(app.post(V1).json(&right).send().await.status, 200);
    }

    // runapy decodes the payload with the standard alphabet.
    async fn the_payload_reads_the_same_in_both_alphabets(app: TestApp) {
        let scopes: Vec<String> = ["a?b", "ab>c", "abc~d", "???", ">>>>", "~~~~~"].iter().enumerate().map(|(n, s)| format!("{}{s}", "x".repeat(n))).collect();
        let audience: Vec<String> = (0..6).map(|n| format!("https://a.example/{}?q=~>", "y".repeat(n))).collect();
        for one in audience {
            let client = app.client(json!({"scope": scopes.join(" "), "audience": [one]})).await;
            let body = json!({"grantType": "app_token", "appID": client.id, "appSecret": client.secret});
            let token = app.post(V1).json(&body).send().await.json()["accessToken"].as_str().unwrap().to_owned();
            let payload = token.split('.').nth(1).unwrap();
            assert!(!payload.contains(['-', '_']), "{payload}");
            assert_eq!(STANDARD_NO_PAD.decode(payload).unwrap(), URL_SAFE_NO_PAD.decode(payload).unwrap());
            let claims: Value = serde_json::from_slice(&STANDARD_NO_PAD.decode(payload).unwrap()).unwrap();
            assert_eq!(claims["aud"], json!(one));
            assert!(claims["exp"].is_i64());
        }
    }

    async fn an_opaque_client_gets_a_jwt_here(app: TestApp) {
        let client = app.client(json!({"access_token_format": "opaque"})).await;
        let body = json!({"grantType": "client_credentials", "clientID": client.id, "clientSecret": client.secret});
        let token = app.post(V1).json(&body).send().await.json()["accessToken"].as_str().unwrap().to_owned();
        let jwks = app.get("/.well-known/jwks.json").send().await.json();
        assert_eq!(verified(&token, &jwks).1["iss"], json!(ISSUER));
        assert!(app.is_active(&token).await);
    }

    async fn it_answers_405_and_404_in_its_own_shape(app: TestApp) {
        for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
            let answer = app.call(method, V1).send().await;
            assert_eq!((answer.status, answer.header("allow")), (405, "POST"), "{method}");
            assert_eq!(answer.json()["code"], json!(405));
        }
        let answer = app.post("/api/v1/tokens").send().await;
        assert_eq!((answer.status, &answer.json()["code"]), (404, &json!(404)));
    }

    // Below its own path a provider answers once it turns the surface on.
    async fn a_provider_turns_the_surface_on_for_itself(app: TestApp) {
        app.provider("acme", json!({})).await;
        let client = app.client_of("acme", json!({})).await;
        let body = json!({"grantType": "app_token", "appID": client.id, "appSecret": client.secret});
        assert_eq!(app.post("/p/acme/api/v1/token").json(&body).send().await.status, 404);
        assert_eq!(app.admin("PATCH", "/providers/acme").json(&json!({"surfaces": ["runai"]})).send().await.status, 200);
        let answer = app.post("/p/acme/api/v1/token").json(&body).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(decoded(answer.json()["accessToken"].as_str().unwrap()).1["iss"], json!(format!("{ISSUER}/p/acme")));
        assert_eq!(app.post(V1).json(&body).send().await.status, 400, "a client of another provider is unknown");
        assert_eq!(app.post("/p/default/api/v1/token").json(&body).send().await.status, 404);
    }

    async fn the_built_in_client_works_nowhere_else_and_has_no_grant(app: TestApp) {
        let shown = app.admin("GET", "/providers/default/clients/runai").send().await.json();
        assert_eq!((&shown["token_endpoint_auth_method"], &shown["enabled"]), (&json!("none"), &json!(false)), "not loopback");
        app.admin("PATCH", "/providers/default/clients/runai").json(&json!({"enabled": true})).send().await;
        let form = [("grant_type", "client_credentials"), ("client_id", "runai")];
        assert_eq!(app.post("/oauth2/token").form(&form).send().await.refusal().0, 401);
        let (status, _) = app.post("/api/v2/token").form(&form).send().await.refusal();
        assert!([400, 401].contains(&status));
    }
}
