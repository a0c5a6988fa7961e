//! `Idempotency-Key`: what is sent again is not made again.

use futures_util::future::join_all;
use serde_json::json;

use super::cases::{cases, is_creating};
use super::contents::contents;
use crate::support::app::{TestApp, on_both_apps};
use crate::support::http::{Answer, Call};

const CLIENTS: &str = "/providers/default/clients";

fn create<'a>(app: &'a TestApp, value: &str, name: &str) -> Call<'a> {
    app.admin("POST", CLIENTS).json(&json!({"client_name": name})).header("idempotency-key", value)
}

async fn how_many(app: &TestApp, name: &str) -> usize {
    let listed = app.admin("GET", &format!("{CLIENTS}?limit=500&q={name}")).send().await.json();
    listed["items"].as_array().unwrap().len()
}

/// Of calls that were sent at once: the one body that those who were answered have.
fn the_one_answer(answers: &[Answer]) -> Vec<u8> {
    let made: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert!(!made.is_empty(), "nobody was answered");
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!((answer.status, answer.header("retry-after")), (409, "1"), "{}", answer.text());
    }
    assert!(made.iter().all(|answer| answer.body == made[0].body), "two answers");
    assert_eq!(made.iter().filter(|answer| answer.header("idempotency-replayed").is_empty()).count(), 1);
    made[0].body.clone()
}

on_both_apps! {
    async fn a_creation_sent_again_gives_the_same_answer_and_makes_nothing(app: TestApp) {
        let first = create(&app, "order-1", "once").send().await;
        assert_eq!((first.status, first.header("idempotency-replayed")), (201, ""), "{}", first.text());
        assert!(first.json()["client_secret"].as_str().unwrap().starts_with("gs_"));
        let before = contents(&app).await;
        let again = create(&app, "order-1", "once").send().await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
        assert_eq!(again.body, first.body, "the secret too");
        for name in ["location", "etag", "content-type", "cache-control"] {
            assert_eq!(again.header(name), first.header(name), "{name}");
        }
        assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
        assert_eq!(contents(&app).await, before);
        // It works at once, here and elsewhere.
        let made = first.json();
        let (id, secret) = (made["client_id"].as_str().unwrap(), made["client_secret"].as_str().unwrap());
        let node = app.second_node().await;
        for app in [&app, &node] {
            let answer = app.post("/oauth2/token").form(&[("grant_type", "client_credentials")]).basic(id, secret).send().await;
            assert_eq!(answer.status, 200);
        }
        let elsewhere = create(&node, "order-1", "once").send().await;
        assert_eq!(elsewhere.body, first.body);
    }

    async fn the_same_value_with_another_request_is_refused(app: TestApp) {
        create(&app, "v", "one").send().await;
        let other = create(&app, "v", "two").send().await;
        assert_eq!(other.status, 422, "{}", other.text());
        assert_eq!(how_many(&app, "two").await, 0);
        // Another path, another key and another value are other calls.
        let user = app.admin("POST", "/providers/default/users").json(&json!({"username": "u"})).header("idempotency-key", "v").send().await;
        assert_eq!(user.status, 201);
        let key = app.api_key(json!({"role": "admin"})).await;
        let by_key = app.post(&format!("/admin/v1{CLIENTS}")).bearer(&key).json(&json!({"client_name": "two"}));
        assert_eq!(by_key.header("idempotency-key", "v").send().await.status, 201);
        assert_eq!(create(&app, "w", "two").send().await.status, 201);
        assert_eq!(how_many(&app, "two").await, 2);
    }

    async fn an_answer_is_given_again_to_who_may_still_do_the_same_only(app: TestApp) {
        let node = app.second_node().await;
        let made = app.admin("POST", "/api-keys").json(&json!({"role": "owner"})).send().await.json();
        let (key, at) = (made["key"].as_str().unwrap(), format!("/api-keys/{}", made["id"].as_str().unwrap()));
        let make = async |app: &TestApp| {
            let call = app.post("/admin/v1/api-keys").bearer(key).json(&json!({"role": "owner"}));
            call.header("idempotency-key", "v").send().await
        };
        let keys = async || app.admin("GET", "/api-keys?limit=500").send().await.json()["items"].as_array().unwrap().len();
        let lower = async |change: serde_json::Value| {
            let answer = app.admin("PATCH", &at).json(&change).send().await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            node.poll().await;
        };
        let first = make(&app).await;
        assert_eq!(first.status, 201, "{}", first.text());
        let before = keys().await;
        let ends = time::OffsetDateTime::from_unix_timestamp(app.now() + 600).unwrap();
        let ends = ends.format(&time::format_description::well_known::Rfc3339).unwrap();
        // What refuses it without the header refuses it with it; else it is told that the answer is not its own.
        for (change, status) in [
            (json!({"role": "default"}), 403),
            (json!({"role": "member"}), 403),
            (json!({"role": "admin"}), 403),
            (json!({"role": "owner", "max_ttl": 60}), 409),
            (json!({"max_ttl": null, "scope": "a"}), 409),
            (json!({"scope": null, "audience": ["a"]}), 409),
            (json!({"audience": null, "may_set_subject": true}), 409),
            (json!({"may_set_subject": false, "expires_at": ends}), 409),
        ] {
            lower(change.clone()).await;
            for app in [&app, &node] {
                let again = make(app).await;
                assert_eq!((again.status, again.header("idempotency-replayed")), (status, ""), "{change}: {}", again.text());
                assert!(!again.text().contains("gk_"), "{change}");
            }
        }
        assert_eq!(keys().await, before);
        // A name is no strength.
        lower(json!({"expires_at": null, "name": "another"})).await;
        for app in [&app, &node] {
            let again = make(app).await;
            assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"), "{}", again.text());
            assert_eq!(again.body, first.body);
        }
    }

    async fn an_answer_of_another_provider_is_not_given_again(app: TestApp) {
        for slug in ["acme", "globex"] {
            app.provider(slug, json!({})).await;
        }
        let fields = json!({"role": "admin", "provider": "acme"});
        let made = app.admin("POST", "/api-keys").json(&fields).send().await.json();
        let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
        let make = async || {
            let call = app.post("/admin/v1/api-keys").bearer(key).json(&json!({"role": "member"}));
            call.header("idempotency-key", "v").send().await
        };
        assert_eq!((make().await.status, make().await.status), (201, 201));
        app.bind(id, "globex").await;
        let named = app.admin("PATCH", &format!("/api-keys/{id}")).json(&json!({"name": "another"})).send().await;
        assert_eq!(named.status, 200, "{}", named.text());
        let again = make().await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (409, ""), "{}", again.text());
    }

    async fn a_wrong_media_type_is_refused_the_second_time_too(app: TestApp) {
        let body = json!({"client_name": "typed"}).to_string();
        let make = async |media_type: &str| {
            let call = app.admin("POST", CLIENTS).body(media_type, &body).header("idempotency-key", "v");
            call.send().await.status
        };
        assert_eq!(make("text/plain").await, 415);
        assert_eq!(make("application/json").await, 201);
        for wrong in ["text/plain", ""] {
            assert_eq!(make(wrong).await, 415, "{wrong}");
        }
    }

    async fn every_creating_call_is_made_once(app: TestApp) {
        let cases: Vec<_> = cases(&app).await.into_iter().filter(is_creating).collect();
        assert!(cases.len() >= 7);
        for case in cases {
            let name = case.operation;
            let first = case.call(&app, "").header("idempotency-key", "k").send().await;
            assert_eq!(first.status, 201, "{name}: {}", first.text());
            let before = contents(&app).await;
            let again = case.call(&app, "").header("idempotency-key", "k").send().await;
            assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"), "{name}: {}", again.text());
            assert_eq!(again.body, first.body, "{name}");
            assert_eq!(contents(&app).await, before, "{name}");
            let location = first.header("location").to_owned();
            let read = app.call("GET", &location).bearer(&app.first.owner_key).send().await;
            assert_eq!(read.status, 200, "{name}: {location}");
        }
    }

    async fn what_was_refused_is_not_kept(app: TestApp) {
        let wrong = app.admin("POST", CLIENTS).json(&json!({"nonsense": 1})).header("idempotency-key", "k").send().await;
        assert_eq!(wrong.status, 422);
        app.client(json!({"client_id": "billing"})).await;
        let taken = app.admin("POST", CLIENTS).json(&json!({"client_id": "billing"})).header("idempotency-key", "k").send().await;
        assert_eq!(taken.status, 409);
        assert_eq!(create(&app, "k", "right").send().await.status, 201);
        let tried = app.admin("POST", &format!("{CLIENTS}?dry_run=true")).json(&json!({})).header("idempotency-key", "t").send().await;
        assert_eq!(tried.status, 201);
        let done = app.admin("POST", CLIENTS).json(&json!({})).header("idempotency-key", "t").send().await;
        assert_eq!((done.status, done.header("idempotency-replayed")), (201, ""));
    }

    async fn of_many_at_once_one_is_made(app: TestApp) {
        let node = app.second_node().await;
        for round in 0..5 {
            let value = format!("race-{round}");
            let name = format!("race{round}");
            let calls = (0..8).map(|n| create(if n % 2 == 0 { &app } else { &node }, &value, &name).send());
            let answers = join_all(calls).await;
            let body = the_one_answer(&answers);
            assert_eq!(how_many(&app, &name).await, 1);
            assert_eq!(create(&node, &value, &name).send().await.body, body);
        }
    }

    async fn what_is_refused_at_its_commit_is_not_answered_as_made_later(app: TestApp) {
        let node = app.second_node().await;
        for round in 0..3 {
            // Each is acceptable while it is tried; one is made.
            let body = json!({"client_id": format!("wanted-{round}")});
            let call = |n: usize| {
                let app = if n.is_multiple_of(2) { &app } else { &node };
                app.admin("POST", CLIENTS).json(&body).header("idempotency-key", &format!("{round}-{n}"))
            };
            let statuses: Vec<u16> = join_all((0..8).map(|n| call(n).send())).await.iter().map(|answer| answer.status).collect();
            let made = statuses.iter().filter(|status| **status == 201).count();
            assert!(made == 1 && statuses.iter().all(|status| matches!(status, 201 | 409)), "{statuses:?}");
            for (n, status) in statuses.into_iter().enumerate() {
                let again = call(n).send().await;
                assert_eq!(again.status, status, "{}", again.text());
            }
        }
    }

    async fn after_a_day_the_value_is_free_and_the_row_goes(app: TestApp) {
        let first = create(&app, "k", "day").send().await;
        app.pass(86_400 - 1);
        assert_eq!(create(&app, "k", "day").send().await.body, first.body);
        app.pass(2);
        let later = create(&app, "k", "day").send().await;
        assert_eq!((later.status, later.header("idempotency-replayed")), (201, ""));
        assert_ne!(later.body, first.body);
        assert_eq!(how_many(&app, "day").await, 2);
        app.pass(86_400 + 120);
        app.engine.clean_up(grantd::domain::Wall::now(&app.wall)).await.unwrap();
        assert_eq!(contents(&app).await["idempotency_keys"], "");
    }

    async fn the_database_shows_nothing_of_an_answer(app: TestApp) {
        let made = create(&app, "order-4711-of-somebody", "plain-name").send().await.json();
        let row = contents(&app).await["idempotency_keys"].to_lowercase();
        assert!(!row.is_empty());
        let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        for told in ["order-4711-of-somebody", "plain-name", made["client_secret"].as_str().unwrap(), made["client_id"].as_str().unwrap()] {
            assert!(!row.contains(&hex(told)) && !row.contains(told), "{told}");
        }
    }

    async fn only_one_printable_value_is_taken_and_only_by_calls_that_make_something(app: TestApp) {
        for bad in ["", "a b", &"x".repeat(256)] {
            assert_eq!(create(&app, bad, "x").send().await.status, 400, "{bad}");
        }
        let twice = create(&app, "a", "x").header("idempotency-key", "b").send().await;
        assert_eq!(twice.status, 400);
        for (method, path) in [("GET", CLIENTS), ("DELETE", "/providers/default/tokens"), ("PATCH", "/providers/default")] {
            let answer = app.admin(method, path).json(&json!({})).header("idempotency-key", "a").send().await;
            assert_eq!(answer.status, 400, "{method} {path}");
        }
        let client = app.client(json!({})).await;
        let minted = app.admin("POST", &format!("{CLIENTS}/{}/tokens", client.id)).header("idempotency-key", "a").send().await;
        assert_eq!(minted.status, 400, "each mint is another token");
    }
}
