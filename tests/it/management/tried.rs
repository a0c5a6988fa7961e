//! `?dry_run=true`: the same checks and the same answer, and nothing is left of it.

use serde_json::{Value, json};

use super::cases::{cases, changing_operations};
use super::contents::contents;
use crate::support::app::on_both_apps;
use crate::support::http::Answer;
use crate::support::people::{Wish, text};

/// What an answer looks like: the names of its members, secrets aside.
fn shape(answer: &Answer) -> Vec<String> {
    const SECRETS: [&str; 4] = ["client_secret", "key", "secret", "access_token"];
    if answer.body.is_empty() {
        return Vec::new();
    }
    let body = answer.json();
    let members = body.as_object().into_iter().flatten().map(|(name, _)| name.clone());
    let mut names: Vec<String> = members.filter(|name| !SECRETS.contains(&name.as_str())).collect();
    names.sort();
    names
}

fn carries_a_secret(answer: &Answer) -> bool {
    let text = answer.text();
    ["\"gs_", "\"gk_", "\"ga_", "\"eyJ", "\"whsec_"].iter().any(|prefix| text.contains(prefix))
}

on_both_apps! {
    async fn every_change_can_be_tried_and_leaves_every_table_as_it_was(app: TestApp) {
        let cases = cases(&app).await;
        let described: Vec<&str> = cases.iter().map(|case| case.operation).collect();
        let missing: Vec<_> = changing_operations().into_iter().filter(|own| !described.contains(own)).collect();
        assert!(missing.is_empty(), "routes without a line in cases.rs: {missing:?}");
        for case in cases {
            let name = case.operation;
            let before = contents(&app).await;
            let tried = case.call(&app, "?dry_run=true").send().await;
            let after = contents(&app).await;
            for (table, rows) in &before {
                assert_eq!(rows, &after[table], "{name} has changed {table}");
            }
            assert!((200..300).contains(&tried.status), "{name}: {}", tried.text());
            assert_eq!((tried.header("dry-run"), tried.header("location")), ("true", ""), "{name}");
            assert!(!carries_a_secret(&tried), "{name}: {}", tried.text());
            let done = case.call(&app, "?dry_run=false").send().await;
            assert_eq!((tried.status, shape(&tried)), (done.status, shape(&done)), "{name}: {}", done.text());
            assert_eq!(done.header("dry-run"), "", "{name}");
            assert_eq!(contents(&app).await != before, case.changes, "{name}");
        }
    }

    async fn what_would_be_refused_is_refused(app: TestApp) {
        let client = app.client(json!({"client_id": "billing"})).await;
        let clients = "/providers/default/clients";
        let path = format!("{clients}/{}", client.id);
        let taken = app.admin("POST", &format!("{clients}?dry_run=true")).json(&json!({"client_id": "billing"})).send().await;
        assert_eq!(taken.status, 409);
        let wrong = app.admin("POST", &format!("{clients}?dry_run=true")).json(&json!({"nonsense": 1})).send().await;
        assert_eq!(wrong.status, 422);
        let stale = app.admin("PATCH", &format!("{path}?dry_run=true")).json(&json!({"scope": "x"})).header("if-match", "\"9\"").send().await;
        assert_eq!(stale.status, 412);
        let changed = app.admin("PATCH", &format!("{path}?dry_run=true")).json(&json!({"scope": "x"})).header("if-match", "\"1\"").send().await;
        assert_eq!((changed.status, changed.header("etag"), &changed.json()["scope"]), (200, "\"2\"", &json!("x")));
        let member = app.api_key(json!({"role": "member"})).await;
        let by_member = app.call("DELETE", &format!("/admin/v1{path}?dry_run=true")).bearer(&member).send().await;
        assert_eq!(by_member.status, 403);
        for query in ["?dry_run=1", "?dry_run=", "?dry_run=true&dry_run=true", "?dryrun=true", "?dry_run=true&cascade=true"] {
            assert_eq!(app.admin("DELETE", &format!("{path}{query}")).send().await.status, 400, "{query}");
        }
        assert_eq!(app.admin("GET", &format!("{path}?dry_run=true")).send().await.status, 400, "a GET changes nothing anyway");
        assert_eq!(app.admin("GET", &path).send().await.json()["scope"], json!(""));
    }

    async fn a_try_is_not_explained_as_a_change(app: TestApp) {
        let clients = "/providers/default/clients";
        let why = async |answer: &Answer| {
            app.admin("GET", &format!("/explain/{}", answer.header("x-request-id"))).send().await
        };
        let says_tried = |explained: &Value| {
            let steps = explained["steps"].as_array().unwrap();
            steps.iter().any(|step| step["rule"] == "request.dry_run")
        };
        let tried = app.admin("POST", &format!("{clients}?dry_run=true")).json(&json!({})).send().await;
        assert_eq!((tried.status, why(&tried).await.status), (201, 404));
        let refused = app.admin("POST", &format!("{clients}?dry_run=true")).json(&json!({"x": 1})).send().await;
        let explained = why(&refused).await.json();
        assert_eq!(explained["rule"], json!("fields.acceptable"));
        assert!(says_tried(&explained), "{explained}");
        let done = app.admin("POST", clients).json(&json!({})).send().await;
        let explained = why(&done).await.json();
        assert_eq!(explained["outcome"], json!("granted"));
        assert!(!says_tried(&explained), "{explained}");
    }

    async fn what_was_only_tried_goes_on_working_on_every_node(app: TestApp) {
        let who = app.logged_in("ada").await;
        let web = app.web_client(json!({})).await;
        let tokens = app.tokens(&web, &who, &Wish::default()).await;
        let access = text(&tokens, "access_token");
        let grant = app.family_of(&access).await.grant.id.to_string();
        let machine = app.client(json!({})).await;
        let own = app.token(&machine).await;
        for path in [
            format!("/providers/default/users/{}/grants/{grant}", who.user), format!("/providers/default/users/{}", who.user),
            format!("/providers/default/clients/{}", machine.id), format!("/providers/default/clients/{}/tokens", machine.id),
            "/providers/default/tokens".to_owned(),
        ] {
            assert_eq!(app.admin("DELETE", &format!("{path}?dry_run=true")).send().await.status, 204, "{path}");
            app.poll().await;
            assert!(app.is_active(&access).await && app.is_active(&own).await, "{path}");
        }
        app.token(&machine).await;
        let name = crate::domains::fresh_name();
        app.provider("acme", json!({})).await;
        crate::domains::proven(&app, "acme", &name).await;
        let issuer = async || {
            let call = app.get("/.well-known/openid-configuration").header("host", &name);
            call.send().await.json()["issuer"].clone()
        };
        let before: Value = issuer().await;
        assert_eq!(app.admin("DELETE", "/providers/acme?dry_run=true").send().await.status, 204);
        assert_eq!(issuer().await, before, "its domain is served as before");
    }
}
