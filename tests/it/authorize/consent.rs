//! Clients that have to ask: once, for what they want, and again for more.

use serde_json::json;

use crate::support::app::on_both_apps;
use crate::support::browser::{Arrived, Browser, PASSWORD, authorize_path, claims as claims_of};
use crate::support::people::text;

on_both_apps! {
    async fn a_first_party_client_asks_nothing(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        Browser::new(&app).authorize(&authorize_path("", &client, &[("prompt", "consent")]), "ada").await.code();
    }

    async fn consent_is_asked_once_and_again_for_more(app: TestApp) {
        let client = app.web_client(json!({"require_consent": true, "client_name": "Curious <b>app</b>"})).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        let page = browser.authorize(&authorize_path("", &client, &[]), "ada").await;
        assert!(page.shows("consent-form"));
        assert!(!page.page().text().contains("<b>app"), "a name is escaped");
        browser.submit(&page, "consent-form", &[("decision", "allow")]).await.code();
        browser.open(&authorize_path("", &client, &[])).await.code();
        let more = authorize_path("", &client, &[("scope", "openid email")]);
        let page = browser.open(&more).await;
        assert!(page.shows("consent-form"));
        browser.submit(&page, "consent-form", &[("decision", "allow")]).await.code();
        browser.open(&more).await.code();
        browser.open(&authorize_path("", &client, &[])).await.code();
        assert!(browser.open(&authorize_path("", &client, &[("prompt", "consent")])).await.shows("consent-form"));
    }

    async fn a_no_goes_to_the_client_and_is_not_remembered_as_a_yes(app: TestApp) {
        let client = app.web_client(json!({"require_consent": true})).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        let page = browser.authorize(&authorize_path("", &client, &[]), "ada").await;
        let left = browser.submit(&page, "consent-form", &[("decision", "deny")]).await;
        assert_eq!(left.error(), "access_denied");
        assert_eq!(left.parameter("state").as_deref(), Some("af0ifjsldkj"));
        app.tick().await;
        let told = app.admin("GET", "/events?action=consent.refused").send().await.json();
        assert_eq!(told["items"][0]["target"], json!(client.id));
        assert!(browser.open(&authorize_path("", &client, &[])).await.shows("consent-form"));
    }

    async fn one_persons_consent_is_not_anothers(app: TestApp) {
        let client = app.web_client(json!({"require_consent": true})).await;
        app.person("ada").await;
        app.person("bob").await;
        let browser = Browser::new(&app);
        let page = browser.authorize(&authorize_path("", &client, &[]), "ada").await;
        browser.submit(&page, "consent-form", &[("decision", "allow")]).await.code();
        let other = Browser::new(&app);
        assert!(other.authorize(&authorize_path("", &client, &[]), "bob").await.shows("consent-form"));
    }

    async fn claims_asked_for_by_name_are_asked_of_the_person_too(app: TestApp) {
        let client = app.web_client(json!({"require_consent": true})).await;
        app.person_at("default", "ada", json!({"email": "ada@example.com"})).await;
        let browser = Browser::new(&app);
        let page = browser.authorize(&authorize_path("", &client, &[]), "ada").await;
        browser.submit(&page, "consent-form", &[("decision", "allow")]).await.code();
        let claims = r#"{"userinfo":{"email":null},"id_token":{"email":null}}"#;
        let named = [("claims", claims)];
        let quiet = [("claims", claims), ("prompt", "none")];
        assert_eq!(browser.open(&authorize_path("", &client, &quiet)).await.error(), "consent_required");
        let page = browser.open(&authorize_path("", &client, &named)).await;
        assert!(page.shows("consent-form"));
        browser.submit(&page, "consent-form", &[("decision", "allow")]).await.code();
        browser.open(&authorize_path("", &client, &quiet)).await.code();
    }

    async fn a_scope_that_the_client_gets_later_adds_nothing_to_a_grant(app: TestApp) {
        let client = app.web_client(json!({"require_consent": true, "scope": "openid offline_access"})).await;
        app.person_at("default", "ada", json!({"email": "ada@example.com"})).await;
        let claims = r#"{"userinfo":{"email":null,"name":null},"id_token":{"email":null}}"#;
        let wanted = [("scope", "openid offline_access"), ("claims", claims)];
        let browser = Browser::new(&app);
        let page = browser.authorize(&authorize_path("", &client, &wanted), "ada").await;
        assert!(page.shows("consent-form") && !page.page().text().contains("email"), "{}", page.page().text());
        let code = browser.submit(&page, "consent-form", &[("decision", "allow")]).await.code();
        let tokens = app.redeem("", &client, &code).await.json();
        app.change(&client, json!({"scope": "openid offline_access email profile"})).await;
        let renewed = app.refresh("", &client, &text(&tokens, "refresh_token")).await.json();
        for tokens in [&tokens, &renewed] {
            let said = app.userinfo(&text(tokens, "access_token")).await.json();
            assert_eq!(said.as_object().unwrap().keys().collect::<Vec<_>>(), ["sub"], "{said}");
            assert!(claims_of(&text(tokens, "id_token")).get("email").is_none());
        }
        // Asked again, it is shown, and then given.
        let page = browser.open(&authorize_path("", &client, &wanted)).await;
        assert!(page.shows("consent-form") && page.page().text().contains("email"), "{}", page.page().text());
        let code = browser.submit(&page, "consent-form", &[("decision", "allow")]).await.code();
        let tokens = app.redeem("", &client, &code).await.json();
        assert_eq!(app.userinfo(&text(&tokens, "access_token")).await.json()["email"], json!("ada@example.com"));
        assert_eq!(claims_of(&text(&tokens, "id_token"))["email"], json!("ada@example.com"));
    }

    async fn an_answer_allows_what_the_question_showed_and_no_more(app: TestApp) {
        let client = app.web_client(json!({"require_consent": true, "scope": "openid"})).await;
        app.person_at("default", "ada", json!({"email": "ada@example.com"})).await;
        let claims = r#"{"userinfo":{"email":null}}"#;
        let browser = Browser::new(&app);
        let page = browser.authorize(&authorize_path("", &client, &[("scope", "openid"), ("claims", claims)]), "ada").await;
        assert!(page.shows("consent-form") && !page.page().text().contains("email"));
        // While the page is looked at, the client gets more.
        app.change(&client, json!({"scope": "openid email"})).await;
        let again = browser.submit(&page, "consent-form", &[("decision", "allow")]).await;
        assert!(again.shows("consent-form"), "the question is put again");
        assert!(again.page().text().contains("email"), "{}", again.page().text());
        browser.submit(&again, "consent-form", &[("decision", "allow")]).await.code();
    }

    async fn only_the_person_who_was_asked_can_answer(app: TestApp) {
        let client = app.web_client(json!({"require_consent": true})).await;
        app.person("ada").await;
        app.person("bob").await;
        let browser = Browser::new(&app);
        let asked = browser.authorize(&authorize_path("", &client, &[]), "ada").await;
        let page = browser.open(&authorize_path("", &client, &[("prompt", "login")])).await;
        assert!(browser.log_in(&page, "bob", PASSWORD).await.shows("consent-form"));
        let answered = browser.submit(&asked, "consent-form", &[("decision", "allow")]).await;
        assert!(answered.page().status >= 400);
        assert_eq!(browser.open(&authorize_path("", &client, &[("prompt", "none")])).await.error(), "consent_required");
    }

    async fn a_flow_that_waits_for_a_login_is_no_question_to_be_answered(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        let page = browser.open(&authorize_path("", &client, &[("prompt", "login")])).await;
        let Arrived::Page { path, .. } = &page else { panic!("no page") };
        let flow = path.split_once("flow=").map(|(_, flow)| flow.to_owned()).unwrap();
        assert!(browser.open(&format!("/consent?flow={flow}")).await.page().status >= 400);
    }

    async fn after_a_forced_login_the_question_still_counts_it(app: TestApp) {
        let client = app.web_client(json!({"require_consent": true})).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        let page = browser.authorize(&authorize_path("", &client, &[("prompt", "login consent")]), "ada").await;
        assert!(page.shows("consent-form"));
        browser.submit(&page, "consent-form", &[("decision", "allow")]).await.code();
    }
}
