//! Changes that come at once: without `If-Match` all of them are made, with it the first.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::people::{path_of, user};
use crate::support::app::{TestApp, on_both_apps};
use crate::support::http::Call;

const AT_ONCE: i64 = 16;

/// Every resource that has versions: its path below `/admin/v1`, and the field that is changed.
async fn resources(app: &TestApp) -> Vec<(String, &'static str)> {
    let made = async |path: &str, body: Value| {
        let answer = app.admin("POST", path).json(&body).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        format!("{path}/{}", answer.json()["id"].as_str().unwrap_or_default())
    };
    app.provider("acme", json!({})).await;
    let client = app.client(json!({})).await;
    let issuer = json!({"issuer": "https://idp.example.com", "audiences": ["https://a.example"]});
    let named = async |kind: &str| {
        made(&format!("/providers/default/{kind}"), json!({"name": "made"})).await;
        (format!("/providers/default/{kind}/made"), "description")
    };
    let hook = json!({"url": "https://hooks.example.net", "events": ["client.*"]});
    vec![
        named("scopes").await,
        named("roles").await,
        named("groups").await,
        (made("/webhooks", hook).await, "url"),
        ("/providers/acme".to_owned(), "jwks_max_age"),
        (format!("/providers/default/clients/{}", client.id), "access_token_ttl"),
        (path_of(&user(app, json!({"username": "ada"})).await), "name"),
        (made("/api-keys", json!({"role": "member"})).await, "max_ttl"),
        (made("/providers/default/trusted-issuers", issuer).await, "max_ttl"),
    ]
}

/// The statuses of calls that are sent at once, in order.
async fn statuses(calls: impl Iterator<Item = Call<'_>>) -> Vec<u16> {
    let mut statuses: Vec<u16> = join_all(calls.map(Call::send)).await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    statuses
}

/// Each a change of its own.
fn value(field: &str, number: i64) -> Value {
    match field {
        "name" | "description" => json!(format!("{field} {number}")),
        "url" => json!(format!("https://hooks.example.net/{number}")),
        _ => json!(100 + number),
    }
}

on_both_apps! {
    async fn who_expects_no_version_is_not_refused_for_one(app: TestApp) {
        for (path, field) in resources(&app).await {
            let change = |number| app.admin("PATCH", &path).json(&json!({ field: value(field, number) }));
            assert_eq!(statuses((1..=AT_ONCE).map(change)).await, [200; 16], "{path}");
            let etag = app.admin("GET", &path).send().await.header("etag").to_owned();
            assert_eq!(etag, format!("\"{}\"", 1 + AT_ONCE), "each was made: {path}");
        }
    }

    async fn of_those_who_expect_one_version_the_first_gets_it(app: TestApp) {
        for (path, field) in resources(&app).await {
            let change = |number| {
                let call = app.admin("PATCH", &path).json(&json!({ field: value(field, number) }));
                call.header("if-match", "\"1\"")
            };
            let mut expected = vec![412; 16];
            expected[0] = 200;
            assert_eq!(statuses((1..=AT_ONCE).map(change)).await, expected, "{path}");
        }
    }

    async fn projects_of_deepgram_are_renamed_at_once(app: TestApp) {
        let id = app.provider("acme", json!({})).await["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/projects/{id}");
        let rename = |number| app.call("PATCH", &path).bearer(&app.first.owner_key).json(&json!({"name": value("name", number)}));
        assert_eq!(statuses((1..=AT_ONCE).map(rename)).await, [200; 16]);
    }
}
