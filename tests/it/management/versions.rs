//! `If-Match` (RFC 9110 §13.1.1): a list matches if one of its tags does, only our own tags match, and a call
//! that does not look at it refuses it.

use serde_json::json;

use super::cases::cases;
use crate::support::app::on_both_apps;
use crate::support::people::text;

on_both_apps! {
    async fn a_list_matches_if_one_of_its_tags_does(app: TestApp) {
        let client = app.client(json!({})).await;
        let path = format!("/providers/default/clients/{}", client.id);
        let scope = std::cell::Cell::new(0);
        let change = async |tags: &[&str]| {
            scope.set(scope.get() + 1);
            let body = json!({"scope": format!("s{}", scope.get())});
            let call = app.admin("PATCH", &path).json(&body);
            tags.iter().fold(call, |call, tag| call.header("if-match", tag)).send().await.status
        };
        assert_eq!(change(&["\"1\", \"9999\""]).await, 200);
        for foreign in ["\"+2\"", "\"02\"", "\"2 \"", "w/\"2\"", "2", "\"1\", \"9999\"", "W/\"1\", \"+2\"", "\"-2\"", ",", ""] {
            assert_eq!(change(&[foreign]).await, 412, "{foreign}");
        }
        assert_eq!(change(&["\"9999\",\"2\""]).await, 200);
        assert_eq!(change(&["\"9999\"", "W/\"1\" , \"3\""]).await, 200, "two lines are one list (RFC 9110 §5.3)");
        assert_eq!(change(&["W/\"4\""]).await, 200, "a proxy that compresses has weakened it");
        assert_eq!(change(&["*"]).await, 200);
    }

    async fn whatever_ends_takes_a_list_too(app: TestApp) {
        app.provider("acme", json!({})).await;
        let issuer = json!({"issuer": "https://idp.example.net", "audiences": ["api"]});
        let own = |rest: &str| format!("/providers/default/{rest}");
        for (path, body) in [
            (own("clients"), json!({})),
            (own("users"), json!({"username": "u"})),
            (own("scopes"), json!({"name": "a:b"})),
            (own("trusted-issuers"), issuer),
            (own("domains"), json!({"domain": crate::domains::fresh_name()})),
            ("/api-keys".to_owned(), json!({})),
            ("/providers".to_owned(), json!({"slug": "doomed"})),
            ("/webhooks".to_owned(), json!({"url": "https://hooks.example.net/", "events": ["*"]})),
        ] {
            let made = app.admin("POST", &path).json(&body).send().await;
            assert_eq!(made.status, 201, "{path}: {}", made.text());
            let (at, tag) = (made.header("location").to_owned(), made.header("etag").to_owned());
            let end = async |tags: String| {
                app.call("DELETE", &at).bearer(&app.first.owner_key).header("if-match", &tags).send().await.status
            };
            assert_eq!(end("W/\"9998\", \"9999\"".to_owned()).await, 412, "{path}");
            assert_eq!(end(format!("\"9999\", {tag}")).await, 204, "{path}");
        }
    }

    async fn a_call_that_does_not_look_at_it_refuses_it(app: TestApp) {
        let mut refused = Vec::new();
        for case in cases(&app).await {
            let name = case.operation;
            let sent = case.call(&app, "").header("if-match", "\"9999\"").send().await;
            assert!([400, 412].contains(&sent.status), "{name}: {} {}", sent.status, sent.text());
            if sent.status == 400 {
                assert!(text(&sent.json(), "detail").contains("If-Match"), "{name}: {}", sent.text());
                refused.push(name);
            }
            let done = case.call(&app, "").send().await;
            assert!((200..300).contains(&done.status), "{name}: {}", done.text());
        }
        for name in ["create_client", "rotate_client_secrets", "revoke_client_tokens"] {
            assert!(refused.contains(&name), "{name}");
        }
        for name in ["update_client", "delete_client", "rotate_webhook_secret"] {
            assert!(!refused.contains(&name), "{name}");
        }
    }

    async fn of_very_many_wrong_fields_the_first_are_told_and_the_rest_is_counted(app: TestApp) {
        let body: serde_json::Map<_, _> = (0..5000).map(|n| (format!("f{n}"), json!(0))).collect();
        let answer = app.admin("POST", "/providers/default/clients").json(&json!(body)).send().await;
        assert_eq!(answer.status, 422);
        let problem = answer.json();
        assert_eq!(problem["errors"].as_array().unwrap().len(), 50);
        assert_eq!(problem["more_errors"], json!(4950));
        let few = app.admin("POST", "/providers/default/clients").json(&json!({"a": 1, "b": 2})).send().await.json();
        assert_eq!((few["errors"].as_array().unwrap().len(), &few["more_errors"]), (2, &json!(null)));
    }
}
