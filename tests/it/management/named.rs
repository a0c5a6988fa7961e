//! Scopes, roles and groups: how they are managed, and what people and clients have of them.

use serde_json::{Value, json};

use crate::support::app::{TestClient, on_both_apps};
use crate::support::browser::claims;
use crate::support::http::Answer;
use crate::support::people::{Wish, text};

const P: &str = "/providers/default";

on_both_apps! {
    async fn each_sort_is_made_read_changed_listed_and_ended(app: TestApp) {
        for (kind, name) in [("scopes", "orders:read/all"), ("roles", "Auditor / 50% +ä"), ("groups", "Staff & Co")] {
            let path = format!("{P}/{kind}");
            let made = app.admin("POST", &path).json(&json!({"name": name, "description": "first"})).send().await;
            assert_eq!((made.status, made.header("etag")), (201, "\"1\""), "{kind}: {}", made.text());
            let location = made.header("location").trim_start_matches("/admin/v1").to_owned();
            let read = app.admin("GET", &location).send().await;
            assert_eq!((read.status, read.body.clone()), (200, made.body.clone()), "{kind} {location}");
            assert_eq!((&read.json()["name"], &read.json()["description"]), (&json!(name), &json!("first")));
            let again = app.admin("POST", &path).json(&json!({"name": name})).send().await;
            assert_eq!(again.status, 409, "{kind}");
            let changed = app.admin("PATCH", &location).json(&json!({"description": null})).header("if-match", "\"1\"").send().await;
            assert_eq!((changed.status, changed.header("etag"), &changed.json()["description"]), (200, "\"2\"", &json!(null)), "{kind}");
            for (fields, status) in [(json!({"name": "other"}), 422), (json!({"name": name}), 200), (json!({"colour": 1}), 422), (json!({"description": 7}), 422)] {
                assert_eq!(app.admin("PATCH", &location).json(&fields).send().await.status, status, "{kind} {fields}");
            }
            assert_eq!(app.admin("PATCH", &location).json(&json!({"description": "x"})).header("if-match", "\"1\"").send().await.status, 412);
            let listed = app.admin("GET", &format!("{path}?limit=500")).send().await.json();
            assert!(listed["items"].as_array().unwrap().iter().any(|item| item["name"] == name), "{kind}");
            assert_eq!(app.admin("DELETE", &location).header("if-match", "\"1\"").send().await.status, 412, "{kind}");
            assert_eq!(app.admin("DELETE", &location).send().await.status, 204, "{kind}");
            for method in ["GET", "PATCH", "DELETE"] {
                assert_eq!(app.admin(method, &location).json(&json!({})).send().await.status, 404, "{kind} {method}");
            }
            for bad in [json!({}), json!({"name": ""}), json!({"name": "a\nb"}), json!({"name": 7}), json!({"name": null}), json!({"name": "x".repeat(300)})] {
                assert_eq!(app.admin("POST", &path).json(&bad).send().await.status, 422, "{kind} {bad}");
            }
        }
        for kind in ["scopes", "roles"] {
            let answer = app.admin("POST", &format!("{P}/{kind}")).json(&json!({"name": "x", "roles": []})).send().await;
            assert_eq!(answer.status, 422, "only groups give roles");
        }
    }

    async fn built_in_scopes_are_listed_and_cannot_be_changed(app: TestApp) {
        for n in 0..4 {
            app.admin("POST", &format!("{P}/scopes")).json(&json!({"name": format!("own:{n}")})).send().await;
        }
        for limit in [1, 3, 7, 100] {
            let (mut names, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = app.admin("GET", &format!("{P}/scopes?limit={limit}{cursor}")).send().await.json();
                let items = page["items"].as_array().unwrap();
                assert!(items.len() <= limit);
                names.extend(items.iter().map(|item| (text(item, "name"), item["built_in"] == true)));
                let Some(next) = page["next_cursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            let expected = [
                ("all:read", true), ("all:write", true), ("email", true), ("offline_access", true), ("openid", true), ("profile", true),
                ("usage:write", true), ("own:0", false), ("own:1", false), ("own:2", false), ("own:3", false),
            ];
            assert_eq!(names, expected.map(|(name, own)| (name.to_owned(), own)), "{limit}");
        }
        assert_eq!(app.admin("POST", &format!("{P}/scopes")).json(&json!({"name": "openid"})).send().await.status, 422);
        assert_eq!(app.admin("POST", &format!("{P}/scopes")).json(&json!({"name": "grantd:x"})).send().await.status, 422);
        for method in ["PATCH", "DELETE"] {
            assert_eq!(app.admin(method, &format!("{P}/scopes/openid")).json(&json!({"description": "x"})).send().await.status, 409);
        }
    }

    async fn a_scope_that_a_live_client_has_stays(app: TestApp) {
        let client = app.client(json!({"scope": "a a:b"})).await;
        let scope = |name: &str| format!("{P}/scopes/{name}");
        assert_eq!(app.admin("GET", &scope("a:b")).send().await.status, 200, "made by the act");
        assert_eq!(app.admin("DELETE", &scope("a:b")).send().await.status, 409);
        app.client(json!({"scope": "a:b:c"})).await;
        app.change(&client, json!({"scope": "a"})).await;
        assert_eq!(app.admin("DELETE", &scope("a:b")).send().await.status, 204, "a:b:c is another");
        assert_eq!(app.admin("DELETE", &format!("{P}/clients/{}", client.id)).send().await.status, 204);
        assert_eq!(app.admin("DELETE", &scope("a")).send().await.status, 204, "a deleted client holds nothing");
        app.admin("PATCH", P).json(&json!({"strict_scopes": true})).send().await;
        let refused = app.admin("POST", &format!("{P}/clients")).json(&json!({"scope": "a"})).send().await;
        assert_eq!(refused.status, 422, "it is gone");
    }

    async fn what_groups_give_stands_in_tokens_and_goes_with_them(app: TestApp) {
        let who = app.logged_in("ada").await;
        let user = format!("{P}/users/{}", who.user);
        app.admin("POST", &format!("{P}/groups")).json(&json!({"name": "staff", "roles": ["reader", "writer"]})).send().await;
        let put = app.admin("PATCH", &user).json(&json!({"groups": ["staff", "new"], "roles": ["admin", "reader"]})).send().await;
        assert_eq!((put.status, &put.json()["roles"]), (200, &json!(["admin", "reader"])), "{}", put.text());
        for made in ["groups/new", "roles/admin", "roles/writer"] {
            assert_eq!(app.admin("GET", &format!("{P}/{made}")).send().await.status, 200, "{made} was made by the act");
        }
        let client: TestClient = app.web_client(json!({"scope": "openid offline_access groups roles"})).await;
        let wish = Wish { scope: "openid groups roles", ..Wish::default() };
        let node = app.second_node().await;
        let said = async |app: &TestApp| -> (Value, Value) {
            let tokens = app.tokens(&client, &who, &wish).await;
            let told = claims(&text(&tokens, "id_token"));
            let info: Answer = app.userinfo(&text(&tokens, "access_token")).await;
            assert_eq!(info.json()["roles"], told["roles"]);
            (told["groups"].clone(), told["roles"].clone())
        };
        for app in [&app, &node] {
            assert_eq!(said(app).await, (json!(["staff", "new"]), json!(["admin", "reader", "writer"])));
        }
        app.admin("PATCH", &format!("{P}/groups/staff")).json(&json!({"roles": ["auditor"]})).send().await;
        node.poll().await;
        for app in [&app, &node] {
            assert_eq!(said(app).await.1, json!(["admin", "reader", "auditor"]), "at once, everywhere");
        }
        let before = app.admin("GET", &user).send().await;
        assert_eq!(app.admin("DELETE", &format!("{P}/roles/auditor")).send().await.status, 204);
        assert_eq!(app.admin("DELETE", &format!("{P}/roles/admin")).send().await.status, 204);
        assert_eq!(app.admin("GET", &format!("{P}/groups/staff")).send().await.json()["roles"], json!([]));
        assert_eq!(app.admin("DELETE", &format!("{P}/groups/staff")).send().await.status, 204);
        node.poll().await;
        for app in [&app, &node] {
            assert_eq!(said(app).await, (json!(["new"]), json!(["reader"])));
        }
        let after = app.admin("GET", &user).send().await;
        assert_eq!((&after.json()["groups"], &after.json()["roles"]), (&json!(["new"]), &json!(["reader"])));
        assert_ne!(after.header("etag"), before.header("etag"));
        assert!(app.is_active(&text(&app.tokens(&client, &who, &wish).await, "access_token")).await);
    }

    async fn a_member_sees_scopes_and_no_more_and_a_bound_key_its_own_provider(app: TestApp) {
        app.provider("acme", json!({})).await;
        let member = app.api_key(json!({"role": "member", "provider": "default"})).await;
        let admin = app.api_key(json!({"role": "admin", "provider": "acme"})).await;
        let status = async |key: &str, method: &str, path: &str| {
            app.call(method, &format!("/admin/v1{path}")).bearer(key).json(&json!({"name": "x"})).send().await.status
        };
        for (kind, reads) in [("scopes", 200), ("roles", 403), ("groups", 403)] {
            assert_eq!(status(&member, "GET", &format!("{P}/{kind}")).await, reads, "{kind}");
            assert_eq!(status(&member, "POST", &format!("{P}/{kind}")).await, 403, "{kind}");
            assert_eq!(status(&admin, "GET", &format!("{P}/{kind}")).await, 404, "{kind}");
            assert_eq!(status(&admin, "POST", &format!("{P}/{kind}")).await, 404, "{kind}");
            assert_eq!(status(&admin, "POST", &format!("/providers/acme/{kind}")).await, 201, "{kind}");
            assert_eq!(app.admin("GET", &format!("{P}/{kind}/x")).send().await.status, 404, "{kind} of another provider");
        }
    }
}
