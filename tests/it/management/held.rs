//! Sessions and grants of a provider: listed and ended, one by one or all of a person or client.

use serde_json::{Value, json};

use crate::support::app::{TestApp, on_both_apps};
use crate::support::people::{Wish, text};

const P: &str = "/providers/default";

async fn ids(app: &TestApp, path: &str) -> Vec<String> {
    let answer = app.admin("GET", &format!("{P}/{path}")).send().await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()["items"].as_array().unwrap().iter().map(|item: &Value| text(item, "id")).collect()
}

on_both_apps! {
    async fn all_of_a_person_or_a_client_are_found_and_ended(app: TestApp) {
        let (ada, bob) = (app.logged_in("ada").await, app.logged_in("bob").await);
        let (one, two) = (app.web_client(json!({})).await, app.web_client(json!({})).await);
        let mut tokens = Vec::new();
        for (client, who) in [(&one, &ada), (&two, &ada), (&one, &bob)] {
            app.pass(1);
            tokens.push(text(&app.tokens(client, who, &Wish::default()).await, "access_token"));
        }
        let (a, b) = (ada.user.as_str(), bob.user.as_str());
        assert_eq!(ids(&app, "grants").await.len(), 3);
        assert_eq!(ids(&app, &format!("grants?user={a}")).await.len(), 2);
        assert_eq!(ids(&app, &format!("grants?client={}", one.id)).await.len(), 2);
        let both = ids(&app, &format!("grants?client={}&user={b}", one.id)).await;
        assert_eq!(both.len(), 1);
        let newest = ids(&app, "grants?sort=-created_at&limit=1").await;
        assert_eq!(newest, both);
        let shown = app.admin("GET", &format!("{P}/grants/{}", both[0])).send().await.json();
        assert_eq!((text(&shown, "user_id"), text(&shown, "client_id")), (b.to_owned(), one.id.clone()));
        assert_eq!(ids(&app, &format!("sessions?user={a}")).await, [ada.session.to_string()]);
        assert_eq!(app.admin("DELETE", &format!("{P}/grants?client={}", one.id)).send().await.status, 204);
        assert_eq!(ids(&app, "grants").await.len(), 1);
        let node = app.second_node().await;
        for app in [&app, &node] {
            let active = [app.is_active(&tokens[0]).await, app.is_active(&tokens[1]).await, app.is_active(&tokens[2]).await];
            assert_eq!(active, [false, true, false]);
        }
        assert_eq!(app.admin("DELETE", &format!("{P}/sessions?user={b}")).send().await.status, 204);
        assert_eq!(ids(&app, "sessions").await, [ada.session.to_string()]);
        assert_eq!(app.admin("DELETE", &format!("{P}/sessions/{}", bob.session)).send().await.status, 404, "it is over");
        assert_eq!(app.admin("DELETE", &format!("{P}/sessions/{}", ada.session)).send().await.status, 204);
        assert_eq!(ids(&app, "sessions").await, Vec::<String>::new());
    }

    async fn more_than_one_batch_ends_with_one_call(app: TestApp) {
        let who = app.logged_in("ada").await;
        for _ in 0..205 {
            app.session_of(&who.user).await;
        }
        assert_eq!(ids(&app, "sessions?limit=500").await.len(), 206);
        assert_eq!(app.admin("DELETE", &format!("{P}/sessions?user={}", who.user)).send().await.status, 204);
        assert_eq!(ids(&app, "sessions?limit=500").await.len(), 0);
    }

    async fn without_a_filter_and_elsewhere_nothing_ends(app: TestApp) {
        let who = app.logged_in("ada").await;
        app.provider("acme", json!({})).await;
        for kind in ["sessions", "grants"] {
            for (query, status) in [("", 422), ("?user=", 400), ("?user=ada", 400), ("?client=%00", 400), ("?limit=1", 400), ("?users=x", 400)] {
                assert_eq!(app.admin("DELETE", &format!("{P}/{kind}{query}")).send().await.status, status, "{kind}{query}");
            }
            assert_eq!(app.admin("GET", &format!("{P}/{kind}?user=ada")).send().await.status, 400);
            assert_eq!(app.admin("GET", &format!("{P}/{kind}/nope")).send().await.status, 404);
        }
        assert_eq!(app.admin("DELETE", &format!("/providers/acme/sessions?user={}", who.user)).send().await.status, 204, "nobody there");
        assert_eq!(app.admin("DELETE", &format!("/providers/acme/sessions/{}", who.session)).send().await.status, 404);
        assert_eq!(ids(&app, "sessions").await.len(), 1);
        let member = app.api_key(json!({"role": "member"})).await;
        for kind in ["sessions", "grants"] {
            assert_eq!(app.get(&format!("/admin/v1{P}/{kind}")).bearer(&member).send().await.status, 403, "no person");
        }
    }
}
