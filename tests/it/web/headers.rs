//! What every answer to a browser carries (AZ11, AZ12, AZ16).

use serde_json::json;

use crate::support::app::on_both_apps;
use crate::support::browser::{Browser, authorize_path};
use crate::support::http::Answer;
use crate::web::directive;

#[track_caller]
fn assert_safe(answer: &Answer, what: &str) {
    assert_eq!(answer.header("x-frame-options"), "DENY", "{what}");
    assert_eq!(answer.header("referrer-policy"), "no-referrer", "{what}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{what}");
    assert_eq!(directive(answer, "default-src"), "'none'", "{what}");
    assert_eq!(directive(answer, "frame-ancestors"), "'none'", "{what}");
    assert_eq!(directive(answer, "base-uri"), "'none'", "{what}");
    assert!(!answer.header("permissions-policy").is_empty(), "{what}");
    assert!(!answer.headers.contains_key("access-control-allow-origin"), "{what}");
    assert!(!answer.header("content-security-policy").contains("unsafe"), "{what}");
    assert!(!answer.header("x-request-id").is_empty(), "{what}");
}

/// An attribute such as `onclick=`.
fn has_handler(text: &str) -> bool {
    let names = text.split(" on").skip(1).filter_map(|rest| rest.split_once('='));
    names.into_iter().any(|(name, _)| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase()))
}

#[track_caller]
fn assert_page(answer: &Answer, status: u16, what: &str) {
    assert_safe(answer, what);
    assert_eq!((answer.status, answer.header("content-type")), (status, "text/html; charset=utf-8"), "{what}");
    assert_eq!(answer.header("cache-control"), "no-store", "{what}");
    let text = answer.text();
    assert!(!text.contains("style=") && !text.contains("<style") && !has_handler(&text), "inline in {what}: {text}");
    for outside in ["src=\"http", "href=\"http", "src=\"//", "href=\"//"] {
        assert!(!text.contains(outside), "{what} loads from elsewhere: {text}");
    }
}

on_both_apps! {
    async fn every_page_is_kept_by_nobody_framed_by_nobody_and_loads_nothing_from_elsewhere(app: TestApp) {
        app.person("alice").await;
        let client = app.web_client(json!({"require_consent": true})).await;
        let browser = Browser::new(&app);
        let sent = browser.send("GET", &authorize_path("", &client, &[]), None).await;
        assert_safe(&sent, "authorize");
        assert_eq!((sent.status, sent.header("cache-control")), (303, "no-store"));
        let login = browser.open(sent.header("location")).await;
        assert_page(login.page(), 200, "login");
        let consent = browser.log_in(&login, "alice", crate::support::browser::PASSWORD).await;
        assert_page(consent.page(), 200, "consent");
        for (path, status) in [("/account", 200), ("/logged-out", 200), ("/oauth2/logout", 200), ("/login/x", 404),
            ("/oauth2/authorize", 400), ("/p/nobody/login", 404), ("/consent", 400)]
        {
            let answer = browser.send("GET", path, None).await;
            assert_page(&answer, status, path);
        }
        for path in ["/login", "/account", "/logged-out"] {
            assert_eq!(browser.send("GET", path, None).await.header("cross-origin-opener-policy"), "same-origin");
        }
        // A client may wait for the window it opened.
        for page in [login.page(), consent.page()] {
            assert_eq!(page.header("cross-origin-opener-policy"), "");
        }
    }

    async fn forms_stay_at_home_but_where_a_client_waits(app: TestApp) {
        app.person("alice").await;
        let client = app.web_client(json!({"require_consent": true})).await;
        let browser = Browser::new(&app);
        let login = browser.open(&authorize_path("", &client, &[])).await;
        assert_eq!(directive(login.page(), "form-action"), "'self' https:");
        let consent = browser.log_in(&login, "alice", crate::support::browser::PASSWORD).await;
        assert_eq!(directive(consent.page(), "form-action"), "'self' https:");
        for path in ["/account", "/oauth2/logout", "/logged-out"] {
            assert_eq!(directive(&browser.send("GET", path, None).await, "form-action"), "'self'", "{path}");
        }
        for path in ["/account", "/oauth2/logout"] {
            assert_eq!(directive(&browser.send("GET", path, None).await, "script-src"), "", "{path}");
        }
    }

    async fn the_form_post_page_is_the_only_one_with_a_script_and_works_without(app: TestApp) {
        app.person("alice").await;
        let client = app.web_client(json!({})).await;
        let browser = Browser::new(&app);
        let path = authorize_path("", &client, &[("response_mode", "form_post")]);
        let arrived = browser.authorize(&path, "alice").await;
        let page = arrived.page();
        assert_page(page, 200, "form post");
        assert_eq!((directive(page, "script-src"), directive(page, "form-action")), ("'self'".into(), "'self' https:".into()));
        let text = page.text();
        assert!(text.contains("<button id=\"form-post-continue\">") && text.contains("name=\"code\""), "{text}");
        assert_eq!(text.matches("<script").count(), 1);
        let script = browser.send("GET", "/assets/submit.js", None).await;
        assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    }

    async fn the_authorization_endpoint_is_never_readable_from_another_origin(app: TestApp) {
        for path in ["/oauth2/authorize", "/login", "/account", "/oauth2/logout"] {
            let call = app.call("OPTIONS", path).header("origin", "https://evil.example");
            let answer = call.header("access-control-request-method", "GET").send().await;
            assert_eq!(answer.status, 405, "{path}");
            assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("access-control")), "{path}");
        }
    }

    async fn what_the_pages_load_may_be_kept_and_changes_its_address_when_it_changes(app: TestApp) {
        let page = app.get("/login").send().await.text();
        let address = page.split("href=\"").find_map(|part| part.strip_prefix("/assets/style.css")).unwrap();
        let version = address.strip_prefix("?v=").unwrap().split('"').next().unwrap();
        let style = app.get(&format!("/assets/style.css?v={version}")).send().await;
        assert_eq!((style.status, style.header("content-type")), (200, "text/css; charset=utf-8"));
        assert_eq!(style.header("cache-control"), "public, max-age=86400");
        assert_eq!(style.header("etag"), format!("\"{version}\""));
        assert!(style.body.len() < 12 * 1024);
        for outside in ["url(", "@import", "http"] {
            assert!(!style.text().contains(outside), "{outside}");
        }
        let again = app.get("/assets/style.css").header("if-none-match", style.header("etag")).send().await;
        assert_eq!((again.status, again.body.len()), (304, 0));
        assert_eq!(app.get("/p/any/assets/style.css").send().await.status, 200);
    }

    async fn a_provider_s_colour_and_logo_are_on_its_pages_and_on_no_other_s(app: TestApp) {
        let logo = "data:image/png;base64,iVBORw0KGgo=";
        app.provider("acme", json!({"name": "Acme & Söhne", "brand_color": "#ffcc00", "logo_uri": logo})).await;
        let page = app.get("/p/acme/login").send().await.text();
        assert!(page.contains("/p/acme/assets/brand.css?v=ffcc00") && page.contains(logo), "{page}");
        assert!(page.contains("Acme &#38; Söhne"), "{page}");
        let style = app.get("/p/acme/assets/brand.css?v=ffcc00").send().await;
        assert!(style.text().contains("--brand:#ffcc00;--on-brand:#000000"), "{}", style.text());
        assert_eq!((style.status, style.header("content-type")), (200, "text/css; charset=utf-8"));
        assert!(!app.get("/login").send().await.text().contains("brand.css"));
        assert_eq!(app.get("/assets/brand.css").send().await.status, 404);
    }
}
