//! `prompt`, `max_age` and hints (OIDC Core §3.1.2): who is asked, and when.

use serde_json::json;

use crate::support::app::on_both_apps;
use crate::support::browser::{Browser, PASSWORD, authorize_path, claims};

on_both_apps! {
    async fn a_second_request_needs_no_second_login(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        browser.open(&authorize_path("", &client, &[])).await.code();
        browser.open(&authorize_path("", &client, &[("prompt", "none")])).await.code();
    }

    async fn prompt_none_never_shows_a_page(app: TestApp) {
        let client = app.web_client(json!({})).await;
        let asks = app.web_client(json!({"require_consent": true})).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        let quiet = authorize_path("", &client, &[("prompt", "none")]);
        assert_eq!(browser.open(&quiet).await.error(), "login_required");
        browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        assert_eq!(browser.open(&authorize_path("", &asks, &[("prompt", "none")])).await.error(), "consent_required");
        app.pass(13 * 3600);
        assert_eq!(browser.open(&quiet).await.error(), "login_required");
    }

    async fn prompt_login_and_select_account_ask_again_once(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        for prompt in ["login", "select_account", "login consent"] {
            app.pass(10);
            let page = browser.open(&authorize_path("", &client, &[("prompt", prompt)])).await;
            assert!(page.shows("login-form"), "{prompt}");
            let code = browser.log_in(&page, "ada", PASSWORD).await.code();
            let tokens = app.redeem("", &client, &code).await.json();
            assert_eq!(claims(tokens["id_token"].as_str().unwrap())["auth_time"], json!(app.now()), "{prompt}");
        }
    }

    async fn max_age_asks_again_when_the_login_is_older(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        app.pass(100);
        browser.open(&authorize_path("", &client, &[("max_age", "100")])).await.code();
        let page = browser.open(&authorize_path("", &client, &[("max_age", "99")])).await;
        let code = browser.log_in(&page, "ada", PASSWORD).await.code();
        let tokens = app.redeem("", &client, &code).await.json();
        assert_eq!(claims(tokens["id_token"].as_str().unwrap())["auth_time"], json!(app.now()));
        assert!(browser.open(&authorize_path("", &client, &[("max_age", "0")])).await.shows("login-form"));
    }

    async fn a_hint_about_somebody_else_asks_for_them(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        app.person("bob").await;
        let hint = app.login_tokens(&client, "bob", &[]).await["id_token"].as_str().unwrap().to_owned();
        let browser = Browser::new(&app);
        browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        for bad in [hint.as_str(), "forged", &format!("{hint}x")] {
            let more = [("id_token_hint", bad), ("prompt", "none")];
            assert_eq!(browser.open(&authorize_path("", &client, &more)).await.error(), "login_required", "{bad}");
        }
        let page = browser.open(&authorize_path("", &client, &[("id_token_hint", &hint)])).await;
        assert!(page.shows("login-form"));
        assert_eq!(browser.log_in(&page, "ada", PASSWORD).await.error(), "login_required");
        let page = browser.open(&authorize_path("", &client, &[("id_token_hint", &hint)])).await;
        browser.log_in(&page, "bob", PASSWORD).await.code();
        browser.open(&authorize_path("", &client, &[("id_token_hint", &hint), ("prompt", "none")])).await.code();
    }

    async fn a_claims_request_for_one_person_is_answered_about_nobody_else(app: TestApp) {
        let client = app.web_client(json!({})).await;
        let ada = app.person("ada").await["id"].as_str().unwrap().to_owned();
        let browser = Browser::new(&app);
        browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        let wanted = |sub: &str| json!({"id_token": {"sub": {"value": sub}}}).to_string();
        let more = |claims: &str| authorize_path("", &client, &[("prompt", "none"), ("claims", claims)]);
        browser.open(&more(&wanted(&ada))).await.code();
        assert_eq!(browser.open(&more(&wanted("someone-else"))).await.error(), "login_required");
    }

    async fn the_login_page_shows_the_hint_and_cancelling_tells_the_client(app: TestApp) {
        let client = app.web_client(json!({})).await;
        let browser = Browser::new(&app);
        let page = browser.open(&authorize_path("", &client, &[("login_hint", "ada@example.com")])).await;
        assert!(page.page().text().contains("value=\"ada@example.com\""));
        let left = browser.submit(&page, "login-form", &[("action", "cancel")]).await;
        assert_eq!(left.error(), "access_denied");
        assert_eq!(left.parameter("state").as_deref(), Some("af0ifjsldkj"));
        let page = browser.open(&authorize_path("", &client, &[("login_hint", &"x".repeat(300))])).await;
        assert!(!page.page().text().contains("xxxxx"));
    }
}
