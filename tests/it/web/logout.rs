//! Logout in the browser (LO1 to LO4): who is asked, what ends, where the browser goes.

use serde_json::json;
use url::form_urlencoded::Serializer;

use crate::support::app::on_both_apps;
use crate::support::browser::{Arrived, Browser, authorize_path};
use crate::web::{flow_of, token_of};

const BYE: &str = "https://app.example.com/bye";

fn logout_path(pairs: &[(&str, &str)]) -> String {
    format!("/oauth2/logout?{}", Serializer::new(String::new()).extend_pairs(pairs).finish())
}

async fn is_logged_in(browser: &Browser<'_>) -> bool {
    browser.send("GET", "/account", None).await.status == 200
}

on_both_apps! {
    async fn without_a_hint_the_person_is_asked_and_a_bare_get_ends_nothing(app: TestApp) {
        app.person("alice").await;
        let client = app.web_client(json!({})).await;
        let browser = Browser::new(&app);
        browser.authorize(&authorize_path("", &client, &[]), "alice").await;
        let path = logout_path(&[("client_id", &client.id), ("post_logout_redirect_uri", BYE), ("state", "s1")]);
        let page = browser.open(&path).await;
        assert!(page.shows("logout-form") && page.page().text().contains("alice"));
        assert!(is_logged_in(&browser).await);
        // Only its own form confirms.
        let (token, flow) = (token_of(page.page(), "logout-form"), flow_of(page.page()));
        let account = browser.send("GET", "/account", None).await;
        let other = token_of(&account, "profile-form");
        for wrong in ["", "x", &other] {
            let answer = browser.send("POST", "/logout", Some(&[("token", wrong), ("flow", &flow)])).await;
            assert_eq!(answer.status, 403, "{wrong}");
        }
        let answer = browser.send("POST", "/logout", Some(&[("token", &token), ("flow", "x")])).await;
        assert_eq!(answer.status, 403);
        assert!(is_logged_in(&browser).await);
        let done = browser.submit(&page, "logout-form", &[]).await;
        assert_eq!(done.left(), format!("{BYE}?state=s1"));
        assert!(!is_logged_in(&browser).await);
        assert!(!browser.cookies().keys().any(|name| !name.contains("flow") && !name.contains("device")));
    }

    async fn with_its_own_hint_a_client_ends_the_session_at_once(app: TestApp) {
        app.person("alice").await;
        let client = app.web_client(json!({})).await;
        let browser = Browser::new(&app);
        let code = browser.authorize(&authorize_path("", &client, &[]), "alice").await.code();
        let tokens = app.redeem("", &client, &code).await.json();
        let hint = tokens["id_token"].as_str().unwrap_or_else(|| panic!("{tokens}")).to_owned();
        let asked = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE), ("state", "a b")];
        let answer = browser.send("GET", &logout_path(&asked), None).await;
        assert_eq!((answer.status, answer.header("location")), (303, "https://app.example.com/bye?state=a+b"));
        let dropped: Vec<_> = answer.headers.get_all("set-cookie").map(|line| line.to_str().unwrap()).collect();
        assert!(dropped.iter().any(|line| line.ends_with("=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")), "{dropped:?}");
        assert!(!is_logged_in(&browser).await);
        // By form POST as well, and a place that is not registered leads nowhere.
        let code = browser.authorize(&authorize_path("", &client, &[]), "alice").await.code();
        let tokens = app.redeem("", &client, &code).await.json();
        let hint = tokens["id_token"].as_str().unwrap().to_owned();
        let asked = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", "https://evil.example/")];
        let answer = browser.send("POST", "/oauth2/logout", Some(&asked)).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/logged-out"));
    }

    async fn a_forged_hint_counts_as_none_and_no_other_place_is_gone_to(app: TestApp) {
        app.person("alice").await;
        let client = app.web_client(json!({})).await;
        let browser = Browser::new(&app);
        browser.authorize(&authorize_path("", &client, &[]), "alice").await;
        for uri in ["https://evil.example/", "//evil.example", "/\\evil.example", "https://app.example.com/bye/", "javascript:alert(1)", "https:/\\evil.example"] {
            for hint in ["", "e30.e30.", "x"] {
                let asked = [("id_token_hint", hint), ("client_id", &client.id), ("post_logout_redirect_uri", uri)];
                let page = browser.open(&logout_path(&asked)).await;
                assert!(page.shows("logout-form"), "{uri}");
            }
        }
        let page = browser.open(&logout_path(&[("post_logout_redirect_uri", "https://evil.example/")])).await;
        let done = browser.submit(&page, "logout-form", &[]).await;
        assert!(matches!(&done, Arrived::Page { path, answer } if path == "/logged-out" && answer.status == 200));
        assert!(!is_logged_in(&browser).await);
    }
}
