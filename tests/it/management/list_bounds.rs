//! What a list costs and takes at most, and cursors that it did not give out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::support::app::{TestApp, on_both_apps};

const MEBIBYTE: usize = 1 << 20;
/// Beside the items: the cursor and what surrounds them.
const FRAME: usize = 1024;
const UUID: &str = "01890000-0000-7000-8000-000000000000";

/// Makes a text of every row as long as a body can be.
async fn inflate(app: &TestApp, table: &str, column: &str) {
    let sql = format!("UPDATE {table} SET {column} = '{}'", "x".repeat(50_000));
    app.job(move |tx| Ok((**tx).batch_execute(&sql)?)).await;
}

/// The names on all pages, and how many items each page had.
async fn walked(app: &TestApp, path: &str, member: &str) -> (Vec<String>, Vec<usize>) {
    let (mut names, mut pages, mut cursor) = (Vec::new(), Vec::new(), String::new());
    loop {
        let answer = app.admin("GET", &format!("{path}?limit=500{cursor}")).send().await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(answer.text().len() <= MEBIBYTE + FRAME, "{path}: a page of {} bytes", answer.text().len());
        let body = answer.json();
        let items = body["items"].as_array().unwrap();
        assert!(!items.is_empty(), "{path}: a page without an item");
        pages.push(items.len());
        names.extend(items.iter().map(|item| item[member].as_str().unwrap().to_owned()));
        let Some(next) = body["next_cursor"].as_str() else { return (names, pages) };
        cursor = format!("&cursor={next}");
    }
}

fn cursor(value: Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

on_both_apps! {
    async fn a_page_ends_at_a_mebibyte(app: TestApp) {
        let numbered = |n: usize| format!("n{n:02}");
        for n in 0..60 {
            let role = app.admin("POST", "/providers/default/roles").json(&json!({"name": numbered(n)})).send().await;
            assert_eq!(role.status, 201, "{}", role.text());
            app.client(json!({"client_id": numbered(n)})).await;
        }
        inflate(&app, "provider_roles", "description").await;
        inflate(&app, "clients", "name").await;
        for (path, member) in [("/providers/default/roles", "name"), ("/providers/default/clients", "client_id")] {
            let (names, pages) = walked(&app, path, member).await;
            let own: Vec<String> = names.into_iter().filter(|name| name.starts_with('n') && name.len() == 3).collect();
            assert_eq!(own, (0..60).map(numbered).collect::<Vec<_>>(), "{path}");
            assert!(pages[0] > 10 && pages.len() > 2, "{path}: {pages:?}");
        }
        let (events, _) = walked(&app, "/events", "id").await;
        assert!(events.len() >= 120, "small items are read in steps: {}", events.len());
    }

    async fn an_item_that_is_larger_than_a_page_is_a_page(app: TestApp) {
        for n in 0..3 {
            app.admin("POST", "/providers/default/groups").json(&json!({"name": format!("g{n}")})).send().await;
        }
        let sql = format!("UPDATE provider_groups SET description = '{}'", "x".repeat(MEBIBYTE + 1));
        app.job(move |tx| Ok((**tx).batch_execute(&sql)?)).await;
        let mut after = String::new();
        for n in 0..3 {
            let body = app.admin("GET", &format!("/providers/default/groups?{after}")).send().await.json();
            let names: Vec<&Value> = body["items"].as_array().unwrap().iter().map(|item| &item["name"]).collect();
            assert_eq!(names, [&json!(format!("g{n}"))]);
            after = format!("cursor={}", body["next_cursor"].as_str().unwrap_or_default());
        }
        assert_eq!(after, "cursor=");
    }

    async fn a_cursor_that_a_list_did_not_give_out_is_refused(app: TestApp) {
        let hook = json!({"url": "https://hooks.example.com/in", "events": ["*"]});
        let hook = app.admin("POST", "/webhooks").json(&hook).send().await;
        assert_eq!(hook.status, 201, "{}", hook.text());
        let deliveries = format!("/webhooks/{}/deliveries", hook.json()["id"].as_str().unwrap());
        let by_id = [
            "/providers", "/providers/default/users", "/api-keys", "/providers/default/trusted-issuers", "/providers/default/domains",
            "/providers/default/sessions", "/providers/default/grants", "/events", "/webhooks", &deliveries,
        ];
        let by_name = ["/providers/default/scopes", "/providers/default/roles", "/providers/default/groups"];
        let others = ["/providers/default/clients", "/reports/secrets"];
        for path in by_id.into_iter().chain(by_name).chain(others) {
            let mut bad = vec![
                "x".to_owned(),
                "AA".to_owned(),
                cursor(json!({})),
                cursor(json!({"i": ""})),
                cursor(json!({"i": null})),
                cursor(json!({"i": "a\0"})),
                cursor(json!({"i": UUID, "k": "\0"})),
                cursor(json!({"i": UUID, "k": "1"})),
                cursor(json!({"i": UUID, "q": [["enabled", "true"]]})),
                cursor(json!({"i": UUID, "l": "/admin/v1/elsewhere"})),
                cursor(json!({"i": "x".repeat(4000)})),
            ];
            if by_id.contains(&path) {
                bad.extend([cursor(json!({"i": "x"})), cursor(json!({"i": "client.1"}))]);
            }
            if path == "/reports/secrets" {
                bad.extend(["x", "client.x", "key.", UUID].map(|id| cursor(json!({"i": id}))));
            }
            for bad in bad {
                let answer = app.admin("GET", &format!("{path}?cursor={bad}")).send().await;
                assert_eq!(answer.status, 400, "{path}?cursor={bad}: {}", answer.text());
            }
        }
    }

    async fn a_cursor_names_the_list_and_the_order_it_is_of(app: TestApp) {
        app.provider("other", json!({})).await;
        for n in 0..3 {
            app.client(json!({"client_id": format!("c{n}")})).await;
            app.client_of("other", json!({"client_id": format!("c{n}")})).await;
            app.api_key(json!({"name": "a", "role": "member"})).await;
        }
        let next = async |path: &str| {
            let body = app.admin("GET", path).send().await.json();
            body["next_cursor"].as_str().unwrap_or_else(|| panic!("{path}: {body}")).to_owned()
        };
        let status = async |path: &str| app.admin("GET", path).send().await.status;
        let (providers, clients) = (next("/providers?limit=1").await, next("/providers/default/clients?limit=1").await);
        assert_eq!(status(&format!("/providers?cursor={providers}")).await, 200);
        assert_eq!(status(&format!("/providers/default/clients?cursor={clients}")).await, 200);
        for path in [
            format!("/api-keys?cursor={providers}"),
            format!("/events?cursor={providers}"),
            format!("/providers/other/clients?cursor={clients}"),
            format!("/providers/default/scopes?cursor={clients}"),
        ] {
            assert_eq!(status(&path).await, 400, "{path}");
        }
        // What a list is ordered by: a number, a text, or nothing beside the id.
        for (sort, key, expected) in [
            ("created_at", "", 400), ("created_at", "x", 400), ("created_at", "1.5", 400), ("created_at", "99999999999999999999", 400),
            ("created_at", "1", 200), ("client_name", "x", 200), ("client_id", "x", 400), ("client_id", "", 200),
        ] {
            for (sign, id) in [("", "c1"), ("-", "c1"), ("", "")] {
                let cursor = cursor(json!({"q": [["sort", format!("{sign}{sort}")]], "k": key, "i": id}));
                let path = format!("/providers/default/clients?sort={sign}{sort}&cursor={cursor}");
                assert_eq!(status(&path).await, if id.is_empty() { 400 } else { expected }, "{path} {key:?}");
            }
        }
    }
}
