//! The clocks of all go back by an hour: no window opens, and nobody is locked out for that hour.

use serde_json::json;

use super::{HOUR, MINUTE, member, one_time, used_as};
use crate::people::{HERE, Login, PASSWORD, app_client, tried, user};
use crate::support::app::on_both_apps;
use crate::support::browser::{Browser, authorize_path};
use crate::support::people::{Wish, text};

const GUESS: &str = "a wrong horse";

on_both_apps! {
    async fn a_replaced_refresh_token_gets_no_hour_of_grace(app: TestApp) {
        let who = app.logged_in("ada").await;
        for method in ["none", "client_secret_basic"] {
            let client = app.web_client(json!({"token_endpoint_auth_method": method, "refresh_rotation": "always"})).await;
            let tokens = app.tokens(&client, &who, &Wish::default()).await;
            let (first, access) = (text(&tokens, "refresh_token"), text(&tokens, "access_token"));
            let answer = app.refresh("", &client, &first).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let second = text(&answer.json(), "refresh_token");
            app.pass(-HOUR);
            app.poll().await;
            assert_eq!(app.refresh("", &client, &first).await.status, 400, "{method}: replaced in the future is long ago");
            assert_eq!(app.refresh("", &client, &second).await.status, 400, "{method}: and the grant is over");
            assert!(!app.is_active(&access).await);
            app.pass(HOUR);
        }
    }

    async fn a_code_gets_no_hour_more(app: TestApp) {
        let (client, who) = (app.web_client(json!({})).await, app.logged_in("ada").await);
        let (code, late) = (app.code(&client, &who, &Wish::default()).await, app.code(&client, &who, &Wish::default()).await);
        app.pass(-HOUR);
        app.poll().await;
        assert_eq!(app.redeem("", &client, &code).await.status, 400);
        app.pass(HOUR - MINUTE);
        assert_eq!(app.redeem("", &client, &late).await.status, 200, "a minute is borne");
    }

    async fn the_same_use_is_not_repeated_for_an_hour(app: TestApp) {
        let key = member(&app).await;
        let token = one_time(&app, &key, 600).await;
        assert!(used_as(&app, &key, &token, "u1").await);
        assert!(used_as(&app, &key, &token, "u1").await, "within ten seconds");
        app.pass(-HOUR);
        app.poll().await;
        assert!(!used_as(&app, &key, &token, "u1").await);
    }

    async fn right_passwords_are_forgiven_and_failures_lock_for_no_hour(app: TestApp) {
        let client = app_client(&app).await;
        user(&app, json!({"username": "ada", "password": PASSWORD})).await;
        for _ in 0..9 {
            assert_eq!(tried(&app, &client, HERE, "ada", GUESS).await, Login::Wrong);
        }
        app.tick().await;
        app.pass(-HOUR);
        app.poll().await;
        for number in 0..20 {
            assert_eq!(tried(&app, &client, HERE, "ada", PASSWORD).await, Login::In, "login {number}");
        }
        // And failures count as before.
        for _ in 0..10 {
            assert_eq!(tried(&app, &client, HERE, "ada", GUESS).await, Login::Wrong);
        }
        app.tick().await;
        let node = app.second_node().await;
        for each in [&app, &node] {
            assert!(matches!(tried(each, &client, HERE, "ada", PASSWORD).await, Login::Slowed(1..=60)));
        }
    }

    async fn a_login_from_the_future_is_not_young(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        let young = authorize_path("", &client, &[("max_age", "600")]);
        browser.authorize(&young, "ada").await.code();
        app.pass(-HOUR);
        app.poll().await;
        assert!(browser.open(&young).await.shows("login-form"));
        browser.open(&authorize_path("", &client, &[])).await.code();
    }

    async fn a_session_is_idle_for_no_hour_more(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        let path = authorize_path("", &client, &[]);
        browser.authorize(&path, "ada").await.code();
        app.pass(-HOUR);
        app.poll().await;
        browser.open(&path).await.code();
        // Used just now, and not again: over after its idle time.
        app.pass(12 * HOUR + MINUTE);
        assert!(browser.open(&path).await.shows("login-form"));
    }
}
