//! `POST /v1/k8s/auth/oauth/apptoken`: the legacy call, with an ID token for the client itself.

use serde_json::json;

use crate::support::app::{ISSUER, on_both_apps};
use crate::support::browser::{Browser, authorize_path};
use crate::support::http::refused;
use crate::support::jose::verified;

const PATH: &str = "/v1/k8s/auth/oauth/apptoken";

on_both_apps! {
    async fn it_answers_an_access_token_and_the_clients_own_id_token(app: TestApp) {
        let client = app.client(json!({"subject": "robot", "scope": "a", "access_token_format": "opaque", "access_token_ttl": 60})).await;
        let body = json!({"id": client.id, "name": "whatever it likes", "secret": client.secret});
        let answer = app.post(PATH).json(&body).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        assert_eq!(answer.as_object().unwrap().len(), 2);
        let jwks = app.get("/.well-known/jwks.json").send().await.json();
        let (header, claims) = verified(answer["id_token"].as_str().unwrap(), &jwks);
        assert_eq!((&header["alg"], header.get("typ")), (&json!("RS256"), None));
        for (name, value) in [
            ("sub", json!("robot")), ("aud", json!(client.id)), ("iss", json!(ISSUER)),
            ("iat", json!(app.now())), ("exp", json!(app.now() + 3600)),
        ] {
            assert_eq!(claims[name], value, "{name}");
        }
        let (header, claims) = verified(answer["access_token"].as_str().unwrap(), &jwks);
        assert_eq!((&header["typ"], &claims["exp"]), (&json!("at+jwt"), &json!(app.now() + 60)));
        assert!(app.is_active(answer["access_token"].as_str().unwrap()).await);
        assert!(!app.is_active(answer["id_token"].as_str().unwrap()).await, "it is no access token");
    }

    /// Its `sub` is a client, which nobody can be logged in as or log out.
    async fn its_id_token_is_no_hint_and_no_subject_token(app: TestApp) {
        let mut fields = crate::trust::exchanging();
        fields["grant_types"] = json!(["client_credentials", "authorization_code", crate::trust::EXCHANGE, crate::trust::BEARER]);
        fields["redirect_uris"] = json!([crate::support::browser::CALLBACK]);
        fields["post_logout_redirect_uris"] = json!(["https://app.example.com/bye"]);
        let client = app.client(fields).await;
        app.person("ada").await;
        let body = json!({"id": client.id, "name": "x", "secret": client.secret});
        let answer = app.post(PATH).json(&body).send().await.json();
        let hint = answer["id_token"].as_str().unwrap();
        // Without a session only a hint sends the browser back to the client.
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("id_token_hint", hint), ("post_logout_redirect_uri", "https://app.example.com/bye")])
            .finish();
        let logout = format!("/oauth2/logout?{query}");
        let stranger = Browser::new(&app);
        assert_eq!(stranger.open(&logout).await.page().status, 200, "no redirect");
        // With one, nobody is logged out without a question, and the hint names no client for the page.
        let browser = Browser::new(&app);
        browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        assert!(browser.open(&logout).await.shows("logout-form"));
        let quiet = [("prompt", "none"), ("id_token_hint", hint)];
        assert_eq!(browser.open(&authorize_path("", &client, &quiet)).await.error(), "login_required");
        let page = browser.open(&logout).await;
        assert_eq!(browser.submit(&page, "logout-form", &[]).await.page().status, 200, "no place to go to");
        let exchanged = crate::trust::exchange(&app, &client, hint, &[]).await;
        assert_eq!(exchanged.refusal(), refused(400, "invalid_request"));
        assert_eq!(crate::trust::bearer(&app, &client, hint, &[]).await.refusal(), refused(400, "invalid_grant"));
    }

    async fn all_three_are_needed_and_the_name_is_not_compared(app: TestApp) {
        let client = app.client(json!({})).await;
        let full = json!({"id": client.id, "name": "x", "secret": client.secret});
        for name in ["id", "name", "secret"] {
            for absent in [None, Some(json!(null)), Some(json!(""))] {
                let mut body = full.clone();
                match absent {
                    None => drop(body.as_object_mut().unwrap().remove(name)),
                    Some(value) => body[name] = value,
                }
                let answer = app.post(PATH).json(&body).send().await;
                assert_eq!((answer.status, answer.json()), (400, json!({"code": 400, "message": "Required parameter is missing"})), "{name}");
            }
        }
        let upper = json!({"ID": client.id, "Name": client.id, "SECRET": client.secret});
        assert_eq!(app.post(PATH).json(&upper).send().await.status, 200);
    }

    async fn wrong_and_unknown_get_the_same_400_whatever_the_header_says(app: TestApp) {
        let client = app.client(json!({})).await;
        let mut answers = Vec::new();
        for (id, secret) in [(client.id.as_str(), "wrong"), ("nobody", "wrong"), ("nobody", &client.secret)] {
            let body = json!({"id": id, "name": "x", "secret": secret});
            for call in [app.post(PATH).json(&body), app.post(PATH).json(&body).basic(&client.id, &client.secret)] {
                let answer = call.send().await;
                answers.push((answer.status, answer.text()));
            }
        }
        assert_eq!(answers[0].0, 400);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    }

    async fn paths_and_methods_that_are_not_there_have_its_shape(app: TestApp) {
        let answer = app.get(PATH).send().await;
        assert_eq!((answer.status, answer.header("allow"), &answer.json()["code"]), (405, "POST", &json!(405)));
        let answer = app.post("/v1/k8s/other").send().await;
        assert_eq!((answer.status, &answer.json()["code"]), (404, &json!(404)));
    }
}
