//! `GET /security/generate-token`: everything in the query, a bare key, and the version of the API on
//! every answer.

use serde_json::{Value, json};

use crate::support::app::{ISSUER, TestApp, on_both_apps};
use crate::support::http::Answer;
use crate::support::jose::verified;

const PATH: &str = "/security/generate-token";

async fn member(app: &TestApp) -> String {
    app.api_key(json!({"role": "member"})).await
}

/// As its client asks: the key without a scheme, and the version it expects.
async fn ask(app: &TestApp, key: &str, query: &str) -> Answer {
    let call = app.get(&format!("{PATH}?{query}")).header("authorization", key);
    call.header("x-expected-api-version", "1.1.0").send().await
}

fn has_version(answer: &Answer) -> bool {
    answer.header("x-api-version") == "1.1.0"
        && answer.header("access-control-expose-headers").contains("X-API-Version")
}

#[track_caller]
fn token(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(has_version(answer));
    let body = answer.json();
    let token = body["data"].as_str().unwrap().to_owned();
    assert_eq!(body, json!({"status": "done", "data": token}));
    token
}

/// Status of a refusal, which must have the shape of this API.
#[track_caller]
fn refused(answer: &Answer) -> u16 {
    assert!(has_version(answer), "{}", answer.text());
    let body = answer.json();
    assert_eq!((&body["status"], body.as_object().unwrap().len()), (&json!("error"), 2), "{body}");
    assert!(body["error"].as_str().is_some_and(|text| text.ends_with('.')), "{body}");
    answer.status
}

/// What introspection says of a fresh token.
async fn said(app: &TestApp, key: &str, query: &str) -> Value {
    app.introspected(&token(&ask(app, key, query).await)).await
}

on_both_apps! {
    async fn without_options_the_token_is_good_for_ten_seconds_of_reading_once(app: TestApp) {
        let key = member(&app).await;
        let made = token(&ask(&app, &key, "").await);
        assert!(made.starts_with("ga_"), "what is good for one use cannot be verified alone");
        let said = app.introspected(&made).await;
        assert_eq!((&said["active"], &said["one_time"], &said["access"]), (&json!(true), &json!(true), &json!("readonly")), "{said}");
        assert_eq!((&said["iat"], &said["exp"]), (&json!(app.now()), &json!(app.now() + 10)));
        assert_eq!(said["sub"], said["client_id"]);
        assert_eq!(app.introspected(&made).await, json!({"active": false}), "it was used");
    }

    async fn a_token_for_many_uses_is_a_jwt_with_its_access(app: TestApp) {
        let key = member(&app).await;
        let jwks = app.get("/.well-known/jwks.json").send().await.json();
        for (query, access, seconds) in [("one_time=false", "readonly", 10), ("access=readwrite&lifetime_s=60&one_time=false", "readwrite", 60)] {
            let made = token(&ask(&app, &key, query).await);
            let (_, claims) = verified(&made, &jwks);
            assert_eq!((&claims["access"], &claims["exp"], &claims["iss"]), (&json!(access), &json!(app.now() + seconds), &json!(ISSUER)), "{query}");
            assert!(app.is_active(&made).await && app.is_active(&made).await);
        }
    }

    async fn lifetimes_on_both_sides_of_each_bound(app: TestApp) {
        let key = member(&app).await;
        for (value, seconds) in [("1", 1), ("1.5", 1), ("119.9", 119), ("120", 120), ("", 10)] {
            let said = said(&app, &key, &format!("lifetime_s={value}")).await;
            assert_eq!(said["exp"], json!(app.now() + seconds), "{value}");
        }
        for value in ["0", "0.5", "120.5", "121", "-1", "1e1", "ten", "NaN", "true", "null"] {
            assert_eq!(refused(&ask(&app, &key, &format!("lifetime_s={value}")).await), 400, "{value}");
        }
        let made = token(&ask(&app, &key, "lifetime_s=1&one_time=false").await);
        app.pass(1);
        assert!(!app.is_active(&made).await);
    }

    async fn other_options_are_refused_and_unknown_ones_ignored(app: TestApp) {
        let key = member(&app).await;
        for query in ["access=write", "access=READWRITE", "one_time=1", "one_time=False", "access=readonly&access=readonly", "access=%FF"] {
            assert_eq!(refused(&ask(&app, &key, query).await), 400, "{query}");
        }
        assert_eq!(said(&app, &key, "access=&one_time=&other=1").await["one_time"], json!(true));
    }

    async fn the_key_comes_bare_or_with_a_scheme_and_needs_the_role(app: TestApp) {
        let key = member(&app).await;
        for header in [key.clone(), format!("Bearer {key}"), format!("bearer {key}"), format!("Token {key}"), app.first.owner_key.clone()] {
            token(&ask(&app, &header, "").await);
        }
        let role_default = app.api_key(json!({"role": "default"})).await;
        assert_eq!(refused(&ask(&app, &role_default, "").await), 403);
        for header in ["gk_wrong", "Basic YTpi", "Bearer", &format!("{key}x"), &format!("{key} {key}")] {
            assert_eq!(refused(&ask(&app, header, "").await), 401, "{header}");
        }
        let answer = app.get(PATH).send().await;
        assert_eq!((refused(&answer), answer.header("www-authenticate")), (401, "Bearer"));
        let id = app.introspected(&token(&ask(&app, &key, "").await)).await["client_id"].as_str().unwrap().to_owned();
        assert_eq!(app.admin("DELETE", &format!("/api-keys/{id}")).send().await.status, 204);
        app.poll().await;
        assert_eq!(refused(&ask(&app, &key, "").await), 401);
    }

    async fn a_token_of_its_own_cannot_mint(app: TestApp) {
        let key = member(&app).await;
        for query in ["", "one_time=false&access=readwrite&lifetime_s=120"] {
            let made = token(&ask(&app, &key, query).await);
            for header in [format!("Bearer {made}"), made.clone()] {
                let answer = ask(&app, &header, query).await;
                assert_eq!(refused(&answer), 403);
                assert!(answer.json()["error"].as_str().unwrap().contains("access token"), "{}", answer.text());
            }
            assert!(app.is_active(&made).await, "a refused use does not spend it");
        }
    }

    async fn what_the_key_may_not_give_is_refused_and_the_usual_lifetime_shortened(app: TestApp) {
        let short = app.api_key(json!({"role": "member", "max_ttl": 5, "scope": "speech:read"})).await;
        let made = said(&app, &short, "").await;
        assert_eq!((&made["exp"], &made["scope"]), (&json!(app.now() + 5), &json!("speech:read")));
        let longer = ask(&app, &short, "lifetime_s=6").await;
        assert_eq!(refused(&longer), 400);
        assert!(longer.text().contains("\"The lifetime must be from 1 to 5 seconds here.\""), "{}", longer.text());
        assert_eq!(said(&app, &short, "lifetime_s=5").await["exp"], json!(app.now() + 5));
    }

    async fn every_answer_of_the_surface_has_the_version_and_so_has_every_answer_to_its_client(app: TestApp) {
        for (method, path, status) in [
            ("POST", PATH, 405), ("OPTIONS", PATH, 405), ("GET", "/security/", 404), ("GET", "/security/other", 404),
            ("GET", "/p/nobody/security/generate-token", 401),
        ] {
            assert_eq!(refused(&app.call(method, path).send().await), status, "{method} {path}");
        }
        let elsewhere = [
            ("GET", "/nothing/here", 404), ("POST", "/oauth2/token", 400), ("GET", "/admin/v1/providers", 401), ("GET", "/healthz", 200),
            ("GET", "/.well-known/jwks.json", 200), ("POST", "/v1/auth/grant", 401), ("GET", "/login", 200), ("DELETE", "/healthz", 405),
        ];
        for (method, path, status) in elsewhere {
            let with = app.call(method, path).header("x-expected-api-version", "1.1.0").send().await;
            assert!(has_version(&with) && with.status == status, "{method} {path}: {} {}", with.status, with.text());
            let without = app.call(method, path).send().await;
            assert_eq!((without.header("x-api-version"), without.header("access-control-expose-headers")), ("", ""), "{path}");
        }
        let too_large = app.get(PATH).body("text/plain", "x".repeat(70_000)).send().await;
        assert_eq!(refused(&too_large), 400);
    }
}
