//! What a list costs and takes at most.

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::support::app::{TestApp, on_both_apps};

const MEBIBYTE: usize = 1 << 20;
/// Beside the items: the cursor and what surrounds them.
const FRAME: usize = 1024;

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
}
