//! What goes wrong is a page in the reader's language, of the right status, and never a redirect away.

use serde_json::json;

use crate::support::app::on_both_apps;
use crate::support::browser::{Browser, authorize_path};
use crate::support::http::FORM;

on_both_apps! {
    async fn a_parameter_that_stands_twice_is_refused_on_a_page(app: TestApp) {
        let client = app.web_client(json!({})).await;
        let path = authorize_path("", &client, &[]);
        for more in ["state=x", "client_id=x", "redirect_uri=https%3A%2F%2Fevil.example", "scope=openid", "unknown=1&unknown=2"] {
            let answer = app.get(&format!("{path}&{more}")).send().await;
            assert_eq!((answer.status, answer.header("location")), (400, ""), "{more}");
            assert!(answer.text().contains("id=\"error\""));
        }
        let query = path.split_once('?').unwrap().1;
        let answer = app.post("/oauth2/authorize").body(FORM, format!("{query}&state=x")).send().await;
        assert_eq!(answer.status, 400);
        let fields = "token=a&token=b&username=x&password=y";
        assert_eq!(app.post("/login").body(FORM, fields).send().await.status, 400);
    }

    async fn pages_speak_the_reader_s_language(app: TestApp) {
        app.person("alice").await;
        let client = app.web_client(json!({})).await;
        for (accept, lang, sentence) in [
            ("de-CH, en;q=0.5", "de", "nicht bekannt"),
            ("en-GB, de;q=0.5", "en", "not known"),
            ("fr", "en", "not known"),
            ("", "en", "not known"),
        ] {
            let call = app.get("/oauth2/authorize?client_id=nobody").header("accept-language", accept);
            let text = call.send().await.text();
            assert!(text.contains(&format!("<html lang=\"{lang}\">")) && text.contains(sentence), "{accept}: {text}");
        }
        // What the client says goes before what the browser says.
        let browser = Browser::new(&app);
        let page = browser.open(&authorize_path("", &client, &[("ui_locales", "fr de-AT")])).await;
        let wrong = browser.log_in(&page, "alice", "wrong").await;
        for page in [&page, &wrong] {
            assert!(page.page().text().contains("<html lang=\"de\">"));
            assert!(page.page().text().contains(">Anmelden</button>"));
        }
        assert!(wrong.page().text().contains("Benutzername oder Passwort ist nicht richtig."));
    }

    async fn methods_bodies_and_paths_that_do_not_exist(app: TestApp) {
        for (method, path, allowed) in [
            ("PUT", "/login", "GET, POST, HEAD"),
            ("DELETE", "/oauth2/authorize", "GET, POST, HEAD"),
            ("GET", "/account/profile", "POST"),
            ("GET", "/logout", "POST"),
            ("POST", "/logged-out", "GET, HEAD"),
            ("TRACE", "/account", "GET, HEAD"),
        ] {
            let answer = app.call(method, path).send().await;
            assert_eq!((answer.status, answer.header("content-type")), (405, "text/html; charset=utf-8"), "{path}");
            let mut named: Vec<&str> = answer.header("allow").split(", ").collect();
            let mut expected: Vec<&str> = allowed.split(", ").collect();
            named.sort_unstable();
            expected.sort_unstable();
            assert_eq!(named, expected, "{path}");
        }
        for path in ["/login", "/account/profile", "/consent", "/logout", "/oauth2/authorize", "/oauth2/logout"] {
            assert_eq!(app.post(path).body("application/json", "{}").send().await.status, 400, "{path}");
            assert_eq!(app.post(path).body(FORM, b"a=%FF").send().await.status, 400, "{path}");
            assert_eq!(app.post(path).body(FORM, vec![b'a'; 65 * 1024]).send().await.status, 413, "{path}");
        }
        for path in ["/login/", "/account/none", "/p/default/login", "/p/Nobody/account", "/assets/none"] {
            let answer = app.get(path).send().await;
            assert_eq!((answer.status, answer.header("content-type")), (404, "text/html; charset=utf-8"), "{path}");
        }
        // Beside the pages the wires keep their own shape.
        assert_eq!(app.get("/oauth2/none").send().await.header("content-type"), "application/json");
        for path in ["/login", "/logged-out", "/assets/style.css"] {
            let (got, head) = (app.get(path).send().await, app.call("HEAD", path).send().await);
            assert_eq!((head.status, head.header("content-type")), (got.status, got.header("content-type")), "{path}");
        }
    }

    async fn a_flow_that_is_over_or_another_browser_s_says_so(app: TestApp) {
        app.person("alice").await;
        let client = app.web_client(json!({})).await;
        let browser = Browser::new(&app);
        let page = browser.open(&authorize_path("", &client, &[])).await;
        let flow = crate::web::flow_of(page.page());
        let other = Browser::new(&app).send("GET", &format!("/login?flow={flow}"), None).await;
        assert_eq!(other.status, 400);
        assert!(other.text().contains("has expired or began in another browser"), "{}", other.text());
        app.pass(3600);
        let late = browser.log_in(&page, "alice", crate::support::browser::PASSWORD).await;
        assert_eq!(late.page().status, 400);
        assert!(late.page().text().contains("has expired or began in another browser"));
        assert!(!browser.cookies().keys().any(|name| name.contains("device")));
    }
}
