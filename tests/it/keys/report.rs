//! The report of secrets that nobody uses and of those that end soon.

use serde_json::{Value, json};

use super::{ask, made, text};
use crate::support::app::{TestApp, on_both_apps};

const DAY: i64 = 86_400;

/// Every line, page by page: `kind id unused expires_soon`.
async fn report(app: &TestApp, key: &str, query: &str) -> Vec<String> {
    let (mut lines, mut cursor) = (Vec::new(), String::new());
    for _ in 0..100 {
        let path = format!("/admin/v1/reports/secrets?{query}&cursor={cursor}");
        let answer = app.get(&path).bearer(key).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let page = answer.json();
        lines.extend(page["items"].as_array().unwrap().iter().map(line));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return lines,
        }
    }
    panic!("the report has no end");
}

fn line(item: &Value) -> String {
    let owner = item["client_id"].as_str().or(item["api_key"].as_str()).unwrap();
    let flag = |name: &str| if item[name].as_bool().unwrap() { "yes" } else { "no" };
    format!("{} {owner} unused:{} soon:{}", text(item, "kind"), flag("unused"), flag("expires_soon"))
}

on_both_apps! {
    async fn it_names_what_nobody_uses_and_what_ends_soon(app: TestApp) {
        let owner = app.first.owner_key.clone();
        let (idle, busy) = (app.client(json!({})).await, app.client(json!({})).await);
        app.pass(80 * DAY);
        ask(&app, &busy.id, &busy.secret).await;
        let ending = app.client(json!({})).await;
        made(&app, &format!("/providers/default/clients/{}/secrets/rotate", ending.id), json!({"overlap_seconds": 10 * DAY})).await;
        app.tick().await;
        app.pass(11 * DAY);
        app.tick().await;
        let lines = report(&app, &owner, "limit=500").await;
        let line = |client: &str, told: &str| format!("client_secret {client} {told}");
        assert!(lines.contains(&line(&idle.id, "unused:yes soon:no")), "{lines:?}");
        assert!(lines.contains(&line(&app.first.client_id, "unused:yes soon:no")), "{lines:?}");
        for quiet in [&busy.id, &ending.id] {
            assert!(!lines.iter().any(|line| line.contains(quiet)), "in use, ended, or new: {lines:?}");
        }
        let lines = report(&app, &owner, "expires_within_days=30").await;
        assert!(lines.is_empty(), "asked for one thing, the other is not listed: {lines:?}");
        let member = made(&app, "/api-keys", json!({"role": "member"})).await;
        made(&app, &format!("/api-keys/{}/secrets/rotate", text(&member, "id")), json!({"overlap_seconds": 10 * DAY})).await;
        let lines = report(&app, &owner, "expires_within_days=30").await;
        assert_eq!(lines, [format!("api_key_secret {} unused:no soon:yes", text(&member, "id"))]);
        assert!(report(&app, &owner, "expires_within_days=9").await.is_empty());
        assert!(report(&app, &owner, "unused_days=10").await.iter().any(|line| line.contains(&busy.id)));
    }

    async fn a_key_that_ends_makes_its_secrets_end(app: TestApp) {
        let fields = json!({"role": "member", "expires_at": "2027-01-20T00:00:00Z"});
        let id = text(&made(&app, "/api-keys", fields).await, "id");
        let lines = report(&app, &app.first.owner_key, "expires_within_days=30").await;
        assert_eq!(lines, [format!("api_key_secret {id} unused:no soon:yes")]);
        app.pass(30 * DAY);
        assert!(report(&app, &app.first.owner_key, "expires_within_days=30").await.is_empty(), "it is over");
    }

    async fn pages_hold_every_line_once(app: TestApp) {
        for _ in 0..7 {
            app.client(json!({})).await;
        }
        let before = report(&app, &app.first.owner_key, "unused_days=0").await;
        app.pass(1);
        let whole = report(&app, &app.first.owner_key, "unused_days=0&limit=500").await;
        assert!(before.is_empty() && whole.len() >= 8, "{whole:?}");
        for limit in [1, 2, 3, 8] {
            let paged = report(&app, &app.first.owner_key, &format!("unused_days=0&limit={limit}")).await;
            assert_eq!(paged, whole, "limit {limit}");
        }
    }

    async fn a_bound_key_sees_its_provider_only(app: TestApp) {
        app.provider("acme", json!({})).await;
        let acme = app.client_of("acme", json!({})).await;
        let admin = app.api_key(json!({"role": "admin", "provider": "acme"})).await;
        let member = app.api_key(json!({"role": "member", "provider": "acme"})).await;
        app.pass(1);
        let lines = report(&app, &admin, "unused_days=0").await;
        assert_eq!(lines.len(), 3, "one client, two API keys: {lines:?}");
        assert!(lines[0].contains(&acme.id), "{lines:?}");
        assert_eq!(report(&app, &app.first.owner_key, "unused_days=0&provider=acme").await, lines);
        for (key, query, status) in [
            (&admin, "provider=default", 404),
            (&member, "", 403),
            (&app.first.owner_key, "unused_days=-1", 400),
            (&app.first.owner_key, "expires_within_days=x", 400),
            (&app.first.owner_key, "cursor=xxxx", 400),
        ] {
            let answer = app.get(&format!("/admin/v1/reports/secrets?{query}")).bearer(key).send().await;
            assert_eq!(answer.status, status, "{query}: {}", answer.text());
        }
    }
}
