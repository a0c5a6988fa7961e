//! `POST /api/v1/auth/tokens`: a form or JSON, a lifetime told as a string, and the claim `data`.

use serde_json::{Value, json};

use crate::support::app::{ISSUER, TestApp, TestClient, on_both_apps};
use crate::support::http::{Answer, FORM, JSON};
use crate::support::jose::verified;

const PATH: &str = "/api/v1/auth/tokens";

/// The request of the documentation, in JSON; `null` members are left out.
fn request(client: &TestClient, changes: &Value) -> Value {
    let mut body = json!({
        "client_id": client.id, "client_secret": client.secret,
        "grant_type": "client_credentials", "scope": ["all:read", "all:write"],
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(body.as_object_mut().unwrap().remove(name)),
            value => body[name] = value.clone(),
        }
    }
    body
}

async fn ask(app: &TestApp, body: &Value) -> Answer {
    app.post(PATH).json(body).send().await
}

async fn with_all(app: &TestApp) -> TestClient {
    app.client(json!({"scope": "all:read all:write orders:read"})).await
}

/// Status and code of an answer in the shape of this API's errors.
fn said(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().len(), 3, "{body}");
    assert_eq!(body["is_error"], json!(true), "{body}");
    assert!(body["error_description"].as_str().is_some_and(|text| text.ends_with('.')), "{body}");
    (answer.status, body["error"].as_str().unwrap().to_owned())
}

on_both_apps! {
    async fn form_and_json_of_the_documentation_get_the_same_answer(app: TestApp) {
        let client = with_all(&app).await;
        let pairs = [
            ("client_id", client.id.as_str()), ("client_secret", &client.secret),
            ("grant_type", "client_credentials"), ("scope", "all:read all:write"),
        ];
        let form = app.post(PATH).form(&pairs).header("accept", JSON).send().await;
        let json = ask(&app, &request(&client, &json!({}))).await;
        let jwks = app.get("/.well-known/jwks.json").send().await.json();
        for answer in [form, json] {
            assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"), "{}", answer.text());
            let body = answer.json();
            let token = body["access_token"].as_str().unwrap().to_owned();
            assert_eq!(body, json!({
                "is_error": false, "access_token": token, "token_type": "Bearer", "expires_in": "1209600",
                "scope": ["all:read", "all:write"],
            }));
            let (header, claims) = verified(&token, &jwks);
            assert_eq!(header["typ"], "at+jwt");
            assert_eq!(claims["data"], json!({"client_id": client.id, "scope": ["all:read", "all:write"]}));
            assert_eq!((&claims["iss"], &claims["sub"], &claims["scope"]), (&json!(ISSUER), &json!(client.id), &json!("all:read all:write")));
            assert_eq!((&claims["iat"], &claims["exp"]), (&json!(app.now()), &json!(app.now() + 1_209_600)));
            assert!(app.is_active(&token).await);
        }
    }

    async fn a_body_without_a_type_is_a_form_and_another_type_is_refused(app: TestApp) {
        let client = with_all(&app).await;
        let form = format!("client_id={}&client_secret={}&grant_type=client_credentials&scope=all:read", client.id, client.secret);
        for media_type in ["", FORM, "Application/X-WWW-Form-Urlencoded; charset=UTF-8"] {
            let answer = app.post(PATH).body(media_type, &form).send().await;
            assert_eq!((answer.status, &answer.json()["scope"]), (200, &json!(["all:read"])), "{media_type}");
        }
        let json = request(&client, &json!({})).to_string();
        assert_eq!(app.post(PATH).body("application/json; charset=utf-8", &json).send().await.status, 200);
        for (media_type, body) in [("text/plain", &form), ("multipart/form-data", &form), ("text/json", &json), ("", &json), (JSON, &form), (FORM, &json)] {
            let answer = app.post(PATH).body(media_type, body).send().await;
            assert_eq!(said(&answer), (400, "invalid_request".to_owned()), "{media_type}");
        }
    }

    async fn without_a_scope_the_client_gets_what_it_has_of_the_two(app: TestApp) {
        for (has, gets) in [("all:read all:write other", json!(["all:read", "all:write"])), ("all:write", json!(["all:write"])), ("other", json!([]))] {
            let client = app.client(json!({"scope": has})).await;
            for absent in [json!(null), json!("")] {
                let answer = ask(&app, &request(&client, &json!({"scope": absent}))).await;
                assert_eq!((answer.status, &answer.json()["scope"]), (200, &gets), "{has}");
            }
            let form = format!("client_id={}&client_secret={}&grant_type=client_credentials&scope=", client.id, client.secret);
            assert_eq!(app.post(PATH).body(FORM, form).send().await.json()["scope"], gets);
        }
    }

    async fn a_scope_is_a_list_or_a_string_and_never_more_than_the_client_has(app: TestApp) {
        let client = with_all(&app).await;
        for (asked, gets) in [
            (json!(["all:write"]), json!(["all:write"])), (json!("all:read orders:read"), json!(["all:read", "orders:read"])),
            (json!(["all:read", "all:read"]), json!(["all:read"])),
        ] {
            let answer = ask(&app, &request(&client, &json!({"scope": asked}))).await;
            assert_eq!((answer.status, &answer.json()["scope"]), (200, &gets), "{asked}");
        }
        for beyond in [json!(["all:read", "all:admin"]), json!("openid"), json!([]), json!([1]), json!({"all:read": true}), json!(["all:read all:write"]), json!(true)] {
            let answer = ask(&app, &request(&client, &json!({"scope": beyond}))).await;
            assert_eq!(said(&answer), (400, "invalid_scope".to_owned()), "{beyond}");
        }
    }

    async fn a_restriction_of_the_token_is_kept_or_refused(app: TestApp) {
        let client = app.client(json!({"audience": ["https://a.example", "https://b.example"], "scope": "all:read all:write"})).await;
        let jwks = app.get("/.well-known/jwks.json").send().await.json();
        let as_form = |name: &str, value: &str| {
            let pairs = [("client_id", client.id.as_str()), ("client_secret", &client.secret), ("grant_type", "client_credentials"), (name, value)];
            app.post(PATH).form(&pairs)
        };
        for name in ["resource", "audience"] {
            let asked = [json!("https://b.example"), json!(["https://b.example"]), json!(["", "https://b.example"])];
            let calls = asked.map(|target| app.post(PATH).json(&request(&client, &json!({name: target}))));
            for call in calls.into_iter().chain([as_form(name, "https://b.example")]) {
                let answer = call.send().await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                let (_, claims) = verified(answer.json()["access_token"].as_str().unwrap(), &jwks);
                assert_eq!(claims["aud"], "https://b.example", "{name}");
            }
            let beyond = [json!("https://evil.example"), json!(["https://a.example", "https://evil.example"])];
            let calls = beyond.map(|target| app.post(PATH).json(&request(&client, &json!({name: target}))));
            for call in calls.into_iter().chain([as_form(name, "https://evil.example")]) {
                assert_eq!(said(&call.send().await), (400, "invalid_target".to_owned()), "{name}");
            }
            for bad in [json!(7), json!({}), json!([7]), json!(true)] {
                assert_eq!(said(&ask(&app, &request(&client, &json!({name: bad}))).await), (400, "invalid_request".to_owned()), "{name}");
            }
            assert_eq!(as_form(name, "").send().await.status, 200, "an empty one counts as absent");
        }
        for call in [
            as_form("authorization_details", "[]"), as_form("x", "y").header("DPoP", "ey.ey.ey"),
            app.post(PATH).json(&request(&client, &json!({"authorization_details": [{"type": "x"}]}))),
            app.post(PATH).json(&request(&client, &json!({}))).header("DPoP", "ey.ey.ey"),
        ] {
            let answer = call.send().await;
            assert_eq!(said(&answer), (400, "invalid_request".to_owned()), "{}", answer.text());
            assert!(answer.text().contains("is not supported"), "{}", answer.text());
        }
    }

    async fn only_a_shorter_lifetime_of_the_client_or_provider_changes_the_fourteen_days(app: TestApp) {
        let jwks = app.get("/.well-known/jwks.json").send().await.json();
        for (fields, seconds) in [
            (json!({"access_token_ttl": 60}), 60), (json!({"access_token_ttl": 1_209_599}), 1_209_599), (json!({}), 1_209_600),
            (json!({"max_ttl": 100}), 100),
        ] {
            let client = app.client(fields.clone()).await;
            let body = ask(&app, &request(&client, &json!({"scope": null}))).await.json();
            assert_eq!(body["expires_in"], json!(seconds.to_string()), "{fields}");
            let claims = verified(body["access_token"].as_str().unwrap(), &jwks).1;
            assert_eq!(claims["exp"], json!(app.now() + seconds), "{fields}");
        }
        let change = json!({"max_ttl": 2_000_000});
        assert_eq!(app.admin("PATCH", "/providers/default").json(&change).send().await.status, 200);
        let longer = app.client(json!({"access_token_ttl": 1_300_000})).await;
        assert_eq!(ask(&app, &request(&longer, &json!({"scope": null}))).await.json()["expires_in"], "1209600");
        let change = json!({"max_ttl": 7000});
        assert_eq!(app.admin("PATCH", "/providers/default").json(&change).send().await.status, 200);
        let bounded = app.client(json!({})).await;
        assert_eq!(ask(&app, &request(&bounded, &json!({"scope": null}))).await.json()["expires_in"], "7000");
    }

    async fn a_client_of_either_secret_method_gets_a_jwt(app: TestApp) {
        for fields in [
            json!({"token_endpoint_auth_method": "client_secret_basic"}), json!({"token_endpoint_auth_method": "client_secret_post"}),
            json!({"access_token_format": "opaque"}),
        ] {
            let client = app.client(fields.clone()).await;
            let answer = ask(&app, &request(&client, &json!({"scope": null}))).await;
            assert!(answer.json()["access_token"].as_str().is_some_and(|token| token.starts_with("ey")), "{fields}: {}", answer.text());
        }
    }

    async fn every_failed_client_gets_the_same_401_and_a_header_proves_nothing(app: TestApp) {
        let (client, off) = (with_all(&app).await, app.client(json!({})).await);
        let public = app.client(json!({"token_endpoint_auth_method": "none", "grant_types": []})).await;
        app.change(&off, json!({"enabled": false})).await;
        let mut answers = Vec::new();
        for (id, secret) in [(client.id.as_str(), "wrong"), ("nobody", "wrong"), (&off.id, &off.secret), (&public.id, "x"), (&client.id, &off.secret)] {
            let body = request(&client, &json!({"client_id": id, "client_secret": secret}));
            for call in [app.post(PATH).json(&body), app.post(PATH).json(&body).basic(&client.id, &client.secret)] {
                let answer = call.send().await;
                assert_eq!(said(&answer), (401, "invalid_client".to_owned()), "{id}");
                answers.push(answer.text());
            }
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
        let right = request(&client, &json!({}));
        for header in ["Bearer ey.expired.token", "Basic !!!", "Bearer gk_x"] {
            assert_eq!(app.post(PATH).json(&right).header("authorization", header).send().await.status, 200, "{header}");
        }
    }

    async fn what_cannot_be_read_is_a_400_that_says_what_is_wrong(app: TestApp) {
        let client = with_all(&app).await;
        for (changes, code, about) in [
            (json!({"grant_type": null}), "invalid_request", "grant_type"), (json!({"client_id": null}), "invalid_request", "client_id"),
            (json!({"client_secret": null}), "invalid_request", "client_secret"), (json!({"client_secret": 7}), "invalid_request", "string"),
            (json!({"grant_type": "password"}), "unsupported_grant_type", "client_credentials"),
            (json!({"grant_type": "Client_Credentials"}), "unsupported_grant_type", "client_credentials"),
        ] {
            let answer = ask(&app, &request(&client, &changes)).await;
            assert_eq!(said(&answer), (400, code.to_owned()), "{changes}");
            assert!(answer.text().contains(about), "{}", answer.text());
        }
        for (media_type, body) in [
            (JSON, String::new()), (JSON, "{".to_owned()), (JSON, "[]".to_owned()), (JSON, r#"{"grant_type":"x","grant_type":"x"}"#.to_owned()),
            (FORM, String::new()), (FORM, "client_id=a&client_id=a".to_owned()), (FORM, "client_secret=%FF".to_owned()), (FORM, "x".repeat(70_000)),
        ] {
            let answer = app.post(PATH).body(media_type, &body).send().await;
            assert_eq!(said(&answer), (400, "invalid_request".to_owned()), "{media_type} {}", body.get(..40).unwrap_or(&body));
        }
        let other = app.client(json!({"grant_types": ["refresh_token"]})).await;
        assert_eq!(said(&ask(&app, &request(&other, &json!({"scope": null}))).await), (400, "unauthorized_client".to_owned()));
    }

    async fn guessing_is_slowed_and_the_right_secret_is_not(app: TestApp) {
        let client = with_all(&app).await;
        let wrong = request(&client, &json!({"client_secret": "wrong"}));
        let mut last = None;
        for _ in 0..30 {
            last = Some(ask(&app, &wrong).await);
        }
        let last = last.unwrap();
        assert_eq!(said(&last), (429, "temporarily_unavailable".to_owned()));
        assert!(last.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
        assert_eq!(ask(&app, &request(&client, &json!({}))).await.status, 200);
    }

    async fn paths_and_methods_that_are_not_there_have_its_shape(app: TestApp) {
        for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
            let answer = app.call(method, PATH).send().await;
            assert_eq!((said(&answer), answer.header("allow")), ((405, "invalid_request".to_owned()), "POST"), "{method}");
        }
        for path in ["/api/v1/auth/token", "/api/v1/auth/tokens/x"] {
            assert_eq!(said(&app.post(path).send().await), (404, "not_found".to_owned()), "{path}");
        }
    }
}
