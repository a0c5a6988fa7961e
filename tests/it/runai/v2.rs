//! `POST /api/v2/token`: RFC 6749 on another path, basic and post alike.

use serde_json::json;

use crate::support::app::on_both_apps;
use crate::support::http::{JSON, refused};
use crate::support::jose::decoded;

const V2: &str = "/api/v2/token";
const GRANT: [(&str, &str); 1] = [("grant_type", "client_credentials")];

on_both_apps! {
    async fn basic_and_post_serve_both_kinds_of_clients(app: TestApp) {
        for method in ["client_secret_basic", "client_secret_post"] {
            let client = app.client(json!({"token_endpoint_auth_method": method, "scope": "a b", "access_token_format": "opaque"})).await;
            let post = [GRANT[0], ("client_id", client.id.as_str()), ("client_secret", client.secret.as_str())];
            for call in [app.post(V2).form(&post), app.post(V2).form(&GRANT).basic(&client.id, &client.secret)] {
                let answer = call.send().await;
                assert_eq!(answer.status, 200, "{method}: {}", answer.text());
                let body = answer.json();
                assert_eq!((&body["token_type"], &body["expires_in"], &body["scope"]), (&json!("Bearer"), &json!(3600), &json!("a b")));
                assert_eq!(decoded(body["access_token"].as_str().unwrap()).0["typ"], json!("at+jwt"), "always a JWT");
            }
        }
    }

    async fn errors_are_those_of_rfc_6749(app: TestApp) {
        let client = app.client(json!({"scope": "a"})).await;
        let answer = app.post(V2).form(&GRANT).basic(&client.id, "wrong").send().await;
        assert_eq!(answer.refusal(), refused(401, "invalid_client"));
        assert!(answer.header("www-authenticate").starts_with("Basic"));
        for (form, code) in [
            (vec![], "invalid_request"), (vec![("grant_type", "urn:ietf:params:oauth:grant-type:device_code")], "unsupported_grant_type"),
            (vec![GRANT[0], ("scope", "b")], "invalid_scope"), (vec![GRANT[0], GRANT[0]], "invalid_request"),
        ] {
            let answer = app.post(V2).form(&form).basic(&client.id, &client.secret).send().await;
            assert_eq!(answer.refusal(), refused(400, code), "{form:?}");
        }
        assert_eq!(app.post(V2).body(JSON, "{}").send().await.refusal(), refused(400, "invalid_request"));
        assert_eq!(app.get(V2).send().await.refusal(), refused(405, "invalid_request"));
        assert_eq!(app.post("/api/v2/other").send().await.refusal(), refused(404, "not_found"));
    }
}
