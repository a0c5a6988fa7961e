//! Run:ai's grants of people: `exchange_token`, `refresh_token`, `password` and
//! `external_token_exchange`, each with its own fields.

use serde_json::{Value, json};

use crate::support::app::{ISSUER, TestApp, TestClient, on_both_apps};
use crate::support::browser::{CALLBACK, PASSWORD, VERIFIER, claims};
use crate::support::http::{Answer, refused};
use crate::support::people::{Wish, text};

const V1: &str = "/api/v1/token";

/// The built-in client, on, with a place to send codes to.
async fn own_client(app: &TestApp) -> TestClient {
    let fields = json!({"enabled": true, "redirect_uris": [CALLBACK]});
    let answer = app.admin("PATCH", "/providers/default/clients/runai").json(&fields).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    TestClient { id: "runai".to_owned(), secret: String::new(), body: answer.json() }
}

async fn ask(app: &TestApp, body: Value) -> Answer {
    app.post(V1).json(&body).send().await
}

/// 400 with a message, as every refusal of this wire.
fn is_refused(answer: &Answer) -> bool {
    answer.status == 400 && answer.json()["code"] == json!(400)
}

fn exchange(code: &str, client: &str) -> Value {
    json!({"grantType": "exchange_token", "code": code, "clientID": client, "redirectUri": CALLBACK, "codeVerifier": VERIFIER})
}

on_both_apps! {
    async fn a_code_is_exchanged_and_the_refresh_token_renewed(app: TestApp) {
        let (own, who) = (own_client(&app).await, app.logged_in("ada").await);
        let code = app.code(&own, &who, &Wish::default()).await;
        let answer = ask(&app, exchange(&code, "runai")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let tokens = answer.json();
        assert_eq!(tokens["expiresIn"], json!(3600));
        let (access, id) = (claims(&text(&tokens, "accessToken")), claims(&text(&tokens, "idToken")));
        assert_eq!((&access["sub"], &access["client_id"], &access["iss"]), (&json!(who.user), &json!("runai"), &json!(ISSUER)));
        assert_eq!((&id["aud"], &id["sub"]), (&json!("runai"), &json!(who.user)));
        let refresh = text(&tokens, "refreshToken");
        for keys in [("refreshToken", "clientID"), ("RefreshToken", "clientId")] {
            let renewed = ask(&app, json!({"grantType": "refresh_token", keys.0: refresh, keys.1: "runai"})).await;
            assert_eq!(renewed.status, 200, "{}", renewed.text());
            assert_ne!(text(&renewed.json(), "refreshToken"), refresh);
            assert!(renewed.json()["idToken"].is_string());
        }
        assert!(app.is_active(&text(&tokens, "accessToken")).await);
    }

    async fn the_built_in_client_gets_nothing_without_pkce_or_elsewhere(app: TestApp) {
        let (own, who) = (own_client(&app).await, app.logged_in("ada").await);
        let plain = app.code(&own, &who, &Wish { challenge: None, ..Wish::default() }).await;
        let without = json!({"grantType": "exchange_token", "code": plain, "clientID": "runai", "redirectUri": CALLBACK});
        assert!(is_refused(&ask(&app, without).await));
        let code = app.code(&own, &who, &Wish::default()).await;
        assert_eq!(app.redeem("", &own, &code).await.refusal(), refused(401, "invalid_client"), "on its surface only");
        let mut wrong = exchange(&code, "runai");
        wrong["codeVerifier"] = json!("x".repeat(43));
        assert!(is_refused(&ask(&app, wrong).await));
        assert_eq!(ask(&app, exchange(&code, "runai")).await.status, 200);
    }

    async fn a_confidential_client_proves_itself_by_its_secret(app: TestApp) {
        let who = app.logged_in("ada").await;
        for method in ["client_secret_basic", "client_secret_post"] {
            let client = app.web_client(json!({"token_endpoint_auth_method": method, "access_token_format": "opaque"})).await;
            let code = app.code(&client, &who, &Wish::default()).await;
            let mut body = exchange(&code, &client.id);
            assert!(is_refused(&ask(&app, body.clone()).await), "named without its secret");
            body["clientSecret"] = json!("wrong");
            assert!(is_refused(&ask(&app, body.clone()).await));
            body["clientSecret"] = json!(client.secret);
            let tokens = ask(&app, body).await.json();
            assert!(text(&tokens, "accessToken").starts_with("ey"), "always a JWT");
            let refresh = json!({"grantType": "refresh_token", "refreshToken": text(&tokens, "refreshToken"), "clientID": client.id});
            assert!(is_refused(&ask(&app, refresh.clone()).await));
            let mut refresh = refresh;
            refresh["clientSecret"] = json!(client.secret);
            assert_eq!(ask(&app, refresh).await.status, 200);
        }
    }

    async fn each_grant_needs_its_own_fields(app: TestApp) {
        own_client(&app).await;
        let missing = json!({"code": 400, "message": "Required parameter is missing"});
        for body in [
            json!({"grantType": "refresh_token", "refreshToken": "gr_x"}),
            json!({"grantType": "refresh_token", "clientID": "runai"}),
            json!({"grantType": "exchange_token", "clientID": "runai", "redirectUri": CALLBACK}),
            json!({"grantType": "exchange_token", "code": "gc_x", "redirectUri": CALLBACK}),
            json!({"grantType": "exchange_token", "code": "gc_x", "clientID": "runai"}),
            json!({"grantType": "exchange_token", "externalToken": "ey.ey.ey"}),
            json!({"grantType": "password", "username": "ada"}),
            json!({"grantType": "password", "password": "x"}),
            json!({"grantType": "password", "username": "ada", "password": "x", "clientSecret": "y"}),
            json!({"grantType": "external_token_exchange"}),
            json!({"grantType": "external_token_exchange", "externalToken": null}),
        ] {
            let answer = ask(&app, body.clone()).await;
            assert_eq!((answer.status, answer.json()), (400, missing.clone()), "{body}");
        }
        let long = |length: usize| "x".repeat(length);
        for body in [
            json!({"grantType": "refresh_token", "refreshToken": long(4097), "clientID": "runai"}),
            json!({"grantType": "exchange_token", "code": long(2049), "clientID": "runai", "redirectUri": CALLBACK}),
            json!({"grantType": "exchange_token", "code": "x", "clientID": "runai", "redirectUri": long(2049)}),
            json!({"grantType": "password", "username": long(256), "password": "x"}),
            json!({"grantType": "password", "username": "x", "password": long(256)}),
            json!({"grantType": "external_token_exchange", "externalToken": long(4097)}),
        ] {
            assert_eq!(ask(&app, body).await.json()["message"], json!("A parameter is too long."));
        }
        for body in [
            json!({"grantType": "refresh_token", "refreshToken": long(4096), "clientID": "runai"}),
            json!({"grantType": "exchange_token", "code": long(2048), "clientID": "runai", "redirectUri": CALLBACK}),
            json!({"grantType": "external_token_exchange", "externalToken": long(4096)}),
        ] {
            assert!(is_refused(&ask(&app, body).await));
        }
    }

    async fn password_and_external_token_need_no_client(app: TestApp) {
        own_client(&app).await;
        app.person("ada").await;
        let body = json!({"grantType": "password", "username": "ada", "password": PASSWORD});
        let answer = ask(&app, body.clone()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let tokens = answer.json();
        let access = claims(&text(&tokens, "accessToken"));
        assert_eq!((&access["client_id"], &access["scope"]), (&json!("runai"), &json!("openid profile email offline_access")));
        assert!(tokens["idToken"].is_string() && tokens["refreshToken"].is_string());
        let form = [("grant_type", "password"), ("username", "ada"), ("password", PASSWORD)];
        let v2 = app.post("/api/v2/token").form(&form).send().await;
        assert_eq!((v2.status, &v2.json()["scope"]), (200, &json!("openid profile email offline_access")), "{}", v2.text());
        // The standard endpoint has no client of its own, and the surface's is unknown there.
        assert_eq!(app.post("/oauth2/token").form(&form).send().await.refusal(), refused(401, "invalid_client"));
        let named = [form[0], form[1], form[2], ("client_id", "runai")];
        assert_eq!(app.post("/oauth2/token").form(&named).send().await.refusal(), refused(401, "invalid_client"));
        let mut wrong = body;
        wrong["password"] = json!("wrong");
        assert!(is_refused(&ask(&app, wrong).await));
        // No issuer is trusted.
        assert!(is_refused(&ask(&app, json!({"grantType": "external_token_exchange", "externalToken": "ey.ey.ey"})).await));
    }

    // TE5
    async fn a_client_without_the_password_grant_is_refused_everywhere(app: TestApp) {
        app.person("ada").await;
        let client = app.web_client(json!({})).await;
        let fields = [("grant_type", "password"), ("username", "ada"), ("password", PASSWORD)];
        assert_eq!(app.as_client("", &client, &fields).await.refusal(), refused(400, "unauthorized_client"));
        let v2 = app.post("/api/v2/token").form(&fields).basic(&client.id, &client.secret).send().await;
        assert_eq!(v2.refusal(), refused(400, "unauthorized_client"));
        let body = json!({"grantType": "password", "username": "ada", "password": PASSWORD, "clientID": client.id, "clientSecret": client.secret});
        assert!(is_refused(&ask(&app, body).await));
        // The built-in client is off where the operator has not turned it on.
        assert!(is_refused(&ask(&app, json!({"grantType": "password", "username": "ada", "password": PASSWORD})).await));
    }
}
