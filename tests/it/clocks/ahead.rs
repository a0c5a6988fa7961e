//! A node whose clock differs from the database's: it decides nothing and deletes nothing.

use std::time::Duration;

use serde_json::json;

use super::{HOUR, clean, member, one_time, rows};
use crate::support::app::{Setup, TestApp, on_both_apps};
use crate::support::browser::Browser;

/// What the clock of the issue was ahead by, seconds.
const AHEAD: i64 = 7400;

/// Every way to a decision, and how it was answered: path, status, `Retry-After`.
async fn decisions(app: &TestApp, key: &str, token: &str) -> Vec<(&'static str, u16, String)> {
    let (id, secret) = (app.first.client_id.as_str(), app.first.client_secret.as_str());
    let form = [("grant_type", "client_credentials")];
    let run = json!({"grantType": "client_credentials", "clientID": id, "clientSecret": secret});
    let apptoken = json!({"id": id, "name": "x", "secret": secret});
    let calls = [
        ("/oauth2/token", app.post("/oauth2/token").form(&form).basic(id, secret)),
        ("/oauth2/introspect", app.post("/oauth2/introspect").form(&[("token", token)]).basic(id, secret)),
        ("/oauth2/revoke", app.post("/oauth2/revoke").form(&[("token", token)]).basic(id, secret)),
        ("/oauth2/mint", app.post("/oauth2/mint").bearer(key).json(&json!({}))),
        ("/oauth2/userinfo", app.get("/oauth2/userinfo").bearer(token)),
        ("/oauth2/authorize", app.get("/oauth2/authorize?client_id=x&response_type=code")),
        ("/forward-auth", app.get("/forward-auth").bearer(token)),
        ("/api/v1/token", app.post("/api/v1/token").json(&run)),
        ("/v1/k8s/auth/oauth/apptoken", app.post("/v1/k8s/auth/oauth/apptoken").json(&apptoken)),
        ("/api/v2/token", app.post("/api/v2/token").form(&form).basic(id, secret)),
        ("/admin/v1/providers", app.admin("GET", "/providers")),
        ("POST /admin/v1/providers", app.admin("POST", "/providers").json(&json!({"slug": "late"}))),
    ];
    let mut answers = Vec::new();
    for (path, call) in calls {
        let answer = call.send().await;
        answers.push((path, answer.status, answer.header("retry-after").to_owned()));
    }
    answers
}

on_both_apps! {
    async fn a_node_that_is_ahead_deletes_no_denial(app: TestApp) {
        let key = member(&app).await;
        let client = app.client(json!({})).await;
        let (spent, revoked) = (one_time(&app, &key, 600).await, app.token(&client).await);
        assert!(app.is_active(&spent).await);
        let answer = app.post("/oauth2/revoke").form(&[("token", &revoked)]).basic(&client.id, &client.secret).send().await;
        assert_eq!(answer.status, 200);
        let before = app.rows().await;
        let node = app.second_node_ahead(AHEAD).await;
        for _ in 0..2 {
            node.poll().await;
            node.tick().await;
            clean(&node).await;
        }
        assert_eq!(app.rows().await, before);
        for table in ["spent_tokens", "revoked"] {
            assert_eq!(rows(&app, table).await, 1, "{table}");
        }
        assert!(!app.is_active(&spent).await && !app.is_active(&revoked).await);
        // Nor does it forget in memory: its clock is set right, and it knows what was revoked.
        node.wall.step(-AHEAD);
        node.poll().await;
        assert!(!node.is_active(&spent).await && !node.is_active(&revoked).await);
    }

    async fn a_jump_between_two_looks_deletes_nothing_either(app: TestApp) {
        let (key, node) = (member(&app).await, app.second_node_ahead(0).await);
        let spent = one_time(&app, &key, 600).await;
        assert!(app.is_active(&spent).await);
        node.poll().await;
        node.wall.step(AHEAD);
        let before = app.rows().await;
        clean(&node).await;
        assert_eq!(app.rows().await, before);
        let answer = node.post("/oauth2/mint").bearer(&key).json(&json!({})).send().await;
        assert_eq!(answer.status, 503, "nor is anything dated by it: {}", answer.text());
    }

    async fn a_process_younger_than_an_hour_deletes_nothing(app: TestApp) {
        let key = member(&app).await;
        let spent = one_time(&app, &key, 600).await;
        assert!(app.is_active(&spent).await);
        app.pass(5 * HOUR);
        let young = app.started_again_as(Setup { sweep_watch: Duration::from_secs(3600), ..Setup::default() }).await;
        let before = app.rows().await;
        clean(&young).await;
        assert_eq!(app.rows().await, before);
        let metric = async |node: &TestApp, name: &str| {
            let shown = node.get("/metrics").bearer(&app.first.owner_key).send().await.text();
            let line = shown.lines().find(|line| line.starts_with(&format!("{name} "))).map(str::to_owned);
            line.unwrap_or_else(|| panic!("{name} is not shown")).rsplit(' ').next().unwrap().parse::<u64>().unwrap()
        };
        assert_eq!(metric(&young, "grantd_sweeps_total").await, 0, "a node that never sweeps is seen");
        assert!(metric(&young, "grantd_sweep_age_seconds").await < 600);
        clean(&app).await;
        assert_eq!(metric(&app, "grantd_sweeps_total").await, 1);
        assert_eq!(rows(&app, "spent_tokens").await, 0, "an old one does");
    }

    async fn a_wrong_clock_decides_nothing_until_it_is_right(app: TestApp) {
        let key = member(&app).await;
        let client = app.client(json!({})).await;
        let token = app.token(&client).await;
        for off in [3, AHEAD, -3, -AHEAD] {
            let node = app.second_node_ahead(off).await;
            let before = app.rows().await;
            for (path, status, retry_after) in decisions(&node, &key, &token).await {
                assert_eq!(status, 503, "{path} at {off}");
                assert!(retry_after.parse::<u32>().is_ok_and(|seconds| seconds >= 1), "{path} at {off}: {retry_after:?}");
            }
            assert_eq!(app.rows().await, before, "{off}");
            let ready = node.get("/readyz").send().await;
            assert_eq!((ready.status, ready.json()["reasons"].clone()), (503, json!(["clock"])), "{off}");
            for path in ["/.well-known/jwks.json", "/.well-known/openid-configuration", "/healthz", "/openapi.json"] {
                assert_eq!(node.get(path).send().await.status, 200, "{path} at {off}");
            }
            node.wall.step(-off);
            node.poll().await;
            assert_eq!(node.get("/readyz").send().await.status, 200, "{off}");
            assert!(decisions(&node, &key, &token).await.iter().all(|(_, status, _)| *status != 503), "{off}");
        }
    }

    async fn clocks_of_healthy_nodes_may_differ_a_little(app: TestApp) {
        let client = app.client(json!({})).await;
        for off in [2, -2] {
            let node = app.second_node_ahead(off).await;
            assert_eq!(node.get("/readyz").send().await.status, 200);
            node.token(&client).await;
        }
    }

    async fn a_sign_out_at_a_wrong_clock_is_not_lost(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let node = app.second_node_ahead(0).await;
        let browser = Browser::new(&node);
        let path = crate::support::browser::authorize_path("", &client, &[]);
        browser.authorize(&path, "ada").await.code();
        // For this clock the session is over; if it said so, the person would leave a live one behind.
        node.wall.step(40 * 24 * HOUR);
        node.poll().await;
        assert_eq!(browser.open("/oauth2/logout").await.page().status, 503);
        node.wall.step(-40 * 24 * HOUR);
        node.poll().await;
        browser.open(&path).await.code();
    }

    async fn a_wrong_clock_promotes_no_key(app: TestApp) {
        assert!(app.admin("POST", "/providers/default/signing-keys/rotate").json(&json!({"alg": "ES256"})).send().await.status < 300);
        let states = async || {
            let keys = app.admin("GET", "/providers/default/signing-keys").send().await.json();
            let mut states: Vec<String> = keys["items"].as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap().to_owned()).collect();
            states.sort();
            states
        };
        let before = states().await;
        assert!(before.contains(&"next".to_owned()), "{before:?}");
        let node = app.second_node_ahead(AHEAD).await;
        node.tick().await;
        assert_eq!(states().await, before);
    }
}
