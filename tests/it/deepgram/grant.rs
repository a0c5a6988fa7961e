//! `POST /v1/auth/grant`: the bodies and headers that its SDKs send, and every bound of `ttl_seconds`.

use serde_json::json;

use crate::deepgram::{code, granted, key, refused};
use crate::support::app::{ISSUER, TestApp, on_both_apps};
use crate::support::http::{Answer, FORM, JSON};
use crate::support::jose::verified;

const PATH: &str = "/v1/auth/grant";

async fn ask(app: &TestApp, key: &str, media_type: &str, body: &str) -> Answer {
    app.post(PATH).header("authorization", &format!("Token {key}")).body(media_type, body).send().await
}

on_both_apps! {
    async fn a_granted_token_says_what_the_verifiers_of_the_api_look_for(app: TestApp) {
        let key = key(&app, "member").await;
        let answer = ask(&app, &key, JSON, "{}").await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"), "{}", answer.text());
        let body = answer.json();
        assert_eq!((&body["expires_in"], body.as_object().unwrap().len()), (&json!(30), 2));
        let jwks = app.get("/.well-known/jwks.json").send().await.json();
        let token = body["access_token"].as_str().unwrap();
        let (header, claims) = verified(token, &jwks);
        assert_eq!(header["typ"], "at+jwt");
        assert_eq!((&claims["iat"], &claims["exp"], &claims["iss"]), (&json!(app.now()), &json!(app.now() + 30), &json!(ISSUER)));
        assert_eq!((&claims["subject"], &claims["client_id"]), (&claims["sub"], &claims["sub"]));
        assert_eq!((&claims["scope"], &claims["scopes"], &claims["project_claims"]), (&json!("usage:write"), &json!(["usage:write"]), &json!(["usage:write"])));
        assert!(app.is_active(token).await && app.is_active(token).await, "it is good for many uses");
        app.pass(30);
        assert!(!app.is_active(token).await);
    }

    async fn an_empty_body_of_any_type_is_an_empty_object(app: TestApp) {
        let key = key(&app, "member").await;
        let without_type = app.post(PATH).header("authorization", &format!("Token {key}")).send().await;
        assert_eq!((without_type.status, &without_type.json()["expires_in"]), (200, &json!(30)));
        for media_type in [JSON, "text/plain", FORM, "application/octet-stream"] {
            for (body, seconds) in [("", 30), (" \r\n", 30), ("{}", 30), (r#"{"ttl_seconds":60}"#, 60), (r#"{"other":1}"#, 30)] {
                let answer = ask(&app, &key, media_type, body).await;
                assert_eq!((answer.status, &answer.json()["expires_in"]), (200, &json!(seconds)), "{media_type} {body}");
            }
        }
    }

    async fn lifetimes_on_both_sides_of_each_bound(app: TestApp) {
        let key = key(&app, "member").await;
        let jwks = app.get("/.well-known/jwks.json").send().await.json();
        for (ttl, seconds) in [("1", 1), ("1.5", 1), ("30", 30), ("60.0", 60), ("3599.9", 3599), ("3600", 3600), ("null", 30)] {
            let answer = ask(&app, &key, JSON, &format!(r#"{{"ttl_seconds":{ttl}}}"#)).await;
            assert_eq!((answer.status, &answer.json()["expires_in"]), (200, &json!(seconds)), "{ttl}");
            let claims = verified(answer.json()["access_token"].as_str().unwrap(), &jwks).1;
            assert_eq!(claims["exp"], json!(app.now() + seconds), "{ttl}");
        }
        for ttl in ["0", "0.5", "3601", "3600.1", "-30", "1e99", r#""60""#, "true", "false", "[]", "{}"] {
            let answer = ask(&app, &key, JSON, &format!(r#"{{"ttl_seconds":{ttl}}}"#)).await;
            assert_eq!(refused(&answer), code(400, "BAD_REQUEST"), "{ttl}");
            assert!(answer.text().contains("1 to 3600"), "{}", answer.text());
        }
        for body in ["null", "[]", "{", "ttl_seconds=60", r#"{"ttl_seconds":1,"ttl_seconds":2}"#, "\u{0}", &format!("{{{}}}", " ".repeat(70_000))] {
            let answer = ask(&app, &key, JSON, body).await;
            assert_eq!(refused(&answer), code(400, "BAD_REQUEST"), "{}", body.get(..40).unwrap_or(body));
        }
    }

    async fn the_key_comes_with_a_scheme_in_any_letter_case_or_bare(app: TestApp) {
        let key = key(&app, "member").await;
        for header in ["Token ", "token ", "TOKEN ", "Bearer ", "bearer ", ""] {
            let answer = app.post(PATH).header("authorization", &format!("{header}{key}")).send().await;
            assert_eq!(answer.status, 200, "{header}: {}", answer.text());
        }
        for header in ["Token", "Token gk_wrong", "Basic YTpi", "undefined x", "a", &format!("Token {key}x")] {
            let answer = app.post(PATH).header("authorization", header).send().await;
            assert_eq!(refused(&answer), code(401, "INVALID_AUTH"), "{header}");
            assert_eq!((answer.json()["err_msg"].as_str().unwrap(), answer.header("www-authenticate")), ("Invalid credentials.", "Token"));
        }
        assert_eq!(refused(&app.post(PATH).send().await), code(401, "INVALID_AUTH"));
        let twice = app.post(PATH).header("authorization", &key).header("authorization", &key).send().await;
        assert_eq!(refused(&twice), code(400, "BAD_REQUEST"));
    }

    async fn a_key_of_role_default_may_not(app: TestApp) {
        for (role, status) in [("default", 403), ("member", 200), ("admin", 200), ("owner", 200)] {
            let answer = ask(&app, &key(&app, role).await, "", "").await;
            assert_eq!(answer.status, status, "{role}");
            if status == 403 {
                assert_eq!(refused(&answer), code(403, "FORBIDDEN"));
                assert!(answer.json()["err_msg"].as_str().unwrap().starts_with("Insufficient permissions."), "{}", answer.text());
            }
        }
    }

    async fn a_key_gives_no_more_than_it_has(app: TestApp) {
        let narrow = app.api_key(json!({"role": "member", "scope": "usage:read"})).await;
        assert_eq!(refused(&ask(&app, &narrow, "", "").await), code(403, "FORBIDDEN"));
        let short = app.api_key(json!({"role": "member", "max_ttl": 20})).await;
        assert_eq!(ask(&app, &short, "", "").await.json()["expires_in"], json!(20));
        assert_eq!(ask(&app, &short, JSON, r#"{"ttl_seconds":20}"#).await.json()["expires_in"], json!(20));
        let longer = ask(&app, &short, JSON, r#"{"ttl_seconds":21}"#).await;
        assert_eq!(refused(&longer), code(400, "BAD_REQUEST"));
        assert_eq!(longer.json()["err_msg"], "The lifetime must be from 1 to 20 seconds here.");
        let change = json!({"max_ttl": 25, "access_token_ttl": 25});
        assert_eq!(app.admin("PATCH", "/providers/default").json(&change).send().await.status, 200);
        let free = key(&app, "member").await;
        assert_eq!(ask(&app, &free, "", "").await.json()["expires_in"], json!(25));
        assert_eq!(refused(&ask(&app, &free, JSON, r#"{"ttl_seconds":26}"#).await), code(400, "BAD_REQUEST"));
    }

    async fn a_token_mints_nothing_and_manages_nothing_and_is_told_why(app: TestApp) {
        let token = granted(&app, &key(&app, "owner").await).await;
        let project = app.get("/v1/projects").bearer(&app.first.owner_key).send().await.json()["projects"][0]["project_id"].as_str().unwrap().to_owned();
        for (method, path) in [
            ("POST", PATH), ("GET", "/v1/auth/token"), ("GET", "/v1/projects"), ("GET", &format!("/v1/projects/{project}")),
            ("PATCH", &format!("/v1/projects/{project}")), ("DELETE", &format!("/v1/projects/{project}")),
            ("GET", &format!("/v1/projects/{project}/keys")), ("POST", &format!("/v1/projects/{project}/keys")),
            ("GET", &format!("/v1/projects/{project}/keys/x")), ("DELETE", &format!("/v1/projects/{project}/keys/x")),
        ] {
            for header in [format!("Bearer {token}"), format!("Token {token}"), token.clone()] {
                let answer = app.call(method, path).header("authorization", &header).send().await;
                assert_eq!(refused(&answer), code(403, "FORBIDDEN"), "{method} {path}");
                assert!(answer.text().to_lowercase().contains("access token"), "{}", answer.text());
            }
        }
        let answer = app.get("/admin/v1/api-keys").bearer(&token).send().await;
        assert_eq!(answer.status, 403);
        assert!(answer.text().contains("Access tokens do not work here"), "{}", answer.text());
        assert!(app.is_active(&token).await);
    }

    async fn a_deleted_key_takes_its_tokens_with_it(app: TestApp) {
        let (key, fields) = (key(&app, "member").await, json!({}));
        let token = granted(&app, &key).await;
        let id = app.introspected(&token).await["client_id"].as_str().unwrap().to_owned();
        assert_eq!(app.admin("DELETE", &format!("/api-keys/{id}")).json(&fields).send().await.status, 204);
        assert!(!app.is_active(&token).await);
        assert_eq!(refused(&ask(&app, &key, "", "").await), code(401, "INVALID_AUTH"));
    }

    async fn guessing_is_slowed_and_the_right_key_is_not(app: TestApp) {
        let key = key(&app, "member").await;
        let mut last = None;
        for _ in 0..320 {
            let answer = ask(&app, "gk_wrong", "", "").await;
            if answer.status == 429 {
                last = Some(answer);
                break;
            }
        }
        let last = last.expect("nobody slows it");
        assert_eq!(refused(&last), code(429, "TOO_MANY_REQUESTS"));
        assert!(last.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
        assert_eq!(ask(&app, &key, "", "").await.status, 200);
    }

    async fn paths_and_methods_that_are_not_there_have_its_shape(app: TestApp) {
        for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
            let answer = app.call(method, PATH).send().await;
            assert_eq!((refused(&answer), answer.header("allow")), (code(405, "METHOD_NOT_ALLOWED"), "POST"), "{method}");
        }
        for path in ["/v1/auth/grants", "/v1/projects/x/members", "/v1/projects/x/leave", "/v1/auth/"] {
            assert_eq!(refused(&app.post(path).send().await), code(404, "NOT_FOUND"), "{path}");
        }
    }
}
