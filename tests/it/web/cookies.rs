//! Cookies (SS1, SS2), and that those of one provider are nothing at another.

use serde_json::json;

use crate::support::app::{Setup, TestApp, on_both_apps};
use crate::support::browser::{Browser, PASSWORD, authorize_path};
use crate::support::databases::{Kind, block_on};
use crate::support::http::Answer;

fn cookies(answer: &Answer) -> Vec<String> {
    answer.headers.get_all("set-cookie").map(|line| line.to_str().unwrap().to_owned()).collect()
}

fn named<'a>(lines: &'a [String], part: &str) -> &'a str {
    lines.iter().find(|line| line.contains(part)).unwrap_or_else(|| panic!("no {part} in {lines:?}"))
}

/// The answer to a right password on the page at `/login`.
async fn log_in(browser: &Browser<'_>, base: &str) -> Answer {
    let page = browser.send("GET", &format!("{base}/login"), None).await;
    let token = crate::web::token_of(&page, "login-form");
    let fields = [("token", token.as_str()), ("username", "alice"), ("password", PASSWORD)];
    browser.send("POST", &format!("{base}/login"), Some(&fields)).await
}

async fn attributes(kind: Kind, public_url: &'static str, prefix: &str, secure: &str) {
    let app = TestApp::start_as(kind, Setup { public_url, ..Setup::default() }).await;
    app.person("alice").await;
    let browser = Browser::new(&app);
    let first = browser.send("GET", "/login", None).await;
    let flow = cookies(&first);
    let flow = named(&flow, "grantd-flow-");
    assert!(flow.starts_with(&format!("{prefix}grantd-flow-")), "{flow}");
    assert!(flow.ends_with(&format!("; Path=/{secure}; HttpOnly; SameSite=Lax")), "{flow}");
    let answer = log_in(&browser, "").await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let lines = cookies(&answer);
    let device = named(&lines, "grantd-device-");
    assert!(device.starts_with(prefix), "{device}");
    assert!(device.ends_with("; SameSite=Lax; Max-Age=15552000"), "{device}");
    let session = lines.iter().find(|line| !line.contains("device")).unwrap();
    assert!(session.starts_with(&format!("{prefix}grantd-")), "{session}");
    assert!(session.ends_with(&format!("; Path=/{secure}; HttpOnly; SameSite=Lax; Max-Age=2592000")), "{session}");
    assert!(!session.to_ascii_lowercase().contains("domain"), "{session}");
}

#[test]
fn on_https_cookies_are_secure_and_carry_the_prefix() {
    block_on(attributes(Kind::Sqlite, crate::support::app::ISSUER, "__Host-", "; Secure"));
    block_on(attributes(Kind::Postgres, crate::support::app::ISSUER, "__Host-", "; Secure"));
}

#[test]
fn on_http_they_have_neither() {
    block_on(attributes(Kind::Sqlite, "http://localhost:8080", "", ""));
    block_on(attributes(Kind::Postgres, "http://localhost:8080", "", ""));
}

on_both_apps! {
    async fn a_forwarding_header_does_not_change_the_cookies_or_a_link(app: TestApp) {
        let call = app.get("/login").at_address("127.0.0.1").header("x-forwarded-proto", "http");
        let answer = call.header("x-forwarded-host", "evil.example").header("host", "evil.example").send().await;
        assert!(cookies(&answer)[0].starts_with("__Host-"));
        assert!(!answer.text().contains("evil.example"));
    }

    async fn a_login_gives_a_new_session_and_what_was_planted_does_not_become_one(app: TestApp) {
        app.person("alice").await;
        let browser = Browser::new(&app);
        log_in(&browser, "").await;
        let name = browser.cookies().into_keys().find(|name| !name.contains("flow") && !name.contains("device")).unwrap();
        let first = browser.cookies()[&name].clone();
        log_in(&browser, "").await;
        assert_ne!(browser.cookies()[&name], first, "the same secret after another login");
        let old = Browser::new(&app);
        old.set_cookie(&name, &first);
        assert_eq!(old.send("GET", "/account", None).await.status, 303, "the secret before the login still works");

        let victim = Browser::new(&app);
        victim.set_cookie(&name, &"A".repeat(43));
        log_in(&victim, "").await;
        assert_ne!(victim.cookies()[&name], "A".repeat(43));
        assert_eq!(victim.send("GET", "/account", None).await.status, 200);
    }

    async fn cookies_of_one_provider_are_nothing_at_another(app: TestApp) {
        app.provider("other", json!({})).await;
        app.person("alice").await;
        app.person_at("other", "alice", json!({})).await;
        let browser = Browser::new(&app);
        log_in(&browser, "").await;
        assert_eq!(browser.send("GET", "/account", None).await.status, 200);
        assert_eq!(browser.send("GET", "/p/other/account", None).await.header("location"), "/p/other/login");
        // Also under the other's names.
        let client = app.web_client_of("other", json!({})).await;
        let there = Browser::new(&app);
        log_in(&there, "/p/other").await;
        let (own, others) = (browser.cookies(), there.cookies());
        let forged = Browser::new(&app);
        for name in others.keys() {
            let part = ["flow", "device"].into_iter().find(|part| name.contains(part));
            let same = |known: &&String| part.map_or(!known.contains("flow") && !known.contains("device"), |part| known.contains(part));
            forged.set_cookie(name, &own[own.keys().find(same).unwrap()]);
        }
        assert_eq!(forged.send("GET", "/p/other/account", None).await.header("location"), "/p/other/login");
        let arrived = forged.open(&authorize_path("/p/other", &client, &[])).await;
        assert!(arrived.shows("login-form"));
        // A form's token of one provider at another.
        let page = browser.send("GET", "/login", None).await;
        let token = crate::web::token_of(&page, "login-form");
        let fields = [("token", token.as_str()), ("username", "alice"), ("password", PASSWORD)];
        assert_eq!(forged.send("POST", "/p/other/login", Some(&fields)).await.status, 403);
    }

    async fn a_session_cookie_that_came_twice_is_none(app: TestApp) {
        app.person("alice").await;
        let browser = Browser::new(&app);
        log_in(&browser, "").await;
        let (name, value) = browser.cookies().into_iter().find(|(name, _)| !name.contains("-flow-") && !name.contains("-device-")).unwrap();
        let answer = app.get("/account").header("cookie", &format!("{name}={value}; {name}={value}")).send().await;
        assert_eq!(answer.status, 303);
        let answer = app.get("/account").header("cookie", &format!("{name}={value}")).send().await;
        assert_eq!(answer.status, 200);
    }
}
