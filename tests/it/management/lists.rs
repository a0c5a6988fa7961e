//! Lists: every filter and order of every list, pages without a gap, and cursors that fit one question.

use serde_json::{Value, json};

use crate::support::app::{TestApp, on_both_apps};

const CLIENTS: &str = "/providers/default/clients";

/// The values of a member on all pages, which have `limit` items each.
async fn all(app: &TestApp, path: &str, query: &str, member: &str, limit: usize) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = app.admin("GET", &format!("{path}?{query}&limit={limit}{cursor}").replace("?&", "?")).send().await;
        assert_eq!(answer.status, 200, "{path}?{query}: {}", answer.text());
        let body = answer.json();
        let items = body["items"].as_array().unwrap();
        assert!(items.len() <= limit && found.len() < 1000);
        found.extend(items.iter().map(|item| match &item[member] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }));
        let Some(next) = body["next_cursor"].as_str() else { return found };
        assert_eq!(items.len(), limit, "a page that is not the last is full");
        cursor = format!("&cursor={next}");
    }
}

/// A list in every order that it has: each visits every item once, and the other way about is the same
/// backwards.
async fn assert_orders(app: &TestApp, path: &str, member: &str, sorts: &[&str]) {
    let mut expected = all(app, path, "", member, 500).await;
    expected.sort();
    assert!(expected.len() > 4, "{path}: {expected:?}");
    for sort in sorts {
        let whole = all(app, path, &format!("sort={sort}"), member, 500).await;
        for limit in [1, 2, 3] {
            assert_eq!(all(app, path, &format!("sort={sort}"), member, limit).await, whole, "{path} {sort} {limit}");
        }
        let mut sorted = whole.clone();
        sorted.sort();
        assert_eq!(sorted, expected, "{path} {sort}");
        let back: Vec<String> = all(app, path, &format!("sort=-{sort}"), member, 2).await.into_iter().rev().collect();
        assert_eq!(back, whole, "{path} -{sort}");
        let keys = all(app, path, &format!("sort={sort}"), sort, 2).await;
        assert!(keys.is_sorted(), "{path} {sort}: {keys:?}");
    }
}

on_both_apps! {
    async fn clients_are_ordered_and_narrowed(app: TestApp) {
        for (n, name) in ["b", "a", "Z", "a", "ä", "a"].into_iter().enumerate() {
            let enabled = n != 2;
            let grants = if n < 2 { json!(["client_credentials"]) } else { json!(["refresh_token", "client_credentials"]) };
            let scope = ["a", "a:b", "a_b", "b a", "", "x"][n];
            app.client(json!({"client_id": format!("c{n}"), "client_name": name, "enabled": enabled, "grant_types": grants, "scope": scope})).await;
            app.pass(i64::from(n % 2 == 0));
        }
        assert_orders(&app, CLIENTS, "client_id", &["client_id", "client_name", "created_at"]).await;
        let found = async |query: &str| all(&app, CLIENTS, query, "client_id", 2).await.into_iter().filter(|id| id.len() == 2).collect::<Vec<_>>();
        assert_eq!(found("enabled=false").await, ["c2"]);
        assert_eq!(found("enabled=true").await, ["c0", "c1", "c3", "c4", "c5"]);
        assert_eq!(found("grant_type=refresh_token").await, ["c2", "c3", "c4", "c5"]);
        assert_eq!(found("grant_type=refresh").await, Vec::<String>::new());
        assert_eq!(found("scope=a").await, ["c0", "c3"]);
        assert_eq!(found("scope=a_b").await, ["c2"], "no wildcard");
        assert_eq!(found("scope=%25").await, Vec::<String>::new());
        assert_eq!(found("q=a&sort=-client_id").await, ["c5", "c3", "c1"]);
        assert_eq!(found("q=a&scope=a&enabled=true").await, ["c3"]);
        assert_eq!(found("q=%27%20OR%201=1%20--").await, Vec::<String>::new());
    }

    async fn users_are_ordered_and_narrowed(app: TestApp) {
        let users = "/providers/default/users";
        for (n, name) in ["Bob", "alice", "Ärger", "carol", "ALBERT"].into_iter().enumerate() {
            app.pass(1);
            let groups = [json!(["staff"]), json!(["staff", "a\"b"]), json!([]), json!(["staffx"]), json!([])][n].clone();
            let fields = json!({"username": name, "email": format!("{name}@example.com"), "groups": groups, "roles": [format!("r{}", n % 2)], "enabled": n != 3});
            let made = app.admin("POST", users).json(&fields).send().await;
            assert_eq!(made.status, 201, "{}", made.text());
            if n == 4 {
                app.admin("POST", &format!("{users}/{}/lock", made.json()["id"].as_str().unwrap())).send().await;
            }
        }
        assert_orders(&app, users, "id", &["created_at"]).await;
        let found = async |query: &str| all(&app, users, query, "username", 2).await;
        assert_eq!(found("sort=username").await, ["ALBERT", "alice", "Bob", "carol", "Ärger"]);
        assert_eq!(found("sort=-username").await, ["Ärger", "carol", "Bob", "alice", "ALBERT"]);
        assert_eq!(found("enabled=false").await, ["carol"]);
        assert_eq!(found("locked=true").await, ["ALBERT"]);
        assert_eq!(found("locked=false&enabled=true").await, ["Bob", "alice", "Ärger"]);
        assert_eq!(found("username=bOB").await, ["Bob"]);
        assert_eq!(found("email=%20ALICE@example.com").await, ["alice"]);
        assert_eq!(found("group=staff").await, ["Bob", "alice"]);
        assert_eq!(found("group=a%22b").await, ["alice"]);
        assert_eq!(found("role=r1").await, ["alice", "carol"]);
        assert_eq!(found("q=AL&sort=username").await, ["ALBERT", "alice"]);
        assert_eq!(found("q=%C3%84").await, ["Ärger"]);
    }

    async fn the_other_lists_are_ordered_and_narrowed(app: TestApp) {
        for slug in ["b", "a-1", "a-2", "c"] {
            app.pass(1);
            app.provider(slug, json!({"name": format!("n{}", slug.len()), "enabled": slug != "c"})).await;
        }
        assert_orders(&app, "/providers", "id", &["created_at", "slug", "name"]).await;
        assert_eq!(all(&app, "/providers", "q=a-", "slug", 1).await, ["a-1", "a-2"]);
        assert_eq!(all(&app, "/providers", "enabled=false", "slug", 1).await, ["c"]);
        for n in 0..5 {
            // Ids of one millisecond have no order.
            app.pass(1);
            app.api_key(json!({"name": format!("k{}", n % 2), "role": if n == 0 { "member" } else { "default" }, "provider": if n < 3 { json!("b") } else { json!(null) }})).await;
        }
        assert_orders(&app, "/api-keys", "id", &["created_at", "name"]).await;
        assert_eq!(all(&app, "/api-keys", "role=member", "name", 2).await, ["k0"]);
        assert_eq!(all(&app, "/api-keys", "provider=b", "name", 2).await, ["k0", "k1", "k0"]);
        let bound = app.api_key(json!({"role": "admin", "provider": "c"})).await;
        assert_eq!(app.get("/admin/v1/api-keys?provider=b").bearer(&bound).send().await.status, 404);
        for n in 0..5 {
            let row = json!({"issuer": format!("https://i{}.example.net", n % 2), "audiences": ["a"], "enabled": n < 4});
            assert_eq!(app.admin("POST", "/providers/b/trusted-issuers").json(&row).send().await.status, 201);
            app.admin("POST", "/providers/b/domains").json(&json!({"domain": crate::domains::fresh_name()})).send().await;
        }
        assert_orders(&app, "/providers/b/trusted-issuers", "id", &["created_at"]).await;
        assert_eq!(all(&app, "/providers/b/trusted-issuers", "issuer=https://i1.example.net&enabled=true", "issuer", 1).await.len(), 2);
        assert_orders(&app, "/providers/b/domains", "id", &["created_at", "domain"]).await;
        assert_eq!(all(&app, "/providers/b/domains", "verified=true", "id", 1).await.len(), 0);
        let keys = "/providers/default/signing-keys";
        for (query, count) in [("", 2), ("?alg=ES256", 1), ("?state=active", 2), ("?state=retired", 0), ("?state=active&alg=EdDSA", 0)] {
            let listed = app.admin("GET", &format!("{keys}{query}")).send().await.json();
            assert_eq!(listed["items"].as_array().unwrap().len(), count, "{query}");
        }
    }

    async fn a_cursor_fits_the_question_it_was_given_for(app: TestApp) {
        for n in 0..3 {
            app.client(json!({"client_id": format!("c{n}")})).await;
        }
        let page = app.admin("GET", &format!("{CLIENTS}?limit=1&sort=-created_at&enabled=true")).send().await.json();
        let cursor = page["next_cursor"].as_str().unwrap();
        let status = async |query: &str| app.admin("GET", &format!("{CLIENTS}?{query}")).send().await.status;
        assert_eq!(status(&format!("cursor={cursor}&enabled=true&sort=-created_at")).await, 200, "another size, another order of words");
        for query in ["", "&sort=created_at", "&sort=-created_at", "&sort=-created_at&enabled=false", "&sort=-created_at&enabled=true&q=x"] {
            assert_eq!(status(&format!("cursor={cursor}{query}")).await, 400, "{query}");
        }
        for query in ["sort=", "sort=-", "sort=subject", "sort=client_id%20DESC", "sort=--client_id", "enabled=1", "limit=501", "cursor=x", "nonsense=1", "enabled=true&enabled=true"] {
            assert_eq!(status(query).await, 400, "{query}");
        }
        for (path, query) in [("/api-keys", "role=king"), ("/providers/default/signing-keys", "state=x"), ("/providers/default/signing-keys", "limit=1"), ("/providers/default", "x=1")] {
            assert_eq!(app.admin("GET", &format!("{path}?{query}")).send().await.status, 400, "{path} {query}");
        }
        let refused = app.admin("GET", "/providers?colour=red").send().await.json();
        assert_eq!(refused["detail"], json!("A query parameter is not known here. There are: enabled, q, sort, limit, cursor."));
    }
}
