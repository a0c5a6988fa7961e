//! A denial is kept as long as the longest token that could have been issued, also after `max_ttl` was
//! lowered.

use serde_json::{Value, json};

use super::{DAY, HOUR, clean, member, one_time, rows, set_lifetimes};
use crate::support::app::{TestApp, TestClient, on_both_apps};
use crate::support::people::{Wish, text};

const LONGEST: i64 = 90 * DAY;

/// A public client, which rotates at every use.
async fn app_client(app: &TestApp, more: Value) -> TestClient {
    let mut fields = json!({"token_endpoint_auth_method": "none"});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.web_client(fields).await
}

/// Cleans up day by day until the longest token is over: the tokens are dead all the time, also at a node
/// that starts then.
async fn stay_dead(app: &TestApp, tokens: &[String]) {
    for (passed, more) in [(1, 1), (15, 14), (31, 16), (60, 29), (89, 29)] {
        app.pass(more * DAY - if passed == 1 { 10 * 60 } else { 0 });
        clean(app).await;
        let node = app.second_node().await;
        for token in tokens {
            assert!(!app.is_active(token).await, "after {passed} days");
            assert!(!node.is_active(token).await, "after {passed} days, at a node that starts now");
        }
    }
}

on_both_apps! {
    async fn what_ends_a_grant_outlives_a_max_ttl_that_was_lowered(app: TestApp) {
        set_lifetimes(&app, LONGEST).await;
        let who = app.logged_in("ada").await;
        let client = app_client(&app, json!({})).await;
        let own = app_client(&app, json!({"access_token_ttl": 80 * DAY, "max_ttl": 85 * DAY})).await;
        let (revoked, replayed) = (app.tokens(&client, &who, &Wish::default()).await, app.tokens(&client, &who, &Wish::default()).await);
        let (by_admin, of_own) = (app.tokens(&own, &who, &Wish::default()).await, app.tokens(&own, &who, &Wish::default()).await);
        let code = app.code(&client, &who, &Wish::default()).await;
        let twice = app.redeem("", &client, &code).await.json();
        assert!(twice["expires_in"] == json!(LONGEST) && by_admin["expires_in"] == json!(80 * DAY));
        // Lowered step by step, as one who tries values does; the client's own too.
        for longest in [30 * DAY, HOUR] {
            set_lifetimes(&app, longest).await;
        }
        app.change(&own, json!({"access_token_ttl": 60, "max_ttl": 120})).await;
        // RFC 7009.
        let gone = app.as_client("", &client, &[("grant_type", "refresh_token"), ("refresh_token", &text(&revoked, "refresh_token"))]).await;
        let newest = text(&gone.json(), "refresh_token");
        let answer = app.post("/oauth2/revoke").form(&[("token", &newest), ("client_id", &client.id)]).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        // A replaced refresh token comes back.
        assert_eq!(app.refresh("", &client, &text(&replayed, "refresh_token")).await.status, 200);
        app.pass(10 * 60);
        assert_eq!(app.refresh("", &client, &text(&replayed, "refresh_token")).await.status, 400);
        // A code comes back.
        assert_eq!(app.redeem("", &client, &code).await.status, 400);
        // An administrator.
        let path = format!("/providers/default/grants?client={}", own.id);
        assert!(app.admin("DELETE", &path).send().await.status < 300);
        let all = [revoked, replayed, twice, by_admin, of_own];
        let tokens: Vec<String> = all.iter().map(|tokens| text(tokens, "access_token")).collect();
        for token in &tokens {
            assert!(!app.is_active(token).await, "{:?}", crate::support::browser::claims(token));
        }
        stay_dead(&app, &tokens).await;
        // And no longer than needed.
        app.pass(3 * DAY);
        clean(&app).await;
        assert_eq!(rows(&app, "revoked").await, 0);
    }

    async fn other_denials_outlive_a_max_ttl_that_was_lowered(app: TestApp) {
        set_lifetimes(&app, LONGEST).await;
        let (key, ended) = (member(&app).await, member(&app).await);
        let spent = one_time(&app, &key, 89 * DAY).await;
        assert!(app.is_active(&spent).await);
        let wanted = json!({"ttl_seconds": 89 * DAY});
        let minted = app.post("/oauth2/mint").bearer(&ended).json(&wanted).send().await.json();
        let (clear, off) = (app.client(json!({})).await, app.client(json!({})).await);
        let (of_clear, of_off) = (app.token(&clear).await, app.token(&off).await);
        let single = app.client(json!({})).await;
        let revoked = app.token(&single).await;
        let who = app.logged_in("ada").await;
        let tied = app.tokens(&app_client(&app, json!({})).await, &who, &Wish { scope: "openid", ..Wish::default() }).await;
        set_lifetimes(&app, HOUR).await;
        let answer = app.post("/oauth2/revoke").form(&[("token", &revoked)]).basic(&single.id, &single.secret).send().await;
        assert_eq!(answer.status, 200);
        let keys = app.admin("GET", "/api-keys").send().await.json();
        let prefix = |key: &Value| ended.starts_with(key["hint"].as_str().unwrap_or("none"));
        let made = minted["access_token"].as_str().unwrap().to_owned();
        let owner = crate::support::browser::claims(&made)["client_id"].as_str().unwrap().to_owned();
        assert!(keys["items"].as_array().unwrap().iter().any(|key| prefix(key) || key["id"] == json!(owner)));
        for path in [
            format!("/api-keys/{owner}"),
            format!("/providers/default/clients/{}/tokens", clear.id),
            format!("/providers/default/clients/{}", off.id),
        ] {
            let answer = app.admin("DELETE", &path).send().await;
            assert!(answer.status < 300, "{path}: {}", answer.text());
        }
        app.end_session(&who.session).await;
        stay_dead(&app, &[spent, made, of_clear, of_off, revoked, text(&tied, "access_token")]).await;
    }
}
