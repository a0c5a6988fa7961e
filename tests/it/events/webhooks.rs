//! Webhooks: signed as the published library reads it, told at least once and by one node, and nobody
//! waits for them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures_util::future::join;
use grantd::store::webhook_deliveries;
use serde_json::{Value, json};

use super::{actions, admin_of, items};
use crate::support::app::{TestApp, on_both_apps};
use crate::support::databases::soon;
use crate::support::origin::{Asked, Origin, Reply};

pub const HOOKS: &str = "/webhooks";

/// A webhook of the owner's; its body as it was answered.
pub async fn hook(app: &TestApp, receiver: &Origin, fields: Value) -> Value {
    let mut body = json!({"url": format!("{}/hook", receiver.base), "events": ["client.*"]});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let answer = app.admin("POST", HOOKS).json(&body).send().await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

pub fn path_of(hook: &Value) -> String {
    format!("{HOOKS}/{}", hook["id"].as_str().unwrap())
}

/// Delivers what is due to one webhook; how many tries there were.
pub async fn tell(app: &TestApp, hook: &Value) -> usize {
    app.engine.tell_webhook(&hook["id"].as_str().unwrap().into(), app.context().now).await.unwrap()
}

/// What the published library says of a delivery.
fn verified(app: &TestApp, secret: &Value, told: &Asked) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let interpreter = root.join(".clients/webhooks/bin/python");
    assert!(interpreter.exists(), "The published clients are not installed: run ./scripts/clients first.");
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let headers: Value = names.iter().map(|name| (*name, told.header(name).unwrap_or_default())).collect();
    let output = Command::new(interpreter)
        .arg(root.join("tests/it/events/standard_webhook.py"))
        .args([secret.as_str().unwrap(), &told.body, &headers.to_string(), &app.now().to_string()])
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

on_both_apps! {
    async fn an_event_is_told_once_and_signed_as_the_published_library_reads_it(app: TestApp) {
        let receiver = Origin::always(Reply::status(204));
        let hook = hook(&app, &receiver, json!({})).await;
        let client = app.client(json!({})).await;
        app.provider("acme", json!({})).await;
        assert!(receiver.asked().is_empty(), "the change itself waits for nobody");
        assert_eq!((tell(&app, &hook).await, tell(&app, &hook).await), (1, 0));
        let told = receiver.asked().remove(0);
        assert_eq!((told.method.as_str(), told.path.as_str()), ("POST", "/hook"));
        assert_eq!(told.header("content-type"), Some("application/json"));
        let said = verified(&app, &hook["secret"], &told);
        let event = items(&app, &format!("/events?target={}", client.id)).await.remove(0);
        assert_eq!(said["body"]["data"], event, "as it is read");
        assert_eq!((&said["body"]["type"], &said["body"]["timestamp"]), (&json!("client.created"), &event["at"]));
        assert_eq!(told.header("webhook-id"), event["id"].as_str());
        let other = super::hook(&app, &receiver, json!({})).await;
        assert!(verified(&app, &other["secret"], &told)["error"].is_string(), "another's secret");
        let changed = Asked { body: told.body.replace("client.created", "client.deleted"), ..told.clone() };
        assert!(verified(&app, &hook["secret"], &changed)["error"].is_string(), "another body");
        let delivered = items(&app, &format!("{}/deliveries?state=delivered", path_of(&hook))).await;
        assert_eq!((&delivered[0]["id"], &delivered[0]["attempts"]), (&event["id"], &json!(1)));
        assert_eq!(delivered.len(), 1);
    }

    async fn who_wants_other_events_or_those_of_another_provider_is_not_told(app: TestApp) {
        app.provider("acme", json!({})).await;
        let (receiver, key) = (Origin::always(Reply::status(200)), admin_of(&app, "acme").await);
        let all = hook(&app, &receiver, json!({"events": ["*"]})).await;
        let users = hook(&app, &receiver, json!({"events": ["user.created"]})).await;
        let of_acme = hook(&app, &receiver, json!({"provider": "acme"})).await;
        let off = hook(&app, &receiver, json!({"enabled": false})).await;
        assert_eq!((&of_acme["provider"], &all["provider"]), (&json!("acme"), &json!(null)));
        app.client(json!({})).await;
        for (hook, tries) in [(&users, 0), (&of_acme, 0), (&off, 0)] {
            assert_eq!(tell(&app, hook).await, tries, "{hook}");
        }
        assert!(tell(&app, &all).await >= 4, "the webhooks themselves were told of too");
        app.client_of("acme", json!({})).await;
        app.person("ada").await;
        for (hook, tries) in [(&users, 1), (&of_acme, 1), (&off, 0), (&all, 2)] {
            assert_eq!(tell(&app, hook).await, tries, "{hook}");
        }
        // A bound key makes and sees those of its provider only.
        let bound = |method: &str, path: &str| app.call(method, &format!("/admin/v1{path}")).bearer(&key);
        let body = json!({"url": receiver.base, "events": ["client.*"]});
        let made = bound("POST", HOOKS).json(&body).send().await;
        assert_eq!((made.status, &made.json()["provider"]), (201, &json!("acme")));
        for provider in [json!(null), json!("default")] {
            let mut body = body.clone();
            body["provider"] = provider;
            let refused = bound("POST", HOOKS).json(&body).send().await;
            assert!(matches!(refused.status, 403 | 422), "{}", refused.text());
        }
        let seen = bound("GET", HOOKS).send().await.json();
        assert_eq!(seen["items"].as_array().unwrap().len(), 2);
        for hook in [&all, &users, &off] {
            for (method, path) in [("GET", ""), ("DELETE", ""), ("POST", "/test"), ("POST", "/rotate-secret"), ("GET", "/deliveries")] {
                assert_eq!(bound(method, &format!("{}{path}", path_of(hook))).send().await.status, 404, "{method} {path}");
            }
        }
    }

    async fn an_endpoint_that_fails_is_tried_eight_times_over_a_day_and_then_given_up(app: TestApp) {
        let receiver = Origin::always(Reply::status(500));
        let hook = hook(&app, &receiver, json!({})).await;
        app.client(json!({})).await;
        for pause in [10, 60, 300, 1800, 7200, 21_600, 43_200] {
            assert_eq!(tell(&app, &hook).await, 1, "{pause}");
            let waiting = items(&app, &format!("{}/deliveries?state=pending", path_of(&hook))).await.remove(0);
            assert!(waiting["error"].as_str().unwrap().contains("500"), "{waiting}");
            app.pass(pause - pause / 10 - 1);
            assert_eq!(tell(&app, &hook).await, 0, "{pause} s, a tenth less, have not passed");
            app.pass(2 * (pause / 10) + 2);
        }
        assert_eq!(tell(&app, &hook).await, 1);
        assert_eq!(receiver.asked().len(), 8);
        let dead = items(&app, &format!("{}/deliveries?state=dead", path_of(&hook))).await;
        assert_eq!((dead.len(), &dead[0]["attempts"], &dead[0]["next_at"]), (1, &json!(8), &json!(null)));
        assert_eq!(tell(&app, &hook).await, 0);
        // Somebody asks for another try.
        let again = format!("{}/deliveries/{}/retry", path_of(&hook), dead[0]["id"].as_str().unwrap());
        assert_eq!(app.admin("POST", &again).send().await.status, 202);
        assert_eq!(app.admin("POST", &again).send().await.status, 409);
        receiver.answers(|_| Reply::status(200));
        app.pass(3600);
        assert_eq!(tell(&app, &hook).await, 1);
        assert_eq!(items(&app, &format!("{}/deliveries?state=delivered", path_of(&hook))).await.len(), 1);
        assert_eq!(app.admin("GET", &path_of(&hook)).send().await.json()["failures"], json!(0));
        assert_eq!(app.admin("POST", &again.replace("0", "1")).send().await.status, 404);
    }

    async fn what_a_dead_endpoint_was_never_tried_for_dies_after_a_day_too(app: TestApp) {
        let receiver = Origin::always(Reply::status(500));
        let hook = hook(&app, &receiver, json!({})).await;
        for _ in 0..20 {
            app.client(json!({})).await;
        }
        let due = async || {
            let now = app.now();
            app.engine.db().read(soon(), move |conn| webhook_deliveries::due_webhooks(conn, now, 10, 10)).await.unwrap().len()
        };
        assert_eq!(due().await, 1);
        assert_eq!(tell(&app, &hook).await, 8, "a few at once, until they fail");
        assert_eq!(due().await, 0, "others wait, and it rests");
        app.pass(200);
        assert_eq!(due().await, 1);
        assert_eq!(tell(&app, &hook).await, 1, "then one, to see");
        app.pass(26 * 3600);
        app.engine.clean_up(app.context().now).await.unwrap();
        assert_eq!(items(&app, &format!("{}/deliveries?state=dead", path_of(&hook))).await.len(), 20);
        app.pass(31 * 86_400);
        app.engine.clean_up(app.context().now).await.unwrap();
        assert_eq!(items(&app, &format!("{}/deliveries", path_of(&hook))).await.len(), 0);
    }

    async fn an_endpoint_that_hangs_holds_up_neither_a_request_nor_another_endpoint(app: TestApp) {
        let slow = Origin::always(Reply::status(200).after(Duration::from_secs(30)));
        let quick = Origin::always(Reply::status(200));
        hook(&app, &slow, json!({})).await;
        hook(&app, &quick, json!({})).await;
        for _ in 0..12 {
            app.client(json!({})).await;
        }
        app.tick().await;
        let waits = async {
            for _ in 0..400 {
                if quick.asked().len() == 12 {
                    return true;
                }
                app.tick().await;
                tokio::time::timeout(Duration::from_millis(10), std::future::pending::<()>()).await.unwrap_err();
            }
            false
        };
        assert!(waits.await, "{} of 12 were told", quick.asked().len());
        assert!(slow.asked().len() <= 8, "a few at a time");
    }

    async fn of_many_nodes_one_tells_an_event(app: TestApp) {
        let receiver = Origin::always(Reply::status(200));
        let hook = hook(&app, &receiver, json!({})).await;
        let other = app.second_node().await;
        for _ in 0..30 {
            app.client(json!({})).await;
        }
        let (here, there) = join(tell(&app, &hook), tell(&other, &hook)).await;
        assert_eq!(here + there, 30);
        let mut ids: Vec<String> = receiver.asked().iter().map(|told| told.header("webhook-id").unwrap().to_owned()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 30);
    }

    async fn a_new_secret_signs_beside_the_old_one_for_as_long_as_is_wanted(app: TestApp) {
        let receiver = Origin::always(Reply::status(200));
        let hook = hook(&app, &receiver, json!({})).await;
        let rotate = format!("{}/rotate-secret", path_of(&hook));
        let rotated = app.admin("POST", &rotate).json(&json!({"overlap_seconds": 600})).send().await;
        assert_eq!(rotated.status, 200, "{}", rotated.text());
        let new = rotated.json()["secret"].clone();
        let told = async || {
            app.client(json!({})).await;
            assert_eq!(tell(&app, &hook).await, 1);
            receiver.asked().pop().unwrap()
        };
        let beside = told().await;
        for secret in [&hook["secret"], &new] {
            assert!(verified(&app, secret, &beside)["body"].is_object());
        }
        app.pass(600);
        let after = told().await;
        assert!(verified(&app, &new, &after)["body"].is_object());
        assert!(verified(&app, &hook["secret"], &after)["error"].is_string(), "its time is over");
        // At once: the old one signs nothing any more.
        let at_once = app.admin("POST", &rotate).json(&json!({"overlap_seconds": 0})).send().await.json();
        let told = told().await;
        assert!(verified(&app, &at_once["secret"], &told)["body"].is_object());
        assert!(verified(&app, &new, &told)["error"].is_string());
        let read = app.admin("GET", &path_of(&hook)).send().await;
        assert!(read.json().get("secret").is_none(), "shown once");
    }

    async fn an_endpoint_that_is_gone_is_switched_off(app: TestApp) {
        let receiver = Origin::always(Reply::status(410));
        let hook = hook(&app, &receiver, json!({})).await;
        app.client(json!({})).await;
        tell(&app, &hook).await;
        assert_eq!(app.admin("GET", &path_of(&hook)).send().await.json()["enabled"], json!(false));
        assert_eq!(actions(&app, "action=webhook.disabled").await.len(), 1);
    }

    async fn what_waits_for_a_webhook_that_is_switched_off_is_told_when_it_is_on_again(app: TestApp) {
        let receiver = Origin::always(Reply::status(200));
        let hook = hook(&app, &receiver, json!({})).await;
        app.client(json!({})).await;
        for (enabled, tries) in [(false, 0), (true, 1)] {
            let switched = app.admin("PATCH", &path_of(&hook)).json(&json!({"enabled": enabled})).send().await;
            assert_eq!(switched.status, 200, "{}", switched.text());
            assert_eq!(tell(&app, &hook).await, tries, "enabled: {enabled}");
        }
        assert_eq!(receiver.asked().len(), 1);
    }

    async fn a_test_reaches_a_webhook_that_wants_nothing_of_the_kind(app: TestApp) {
        let receiver = Origin::always(Reply::status(200));
        let hook = hook(&app, &receiver, json!({"events": ["user.created"]})).await;
        let begun = app.admin("POST", &format!("{}/test", path_of(&hook))).send().await;
        assert_eq!((begun.status, &begun.json()["state"]), (202, &json!("pending")));
        assert_eq!(tell(&app, &hook).await, 1);
        assert!(receiver.asked()[0].body.contains("webhook.tested"));
    }

    async fn a_webhook_is_changed_by_who_has_read_it_and_wrong_fields_are_named(app: TestApp) {
        let receiver = Origin::always(Reply::status(200));
        let hook = hook(&app, &receiver, json!({})).await;
        let path = path_of(&hook);
        for (body, pointer) in [
            (json!({}), "/url"),
            (json!({"url": "ftp://a.example", "events": ["*"]}), "/url"),
            (json!({"url": "http://169.254.169.254/", "events": ["*"]}), "/url"),
            (json!({"url": receiver.base, "events": []}), "/events"),
            (json!({"url": receiver.base, "events": ["client.created", "Client.*"]}), "/events/1"),
            (json!({"url": receiver.base, "events": ["client.creatd"]}), "/events/0"),
            (json!({"url": receiver.base, "events": ["*", "clients.*"]}), "/events/1"),
            (json!({"url": receiver.base, "events": ["*"], "provider": "nobody"}), "/provider"),
            (json!({"url": receiver.base, "events": ["*"], "secret": "whsec_mine"}), "/secret"),
        ] {
            let answer = app.admin("POST", HOOKS).json(&body).send().await;
            let errors = answer.json()["errors"].to_string();
            assert!(answer.status == 422 && errors.contains(&format!("\"{pointer}\"")), "{body}: {}", answer.text());
        }
        let etag = app.admin("GET", &path).send().await.header("etag").to_owned();
        let change = |body: Value| app.admin("PATCH", &path).json(&body).header("if-match", &etag);
        let changed = change(json!({"events": ["user.*"]})).send().await;
        assert_eq!((changed.status, &changed.json()["events"]), (200, &json!(["user.*"])));
        assert_eq!(change(json!({"enabled": false})).send().await.status, 412);
        assert_eq!(app.admin("PATCH", &path).json(&json!({"provider": "default"})).send().await.status, 422);
        app.client(json!({})).await;
        assert_eq!(tell(&app, &hook).await, 0, "what it wanted before");
        assert_eq!(app.admin("DELETE", &path).header("if-match", &etag).send().await.status, 412);
        assert_eq!(app.admin("DELETE", &path).send().await.status, 204);
        assert_eq!(app.admin("GET", &path).send().await.status, 404);
        assert_eq!(items(&app, HOOKS).await.len(), 0);
    }
}
