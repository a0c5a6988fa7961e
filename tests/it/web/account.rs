//! One's own account: seen and changed by nobody else, with answers in the page.

use crate::support::app::{TestApp, on_both_apps};
use crate::support::browser::{Arrived, Browser, PASSWORD};
use crate::web::token_of;

const NEW: &str = "another battery, another staple";

async fn logged_in<'a>(app: &'a TestApp, username: &str) -> Browser<'a> {
    let browser = Browser::new(app);
    let page = browser.open("/login").await;
    let arrived = browser.log_in(&page, username, PASSWORD).await;
    assert!(matches!(&arrived, Arrived::Page { path, answer } if path == "/account" && answer.status == 200));
    browser
}

on_both_apps! {
    async fn nobody_sees_or_changes_an_account_without_a_session(app: TestApp) {
        assert_eq!(app.get("/account").send().await.header("location"), "/login");
        for path in ["/account/profile", "/account/password", "/account/sessions/end", "/account/sessions/end-all"] {
            let answer = app.post(path).form(&[("token", "x"), ("name", "x")]).send().await;
            assert_eq!((answer.status, answer.header("location")), (303, "/login"), "{path}");
        }
    }

    async fn a_form_of_the_account_works_with_its_own_token_only(app: TestApp) {
        app.person("alice").await;
        app.person("mallory").await;
        let (browser, other) = (logged_in(&app, "alice").await, logged_in(&app, "mallory").await);
        let page = browser.send("GET", "/account", None).await;
        let foreign = token_of(&other.send("GET", "/account", None).await, "profile-form");
        let forms = [
            ("profile-form", "/account/profile"),
            ("password-form", "/account/password"),
            ("end-all-form", "/account/sessions/end-all"),
        ];
        for (form, path) in forms {
            let wrong: Vec<String> = forms.iter().filter(|(name, _)| *name != form).map(|(name, _)| token_of(&page, name)).collect();
            for token in wrong.iter().chain([&foreign, &String::new()]) {
                let fields = [("token", token.as_str()), ("name", "Evelyn"), ("current", PASSWORD), ("new", NEW)];
                assert_eq!(browser.send("POST", path, Some(&fields)).await.status, 403, "{path}");
            }
        }
        let page = browser.send("GET", "/account", None).await.text();
        assert!(!page.contains("Evelyn"));
    }

    async fn a_name_is_changed_and_a_bad_one_told_at_its_field(app: TestApp) {
        app.person("alice").await;
        let browser = logged_in(&app, "alice").await;
        let page = browser.open("/account").await;
        let saved = browser.submit(&page, "profile-form", &[("name", "Alice Ådahl")]).await;
        let text = saved.page().text();
        assert!(text.contains("value=\"Alice Ådahl\"") && text.contains("Your profile is saved."), "{text}");
        let long = "x".repeat(256);
        let refused = browser.submit(&page, "profile-form", &[("name", &long)]).await;
        let text = refused.page().text();
        assert_eq!(refused.page().status, 400);
        assert!(text.contains("id=\"name-error\" role=\"alert\"") && text.contains(&long), "{text}");
        let emptied = browser.submit(&page, "profile-form", &[("name", "")]).await;
        assert!(emptied.page().text().contains("name=\"name\" type=\"text\" value=\"\""));
    }

    async fn a_password_is_changed_by_who_knows_the_old_one_and_other_sessions_end(app: TestApp) {
        app.person("alice").await;
        let (browser, elsewhere) = (logged_in(&app, "alice").await, logged_in(&app, "alice").await);
        let page = browser.open("/account").await;
        for (current, new, field) in
            [("wrong", NEW, "current-error"), (PASSWORD, "short", "new-error"), ("", NEW, "current-error"), (PASSWORD, "", "current-error")]
        {
            let answer = browser.submit(&page, "password-form", &[("current", current), ("new", new)]).await;
            let text = answer.page().text();
            assert_eq!(answer.page().status, 400, "{field}");
            assert!(text.contains(&format!("id=\"{field}\" role=\"alert\"")), "{field}: {text}");
            assert!(!text.contains(NEW) && !text.contains("value=\"wrong\"") && !text.contains("short\""));
        }
        assert_eq!(elsewhere.send("GET", "/account", None).await.status, 200);
        let done = browser.submit(&page, "password-form", &[("current", PASSWORD), ("new", NEW)]).await;
        assert!(done.page().text().contains("Your password is changed."), "{}", done.page().text());
        assert_eq!(elsewhere.send("GET", "/account", None).await.status, 303);
        let login = Browser::new(&app);
        let page = login.open("/login").await;
        assert_eq!(login.log_in(&page, "alice", PASSWORD).await.page().status, 400);
        assert_eq!(login.log_in(&page, "alice", NEW).await.page().status, 200);
    }

    async fn sessions_are_listed_and_ended_one_by_one_or_all(app: TestApp) {
        app.person("alice").await;
        app.person("mallory").await;
        let (browser, other, foreign) =
            (logged_in(&app, "alice").await, logged_in(&app, "alice").await, logged_in(&app, "mallory").await);
        let page = browser.send("GET", "/account", None).await;
        let text = page.text();
        assert_eq!(text.matches("<time datetime=\"2027-01-15T08:00:00Z\">2027-01-15 08:00 UTC</time>").count(), 4, "{text}");
        assert_eq!(text.matches("Test/1.0").count(), 3, "two lines, and the label of one button: {text}");
        let session = text.split("name=\"session\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let token = text.split("action=\"/account/sessions/end\"").nth(1).unwrap();
        let token = token.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        // Another person's session is not there to be ended.
        let theirs = foreign.send("GET", "/account", None).await;
        let theirs = token_of(&theirs, "profile-form");
        let refused = foreign.send("POST", "/account/sessions/end", Some(&[("token", &theirs), ("session", &session)])).await;
        assert_eq!(refused.status, 403);
        assert_eq!(other.send("GET", "/account", None).await.status, 200);
        let fields = [("token", token.as_str()), ("session", session.as_str())];
        let ended = browser.send("POST", "/account/sessions/end", Some(&fields)).await;
        assert_eq!((ended.status, ended.header("location")), (303, "/account?done=session"));
        assert_eq!(other.send("GET", "/account", None).await.status, 303);
        assert_eq!(browser.send("GET", "/account", None).await.status, 200);

        let again = logged_in(&app, "alice").await;
        let page = browser.open("/account").await;
        let gone = browser.submit(&page, "end-all-form", &[]).await;
        assert!(matches!(&gone, Arrived::Page { path, answer } if path == "/logged-out" && answer.status == 200));
        for browser in [&browser, &again] {
            assert_eq!(browser.send("GET", "/account", None).await.status, 303);
        }
        assert_eq!(foreign.send("GET", "/account", None).await.status, 200);
    }
}
