//! Forms: each carries its token, bound to the form, the browser and the flow (SS6, mistakes 32), and
//! their answers are redirects that a browser follows by GET (AZ10).

use serde_json::json;

use crate::support::app::on_both_apps;
use crate::support::browser::{Arrived, Browser, PASSWORD, authorize_path};
use crate::support::http::Answer;
use crate::web::{flow_of, token_of};

const LOGIN: [(&str, &str); 2] = [("username", "alice"), ("password", PASSWORD)];

async fn posted(browser: &Browser<'_>, path: &str, fields: &[(&str, &str)]) -> Answer {
    browser.send("POST", path, Some(fields)).await
}

fn with<'a>(fields: &[(&'a str, &'a str)], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [fields, more].concat()
}

on_both_apps! {
    async fn a_login_form_without_its_own_token_logs_nobody_in(app: TestApp) {
        app.person("alice").await;
        let client = app.web_client(json!({})).await;
        let (browser, stranger) = (Browser::new(&app), Browser::new(&app));
        let page = browser.open(&authorize_path("", &client, &[])).await;
        let (token, flow) = (token_of(page.page(), "login-form"), flow_of(page.page()));
        let others = stranger.open(&authorize_path("", &client, &[])).await;
        let (others_token, others_flow) = (token_of(others.page(), "login-form"), flow_of(others.page()));
        let bare = browser.send("GET", "/login", None).await;
        let bare = token_of(&bare, "login-form");
        let own = [("flow", flow.as_str())];
        for (what, more) in [
            ("no token", vec![]),
            ("an empty one", vec![("token", "")]),
            ("junk", vec![("token", "x.00")]),
            ("of another browser", vec![("token", others_token.as_str())]),
            ("of another flow", vec![("token", bare.as_str())]),
        ] {
            let answer = posted(&browser, "/login", &with(&with(&LOGIN, &own), &more)).await;
            assert_eq!(answer.status, 403, "{what}");
            let text = answer.text();
            assert!(text.contains("id=\"login-form\"") && text.contains("role=\"alert\""), "{what}: {text}");
            assert!(text.contains("value=\"alice\"") && !text.contains(PASSWORD), "{what}");
            assert!(!browser.cookies().keys().any(|name| name.contains("device")), "{what}: logged in");
        }
        // Somebody else's flow with all that belongs to it.
        let fields = [("token", others_token.as_str()), ("flow", others_flow.as_str())];
        let answer = posted(&browser, "/login", &with(&LOGIN, &fields)).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("id=\"error\""), "{}", answer.text());
        // The right one still works.
        let fields = [("token", token.as_str()), ("flow", flow.as_str())];
        let answer = posted(&browser, "/login", &with(&LOGIN, &fields)).await;
        assert_eq!(answer.status, 303);
        assert!(answer.header("location").starts_with("https://app.example.com/cb?code="));
    }

    async fn another_site_s_page_cannot_send_a_form(app: TestApp) {
        app.person("alice").await;
        let browser = Browser::new(&app);
        let page = browser.send("GET", "/login", None).await;
        let token = token_of(&page, "login-form");
        let cookies: Vec<String> = browser.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let fields = with(&LOGIN, &[("token", token.as_str())]);
        let call = || app.post("/login").form(&fields).header("cookie", &cookies.join("; "));
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let answer = call().header("host", "id.example.com").header(name, value).send().await;
            assert_eq!(answer.status, 403, "{name}: {value}");
            assert!(answer.headers.get("set-cookie").is_none());
        }
        for path in ["/consent", "/logout", "/account/profile", "/account/password", "/account/sessions/end", "/account/sessions/end-all"] {
            let answer = app.post(path).form(&fields).header("sec-fetch-site", "cross-site").send().await;
            assert_eq!(answer.status, 403, "{path}");
        }
        let answer = call().header("host", "id.example.com").header("origin", "https://id.example.com").send().await;
        assert_eq!((answer.status, answer.header("location")), (303, "/account"));
    }

    async fn a_consent_can_be_given_only_by_its_own_form(app: TestApp) {
        app.person("alice").await;
        let client = app.web_client(json!({"require_consent": true})).await;
        let (browser, stranger) = (Browser::new(&app), Browser::new(&app));
        let page = browser.authorize(&authorize_path("", &client, &[]), "alice").await;
        let (token, flow) = (token_of(page.page(), "consent-form"), flow_of(page.page()));
        let other = stranger.authorize(&authorize_path("", &client, &[]), "alice").await;
        let others_token = token_of(other.page(), "consent-form");
        let login_token = {
            let page = browser.send("GET", &format!("/login?flow={flow}"), None).await;
            token_of(&page, "login-form")
        };
        for wrong in ["", "x", &others_token, &login_token] {
            let fields = [("flow", flow.as_str()), ("decision", "allow"), ("token", wrong)];
            let answer = posted(&browser, "/consent", &fields).await;
            assert_eq!(answer.status, 403, "{wrong}");
            assert!(answer.text().contains("no longer good"), "{}", answer.text());
        }
        for decision in ["", "yes", "ALLOW"] {
            let fields = [("flow", flow.as_str()), ("decision", decision), ("token", token.as_str())];
            assert_eq!(posted(&browser, "/consent", &fields).await.status, 400, "{decision}");
        }
        // The flow of one browser in the other's hands.
        assert_eq!(stranger.send("GET", &format!("/consent?flow={flow}"), None).await.status, 400);
        let denied = browser.submit(&page, "consent-form", &[("decision", "deny")]).await;
        assert_eq!((denied.error().as_str(), denied.parameter("state").as_deref()), ("access_denied", Some("af0ifjsldkj")));
    }

    async fn a_wrong_password_is_told_in_the_form_and_never_repeated(app: TestApp) {
        app.person("alice").await;
        let client = app.web_client(json!({})).await;
        let browser = Browser::new(&app);
        let page = browser.open(&authorize_path("", &client, &[])).await;
        for (username, password, sentence) in [
            ("alice", "wrong-password-1", "is not right"),
            ("nobody", "wrong-password-2", "is not right"),
            ("", "wrong-password-3", "Enter your username"),
            ("alice", "", "Enter your username"),
        ] {
            let again = browser.log_in(&page, username, password).await;
            let (status, text) = (again.page().status, again.page().text());
            assert_eq!(status, 400, "{username}");
            assert!(text.contains(sentence) && text.contains("role=\"alert\""), "{text}");
            assert!(text.contains("aria-invalid=\"true\"") && text.contains("aria-describedby=\"login-error\""));
            assert!(password.is_empty() || !text.contains(password));
            assert!(text.contains(&format!("value=\"{username}\"")));
            assert!(!browser.cookies().keys().any(|name| name.contains("device")));
        }
        // The form that says so works.
        let again = browser.log_in(&page, "alice", "wrong-password").await;
        assert!(matches!(browser.log_in(&again, "alice", PASSWORD).await, Arrived::Left(_)));
    }

    async fn the_person_may_turn_back_at_the_login_page(app: TestApp) {
        let client = app.web_client(json!({})).await;
        let browser = Browser::new(&app);
        let page = browser.open(&authorize_path("", &client, &[])).await;
        let back = browser.submit(&page, "login-form", &[("action", "cancel")]).await;
        assert_eq!((back.error().as_str(), back.parameter("state").as_deref()), ("access_denied", Some("af0ifjsldkj")));
        assert_eq!(back.parameter("iss").as_deref(), Some(crate::support::app::ISSUER));
        assert!(!browser.send("GET", "/login", None).await.text().contains("login-cancel"));
    }

    async fn too_many_tries_are_slowed_in_the_form(app: TestApp) {
        app.person("alice").await;
        let browser = Browser::new(&app);
        let page = browser.open("/login").await;
        let mut last = browser.log_in(&page, "alice", "wrong").await;
        for _ in 0..60 {
            if last.page().status == 429 {
                break;
            }
            last = browser.log_in(&page, "alice", "wrong").await;
        }
        let (answer, text) = (last.page(), last.page().text());
        assert_eq!(answer.status, 429, "{text}");
        assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
        assert!(text.contains("Too many attempts") && text.contains("id=\"login-form\""), "{text}");
    }

    async fn a_form_of_another_site_finds_the_person_logged_in_by_a_detour(app: TestApp) {
        app.person("alice").await;
        let client = app.web_client(json!({})).await;
        let path = authorize_path("", &client, &[]);
        let body = path.split_once('?').unwrap().1;
        // The browser keeps its cookies from a cross-site POST.
        let call = app.post("/oauth2/authorize").body(crate::support::http::FORM, body);
        let answer = call.header("sec-fetch-site", "cross-site").send().await;
        assert_eq!(answer.status, 303);
        let (place, query) = answer.header("location").split_once('?').unwrap();
        assert_eq!(place, "/oauth2/authorize");
        let pairs = |text: &str| url::form_urlencoded::parse(text.as_bytes()).into_owned().collect::<Vec<_>>();
        assert_eq!(pairs(query), pairs(body));
        // Without such a word the answer is at once.
        let call = app.post("/oauth2/authorize").body(crate::support::http::FORM, body);
        assert!(call.send().await.header("location").starts_with("/login?flow="));
    }
}
