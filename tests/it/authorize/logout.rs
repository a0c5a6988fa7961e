//! RP-Initiated Logout: who may end a session without a question, and where the browser may go.

use serde_json::json;
use url::form_urlencoded::Serializer;

use crate::support::app::on_both_apps;
use crate::support::browser::{Browser, authorize_path};

const BYE: &str = "https://app.example.com/bye";

fn logout_path(fields: &[(&str, &str)]) -> String {
    format!("/oauth2/logout?{}", Serializer::new(String::new()).extend_pairs(fields).finish())
}

on_both_apps! {
    async fn with_its_hint_a_client_ends_the_session_and_gets_the_browser_back(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        let code = browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        let tokens = app.redeem("", &client, &code).await.json();
        app.pass(7200);
        let hint = tokens["id_token"].as_str().unwrap();
        let path = logout_path(&[("id_token_hint", hint), ("post_logout_redirect_uri", BYE), ("state", "a b&c")]);
        assert_eq!(browser.open(&path).await.left(), format!("{BYE}?state=a+b%26c"), "an expired hint is a hint");
        assert_eq!(browser.open(&authorize_path("", &client, &[("prompt", "none")])).await.error(), "login_required");
        assert_eq!(app.refresh("", &client, tokens["refresh_token"].as_str().unwrap()).await.status, 400);
    }

    async fn no_other_place_is_gone_to(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        for place in ["https://app.example.com/bye/", "https://evil.test/", "https://app.example.com/cb", "javascript:alert(1)", "//evil.test"] {
            let browser = Browser::new(&app);
            let code = browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
            let tokens = app.redeem("", &client, &code).await.json();
            let hint = tokens["id_token"].as_str().unwrap();
            let arrived = browser.open(&logout_path(&[("id_token_hint", hint), ("post_logout_redirect_uri", place)])).await;
            assert_eq!(arrived.page().status, 200, "{place}");
            assert_eq!(browser.open(&authorize_path("", &client, &[("prompt", "none")])).await.error(), "login_required");
        }
    }

    async fn without_a_hint_or_with_a_forged_one_the_person_is_asked(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let other = app.login_tokens(&client, "ada", &[]).await["id_token"].as_str().unwrap().to_owned();
        let browser = Browser::new(&app);
        browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        let quiet = authorize_path("", &client, &[("prompt", "none")]);
        let forged = format!("{}AAAA", &other[..other.len() - 4]);
        for hint in ["", "forged", &forged, &other] {
            let path = logout_path(&[("id_token_hint", hint), ("client_id", &client.id), ("post_logout_redirect_uri", BYE)]);
            assert!(browser.open(&path).await.shows("logout-form"), "{hint}");
            browser.open(&quiet).await.code();
        }
        let page = browser.open(&logout_path(&[("client_id", &client.id), ("post_logout_redirect_uri", BYE)])).await;
        assert_eq!(browser.submit(&page, "logout-form", &[]).await.left(), BYE);
        assert_eq!(browser.open(&quiet).await.error(), "login_required");
    }

    async fn a_client_id_that_is_not_the_hints_takes_the_browser_nowhere(app: TestApp) {
        let [client, other] = [app.web_client(json!({})).await, app.web_client(json!({})).await];
        app.person("ada").await;
        let browser = Browser::new(&app);
        let code = browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        let tokens = app.redeem("", &client, &code).await.json();
        let hint = tokens["id_token"].as_str().unwrap();
        let path = logout_path(&[("id_token_hint", hint), ("client_id", &other.id), ("post_logout_redirect_uri", BYE)]);
        let page = browser.open(&path).await;
        assert!(page.shows("logout-form"));
        assert_eq!(browser.submit(&page, "logout-form", &[]).await.page().status, 200);
    }

    async fn without_a_session_only_a_hint_takes_the_browser_back(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let tokens = app.login_tokens(&client, "ada", &[]).await;
        let hint = tokens["id_token"].as_str().unwrap();
        let browser = Browser::new(&app);
        let path = logout_path(&[("id_token_hint", hint), ("post_logout_redirect_uri", BYE)]);
        assert_eq!(browser.open(&path).await.left(), BYE);
        let path = logout_path(&[("client_id", &client.id), ("post_logout_redirect_uri", BYE)]);
        assert_eq!(browser.open(&path).await.page().status, 200);
    }
}
