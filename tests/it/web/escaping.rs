//! Nothing from a request gets into a page as anything but text (AZ21; mistakes 25, 33).

use serde_json::json;

use crate::support::app::on_both_apps;
use crate::support::browser::{Browser, authorize_path};

const SCRIPT: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>";

#[track_caller]
fn assert_text_only(text: &str) {
    assert!(!text.contains("<script>") && !text.contains("<img src=x"), "{text}");
}

on_both_apps! {
    async fn script_in_a_hint_a_name_or_a_state_is_text(app: TestApp) {
        let made = app.person_at("default", "alice", json!({"name": SCRIPT})).await;
        assert_eq!(made["name"], SCRIPT);
        let client = app.web_client(json!({"client_name": SCRIPT, "require_consent": true})).await;
        let browser = Browser::new(&app);
        let more = [("login_hint", SCRIPT), ("state", SCRIPT), ("ui_locales", SCRIPT)];
        let login = browser.open(&authorize_path("", &client, &more)).await;
        let text = login.page().text();
        assert_text_only(&text);
        assert!(text.contains("&#60;script&#62;alert(1)"), "the hint prefills the form: {text}");
        let wrong = browser.log_in(&login, SCRIPT, "wrong").await;
        assert_text_only(&wrong.page().text());
        let consent = browser.log_in(&login, "alice", crate::support::browser::PASSWORD).await;
        assert!(consent.shows("consent-form"), "{}", consent.page().text());
        assert_text_only(&consent.page().text());
        let account = browser.open("/account").await;
        assert_text_only(&account.page().text());
        let back = browser.submit(&consent, "consent-form", &[("decision", "allow")]).await;
        assert_eq!(back.parameter("state").as_deref(), Some(SCRIPT));
    }

    async fn script_in_a_form_post_answer_is_text(app: TestApp) {
        app.person("alice").await;
        let client = app.web_client(json!({})).await;
        let more = [("response_mode", "form_post"), ("state", SCRIPT)];
        let browser = Browser::new(&app);
        let page = browser.authorize(&authorize_path("", &client, &more), "alice").await;
        let text = page.page().text();
        assert_text_only(&text);
        assert!(text.contains("name=\"state\" value=\"&#34;&#39;&#62;&#60;script&#62;"), "{text}");
    }

    async fn the_error_page_says_nothing_of_what_was_asked(app: TestApp) {
        let client = app.web_client(json!({})).await;
        let mark = "marker-of-the-request";
        for path in [
            authorize_path("", &client, &[("client_id", mark)]),
            authorize_path("", &client, &[("redirect_uri", &format!("https://{mark}.example/{SCRIPT}"))]),
            format!("/login?flow={mark}"),
            format!("/consent?flow={mark}&error_hint={mark}"),
            format!("/login/{mark}"),
            format!("/p/{mark}/login"),
            format!("/oauth2/authorize?error={mark}&error_description={mark}&error_hint={mark}"),
        ] {
            let answer = app.get(&path.replace(['<', '>', '"', '\''], "")).send().await;
            assert!((400..500).contains(&answer.status), "{path}");
            assert!(!answer.text().contains(mark), "{path}: {}", answer.text());
            assert!(answer.text().contains(answer.header("x-request-id")), "{path}");
        }
    }

    async fn a_hint_of_any_length_is_no_harm(app: TestApp) {
        let client = app.web_client(json!({})).await;
        for length in [255, 256, 5_000, 20_000] {
            let browser = Browser::new(&app);
            let hint = "a".repeat(length);
            let answer = browser.send("GET", &authorize_path("", &client, &[("login_hint", &hint)]), None).await;
            if answer.status == 303 {
                let page = browser.open(answer.header("location")).await;
                assert!(page.shows("login-form"), "{length}");
                assert_eq!(page.page().text().contains(&hint), length <= 255, "{length}");
            } else {
                assert_eq!(answer.status, 400, "{length}");
            }
            assert!(browser.cookies().values().all(|value| value.len() < 100), "{length}");
        }
    }
}
