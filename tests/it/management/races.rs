//! Two who change one thing with the same `ETag`: one is told, and nothing is lost. Whoever has read what is
//! not any more changes nothing.

use futures_util::future::join_all;
use grantd::admin::Admin;
use grantd::edge::Surface;
use serde_json::{Value, json};

use super::cases::cases;
use super::contents::contents;
use crate::support::app::{TestApp, on_both_apps};
use crate::support::documented::document;

/// For each resource with PATCH, two changes of two fields.
fn changes(operation: &str) -> [Value; 2] {
    match operation {
        "update_provider" => [json!({"name": "one"}), json!({"max_ttl": 7200})],
        "update_domain" => [json!({"primary": true}), json!({"primary": true})],
        "update_client" => [json!({"client_name": "one"}), json!({"audience": ["two"]})],
        "update_user" => [json!({"name": "one"}), json!({"groups": ["two"]})],
        "update_api_key" => [json!({"name": "one"}), json!({"max_ttl": 60})],
        "update_trusted_issuer" => [json!({"max_ttl": 60}), json!({"enabled": false})],
        "update_scope" | "update_role" => [json!({"description": "one"}), json!({"description": "two"})],
        "update_webhook" => [json!({"events": ["user.*"]}), json!({"enabled": false})],
        "update_group" => [json!({"description": "one"}), json!({"roles": ["two"]})],
        other => panic!("{other}: say here which two changes meet"),
    }
}

/// Whether the document says that an operation takes `If-Match`.
fn takes_if_match(operation: &str) -> bool {
    let items = document()["paths"].as_object().unwrap().values().filter_map(Value::as_object);
    let found = items.flat_map(|item| item.values()).find(|own| own["operationId"] == json!(operation)).unwrap();
    let mut parameters = found["parameters"].as_array().into_iter().flatten();
    parameters.any(|parameter| parameter["name"] == json!("If-Match"))
}

async fn shown(app: &TestApp, path: &str) -> (Value, String) {
    let answer = app.admin("GET", path).send().await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    (answer.json(), answer.header("etag").to_owned())
}

on_both_apps! {
    async fn of_two_changes_with_one_etag_one_is_stale_and_the_other_stands(app: TestApp) {
        let node = app.second_node().await;
        let all = cases(&app).await;
        let routes = Admin::routes().iter().filter(|route| route.method.as_str() == "PATCH");
        for operation in routes.map(|route| route.operation_id) {
            let case = all.iter().find(|case| case.operation == operation).unwrap();
            let changes = changes(operation);
            let (before, etag) = shown(&app, &case.path).await;
            let calls = changes.iter().zip([&app, &node]).map(|(change, app)| {
                app.admin("PATCH", &case.path).json(change).header("if-match", &etag).send()
            });
            let answers = join_all(calls).await;
            let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 412], "{operation}: {}", answers[0].text());
            let won = answers.iter().position(|answer| answer.status == 200).unwrap();
            let (after, second) = shown(&app, &case.path).await;
            assert_eq!(answers[won].header("etag"), second, "{operation}");
            assert_ne!(second, etag, "{operation}");
            for (name, value) in changes[won].as_object().unwrap() {
                assert_eq!(&after[name], value, "{operation} {name}");
            }
            let lost = changes[1 - won].as_object().unwrap();
            for (name, value) in lost.iter().filter(|(name, _)| changes[won].get(name.as_str()).is_none()) {
                assert_eq!(after[name], before[name], "{operation} {name}: {value} was refused");
            }
        }
    }

    async fn whoever_names_an_etag_that_is_not_the_things_own_is_refused(app: TestApp) {
        let mut refused = Vec::new();
        for case in cases(&app).await {
            let name = case.operation;
            if takes_if_match(name) {
                let before = contents(&app).await;
                let stale = case.call(&app, "").header("if-match", "\"99\"").send().await;
                assert_eq!(stale.status, 412, "{name}: {}", stale.text());
                assert_eq!(contents(&app).await, before, "{name}");
                refused.push(name);
            }
            let done = case.call(&app, "").send().await;
            assert!((200..300).contains(&done.status), "{name}: {}", done.text());
        }
        assert!(refused.len() >= 20 && refused.contains(&"rotate_webhook_secret"), "{refused:?}");
    }
}
